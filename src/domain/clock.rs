//! Time as TaskHub writes it: milliseconds, UTC, always with `Z`.
//!
//! The only place that may ask what time it is; everything else is handed a [`Timestamp`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, SecondsFormat, TimeZone, Timelike, Utc};
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

/// Each event and each task has some, so their digits are set one by one: a general formatter took a twelfth of the
/// time of an answer.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        let Ok(year @ 0..=9999) = u32::try_from(time.year()) else {
            return f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true));
        };
        let mut text = *b"0000-00-00T00:00:00.000Z";
        set_digits(&mut text[0..4], year);
        set_digits(&mut text[5..7], time.month());
        set_digits(&mut text[8..10], time.day());
        set_digits(&mut text[11..13], time.hour());
        set_digits(&mut text[14..16], time.minute());
        set_digits(&mut text[17..19], time.second());
        set_digits(&mut text[20..23], time.timestamp_subsec_millis());
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

/// Writes the last digits of `number`, as many as there is room for.
fn set_digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
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

    #[test]
    fn is_written_as_chrono_writes_it() {
        const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;
        let odd = 7 * YEAR_MS / 10 + 123_456_789;
        let times =
            (-3000..12_000).map(|step| step * odd).chain([0, -1, 999, 951_782_399_999, 4_107_542_399_999]);
        for ms in times {
            let time = Utc.timestamp_millis_opt(ms).single().expect("in range");
            let written = time.to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(Timestamp::from_ms(ms).to_string(), written);
        }
    }
}
