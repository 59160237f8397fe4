//! A process that is measured, and what the kernel says of it.

use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::cores::Cores;
use crate::interrupt;

/// How long an end may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at the memory: short enough to see a page of a replay come and go.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// A running process. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    pub child: Child,
}

impl Process {
    pub fn start(command: &mut Command, cores: &Cores) -> anyhow::Result<Self> {
        Ok(Self { child: cores.spawn(command)? })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end.
    pub fn terminate(&self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("it cannot be signalled")
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            interrupt::check()?;
            if let Some(status) = self.ended()? {
                ensure!(status.success(), "it has ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it has not ended within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of(self.pid())
    }

    /// Pages in memory that belong to it alone.
    pub fn private_bytes(&self) -> anyhow::Result<u64> {
        memory_bytes(self.pid(), "RssAnon:")
    }

    /// All its pages in memory, those of its program and mapped files included.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        memory_bytes(self.pid(), "VmRSS:")
    }

    pub fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memory_bytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("memory is no number")?;
    Ok(kilobytes << 10)
}

/// CPU time that a process has used, threads that have ended included.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// By the process's own clock, in nanoseconds.
    pub total: Duration,
    /// As the kernel splits it, in hundredths of a second: only the proportion is of use.
    user_ticks: u64,
    system_ticks: u64,
}

impl Cpu {
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(pid as i32))
            .and_then(clock_gettime)
            .context("no clock of that process")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name before the parenthesis may hold anything. See proc_pid_stat(5): utime and stime are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse);
        let (user_ticks, system_ticks) =
            (ticks.next().context("no utime")??, ticks.next().context("no stime")??);
        Ok(Self { total: clock.into(), user_ticks, system_ticks })
    }

    /// Of this process.
    pub fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }

    /// The part spent outside the kernel. It needs some tenths of a second to mean anything.
    pub fn user(self) -> Duration {
        let ticks = self.user_ticks + self.system_ticks;
        self.total.mul_f64(self.user_ticks as f64 / ticks.max(1) as f64)
    }
}

/// Watches a process's memory for its peak, on a thread of its own.
#[derive(Debug)]
pub struct MemoryWatch {
    stopped: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    pub fn start(process: &Process) -> Self {
        let (pid, stopped, peak) = (process.pid(), Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (seen, asked) = (peak.clone(), stopped.clone());
        let thread = std::thread::spawn(move || {
            while !asked.load(Relaxed) {
                // A process that has gone has no memory.
                seen.fetch_max(memory_bytes(pid, "RssAnon:").unwrap_or(0), Relaxed);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { stopped, peak, thread: Some(thread) }
    }

    pub fn peak_bytes(&self) -> u64 {
        self.peak.load(Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes sure that bench and server may each have `streams` connections open. The server inherits the limit.
///
/// # Errors
/// When the machine does not allow it.
pub fn need_descriptors(streams: usize) -> anyhow::Result<()> {
    /// Writers, the database, the log, and some to spare.
    const BESIDES: u64 = 500;
    let needed = streams as u64 + BESIDES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{streams} streams take {needed} open files on each side, and {} are allowed here; raise that (ulimit -Hn), \
         or ask for fewer --clients",
        limit.maximum.unwrap_or(0),
    );
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the number of open files cannot be raised")
}
