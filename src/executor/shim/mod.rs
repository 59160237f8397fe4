//! `taskhub shim DIR`: the process that owns one execution, from the start of its script to the end
//! of the script's last descendant.
//!
//! It is synchronous and single-threaded, and waits in one place for output, signals and the
//! deadline. There is one shim for each running execution, as long as it runs, so it must be small.
//! A shim does not use the store and does not talk to the hub. It leaves its result in `exit.json`
//! (`directory/mod.rs`).
//!
//! The order of the steps guards the invariants. At the start: lock, signal handlers, `pid`, a
//! check for `stop`, the script. At the end: all processes ended, the log synced, the result
//! written, the lock released.

mod memory;
mod output;
mod script;
mod signals;
mod terminal;
mod watch;

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper, setsid};
use rustix::stdio::dup2_stderr;
use thiserror::Error;

use crate::domain::clock::Timestamp;
use crate::{open_files, process};

use super::contract::{Exit, ExitEnd, Spec};
use super::directory::Directory;

use output::CappedLog;
use script::Script;
pub(super) use script::{inherited as inherited_environment, is_shortage};
use signals::Signals;
use terminal::Terminal;

/// Attempts to write the result while the disk is full, and the pause between them. Together they
/// last a day, in which somebody can make room.
const RESULT_ATTEMPTS_MAX: u32 = 24 * 3600;
const RESULT_PAUSE: Duration = Duration::from_secs(1);

