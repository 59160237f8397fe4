//! The log of this process on standard error. A thread of its own writes it (`queue.rs`).
//!
//! Standard error may refuse a line, or take none for hours. So nothing here panics or waits
//! because of it. For the same reason the whole program avoids `eprintln!` and `println!`: both
//! panic when the write fails.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, TelemetryConfig};

pub use queue::LostLines;
use queue::{LogQueue, StandardError};

/// How long the program's end waits for the last lines.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The log of this process. There is one, as there is one standard error.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Installs the log of this process, and writes panics to it.
///
/// # Errors
/// When the filter is invalid, or a log is already installed.
pub fn init(config: &TelemetryConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| {
        format!("--log {:?} is not a tracing filter, such as `info` or `taskhub=debug`", config.log)
    })?;
    // The library for agents tells of each call that it begins and ends, and warns of what a client did wrong.
    let filter = match config.log.contains("rmcp") {
        true => filter,
        false => filter.add_directive("rmcp=error".parse().expect("a directive")),
    };
    let queue = LogQueue::start(StandardError).context("cannot start a thread")?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match config.log_format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!(error)).context("cannot install the log")?;
    // A second `init` has failed above.
    let _ = QUEUE.set(queue);
    // The default hook writes to standard error itself, and blocks on it.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(thread = thread.name(), backtrace, "{panic}");
    }));
    Ok(())
}

/// Waits until all lines are written, for a second at most.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_PATIENCE);
    }
}

/// The number of lost lines of this process's log.
pub fn lost() -> LostLines {
    QUEUE.get().map(LogQueue::lost).unwrap_or_default()
}

/// Writes one line to standard error, if possible. A hub uses its log's queue, a command writes at
/// once.
pub fn say(words: &dyn Display) {
    let line = format!("taskhub: {words}\n");
    // If the write fails, there is no other place to report it.
    let _ = match QUEUE.get() {
        Some(queue) => queue.make_writer().write_all(line.as_bytes()),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}
