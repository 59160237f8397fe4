//! `taskhub shim DIR`: the process that owns one execution, from its script's start to the death of the last
//! process that came of it.
//!
//! Synchronous and single-threaded, with one wait for everything (output, signals, the deadline): it is
//! there once for every execution that runs, for as long as that runs, and must cost next to nothing. It
//! neither knows the store nor speaks to the hub; it leaves `exit.json` behind (`directory.rs`).
//!
//! Order guards the promises: lock, then handlers, then `pid`, then a look for `stop`, then the script; at
//! the end processes, then the log on the disk, then the result, then the lock.

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

/// A full disk must not cost the result: it is tried this often, this far apart. A day: by then somebody has made room.
const RESULT_ATTEMPTS_MAX: u32 = 24 * 3600;
const RESULT_PAUSE: Duration = Duration::from_secs(1);

/// Why nothing was started and no result was left. Said on standard error, which is the file `shim.err`.
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

/// The arguments of [`run`], if this is how the program was called: `taskhub shim [--terminal] DIR`. By hand, since a
/// parser of all commands is most of what a shim would otherwise execute and keep.
pub fn called(arguments: impl Iterator<Item = OsString>) -> Option<(PathBuf, bool)> {
    let mut arguments = arguments.skip(1).peekable();
    arguments.next_if(|word| word == "shim")?;
    let has_terminal = arguments.next_if(|word| word == "--terminal").is_some();
    Some((arguments.next()?.into(), has_terminal)).filter(|_| arguments.next().is_none())
}

/// Runs the execution prepared in `directory`, and shows its output on this process's terminal, too, if told to.
/// Returns when nothing of it is left running.
pub fn run(directory: &Path, has_terminal: bool) -> ExitCode {
    // Named after the descriptor that it was started from otherwise. What `ps` shows is nothing to fail for.
    let _ = rustix::thread::set_name(c"taskhub-shim");
    // From here on by where it stands: the data directory may be moved. A parent that has started it elsewhere is none of ours.
    let directory = match std::env::set_current_dir(directory) {
        Ok(()) => Directory::at(Path::new(".")),
        Err(_) => Directory::at(directory),
    };
    // A person who watches the script must not see what this process says of itself.
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

/// Says something on standard error if that can be. Not `eprintln!`, which panics on a full disk.
fn complain(words: &dyn Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

fn redirect_errors(directory: &Directory) -> io::Result<()> {
    Ok(dup2_stderr(directory.open_errors()?)?)
}

fn execute(directory: &Directory, has_terminal: bool) -> Result<(), ShimError> {
    // Refused when it leads a session already, which is as good.
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

/// From here on, whatever goes wrong is the execution's result.
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
        // On a disk that is still full the log itself cannot say so.
        Err(error) => exit.remarked(&format!("its log is not complete: {error}")),
    }
}

/// Where the log lies, seen from the execution's directory: that holds wherever both are moved.
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
            // Somebody has removed the place in which this stands. What is written elsewhere nobody would find.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(error) if attempt < RESULT_ATTEMPTS_MAX => {
                // Once, or it would fill what is to become free.
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
