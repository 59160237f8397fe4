//! The answer to a request for a stream as it comes out of a socket: the head, and a body in chunks.

/// RFC 9112, section 7.1: takes the head and the chunks apart.
#[derive(Default)]
pub struct Response {
    place: Place,
    line: Vec<u8>,
    is_chunked: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Place {
    #[default]
    Status,
    Header,
    Size,
    /// Bytes left of the chunk.
    Chunk(usize),
    AfterChunk,
    Trailer,
    Over,
}

impl Response {
    /// Whether the body has ended in order.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Whether the head has come.
    pub fn is_in_body(&self) -> bool {
        !matches!(self.place, Place::Status | Place::Header)
    }

    /// What of the body is in these bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(&byte) = bytes.first() {
            if let Place::Chunk(left) = self.place {
                let (part, rest) = bytes.split_at(left.min(bytes.len()));
                body.extend_from_slice(part);
                bytes = rest;
                self.place = match left - part.len() {
                    0 => Place::AfterChunk,
                    left => Place::Chunk(left),
                };
                continue;
            }
            bytes = &bytes[1..];
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.line)).expect("UTF-8");
            self.place = self.after(line.trim_end_matches('\r'));
        }
        body
    }

    fn after(&mut self, line: &str) -> Place {
        match self.place {
            Place::Status => {
                assert_eq!(line, "HTTP/1.1 200 OK", "a stream is always answered by 200");
                Place::Header
            }
            Place::Header if line.is_empty() => {
                assert!(self.is_chunked, "an endless body comes in chunks");
                Place::Size
            }
            Place::Header => {
                self.is_chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked");
                Place::Header
            }
            Place::Size => match usize::from_str_radix(line, 16).expect("the size of a chunk") {
                0 => Place::Trailer,
                size => Place::Chunk(size),
            },
            Place::AfterChunk => {
                assert!(line.is_empty(), "a chunk is followed by {line:?}");
                Place::Size
            }
            Place::Trailer => {
                assert!(line.is_empty(), "the end is followed by {line:?}");
                Place::Over
            }
            Place::Chunk(_) | Place::Over => panic!("after the end: {line:?}"),
        }
    }
}
