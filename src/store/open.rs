//! Opens a data directory: takes its lock, looks at the database before it changes anything,
//! migrates it, and hands out the parts of the store.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::config::StoreConfig;
use crate::data_dir::DataDir;
use crate::domain::event::{Epoch, LogEnd};
use crate::domain::token::Actor;

use super::damage::is_damage;
use super::files::database_file;
use super::identity::Presence;
use super::integrity::Check;
use super::lock::{self, LOCK_FILE, Locks};
use super::open_error::OpenError;
use super::reader::{Reader, Shared, View};
use super::reserve::{self, Reserve};
use super::single::SingleReader;
use super::writer::{BUSY_MS, Files, Writer, WriterThread};
use super::{Access, Store, StoreError, checksum, identity, integrity, private};

mod migrations {
    refinery::embed_migrations!("src/store/migrations");
}

/// "TskH" in the header of the database. It keeps the hub from migrating a database that is not
/// TaskHub's.
const APPLICATION_ID: i32 = 0x5473_6b48;

/// An opened store. It executes no write before [`WriterThread::start`].
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    pub writer: WriterThread,
    pub epoch: Epoch,
    /// Where the log ends.
    pub end: LogEnd,
    pub directory: DataDir,
}

/// See [`Store::examine`].
pub(super) fn examine(dir: &Path) -> Result<Option<String>, OpenError> {
    let path = database_file(dir);
    match inspect(&path) {
        Ok(Some(version)) if version == known_schema() => {}
        Ok(_) => return Err(OpenError::OtherVersion(dir.to_owned())),
        Err(OpenError::Damaged(_)) => return Ok(Some("it cannot be opened".to_owned())),
        Err(error) => return Err(error),
    }
    let look = || -> rusqlite::Result<Option<String>> {
        let conn = open_to_look(&path)?;
        checksum::register(&conn)?;
        integrity::examine(&conn)
    };
    look().or_else(|error| match checksum::damage(&error) {
        Some(words) => Ok(Some(words)),
        None => Err(OpenError::Database { path: path.clone(), source: error.into() }),
    })
}

/// A connection that writes beside a hub, which holds the lock.
pub(super) fn beside_a_hub(dir: &Path) -> Result<Connection, OpenError> {
    let path = database_file(dir);
    if inspect(&path)? != Some(known_schema()) {
        return Err(OpenError::OtherVersion(dir.to_owned()));
    }
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "busy_timeout", BUSY_MS)?;
        Ok(conn)
    };
    open().map_err(|error| OpenError::Database { path: path.clone(), source: error.into() })
}

/// Takes the lock and brings the database to this version's schema.
pub(super) fn prepare(dir: &Path) -> Result<(Connection, Locks), OpenError> {
    let lock_file = dir.join(LOCK_FILE);
    let lock_was_there = lock_file.exists();
    let lock = lock::claim(dir, &lock_file)?;
    let path = database_file(dir);
    let database = |source: StoreError| OpenError::Database { path: path.clone(), source };
    if let Err(refusal) = inspect(&path) {
        if !lock_was_there {
            // Restores the directory. If this fails, a lock file without a lock does no harm.
            let _ = std::fs::remove_file(lock_file);
        }
        return Err(refusal);
    }

    tighten(dir, &path).map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
    let locks = Locks { _directory: lock, _database: lock::take(dir, &path)? };
    let mut conn = Connection::open(&path).map_err(|e| database(e.into()))?;
    configure_writer(&conn).map_err(|e| database(e.into()))?;
    // Restarts the write-ahead log after each migration: a small disk has no room for the pages of
    // all migrations.
    checkpoint_every(&conn, 1).map_err(|e| database(e.into()))?;
    migrations::migrations::runner()
        .run(&mut conn)
        .map_err(|source| OpenError::Migration { path: path.clone(), source })?;
    // SQLite copies the log into the database every 4 MiB. The writer makes sure that the log
    // restarts.
    checkpoint_every(&conn, 1000).map_err(|e| database(e.into()))?;
    Ok((conn, locks))
}

pub(super) fn open(dir: &Path, config: &StoreConfig) -> Result<Opened, OpenError> {
    let mut reserve = Reserve::of(dir);
    match open_with(dir, config, &mut reserve) {
        Err(OpenError::Directory { .. } | OpenError::Database { .. } | OpenError::Migration { .. })
            if reserve::is_needed(dir) && reserve.give_up() =>
        {
            tracing::error!("the disk is full: changes are refused until there is room");
            open_with(dir, config, &mut reserve)
        }
        opened => opened,
    }
}

