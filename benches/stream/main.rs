//! Measures the stream of a real hub: the release binary as a process of its own, on a port of the system's
//! choosing, with its data in a temporary directory (`TMPDIR` says where), over loopback.
//!
//! ```sh
//! cargo bench --bench stream                            # everything, one after the other: about two minutes
//! cargo bench --bench stream -- resume                  # one scenario, with its usual load
//! cargo bench --bench stream -- stalled --clients 2000 --stalled 0,5 --rounds 5
//! cargo bench --bench stream -- --quick                 # everything, small: does it work?
//! ```
//!
//! - `resume`: How fast does a client get a long log from its first event to the head, while others write? What
//!   does that cost the hub in memory and CPU? Do eight at once share fairly? What does a filter cost that
//!   matches one event in a thousand?
//! - `stalled`: Do clients that never read cost the others anything? The same load with none, a few and many of
//!   them, in rounds that alternate, so that noise hits all alike.
//! - `drain`: How long does the hub take to end with many streams open? Is everybody told? Will they come back
//!   spread out?
//!
//! What a delivery costs, beside other servers, is what `cargo bench --bench fanout` measures.
//!
//! # What a figure means
//! - A **delivery** is one event that one client has received whole and in its place: every reader checks that
//!   seqs follow each other, and a gap, a repetition, a `reset` or a stream that ends early fails the run.
//!   Nothing is ever asserted about time.
//! - **Latency** runs from the moment the writer sends the request to the moment the reader finds the event
//!   in what it received: HTTP, commit with fsync, fan-out to everybody before it, and the reader's own turn.
//!   One clock for both, since both are in this process.
//! - **CPU** is what the kernel has charged to the hub, user and system; `bench CPU` is the same for this process. Both share the machine: where the two together come near the number of cores, the
//!   bench holds the hub back, and the figure is a lower bound.
//! - **Memory** is `RssAnon`: pages that belong to the hub alone. The kernel's socket buffers and the page cache
//!   are not in it. A peak is the largest of samples 20 ms apart. Before anything is measured the hub has served
//!   a few streams and writes, but no replay: what `resume` adds contains the caches of the store's connections
//!   for the stream, which are allocated once.
//! - A log is read from the page cache, since it has just been written.
//!
//! Run it on a machine that does nothing else. A run without `--bench`, which cargo adds to `cargo bench`, is a
//! smoke run as with `--quick`; so `cargo test --bench stream` shows that the program works, on the debug build.
//!
//! All load is bounded in count and in time, and the hub is killed when the bench fails or is interrupted.

mod drain;
mod log;
mod publisher;
mod readers;
mod resume;
mod stalled;
mod start;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rig::interrupt;

#[derive(Debug, Parser)]
#[command(name = "stream", about = "Measures the stream of a real hub")]
struct Cli {
    #[command(subcommand)]
    scenario: Option<Scenario>,
    /// Shrink everything to see that it works; the figures mean nothing
    #[arg(long, global = true)]
    quick: bool,
    /// Given by `cargo bench`
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// A long log, read from its first event to the head
    Resume(resume::Options),
    /// Readers beside clients that never read
    Stalled(stalled::Options),
    /// SIGTERM with many streams open
    Drain(drain::Options),
}

impl Scenario {
    /// Every scenario with its usual load.
    fn all() -> Vec<Self> {
        vec![
            Self::Resume(resume::Options::default()),
            Self::Stalled(stalled::Options::default()),
            Self::Drain(drain::Options::default()),
        ]
    }

    fn run(self, quick: bool) -> anyhow::Result<()> {
        match self {
            Self::Resume(options) => resume::run(options, quick),
            Self::Stalled(options) => stalled::run(options, quick),
            Self::Drain(options) => drain::run(options, quick),
        }
    }
}

fn main() -> ExitCode {
    match measure(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(Cli { scenario, quick, bench }: Cli) -> anyhow::Result<()> {
    interrupt::arm()?;
    let quick = quick || !bench;
    if quick {
        println!("A smoke run: the load is small and the figures mean nothing.\n");
    }
    for scenario in scenario.map_or_else(Scenario::all, |one| vec![one]) {
        scenario.run(quick)?;
    }
    Ok(())
}
