//! The identity of the database: whether it is the same file as before, and whether its log is
//! complete.
//!
//! A client resumes by `{epoch}-{seq}`. After somebody has restored a backup or copied a directory,
//! or after the end of the log was lost, new events would get numbers that clients have already
//! seen on other events. Clients would miss those events and not notice. So the database records
//! which file it is (inode and birth time), and the file `taskhub.mark` beside it records up to
//! where the hub has shown the log. When the file is another one, or its log ends before the mark,
//! the log gets a new epoch, and every client gets a `reset`.
//!
//! The writer writes the mark after each commit and before it shows the events. The mark survives
//! `kill -9`, because the kernel has it. For a power failure, a separate thread forces the mark to
//! the disk once a second. By then the database itself is on the disk, so the mark matters only
//! when the end of the log is lost too. The writer never waits for this thread.
//!
//! Rejected: to compare the device's number. On btrfs and overlayfs it changes with the order of
//! mounts, so every reboot would cause a reset.
//!
//! Rejected: to force the mark to the disk with each commit. That would double the cost of a
//! commit.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};

use crate::domain::event::{Epoch, EventId};

use super::StoreError;

const MARK_FILE: &str = "taskhub.mark";
/// The length of `{epoch}-{seq}` and a line break. It is fixed, so that each write replaces the one
/// before in place.
const MARK_BYTES: usize = 8 + 1 + 20 + 1;
/// How often the hub forces the mark to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Tells a file from every other file that exists at the same time, and from its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    inode: i64,
    /// Nanoseconds. 0 on a file system that records no birth time.
    born_ns: i64,
}

impl FileId {
    pub fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|age| i64::try_from(age.as_nanos()).ok()).unwrap_or(0);
        Self { inode: metadata.ino().cast_signed(), born_ns }
    }

    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&path.symlink_metadata()?))
    }
}

/// The file that records up to where the hub has shown the log.
#[derive(Debug)]
pub(super) struct HighWaterMark {
    file: File,
    epoch: Epoch,
    /// Asks the thread to force the mark to the disk. The thread ends when this sender is dropped.
    sync: SyncSender<()>,
    asked: Instant,
}

impl HighWaterMark {
    /// Reads the mark of a data directory. `None` when there is none, or when its content is no
    /// mark.
    fn read(dir: &Path) -> Option<EventId> {
        let text = std::fs::read_to_string(dir.join(MARK_FILE)).ok()?;
        let (epoch, seq) =
            text.strip_suffix('\n').filter(|it| it.len() + 1 == MARK_BYTES)?.split_once('-')?;
        Some(EventId::new(Epoch(u32::from_str_radix(epoch, 16).ok()?), seq.parse().ok()?))
    }

    fn open(dir: &Path, epoch: Epoch, head: u64) -> io::Result<Self> {
        let options = File::options().create(true).truncate(false).write(true).mode(0o600).clone();
        let file = options.open(dir.join(MARK_FILE))?;
        let (sync, asked_for) = sync_channel(1);
        let mark = Self { file, epoch, sync, asked: Instant::now() };
        mark.write(head)?;
        mark.file.set_len(MARK_BYTES as u64)?;
        mark.file.sync_all()?;
        let theirs = mark.file.try_clone()?;
        thread::Builder::new().name("mark".to_owned()).spawn(move || {
            for () in asked_for {
                if let Err(error) = theirs.sync_data() {
                    tracing::warn!(error = %error, "taskhub.mark cannot be forced to the disk");
                }
            }
        })?;
        Ok(mark)
    }

    /// Records that the hub is about to show events up to `head`.
    pub fn raise(&mut self, head: u64) {
        if let Err(error) = self.write(head) {
            // The events are on the disk. Only a loss of the log's end before the next mark would
            // go unnoticed.
            tracing::warn!(error = %error, "taskhub.mark cannot be written");
        }
        if self.asked.elapsed() >= SYNC_EVERY {
            self.asked = Instant::now();
            // When the channel is full, the thread is about to do it anyway.
            let _ = self.sync.try_send(());
        }
    }

    fn write(&self, head: u64) -> io::Result<()> {
        self.file.write_all_at(format!("{:08x}-{head:020}\n", self.epoch.0).as_bytes(), 0)
    }
}

