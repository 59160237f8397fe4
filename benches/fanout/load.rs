//! Publishing to a fresh server, alone and with many clients, and what each delivery costs.

use std::time::{Duration, Instant};

use rig::cores::Cores;
use rig::process::Cpu;
use rig::report::Sample;

use crate::servers::{Kind, Server};
use rig::load_client::{Ask, LoadClient, Tally};
use rig::marker::now_ns;
use rig::publisher::Publisher;

/// Events that get what a server allocates once out of the way.
const WARM_UP: u64 = 20;
/// What a server still has to do when the last event has been read: answering, tidying up.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// What is published, and to how many.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub clients: usize,
    pub events: u64,
    /// Events that are published at once.
    pub group: u64,
    /// Absent: the next group when everybody has the one before.
    pub per_second: Option<f64>,
    /// How many of the clients get each event; absent: all.
    pub reaches: Option<u64>,
}

/// What that was.
#[derive(Debug)]
pub struct Outcome {
    pub tally: Tally,
    pub cpu: Cpu,
    /// From the first event published to the last one read.
    pub time: Duration,
}

impl Load {
    /// Starts a server and measures it.
    pub fn measure(self, kind: Kind, cores: &Cores) -> anyhow::Result<Sample> {
        let server = kind.start(cores)?;
        let ask = server.ask();
        self.measure_on(&server, |_| ask.clone())
    }

    /// The ingest alone, with one client to see that it has come, and then with all.
    ///
    /// # Errors
    /// When the server fails.
    pub fn measure_on(self, server: &Server, ask: impl FnMut(usize) -> Ask) -> anyhow::Result<Sample> {
        let (alone, all) = self.run(server, ask)?;
        let deliveries = all.tally.delivered as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / deliveries;
        let share = self.events as f64 / self.alone().events as f64;
        let net = |of: fn(Cpu) -> Duration| {
            (of(all.cpu).as_secs_f64() - of(alone.cpu).as_secs_f64() * share) * 1e6 / deliveries
        };
        let latency = |share| all.tally.latency.quantile(share).as_secs_f64() * 1e3;
        let sample = Sample::default()
            .with("µs", micros(all.cpu.total))
            .with("net µs", net(|cpu| cpu.total))
            .with("net user µs", net(Cpu::user))
            .with("p50 ms", latency(0.5))
            .with("p99 ms", latency(0.99))
            .with("deliveries/s", deliveries / all.time.as_secs_f64())
            .with("events/read", deliveries / all.tally.reads as f64)
            .with("bytes/event", all.tally.bytes as f64 / deliveries);
        Ok(if all.tally.lost > 0 { sample.with("lost", all.tally.lost as f64) } else { sample })
    }

    /// Half of it is enough to know what publishing costs.
    fn alone(self) -> Self {
        let events = (self.events / 2).div_ceil(self.group) * self.group;
        Self { clients: 1, events, reaches: None, ..self }
    }

    fn run(self, server: &Server, mut ask: impl FnMut(usize) -> Ask) -> anyhow::Result<(Outcome, Outcome)> {
        let mut load_client = LoadClient::new()?;
        load_client.publish_over(Publisher::open(server.address, server.way.clone())?)?;
        load_client.open(1, |_| server.ask())?;
        load_client.publish_and_receive(WARM_UP)?;
        let alone = self.alone().publish(server, &mut load_client)?;
        // Who goes on as one of them, unless they ask for something else.
        let rest = match self.reaches {
            None => self.clients - 1,
            Some(_) => {
                load_client.leave();
                self.clients
            }
        };
        load_client.open(rest, &mut ask)?;
        if self.reaches.is_none() {
            load_client.publish_and_receive(3)?;
        }
        Ok((alone, self.publish(server, &mut load_client)?))
    }

    /// Publishes everything and waits until it has come.
    pub fn publish(self, server: &Server, load_client: &mut LoadClient) -> anyhow::Result<Outcome> {
        load_client.settle(AFTERWARDS)?;
        load_client.tally = Tally::default();
        let before = server.process.cpu()?;
        let (started, started_ns) = (Instant::now(), now_ns());
        let reaches = self.reaches.unwrap_or(self.clients as u64);
        let mut published = 0;
        while published < self.events {
            let group = self.group.min(self.events - published);
            if let Some(rate) = self.per_second {
                let due = Duration::from_secs_f64(published as f64 / rate);
                while started.elapsed() < due {
                    load_client.turn()?;
                }
            }
            load_client.publish(group)?;
            published += group;
            if self.per_second.is_none() {
                load_client.receive(published * reaches)?;
            }
        }
        load_client.receive(self.events * reaches)?;
        load_client.acknowledged()?;
        load_client.settle(AFTERWARDS)?;
        let cpu = server.process.cpu()?.since(before);
        let tally = std::mem::take(&mut load_client.tally);
        let time = Duration::from_nanos(tally.last_ns.saturating_sub(started_ns).max(1));
        Ok(Outcome { tally, cpu, time })
    }
}
