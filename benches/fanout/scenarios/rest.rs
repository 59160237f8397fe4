//! `rest`: what somebody waits who asks for something small while thousands are being told.

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::Sample;

use crate::bench::Bench;
use crate::load::Load;
use crate::servers::Kind;
use rig::load_client::LoadClient;
use rig::probe::Probe;
use rig::publisher::Publisher;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that read [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    clients: Option<u32>,
    /// Events each second; each takes a bare server about 80 ms to write to 10,000 clients [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: Option<u32>,
    /// Length of a repetition [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients.unwrap_or(bench.usual(10_000, 100)) as usize;
        let rate = self.rate.unwrap_or(5);
        let seconds = self.seconds.unwrap_or(bench.usual(3, 1));
        need_descriptors(clients)?;
        let load = Load {
            clients,
            events: bench.events(rate.into(), seconds),
            group: 1,
            per_second: Some(rate.into()),
            reaches: None,
        };
        let title =
            format!("rest: a request every 3 ms, {rate} events/s to {} clients", count(clients as u64));
        bench.interleave(&title, &[], |bench, kind| measure(bench, kind, load))
    }
}

fn measure(bench: &Bench, kind: Kind, load: Load) -> anyhow::Result<Sample> {
    let server = kind.start(&bench.cores)?;
    if server.questions.is_empty() {
        return Ok(Sample::default());
    }
    let mut load_client = LoadClient::new()?;
    load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
    load_client.open(load.clients, |_| server.ask())?;
    load_client.publish_and_receive(2)?;
    load_client.ask_over(Probe::open(server.address, server.questions.clone())?)?;
    let outcome = load.publish(&server, &mut load_client)?;
    drop(server);
    let latency = load_client.probe.take().map(|probe| probe.latency).unwrap_or_default();
    let milliseconds = |share| latency.quantile(share).as_secs_f64() * 1e3;
    Ok(Sample::default()
        .with("requests", latency.count() as f64)
        .with("p50 ms", milliseconds(0.5))
        .with("p99 ms", milliseconds(0.99))
        .with("longest ms", milliseconds(1.0))
        .with("deliveries' p99 ms", outcome.tally.latency.quantile(0.99).as_secs_f64() * 1e3))
}