/// Checks that the log is the one that clients know, and otherwise gives it a new epoch. Answers
/// the epoch and the mark. With `may_be_copied` the file may be another one than before.
pub(super) fn settle(
    conn: &Connection,
    dir: &Path,
    database: &Path,
    may_be_copied: bool,
) -> Result<(Epoch, HighWaterMark), StoreError> {
    let (epoch, head) = conn.query_row("SELECT epoch, head FROM log", (), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    let mut epoch = Epoch(u32::try_from(epoch).map_err(|_| StoreError::Corrupt(format!("epoch {epoch}")))?);
    let recorded = conn
        .query_row("SELECT inode, born_ns FROM log WHERE inode IS NOT NULL", (), |row| {
            Ok(FileId { inode: row.get(0)?, born_ns: row.get(1)? })
        })
        .optional()?;
    let own = FileId::at(database).map_err(unreadable)?;
    let change = match (recorded, HighWaterMark::read(dir)) {
        // A new database, or one of an earlier version.
        (None, None) => None,
        (None, Some(_)) => Some("it has a taskhub.mark, and does not know which file it is"),
        (Some(recorded), _) if recorded != own && !may_be_copied => {
            Some("it is another file than it was: restored, or copied")
        }
        (Some(_), None) => Some("its taskhub.mark is gone"),
        (Some(_), Some(mark)) if mark.epoch != epoch => Some("its taskhub.mark is that of another log"),
        (Some(_), Some(mark)) if mark.seq > head => Some("the end of its log is lost"),
        (Some(_), Some(_)) => None,
    };
    if let Some(reason) = change {
        epoch = renew(conn, dir, epoch)?;
        tracing::warn!(reason, epoch = %epoch, "the database is not what it was: the log begins anew, and clients are told");
    }
    if recorded != Some(own) {
        conn.execute("UPDATE log SET inode = ?1, born_ns = ?2", (own.inode, own.born_ns))?;
    }
    let mark = HighWaterMark::open(dir, epoch, head).map_err(unreadable)?;
    Ok((epoch, mark))
}

/// Draws a new epoch and removes the events, because each carries the old epoch in its id. The seq
/// goes on. Execution numbers go on after every number that has left a log file: a new execution
/// must not take over the log of a forgotten one.
fn renew(conn: &Connection, dir: &Path, old: Epoch) -> Result<Epoch, StoreError> {
    let number = last_number(dir);
    let tx = conn.unchecked_transaction()?;
    tx.execute("DELETE FROM events", ())?;
    let new: i64 = tx.query_row(
        "UPDATE log SET epoch = (epoch + 1 + abs(random() % 4294967295)) % 4294967296,
            executions = max(executions, ?1) RETURNING epoch",
        [number],
        |row| row.get(0),
    )?;
    tx.commit()?;
    let new = u32::try_from(new).map(Epoch).map_err(|_| StoreError::Corrupt(format!("epoch {new}")))?;
    debug_assert_ne!(new, old, "the step is never a whole turn");
    Ok(new)
}

/// The highest number of an execution that has a log file.
fn last_number(dir: &Path) -> i64 {
    let entries = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("task-")?.strip_suffix(".log")?.parse::<i64>().ok();
    entries.filter_map(|entry| number(entry.file_name().to_str()?)).max().unwrap_or(0)
}

fn unreadable(error: io::Error) -> StoreError {
    StoreError::File(std::sync::Arc::new(error))
}

/// Watches whether the files that the hub writes are still the ones that the next hub will find.
#[derive(Debug)]
pub(super) struct Presence {
    files: Vec<(std::path::PathBuf, FileId)>,
    is_gone: bool,
}

impl Presence {
    /// Watches those of these files that exist now.
    pub fn of<const N: usize>(paths: [std::path::PathBuf; N]) -> Self {
        let there = |path: std::path::PathBuf| FileId::at(&path).ok().map(|id| (path, id));
        Self { files: paths.into_iter().filter_map(there).collect(), is_gone: false }
    }

    /// Whether somebody has removed or replaced one of the files. Once true it stays true, because
    /// what the hub wrote meanwhile is lost.
    pub fn is_gone(&mut self) -> bool {
        self.is_gone |= self.files.iter().any(|(path, id)| FileId::at(path).ok() != Some(*id));
        self.is_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(HighWaterMark::read(directory.path()), None);
        let mut mark = HighWaterMark::open(directory.path(), Epoch(0x7c1e), 5).expect("opened");
        assert_eq!(HighWaterMark::read(directory.path()), Some(EventId::new(Epoch(0x7c1e), 5)));
        mark.raise(u64::MAX >> 1);
        assert_eq!(HighWaterMark::read(directory.path()), Some(EventId::new(Epoch(0x7c1e), u64::MAX >> 1)));
        for odd in ["", "7c1e-5\n", "zzzzzzzz-00000000000000000005\n"] {
            std::fs::write(directory.path().join(MARK_FILE), odd).expect("written");
            assert_eq!(HighWaterMark::read(directory.path()), None, "{odd:?}");
        }
    }

    #[test]
    fn a_copy_is_another_file_and_a_moved_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a"), "x").expect("written");
        let id = FileId::at(&at("a")).expect("there");
        std::fs::copy(at("a"), at("b")).expect("copied");
        assert_ne!(FileId::at(&at("b")).expect("there"), id);
        let mut presence = Presence::of([at("a"), at("missing")]);
        assert!(!presence.is_gone());
        std::fs::rename(at("a"), at("c")).expect("moved");
        assert_eq!(FileId::at(&at("c")).expect("there"), id);
        assert!(presence.is_gone());
        std::fs::rename(at("c"), at("a")).expect("moved back");
        assert!(presence.is_gone(), "what was written meanwhile is lost");
    }
}
