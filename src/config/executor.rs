//! The settings of executions: what may run, how, and how much of it at once.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::process::cores;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Executions")]
pub struct ExecutorConfig {
    /// Executions that run at once; the rest wait, by their task's priority and then by age (default: the number
    /// of cores)
    #[arg(long, env = "TASKHUB_EXECUTIONS_MAX", visible_alias = "max-executions", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub executions_max: Option<u32>,
    /// What runs when neither the request nor the task has a script: a command for `sh`, which gets the task as JSON
    /// on its standard input
    #[arg(long, env = "TASKHUB_EXEC_DEFAULT", value_name = "COMMAND",
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exec_default: Option<String>,
    /// Directory in which a request's `cwd` may lie, besides the execution's own; repeat, or separate by commas, for
    /// several
    #[arg(long, env = "TASKHUB_EXEC_ROOT", value_delimiter = ',', value_name = "DIR")]
    pub exec_root: Vec<PathBuf>,
    /// Status that a task is set to when its script has succeeded, unless somebody has changed it meanwhile
    #[arg(long, env = "TASKHUB_EXEC_DONE_STATUS", value_enum, default_value_t = DoneStatus::Review)]
    pub exec_done_status: DoneStatus,
    /// Where scripts run: as plain processes, or each in a tmux session of its own, in which a person can attach
    #[arg(long, env = "TASKHUB_SESSIONS", value_enum, default_value_t = SessionKind::Process)]
    pub sessions: SessionKind,
    /// Time an execution may take when its request names none
    #[arg(long, env = "TASKHUB_TIMEOUT_SECONDS", default_value_t = 86_400, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub timeout_seconds: u32,
    /// Longest time a request may ask for
    #[arg(long, env = "TASKHUB_TIMEOUT_SECONDS_MAX", default_value_t = 2_592_000, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub timeout_seconds_max: u32,
    /// Address space that each process of a script may use when its request names none (default: no limit)
    #[arg(long, env = "TASKHUB_MEMORY_BYTES", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(67_108_864..=1_125_899_906_842_624))]
    pub memory_bytes: Option<u64>,
    /// Largest address space a request may ask for; then nothing runs without a limit (default: no limit)
    #[arg(long, env = "TASKHUB_MEMORY_BYTES_MAX", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(67_108_864..=1_125_899_906_842_624))]
    pub memory_bytes_max: Option<u64>,
    /// Time between asking a script to end (TERM) and killing it
    #[arg(long, env = "TASKHUB_GRACE_MS", default_value_t = 5_000, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub grace_ms: u64,
    /// Largest log of an execution; of a longer one the beginning and the end are kept
    #[arg(long, env = "TASKHUB_LOG_BYTES_MAX", default_value_t = 67_108_864, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(65_536..))]
    pub log_bytes_max: u64,
    /// Take over what a killed shim leaves: for a process that has no children but the executor's
    #[arg(skip)]
    pub adopts_orphans: bool,
    /// The program that runs as `PROGRAM shim` beside each script (default: this one)
    #[arg(long, env = "TASKHUB_SHIM_PROGRAM", hide = true)]
    pub shim_program: Option<PathBuf>,
}

/// What an execution's session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionKind {
    Process,
    Tmux,
}

/// Where a task goes when its script has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoneStatus {
    Todo,
    #[value(name = "inprogress")]
    InProgress,
    Review,
    Done,
    /// It stays where it is
    Keep,
}

impl ExecutorConfig {
    /// How many executions may run at once.
    pub fn slots(&self) -> usize {
        match self.executions_max {
            Some(count) => count as usize,
            None => cores(),
        }
    }
}
