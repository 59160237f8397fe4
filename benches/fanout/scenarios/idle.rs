//! `idle`: what a client costs that only listens, in memory, and in CPU to connect.

use std::time::Duration;

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::Sample;

use crate::bench::Bench;
use crate::servers::Kind;
use rig::load_client::LoadClient;
use rig::publisher::Publisher;

/// Clients and events that get what a server allocates once out of the way.
const WARM_UP: usize = 20;
/// Until a server has tidied up.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that listen [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    clients: Option<u32>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients.unwrap_or(bench.usual(10_000, 100)) as usize;
        need_descriptors(clients)?;
        let title = format!("idle: {} clients that listen", count(clients as u64));
        let figures = [("connecting µs", Kind::Nchan)];
        bench.interleave(&title, &figures, |bench, kind| measure(bench, kind, clients))
    }
}

fn measure(bench: &Bench, kind: Kind, clients: usize) -> anyhow::Result<Sample> {
    let server = kind.start(&bench.cores)?;
    let mut load_client = LoadClient::new()?;
    load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
    load_client.open(WARM_UP, |_| server.ask())?;
    load_client.publish_and_receive(WARM_UP as u64)?;
    load_client.settle(PAUSE)?;

    let more = clients - WARM_UP;
    let (memory, cpu) = (server.process.resident_bytes()?, server.process.cpu()?);
    load_client.open(more, |_| server.ask())?;
    load_client.settle(PAUSE)?;
    let cpu = server.process.cpu()?.since(cpu);
    let idle = server.process.resident_bytes()?;
    load_client.publish_and_receive(2)?;
    load_client.settle(PAUSE)?;
    let used = server.process.resident_bytes()?;
    let each = |bytes: u64| bytes.saturating_sub(memory) as f64 / 1024.0 / more as f64;
    drop(server);
    Ok(Sample::default()
        .with("KiB/client", each(idle))
        .with("KiB after 2 events", each(used))
        .with("connecting µs", cpu.total.as_secs_f64() * 1e6 / more as f64)
        .with("all MiB", idle as f64 / f64::from(1 << 20)))
}
