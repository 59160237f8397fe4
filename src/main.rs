//! The binary: parse, run, report.

use std::process::ExitCode;

use clap::Parser;
use taskhub::cli::Cli;
use tikv_jemallocator::Jemalloc;

/// A crowd that connects leaves holes behind in the memory that it shared with what stays: 1.6 KiB a client with the
/// usual allocator, 0.24 with this one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("taskhub: {error:#}");
            ExitCode::FAILURE
        }
    }
}
