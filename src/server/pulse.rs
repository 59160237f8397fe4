//! How lively a connection of HTTP/2 is: whether it has requests, and whether their answers are taken.
//!
//! Answers are handed over in small pieces, so that little is left of one when the last piece has been asked for.
//!
//! A peer of HTTP/2 that takes no bytes of its answers can be told from one that has gone only here: its socket is
//! well, it answers pings, and it has closed the windows of its streams. An answer that it does not take is given up alone:
//! the others on its connection go on. (A tab of a browser that reads one answer no further shares its connection with
//! all other tabs.)

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::peer::{Ending, Fate};

use super::exchange;

/// What is handed over at once, and so what nobody here knows to be on its way at the end of an answer. A frame.
const PIECE_BYTES: usize = 16 << 10;

tokio::task_local! {
    /// Cancelled when the answer that this task sends is given up.
    static GIVEN_UP: CancellationToken;
}

/// Has a request answered, until the answer is [given up](Pulse::give_up).
pub(super) async fn until_given_up<F: Future<Output = ()>>(request: F) {
    let given_up = CancellationToken::new();
    let request = given_up.clone().run_until_cancelled_owned(request);
    GIVEN_UP.scope(given_up, request).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is no request.
    Idle,
    /// The hub has something to do, or nothing to say.
    Busy,
    /// An answer waits for the client to take what it was given.
    Stalled,
}

/// The pulse of one connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    /// Requests that have come and are not over.
    open: u32,
    /// Those of their answers which were not asked for more, in the order in which they have last been given something.
    waiting: BTreeMap<u64, Waiting>,
    /// Counts how often that was.
    given: u64,
    /// Whether there ever was one.
    has_begun: bool,
    /// When the number of requests last changed.
    since: Instant,
}

/// An answer that waits for its client to take what it was given.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    request: Fate,
    given_up: Option<CancellationToken>,
}

impl Default for Pulse {
    fn default() -> Self {
        let (waiting, since) = (BTreeMap::new(), Instant::now());
        Self(Arc::new(Mutex::new(Beats { open: 0, waiting, given: 0, has_begun: false, since })))
    }
}

impl Pulse {
    /// How it stands, and since when: an answer waits on its own, however lively the others are.
    pub fn state(&self) -> (State, Instant) {
        let beats = self.beats();
        match beats.waiting.first_key_value() {
            _ if beats.open == 0 => (State::Idle, beats.since),
            Some((_, longest)) => (State::Stalled, longest.since),
            None => (State::Busy, beats.since),
        }
    }

    /// Gives the answers up that have waited since `then` or longer.
    pub fn give_up(&self, then: Instant) {
        let mut beats = self.beats();
        while let Some(longest) = beats.waiting.first_entry().filter(|it| it.get().since <= then) {
            let Waiting { request, given_up, .. } = longest.remove();
            request.note(Ending::TimedOut);
            if let Some(given_up) = given_up {
                given_up.cancel();
            }
        }
    }

    /// Whether there ever was a request.
    pub fn has_begun(&self) -> bool {
        self.beats().has_begun
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
    /// Its number among those that wait for their client.
    waits: Option<u64>,
}

impl Watch {
    pub fn new(pulse: &Pulse, connection: &Fate) -> Self {
        let mut beats = pulse.beats();
        beats.open += 1;
        (beats.has_begun, beats.since) = (true, Instant::now());
        drop(beats);
        Self { pulse: pulse.clone(), connection: connection.clone(), request: Fate::default(), waits: None }
    }

    /// How the request ends.
    pub fn fate(&self) -> Fate {
        self.request.clone()
    }

    pub fn over(self, body: exchange::Body) -> Watched {
        Watched { watch: self, rest: Bytes::new(), body }
    }

    fn was_asked(&mut self) {
        if let Some(number) = self.waits.take() {
            self.pulse.beats().waiting.remove(&number);
        }
    }

    fn was_given_something(&mut self) {
        let mut beats = self.pulse.beats();
        beats.given += 1;
        let number = beats.given;
        let waiting = Waiting {
            since: Instant::now(),
            request: self.request.clone(),
            given_up: GIVEN_UP.try_with(CancellationToken::clone).ok(),
        };
        beats.waiting.insert(number, waiting);
        drop(beats);
        self.waits = Some(number);
    }
}

impl Drop for Watch {
    /// Before the body, which tells others of its end.
    fn drop(&mut self) {
        self.was_asked();
        let mut beats = self.pulse.beats();
        beats.open -= 1;
        beats.since = Instant::now();
        drop(beats);
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
        self.watch.was_asked();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        self.watch.was_given_something();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_nobody_takes_is_seen_beside_lively_ones() {
        let pulse = Pulse::default();
        assert_eq!(pulse.state().0, State::Idle);
        let [mut lively, mut stuck] = [0, 1].map(|_| Watch::new(&pulse, &Fate::default()));
        assert_eq!(pulse.state().0, State::Busy);
        stuck.was_given_something();
        let stuck_since = pulse.state();
        for _ in 0..3 {
            lively.was_given_something();
            assert_eq!(pulse.state(), stuck_since);
            lively.was_asked();
        }
        assert_eq!(stuck_since.0, State::Stalled);
        stuck.was_asked();
        assert_eq!(pulse.state().0, State::Busy);
        stuck.was_given_something();
        drop(stuck);
        assert_eq!(pulse.state().0, State::Busy);

        let mut stuck = Watch::new(&pulse, &Fate::default());
        stuck.was_given_something();
        let (stuck_since, fate) = (pulse.state().1, stuck.fate());
        lively.was_given_something();
        pulse.give_up(stuck_since);
        assert_eq!(fate.ending(), Ending::TimedOut);
        lively.was_asked();
        assert_eq!(pulse.state().0, State::Busy, "the lively one is not given up");
        drop(stuck);
        drop(lively);
        assert_eq!(pulse.state().0, State::Idle);
    }
}
