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

use crate::close_reason::{CloseNote, CloseReason};

use super::dispatch;

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
pub(super) struct Activity(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
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
    request: CloseNote,
    given_up: Option<CancellationToken>,
}

impl Default for Activity {
    fn default() -> Self {
        let (waiting, since) = (BTreeMap::new(), Instant::now());
        Self(Arc::new(Mutex::new(Counts { open: 0, waiting, given: 0, has_begun: false, since })))
    }
}

impl Activity {
    /// How it stands, and since when: an answer waits on its own, however lively the others are.
    pub fn state(&self) -> (State, Instant) {
        let counts = self.counts();
        match counts.waiting.first_key_value() {
            _ if counts.open == 0 => (State::Idle, counts.since),
            Some((_, longest)) => (State::Stalled, longest.since),
            None => (State::Busy, counts.since),
        }
    }

    /// Gives the answers up that have waited since `then` or longer.
    pub fn give_up(&self, then: Instant) {
        let mut counts = self.counts();
        while let Some(longest) = counts.waiting.first_entry().filter(|it| it.get().since <= then) {
            let Waiting { request, given_up, .. } = longest.remove();
            request.note(CloseReason::TimedOut);
            if let Some(given_up) = given_up {
                given_up.cancel();
            }
        }
    }

    /// Whether there ever was a request.
    pub fn has_begun(&self) -> bool {
        self.counts().has_begun
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

/// Watches one request until its answer is over.
#[derive(Debug)]
pub(super) struct TrackedRequest {
    activity: Activity,
    connection: CloseNote,
    request: CloseNote,
    /// Its number among those that wait for their client.
    waits: Option<u64>,
}

impl TrackedRequest {
    pub fn new(activity: &Activity, connection: &CloseNote) -> Self {
        let mut counts = activity.counts();
        counts.open += 1;
        (counts.has_begun, counts.since) = (true, Instant::now());
        drop(counts);
        Self {
            activity: activity.clone(),
            connection: connection.clone(),
            request: CloseNote::default(),
            waits: None,
        }
    }

    /// How the request ends.
    pub fn close_note(&self) -> CloseNote {
        self.request.clone()
    }

    pub fn over(self, body: dispatch::Body) -> TrackedBody {
        TrackedBody { tracked: self, rest: Bytes::new(), body }
    }

    fn was_asked(&mut self) {
        if let Some(number) = self.waits.take() {
            self.activity.counts().waiting.remove(&number);
        }
    }

    fn was_given_something(&mut self) {
        let mut counts = self.activity.counts();
        counts.given += 1;
        let number = counts.given;
        let waiting = Waiting {
            since: Instant::now(),
            request: self.request.clone(),
            given_up: GIVEN_UP.try_with(CancellationToken::clone).ok(),
        };
        counts.waiting.insert(number, waiting);
        drop(counts);
        self.waits = Some(number);
    }
}

impl Drop for TrackedRequest {
    /// Before the body, which tells others of its end.
    fn drop(&mut self) {
        self.was_asked();
        let mut counts = self.activity.counts();
        counts.open -= 1;
        counts.since = Instant::now();
        drop(counts);
        self.request.note(match self.connection.close_reason() {
            // Its connection is well: it was given up by itself.
            CloseReason::Open => CloseReason::Closed,
            close_reason => close_reason,
        });
    }
}

/// The body of an answer, watched.
#[derive(Debug)]
pub(super) struct TrackedBody {
    // Dropped first.
    tracked: TrackedRequest,
    /// What is left of a larger piece.
    rest: Bytes,
    body: dispatch::Body,
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.tracked.was_asked();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        self.tracked.was_given_something();
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
        let activity = Activity::default();
        assert_eq!(activity.state().0, State::Idle);
        let [mut lively, mut stuck] = [0, 1].map(|_| TrackedRequest::new(&activity, &CloseNote::default()));
        assert_eq!(activity.state().0, State::Busy);
        stuck.was_given_something();
        let stuck_since = activity.state();
        for _ in 0..3 {
            lively.was_given_something();
            assert_eq!(activity.state(), stuck_since);
            lively.was_asked();
        }
        assert_eq!(stuck_since.0, State::Stalled);
        stuck.was_asked();
        assert_eq!(activity.state().0, State::Busy);
        stuck.was_given_something();
        drop(stuck);
        assert_eq!(activity.state().0, State::Busy);

        let mut stuck = TrackedRequest::new(&activity, &CloseNote::default());
        stuck.was_given_something();
        let (stuck_since, close_note) = (activity.state().1, stuck.close_note());
        lively.was_given_something();
        activity.give_up(stuck_since);
        assert_eq!(close_note.close_reason(), CloseReason::TimedOut);
        lively.was_asked();
        assert_eq!(activity.state().0, State::Busy, "the lively one is not given up");
        drop(stuck);
        drop(lively);
        assert_eq!(activity.state().0, State::Idle);
    }
}
