//! `drain`: SIGTERM with many streams open. Everybody should hear of it, soon, and be sent away for a time of
//! their own.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use rig::figures::{Table, count, megabytes, milliseconds, seconds};
use rig::hub::Clocks;
use rig::process::need_descriptors;

use crate::readers::{Ask, Reader, Readers};
use crate::start;

/// How long the hub may take to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The times to reconnect that the hub draws from.
const RETRY_MS: std::ops::Range<u64> = 1000..5000;
const BINS: u64 = 10;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Streams that are open [default: 4000]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    clients: Option<u16>,
}

pub fn run(options: Options, quick: bool) -> anyhow::Result<()> {
    let clients = usize::from(options.clients.unwrap_or(if quick { 200 } else { 4000 }));
    need_descriptors(clients)?;
    println!("drain: {} streams open, then SIGTERM\n", count(clients as u64));

    let directory = tempfile::tempdir()?;
    let mut hub = start::hub(directory.path(), &[])?;
    let opening = Instant::now();
    let mut readers = Readers::open(hub.address, &Ask::default(), clients, 1)?;
    readers.connected()?;
    let (opening, memory) = (opening.elapsed(), hub.private_bytes()?);

    let clocks = Clocks::start(&hub)?;
    let asked = Instant::now();
    hub.terminate()?;
    let (mut closed, mut gone, mut passed) = (None, None, clocks.read(&hub)?);
    while closed.is_none() || gone.is_none() {
        ensure!(asked.elapsed() < PATIENCE, "the hub has not ended within {PATIENCE:?}");
        readers.turn(&mut |_, _| {})?;
        if closed.is_none() && readers.readers.iter().all(Reader::closed) {
            closed = Some(asked.elapsed());
        }
        if gone.is_none() {
            // What can be read of a process that is about to go.
            passed = clocks.read(&hub).unwrap_or(passed);
            if let Some(status) = hub.ended()? {
                gone = Some(asked.elapsed());
                ensure!(status.success(), "the hub has ended with {status}");
            }
        }
    }

    let number =
        |which: fn(&Reader) -> bool| count(readers.readers.iter().filter(|it| which(it)).count() as u64);
    let mut table = Table::new(["", "drain"]);
    let mut row = |name: &str, figure| table.row([name.to_owned(), figure]);
    row("streams", count(clients as u64));
    row("opened in", seconds(opening));
    row("memory, all open", megabytes(memory));
    row("all closed after", milliseconds(closed.unwrap_or_default()));
    row("process gone after", milliseconds(gone.unwrap_or_default()));
    row("hub CPU", seconds(passed.hub));
    row("bench CPU", seconds(passed.bench));
    row("goodbye received", number(|reader| reader.goodbye));
    row("ended cleanly", number(Reader::ended_cleanly));
    println!("{table}");
    println!("{}", retries(&readers.readers));
    Ok(())
}

/// How the times to reconnect are spread.
fn retries(readers: &[Reader]) -> String {
    // Before its goodbye a stream has named a time for losses that nobody saw coming.
    let told: Vec<u64> = readers.iter().filter(|it| it.goodbye).filter_map(Reader::retry_ms).collect();
    let (least, most) = (told.iter().min(), told.iter().max());
    let width = (RETRY_MS.end - RETRY_MS.start) / BINS;
    let mut table = Table::new(["retry, ms", "clients"]);
    for first in RETRY_MS.step_by(width as usize) {
        let within = told.iter().filter(|it| (first..first + width).contains(it)).count();
        table.row([format!("{first}..{}", first + width), count(within as u64)]);
    }
    let outside = told.iter().filter(|it| !RETRY_MS.contains(it)).count();
    table.row(["outside".to_owned(), count(outside as u64)]);
    table.row(["least".to_owned(), count(least.copied().unwrap_or(0))]);
    table.row(["most".to_owned(), count(most.copied().unwrap_or(0))]);
    table.to_string()
}