/// Why the shim left no result. It prints this on standard error, which is the file `shim.err`.
#[derive(Debug, Error)]
enum ShimError {
    #[error("another process holds the lock")]
    Locked,
    #[error("cannot take the lock: {0}")]
    Lock(#[source] io::Error),
    #[error("cannot watch over processes: {0}")]
    Watch(#[source] io::Error),
    #[error("cannot leave the process id: {0}")]
    Pid(#[source] io::Error),
    #[error("cannot read the specification: {0}")]
    Spec(#[source] io::Error),
    #[error("cannot leave the result: {0}")]
    Result(#[source] io::Error),
}

/// The arguments of [`run`], if the program was called as `taskhub shim [--terminal] DIR`. Parsed
/// by hand: the parser of all commands would be most of the code and memory of a shim.
pub fn called(arguments: impl Iterator<Item = OsString>) -> Option<(PathBuf, bool)> {
    let mut arguments = arguments.skip(1).peekable();
    arguments.next_if(|word| word == "shim")?;
    let has_terminal = arguments.next_if(|word| word == "--terminal").is_some();
    Some((arguments.next()?.into(), has_terminal)).filter(|_| arguments.next().is_none())
}

/// Runs the execution prepared in `directory`. With `has_terminal` it also shows the output on this
/// process's terminal. Returns when no process of the execution is left.
pub fn run(directory: &Path, has_terminal: bool) -> ExitCode {
    // Otherwise `ps` shows the number of the file descriptor that the program was started from. A
    // failure here does no harm.
    let _ = rustix::thread::set_name(c"taskhub-shim");
    // Use `.` from here on, because somebody may move the data directory. If the change of
    // directory fails, a caller other than the hub has started this process.
    let directory = match std::env::set_current_dir(directory) {
        Ok(()) => Directory::at(Path::new(".")),
        Err(_) => Directory::at(directory),
    };
    // A person at the terminal must not see the shim's own messages.
    if has_terminal && let Err(error) = redirect_errors(&directory) {
        complain(&format_args!("cannot leave complaints: {error}"));
    }
    match execute(&directory, has_terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints a message on standard error, if possible. Not `eprintln!`, which panics on a full disk.
fn complain(words: &dyn Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

fn redirect_errors(directory: &Directory) -> io::Result<()> {
    Ok(dup2_stderr(directory.open_errors()?)?)
}

fn execute(directory: &Directory, has_terminal: bool) -> Result<(), ShimError> {
    // Fails when this process already leads a session, which is fine.
    let _ = setsid();
    let _lock: File = directory.lock().map_err(ShimError::Lock)?.ok_or(ShimError::Locked)?;
    set_child_subreaper(Some(getpid())).map_err(|error| ShimError::Watch(error.into()))?;
    let signals = Signals::install().map_err(ShimError::Watch)?;
    process::survive_size_limits().map_err(ShimError::Watch)?;
    directory.write_pid().map_err(ShimError::Pid)?;
    let spec = directory.take_spec().map_err(ShimError::Spec)?;

    if spec.open_files_max.is_some()
        && let Err(error) = open_files::set(spec.open_files_max)
    {
        complain(&format_args!("the script may open as many files as the hub: {error}"));
    }
    let terminal = match has_terminal.then(Terminal::open).transpose() {
        Ok(terminal) => terminal,
        Err(error) => {
            complain(&format_args!("the output is not shown on the terminal: {error}"));
            None
        }
    };
    let exit = watched(directory, &spec, &signals, terminal);
    record(directory, &exit).map_err(ShimError::Result)
}

/// Runs the script. Any failure from here on becomes the execution's result.
fn watched(directory: &Directory, spec: &Spec, signals: &Signals, terminal: Option<Terminal>) -> Exit {
    if directory.stop_requested() {
        return ended(ExitEnd::Stopped, "stopped before it started");
    }
    let path = log_path(directory, spec);
    let mut log = match CappedLog::open(&path, spec.log_bytes_max) {
        Ok(log) => log,
        Err(error) => {
            let reason = format!("could not start: cannot open its log: {error}");
            return ended(ExitEnd::Failed, &reason);
        }
    };
    let exit = match Script::start(directory, spec) {
        Ok(script) => watch::watch(script, directory, spec, signals, (&mut log, &path), terminal),
        Err(error) => ended(ExitEnd::Failed, &format!("could not start: {error}")),
    };
    let (left_out, finished) = log.finish(&path);
    let exit = Exit { log_bytes_left_out: left_out.and_then(|bytes| i64::try_from(bytes).ok()), ..exit };
    match finished {
        Ok(()) => exit,
        // The log itself cannot say so while the disk is full.
        Err(error) => exit.remarked(&format!("its log is not complete: {error}")),
    }
}

/// The log's path relative to the execution's directory: it stays valid when both are moved
/// together.
fn log_path(directory: &Directory, spec: &Spec) -> PathBuf {
    let beside = spec.log.file_name().map(|name| directory.path().join("../../logs").join(name));
    beside.filter(|path| path.symlink_metadata().is_ok()).unwrap_or_else(|| spec.log.clone())
}

fn ended(end: ExitEnd, reason: &str) -> Exit {
    Exit {
        end,
        exit_code: None,
        signal: None,
        reason: Some(reason.to_owned()),
        ended_at_ms: Timestamp::now().ms(),
        duration_ms: None,
        log_bytes_left_out: None,
    }
}

fn record(directory: &Directory, exit: &Exit) -> io::Result<()> {
    let mut attempt = 1;
    loop {
        match directory.write_exit(exit) {
            // Somebody has removed the directory. Nobody would find a result written elsewhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(error) if attempt < RESULT_ATTEMPTS_MAX => {
                // Only once: more messages would fill the space that has to become free.
                if attempt == 1 {
                    complain(&format_args!("cannot leave the result yet: {error}"));
                }
                attempt += 1;
                thread::sleep(RESULT_PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hubs_own_call_makes_a_shim() {
        let call = |words: &[&str]| called(words.iter().map(OsString::from));
        assert_eq!(call(&["taskhub", "shim", "/d"]), Some(("/d".into(), false)));
        assert_eq!(call(&["/d", "shim", "--terminal", "/d/7"]), Some(("/d/7".into(), true)));
        for words in
            [&["taskhub"][..], &["taskhub", "shim"], &["taskhub", "serve", "shim", "/d"], &["shim", "/d"]]
        {
            assert_eq!(call(words), None, "{words:?}");
        }
        assert_eq!(call(&["taskhub", "shim", "/d", "/e"]), None);
    }
}
