//! Measures what grows with the number of tasks: searches, single reads and snapshots, and what they do to those who write.
//!
//! ```sh
//! cargo bench --bench growth
//! cargo bench --bench growth -- --tasks 1000000 --json growth.json
//! cargo bench --bench growth -- --quick                 # does it work?
//! ```
//!
//! - **updates/s** is what 64 connections write that give tasks another status, each again as soon as it has been answered;
//!   **longest ms** is the longest that one of them has waited, **WAL MB** the largest write-ahead log meanwhile.
//! - A search looks for a text that no task has, so it looks at every task, again and again.
//! - **µs/read** is the server's CPU time for each answer, by its own clock in the kernel.
//! - **KiB/wait** is what an agent that waits for events adds to the memory that its connection holds anyway (`RssAnon`);
//!   the times are those from the request that writes the event to each agent's answer.
//!
//! One hub with the same tasks serves the rows on tasks, one after the other, in each repetition; agents wait on an empty one. Nothing is asserted about time.
//! The load is bounded in count and time, and what was started is killed when the bench fails or is interrupted.

mod loads;
mod waits;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use loads::Asks;
use rig::callers::Callers;
use rig::cores::Cores;
use rig::figures::count;
use rig::hub::{Hub, post};
use rig::interrupt;
use rig::process::need_descriptors;
use rig::report::{Sample, Section};
use serde_json::json;

const WRITERS: usize = 64;
/// Tasks that each connection changes or reads in turn.
const TASKS_EACH: usize = 8;
/// Most operations of a batch.
const BATCH: usize = 1000;
/// Agents that wait at once.
const AGENTS: usize = 1000;
const SEARCH: &str = "/api/tasks?q=zzzz";
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
#[command(name = "growth", about = "Measures what grows with the number of tasks")]
struct Cli {
    /// Tasks of the hub [default: 100000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    tasks: Option<u32>,
    /// How long each row lasts, in each repetition [default: 4]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Repetitions [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: Option<u16>,
    /// Write all figures of all repetitions to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cores of the hub, separated by commas [default: 1]
    #[arg(long, value_delimiter = ',')]
    server_cores: Vec<usize>,
    /// Core of the load client [default: 0]
    #[arg(long)]
    client_core: Option<usize>,
    /// The hub to measure [default: the one that was built with this bench]
    #[arg(long, value_name = "FILE")]
    hub: Option<PathBuf>,
    /// Shrink everything to see that it works; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("growth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    interrupt::arm()?;
    let quick = cli.quick || !cli.bench;
    if quick {
        println!("A smoke run: the load is small and the figures mean nothing.\n");
    }
    need_descriptors(AGENTS + 200)?;
    let cores = Cores::assign(&cli.server_cores, cli.client_core)?;
    println!("{}\n", cores.describe());
    let tasks = cli.tasks.unwrap_or(if quick { 2000 } else { 100_000 }) as usize;
    let time = Duration::from_secs(cli.seconds.unwrap_or(if quick { 1 } else { 4 }));
    let directory = tempfile::tempdir()?;
    let program = cli.hub.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_taskhub")));
    let program = program.to_str().context("the name of the hub is not UTF-8")?;
    let hub = Hub::start(program, directory.path(), &[], &cores)?;
    let ids = fill(hub.address, tasks)?;
    let rig = Rig { hub, ids, wal: directory.path().join("taskhub.db-wal"), time };

