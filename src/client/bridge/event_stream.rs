//! Takes the data of each event out of a stream of Server-Sent Events, as its bytes arrive.
//!
//! Only the field `data` matters here: MCP names no events and this hub resumes none of them (WHATWG HTML §9.2.6).

use bytes::{Buf, BytesMut};

/// The largest event. A stream whose event does not end would fill the memory.
pub const EVENT_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
pub struct EventStream {
    buffer: BytesMut,
    /// How much of the buffer is known to have no end of a line: a long line that arrives in pieces is searched only once.
    searched: usize,
    data: Vec<u8>,
}

impl EventStream {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the next complete event that has any.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if let Some(value) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            } else if line.is_empty() && !self.data.is_empty() {
                return Some(std::mem::take(&mut self.data));
            }
        }
        self.searched = self.buffer.len();
        None
    }

    /// Whether the event that is being read is too large.
    pub fn is_too_long(&self) -> bool {
        self.buffer.len() + self.data.len() > EVENT_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_in_whatever_pieces_they_come() {
        let text = ": a comment\n\nid: 0\ndata:\n\ndata: {\"a\":\ndata: 1}\n\nevent: message\r\ndata:two\r\n\r\ndata: cut";
        for size in 1..=text.len() {
            let (mut stream, mut found) = (EventStream::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                stream.push(piece);
                while let Some(data) = stream.next() {
                    found.push(String::from_utf8(data).expect("UTF-8"));
                }
            }
            assert_eq!(found, ["{\"a\":\n1}", "two"], "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_noticed() {
        let (mut stream, mut bytes) = (EventStream::default(), 0);
        let line = [b"data: ", &[b'x'; 1 << 16][..], b"\n"].concat();
        while !stream.is_too_long() {
            stream.push(&line);
            assert_eq!(stream.next(), None);
            bytes += line.len();
        }
        assert!((EVENT_BYTES_MAX..EVENT_BYTES_MAX + 2 * line.len()).contains(&bytes), "{bytes}");
    }
}
