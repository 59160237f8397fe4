//! `fanout`: many writers, many readers. Writers do not wait for readers, so unless a rate is given they write as
//! fast as they are answered, the crowd falls behind, and what is measured is what the hub can deliver at most.

use std::time::{Duration, Instant};

use clap::Args;

use crate::crowd::{Ask, Crowd};
use crate::figures::{Table, count, each, megabytes, megabytes_rate, rate, seconds};
use crate::hub::{Clocks, Hub, MemoryWatch, need_descriptors};
use crate::publisher::{Load, Publisher};

/// How long readers may take for what is left when the writers have stopped.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients that read [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    clients: Option<u16>,
    /// Connections that write at once [default: 64]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    writers: Option<u16>,
    /// How long they write [default: 10]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Events written each second [default: as many as are answered]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Length of each message [default: 100]
    #[arg(long, value_parser = clap::value_parser!(u16).range(30..=2000))]
    message_bytes: Option<u16>,
}

pub fn run(options: Options, quick: bool) -> anyhow::Result<()> {
    let clients = usize::from(options.clients.unwrap_or(if quick { 100 } else { 1000 }));
    let time = Duration::from_secs(options.seconds.unwrap_or(if quick { 1 } else { 10 }));
    let load = Load {
        connections: options.writers.unwrap_or(64).into(),
        per_second: options.rate,
        message_bytes: options.message_bytes.unwrap_or(100).into(),
    };
    need_descriptors(clients + load.connections)?;
    println!(
        "fanout: {} clients reading, {} writing for {time:?}\n",
        count(clients as u64),
        load.connections
    );

    let directory = tempfile::tempdir()?;
    let hub = Hub::start(directory.path(), &[])?;
    hub.warm_up()?;
    let before = hub.memory_bytes()?;
    let mut crowd = Crowd::open(hub.address, &Ask::default(), clients, 1)?;
    crowd.connected()?;
    let idle = hub.memory_bytes()?;

    let watch = MemoryWatch::start(&hub);
    let clocks = Clocks::start(&hub)?;
    let publisher = Publisher::start(hub.address, load);
    let end = Instant::now() + time;
    crowd.until(time + PATIENCE, |_, _| {}, |_| Ok(Instant::now() >= end || publisher.has_ended()))?;
    let (passed, deliveries, bytes, published) =
        (clocks.read(&hub)?, crowd.events(), crowd.bytes, publisher.count());
    let behind = publisher.acknowledged().saturating_sub(crowd.slowest());
    publisher.stop();
    let catching_up = Instant::now();
    crowd.until(
        PATIENCE,
        |_, _| {},
        |crowd| Ok(publisher.has_ended() && crowd.all_at(publisher.acknowledged())),
    )?;
    let catching_up = catching_up.elapsed();
    publisher.finish()?;
    let all = clocks.read(&hub)?;

    let mut table = Table::new(["", "fanout"]);
    let mut row = |name: &str, figure| table.row([name.to_owned(), figure]);
    row("memory before", megabytes(before));
    row("each idle client", format!("{} bytes", count(idle.saturating_sub(before) / clients as u64)));
    row("memory at its peak", megabytes(watch.peak_bytes()));
    row("events/s written", rate(published, passed.time));
    row("deliveries/s", rate(deliveries, passed.time));
    row("MB/s received", megabytes_rate(bytes, passed.time));
    row("hub CPU", seconds(passed.hub));
    row("bench CPU", seconds(passed.bench));
    row("hub CPU each delivery", each(passed.hub, deliveries));
    row("slowest behind by, events", count(behind));
    row("all at the head after another", seconds(catching_up));
    row("deliveries in all", count(crowd.events()));
    row("hub CPU each, in all", each(all.hub, crowd.events()));
    println!("{table}");
    println!("CPU each delivery includes the writing: requests, commits and answers.\n");
    drop((crowd, watch));
    hub.end()
}
