//! The settings and state that the executor's tasks share.

use tokio_util::sync::CancellationToken;

use crate::config::ExecutorConfig;
use crate::data_dir::DataDir;
use crate::domain::clock::Clock;
use crate::service::Service;
use crate::vitals::Vitals;

use super::contract::DataId;
use super::processes::RecentProcesses;
use super::program::ShimProgram;

/// How long the hub keeps the files of ended executions, and how often it checks.
#[derive(Debug, Clone)]
pub struct Retention {
    pub days_max: u32,
    pub period_ms: u64,
    pub clock: Clock,
}

/// What the executor must know about its hub.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    pub data_dir: DataDir,
    /// A program that runs [`shim::run`](super::shim::run) when called with `shim DIR`.
    pub shim_program: ShimProgram,
    /// Handed to scripts as `TASKHUB_URL`.
    pub hub_url: String,
    /// The limit of open files for a script's processes, when the hub's own limit is higher.
    pub open_files_max: Option<u64>,
    pub retention: Retention,
    /// Learns when a task of the executor has ended although it must not.
    pub vitals: Vitals,
}

/// What every watcher of an execution needs.
#[derive(Debug)]
pub(super) struct Context {
    pub service: Service,
    pub settings: ExecutorSettings,
    pub config: ExecutorConfig,
    /// Identifies the data directory. A copy of it has another id.
    pub data: DataId,
    /// The last scan of the machine's processes.
    pub processes: RecentProcesses,
    pub shutdown: CancellationToken,
}
