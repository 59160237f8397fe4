//! A histogram for very frequent events. The recorder of the other metrics is too slow for them: it
//! looks each metric up by name, and keeps every measurement until it is asked.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds: from a write that does not wait to a stalled
/// client.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

#[derive(Debug, Default)]
pub struct Latency {
    /// One more than the bounds: the last one counts longer times.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    pub fn note(&self, time: Duration) {
        self.note_all(time, 1);
    }

    /// Records the same time `count` times.
    pub fn note_all(&self, time: Duration, count: u64) {
        let us = time.as_micros() as u64;
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(count, Relaxed);
        self.sum_us.fetch_add(us * count, Relaxed);
    }

    /// The histogram in the text format of Prometheus. A bucket counts all times up to its bound.
    pub(super) fn render(&self, name: &str, words: &str) -> String {
        let mut text = format!("# HELP {name} {words}\n# TYPE {name} histogram\n");
        let mut count = 0;
        let bounds = BOUNDS_US.iter().map(|us| (*us as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count += bucket.load(Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let sum = self.sum_us.load(Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {count}\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measurement_is_counted_in_every_bucket_that_holds_it() {
        let latency = Latency::default();
        for time in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(60)] {
            latency.note(time);
        }
        let text = latency.render("x", "how long");
        for line in [
            "# TYPE x histogram",
            "x_bucket{le=\"0.00005\"} 1",
            "x_bucket{le=\"0.0005\"} 1",
            "x_bucket{le=\"0.001\"} 2",
            "x_bucket{le=\"30\"} 2",
            "x_bucket{le=\"+Inf\"} 3",
            "x_sum 60.001",
            "x_count 3",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }
}
