//! An open stream, and the body of the answer that carries it.

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::handoff::Offer;

use super::fanout::Fanout;
use super::subscriber::{BrokenOff, Subscriber};

/// An open stream, and the threads that may continue it.
#[derive(Debug)]
pub struct EventStream {
    subscriber: Subscriber,
    fanout: Fanout,
}

impl EventStream {
    pub(super) fn new(subscriber: Subscriber, fanout: Fanout) -> Self {
        Self { subscriber, fanout }
    }

    /// The stream as the body of an answer. Without `offer`, the body is the whole stream. With it,
    /// the body is only what precedes the log; then it claims the socket for a fan-out thread, and
    /// waits.
    pub fn into_body(self, offer: Option<Offer>) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send {
        let Self { subscriber, fanout } = self;
        stream::unfold(subscriber, move |mut subscriber| {
            let (offer, fanout) = (offer.clone(), fanout.clone());
            async move {
                if let Some(offer) = offer
                    && subscriber.follows()
                {
                    match fanout.claim(subscriber, &offer) {
                        Ok(()) => return std::future::pending().await,
                        Err(refused) => subscriber = *refused,
                    }
                }
                Some((subscriber.next().await?, subscriber))
            }
        })
    }
}