    let of = |title: &str| Section::new(format!("{title}: {} tasks", count(tasks as u64)));
    let mut writes = of("64 writers beside searches and a snapshot");
    let mut reads = of("reads of one task");
    let agents = if quick { 20 } else { AGENTS };
    let mut waits = Section::new("agents that wait for events".to_owned());
    for _ in 0..cli.reps.unwrap_or(if quick { 1 } else { 5 }) {
        for searches in [0, 1, 4] {
            writes.note(&format!("{searches} searches"), rig.writes(searches, false)?);
        }
        writes.note("a snapshot", rig.writes(0, true)?);
        reads.note("64 connections", rig.reads(64, 0)?);
        reads.note("1 connection", rig.reads(1, 0)?);
        reads.note("1 connection beside 8 searches", rig.reads(1, 8)?);
        waits.note(&format!("{} agents", count(agents as u64)), waits::measure(program, agents, &cores)?);
    }
    writes.compare("updates/s", "0 searches");
    println!("{writes}\n{reads}\n{waits}");
    let Some(file) = cli.json else {
        return Ok(());
    };
    let sections = [writes.json(), reads.json(), waits.json()];
    let all = json!({"cores": cores.describe(), "tasks": tasks, "quick": quick, "sections": sections});
    std::fs::write(&file, format!("{all:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

/// Makes the tasks, and answers the ids of some of them, spread evenly.
fn fill(hub: SocketAddr, tasks: usize) -> anyhow::Result<Vec<String>> {
    let wanted = WRITERS * TASKS_EACH;
    let (words, statuses) =
        (["parser", "board", "stream", "lease"], ["todo", "inprogress", "review", "done"]);
    let mut ids = Vec::new();
    for first in (0..tasks).step_by(BATCH) {
        interrupt::check()?;
        let task = |number: usize| {
            json!({"action": "create", "task": {
                "title": format!("Mend the {} for the case {number}", words[number % 4]),
                "description": format!("Case {number} of many. {}", "What happens, and what should. ".repeat(8)),
                "status": statuses[number / 4 % 4],
                "tags": ["bench", words[number / 16 % 4]],
            }})
        };
        let operations: Vec<_> = (first..tasks.min(first + BATCH)).map(task).collect();
        let done = post(hub, "/api/tasks/batch", &json!({"operations": operations, "atomic": true}))?;
        let results = done["results"].as_array().context("a batch without results")?;
        for (number, result) in results.iter().enumerate() {
            if (first + number).is_multiple_of((tasks / wanted).max(1)) {
                ids.push(result["task"]["id"].as_str().context("a task without an id")?.to_owned());
            }
        }
    }
    ensure!(ids.len() >= wanted, "too few tasks");
    Ok(ids)
}

struct Rig {
    hub: Hub,
    ids: Vec<String>,
    wal: PathBuf,
    time: Duration,
}

impl Rig {
    fn loads(&self, count: usize, load: impl Fn(Vec<String>) -> Asks) -> Vec<Asks> {
        (0..count)
            .map(|number| load(self.ids.iter().skip(number).step_by(WRITERS).cloned().collect()))
            .collect()
    }

    fn searches(&self, count: usize) -> anyhow::Result<Callers<Asks>> {
        Callers::open(self.hub.address, vec![Asks::Same(SEARCH.to_owned()); count])
    }

    fn wal_mb(&self) -> f64 {
        std::fs::metadata(&self.wal).map_or(0.0, |file| file.len() as f64 / 1e6)
    }

    fn writes(&self, searches: usize, snapshot: bool) -> anyhow::Result<Sample> {
        /// Between two looks at the size of the log.
        const LOOKS: Duration = Duration::from_millis(10);
        let mut writers = Callers::open(self.hub.address, self.loads(WRITERS, Asks::Changes))?;
        let mut searches = self.searches(searches)?;
        let stop = Instant::now() + self.time;
        let address = self.hub.address;
        let snapshot = snapshot.then(|| std::thread::spawn(move || take_snapshots(address, stop)));
        let (started, before) = (Instant::now(), self.hub.cpu()?);
        searches.start()?;
        writers.start()?;
        let (mut wal, mut looked) = (0.0_f64, started);
        while Instant::now() < stop {
            interrupt::check()?;
            writers.turn(true)?;
            searches.turn(true)?;
            if looked.elapsed() > LOOKS {
                (wal, looked) = (wal.max(self.wal_mb()), Instant::now());
            }
        }
        let (time, cpu) = (started.elapsed(), self.hub.cpu()?.since(before).total);
        let (updates, longest) = (writers.answered, writers.longest());
        let p99 = writers.latency.quantile(0.99);
        let found = searches.answered;
        finish(&mut [&mut writers, &mut searches])?;
        let mut sample = Sample::default()
            .with("updates/s", updates as f64 / time.as_secs_f64())
            .with("p99 ms", p99.as_secs_f64() * 1e3)
            .with("longest ms", longest.as_secs_f64() * 1e3)
            .with("WAL MB", wal)
            .with("CPU %", cpu.as_secs_f64() / time.as_secs_f64() * 100.0)
            .with("searches", found as f64);
        if let Some(snapshot) = snapshot {
            let taken = snapshot.join().map_err(|_| anyhow::anyhow!("a panic"))??;
            sample = sample.with("snapshot s", taken.as_secs_f64());
        }
        Ok(sample)
    }

    fn reads(&self, connections: usize, searches: usize) -> anyhow::Result<Sample> {
        let mut readers = Callers::open(self.hub.address, self.loads(connections, Asks::Gets))?;
        let mut searches = self.searches(searches)?;
        let (started, before) = (Instant::now(), self.hub.cpu()?);
        searches.start()?;
        readers.start()?;
        while started.elapsed() < self.time {
            interrupt::check()?;
            readers.turn(true)?;
            searches.turn(true)?;
        }
        let (time, cpu) = (started.elapsed(), self.hub.cpu()?.since(before).total);
        let reads = readers.answered;
        let longest = readers.longest();
        finish(&mut [&mut readers, &mut searches])?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Sample::default()
            .with("reads/s", reads as f64 / time.as_secs_f64())
            .with("µs/read", cpu.as_secs_f64() * 1e6 / reads.max(1) as f64)
            .with("p50 ms", ms(readers.latency.quantile(0.5)))
            .with("p99 ms", ms(readers.latency.quantile(0.99)))
            .with("longest ms", ms(longest))
            .with("CPU %", cpu.as_secs_f64() / time.as_secs_f64() * 100.0))
    }
}

fn finish(all: &mut [&mut Callers<Asks>]) -> anyhow::Result<()> {
    let last = Instant::now();
    while !all.iter().all(|callers| callers.rest()) {
        ensure!(last.elapsed() < PATIENCE, "not everything was answered within {PATIENCE:?}");
        for callers in &mut *all {
            callers.turn(false)?;
        }
    }
    Ok(())
}

/// Takes one snapshot after the other until `stop`, and answers how long the first took.
fn take_snapshots(hub: SocketAddr, stop: Instant) -> anyhow::Result<Duration> {
    let mut first = None;
    while first.is_none() || Instant::now() < stop {
        let started = Instant::now();
        let mut socket = TcpStream::connect(hub)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(
            b"GET /api/events/stream?snapshot=true HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
        )?;
        let mut bytes = vec![0; 1 << 20];
        let mut tail = Vec::new();
        loop {
            let length = socket.read(&mut bytes)?;
            ensure!(length > 0, "the stream has ended within its snapshot");
            tail.extend_from_slice(&bytes[..length]);
            if memchr::memmem::find(&tail, br#""event":"connected""#).is_some() {
                break;
            }
            tail.drain(..tail.len().saturating_sub(64));
        }
        first.get_or_insert(started.elapsed());
    }
    first.context("no snapshot")
}
