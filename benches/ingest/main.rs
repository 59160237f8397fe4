//! Measures what a change costs: 64 connections that are kept give tasks another status, each again as soon as it
//! has been answered. Each change is committed (`synchronous=FULL`) and streamed before the answer.
//!
//! ```sh
//! cargo bench --bench ingest
//! cargo bench --bench ingest -- --clients 100 --seconds 5 --reps 9 --json ingest.json
//! cargo bench --bench ingest -- --quick                 # does it work?
//! ```
//!
//! Beside it, on the same cores, the store alone does the same transactions for as many callers; and the same
//! changes are made with clients on the stream, and each client must get every one of them, in order. Then fewer
//! connections send batches of 100 and of 1,000 changes, beside the store alone with the same batches.
//!
//! - **µs/update** is the server's CPU time for each change, by its own clock in the kernel.
//! - **deliveries %** is the part of its CPU time that the hub has spent on clients: what is left when the changes
//!   are paid for at the price that they have without clients, in the same repetition. **lost %** is by how much
//!   fewer changes there were.
//! - With clients the load client must read all that is written to them, on its one core. Where the hub's **CPU %**
//!   falls below 100, the client is what limits.
//!
//! Nothing is asserted about time; an event that is missing or out of order fails the run. The load is bounded in
//! count and time, and what was started is killed when the bench fails or is interrupted.

mod batches;
mod store;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use rig::cores::Cores;
use rig::figures::count;
use rig::hub::Hub;
use rig::interrupt;
use rig::listener::Ids;
use rig::load_client::{Ask, LoadClient, Tally};
use rig::process::need_descriptors;
use rig::report::{Sample, Section};

use writers::{Changes, Writers};

/// What every task is called.
const TITLE: &str = "Measure how long it takes to change a status";
/// Tasks that each connection, or caller, changes in turn.
const TASKS_EACH: usize = 8;
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Changes in each request of the variants with batches; a batch has 1,000 at most.
const BATCHES: [usize; 2] = [100, 1000];

const STORE: &str = "store alone";
const HTTP: &str = "over HTTP";

