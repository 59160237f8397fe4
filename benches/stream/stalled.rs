//! `stalled`: the same load on the same number of clients, where none, a few or many never read after they
//! have connected. What the others feel is the question.
//!
//! Each round has a hub of its own, so that no variant inherits memory; the variants take turns, so that whatever
//! else the machine does hits all alike.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rig::figures::{Histogram, Table, count, each, megabytes, milliseconds, seconds};
use rig::hub::Clocks;
use rig::process::need_descriptors;

use crate::publisher::{Load, Publisher, now_ns, sent_ns};
use crate::readers::{Ask, Readers};
use crate::start;

/// How long those who read may take for what is left at the end of a round.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the kernel takes for a client that does not read: the smallest it allows.
const RECEIVE_BYTES: usize = 4096;
/// With its envelope about a kilobyte.
const MESSAGE_BYTES: usize = 900;
/// Connections to write over: enough that a slow commit does not hold up what is due.
const WRITERS: usize = 16;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients in all [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    clients: Option<u16>,
    /// How many of them never read, in percent, for each variant [default: 0,1,10]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(0..=99))]
    stalled: Vec<u64>,
    /// Rounds of each variant [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Length of a round; the hub drops a client that has not read for 45 seconds [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: Option<u64>,
    /// Events written each second [default: 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
}

/// What a round, or all rounds of a variant, have shown.
#[derive(Debug, Default)]
struct Sum {
    latency: Histogram,
    deliveries: u64,
    hub_cpu: Duration,
    bench_cpu: Duration,
    /// Clients that the hub was waiting for at the end of the round, when all others had everything.
    stuck: u64,
    before: u64,
    after: u64,
}

impl Sum {
    /// Adds a round. Of memory and of clients the largest counts, of all else the sum.
    fn add(&mut self, round: &Self) {
        self.latency.add(&round.latency);
        self.deliveries += round.deliveries;
        self.hub_cpu += round.hub_cpu;
        self.bench_cpu += round.bench_cpu;
        self.stuck = self.stuck.max(round.stuck);
        self.before = self.before.max(round.before);
        self.after = self.after.max(round.after);
    }
}

pub fn run(options: Options, quick: bool) -> anyhow::Result<()> {
    let clients = usize::from(options.clients.unwrap_or(if quick { 100 } else { 1000 }));
    let rounds = options.rounds.unwrap_or(if quick { 1 } else { 3 });
    let time = Duration::from_secs(options.seconds.unwrap_or(if quick { 2 } else { 8 }));
    let rate = options.rate.unwrap_or(if quick { 500 } else { 200 });
    let percents = if options.stalled.is_empty() { vec![0, 1, 10] } else { options.stalled };
    need_descriptors(clients)?;
    println!(
        "stalled: {} clients, {rate} events of {MESSAGE_BYTES} characters a second, {rounds} rounds of {time:?} for \
         each variant",
        count(clients as u64),
    );

    let mut sums: Vec<Sum> = percents.iter().map(|_| Sum::default()).collect();
    for _ in 0..rounds {
        for (percent, sum) in percents.iter().zip(&mut sums) {
            let stalled = (clients as u64 * percent).div_ceil(100) as usize;
            sum.add(&round(clients - stalled, stalled, rate, time)?);
        }
    }

    let mut table = Table::new([
        "never read",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "deliveries",
        "hub CPU each",
        "hub CPU",
        "bench CPU",
        "stuck",
        "memory before",
        "after",
    ]);
    for (percent, sum) in percents.iter().zip(&sums) {
        let quantile = |share| milliseconds(sum.latency.quantile(share));
        table.row([
            format!("{percent} %"),
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            quantile(0.999),
            count(sum.deliveries),
            each(sum.hub_cpu, sum.deliveries),
            seconds(sum.hub_cpu),
            seconds(sum.bench_cpu),
            count(sum.stuck),
            megabytes(sum.before),
            megabytes(sum.after),
        ]);
    }
    println!("\n{table}");
    println!(
        "Latencies, deliveries and CPU are of the clients that read, over all rounds. `stuck` are those that the"
    );
    println!(
        "hub was waiting for at the end; of them and of memory, before and after the writing, the worst round.\n"
    );
    Ok(())
}

fn round(reading: usize, stalled: usize, rate: u32, time: Duration) -> anyhow::Result<Sum> {
    let directory = tempfile::tempdir()?;
    let hub = start::hub(directory.path(), &[])?;
    let mut readers = Readers::open(hub.address, &Ask::default(), reading, 1)?;
    let stalled = (0..stalled).map(|_| stall(hub.address)).collect::<anyhow::Result<Vec<_>>>()?;
    readers.connected()?;

    let mut sum = Sum { before: hub.private_bytes()?, ..Sum::default() };
    let clocks = Clocks::start(&hub)?;
    let load = Load { connections: WRITERS, per_second: Some(rate), message_bytes: MESSAGE_BYTES };
    let publisher = Publisher::start(hub.address, load);
    let end = Instant::now() + time;
    let latency = &mut sum.latency;
    let mut unreadable = 0;
    readers.until(
        time + PATIENCE,
        |_, message| match sent_ns(message.data) {
            Some(sent) => latency.note(now_ns().saturating_sub(sent)),
            None => unreadable += 1,
        },
        |readers| {
            if Instant::now() >= end {
                publisher.stop();
            }
            Ok(publisher.has_ended() && readers.all_at(publisher.acknowledged()))
        },
    )?;
    publisher.finish()?;
    ensure!(unreadable == 0, "{unreadable} events without a time in them");
    let passed = clocks.read(&hub)?;
    (sum.deliveries, sum.hub_cpu, sum.bench_cpu) = (readers.events(), passed.hub, passed.bench);
    sum.after = hub.private_bytes()?;

    let status = hub.get("/api/events/status?clients=true")?;
    let clients = status["clients"].as_array().context("no list of clients")?;
    ensure!(clients.len() == reading + stalled.len(), "only {} clients are left", clients.len());
    sum.stuck = clients.iter().filter(|client| client["lag_events"].as_u64() > Some(0)).count() as u64;
    drop((readers, stalled));
    hub.end()?;
    Ok(sum)
}

/// A client that has seen its stream open and never reads again.
fn stall(hub: SocketAddr) -> anyhow::Result<TcpStream> {
    let ask = Ask { receive_bytes: Some(RECEIVE_BYTES), ..Ask::default() };
    let mut socket = ask.connect(hub)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut beginning = [0; 12];
    socket.read_exact(&mut beginning)?;
    ensure!(&beginning == b"HTTP/1.1 200", "the stream was refused");
    Ok(socket)
}
