//! One HTTP/1.1 connection that is kept and does not wait: requests go in one after the other, answers are read as
//! they come.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, bail, ensure};
use memchr::memmem;

/// A connection with what is still to be sent over it and what has come so far.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    out: Vec<u8>,
    sent: usize,
    answers: Vec<u8>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    pub fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(server).context("cannot connect")?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, out: Vec::new(), sent: 0, answers: Vec::new() })
    }

    /// Where a request is to be written; [`Connection::flush`] sends it.
    pub fn request(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Sends what the kernel takes.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads until there is nothing left, and hands on the body of each answer.
    ///
    /// # Errors
    /// When the server has refused a request or closed the connection.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut bytes = [0; 16 << 10];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => bail!("the server has closed a connection for requests"),
                Ok(count) => self.answers.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
        let mut read = 0;
        while let Some(length) = answer(&self.answers[read..], &mut each)? {
            read += length;
        }
        self.answers.drain(..read);
        Ok(())
    }
}

/// Takes the first answer, if it is whole, and says how long it is.
fn answer(bytes: &[u8], each: &mut impl FnMut(&[u8])) -> anyhow::Result<Option<usize>> {
    let Some(head_end) = memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..head_end]).context("a head that is not text")?;
    ensure!(head.starts_with("HTTP/1.1 2"), "refused: {}", String::from_utf8_lossy(bytes));
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let body = &bytes[head_end + 4..];
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        let Some((content, length)) = unchunked(body)? else {
            return Ok(None);
        };
        each(&content);
        return Ok(Some(head_end + 4 + length));
    }
    // Without a length there is no body: 204.
    let length = field("content-length").map_or(Ok(0), str::parse).context("a length that is no number")?;
    let Some(body) = body.get(..length) else {
        return Ok(None);
    };
    each(body);
    Ok(Some(head_end + 4 + length))
}

/// The content of a body in chunks without trailers, if it is whole, and how long the body is. RFC 9112, section 7.1.
fn unchunked(body: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let (mut content, mut read) = (Vec::new(), 0);
    loop {
        let Some(line) = memmem::find(&body[read..], b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&body[read..read + line])?;
        let size = usize::from_str_radix(size, 16).context("no size of a chunk")?;
        let data = read + line + 2;
        let Some(chunk) = body.get(data..data + size + 2) else {
            return Ok(None);
        };
        content.extend_from_slice(&chunk[..size]);
        read = data + size + 2;
        if size == 0 {
            return Ok(Some((content, read)));
        }
    }
}
