//! `resume`: how fast clients get what they have missed, from memory and from the log on disk. The hub alone can.

use std::time::Instant;

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::{Sample, Section};

use crate::bench::Bench;
use crate::servers::{Kind, Out, start_hub};
use rig::load_client::{Ask, LoadClient, Tally};
use rig::publisher::Publisher;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Events that were missed; the ring holds 65,536 [default: 50000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    events: Option<u64>,
    /// Clients that resume at once, for each variant [default: 1,8]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: Vec<u32>,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let events = self.events.unwrap_or(bench.usual(50_000, 1000));
        let client_counts = if self.clients.is_empty() { vec![1, 8] } else { self.clients };
        need_descriptors(client_counts.iter().copied().max().unwrap_or(1) as usize)?;
        for kind in bench.hubs() {
            let mut section = Section::new(format!("resume: {}, {} events", kind.name(), count(events)));
            for _ in 0..bench.repetitions {
                for (place, flags) in [("ring", &[][..]), ("store", &["--ring-events-max", "10"])] {
                    measure(bench, kind, events, &client_counts, flags, |clients, sample| {
                        section.note(&format!("from the {place}, {clients} clients"), sample);
                    })?;
                }
            }
            bench.show(section);
        }
        Ok(())
    }
}

fn measure(
    bench: &Bench,
    kind: Kind,
    events: u64,
    client_counts: &[u32],
    flags: &[&str],
    mut note: impl FnMut(u32, Sample),
) -> anyhow::Result<()> {
    /// Not more at once than the publisher keeps in memory easily.
    const BURST: u64 = 1000;
    let out = if kind == Kind::HandOff { Out::HandOff } else { Out::Body };
    let server = start_hub(out, flags, &bench.cores)?;
    let mut load_client = LoadClient::new()?;
    load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
    // The task of the hub is an event, too.
    for first in (1..events).step_by(BURST as usize) {
        load_client.publish(BURST.min(events - first))?;
        load_client.acknowledged()?;
    }
    for clients in client_counts {
        load_client.tally = Tally::default();
        let before = server.process.cpu()?;
        let started = Instant::now();
        let ask = Ask { path: format!("{}?since=earliest", server.stream), ..server.ask() };
        load_client.open(*clients as usize, |_| ask.clone())?;
        load_client.receive(u64::from(*clients) * events)?;
        let (time, cpu) = (started.elapsed(), server.process.cpu()?.since(before));
        let all = (u64::from(*clients) * events) as f64;
        note(
            *clients,
            Sample::default()
                .with("events/s", all / time.as_secs_f64())
                .with("MB/s", load_client.tally.bytes as f64 / 1e6 / time.as_secs_f64())
                .with("µs/event", cpu.total.as_secs_f64() * 1e6 / all),
        );
        load_client.leave();
    }
    Ok(())
}
