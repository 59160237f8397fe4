//! `executions/{number}/`: the files by which the hub and one shim communicate.
//!
//! ```text
//! spec.json   hub -> shim   what to run; the shim removes it when it reads it, because it holds secrets and
//!                           must never run twice
//! script      hub -> shim   0700
//! stdin       hub -> shim   the script's standard input, if it has one
//! lock        the shim holds it as long as it lives; the hub holds it while it declares a dead shim `lost`
//! pid         shim -> hub   written after lock and signal handlers: a process that reads it may send SIGTERM
//! stop        hub -> shim   the hub makes it before it reads `pid`; the shim looks for it after it wrote `pid`
//!                           and the signal handlers are set: so no stop is missed
//! artifacts   script -> hub the paths that the script names as its results, one a line
//! exit.json   shim -> hub   the result; appears whole and durable, or not at all
//! shim.err    shim -> hub   the error messages of the shim, for the hub's log
//! tmux        the socket of its tmux server, if it has one (`tmux.rs`)
//! work/       the script's working directory
//! ```
//!
//! Once the result is settled, the hub removes everything but a `work` that is not empty: it may
//! hold what the execution was for. All modes here are 0700 or 0600.

mod cleanup;

pub(super) use cleanup::sweep;

use std::borrow::Cow;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::executor::contract::{Exit, PROTOCOL, Spec, Terms};
use crate::executor::plain_file;

const WORK: &str = "work";
/// More than a shim writes. The limit guards against a file that a script put in its place.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// Many times more than a request and its inherited parts.
const SPEC_BYTES_MAX: u64 = 64 << 20;
/// How much of the end of `shim.err` goes to the hub's log.
const COMPLAINT_BYTES_MAX: u64 = 2048;

#[derive(Debug, Clone)]
pub(super) struct Directory(PathBuf);

/// Where the directories of all executions are.
pub(super) fn all(data_dir: &Path) -> PathBuf {
    data_dir.join("executions")
}

