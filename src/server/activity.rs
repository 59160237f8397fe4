//! The activity of an HTTP/2 connection: whether it has requests, and whether the client reads
//! their answers.
//!
//! An HTTP/2 client may close the windows of its streams and still answer pings. The socket does
//! not show this. This module notices it: hyper stops asking the body for more. The hub then gives
//! up this answer alone; the others on its connection continue. (All tabs of a browser share one
//! connection.)
//!
//! hyper gets bodies in small pieces. So when hyper asks for more, the client has read nearly all
//! earlier pieces.

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

/// One piece of a body: a frame of HTTP/2. Nothing shows whether the client has read the last piece
/// of an answer.
const PIECE_BYTES: usize = 16 << 10;

tokio::task_local! {
    /// Cancelled when the hub gives up the answer that this task sends.
    static GIVEN_UP: CancellationToken;
}

/// Runs a request until its answer is complete or [given up](Activity::give_up).
pub(super) async fn until_given_up<F: Future<Output = ()>>(request: F) {
    let given_up = CancellationToken::new();
    let request = given_up.clone().run_until_cancelled_owned(request);
    GIVEN_UP.scope(given_up, request).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is no request.
    Idle,
    /// A handler works, or a stream has nothing to send.
    Busy,
    /// An answer waits until the client reads what was sent.
    Stalled,
}

/// The activity of one connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    /// Requests in progress.
    open: u32,
    /// Answers that hyper does not ask for more, ordered by their last piece.
    waiting: BTreeMap<u64, Waiting>,
    /// Counts the pieces.
    given: u64,
    /// Whether there ever was a request.
    has_begun: bool,
    /// When the number of requests last changed.
    since: Instant,
}

/// An answer that waits until its client reads what was sent.
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
    /// The state, and since when. A single waiting answer makes the connection stalled, however
    /// active the others are.
    pub fn state(&self) -> (State, Instant) {
        let counts = self.counts();
        match counts.waiting.first_key_value() {
            _ if counts.open == 0 => (State::Idle, counts.since),
            Some((_, longest)) => (State::Stalled, longest.since),
            None => (State::Busy, counts.since),
        }
    }

    /// Gives up the answers that have waited since `then` or longer.
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
    /// Its key in the map of waiting answers.
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

    /// Records how the request ends.
    pub fn close_note(&self) -> CloseNote {
        self.request.clone()
    }

    /// Wraps the body of the answer.
    pub fn wrap(self, body: dispatch::Body) -> TrackedBody {
        TrackedBody { tracked: self, rest: Bytes::new(), body }
    }

    fn asked_for_more(&mut self) {
        if let Some(number) = self.waits.take() {
            self.activity.counts().waiting.remove(&number);
        }
    }

    fn gave_piece(&mut self) {
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
    /// Runs before the body is dropped, so that the body finds the reason recorded.
    fn drop(&mut self) {
        self.asked_for_more();
        let mut counts = self.activity.counts();
        counts.open -= 1;
        counts.since = Instant::now();
        drop(counts);
        self.request.note(match self.connection.close_reason() {
            // The connection is open, so the client or this hub ended only this request. A reason
            // recorded earlier stays.
            CloseReason::Open => CloseReason::Closed,
            close_reason => close_reason,
        });
    }
}

/// The body of an answer, with its activity recorded.
#[derive(Debug)]
pub(super) struct TrackedBody {
    // The first field, so that it is dropped first.
    tracked: TrackedRequest,
    /// The rest of a larger piece.
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
        self.tracked.asked_for_more();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        self.tracked.gave_piece();
        let count = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// hyper asks only before the first piece.
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
        stuck.gave_piece();
        let stuck_since = activity.state();
        for _ in 0..3 {
            lively.gave_piece();
            assert_eq!(activity.state(), stuck_since);
            lively.asked_for_more();
        }
        assert_eq!(stuck_since.0, State::Stalled);
        stuck.asked_for_more();
        assert_eq!(activity.state().0, State::Busy);
        stuck.gave_piece();
        drop(stuck);
        assert_eq!(activity.state().0, State::Busy);

        let mut stuck = TrackedRequest::new(&activity, &CloseNote::default());
        stuck.gave_piece();
        let (stuck_since, close_note) = (activity.state().1, stuck.close_note());
        lively.gave_piece();
        activity.give_up(stuck_since);
        assert_eq!(close_note.close_reason(), CloseReason::TimedOut);
        lively.asked_for_more();
        assert_eq!(activity.state().0, State::Busy, "the lively one is not given up");
        drop(stuck);
        drop(lively);
        assert_eq!(activity.state().0, State::Idle);
    }
}
