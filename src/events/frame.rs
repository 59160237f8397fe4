//! Frames: encode an envelope for the wire. WHATWG HTML, section 9.2 (server-sent events); NDJSON.
//!
//! An envelope is one line of JSON with every control character escaped, so no text in a field can
//! end the line or inject a field. Ids and names are made by the hub; they hold neither line breaks
//! nor NUL.

use std::fmt::{Display, Write};

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::event::Envelope;

use super::control::GoodbyeData;

/// How long a client should wait before it reconnects after a loss without a goodbye.
pub const RETRY_MS: u64 = 3000;
/// At shutdown each client gets a random wait in this range, so that they reconnect spread out.
const GOODBYE_MS: std::ops::Range<u64> = 1000..5000;

/// The last chunk. An answer that ends without it is incomplete. RFC 9112, section 7.1.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// What ends a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The form of a client's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Server-sent events without `event:`, so that `onmessage` gets all of them.
    Sse,
    /// Server-sent events with `event:`, for `addEventListener`.
    NamedSse,
    /// One envelope a line.
    Ndjson,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Sse | Self::NamedSse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// Writes one message. `body` is its encoded envelope.
    pub fn write(self, out: &mut BytesMut, id: impl Display, event: &str, body: &[u8]) {
        match self {
            Self::Ndjson => {
                out.put_slice(body);
                out.put_u8(b'\n');
            }
            Self::Sse | Self::NamedSse => {
                out.put_slice(b"id: ");
                out.put_slice(id.to_string().as_bytes());
                if self == Self::NamedSse {
                    out.put_slice(b"\nevent: ");
                    out.put_slice(event.as_bytes());
                }
                out.put_slice(b"\ndata: ");
                out.put_slice(body);
                out.put_slice(b"\n\n");
            }
        }
    }

    /// Writes one message as a chunk of an HTTP/1.1 answer. Returns the length of the message.
    pub fn write_chunk(self, out: &mut BytesMut, id: impl Display, event: &str, body: &[u8]) -> usize {
        let id = id.to_string();
        let length = match self {
            Self::Ndjson => body.len() + "\n".len(),
            Self::Sse => "id: \ndata: \n\n".len() + id.len() + body.len(),
            Self::NamedSse => "id: \nevent: \ndata: \n\n".len() + id.len() + event.len() + body.len(),
        };
        put_chunk_size(out, length);
        self.write(out, id, event, body);
        out.put_slice(CHUNK_END);
        length
    }

    /// Shows that the connection is alive. Has no blank line: some parsers would take it for an
    /// empty message.
    pub fn keepalive(self) -> Bytes {
        match self {
            Self::Sse | Self::NamedSse => Bytes::from_static(b": keepalive\n"),
            Self::Ndjson => Bytes::from_static(b"\n"),
        }
    }

    /// How long a client should wait before it reconnects, as the first line of the next message.
    /// NDJSON has no such line.
    pub fn retry(self, retry_ms: u64) -> Bytes {
        match self {
            Self::Sse | Self::NamedSse => format!("retry: {retry_ms}\n").into(),
            Self::Ndjson => Bytes::new(),
        }
    }

    /// A control message with the id `id`.
    pub fn control(self, id: impl Display + Serialize, event: &str, data: impl Serialize) -> Bytes {
        let body = Envelope { id: &id, event, data, timestamp: Timestamp::now() }.encode();
        let mut out = BytesMut::with_capacity(body.len() + 64);
        self.write(&mut out, id, event, &body);
        out.freeze()
    }

    /// The goodbye for a client whose cursor is `id`, with a random wait before it reconnects.
    pub fn goodbye(self, id: impl Display + Serialize) -> Bytes {
        let mut random = [0; 8];
        // Without randomness all clients reconnect at the same time, which the hub survives.
        let _ = getrandom::fill(&mut random);
        let retry_ms = GOODBYE_MS.start + u64::from_le_bytes(random) % (GOODBYE_MS.end - GOODBYE_MS.start);
        let mut out = BytesMut::from(self.retry(retry_ms));
        out.extend_from_slice(&self.control(id, "goodbye", GoodbyeData { retry_ms }));
        out.freeze()
    }
}

/// `bytes` as a chunk of an answer of HTTP/1.1.
pub fn chunk(bytes: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(bytes.len() + CHUNK_BYTES);
    put_chunk_size(&mut out, bytes.len());
    out.put_slice(bytes);
    out.put_slice(CHUNK_END);
    out
}

/// Most bytes that a chunk adds to its content.
const CHUNK_BYTES: usize = 12;

fn put_chunk_size(out: &mut BytesMut, length: usize) {
    write!(out, "{length:x}\r\n").expect("memory takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Epoch, EventId};

    fn frame(format: Format) -> String {
        let mut out = BytesMut::new();
        format.write(&mut out, EventId::new(Epoch(1), 7), "task_updated", b"{}");
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_frame_has_no_event_line_unless_asked() {
        assert_eq!(frame(Format::Sse), "id: 00000001-7\ndata: {}\n\n");
        assert_eq!(frame(Format::NamedSse), "id: 00000001-7\nevent: task_updated\ndata: {}\n\n");
        assert_eq!(frame(Format::Ndjson), "{}\n");
    }

    #[test]
    fn a_chunk_says_how_long_its_message_is() {
        for format in [Format::Sse, Format::NamedSse, Format::Ndjson] {
            let mut out = BytesMut::new();
            let id = EventId::new(Epoch(1), 7);
            let length = format.write_chunk(&mut out, id, "task_updated", b"{\"a\":\"some text\"}");
            let text = String::from_utf8(out.to_vec()).expect("UTF-8");
            let (size, rest) = text.split_once("\r\n").expect("a size");
            assert_eq!(usize::from_str_radix(size, 16), Ok(length));
            assert_eq!(rest.strip_suffix("\r\n").map(str::len), Some(length), "{text:?}");
            assert_eq!(chunk(&rest.as_bytes()[..length]), out);
        }
    }
}
