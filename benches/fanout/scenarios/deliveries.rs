//! What a delivery costs, by how events come: one by one, faster, in bursts, in small groups, and faster than can
//! be delivered one by one.

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;

use crate::bench::Bench;
use crate::load::Load;
use crate::servers::Kind;

/// Declares the options of a load, which differ in nothing but their defaults.
macro_rules! options {
    ($name:ident, $clients:literal, $quick:literal) => {
        #[derive(Debug, Clone, Default, Args)]
        pub struct $name {
            #[doc = concat!("Clients that read [default: ", stringify!($clients), "]")]
            #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
            clients: Option<u32>,
            /// How long a paced load lasts, or how many bursts there are, in each repetition
            #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
            length: Option<u64>,
        }

        impl $name {
            fn clients(&self, bench: &Bench) -> usize {
                self.clients.unwrap_or(bench.usual($clients, $quick)) as usize
            }
        }
    };
}

options!(Paced, 1000, 50);
options!(Fast, 1000, 50);
options!(Burst, 1000, 50);
options!(Groups, 1000, 50);
options!(Saturated, 10_000, 100);

impl Paced {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients(bench);
        let seconds = self.length.unwrap_or(bench.usual(2, 1));
        let load = Load {
            clients,
            events: bench.events(50, seconds),
            group: 1,
            per_second: Some(50.0),
            reaches: None,
        };
        deliver(bench, "paced: 50 events/s", load, Kind::Bare)
    }
}

impl Fast {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients(bench);
        let seconds = self.length.unwrap_or(bench.usual(2, 1));
        let load = Load {
            clients,
            events: bench.events(500, seconds),
            group: 1,
            per_second: Some(500.0),
            reaches: None,
        };
        deliver(bench, "fast: 500 events/s", load, Kind::BareBatched)
    }
}

impl Burst {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        const BURST: u64 = 1000;
        let clients = self.clients(bench);
        let bursts = self.length.unwrap_or(bench.usual(3, 1));
        let load = Load { clients, events: BURST * bursts, group: BURST, per_second: None, reaches: None };
        deliver(bench, "burst: 1,000 events at once", load, Kind::BareBatched)
    }
}

impl Groups {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        const GROUP: u64 = 10;
        let clients = self.clients(bench);
        let groups = self.length.unwrap_or(bench.usual(50, 3));
        let load = Load { clients, events: GROUP * groups, group: GROUP, per_second: None, reaches: None };
        deliver(bench, "groups: 10 events at once", load, Kind::BareBatched)
    }
}

impl Saturated {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients(bench);
        let seconds = self.length.unwrap_or(bench.usual(3, 1));
        let load = Load {
            clients,
            events: bench.events(100, seconds),
            group: 1,
            per_second: Some(100.0),
            reaches: None,
        };
        deliver(bench, "saturated: 100 events/s", load, Kind::BareBatched)
    }
}

fn deliver(bench: &mut Bench, what: &str, load: Load, baseline: Kind) -> anyhow::Result<()> {
    need_descriptors(load.clients)?;
    let title = format!("{what} to {} clients", count(load.clients as u64));
    let figures = [("µs", baseline), ("net µs", baseline)];
    bench.interleave(&title, &figures, |bench, kind| load.measure(kind, &bench.cores))
}
