//! How a stream comes: over a socket of its own, or as one of HTTP/2's.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::RecvStream;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::http1::Response;

/// Bytes read at once.
const READ_BYTES_MAX: usize = 16 << 10;
const SMALL_BUFFER_BYTES: u32 = 8 << 10;
const LARGE_BUFFER_BYTES: usize = 1 << 20;
/// A segment must fit several times, or the kernel waits for its timers.
const SMALL_SEGMENT_BYTES: u32 = 1 << 10;

/// What a client asks for.
pub struct Ask {
    pub path: String,
    /// In lower case.
    pub headers: Vec<(&'static str, String)>,
    /// With prior knowledge.
    pub by_http2: bool,
    pub small_buffer: bool,
}

pub enum Way {
    Http1 {
        socket: TcpStream,
        response: Response,
    },
    Http2 {
        body: RecvStream,
        /// What has come and was not yet read.
        rest: Bytes,
        /// Dropped, it is cut.
        _connection: AbortOnDropHandle<Result<(), h2::Error>>,
    },
}

/// What was read, and how much counts towards a cut.
pub enum Piece {
    Body { bytes: Vec<u8>, count: usize },
    End,
    Broken,
}

impl Way {
    pub async fn open(address: SocketAddr, ask: &Ask) -> io::Result<Self> {
        match ask.by_http2 {
            true => Self::open_http2(address, ask).await,
            false => Self::open_http1(address, ask).await,
        }
    }

    async fn open_http1(address: SocketAddr, ask: &Ask) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if ask.small_buffer {
            socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
            socket2::SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT_BYTES)?;
        }
        let mut socket = socket.connect(address).await?;
        let mut request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n", ask.path);
        for (name, value) in &ask.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        socket.write_all(format!("{request}\r\n").as_bytes()).await?;
        Ok(Self::Http1 { socket, response: Response::default() })
    }

    async fn open_http2(address: SocketAddr, ask: &Ask) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        let mut builder = h2::client::Builder::new();
        if ask.small_buffer {
            builder.initial_window_size(SMALL_BUFFER_BYTES);
        }
        let (sender, connection) = builder.handshake::<_, Bytes>(socket).await.map_err(io::Error::other)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::get(format!("http://{address}{}", ask.path));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut sender = sender.ready().await.map_err(io::Error::other)?;
        let request = request.body(()).expect("a request");
        let (response, _) = sender.send_request(request, true).map_err(io::Error::other)?;
        let response = response.await.map_err(io::Error::other)?;
        assert_eq!(response.status(), 200, "a stream is always answered by 200");
        Ok(Self::Http2 { body: response.into_body(), rest: Bytes::new(), _connection: connection })
    }

    /// No small buffer any more, which would make the rest a long wait. A small window does not.
    pub fn spare(&self) {
        if let Self::Http1 { socket, .. } = self {
            // One that cannot be made larger is slow, and no more than that.
            let _ = socket2::SockRef::from(socket).set_recv_buffer_size(LARGE_BUFFER_BYTES);
        }
    }

    /// Whether the body has ended in order, and is known to have.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Http1 { response, .. } => response.is_over(),
            Self::Http2 { body, rest, .. } => rest.is_empty() && body.is_end_stream(),
        }
    }

    /// # Cancel safety
    /// Nothing is lost: it waits only for the socket.
    pub async fn read(&mut self, bytes_max: usize) -> Piece {
        match self {
            Self::Http1 { response, .. } if response.is_over() => Piece::End,
            Self::Http1 { socket, response } => {
                let mut bytes = vec![0; READ_BYTES_MAX.min(bytes_max)];
                match socket.read(&mut bytes).await {
                    Ok(0) | Err(_) => Piece::Broken,
                    Ok(count) => Piece::Body { bytes: response.feed(&bytes[..count]), count },
                }
            }
            Self::Http2 { body, rest, .. } => {
                if rest.is_empty() {
                    match body.data().await {
                        None => return Piece::End,
                        Some(Err(_)) => return Piece::Broken,
                        Some(Ok(bytes)) => *rest = bytes,
                    }
                    // What has ended meanwhile needs no room.
                    let _ = body.flow_control().release_capacity(rest.len());
                }
                let count = rest.len().min(bytes_max);
                Piece::Body { bytes: rest.split_to(count).to_vec(), count }
            }
        }
    }
}
