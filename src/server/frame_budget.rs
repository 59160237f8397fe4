//! Limits HTTP/2 frames that cost the hub work and lead to nothing: window updates, priorities,
//! unknown frames, empty data. Without it a client could keep a core busy as long as it likes (as
//! in CVE-2019-9511 to -9518). The library limits resets, pings, settings and continuations itself.
//!
//! A client that reads answers has to send window updates, about two for each frame. So written
//! bytes earn credit, and so does time: enough for every honest client, however slow.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::preface::PREFACE;

/// The most frames of credit: enough for a burst of small answers.
const CREDIT_MAX: u64 = 10_000;
/// Frames of credit for each second.
const CREDIT_PER_SECOND: u64 = 100;
/// Bytes written for each frame of credit: two frames for the smallest event.
const BYTES_PER_FRAME: usize = 64;

/// Bytes of a frame's head.
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// A socket whose read fails when the client has used up its credit.
#[derive(Debug)]
pub struct FrameBudget<S> {
    socket: S,
    frames: Frames,
}

/// Parses the heads of incoming frames.
#[derive(Debug)]
struct Frames {
    /// Bytes until the next head; at first the connection's preface.
    skip: usize,
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have arrived.
    filled: usize,
    credit: u64,
    /// Bytes written that have not become credit yet.
    written: usize,
    refilled_at: Instant,
}

impl<S> FrameBudget<S> {
    pub fn new(socket: S) -> Self {
        let frames = Frames {
            skip: PREFACE.len(),
            head: [0; HEAD_BYTES],
            filled: 0,
            credit: CREDIT_MAX,
            written: 0,
            refilled_at: Instant::now(),
        };
        Self { socket, frames }
    }
}

impl Frames {
    /// Parses bytes that were read; `false` when there are too many idle frames.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            (self.skip, bytes) = (self.skip - skipped, &bytes[skipped..]);
            let taken = (HEAD_BYTES - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            (self.filled, bytes) = (self.filled + taken, &bytes[taken..]);
            if self.filled == HEAD_BYTES {
                let [high, middle, low, kind, ..] = self.head;
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                (self.skip, self.filled) = (length, 0);
                if is_idle(kind, length) && !self.spend() {
                    return false;
                }
            }
        }
        true
    }

    fn spend(&mut self) -> bool {
        if self.credit == 0 {
            let seconds = self.refilled_at.elapsed().as_secs();
            if seconds > 0 {
                self.refilled_at = Instant::now();
            }
            self.earn(seconds.saturating_mul(CREDIT_PER_SECOND));
        }
        let is_there = self.credit > 0;
        self.credit = self.credit.saturating_sub(1);
        is_there
    }

    fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        self.earn((self.written / BYTES_PER_FRAME) as u64);
        self.written %= BYTES_PER_FRAME;
    }

    fn earn(&mut self, frames: u64) {
        self.credit = self.credit.saturating_add(frames).min(CREDIT_MAX);
    }
}

/// Whether a frame neither asks for something nor carries something.
fn is_idle(kind: u8, length: usize) -> bool {
    match kind {
        DATA => length == 0,
        PRIORITY | WINDOW_UPDATE => true,
        _ => kind > CONTINUATION,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameBudget<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        match self.frames.read(&buf.filled()[before..]) {
            true => Poll::Ready(Ok(())),
            false => Poll::Ready(Err(io::Error::other("too many frames that ask for nothing"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameBudget<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.frames.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, bytes))?;
        self.frames.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD_BYTES + usize::from(length), 7);
        frame
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let useful = [frame(DATA, 7), frame(1, 200), frame(4, 0)].concat();
        let all = [&PREFACE[..], &useful, &frame(WINDOW_UPDATE, 4), &useful, &frame(DATA, 0), &frame(99, 3)]
            .concat();
        for piece in [1, 2, 9, 10, 1000] {
            let mut frames = FrameBudget::new(()).frames;
            assert!(all.chunks(piece).all(|bytes| frames.read(bytes)));
            assert_eq!(frames.credit, CREDIT_MAX - 3, "pieces of {piece}");
        }
    }

    #[test]
    fn a_flood_ends_and_a_reader_goes_on() {
        let mut frames = FrameBudget::new(()).frames;
        frames.skip = 0;
        let update = frame(WINDOW_UPDATE, 4);
        for _ in 0..3 * CREDIT_MAX {
            frames.wrote(2 * BYTES_PER_FRAME);
            assert!(frames.read(&update) && frames.read(&update));
        }
        assert!((2..CREDIT_MAX).all(|_| frames.read(&update)));
        assert!(!frames.read(&update));
    }
}
