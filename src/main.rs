//! The binary: parse, run, report.

use std::process::ExitCode;

use clap::Parser;
use taskhub::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("taskhub: {error:#}");
            ExitCode::FAILURE
        }
    }
}
