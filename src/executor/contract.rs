//! What the hub tells a shim (`spec.json`), what it leaves for a later hub (`terms.json`), and what the shim tells any hub
//! that asks later (`exit.json`).
//!
//! The reader may be another version of the program than the writer: fields are only ever added, with a
//! default, and unknown ones are ignored. What cannot be done so raises [`PROTOCOL`].

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;
use crate::domain::execution::{End, Outcome};
use crate::domain::id::{ExecutionId, TaskId};

/// How hub and shim deal with each other: by the lock, `pid`, `stop` and `exit.json` of the execution's directory. A hub takes
/// over the shims of every protocol up to its own; those of the hubs that had no number count as the first.
pub(super) const PROTOCOL: u32 = 1;

/// Tells a script, and a hub that looks for its processes, which execution it belongs to.
pub(super) const EXECUTION_ID_VARIABLE: &str = "TASKHUB_EXECUTION_ID";

/// Names the data directory of an execution, so that a hub on a copy of that directory leaves its processes alone.
pub(super) const DATA_VARIABLE: &str = "TASKHUB_DATA";
/// Tells a shim from all other processes. No script has it.
pub(super) const SHIM_VARIABLE: &str = "TASKHUB_SHIM";

/// Which data directory this is, as long as this machine runs: a copy is another one, a moved one is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataId {
    device: u64,
    inode: u64,
}

impl DataId {
    /// # Errors
    /// When there is no such directory.
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

/// What to run, and within which limits. Not `Debug`: `env` holds secrets.
#[derive(Serialize, Deserialize)]
pub(super) struct Spec {
    pub task_id: TaskId,
    pub execution_id: ExecutionId,
    pub session_name: String,
    pub hub_url: String,
    /// What the request asked to have in the script's environment.
    pub env: BTreeMap<String, String>,
    /// Relative to the execution's `work` directory, or absolute and in one of `roots`.
    pub cwd: Option<String>,
    #[serde(default)]
    pub roots: Vec<PathBuf>,
    /// Absolute.
    pub log: PathBuf,
    pub log_bytes_max: u64,
    pub timeout_seconds: u32,
    pub grace_ms: u64,
    /// How many files the script's processes may open, before they raise that themselves; as the hub has it when
    /// absent.
    #[serde(default)]
    pub open_files_max: Option<u64>,
    /// How much address space each of the script's processes may have; no limit when absent.
    #[serde(default)]
    pub memory_bytes_max: Option<u64>,
    /// The data directory that the execution belongs to.
    #[serde(default)]
    pub data: Option<DataId>,
}

/// What a hub must know that finds a shim of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub protocol: u32,
    /// What the shim gives its script.
    pub timeout_seconds: u32,
}

/// How it ended, as far as a shim can tell: `lost` is the hub's word for a shim that said nothing.
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
    /// Of the script's main process, when it exited.
    pub exit_code: Option<i32>,
    /// What killed the main process, when a signal did.
    pub signal: Option<i32>,
    pub reason: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// Milliseconds from the script's start to its end, by a clock that nobody sets. A shim of the version before has
    /// not measured it.
    #[serde(default)]
    pub duration_ms: Option<i64>,
    /// Bytes of the output that are not in the log. A shim of a version before has not said.
    #[serde(default)]
    pub log_bytes_left_out: Option<i64>,
}

impl Exit {
    /// Says something more about the end.
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
