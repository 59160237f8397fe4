//! The machine's processes as `/proc` shows them: their parents, their marks, and how to signal
//! exactly one of them.
//!
//! The kernel may give a process id to another process as soon as its process is reaped. So this
//! module identifies a process by id *and* start time. To send a signal it first opens a pidfd, and
//! then compares the start time.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::domain::id::ExecutionId;

use super::contract::{DATA_VARIABLE, DataId, EXECUTION_ID_VARIABLE, SHIM_VARIABLE};

/// Holds a whole `stat` line: 52 numbers of at most 20 digits, and a name.
const STAT_BYTES_MAX: usize = 2048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: Pid,
    parent: i32,
    pub group: i32,
    session: i32,
    /// It has ended, and its parent has not waited for it.
    pub is_zombie: bool,
    /// In clock ticks since the machine started.
    started: u64,
}

/// All descendants of `ancestor`, in no order. It may miss processes that are reaped or get a new
/// parent during the scan: call it again.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn descendants(ancestor: Pid) -> io::Result<Vec<Process>> {
    Ok(descendants_among(all()?, ancestor))
}

fn descendants_among(all: impl Iterator<Item = Process>, ancestor: Pid) -> Vec<Process> {
    let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all {
        by_parent.entry(process.parent).or_default().push(process);
    }
    let mut found = by_parent.remove(&ancestor.as_raw_nonzero().get()).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let children = by_parent.remove(&process.pid.as_raw_nonzero().get());
        found.extend(children.unwrap_or_default());
        next += 1;
    }
    found
}

/// A recent list of all processes, which several watchers share.
#[derive(Debug, Default)]
pub(super) struct RecentProcesses(Mutex<Option<(Instant, Vec<Process>)>>);

impl RecentProcesses {
    /// All descendants of a process, from a list no older than `age_max`.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn descendants(&self, ancestor: Pid, age_max: Duration) -> io::Result<Vec<Process>> {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if look.as_ref().is_none_or(|(at, _)| at.elapsed() >= age_max) {
            *look = Some((Instant::now(), all()?.collect()));
        }
        let seen = look.iter().flat_map(|(_, processes)| processes).copied();
        Ok(descendants_among(seen, ancestor))
    }
}

/// Identifies the processes of one execution in one data directory. A copy of the directory holds
/// the same executions, and a hub on the copy must not touch these processes.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub execution: ExecutionId,
    pub data: DataId,
}

impl Mark {
    /// The variable in a shim's environment.
    pub fn of_shim(&self) -> (&'static str, String) {
        (SHIM_VARIABLE, format!("{}@{}", self.execution, self.data))
    }

    fn is_of_shim(&self, environ: &[u8]) -> bool {
        let (name, value) = self.of_shim();
        variable(environ, name) == Some(value.as_bytes())
    }

    fn is_of_script(&self, environ: &[u8]) -> bool {
        let data = self.data.to_string();
        variable(environ, EXECUTION_ID_VARIABLE) == Some(self.execution.to_string().as_bytes())
            // A hub of the previous version does not set the variable.
            && variable(environ, DATA_VARIABLE).is_none_or(|it| it == data.as_bytes())
    }
}

/// The living shims of this execution: usually one. Also finds a shim whose lock somebody has
/// removed.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn shims(mark: &Mark) -> io::Result<Vec<Process>> {
    with_environment(|environ| mark.is_of_shim(environ))
}

/// All processes that are left of an execution whose shim is gone: those with its id in their
/// environment, and those in the session that the shim led.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn rest(mark: &Mark, shim: Option<Pid>) -> io::Result<Vec<Process>> {
    let mut found = with_environment(|environ| mark.is_of_script(environ))?;
    if let Some(shim) = shim {
        let session = shim.as_raw_nonzero().get();
        // If another process has this id now, a session of that number is not the shim's.
        let is_reused = all()?.any(|process| process.pid == shim && !process.is_zombie);
        found.extend(all()?.filter(|it| it.session == session && !is_reused && !it.is_zombie));
    }
    Ok(found)
}

fn with_environment(is_wanted: impl Fn(&[u8]) -> bool) -> io::Result<Vec<Process>> {
    let is_wanted =
        |process: &Process| fs::read(format!("/proc/{}/environ", process.pid)).is_ok_and(|it| is_wanted(&it));
    let own = std::process::id();
    Ok(all()?
        .filter(|process| process.pid.as_raw_nonzero().get().cast_unsigned() != own)
        .filter(|process| !process.is_zombie && is_wanted(process))
        .collect())
}

