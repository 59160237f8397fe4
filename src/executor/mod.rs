//! Starts, watches, stops and settles executions. Owns `executions/` and `logs/` in the data
//! directory.
//!
//! # Two processes
//! The hub is not the parent of a script. It prepares a directory and spawns `taskhub shim DIR`.
//! That shim owns one execution: its processes, its output, its deadline ([`shim`]). Hub and shim
//! communicate through files (`directory/mod.rs`, `contract.rs`). So an execution outlives the hub,
//! and a restarted hub finds out how it ended.
//!
//! # Invariants
//! - No execution starts twice. The hub claims an execution in the store before it spawns anything,
//!   and the shim removes the specification when it reads it.
//! - Only one process decides how an execution ended. The shim holds a lock as long as it lives. A
//!   hub that finds no result must take that lock before it may say `lost`. A shim that starts too
//!   late cannot take the lock, and does nothing.
//! - The rows and the files alone say what the hub has to do (`supervisor.rs`). A lost message
//!   never loses work.
//!
//! # Refuses
//! It changes rows only through the service, and it never reads a path that a client sent.
//!
//! # Rejected
//! - Scripts as children of the hub. They would die, or their output would stall, at each restart
//!   of the hub.
//! - One daemon for all executions. It is one more process to keep alive, and one fault would hit
//!   all executions.
//! - Control groups. They are exact, but on many machines they need privileges.

mod artifacts;
mod blocking;
mod context;
mod contract;
mod directory;
mod kill_leftovers;
mod log_piece;
pub mod log_search;
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

/// Spawns the tasks that supervise executions and that remove old ones.
#[derive(Debug)]
pub struct Executor;

impl Executor {
    /// Recovers the executions that an earlier hub left running, then starts queued ones, until
    /// `shutdown`. Executions that run at the shutdown go on; the next hub finds them. Must be
    /// called within a runtime.
    ///
    /// # Errors
    /// [`ExecutorError`] when it cannot make its directories, or when tmux is required and cannot
    /// be used.
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
