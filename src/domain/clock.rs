//! The clock: times as TaskHub writes them, in milliseconds, UTC, always with `Z`.
//!
//! Only this module asks the system for the date and time, except for the UUIDv7 of a new id. Other
//! modules work with a [`Timestamp`].
//!
//! The system's clock can be wrong, and somebody can set it. So the hub keeps three rules:
//! - The `seq` gives the order of the log. The times do not.
//! - When somebody sets the clock back, the times in the log go back too
//!   ([`Timestamp::following`]).
//! - The hub deletes by age only when two readings of the clock agree ([`ConfirmedClock`]).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use poem_openapi::registry::MetaSchema;

use super::schema::text_type;

/// When the clock goes back by at most this much, the log repeats its last time and waits for the
/// clock. So small corrections by NTP do not show in the log.
const STEP_MS: i64 = 5_000;
/// Two readings confirm each other when the time between them differs from the monotonic clock by
/// at most this much.
const CONFIRMED_WITHIN_MS: i64 = 60_000;

/// The system's clock. Tests can shift it. The clones of one clock share the shift.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock plus `ahead_ms`.
    pub fn ahead_by(ahead_ms: Arc<AtomicI64>) -> Self {
        Self { ahead_ms }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(Timestamp::now().0 + self.ahead_ms.load(Relaxed))
    }

    /// Sets how many milliseconds this clock is ahead of the system's clock. A negative value puts
    /// it behind.
    pub fn set_ahead_ms(&self, ms: i64) {
        self.ahead_ms.store(ms, Relaxed);
    }
}

/// A clock for deleting by age. It gives a time only when the reading before confirms it.
#[derive(Debug, Default)]
pub struct ConfirmedClock {
    clock: Clock,
    last: Option<(Timestamp, Instant)>,
}

impl ConfirmedClock {
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: None }
    }

    /// Reads the clock. Answers `None` at the first reading, and when somebody has set the clock or
    /// the machine has slept since the last reading.
    pub fn now(&mut self) -> Option<Timestamp> {
        let (now, at) = (self.clock.now(), Instant::now());
        let (before, before_at) = self.last.replace((now, at))?;
        let passed_ms = i64::try_from((at - before_at).as_millis()).unwrap_or(i64::MAX);
        ((now.0 - before.0) - passed_ms).abs().le(&CONFIRMED_WITHIN_MS).then_some(now)
    }
}

/// Milliseconds since the Unix epoch, written as RFC 3339 with exactly three digits and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// From milliseconds since the Unix epoch. A value out of range (beyond the year 262142)
    /// becomes the epoch.
    pub fn from_ms(ms: i64) -> Self {
        Self(Utc.timestamp_millis_opt(ms).single().map_or(0, |_| ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to this time. Never negative.
    pub fn ms_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).max(0)
    }

    /// The time to write after `before` when the clock says `self`. Usually that is the clock's
    /// time. When the clock is at most 5 seconds behind `before`, it is `before`. When the clock is
    /// further behind, somebody has set it back, and it is the clock's time again.
    #[must_use]
    pub fn following(self, before: Self) -> Self {
        match self.0 + STEP_MS < before.0 {
            true => self,
            false => self.max(before),
        }
    }

    fn meta() -> MetaSchema {
        MetaSchema {
            example: Some("2025-06-22T10:00:00.000Z".into()),
            ..MetaSchema::new_with_format("string", "date-time")
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| "expected an RFC 3339 time such as 2025-06-22T10:00:00Z".to_owned())
    }
}

text_type!(Timestamp, "timestamp");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_followed_and_a_small_correction_is_not() {
        let before = Timestamp::from_ms(100_000);
        for (clock, written) in [(100_001, 100_001), (99_999, 100_000), (95_000, 100_000), (94_999, 94_999)] {
            assert_eq!(Timestamp::from_ms(clock).following(before).ms(), written, "{clock}");
        }
    }

    #[test]
    fn a_time_is_confirmed_by_the_look_before() {
        let clock = Clock::default();
        let mut confirmed = ConfirmedClock::new(clock.clone());
        assert_eq!(confirmed.now(), None);
        assert!(confirmed.now().is_some());
        for ahead_ms in [400 * 86_400_000, 0] {
            clock.set_ahead_ms(ahead_ms);
            assert_eq!(confirmed.now(), None, "{ahead_ms}");
        }
        assert!(confirmed.now().is_some());
    }

    #[test]
    fn is_written_with_milliseconds_and_z_and_read_in_any_offset() {
        let time: Timestamp = "2025-06-22T12:00:00.5+02:00".parse().expect("valid");
        assert_eq!(time.to_string(), "2025-06-22T10:00:00.500Z");
        assert_eq!(Timestamp::from_ms(time.ms()), time);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
