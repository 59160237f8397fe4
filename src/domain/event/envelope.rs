//! The envelope: the one form of every message, and the only code that encodes it.

use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::domain::clock::Timestamp;

/// Writes JSON in which every line break is escaped. JSON allows U+0085, U+2028 and U+2029 as they
/// are, but many readers of lines end a line there (`str.splitlines` in Python, and libraries that
/// use it).
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

/// `{id, event, data, timestamp}`, in this order. The `id` is the client's cursor after this
/// message: an [`EventId`](super::EventId), or a byte of a log.
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

/// Encodes a part of an envelope with the same rules as a whole one.
pub fn encode(part: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = Serializer::with_formatter(&mut bytes, OneLine);
    part.serialize(&mut serializer).expect("an envelope has string keys and no fallible parts");
    bytes.into()
}
