//! What was answered and is not taken yet: so much for all clients, and a part of it at most for each. A client that asks
//! for large lists and reads none of them is refused the next one, before it holds the hub's memory.
//!
//! Streams have bounds of their own, and the file of a log is read piece by piece. A thread holds the one answer that it
//! builds. An answer counts from when it is built to when its connection has taken it.

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

/// An answer up to this size is passed on as it is: it is no more than a connection costs anyway.
const SMALL_BYTES: u64 = 4 << 10;
/// What a connection is handed at once. It takes a few before it waits for its client, and lets go of the rest only when
/// that has been taken.
const PIECE_BYTES: usize = 32 << 10;

/// Counts an answer to `caller` until it was taken, or refuses it when there is no room for it.
pub async fn hold(mut answer: Response, caller: Caller, budget: &Budget<Caller>) -> Response {
    let body: BoxBody<Bytes, std::io::Error> = answer.take_body().into();
    // One of unknown size is made as it is taken.
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

/// The body of an answer that counts.
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
