//! `resume`: a client, and then several, take a long log from its first event to the head and go on live, while
//! others write. Each variant has a hub of its own on the same data, so that none inherits memory.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use rig::figures::{Table, count, megabytes, megabytes_rate, rate, seconds};
use rig::hub::{Clocks, Passed};
use rig::process::MemoryWatch;
use taskhub::domain::event::EventId;

use crate::log;
use crate::publisher::{Load, Publisher};
use crate::readers::{Ask, Readers};
use crate::start;

/// How long a variant may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Events that a client must see after it has reached the head: the seam between log and live is part of it.
const LIVE_EVENTS: u64 = 50;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Events in the log, a multiple of 1,000 [default: 1000000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1000..=20_000_000))]
    events: Option<u64>,
    /// Clients at once in the second variant [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    clients: Option<u16>,
    /// Events that are written each second meanwhile [default: 100]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trickle: Option<u32>,
}

/// One way of resuming.
struct Variant {
    name: String,
    clients: usize,
    query: String,
    /// How far apart the events are that the query lets through.
    stride: u64,
}

/// How it went.
struct Outcome {
    /// When each client had reached the head, in order.
    finished: Vec<Duration>,
    passed: Passed,
    bytes: u64,
    before: u64,
    peak: u64,
}

pub fn run(options: Options, quick: bool) -> anyhow::Result<()> {
    let events = options.events.unwrap_or(if quick { 20_000 } else { 1_000_000 });
    let events = events - events % log::RARE_EVERY;
    let clients = usize::from(options.clients.unwrap_or(8));
    let trickle = options.trickle.unwrap_or(100);
    println!("resume: {} events to read, {trickle} more written each second", count(events));

    let directory = tempfile::tempdir()?;
    let preparing = Instant::now();
    let start = log::prepare(directory.path(), events)?;
    println!("The log was made in {}.\n", seconds(preparing.elapsed()));

    let all = |clients| Variant {
        name: format!("{clients} reading all"),
        clients,
        query: String::new(),
        stride: 1,
    };
    let filtered = Variant {
        name: format!("1 filtering 1 in {}", log::RARE_EVERY),
        clients: 1,
        query: format!("?assignee={}", log::RARE),
        stride: log::RARE_EVERY,
    };
    let mut table = Table::new([
        "clients",
        "first at head",
        "last at head",
        "events/s",
        "MB/s",
        "memory before",
        "peak",
        "growth",
        "hub CPU",
        "bench CPU",
    ]);
    for variant in [all(1), all(clients), filtered] {
        let outcome = measure(&variant, directory.path(), start, events, trickle)?;
        let (first, last) = (outcome.finished[0], outcome.finished[outcome.finished.len() - 1]);
        table.row([
            variant.name,
            seconds(first),
            seconds(last),
            // What the hub had to look at, whether or not it was sent.
            rate(events * variant.clients as u64, last),
            megabytes_rate(outcome.bytes, last),
            megabytes(outcome.before),
            megabytes(outcome.peak),
            megabytes(outcome.peak.saturating_sub(outcome.before)),
            seconds(outcome.passed.hub),
            seconds(outcome.passed.bench),
        ]);
    }
    println!("{table}");
    println!(
        "events/s and MB/s are of all clients together, until the last one is at the head; events/s counts the"
    );
    println!("events that were looked at, whether or not a filter let them through.\n");
    Ok(())
}

fn measure(
    variant: &Variant,
    directory: &Path,
    start: EventId,
    events: u64,
    trickle: u32,
) -> anyhow::Result<Outcome> {
    // Nothing may be forgotten, however long the log.
    let hub = start::hub(directory, &["--retain-events-max", "100000000"])?;
    let publisher =
        Publisher::start(hub.address, Load { connections: 4, per_second: Some(trickle), ..Load::default() });
    let before = hub.private_bytes()?;
    let watch = MemoryWatch::start(&hub);
    let clocks = Clocks::start(&hub)?;

    let ask = Ask { query: variant.query.clone(), last_event_id: Some(start.to_string()), ..Ask::default() };
    let started = Instant::now();
    let mut readers = Readers::open(hub.address, &ask, variant.clients, variant.stride)?;
    let mut finished = vec![None; variant.clients];
    readers.until(
        PATIENCE,
        |_, _| {},
        |readers| {
            // A filter lets nothing through of what is being written, and so no more than what was there.
            let head = if variant.stride == 1 { publisher.acknowledged().max(events) } else { events };
            for (time, reader) in finished.iter_mut().zip(&readers.readers) {
                if reader.seq >= head {
                    time.get_or_insert_with(|| started.elapsed());
                }
            }
            Ok(finished.iter().all(Option::is_some))
        },
    )?;
    let (passed, bytes, peak) = (clocks.read(&hub)?, readers.bytes, watch.peak_bytes());

    if variant.stride == 1 {
        let seam = readers.slowest() + LIVE_EVENTS;
        readers.until(PATIENCE, |_, _| {}, |readers| Ok(readers.all_at(seam)))?;
    }
    publisher.finish()?;
    drop(readers);
    hub.end()?;
    let mut finished: Vec<_> = finished.into_iter().flatten().collect();
    finished.sort();
    Ok(Outcome { finished, passed, bytes, before, peak })
}
