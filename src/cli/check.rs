//! `taskhub check`: checks whether the database is intact.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::store::Store;
use crate::telemetry::say;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The hub's data directory
    #[arg(long, env = "TASKHUB_DATA_DIR", default_value = "taskhub-data", value_name = "DIR")]
    data_dir: PathBuf,
}

/// Reads the whole database, whether a hub runs or not. Exit code 0: it is intact. 1: it is
/// damaged, and the first fault is printed.
///
/// # Errors
/// With a message for the operator, when the database cannot be read.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    match Store::examine(&args.data_dir)? {
        None => {
            say(&"the database is whole");
            Ok(ExitCode::SUCCESS)
        }
        Some(words) => {
            say(&format_args!("the database is damaged: {words}; restore a backup"));
            Ok(ExitCode::FAILURE)
        }
    }
}
