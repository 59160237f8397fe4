//! The JSON files between hub and shim. The hub writes `spec.json` for the shim and `terms.json`
//! for a later hub. The shim writes `exit.json` for any hub that reads it later.
//!
//! Reader and writer may be different versions of the program. So fields are only ever added, each
//! with a default, and readers ignore unknown fields. A change that breaks this rule raises
//! [`PROTOCOL`].

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;
use crate::domain::execution::{End, Outcome};
use crate::domain::id::{ExecutionId, TaskId};

/// The version of the protocol between hub and shim: the lock, `pid`, `stop` and `exit.json` in the
/// execution's directory. A hub takes over the shims of every protocol up to its own. Shims of the
/// first hubs, which wrote no number, count as protocol 1.
pub(super) const PROTOCOL: u32 = 1;

/// Names the execution that a process belongs to. The script reads it; a hub finds processes by it.
pub(super) const EXECUTION_ID_VARIABLE: &str = "TASKHUB_EXECUTION_ID";

/// Names the data directory of an execution. A hub on a copy of that directory ignores the
/// processes of the original.
pub(super) const DATA_VARIABLE: &str = "TASKHUB_DATA";
/// Marks a process as a shim or as tmux. No script has it.
pub(super) const SHIM_VARIABLE: &str = "TASKHUB_SHIM";

/// Identifies a data directory until the machine restarts. A copy has another id; a moved directory
/// keeps its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataId {
    device: u64,
    inode: u64,
}

impl DataId {
    /// # Errors
    /// When the directory does not exist.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let metadata = data_dir.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.device, self.inode)
    }
}

/// What the shim runs, and its limits. Not `Debug`: `env` holds secrets.
#[derive(Serialize, Deserialize)]
pub(super) struct Spec {
    pub task_id: TaskId,
    pub execution_id: ExecutionId,
    pub session_name: String,
    pub hub_url: String,
    /// The environment variables that the request asked for.
    pub env: BTreeMap<String, String>,
    /// Relative to the execution's `work` directory, or absolute and in one of `roots`.
    pub cwd: Option<String>,
    #[serde(default)]
    pub roots: Vec<PathBuf>,
    /// An absolute path.
    pub log: PathBuf,
    pub log_bytes_max: u64,
    pub timeout_seconds: u32,
    pub grace_ms: u64,
    /// The soft limit of open files of the script's processes; they may raise it themselves. When
    /// absent, the hub's own limit holds.
    #[serde(default)]
    pub open_files_max: Option<u64>,
    /// The address space that each process of the script may use; no limit when absent.
    #[serde(default)]
    pub memory_bytes_max: Option<u64>,
    /// The data directory that the execution belongs to.
    #[serde(default)]
    pub data: Option<DataId>,
}

/// What a later hub must know about a shim that an earlier hub started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub protocol: u32,
    /// How long the shim lets its script run.
    pub timeout_seconds: u32,
}

/// How an execution ended, as its shim reports it. There is no `lost`: only the hub says that,
/// about a shim that left no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExitEnd {
    Completed,
    Failed,
    Stopped,
    TimedOut,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub end: ExitEnd,
    /// The exit code of the script's main process, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that killed the main process, if one did.
    pub signal: Option<i32>,
    pub reason: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// Milliseconds from the script's start to its end, by the monotonic clock. A shim of the
    /// previous version does not measure it.
    #[serde(default)]
    pub duration_ms: Option<i64>,
    /// Bytes of the output that are not in the log. A shim of an earlier version does not report
    /// it.
    #[serde(default)]
    pub log_bytes_left_out: Option<i64>,
}

impl Exit {
    /// Adds a remark to the reason.
    pub fn remarked(self, remark: &str) -> Self {
        let reason = self.reason.map_or(remark.to_owned(), |reason| format!("{reason}; {remark}"));
        Self { reason: Some(reason), ..self }
    }

    pub fn outcome(self) -> Outcome {
        Outcome {
            end: match self.end {
                ExitEnd::Completed => End::Completed,
                ExitEnd::Failed => End::Failed,
                ExitEnd::Stopped => End::Stopped,
                ExitEnd::TimedOut => End::TimedOut,
            },
            exit_code: self.exit_code,
            reason: self.reason,
            ended_at: Some(Timestamp::from_ms(self.ended_at_ms)),
            duration_ms: self.duration_ms,
            log_bytes_left_out: self.log_bytes_left_out,
        }
    }
}
