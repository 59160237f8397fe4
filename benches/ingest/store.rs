//! The store alone: the same transactions by way of the service, without HTTP and without a stream. As a process
//! of its own, so that it can be set on the hub's cores and its CPU counted.
//!
//! The operations of a batch are there already, so nothing reads or writes JSON for a caller.

use std::io::BufRead;
use std::io::BufReader;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Parser;
use rig::cores::Cores;
use rig::figures::Histogram;
use rig::process::{Cpu, Process};
use rig::report::Sample;
use serde::{Deserialize, Serialize};
use taskhub::config::{ExecutorConfig, StoreConfig};
use taskhub::domain::batch::{BatchOperation, TaskOperation};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::{StatusUpdate, TaskDraft};
use taskhub::index::TaskIndex;
use taskhub::service::{Precondition, Service, Signals};
use taskhub::store::{Opened, Store};

use crate::TASKS_EACH;
use crate::batches;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    callers: usize,
    #[arg(long)]
    seconds: u64,
    /// Changes in each batch; without it they are made one by one.
    #[arg(long)]
    batch: Option<usize>,
}

/// What it has done, in words for its parent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    pub updates: u64,
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub user_seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Done {
    pub fn sample(&self) -> Sample {
        let each = |seconds: f64| seconds * 1e6 / self.updates as f64;
        Sample::default()
            .with("updates/s", self.updates as f64 / self.seconds)
            .with("µs/update", each(self.cpu_seconds))
            .with("user µs", each(self.user_seconds))
            .with("p50 ms", self.p50_ms)
            .with("p99 ms", self.p99_ms)
            .with("CPU %", self.cpu_seconds / self.seconds * 100.0)
    }
}

/// Runs it as a process.
pub fn measure(callers: usize, batch: Option<usize>, seconds: u64, cores: &Cores) -> anyhow::Result<Done> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["store", "--callers", &callers.to_string(), "--seconds", &seconds.to_string()]);
    if let Some(batch) = batch {
        command.args(["--batch", &batch.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Process::start(&mut command, cores)?;
    let mut line = String::new();
    BufReader::new(process.child.stdout.take().context("piped")?).read_line(&mut line)?;
    serde_json::from_str(&line).context("the store has failed")
}

/// Is that process.
pub fn run(options: &Options) -> anyhow::Result<()> {
    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        store: StoreConfig,
        #[command(flatten)]
        executor: ExecutorConfig,
    }
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let Arguments { store: config, executor } = Arguments::parse_from(["taskhub"]);
    let directory = tempfile::tempdir()?;
    let Opened { store, writer, .. } = Store::open(directory.path(), &config)?;
    let writer = writer.start(|_, _| {})?;
    // As the hub's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (service, _background) =
        Service::new(store.clone(), TaskIndex::new(0), &executor, Signals::default());
    let done = runtime.block_on(async {
        let done = work(&service, options).await;
        store.close().await;
        done
    });
    writer.join().map_err(|_| anyhow!("the store's writer has panicked"))?;
    println!("{}", serde_json::to_string(&done?)?);
    Ok(())
}

async fn work(service: &Service, options: &Options) -> anyhow::Result<Done> {
    let new =
        || serde_json::from_value::<TaskDraft>(serde_json::json!({"title": crate::TITLE, "tags": ["bench"]}));
    let mut callers = Vec::new();
    for _ in 0..options.callers {
        let mut tasks = Vec::new();
        for _ in 0..options.batch.unwrap_or(TASKS_EACH) {
            tasks.push(service.create_task(new()?, None).await?.value.task.id);
        }
        callers.push(tasks);
    }
    let before = Cpu::own()?;
    let started = Instant::now();
    let until = started + Duration::from_secs(options.seconds);
    let callers: Vec<_> = callers
        .into_iter()
        .map(|tasks| match options.batch {
            Some(_) => tokio::spawn(call_batches(service.clone(), tasks, until)),
            None => tokio::spawn(call(service.clone(), tasks, until)),
        })
        .collect();
    let mut latency = Histogram::default();
    for caller in callers {
        latency.add(&caller.await??);
    }
    let (time, cpu) = (started.elapsed(), Cpu::own()?.since(before));
    let milliseconds = |share| latency.quantile(share).as_secs_f64() * 1e3;
    Ok(Done {
        updates: latency.count() * options.batch.unwrap_or(1) as u64,
        seconds: time.as_secs_f64(),
        cpu_seconds: cpu.total.as_secs_f64(),
        user_seconds: cpu.user().as_secs_f64(),
        p50_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
    })
}

async fn call(service: Service, tasks: Vec<TaskId>, until: Instant) -> anyhow::Result<Histogram> {
    let mut latency = Histogram::default();
    let mut updates = 0;
    while Instant::now() < until {
        let status = ["inprogress", "todo"][updates / tasks.len() % 2];
        let report: StatusUpdate = serde_json::from_value(serde_json::json!({"new_status": status}))?;
        let asked = Instant::now();
        service
            .update_task_status(tasks[updates % tasks.len()], report, Precondition::default(), None)
            .await?;
        latency.note(asked.elapsed().as_nanos() as u64);
        updates += 1;
    }
    Ok(latency)
}

async fn call_batches(service: Service, tasks: Vec<TaskId>, until: Instant) -> anyhow::Result<Histogram> {
    let ids: Vec<_> = tasks.iter().map(ToString::to_string).collect();
    let batches: Vec<Vec<TaskOperation>> = batches::both(&ids)
        .into_iter()
        .map(|operations| {
            let checked = |it| Ok(serde_json::from_value::<BatchOperation>(it)?.checked()?);
            operations.into_iter().map(checked).collect::<anyhow::Result<_>>()
        })
        .collect::<anyhow::Result<_>>()?;
    let mut latency = Histogram::default();
    for operations in batches.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        let asked = Instant::now();
        for result in service.each_of(operations.clone(), true).await?.value {
            result?;
        }
        latency.note(asked.elapsed().as_nanos() as u64);
    }
    Ok(latency)
}