/// The children of this process that have ended and that it has not waited for.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn ended_children() -> io::Result<Vec<Pid>> {
    let own = std::process::id().cast_signed();
    Ok(all()?.filter(|process| process.parent == own && process.is_zombie).map(|it| it.pid).collect())
}

/// The processes that became children of this one because their shim was killed. The hub's own
/// children are shims and tmux, and have a mark. A child that is just starting has the hub's
/// command line.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn orphans() -> io::Result<Vec<Process>> {
    let own = std::process::id().cast_signed();
    let command = |pid: &dyn Display| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let this = command(&own);
    let is_own = |process: &Process| {
        let environ = fs::read(format!("/proc/{}/environ", process.pid));
        environ.is_ok_and(|environ| variable(&environ, SHIM_VARIABLE).is_some())
            || command(&process.pid) == this
    };
    Ok(all()?.filter(|it| it.parent == own && !it.is_zombie && !is_own(it)).collect())
}

/// The value of a variable in the bytes of `/proc/PID/environ`.
fn variable<'e>(environ: &'e [u8], name: &str) -> Option<&'e [u8]> {
    let mut pairs = environ.split(|byte| *byte == 0);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

impl Process {
    /// Sends a signal, unless the process has ended. Does not report a missing permission: a caller
    /// that needs to know checks again.
    pub fn signal(&self, signal: Signal) {
        let Ok(handle) = pidfd_open(self.pid, PidfdFlags::empty()) else {
            // Before Linux 5.3, or in a sandbox that lacks it.
            if self.is_current() {
                let _ = kill_process(self.pid, signal);
            }
            return;
        };
        if self.is_current() {
            let _ = pidfd_send_signal(handle, signal);
        }
    }

    /// Whether the process still exists and has not ended.
    pub fn is_running(&self) -> bool {
        read(self.pid).is_some_and(|now| now.started == self.started && !now.is_zombie)
    }

    fn is_current(&self) -> bool {
        read(self.pid).is_some_and(|now| now.started == self.started)
    }
}

fn all() -> io::Result<impl Iterator<Item = Process>> {
    Ok(fs::read_dir("/proc")?
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter_map(read))
}

fn read(pid: Pid) -> Option<Process> {
    // One read takes the whole line, even when the name holds line breaks: an odd name hides no
    // process.
    let mut buffer = [0; STAT_BYTES_MAX];
    let count = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
    parse(pid, &String::from_utf8_lossy(&buffer[..count]))
}

/// Parses `stat`, see proc_pid_stat(5). The name in parentheses may contain anything, also
/// parentheses.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::getpid;

    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let stat = "7 (a) Z 1 1 (b) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0";
        let process = parse(Pid::INIT, stat).expect("parses");
        assert_eq!((process.parent, process.group), (3, 4));
        assert_eq!((process.started, process.is_zombie), (987, false));
        assert_eq!(parse(Pid::INIT, "7 (a"), None);
    }

    #[test]
    fn descendants_are_found_by_blood_and_by_mark_and_signalled() {
        let data = tempfile::tempdir().expect("a directory");
        let copy = tempfile::tempdir().expect("another");
        let execution = ExecutionId::generate();
        let of = |directory: &tempfile::TempDir| Mark {
            execution,
            data: DataId::of(directory.path()).expect("there"),
        };
        let (mark, other) = (of(&data), of(&copy));
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & wait"])
            .env(EXECUTION_ID_VARIABLE, execution.to_string())
            .env(DATA_VARIABLE, mark.data.to_string())
            .spawn()
            .expect("started");
        let sleeping = || {
            assert!(rest(&other, None).expect("/proc").is_empty(), "a hub on a copy leaves them alone");
            let found = rest(&mark, None).expect("/proc");
            (found.len() == 2).then_some(found)
        };
        let found = std::iter::repeat_with(sleeping).take(1_000_000).flatten().next().expect("both");
        let below = descendants(getpid()).expect("/proc");
        assert!(found.iter().all(|process| below.contains(process)));

        let stranger = Process { started: 0, ..found[0] };
        stranger.signal(Signal::KILL);
        assert_eq!(child.try_wait().expect("waited"), None);
        for process in found {
            process.signal(Signal::KILL);
        }
        assert!(!child.wait().expect("waited").success());
    }
}
