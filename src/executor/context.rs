//! What the tasks of the executor share.

use tokio_util::sync::CancellationToken;

use crate::config::ExecutorConfig;
use crate::data_dir::DataDir;
use crate::domain::clock::Clock;
use crate::service::Service;
use crate::vitals::Vitals;

use super::contract::DataId;
use super::processes::RecentProcesses;
use super::program::ShimProgram;

/// How long what executions leave is kept, and how often to look.
#[derive(Debug, Clone)]
pub struct Retention {
    pub days_max: u32,
    pub period_ms: u64,
    pub clock: Clock,
}

/// What the executor must know about the hub it belongs to.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    pub data_dir: DataDir,
    /// A program that runs [`shim::run`](super::shim::run) when called with `shim DIR`.
    pub shim_program: ShimProgram,
    /// Handed to scripts as `TASKHUB_URL`.
    pub hub_url: String,
    /// How many files a script's processes may open, when the hub itself may open more.
    pub open_files_max: Option<u64>,
    pub retention: Retention,
    /// Whom to tell when executions are no longer looked after.
    pub vitals: Vitals,
}

/// What every watcher of an execution needs.
#[derive(Debug)]
pub(super) struct Context {
    pub service: Service,
    pub settings: ExecutorSettings,
    pub config: ExecutorConfig,
    /// Which data directory this is, so that a copy of it is another one.
    pub data: DataId,
    /// What was last seen of the machine's processes.
    pub processes: RecentProcesses,
    pub shutdown: CancellationToken,
}
