//! Starts the script: its environment, its working directory, its interpreter.
//!
//! The environment starts empty. It gets the variables of the list below, those of the request, and
//! those that name the execution. No secret of the hub's environment is on the list. The working
//! directory is always within `work` or within the operator's roots, even when links lie there.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, PipeReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, getuid};
use thiserror::Error;

use crate::exec_root;

use super::super::contract::{DATA_VARIABLE, EXECUTION_ID_VARIABLE, Spec};
use super::super::directory::{Directory, make_private};
use super::super::plain_file;
use super::memory;

/// The variables that a script inherits from the hub, besides `LC_…`.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SHELL", "TERM"];
/// The `PATH` when the hub was started without one, so that a script finds `ls`.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The kernel cuts a longer first line, too (`BINPRM_BUF_SIZE`). No interpreter has such a long
/// name.
const INTERPRETER_BYTES_MAX: u64 = 4096;
/// A process that the hub forked while it wrote the script may still hold the file open for a
/// moment.
const BUSY_ATTEMPTS_MAX: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Ten minutes of attempts while the machine lacks a process or memory.
const SHORTAGE_ATTEMPTS_MAX: u32 = 1200;
const SHORTAGE_PAUSE: Duration = Duration::from_millis(500);

/// Why the script did not start. The caller that asked for it sees this.
#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error("the working directory leaves the execution's own")]
    OutsideWork,
    #[error("the working directory is not, or no longer, one in which scripts may work")]
    OutsideRoots,
    #[error("cannot use the working directory: {0}")]
    WorkingDirectory(#[source] io::Error),
    #[error("the interpreter named in the script's first line does not exist")]
    NoInterpreter,
    #[error("cannot limit its memory: {0}")]
    Memory(#[source] io::Error),
    #[error("{0}")]
    Spawn(#[source] io::Error),
}

/// A started script. Its main process leads its own process group.
pub(super) struct Script {
    pub main: Pid,
    /// Standard output and standard error, in the order they were written; never blocks.
    pub output: PipeReader,
}

impl Script {
    pub fn start(directory: &Directory, spec: &Spec) -> Result<Self, StartError> {
        let cwd = match spec.cwd.as_deref() {
            Some(outer) if Path::new(outer).is_absolute() => {
                exec_root::resolve(Path::new(outer), &spec.roots).ok_or(StartError::OutsideRoots)?
            }
            inner => working_directory(&directory.work(), inner)?,
        };
        // The current absolute path, because the script runs in another directory.
        let place = directory.absolute().map_err(StartError::Spawn)?;
        let path = place.script();
        let interpreter = interpreter(&path).map_err(StartError::Spawn)?;
        let (output, writer) = io::pipe().map_err(StartError::Spawn)?;
        set_nonblocking(&output).map_err(StartError::Spawn)?;

        // Start the interpreter directly, as the kernel would: the file system may be mounted
        // `noexec`.
        let (program, argument) = interpreter.clone().unwrap_or_else(|| ("/bin/sh".into(), None));
        let mut command = Command::new(program);
        command.args(argument).arg(&path);
        command
            .env_clear()
            .envs(inherited())
            .envs(&spec.env)
            .env("TASKHUB_TASK_ID", spec.task_id.to_string())
            .env(EXECUTION_ID_VARIABLE, spec.execution_id.to_string())
            .env("TASKHUB_SESSION", &spec.session_name)
            .env("TASKHUB_URL", &spec.hub_url)
            .env("TASKHUB_ARTIFACTS", place.artifacts())
            .envs(spec.data.map(|data| (DATA_VARIABLE, data.to_string())))
            .current_dir(cwd)
            .process_group(0)
            .stdin(input(&place).map_err(StartError::Spawn)?)
            .stdout(writer.try_clone().map_err(StartError::Spawn)?)
            .stderr(writer);
        if let Some(bytes) = spec.memory_bytes_max {
            memory::limit(bytes).map_err(StartError::Memory)?;
        }
        let main = spawn(&mut command).map_err(|error| match error.kind() {
            ErrorKind::NotFound if interpreter.is_some() => StartError::NoInterpreter,
            _ => StartError::Spawn(error),
        })?;
        Ok(Self { main, output })
    }
}

fn input(directory: &Directory) -> io::Result<Stdio> {
    match plain_file::open(&directory.stdin()) {
        Ok(file) => Ok(file.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stdio::null()),
        Err(error) => Err(error),
    }
}

fn spawn(command: &mut Command) -> io::Result<Pid> {
    let mut attempt = 1;
    loop {
        match command.spawn() {
            // The handle is not needed: the shim waits for all children in one place.
            Ok(child) => return Ok(Pid::from_child(&child)),
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && attempt < BUSY_ATTEMPTS_MAX => {
                attempt += 1;
                thread::sleep(BUSY_PAUSE);
            }
            // The limit of processes is reached, or there is no memory. Others will end.
            Err(error) if is_shortage(&error) && attempt < SHORTAGE_ATTEMPTS_MAX => {
                attempt += 1;
                thread::sleep(SHORTAGE_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The part of this process's environment that a script, and its shim, may have.
pub(in super::super) fn inherited() -> Vec<(OsString, OsString)> {
    allowed(std::env::vars_os())
}

fn allowed(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let is_listed =
        |name: &OsStr| name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"));
    let mut kept: Vec<_> = variables.filter(|(name, _)| is_listed(name)).collect();
    if !kept.iter().any(|(name, _)| name == "PATH") {
        kept.push(("PATH".into(), PATH_DEFAULT.into()));
    }
    if !kept.iter().any(|(name, _)| name == "HOME")
        && let Some(home) = home()
    {
        kept.push(("HOME".into(), home));
    }
    kept
}

/// Makes the missing directories of `cwd` below `work`. Refuses a path that leads outside.
fn working_directory(work: &Path, cwd: Option<&str>) -> Result<PathBuf, StartError> {
    let unusable = StartError::WorkingDirectory;
    make_private(work).map_err(unusable)?;
    let work = work.canonicalize().map_err(unusable)?;
    let mut here = work.clone();
    for part in Path::new(cwd.unwrap_or(".")).components() {
        match part {
            Component::CurDir => continue,
            Component::Normal(name) => here.push(name),
            _ => return Err(StartError::OutsideWork),
        }
        if here.symlink_metadata().is_err() {
            make_private(&here).map_err(unusable)?;
        }
        here = here.canonicalize().map_err(unusable)?;
        if !here.starts_with(&work) {
            return Err(StartError::OutsideWork);
        }
    }
    Ok(here)
}

/// The program that the first line names, and at most one argument, see execve(2). `None` without
/// `#!`.
fn interpreter(script: &Path) -> io::Result<Option<(OsString, Option<OsString>)>> {
    let (start, _) = plain_file::read(script, INTERPRETER_BYTES_MAX)?;
    let Some(line) = start.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return Ok(None);
    };
    let line = line.trim_ascii();
    let end = line.iter().position(|byte| b" \t".contains(byte)).unwrap_or(line.len());
    let (program, argument) = (&line[..end], line[end..].trim_ascii());
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    // The line names no program: the shell then treats it as a comment.
    Ok((!program.is_empty()).then(|| (text(program), (!argument.is_empty()).then(|| text(argument)))))
}

/// Whether the system lacks a process, memory or a file now.
pub(in super::super) fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE].map(Some).contains(&errno)
}

/// This user's home directory, when the hub was started without `HOME`: the sixth field of
/// passwd(5).
fn home() -> Option<OsString> {
    let users = std::fs::read("/etc/passwd").ok()?;
    let id = getuid().as_raw().to_string();
    users.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
        let own = fields.get(2)? == &id.as_bytes();
        let home = fields.get(5).filter(|home| own && !home.is_empty())?;
        Some(OsStr::from_bytes(home).to_owned())
    })
}

fn set_nonblocking(pipe: &PipeReader) -> io::Result<()> {
    let flags = fcntl_getfl(pipe)?;
    Ok(fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_script_sees_the_list_and_nothing_else() {
        let given = ["HOME", "LC_ALL", "TASKHUB_TOKEN", "AWS_SECRET_ACCESS_KEY"];
        let kept = allowed(given.map(|name| (name.into(), "x".into())).into_iter());
        let names: Vec<_> = kept.iter().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(names, ["HOME", "LC_ALL", "PATH"]);
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        let place = tempfile::tempdir().expect("a directory");
        let named = |text: &str| {
            std::fs::write(place.path().join("script"), text).expect("written");
            interpreter(&place.path().join("script")).expect("read")
        };
        let pair =
            |program: &str, argument: Option<&str>| Some((program.into(), argument.map(OsString::from)));
        assert_eq!(named("#!/bin/sh\nexit"), pair("/bin/sh", None));
        assert_eq!(named("#! /usr/bin/env  python3 -u \n"), pair("/usr/bin/env", Some("python3 -u")));
        assert_eq!(named("#!\nexit"), None);
        assert_eq!(named("echo"), None);
    }

    #[test]
    fn a_working_directory_is_made_and_stays_inside() {
        let root = tempfile::tempdir().expect("a directory");
        let work = root.path().join("work");
        let inside = |cwd| working_directory(&work, cwd);
        let real = |path: &Path| path.canonicalize().expect("there");

        assert_eq!(inside(None).expect("made"), real(&work));
        assert_eq!(inside(Some("a/./b")).expect("made"), real(&work.join("a/b")));
        symlink("a", work.join("alias")).expect("linked");
        assert_eq!(inside(Some("alias/b")).expect("in"), real(&work.join("a/b")));
        symlink(root.path(), work.join("out")).expect("linked");
        for outside in ["out", "out/new", "..", "a/../..", "/etc"] {
            assert!(matches!(inside(Some(outside)), Err(StartError::OutsideWork)), "{outside}");
        }
        assert!(!root.path().join("new").exists());
        std::fs::write(work.join("file"), "").expect("written");
        assert!(matches!(inside(Some("file/x")), Err(StartError::WorkingDirectory(_))));
    }
}
