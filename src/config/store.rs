//! The settings of the store: what it keeps, and for how long.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use clap::Args;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreConfig {
    /// Events kept in the log; older ones go first
    #[arg(long, env = "TASKHUB_RETAIN_EVENTS_MAX", default_value_t = 2_000_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub retain_events_max: u64,
    /// Days that an event is kept, and an execution that has ended, with its log and its directory
    #[arg(long, env = "TASKHUB_RETAIN_DAYS_MAX", default_value_t = 30, value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub retain_days_max: u32,
    /// Time between two rounds of forgetting what is old
    #[arg(skip = 60_000u64)]
    pub retention_period_ms: u64,
    /// Time that retention leaves an event alone of which a client has a part that was up to date before
    #[arg(skip = 60_000u64)]
    pub half_sent_ms_max: u64,
    /// Operations in one commit
    #[arg(skip = 256usize)]
    pub batch_max: usize,
    /// Operations waiting for a commit, before writers wait for a place
    #[arg(skip = 4096usize)]
    pub queue_max: usize,
    /// Take a copy of a database for the one that it was: for images in tests
    #[arg(skip)]
    pub may_be_copied: bool,
    /// How far the clock is ahead: for tests
    #[arg(skip)]
    pub clock_ahead_ms: Arc<AtomicI64>,
    /// How long a second of a lease lasts: for tests, which cannot wait for the shortest lease
    #[arg(skip = 1000u64)]
    pub lease_second_ms: u64,
    /// How long a query may take that looks at many tasks
    #[arg(skip = 30_000u64)]
    pub query_ms_max: u64,
    /// How long a query keeps its transaction at most that looks at many tasks
    #[arg(skip = 50u64)]
    pub slice_ms_max: u64,
    /// Connections for reading
    #[arg(skip = 4usize)]
    pub readers: usize,
}
