//! `growth`: the same number of deliveries a second, to more and more clients.

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::Section;

use crate::bench::Bench;
use crate::load::Load;
use crate::servers::Kind;

/// Deliveries a second: some 40 % of what a bare write allows on one core.
const PER_SECOND: u64 = 50_000;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that read, for each step [default: 100,1000,10000,50000]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=200_000))]
    clients: Vec<u32>,
    /// Length of a repetition [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let usual = bench.usual(vec![100, 1000, 10_000, 50_000], vec![10]);
        let steps = if self.clients.is_empty() { usual } else { self.clients };
        let seconds = self.seconds.unwrap_or(bench.usual(2, 1));
        for clients in steps {
            let title =
                format!("growth: {} deliveries/s to {} clients", count(PER_SECOND), count(clients.into()));
            if let Err(error) = need_descriptors(clients as usize) {
                let mut section = Section::new(title);
                section.excuse("not measured", format!("{error:#}"));
                bench.show(section);
                continue;
            }
            let rate = (PER_SECOND / u64::from(clients)).clamp(1, 500);
            let load = Load {
                clients: clients as usize,
                events: bench.events(rate, seconds),
                group: 1,
                per_second: Some(rate as f64),
                reaches: None,
            };
            let figures = [("net µs", Kind::Bare)];
            bench.interleave(&title, &figures, |bench, kind| load.measure(kind, &bench.cores))?;
        }
        Ok(())
    }
}
