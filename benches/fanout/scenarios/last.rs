//! `last`: one event, and the time until the last of many clients has it.

use std::time::Duration;

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::Sample;

use crate::bench::Bench;
use crate::servers::Kind;
use rig::load_client::{LoadClient, Tally};
use rig::marker::now_ns;
use rig::publisher::Publisher;

/// Between two events, so that each meets a server that rests.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that read [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    clients: Option<u32>,
    /// Events in each repetition, one after the other [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    events: Option<u64>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients.unwrap_or(bench.usual(10_000, 100)) as usize;
        let events = self.events.unwrap_or(bench.usual(5, 2));
        need_descriptors(clients)?;
        let title = format!("last: one event to {} clients", count(clients as u64));
        let figures = [("last ms", Kind::Bare)];
        bench.interleave(&title, &figures, |bench, kind| measure(bench, kind, clients, events))
    }
}

fn measure(bench: &Bench, kind: Kind, clients: usize, events: u64) -> anyhow::Result<Sample> {
    let server = kind.start(&bench.cores)?;
    let mut load_client = LoadClient::new()?;
    load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
    load_client.open(clients, |_| server.ask())?;
    load_client.publish_and_receive(2)?;
    let (mut last, mut median) = (Vec::new(), Vec::new());
    for _ in 0..events {
        load_client.settle(PAUSE)?;
        load_client.tally = Tally::default();
        let started = now_ns();
        load_client.publish(1)?;
        load_client.receive(clients as u64)?;
        last.push((load_client.tally.last_ns - started) as f64 / 1e6);
        median.push(load_client.tally.latency.quantile(0.5).as_secs_f64() * 1e3);
    }
    // The server ends before those who are connected to it.
    drop(server);
    Ok(Sample::default().with("median ms", middle(median)).with("last ms", middle(last)))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
