//! From the script's start to the death of the last process that came of it.
//!
//! The script's main process decides how the execution ends. Once it has exited, or has to (stop, timeout),
//! everything that descends from it is ended: TERM, a grace, KILL. Its group is signalled as a whole, what
//! has left the group one by one; a process whose parent dies becomes a child of this one (subreaper), so
//! nothing gets out of sight. The main process stays a zombie until the others are gone: that keeps its
//! number, which is the group's, from being given to strangers.
//!
//! It is over when the kernel says that this process has no child left, not when the pipe is at its end: a
//! background process may hold the pipe for ever, and a script may close its side at once.

use std::io::{ErrorKind, PipeReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group, wait, waitid, waitpid,
};

use crate::domain::clock::Timestamp;

use super::super::contract::{Exit, ExitEnd, Spec};
use super::super::directory::Directory;
use super::super::processes::{self, Process};
use super::complain;
use super::output::CappedLog;
use super::script::Script;
use super::signals::{Signals, named};
use super::terminal::Terminal;

const CHUNK_BYTES: usize = 64 << 10;
/// Between two looks at what is left to end: short at first, for most of it ends at once.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(5);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(200);
/// What survives KILL for so long (a dead network disk, another user's process) is left behind.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// Most time for the rest of the pipe, in case a process from elsewhere was handed it and writes on.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks whether the log is still where readers look for it.
const LOG_PAUSE: Duration = Duration::from_secs(2);

/// Runs until nothing of the script is left, and says how it ended.
pub(super) fn watch(
    script: Script,
    directory: &Directory,
    spec: &Spec,
    signals: &Signals,
    (log, log_path): (&mut CappedLog, &Path),
    terminal: Option<Terminal>,
) -> Exit {
    if let Some(terminal) = &terminal
        && let Err(error) = terminal.hand_over(script.main)
    {
        complain(&format_args!("what is typed does not reach the script: {error}"));
    }
    let started = Instant::now();
    let deadline = started + Duration::from_secs(spec.timeout_seconds.into());
    let mut watch = Watch {
        main: Main { pid: script.main, status: None, is_reaped: false },
        output: Some(script.output),
        chunk: vec![0; CHUNK_BYTES],
        signals,
        log,
        log_path,
        log_looked_at: started,
        log_cannot_be_put_back: false,
        terminal,
    };
    let cause = watch.until_something_happens(deadline);
    let is_clean = watch.end_all(Duration::from_millis(spec.grace_ms));
    watch.drain();
    if let Some(terminal) = watch.terminal.take() {
        terminal.finish();
    }

    let status = watch.main.status.unwrap_or_default();
    let (end, reason) = match cause {
        Cause::Exit => status.verdict(),
        Cause::Timeout => {
            let reason = format!("did not end within {} s", spec.timeout_seconds);
            (ExitEnd::TimedOut, Some(reason))
        }
        Cause::Stop(_) if directory.stop_requested() => {
            (ExitEnd::Stopped, Some("stopped on request".to_owned()))
        }
        Cause::Stop(signal) => {
            let reason = format!("its session was ended by signal {}", named(signal));
            (ExitEnd::Stopped, Some(reason))
        }
    };
    let exit = Exit {
        end,
        exit_code: status.exit_code,
        signal: status.signal,
        reason,
        ended_at_ms: Timestamp::now().ms(),
        duration_ms: i64::try_from(started.elapsed().as_millis()).ok(),
        log_bytes_left_out: None,
    };
    match is_clean {
        true => exit,
        false => exit.remarked("some of its processes could not be killed"),
    }
}

/// Why it is time to end.
enum Cause {
    Exit,
    Timeout,
    Stop(i32),
}

struct Watch<'a> {
    main: Main,
    /// Until its end.
    output: Option<PipeReader>,
    chunk: Vec<u8>,
    signals: &'a Signals,
    log: &'a mut CappedLog,
    log_path: &'a Path,
    log_looked_at: Instant,
    log_cannot_be_put_back: bool,
    /// Where somebody may look on.
    terminal: Option<Terminal>,
}