/// Makes a directory that only this user can enter. Leaves an existing one as it is.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Directory {
    pub fn of(data_dir: &Path, number: i64) -> Self {
        Self(all(data_dir).join(number.to_string()))
    }

    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The same directory by its current absolute path.
    pub fn absolute(&self) -> io::Result<Self> {
        self.0.canonicalize().map(Self)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn script(&self) -> PathBuf {
        self.0.join("script")
    }

    pub fn stdin(&self) -> PathBuf {
        self.0.join("stdin")
    }

    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    pub fn tmux_socket(&self) -> PathBuf {
        self.0.join("tmux")
    }

    pub fn work(&self) -> PathBuf {
        self.0.join(WORK)
    }

    /// Writes what a shim needs. Removes what an earlier database left under this number.
    ///
    /// # Errors
    /// [`ErrorKind::ResourceBusy`] when a shim still lives there; otherwise any error of the disk.
    pub fn prepare(&self, script: &str, stdin: Option<&[u8]>, spec: &Spec) -> io::Result<()> {
        match self.0.symlink_metadata() {
            Ok(it) if it.is_dir() => match self.lock() {
                Ok(Some(_lock)) => fs::remove_dir_all(&self.0)?,
                Ok(None) => return Err(ErrorKind::ResourceBusy.into()),
                // Not the directory of a shim.
                Err(error) => self.set_aside(&error)?,
            },
            Ok(_) => fs::remove_file(&self.0)?,
            Err(_) => {}
        }
        make_private(&self.work())?;
        create(&self.script(), 0o700)?.write_all(runnable(script).as_bytes())?;
        if let Some(stdin) = stdin {
            create(&self.stdin(), 0o600)?.write_all(stdin)?;
        }
        create(&self.artifacts(), 0o600)?;
        let terms = Terms { protocol: PROTOCOL, timeout_seconds: spec.timeout_seconds };
        create(&self.0.join("terms.json"), 0o600)?.write_all(&serde_json::to_vec(&terms)?)?;
        let json = serde_json::to_vec(spec)?;
        create(&self.0.join("spec.json"), 0o600)?.write_all(&json)
    }

    /// The terms that the shim was started with. `None` when its hub wrote none, or the script
    /// changed the file.
    pub fn terms(&self) -> Option<Terms> {
        let (json, _) = plain_file::read(&self.0.join("terms.json"), SMALL_BYTES_MAX).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Moves away what lies here when it is not the directory of an execution.
    fn set_aside(&self, error: &io::Error) -> io::Result<()> {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = self.0.with_file_name(format!("not-{name}-{}", uuid::Uuid::now_v7()));
        tracing::warn!(%error, place = %place.display(), "what lay in an execution's place was none, and is set aside");
        fs::rename(&self.0, place)
    }

    /// Takes the lock if it is free; `None` while another process holds it. The lock lasts as long
    /// as the file is open, and no child inherits it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no directory; [`ErrorKind::InvalidData`] when
    /// something else lies there.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let path = self.0.join("lock");
        loop {
            let mut options = OpenOptions::new();
            let file =
                plain_file::open_with(options.write(true).create(true).truncate(false).mode(0o600), &path)?;
            match file.try_lock() {
                // Somebody removed or replaced the file meanwhile, so this lock guards nothing. Try
                // again.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Reads the specification and removes it.
    pub fn take_spec(&self) -> io::Result<Spec> {
        let path = self.0.join("spec.json");
        let (json, _) = plain_file::read(&path, SPEC_BYTES_MAX)?;
        fs::remove_file(&path)?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// Whether no shim has read the specification. Then nothing was started.
    pub fn is_untouched(&self) -> bool {
        self.0.join("spec.json").exists()
    }

    pub fn write_pid(&self) -> io::Result<()> {
        let staged = self.0.join("pid.new");
        create(&staged, 0o600)?.write_all(std::process::id().to_string().as_bytes())?;
        fs::rename(staged, self.0.join("pid"))
    }

    /// The shim's process id, once it can handle a stop. Trust it only while the shim holds the
    /// lock.
    pub fn pid(&self) -> Option<Pid> {
        let (text, _) = plain_file::read(&self.0.join("pid"), SMALL_BYTES_MAX).ok()?;
        String::from_utf8(text).ok()?.parse().ok().and_then(Pid::from_raw)
    }

    pub fn request_stop(&self) -> io::Result<()> {
        create(&self.0.join("stop"), 0o600).map(drop)
    }

    pub fn stop_requested(&self) -> bool {
        self.0.join("stop").exists()
    }

    pub fn open_errors(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        plain_file::open_with(options.append(true).create(true).mode(0o600), &self.0.join("shim.err"))
    }

    /// The end of the shim's error messages, if there are any.
    pub fn errors(&self) -> Option<String> {
        let mut file = plain_file::open(&self.0.join("shim.err")).ok()?;
        let size = file.metadata().ok()?.len();
        let start = size.saturating_sub(COMPLAINT_BYTES_MAX);
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        file.take(COMPLAINT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Writes the result durably: it appears as a whole or not at all. Makes the directory again if
    /// somebody removed it.
    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        make_private(&self.0)?;
        let staged = self.0.join("exit.json.new");
        let mut file = create(&staged, 0o600)?;
        file.write_all(&serde_json::to_vec(exit)?)?;
        file.sync_all()?;
        fs::rename(staged, self.0.join("exit.json"))?;
        File::open(&self.0)?.sync_all()
    }

    /// # Errors
    /// [`ErrorKind::NotFound`] while there is no result.
    pub fn read_exit(&self) -> io::Result<Exit> {
        let (json, _) = plain_file::read(&self.0.join("exit.json"), SMALL_BYTES_MAX)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

/// Whether an open file is the file at a path.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(id).ok().is_some_and(|own| path.symlink_metadata().map(id).ok() == Some(own))
}

/// The script in a form that its interpreter accepts. Editors on Windows write a byte order mark at
/// its start, and a carriage return at the end of each line. With either, `#!` names a program that
/// does not exist.
fn runnable(script: &str) -> Cow<'_, str> {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    match script.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => script.replace("\r\n", "\n").into(),
        // The script is a single line.
        None => script.strip_suffix('\r').unwrap_or(script).into(),
        _ => script.into(),
    }
}

/// Creates a file, and first removes what lies at its path.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    plain_file::create(path, mode)
}

#[cfg(test)]
mod tests;