fn open_with(dir: &Path, config: &StoreConfig, reserve: &mut Reserve) -> Result<Opened, OpenError> {
    let (conn, locks) = prepare(dir)?;
    let path = database_file(dir);
    let database = |source: StoreError| match &source {
        StoreError::Database(error) if is_damage(error) => OpenError::Damaged(path.clone()),
        _ => OpenError::Database { path: path.clone(), source },
    };
    let (epoch, mark) = identity::settle(&conn, dir, &path, config.may_be_copied).map_err(database)?;
    let (head, bytes): (i64, i64) = conn
        .query_row("SELECT head, bytes FROM log", (), |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|e| database(e.into()))?;
    let oldest = View::new(&conn, epoch).oldest().map_err(database)?;

    let directory =
        DataDir::open(dir).map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
    let shared = Arc::new(Shared::new(directory.clone(), epoch, oldest, config));
    let reader = Reader::new(shared.clone(), config.readers);
    let log_reader = Reader::new(shared.clone(), config.readers);
    let token_reader = Reader::new(shared.clone(), 1);
    let presence = Presence::of([shared.path.clone(), shared.wal_path.clone()]);
    if !reserve.is_missing() {
        reserve.take();
    }
    let reserve = std::mem::replace(reserve, Reserve::of(dir));
    let damage = shared.damage.clone();
    let check = Check::start(path.clone(), &damage);
    let files = Files { _locks: locks, mark, presence, check, damage, reserve };
    let (writer, thread) = Writer::new(conn, files, shared, config);
    let single_reader = SingleReader::new(reader.clone());
    let access = Arc::new(Access { reader, single_reader, log_reader, token_reader, writer });
    let store = Store { access, actor: Actor::default() };
    let end = LogEnd { head: head.unsigned_abs(), bytes: bytes.unsigned_abs() };
    Ok(Opened { store, writer: thread, epoch, end, directory })
}

/// Removes the permissions of other users on the directory and on the files beside the database. An
/// earlier version or somebody may have granted them.
fn tighten(dir: &Path, database: &Path) -> io::Result<()> {
    private::tighten(dir)?;
    for end in ["-wal", "-shm"] {
        let mut beside = database.as_os_str().to_owned();
        beside.push(end);
        match private::tighten(Path::new(&beside)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            tightened => tightened?,
        }
    }
    Ok(())
}

/// Looks at an existing file before anything can change it. Answers its schema version, or `None`
/// when there is no file.
fn inspect(path: &Path) -> Result<Option<i32>, OpenError> {
    if !path.exists() {
        return Ok(None);
    }
    let look = || -> rusqlite::Result<(i32, i64, i32)> {
        let conn = open_to_look(path)?;
        let application_id = conn.query_row("PRAGMA application_id", (), |row| row.get(0))?;
        let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        let version =
            conn.query_row("SELECT max(version) FROM refinery_schema_history", (), |row| row.get(0));
        let version = match version {
            Err(error) if is_damage(&error) => return Err(error),
            // The table does not exist before the first migration.
            found => found.unwrap_or(0),
        };
        Ok((application_id, tables, version))
    };
    let (application_id, tables, found) = match look() {
        Ok(seen) => seen,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        Err(error) if is_damage(&error) => return Err(OpenError::Damaged(path.to_owned())),
        Err(error) => {
            return Err(OpenError::Database { path: path.to_owned(), source: error.into() });
        }
    };
    if tables > 0 && application_id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let known = known_schema();
    if found > known {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known });
    }
    Ok(Some(found))
}

fn known_schema() -> i32 {
    let runner = migrations::migrations::runner();
    runner.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or(0)
}

/// Opens the database for reading. When it has no WAL beside it, opens it as immutable, so that
/// SQLite makes no files.
pub(super) fn open_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if Path::new(&wal).exists() {
        return Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    }
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn configure_writer(conn: &Connection) -> rusqlite::Result<()> {
    checksum::register(conn)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    // Set before the first table exists. When the hub crashes during setup, the WAL restores the
    // database, and nobody takes it for a damaged one.
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit is on the disk before the writer answers. With many operations in a commit it
    // costs almost nothing.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "busy_timeout", BUSY_MS)?;
    // The request of an execution may hold secrets. FAST overwrites deleted data where that writes
    // no additional page.
    conn.pragma_update(None, "secure_delete", "FAST")?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// SQLite copies the write-ahead log into the database whenever it holds this many pages.
fn checkpoint_every(conn: &Connection, pages: u32) -> rusqlite::Result<()> {
    conn.pragma_update(None, "wal_autocheckpoint", pages)
}
