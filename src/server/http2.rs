//! Serves HTTP/2 on a socket: with prior knowledge on a plain one, or as negotiated by TLS.
//!
//! A stream of events is always the body of an answer here, because no other code can write between
//! the frames of other answers. While its client's window is closed, hyper does not ask it for
//! more.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::user_timeout::UserTimeout;

use super::Serving;
use super::activity::{self, Activity, State, TrackedRequest};
use super::dispatch::Dispatch;
use super::frame_budget::FrameBudget;

/// Requests of one connection at once. Multiplies the memory that one request may hold. All tabs of
/// a browser share one connection.
const STREAMS_MAX: u32 = 128;
/// The same for a connection in the reserve.
const STREAMS_ON_RESERVE_MAX: u32 = 1;
/// Largest head of a request, as in HTTP/1.
const HEAD_BYTES_MAX: u32 = 32 << 10;
/// What a client may send before the hub reads it, on one stream and on all together: unread bodies
/// stay with their clients. It is the smallest window that every client must support.
const WINDOW_BYTES: u32 = 65_535;
/// Bytes of an answer that are kept for a client whose window is closed: a page of events, and the
/// rest of another.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Streams that a client may open and reset before the hub handles them. More end the connection:
/// each costs the hub a request and the client only a few bytes (CVE-2023-44487).
const RESETS_PENDING_MAX: usize = 32;
/// Streams that the hub resets because of a client's mistakes, before it ends the connection
/// (CVE-2025-8671).
const RESETS_OF_OURS_MAX: usize = 64;
/// The silence after which the hub pings a peer, and the time that the peer has to answer: as long
/// as for a peer that does not read. For a peer that is gone, the kernel notices the unacknowledged
/// ping sooner.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIME_MAX: Duration = Duration::from_secs(50);
/// The time that a connection without any request has to end after a GOAWAY. One that had a request
/// may still be sending the last piece of an answer, and has as long as any peer.
const GRACE_TIME_MAX: Duration = Duration::from_secs(3);

pub(super) async fn serve<S>(socket: S, dispatch: Dispatch, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { head_time_max: idle_time_max, shutdown, .. } = serving;
    let is_on_reserve = dispatch.is_on_reserve();
    let activity = Activity::default();
    let service = {
        let activity = activity.clone();
        service_fn(move |request: Request<Incoming>| {
            let tracked = TrackedRequest::new(&activity, &dispatch.close_note);
            let answering = dispatch.answer(request, tracked.close_note());
            async move { answering.await.map(|answer: Response<_>| answer.map(|body| tracked.wrap(body))) }
        })
    };
    let mut http = pin!(
        http2::Builder::new(Tracked(shutdown.tasks.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(if is_on_reserve { STREAMS_ON_RESERVE_MAX } else { STREAMS_MAX })
            .max_header_list_size(HEAD_BYTES_MAX)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buf_size(SEND_BYTES_MAX)
            .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
            .max_local_error_reset_streams(RESETS_OF_OURS_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIME_MAX)
            .serve_connection(TokioIo::new(FrameBudget::new(socket)), service)
    );
    // When the hub sent GOAWAY.
    let mut goaway_at: Option<Instant> = None;
    loop {
        let (state, since) = activity.state();
        // A connection in the reserve has had its one request.
        if is_on_reserve && goaway_at.is_none() && activity.has_begun() {
            goaway_at = Some(Instant::now());
            http.as_mut().graceful_shutdown();
        }
        let grace = if activity.has_begun() { UserTimeout::Usual.time() } else { GRACE_TIME_MAX };
        let deadline = match (state, goaway_at) {
            (State::Idle, Some(goaway_at)) => since.max(goaway_at) + grace,
            (State::Idle, None) => since + idle_time_max,
            (State::Stalled, _) => since + UserTimeout::Stalled.time(),
            // No event reports every change, so check again in time.
            (State::Busy, _) => Instant::now() + idle_time_max / 2,
        };
        let progress = poll_fn(|cx| match http.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if activity.state().0 != state => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        // All are cancel safe: the loop polls the connection again, and the others only observe.
        tokio::select! {
            progress = progress => match progress {
                Some(Err(error)) => return tracing::debug!(error = %error, "a connection broke off"),
                Some(Ok(())) => return,
                None => continue,
            },
            () = shutdown.soft.cancelled(), if goaway_at.is_none() => {}
            () = shutdown.hard.cancelled() => return,
            () = tokio::time::sleep_until(deadline) => {
                if state == State::Busy || activity.state() != (state, since) {
                    continue;
                }
                if state == State::Stalled {
                    activity.give_up(since);
                    continue;
                }
                if goaway_at.is_some() {
                    return;
                }
            }
        }
        goaway_at = Some(Instant::now());
        http.as_mut().graceful_shutdown();
    }
}

/// Runs the requests of a connection as tracked tasks. A task ends when the hub gives up its
/// answer; the library then resets the stream.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tracked {
    fn execute(&self, request: F) {
        self.0.spawn(activity::until_given_up(request));
    }
}