impl Watch<'_> {
    fn until_something_happens(&mut self, deadline: Instant) -> Cause {
        loop {
            if self.main.has_exited() {
                return Cause::Exit;
            }
            if let Some(signal) = self.signals.stop() {
                return Cause::Stop(signal);
            }
            loop {
                let Some(left) = remaining(deadline) else {
                    return Cause::Timeout;
                };
                // Output alone changes nothing; all else comes with a signal.
                if self.pump(left) {
                    break;
                }
            }
        }
    }

    /// Ends whatever is left; `false` when some of it would not.
    fn end_all(&mut self, grace: Duration) -> bool {
        let kill_at = Instant::now() + grace;
        let give_up_at = kill_at + KILL_PATIENCE;
        let mut pause = LOOK_PAUSE_MIN;
        // Asked twice: what the main process started while it tidied up is asked once that has exited.
        let (mut all_asked, mut rest_asked) = (false, false);
        loop {
            let has_exited = self.main.has_exited();
            let left = self.main.family();
            if has_exited && left.is_empty() && self.main.is_childless() {
                return true;
            }
            let now = Instant::now();
            if now >= give_up_at {
                return false;
            }
            if now >= kill_at {
                self.main.signal(&left, Signal::KILL);
            } else if !all_asked || (has_exited && !rest_asked) {
                (all_asked, rest_asked) = (true, has_exited);
                self.main.signal(&left, Signal::TERM);
                // A stopped process hears TERM only when it goes on.
                self.main.signal(&left, Signal::CONT);
            }
            let next = (now + pause).min(if now < kill_at { kill_at } else { give_up_at });
            while let Some(left) = remaining(next)
                && !self.pump(left)
            {}
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    /// What the dead have left in the pipe.
    fn drain(&mut self) {
        let until = Instant::now() + DRAIN_PATIENCE;
        while remaining(until).is_some() && self.read() {}
    }

    /// Waits for output or a signal, takes it, and says whether it was a signal.
    fn pump(&mut self, wait: Duration) -> bool {
        self.look_after_log();
        let wait = wait.min(LOG_PAUSE);
        let timeout = Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        if let Some(output) = &self.output {
            fds.push(PollFd::new(output, PollFlags::IN));
        }
        let output_fds = fds.len();
        if let Some(fd) = self.terminal.as_ref().and_then(Terminal::waits_for) {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
        }
        // Interrupted by a signal: that has left its mark to be polled next time.
        if poll(&mut fds, Some(&timeout)).is_err() {
            return false;
        }
        let is_ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| !fd.revents().is_empty());
        let signalled = is_ready(fds.first());
        let written = is_ready(fds[1..output_fds].first());
        let has_room = is_ready(fds.get(output_fds));
        if has_room && let Some(terminal) = &mut self.terminal {
            terminal.flush();
        }
        if written {
            self.read();
        }
        if signalled {
            self.signals.clear();
        }
        signalled
    }

    /// Puts the log back when it is gone. If that fails it is tried once more at the end, and is a part of the result then.
    fn look_after_log(&mut self) {
        if self.log_cannot_be_put_back || self.log_looked_at.elapsed() < LOG_PAUSE {
            return;
        }
        if let Err(error) = self.log.put_back(self.log_path) {
            complain(&format_args!("cannot put the log back yet: {error}"));
            self.log_cannot_be_put_back = true;
        }
        self.log_looked_at = Instant::now();
    }

    /// One read; `false` when there was nothing to be had.
    fn read(&mut self) -> bool {
        let Some(output) = &mut self.output else {
            return false;
        };
        match output.read(&mut self.chunk) {
            Ok(0) => {
                self.output = None;
                false
            }
            Ok(count) => {
                self.log.write(&self.chunk[..count]);
                if let Some(terminal) = &mut self.terminal {
                    terminal.show(&self.chunk[..count]);
                }
                true
            }
            Err(error) => error.kind() == ErrorKind::Interrupted,
        }
    }
}

/// The script's main process, leader of its group.
struct Main {
    pid: Pid,
    status: Option<Status>,
    /// Its number may belong to a stranger from now on.
    is_reaped: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Status {
    exit_code: Option<i32>,
    signal: Option<i32>,
}

impl Status {
    fn verdict(self) -> (ExitEnd, Option<String>) {
        match (self.exit_code, self.signal) {
            (Some(0), _) => (ExitEnd::Completed, None),
            (Some(code), _) => (ExitEnd::Failed, Some(format!("exit code {code}"))),
            (None, Some(signal)) => {
                let reason = format!("killed by signal {}", named(signal));
                (ExitEnd::Failed, Some(reason))
            }
            (None, None) => (ExitEnd::Failed, Some("ended in an unknown way".into())),
        }
    }
}

impl Main {
    /// Whether it has exited. Takes notice of adopted processes that have ended meanwhile.
    fn has_exited(&mut self) -> bool {
        while self.status.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if let Ok(Some(status)) = waitid(WaitId::Pid(self.pid), look) {
                self.status =
                    Some(Status { exit_code: status.exit_status(), signal: status.terminating_signal() });
            } else {
                // The main process may exit between the two calls; then it is this one that sees it.
                match wait(WaitOptions::NOHANG) {
                    Ok(Some((pid, status))) if pid == self.pid => {
                        self.is_reaped = true;
                        self.status = Some(Status {
                            exit_code: status.exit_status(),
                            signal: status.terminating_signal(),
                        });
                    }
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) | Err(_) => return false,
                }
            }
        }
        true
    }

    /// All that descends from this process and runs. The adopted dead are taken notice of.
    fn family(&self) -> Vec<Process> {
        let (dead, living): (Vec<_>, Vec<_>) = processes::descendants(getpid())
            .unwrap_or_default()
            .into_iter()
            .partition(|process| process.is_zombie);
        for process in dead.iter().filter(|process| process.pid != self.pid) {
            // Not ours to wait for, or gone: either way somebody has taken notice.
            let _ = waitpid(Some(process.pid), WaitOptions::NOHANG);
        }
        living
    }

    /// The kernel's word that nothing is left. Gives the group's number away, so only when it seems so.
    fn is_childless(&mut self) -> bool {
        self.is_reaped = true;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Sends a signal to the whole group, and to those of `others` that have left it.
    fn signal(&self, others: &[Process], signal: Signal) {
        let group = self.pid.as_raw_nonzero().get();
        if !self.is_reaped {
            // Fails when everybody in it is gone, which is what is wanted.
            let _ = kill_process_group(self.pid, signal);
        }
        for process in others {
            if self.is_reaped || process.group != group {
                process.signal(signal);
            }
        }
    }
}

/// The time until then; `None` once it is past.
fn remaining(then: Instant) -> Option<Duration> {
    then.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
