//! The one form of every message, and its only encoder.

use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::domain::clock::Timestamp;

/// JSON in which every line break is escaped, also those that JSON does not ask for: U+0085, U+2028 and U+2029
/// end a line for many who read a stream line by line (`str.splitlines` in Python, and what is built on it).
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{85}', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            let break_ = from.chars().next().unwrap_or_default();
            write!(writer, "{before}\\u{:04x}", u32::from(break_))?;
            rest = &from[break_.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// `{id, event, data, timestamp}`: the one form of every message, in this order. The id is the cursor at which the
/// stream stands after it: an [`EventId`](super::EventId), or a byte of a log.
#[derive(Debug, Serialize)]
pub struct Envelope<'a, I, D> {
    pub id: I,
    pub event: &'a str,
    pub data: D,
    pub timestamp: Timestamp,
}

impl<I: Serialize, D: Serialize> Envelope<'_, I, D> {
    /// One line of JSON, without a line break of any kind.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }
}

/// A part of an envelope, as one is encoded.
pub fn encode(part: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = Serializer::with_formatter(&mut bytes, OneLine);
    part.serialize(&mut serializer).expect("an envelope has string keys and no fallible parts");
    bytes.into()
}
