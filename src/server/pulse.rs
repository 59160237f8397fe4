//! How lively a connection of HTTP/2 is: whether it has requests, and whether their answers are taken.
//!
//! Answers are handed over in small pieces, so that little is left of one when the last piece has been asked for.
//!
//! A peer of HTTP/2 that takes no bytes of its answers can be told from one that has gone only here: its socket is
//! well, it answers pings, and it has closed the windows of its streams.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::peer::{Ending, Fate};

use super::exchange;

/// What is handed over at once, and so what nobody here knows to be on its way at the end of an answer. A frame.
const PIECE_BYTES: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is no request.
    Idle,
    /// The hub has something to do, or nothing to say.
    Busy,
    /// Every answer waits for the client to take what it was given.
    Stalled,
}

/// The pulse of one connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    /// Requests that have come and are not over.
    open: u32,
    /// Those of them whose answers have been given something, and have not been asked for more.
    waiting: u32,
    /// Whether there ever was one.
    has_begun: bool,
    /// When one of these last changed.
    since: Instant,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Beats { open: 0, waiting: 0, has_begun: false, since: Instant::now() })))
    }
}

impl Pulse {
    /// How it stands, and since when something has changed.
    pub fn state(&self) -> (State, Instant) {
        let beats = self.beats();
        let state = match (beats.open, beats.waiting) {
            (0, _) => State::Idle,
            (open, waiting) if open == waiting => State::Stalled,
            _ => State::Busy,
        };
        (state, beats.since)
    }

    /// Whether there ever was a request.
    pub fn has_begun(&self) -> bool {
        self.beats().has_begun
    }

    fn beat(&self, change: impl FnOnce(&mut Beats)) {
        let mut beats = self.beats();
        change(&mut beats);
        beats.since = Instant::now();
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

/// Watches one request until its answer is over.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Pulse,
    connection: Fate,
    request: Fate,
    is_waiting: bool,
}

impl Watch {
    pub fn new(pulse: &Pulse, connection: &Fate) -> Self {
        pulse.beat(|beats| {
            beats.open += 1;
            beats.has_begun = true;
        });
        Self {
            pulse: pulse.clone(),
            connection: connection.clone(),
            request: Fate::default(),
            is_waiting: false,
        }
    }

    /// How the request ends.
    pub fn fate(&self) -> Fate {
        self.request.clone()
    }

    pub fn over(self, body: exchange::Body) -> Watched {
        Watched { watch: self, rest: Bytes::new(), body }
    }

    fn set_waiting(&mut self, is_waiting: bool) {
        if std::mem::replace(&mut self.is_waiting, is_waiting) != is_waiting {
            self.pulse.beat(|beats| if is_waiting { beats.waiting += 1 } else { beats.waiting -= 1 });
        }
    }
}

impl Drop for Watch {
    /// Before the body, which tells others of its end.
    fn drop(&mut self) {
        self.set_waiting(false);
        self.pulse.beat(|beats| beats.open -= 1);
        self.request.note(match self.connection.ending() {
            // Its connection is well: it was given up by itself.
            Ending::Open => Ending::Closed,
            ending => ending,
        });
    }
}

/// The body of an answer, watched.
#[derive(Debug)]
pub(super) struct Watched {
    // Dropped first.
    watch: Watch,
    /// What is left of a larger piece.
    rest: Bytes,
    body: exchange::Body,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.watch.set_waiting(false);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        self.watch.set_waiting(true);
        let count = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// Asked for before the first piece alone.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
