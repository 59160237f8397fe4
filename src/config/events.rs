//! The settings of the stream.

use clap::Args;

use crate::process::cores;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events")]
pub struct EventsConfig {
    /// A comment is sent on every stream this often, so that proxies and dead peers are noticed
    #[arg(long, env = "TASKHUB_KEEPALIVE_SECONDS", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keepalive_seconds: u64,
    /// Events held in memory for streams
    #[arg(long, env = "TASKHUB_RING_EVENTS_MAX", default_value_t = 65_536, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub ring_events_max: u64,
    /// Bytes of events held in memory for streams
    #[arg(long, env = "TASKHUB_RING_BYTES_MAX", default_value_t = 33_554_432, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub ring_bytes_max: u64,
    /// Threads that write to streams of plain HTTP/1.1; with 0 each is written by its connection (default: the number
    /// of cores)
    #[arg(long, env = "TASKHUB_FANOUT_THREADS", value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(0..=64))]
    pub fanout_threads: Option<u16>,
}

impl EventsConfig {
    /// How many threads write to the sockets of streams.
    pub fn fanout_threads(&self) -> usize {
        self.fanout_threads.map_or_else(cores, usize::from)
    }
}
