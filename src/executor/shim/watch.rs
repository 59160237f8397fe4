//! Watches a script from its start to the end of its last descendant.
//!
//! The script's main process decides how the execution ends. When it has exited, or has to (stop,
//! timeout), the shim ends all its descendants: TERM, a grace, KILL. It signals the process group
//! as a whole, and processes that have left the group one by one. A process whose parent ends
//! becomes a child of the shim (subreaper), so the shim never loses sight of it. The main process
//! stays a zombie until the others are gone: otherwise the kernel could give its id, which is also
//! the group's, to another process.
//!
//! The execution is over when the kernel says that the shim has no child left. The end of the pipe
//! does not say it: a background process may hold the pipe for ever, and a script may close its
//! side at once.

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
/// The pause between two checks of what is left to end. It starts short, because most processes end
/// at once.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(5);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(200);
/// How long to wait for processes that survive KILL (a dead network disk, another user's process).
/// The shim then leaves them.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long to read the rest of the pipe: a process outside the execution may hold it and continue
/// to write.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// The pause between two checks that the log is still at its path.
const LOG_PAUSE: Duration = Duration::from_secs(2);

/// Returns when no process of the script is left, with how the script ended.
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

/// Why the execution has to end.
enum Cause {
    Exit,
    Timeout,
    Stop(i32),
}

struct Watch<'a> {
    main: Main,
    /// `None` after the end of the pipe.
    output: Option<PipeReader>,
    chunk: Vec<u8>,
    signals: &'a Signals,
    log: &'a mut CappedLog,
    log_path: &'a Path,
    log_looked_at: Instant,
    log_cannot_be_put_back: bool,
    /// The terminal at which a person may watch.
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
                // Output changes nothing here. Every other change comes with a signal.
                if self.pump(left) {
                    break;
                }
            }
        }
    }

    /// Ends all processes that are left; `false` when some did not end.
    fn end_all(&mut self, grace: Duration) -> bool {
        let kill_at = Instant::now() + grace;
        let give_up_at = kill_at + KILL_PATIENCE;
        let mut pause = LOOK_PAUSE_MIN;
        // TERM goes out twice. The second one is for processes that the main process started while
        // it cleaned up; it follows when the main process has exited.
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
                // A suspended process handles TERM only after CONT.
                self.main.signal(&left, Signal::CONT);
            }
            let next = (now + pause).min(if now < kill_at { kill_at } else { give_up_at });
            while let Some(left) = remaining(next)
                && !self.pump(left)
            {}
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    /// Reads what the ended processes left in the pipe.
    fn drain(&mut self) {
        let until = Instant::now() + DRAIN_PATIENCE;
        while remaining(until).is_some() && self.read() {}
    }

    /// Waits for output or a signal and handles it. Returns whether it was a signal.
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
        // A signal interrupted the call. Its wake-up stays readable for the next poll.
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

    /// Puts the log back when it is gone. If that fails, the end tries once more, and reports a
    /// failure in the result.
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

    /// Reads once; `false` when there was nothing to read.
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
    /// Whether it is reaped: another process may have its id from then on.
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
    /// Whether it has exited. Also reaps adopted processes that have ended meanwhile.
    fn has_exited(&mut self) -> bool {
        while self.status.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if let Ok(Some(status)) = waitid(WaitId::Pid(self.pid), look) {
                self.status =
                    Some(Status { exit_code: status.exit_status(), signal: status.terminating_signal() });
            } else {
                // The main process may exit between the two calls; then this one reaps it.
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

    /// All running descendants of this process. Also reaps the adopted ones that have ended.
    fn family(&self) -> Vec<Process> {
        let (dead, living): (Vec<_>, Vec<_>) = processes::descendants(getpid())
            .unwrap_or_default()
            .into_iter()
            .partition(|process| process.is_zombie);
        for process in dead.iter().filter(|process| process.pid != self.pid) {
            // Fails when it is another process's child, or already reaped: both are fine.
            let _ = waitpid(Some(process.pid), WaitOptions::NOHANG);
        }
        living
    }

    /// Asks the kernel whether no child is left. This frees the group's id, so call it only when
    /// nothing seems to be left.
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
            // Fails when the group is empty, which is fine.
            let _ = kill_process_group(self.pid, signal);
        }
        for process in others {
            if self.is_reaped || process.group != group {
                process.signal(signal);
            }
        }
    }
}

/// The time until `then`; `None` once it has passed.
fn remaining(then: Instant) -> Option<Duration> {
    then.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
