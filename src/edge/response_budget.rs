//! Limits the bytes of answers that clients have not read: one limit for all clients, and a share
//! for each. A client that requests large lists and reads none of them is refused the next one,
//! before it fills the hub's memory.
//!
//! An answer counts from the moment it is built until its connection has taken it. Streams are not
//! counted, because they have their own bounds. The file of a log is read piece by piece. A thread
//! holds the one answer that it builds.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Frame, SizeHint};
use poem::{Body, IntoResponse, Response};

use crate::domain::token::Caller;

use super::byte_budget::{Budget, Held};
use crate::api::problem::{Code, Problem};

/// A smaller answer does not count: it is no more than a connection costs anyway.
const SMALL_BYTES: u64 = 4 << 10;
/// The largest piece that the connection gets at once. The connection takes a few pieces before it
/// waits for its client, and frees each one only when it has been sent.
const PIECE_BYTES: usize = 32 << 10;

/// Counts the bytes of `answer` against the budget of `caller` until the connection has taken them.
/// Refuses the answer, with a [`Problem`], when the budget has no space.
pub async fn hold(mut answer: Response, caller: Caller, budget: &Budget<Caller>) -> Response {
    let body: BoxBody<Bytes, std::io::Error> = answer.take_body().into();
    // A body of unknown size is produced while it is sent.
    let Some(bytes) = body.size_hint().exact().filter(|bytes| *bytes > SMALL_BYTES) else {
        answer.set_body(Body::from(body));
        return answer;
    };
    let mut held = budget.of(caller);
    if !held.try_add(bytes) {
        let detail = "answers that you, or others, have asked for and not read take all the room there is for them; read \
                      them, ask for shorter lists, or ask again later";
        return Problem::new(Code::Unavailable, detail).into_response();
    }
    match body.collect().await {
        Ok(whole) => answer.set_body(Body::from(BoxBody::new(
            Pieces { rest: whole.to_bytes(), _held: held }.map_err(|never| match never {}),
        ))),
        Err(error) => {
            tracing::error!(error = %error, "an answer cannot be read");
            return Problem::internal().into_response();
        }
    }
    answer
}

/// The body of an answer that counts against the budget.
struct Pieces {
    rest: Bytes,
    _held: Held<Caller>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.rest.len().min(PIECE_BYTES);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
