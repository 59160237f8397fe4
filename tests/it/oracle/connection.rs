//! One connection, spoken by hand: it can be cut after any byte, with all that HTTP adds counted, and can
//! have a receive buffer so small that not reading is felt by the hub.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::http1::Response;
use crate::parser::Parser;

/// Bytes read at once.
const READ_BYTES_MAX: usize = 16 << 10;
const SMALL_BUFFER_BYTES: u32 = 8 << 10;
const LARGE_BUFFER_BYTES: usize = 1 << 20;
/// A segment must fit several times, or the kernel waits for its timers.
const SMALL_SEGMENT_BYTES: u32 = 1 << 10;

pub struct Connection {
    socket: TcpStream,
    /// Bytes until it is cut.
    until_cut: usize,
    response: Response,
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
    pub async fn open(
        address: SocketAddr,
        request: &str,
        format: Format,
        until_cut: usize,
        small_buffer: bool,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if small_buffer {
            socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
            socket2::SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT_BYTES)?;
        }
        let mut socket = socket.connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        Ok(Self { socket, until_cut, response: Response::default(), format })
    }

    /// No cut any more, and no small buffer, which would make the rest a long wait.
    pub fn spare(&mut self) {
        self.until_cut = usize::MAX;
        // One that cannot be made larger is slow, and no more than that.
        let _ = socket2::SockRef::from(&self.socket).set_recv_buffer_size(LARGE_BUFFER_BYTES);
    }

    /// # Cancel safety
    /// Nothing is lost: it waits only for the socket.
    pub async fn read(&mut self) -> Read {
        if self.response.is_over() {
            return Read::End { torn: self.format.is_torn() };
        }
        if self.until_cut == 0 {
            return Read::Cut { torn: self.format.is_torn() };
        }
        let mut bytes = vec![0; READ_BYTES_MAX.min(self.until_cut)];
        let count = match self.socket.read(&mut bytes).await {
            Ok(0) | Err(_) => return Read::Broken,
            Ok(count) => count,
        };
        self.until_cut -= count;
        let body = self.response.feed(&bytes[..count]);
        Read::Messages(self.format.feed(&body))
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
