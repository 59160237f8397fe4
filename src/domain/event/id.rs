//! Positions in the event log: the ids of events, which are also the cursors of clients.

use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::MetaSchema;

use crate::domain::schema::text_type;

/// Identifies one incarnation of the event log: 8 hex digits, drawn when the log is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The position of an event in the log, and the cursor of a client that has seen it: `{epoch}-{seq}`.
///
/// `seq` is gap-free, starts at 1 and is never reused; 0 stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    pub epoch: Epoch,
    pub seq: u64,
}

impl EventId {
    pub fn new(epoch: Epoch, seq: u64) -> Self {
        Self { epoch, seq }
    }

    fn meta() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[0-9a-f]{8}-[0-9]{1,19}$".into()),
            example: Some("7c1e9a42-1042".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (epoch, seq) = text.split_once('-')?;
            let digits = |text: &str, ok: fn(&u8) -> bool| text.bytes().all(|b| ok(&b));
            let canonical = epoch.len() == 8
                && digits(epoch, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
                && matches!(seq.len(), 1..=19)
                && digits(seq, u8::is_ascii_digit)
                && (seq == "0" || !seq.starts_with('0'));
            canonical.then_some(())?;
            let epoch = Epoch(u32::from_str_radix(epoch, 16).ok()?);
            Some(Self::new(epoch, seq.parse().ok().filter(|seq| *seq <= i64::MAX as u64)?))
        };
        parse().ok_or_else(|| "expected an event id such as 7c1e9a42-1042".to_owned())
    }
}

text_type!(EventId, "event_id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_has_one_spelling() {
        let id = EventId::new(Epoch(0x7c1e9a42), 1042);
        assert_eq!(id.to_string(), "7c1e9a42-1042");
        assert_eq!("7c1e9a42-1042".parse(), Ok(id));
        for odd in [
            "",
            "-",
            "7c1e9a42",
            "7c1e9a42-",
            "7c1e9a42-01",
            "7C1E9A42-1",
            "7c1e9a4-1",
            "7c1e9a42-+1",
            "7c1e9a42-9999999999999999999",
            "+c1e9a42-1",
            "7c1e9a42-1-1",
        ] {
            assert!(odd.parse::<EventId>().is_err(), "{odd:?}");
        }
    }
}
