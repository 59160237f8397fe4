//! Every setting: its flag, its environment variable and its default. Each module gets its own section.
//!
//! Names carry their unit, and an upper bound ends in `_max`. The hub reads the settings once, at the start.

mod events;
mod executor;
mod server;
mod store;
mod telemetry;

pub use events::EventsConfig;
pub use executor::{DoneStatus, ExecutorConfig, SessionKind};
pub use server::{ForwardedHeader, Host, McpProfile, Origin, ServerConfig};
pub use store::StoreConfig;
pub use telemetry::{LogFormat, TelemetryConfig};

use std::path::PathBuf;

use clap::Args;

/// `taskhub serve`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    #[command(flatten)]
    pub server: ServerConfig,
    /// Where the database, logs and executions live; made when missing
    #[arg(long, env = "TASKHUB_DATA_DIR", default_value = "taskhub-data", value_name = "DIR")]
    pub data_dir: PathBuf,
    #[command(flatten)]
    pub store: StoreConfig,
    #[command(flatten)]
    pub events: EventsConfig,
    #[command(flatten)]
    pub executor: ExecutorConfig,
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// Let debuggers and core dumps at the hub's memory, which holds secrets
    #[arg(long, env = "TASKHUB_CORE_DUMPS")]
    pub core_dumps: bool,
}
