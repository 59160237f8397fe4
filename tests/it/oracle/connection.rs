//! One connection, spoken by hand: it can be cut after any byte, over HTTP/1.1 with all that HTTP adds counted, and can
//! have a receive buffer, or a window, so small that not reading is felt by the hub.

use std::io;
use std::net::SocketAddr;

use crate::parser::Parser;

use super::way::{Ask, Piece, Way};

pub struct Connection {
    way: Way,
    /// Bytes until it is cut.
    until_cut: usize,
    format: Format,
}

/// How the messages come out of the body.
pub enum Format {
    Sse(Box<Parser>),
    /// What there is of the next line.
    Lines(Vec<u8>),
}

/// A message as it stands on the wire.
pub struct Arrived {
    /// `id:` and `event:` of the frame; a line has none.
    pub frame: Option<(String, String)>,
    pub raw: String,
}

pub enum Read {
    Messages(Vec<Arrived>),
    /// The hub has ended the stream in order. With what was left over of a message.
    End {
        torn: bool,
    },
    /// The connection broke off.
    Broken,
    /// We have cut it.
    Cut {
        torn: bool,
    },
}

impl Connection {
    pub async fn open(address: SocketAddr, ask: &Ask, format: Format, until_cut: usize) -> io::Result<Self> {
        Ok(Self { way: Way::open(address, ask).await?, until_cut, format })
    }

    /// No cut any more, and no small buffer.
    pub fn spare(&mut self) {
        self.until_cut = usize::MAX;
        self.way.spare();
    }

    /// # Cancel safety
    /// Nothing is lost: it waits only for the socket.
    pub async fn read(&mut self) -> Read {
        if self.until_cut == 0 && !self.way.is_over() {
            return Read::Cut { torn: self.format.is_torn() };
        }
        match self.way.read(self.until_cut).await {
            Piece::End => Read::End { torn: self.format.is_torn() },
            Piece::Broken => Read::Broken,
            Piece::Body { bytes, count } => {
                self.until_cut -= count;
                Read::Messages(self.format.feed(&bytes))
            }
        }
    }
}

impl Format {
    pub fn sse() -> Self {
        Self::Sse(Box::default())
    }

    fn is_torn(&self) -> bool {
        match self {
            Self::Sse(parser) => !parser.is_between_messages(),
            Self::Lines(line) => !line.is_empty(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Arrived> {
        match self {
            Self::Sse(parser) => {
                parser.feed(bytes);
                let frame = |it: crate::parser::Message| Arrived {
                    frame: Some((it.last_event_id, it.kind)),
                    raw: it.data,
                };
                parser.messages.drain(..).map(frame).collect()
            }
            Self::Lines(line) => {
                line.extend_from_slice(bytes);
                let mut found = Vec::new();
                while let Some(end) = line.iter().position(|&byte| byte == b'\n') {
                    let rest = line.split_off(end + 1);
                    let whole = std::mem::replace(line, rest);
                    let raw = String::from_utf8(whole).expect("UTF-8").trim_end_matches('\n').to_owned();
                    // An empty line keeps the connection alive.
                    if !raw.is_empty() {
                        found.push(Arrived { frame: None, raw });
                    }
                }
                found
            }
        }
    }
}
