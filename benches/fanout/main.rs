//! Measures what a delivery costs: the hub beside a bare epoll server, a naive poem server, and the strongest
//! others that are installed (`benches/rivals/install`). All take turns, each repetition on fresh processes.
//!
//! ```sh
//! cargo bench --bench fanout                            # everything: about half an hour
//! cargo bench --bench fanout -- paced                   # one scenario, with its usual load
//! cargo bench --bench fanout -- burst --servers bare-batched,hand-off,body --reps 9 --json burst.json
//! cargo bench --bench fanout -- soak --minutes 60 --servers hand-off
//! cargo bench --bench fanout -- --quick                 # everything, small: does it work?
//! ```
//!
//! # What a figure means
//! - **µs** is the server's CPU time, by its own clock in the kernel, for each delivery: one event that one client
//!   has received whole and in its place. It includes the publishing: for the hub HTTP, validation, a durable
//!   commit and the answer. **net µs** is without: the same publishing to one client, measured just before on the
//!   same process, is subtracted. `× bare` sets either in proportion to a baseline, within each repetition; the
//!   median of the proportions is shown.
//! - **net user µs** is the part of that outside the kernel, by the kernel's count in steps of 10 ms: good to
//!   about a tenth where a repetition takes some tenths of a second.
//! - **p50, p99** run from the moment an event is published to the moment a client has read it. One clock.
//! - **events/read** is how many events a client gets at once: those of one write, or of several when it is slower
//!   than the server. Bursts are read on one core, and where that is the limit a server writes in more pieces: of
//!   `burst` look at the spread.
//! - **KiB/client** is what the resident memory (VmRSS) grows by.
//! - Figures are medians over the repetitions, with the least and the most in parentheses.
//!
//! Servers have one core for themselves, the load client another, which it keeps busy: a client that sleeps must
//! be woken, and that would be the server's time. `--server-cores` and `--client-core` choose.
//!
//! Order and completeness are checked for every event of every client. What the hub or a bare server gets wrong
//! fails the run; what others lose is shown. Nothing is ever asserted about time. All load is bounded in count and
//! in time, and the servers are killed when the bench fails or is interrupted.
//!
//! A run without `--bench`, which cargo adds to `cargo bench`, is a smoke run as with `--quick`.

mod bench;
mod load;
mod scenarios;
mod servers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use rig::cores::Cores;
use rig::interrupt;

use bench::Bench;
use scenarios::Scenario;
use servers::{Kind, Role};

#[derive(Debug, Parser)]
#[command(name = "fanout", about = "Measures what a delivery costs, beside other servers")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which servers, separated by commas [default: all]
    #[arg(long, global = true, value_enum, value_delimiter = ',')]
    servers: Vec<Kind>,
    /// Repetitions of everything [default: 5]
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: Option<u16>,
    /// Write all figures of all repetitions to a file
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cores of the servers, separated by commas [default: 1]
    #[arg(long, global = true, value_delimiter = ',')]
    server_cores: Vec<usize>,
    /// Core of the load client [default: 0]
    #[arg(long, global = true)]
    client_core: Option<usize>,
    /// Shrink everything to see that it works; the figures mean nothing
    #[arg(long, global = true)]
    quick: bool,
    /// Given by `cargo bench`
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Scenario),
    /// Be a server that is measured
    #[command(subcommand, hide = true)]
    Serve(Role),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanout: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let scenarios = match cli.command {
        Some(Command::Serve(role)) => return role.serve(),
        Some(Command::Measure(scenario)) => vec![scenario],
        None => Scenario::all(),
    };
    interrupt::arm()?;
    let quick = cli.quick || !cli.bench;
    if quick {
        println!("A smoke run: the load is small and the figures mean nothing.\n");
    }
    let kinds = if cli.servers.is_empty() { Kind::value_variants().to_vec() } else { cli.servers };
    let cores = Cores::assign(&cli.server_cores, cli.client_core)?;
    println!("{}\n", cores.describe());
    let repetitions = cli.reps.unwrap_or(if quick { 1 } else { 5 }).into();
    let mut bench = Bench { cores, repetitions, quick, kinds, sections: Vec::new() };
    let measured = scenarios.into_iter().try_for_each(|scenario| scenario.run(&mut bench));
    // What was finished before a failure is not lost.
    cli.json.map_or(Ok(()), |file| bench.write_json(&file))?;
    measured
}
