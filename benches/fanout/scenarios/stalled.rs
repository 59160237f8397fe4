//! `stalled`: some clients do not read while thousands of events come. What do they cost, what do the others feel,
//! and do they get everything when they read again?

use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::Sample;

use crate::bench::Bench;
use crate::load::Load;
use crate::servers::Kind;
use rig::load_client::{Ask, LoadClient, Tally};
use rig::publisher::Publisher;

/// What the kernel takes for a client that does not read: the smallest it allows.
const RECEIVE_BYTES: usize = 4096;
/// Events that are published at once.
const GROUP: u64 = 10;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that read [default: 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    clients: Option<u32>,
    /// Clients that do not [default: 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    stalled: Option<u32>,
    /// Events in all; by themselves they may not outlast the patience of a server with who does not read
    /// [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    events: Option<u64>,
    /// Events each second, in groups of 10 [default: 2000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rate: Option<u32>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients.unwrap_or(bench.usual(200, 50)) as usize;
        let stalled = self.stalled.unwrap_or(bench.usual(200, 10)) as usize;
        let events = self.events.unwrap_or(bench.usual(10_000, 500));
        let rate = self.rate.unwrap_or(2000);
        need_descriptors(clients + stalled)?;
        let title = format!(
            "stalled: {} events to {} clients, and {stalled} that do not read",
            count(events),
            count(clients as u64)
        );
        let load = Load { clients, events, group: GROUP, per_second: Some(rate.into()), reaches: None };
        bench.interleave(&title, &[("net RSS MiB", Kind::BareBatched)], |bench, kind| {
            measure(bench, kind, load, stalled)
        })
    }
}

fn measure(bench: &Bench, kind: Kind, load: Load, stalled: usize) -> anyhow::Result<Sample> {
    let server = kind.start(&bench.cores)?;
    let mut load_client = LoadClient::new()?;
    load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
    load_client.open(stalled, |_| Ask { receive_bytes: Some(RECEIVE_BYTES), ..server.ask() })?;
    load_client.open(load.clients, |_| server.ask())?;
    load_client.publish_and_receive(3)?;
    load_client.set_reading(stalled, false)?;

    let before = server.process.resident_bytes()?;
    let outcome = load.publish(&server, &mut load_client)?;
    let after = server.process.resident_bytes()?;

    load_client.tally = Tally::default();
    let reading = Instant::now();
    load_client.set_reading(stalled, true)?;
    load_client.receive(stalled as u64 * load.events)?;
    let caught_up = reading.elapsed();
    ensure!(!kind.is_ours() || load_client.tally.lost == 0, "{} events were lost", load_client.tally.lost);
    let latency = |share| outcome.tally.latency.quantile(share).as_secs_f64() * 1e3;
    let end = server.process.resident_bytes()?;
    drop(server);
    let growth = |now: u64| (now as f64 - before as f64) / f64::from(1 << 20);
    Ok(Sample::default()
        .with("RSS growth MiB", growth(after))
        .with("growth at the end MiB", growth(end))
        .with("p50 ms", latency(0.5))
        .with("p99 ms", latency(0.99))
        .with("caught up ms", caught_up.as_secs_f64() * 1e3)
        .with("lost by others", outcome.tally.lost as f64)
        .with("lost by the stalled", load_client.tally.lost as f64))
}
