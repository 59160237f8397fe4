//! Figures: how they are gathered, and how they are shown.

use std::fmt;
use std::time::Duration;

/// Steps in each power of two: an answer is at most 1.6 % too small.
const STEPS: u64 = 64;
const STEPS_BITS: u32 = STEPS.ilog2();

/// Counts durations in buckets that grow with them, so that it stays small whatever it is given.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub fn note(&mut self, ns: u64) {
        let bucket = Self::bucket(ns);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn add(&mut self, other: &Self) {
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
    }

    /// The duration that `share` of all stay below.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        Duration::from_nanos(bucket.map_or(0, Self::floor))
    }

    fn bucket(ns: u64) -> usize {
        if ns < STEPS {
            return ns as usize;
        }
        let shift = ns.ilog2() - STEPS_BITS;
        (u64::from(shift) * STEPS + (ns >> shift)) as usize
    }

    /// The smallest duration of a bucket.
    fn floor(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        if bucket < STEPS {
            return bucket;
        }
        let shift = bucket / STEPS - 1;
        (STEPS + bucket % STEPS) << shift
    }
}

/// A table whose columns are as wide as they need to be.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![header.into_iter().map(str::to_owned).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max()
        };
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, figures to the right.
                match column {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// With a comma for each thousand.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|it| String::from_utf8_lossy(it)).collect();
    groups.join(",")
}

/// So many in a second.
pub fn rate(number: u64, time: Duration) -> String {
    count((number as f64 / time.as_secs_f64().max(1e-9)) as u64)
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

pub fn megabytes_rate(bytes: u64, time: Duration) -> String {
    megabytes((bytes as f64 / time.as_secs_f64().max(1e-9)) as u64)
}

pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// CPU time for each of `number`.
pub fn each(cpu: Duration, number: u64) -> String {
    format!("{:.2} µs", cpu.as_secs_f64() * 1e6 / (number as f64).max(1.0))
}

/// With three digits that mean something, or as many as it has before the point.
pub fn plain(number: f64) -> String {
    match number.abs() {
        size if size >= 1000.0 => count(number.round() as u64),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 1.0 => format!("{number:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{number:.3}"),
    }
}
