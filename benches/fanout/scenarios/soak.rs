//! `soak`: half of what the hub can do, for minutes or hours. Memory, descriptors and the write-ahead log are
//! looked at all the time; whether they stay flat is for the reader to say, but every event must come in its place.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rig::figures::{Histogram, count, milliseconds, plain};
use rig::process::need_descriptors;
use rig::report::{Sample, Section};

use crate::bench::Bench;
use crate::servers::Server;
use rig::load_client::{LoadClient, Tally};
use rig::publisher::Publisher;

/// Lines of the table, however long it takes.
const LINES: u32 = 60;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Clients that read
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    clients: u32,
    /// Events each second; about half of the core that the server has, by the share of CPU in the table
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        ensure!(self.minutes > 0.0 && self.minutes <= 24.0 * 60.0, "between 0 and 1440 --minutes");
        need_descriptors(self.clients as usize)?;
        for kind in bench.hubs() {
            let title = format!(
                "soak: {}, {} events/s to {} clients for {} minutes",
                kind.name(),
                self.rate,
                count(self.clients.into()),
                plain(self.minutes)
            );
            println!("{title}\n");
            let server = kind.start(&bench.cores)?;
            let mut section = Section::new(title);
            self.soak(&server, |sample| section.note("over time", sample))?;
            bench.show(section);
        }
        Ok(())
    }

    fn soak(&self, server: &Server, mut note: impl FnMut(Sample)) -> anyhow::Result<()> {
        let mut load_client = LoadClient::new()?;
        load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
        load_client.open(self.clients as usize, |_| server.ask())?;
        load_client.publish_and_receive(3)?;
        load_client.tally = Tally::default();

        let length = Duration::from_secs_f64(self.minutes * 60.0);
        let started = Instant::now();
        let (mut published, mut seen_cpu, mut seen_at) = (0, server.process.cpu()?, started);
        let mut delivered = 0;
        println!("minute      RSS  open files        WAL    CPU        p50        p99    deliveries");
        for line in 1..=LINES {
            let until = started + length * line / LINES;
            while Instant::now() < until {
                let due = (started.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
                if published < due {
                    load_client.publish(1)?;
                    published += 1;
                }
                load_client.turn()?;
                ensure!(
                    load_client.tally.closed == 0,
                    "the hub has closed {} streams",
                    load_client.tally.closed
                );
            }
            let (cpu, now) = (server.process.cpu()?, Instant::now());
            let share = cpu.since(seen_cpu).total.as_secs_f64() / (now - seen_at).as_secs_f64() * 100.0;
            (seen_cpu, seen_at) = (cpu, now);
            let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (rss, wal) = (megabytes(server.process.resident_bytes()?), megabytes(wal_bytes(server)?));
            let open = server.process.descriptors()? as f64;
            let latency = std::mem::take::<Histogram>(&mut load_client.tally.latency);
            delivered = load_client.tally.delivered.max(delivered);
            println!(
                "{:6.1} {rss:5.1} MiB {open:11} {wal:6.1} MiB {share:4.0} % {:>10} {:>10} {:>13}",
                started.elapsed().as_secs_f64() / 60.0,
                milliseconds(latency.quantile(0.5)),
                milliseconds(latency.quantile(0.99)),
                count(delivered),
            );
            note(
                Sample::default()
                    .with("RSS MiB", rss)
                    .with("open files", open)
                    .with("WAL MiB", wal)
                    .with("CPU %", share)
                    .with("p99 ms", latency.quantile(0.99).as_secs_f64() * 1e3),
            );
        }
        load_client.receive(published * u64::from(self.clients))?;
        load_client.acknowledged()?;
        println!("{} deliveries, each in its place.\n", count(load_client.tally.delivered));
        Ok(())
    }
}

fn wal_bytes(server: &Server) -> anyhow::Result<u64> {
    let directory = server.directory.as_ref().context("the hub has a directory")?;
    Ok(std::fs::metadata(directory.path().join("taskhub.db-wal")).map_or(0, |file| file.len()))
}
