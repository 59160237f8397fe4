//! `resume`: how fast clients get what they have missed, from memory and from the log on disk. The hub alone can.

use std::time::Instant;

use clap::Args;
use rig::figures::count;
use rig::process::need_descriptors;
use rig::report::{Sample, Section};

use crate::bench::Bench;
use crate::servers::{Kind, Out, start_hub};
use rig::audience::{Ask, Audience, Tally};
use rig::press::Press;

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
        let crowds = if self.clients.is_empty() { vec![1, 8] } else { self.clients };
        need_descriptors(crowds.iter().copied().max().unwrap_or(1) as usize)?;
        for kind in bench.hubs() {
            let mut section = Section::new(format!("resume: {}, {} events", kind.name(), count(events)));
            for _ in 0..bench.repetitions {
                for (place, flags) in [("ring", &[][..]), ("store", &["--ring-events-max", "10"])] {
                    measure(bench, kind, events, &crowds, flags, |clients, sample| {
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
    crowds: &[u32],
    flags: &[&str],
    mut note: impl FnMut(u32, Sample),
) -> anyhow::Result<()> {
    /// Not more at once than the press keeps in memory easily.
    const BURST: u64 = 1000;
    let out = if kind == Kind::HandOff { Out::HandOff } else { Out::Body };
    let server = start_hub(out, flags, &bench.cores)?;
    let mut audience = Audience::new()?;
    audience.publish_over(Press::open(server.address, server.way.clone())?)?;
    // The task of the hub is an event, too.
    for first in (1..events).step_by(BURST as usize) {
        audience.publish(BURST.min(events - first))?;
        audience.acknowledged()?;
    }
    for clients in crowds {
        audience.tally = Tally::default();
        let before = server.process.cpu()?;
        let started = Instant::now();
        let ask = Ask { path: format!("{}?since=earliest", server.stream), ..server.ask() };
        audience.open(*clients as usize, |_| ask.clone())?;
        audience.receive(u64::from(*clients) * events)?;
        let (time, cpu) = (started.elapsed(), server.process.cpu()?.since(before));
        let all = (u64::from(*clients) * events) as f64;
        note(
            *clients,
            Sample::default()
                .with("events/s", all / time.as_secs_f64())
                .with("MB/s", audience.tally.bytes as f64 / 1e6 / time.as_secs_f64())
                .with("µs/event", cpu.total.as_secs_f64() * 1e6 / all),
        );
        audience.leave();
    }
    Ok(())
}
