//! Time as TaskHub writes it: milliseconds, UTC, always with `Z`.
//!
//! The only place that may ask what time it is; everything else is handed a [`Timestamp`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use poem_openapi::registry::MetaSchema;

use super::schema::text_type;

/// Milliseconds since the Unix epoch, written as RFC 3339 with exactly three digits and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// From milliseconds since the Unix epoch; out-of-range values (beyond year 262142) become the epoch.
    pub fn from_ms(ms: i64) -> Self {
        Self(Utc.timestamp_millis_opt(ms).single().map_or(0, |_| ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to this, never negative.
    pub fn ms_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).max(0)
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
    fn is_written_with_milliseconds_and_z_and_read_in_any_offset() {
        let time: Timestamp = "2025-06-22T12:00:00.5+02:00".parse().expect("valid");
        assert_eq!(time.to_string(), "2025-06-22T10:00:00.500Z");
        assert_eq!(Timestamp::from_ms(time.ms()), time);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
