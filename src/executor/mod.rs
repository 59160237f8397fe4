//! Running executions: who is started, watched, stopped and settled. Owns `executions/` and `logs/` below
//! the data directory.
//!
//! # Two processes
//! The hub does not parent a script. It prepares a directory and spawns `taskhub shim DIR`, which owns that
//! one execution: its processes, its output, its deadline ([`shim`]). What they tell each other is files
//! (`directory.rs`, `contract.rs`); so an execution outlives the hub, and a restarted hub finds out what
//! became of it.
//!
//! # Invariants
//! - Never a second start. An execution is claimed in the store before anything is spawned, and its shim
//!   removes the specification as it reads it.
//! - Only one decides. The shim holds a lock for its life; a hub that finds no result must take that lock
//!   before it may say `lost`, and a shim that comes too late fails to take it.
//! - What has to be done follows from the rows and the files alone (`supervisor.rs`): no message is ever the
//!   only carrier of a duty.
//!
//! # Refuses
//! It writes nothing but through the service, and never reads a path that came from a client.
//!
//! # Rejected
//! Scripts as children of the hub: they would die, or their output would stall, whenever the hub is
//! restarted. A daemon for all executions: one more thing to keep alive, and one fault would reach them all.
//! Control groups: exact, but not to be had without privileges on many machines.

mod artifacts;
mod blocking;
mod context;
mod contract;
mod directory;
mod kill_leftovers;
mod log_piece;
mod log_stream;
pub mod logs;
mod orphans;
mod plain_file;
mod processes;
mod program;
mod retention;
mod session;
pub mod shim;
mod supervisor;
mod tailer;
mod tmux;
mod verdict;
mod watcher;

pub use context::{ExecutorSettings, Retention};
pub use log_stream::{Admission, LogStart, LogStream, LogStreams, LogTotals};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ExecutorConfig, SessionKind};
use crate::open_files;
use crate::service::Service;

use context::Context;
use contract::DataId;
use processes::RecentProcesses;
pub use program::ShimProgram;
pub use session::{NotAttachable, Sessions};
use supervisor::Supervisor;

#[derive(Debug, Error)]
pub enum ExecutorError {
    #[error("cannot use the directory {}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("cannot use --sessions tmux: {0}")]
    Tmux(String),
}

/// The supervision of all executions, and the removal of old ones, as tasks on the tracker.
#[derive(Debug)]
pub struct Executor;

impl Executor {
    /// Recovers what an earlier hub left running, then starts what is queued, until `shutdown`. Executions
    /// that run at that moment go on running; the next hub finds them. To be called within a runtime.
    ///
    /// # Errors
    /// [`ExecutorError`] when its directories cannot be made, or its sessions could not be.
    pub fn start(
        service: Service,
        config: &ExecutorConfig,
        settings: ExecutorSettings,
        shutdown: CancellationToken,
        tracker: &TaskTracker,
    ) -> Result<(), ExecutorError> {
        open_files::keep_to_itself();
        let unusable = |source| ExecutorError::Directory { path: settings.data_dir.to_path_buf(), source };
        if config.sessions == SessionKind::Tmux {
            tmux::check(&settings.data_dir.real().map_err(unusable)?).map_err(ExecutorError::Tmux)?;
        }
        make(&logs::all(&settings.data_dir))?;
        make(&directory::all(&settings.data_dir))?;
        let data = DataId::of(&settings.data_dir).map_err(unusable)?;
        if config.adopts_orphans {
            orphans::adopt(shutdown.clone(), tracker);
        }
        let context = Context {
            service,
            settings,
            config: config.clone(),
            data,
            processes: RecentProcesses::default(),
            shutdown,
        };
        let context = Arc::new(context);
        let vitals = context.settings.vitals.clone();
        vitals.spawn(tracker, "the retention of executions", retention::run(Arc::clone(&context)));
        vitals.spawn(tracker, "the supervision of executions", Supervisor::new(context).run());
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), ExecutorError> {
    directory::make_private(path).map_err(|source| ExecutorError::Directory { path: path.to_owned(), source })
}
