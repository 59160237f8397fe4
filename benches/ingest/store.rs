//! The store alone: the same transactions by way of the service, without HTTP and without a stream. As a process
//! of its own, so that it can be set on the hub's cores and its CPU counted.

use std::io::BufRead;
use std::io::BufReader;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Parser;
use rig::cores::Cores;
use rig::figures::Histogram;
use rig::process::{Cpu, Process};
use serde::{Deserialize, Serialize};
use taskhub::config::{ExecutorConfig, StoreConfig};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::{StatusUpdate, TaskDraft};
use taskhub::service::{Precondition, Service, Signals};
use taskhub::store::{Opened, Store};

use crate::TASKS_EACH;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    callers: usize,
    #[arg(long)]
    seconds: u64,
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

/// Runs it as a process.
pub fn measure(callers: usize, seconds: u64, cores: &Cores) -> anyhow::Result<Done> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["store", "--callers", &callers.to_string(), "--seconds", &seconds.to_string()]);
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
    let (service, _background) = Service::new(store.clone(), &executor, Signals::default());
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
        for _ in 0..TASKS_EACH {
            tasks.push(service.create_task(new()?, None).await?.value.task.id);
        }
        callers.push(tasks);
    }
    let before = Cpu::own()?;
    let started = Instant::now();
    let until = started + Duration::from_secs(options.seconds);
    let callers: Vec<_> =
        callers.into_iter().map(|tasks| tokio::spawn(call(service.clone(), tasks, until))).collect();
    let mut latency = Histogram::default();
    for caller in callers {
        latency.add(&caller.await??);
    }
    let (time, cpu) = (started.elapsed(), Cpu::own()?.since(before));
    let milliseconds = |share| latency.quantile(share).as_secs_f64() * 1e3;
    Ok(Done {
        updates: latency.count(),
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