#[derive(Debug, Parser)]
#[command(name = "ingest", about = "Measures what a change costs")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// Connections that write, and callers of the store alone
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    writers: u16,
    /// Connections that send batches, and callers of the store alone with batches
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch_writers: u16,
    /// Clients on the stream beside single changes [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    clients: Option<u16>,
    /// How long they write, in each repetition [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Repetitions [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: Option<u16>,
    /// Write all figures of all repetitions to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cores of the hub and of the store alone, separated by commas [default: 1]
    #[arg(long, value_delimiter = ',')]
    server_cores: Vec<usize>,
    /// Core of the load client [default: 0]
    #[arg(long)]
    client_core: Option<usize>,
    /// Shrink everything to see that it works; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Role {
    /// Be the store that is measured
    #[command(hide = true)]
    Store(store::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let Some(Role::Store(options)) = &cli.role {
        return store::run(options);
    }
    interrupt::arm()?;
    let quick = cli.quick || !cli.bench;
    if quick {
        println!("A smoke run: the load is small and the figures mean nothing.\n");
    }
    let clients = usize::from(cli.clients.unwrap_or(if quick { 20 } else { 1000 }));
    let seconds = cli.seconds.unwrap_or(if quick { 1 } else { 3 });
    let writers = usize::from(cli.writers);
    need_descriptors(clients + writers)?;
    let cores = Cores::assign(&cli.server_cores, cli.client_core)?;
    println!("{}\n", cores.describe());

    let reps = cli.reps.unwrap_or(if quick { 1 } else { 5 });
    let mut sections = vec![single(writers, clients, seconds, reps, &cores)?];
    println!("{}", sections[0]);
    for batch in BATCHES {
        let section = batched(usize::from(cli.batch_writers), batch, seconds, reps, &cores)?;
        println!("{section}");
        sections.push(section);
    }
    let Some(file) = cli.json else {
        return Ok(());
    };
    let sections: Vec<_> = sections.iter().map(Section::json).collect();
    let all = serde_json::json!({"cores": cores.describe(), "quick": quick, "sections": sections});
    std::fs::write(&file, format!("{all:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

/// Changes one by one.
fn single(writers: usize, clients: usize, seconds: u64, reps: u16, cores: &Cores) -> anyhow::Result<Section> {
    let crowded = format!("{HTTP}, {} clients", count(clients as u64));
    let mut section = Section::new(format!("ingest: {writers} writers"));
    for _ in 0..reps {
        section.note(STORE, store::measure(writers, None, seconds, cores)?.sample());
        let alone = ingest(cores, writers, None, 0, seconds)?;
        section.note(HTTP, alone.sample());
        let readers = ingest(cores, writers, None, clients, seconds)?;
        let writing = alone.cpu.as_secs_f64() / alone.updates as f64 * readers.updates as f64;
        section.note(
            &crowded,
            readers
                .sample()
                .with("lost %", 100.0 - readers.per_second() / alone.per_second() * 100.0)
                .with("deliveries %", 100.0 - writing / readers.cpu.as_secs_f64() * 100.0)
                .with("deliveries/s", readers.deliveries as f64 / readers.time.as_secs_f64())
                .with("all delivered after s", readers.afterwards.as_secs_f64()),
        );
    }
    section.compare("updates/s", STORE);
    Ok(section)
}

/// Changes in batches. A latency is that of a batch.
fn batched(writers: usize, batch: usize, seconds: u64, reps: u16, cores: &Cores) -> anyhow::Result<Section> {
    let mut section = Section::new(format!("batches of {}: {writers} writers", count(batch as u64)));
    for _ in 0..reps {
        section.note(STORE, store::measure(writers, Some(batch), seconds, cores)?.sample());
        section.note(HTTP, ingest(cores, writers, Some(batch), 0, seconds)?.sample());
    }
    section.compare("updates/s", STORE);
    Ok(section)
}

/// What a round over HTTP has come to.
struct Outcome {
    updates: u64,
    time: Duration,
    cpu: Duration,
    user: Duration,
    p50: Duration,
    p99: Duration,
    /// While they wrote.
    deliveries: u64,
    /// How long it then took until every client had every event.
    afterwards: Duration,
}

impl Outcome {
    fn per_second(&self) -> f64 {
        self.updates as f64 / self.time.as_secs_f64()
    }

    fn sample(&self) -> Sample {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / self.updates as f64;
        Sample::default()
            .with("updates/s", self.per_second())
            .with("µs/update", each(self.cpu))
            .with("user µs", each(self.user))
            .with("p50 ms", self.p50.as_secs_f64() * 1e3)
            .with("p99 ms", self.p99.as_secs_f64() * 1e3)
            .with("CPU %", self.cpu.as_secs_f64() / self.time.as_secs_f64() * 100.0)
    }
}

fn ingest(
    cores: &Cores,
    writers: usize,
    batch: Option<usize>,
    clients: usize,
    seconds: u64,
) -> anyhow::Result<Outcome> {
    let directory = tempfile::tempdir()?;
    let hub = Hub::start(env!("CARGO_BIN_EXE_taskhub"), directory.path(), &[], cores)?;
    let changes =
        (0..writers).map(|_| Changes::prepare(hub.address, batch)).collect::<anyhow::Result<_>>()?;
    let mut writers = Writers::open(hub.address, changes)?;
    let each = batch.unwrap_or(1) as u64;
    let mut load_client = LoadClient::new()?;
    let path = "/api/events/stream".to_owned();
    let ask = Ask { address: hub.address, path, ids: Ids::Hub, receive_bytes: None };
    load_client.open(clients, |_| ask.clone())?;
    load_client.tally = Tally::default();

    let before = hub.cpu()?;
    let started = Instant::now();
    writers.start()?;
    let until = started + Duration::from_secs(seconds);
    while Instant::now() < until {
        writers.turn(true)?;
        load_client.turn()?;
    }
    let (time, cpu) = (started.elapsed(), hub.cpu()?.since(before));
    let (updates, deliveries) = (writers.answered * each, load_client.tally.delivered);
    let (p50, p99) = (writers.latency.quantile(0.5), writers.latency.quantile(0.99));

    let afterwards = Instant::now();
    while !writers.rest() {
        ensure!(afterwards.elapsed() < PATIENCE, "not everything was answered within {PATIENCE:?}");
        writers.turn(false)?;
        load_client.turn()?;
    }
    load_client.receive(writers.answered * each * clients as u64)?;
    let afterwards = afterwards.elapsed();
    drop(hub);
    Ok(Outcome { updates, time, cpu: cpu.total, user: cpu.user(), p50, p99, deliveries, afterwards })
}
