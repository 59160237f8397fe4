//! A subscriber: a cursor that moves along the log at its client's pace.
//!
//! ```text
//! loop: pending events in memory    -> a page of them, as one slice
//!       no longer in memory         -> a page from the store
//!       nothing new                 -> wait for an event, the keepalive tick, or the end
//! ```
//!
//! There is no replay phase and no live phase, so no event can be lost or doubled between them. The
//! future holds at most one page. For a client that does not read, the subscriber holds nothing
//! more.
//!
//! A stream with snapshots begins with one, and takes a new one when it cannot resume.

mod messages;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::events::batch::Batch;
use crate::events::context::StreamContext;
use crate::events::control::ResetReason;
use crate::events::disconnect_reason::DisconnectReason;
use crate::events::feed::{Next, StartPosition};
use crate::events::frame::RETRY_MS;
use crate::events::handover::Handover;
use crate::events::options::StreamOptions;
use crate::events::registry::Registration;
use crate::events::segment::PAGE_BYTES;
use crate::events::snapshot::{Snapshot, SnapshotError};

/// Ends the body of a stream that cannot end after a whole message. Its connection breaks off, so
/// that the client knows that the answer is not complete.
#[derive(Debug, Error)]
#[error("the stream ends in the middle of a message")]
pub struct BrokenOff;

/// The body of one stream. Call [`Subscriber::next`] until it returns `None`.
#[derive(Debug)]
pub struct Subscriber {
    context: StreamContext,
    options: Arc<StreamOptions>,
    /// Whether the client gets a snapshot before changes, also after a gap.
    with_snapshots: bool,
    stage: Stage,
    cursor: u64,
    /// The seq after which the client would resume: that of its last message.
    last_sent: u64,
    /// Bytes of the next page that are handed over already: a large message is handed over in
    /// parts.
    handed: usize,
    /// Messages that come before anything else.
    first: VecDeque<Bytes>,
    /// When the stream was opened. Events published before say nothing about the latency.
    opened: Instant,
    registration: Registration,
}

#[derive(Debug)]
enum Stage {
    /// Its snapshot is being taken.
    Waiting(Taking),
    Sending(Snapshot),
    Following,
    Ended,
    BrokenOff,
}

/// A snapshot that is being taken. Dropping it gives up its permit.
struct Taking(BoxFuture<'static, Result<Snapshot, SnapshotError>>);

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taking")
    }
}

impl Subscriber {
    /// A stream that starts at `position`. If it is `with_snapshots` and does not resume, it starts
    /// with a snapshot of the tasks.
    pub(in crate::events) fn new(
        context: StreamContext,
        options: Arc<StreamOptions>,
        position: StartPosition,
        with_snapshots: bool,
        registration: Registration,
    ) -> Self {
        let handover =
            Handover { options, with_snapshots, last_sent: position.cursor, live_after: 0, registration };
        let mut subscriber = Self::rejoin(context, handover, position.cursor);
        subscriber.first.push_back(subscriber.options.format.retry(RETRY_MS));
        let begins = with_snapshots && !position.resumed;
        if begins {
            subscriber.begin();
        }
        // The reset comes before anything that would move the client's id past the gap.
        if let Some(reason) = position.reset {
            let message = subscriber.reset(reason);
            subscriber.first.push_back(message);
        }
        if !begins {
            subscriber.connected(position.resumed);
        }
        subscriber
    }

    /// A subscriber that continues after `cursor`, where a fan-out thread stopped.
    pub(in crate::events) fn rejoin(mut context: StreamContext, handover: Handover, cursor: u64) -> Self {
        let Handover { options, with_snapshots, last_sent, live_after: _, registration } = handover;
        context.ticks = context.keepalives.ticks(options.keepalive_seconds);
        Self {
            context,
            options,
            with_snapshots,
            stage: Stage::Following,
            cursor,
            last_sent,
            handed: 0,
            first: VecDeque::new(),
            opened: Instant::now(),
            registration,
        }
    }

    /// What a fan-out thread needs to continue, and the cursor. Call it only when the subscriber
    /// [follows](Self::follows) the log.
    pub(in crate::events) fn into_handover(self) -> (Handover, u64) {
        let Self { context, options, with_snapshots, cursor, last_sent, registration, .. } = self;
        let live_after = context.feed.ring.head();
        (Handover { options, with_snapshots, last_sent, live_after, registration }, cursor)
    }

    /// Whether only the log is left to send.
    pub(in crate::events) fn follows(&self) -> bool {
        matches!(self.stage, Stage::Following) && self.first.is_empty() && self.handed == 0
    }

    /// Cancelled when its client loses its authorization.
    pub(in crate::events) fn gone(&self) -> CancellationToken {
        self.registration.gone().clone()
    }

    pub(in crate::events) fn is_draining(&self) -> bool {
        self.context.draining.is_cancelled()
    }

    /// The next bytes to write, never empty. `None` at the end of the stream.
    ///
    /// # Errors
    /// [`BrokenOff`], followed by `None`.
    ///
    /// # Cancel safety
    /// The cursor moves only past events that were returned or filtered out, so dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        loop {
            if !self.first.is_empty() {
                let bytes: Vec<u8> = self.first.drain(..).flatten().collect();
                if !bytes.is_empty() {
                    return Some(Ok(self.sent(0, bytes.into())));
                }
            }
            if self.registration.gone().is_cancelled() {
                self.revoke();
            }
            let bytes = match self.stage {
                Stage::Ended => return None,
                Stage::BrokenOff => {
                    self.stage = Stage::Ended;
                    return Some(Err(BrokenOff));
                }
                Stage::Waiting(_) => self.wait_for_snapshot().await,
                Stage::Sending(_) => self.send_snapshot().await,
                Stage::Following => self.follow().await,
            };
            if let Some(bytes) = bytes {
                return Some(Ok(bytes));
            }
        }
    }

    /// Starts taking a snapshot.
    fn begin(&mut self) {
        let taking = self.context.snapshots.clone().take(self.options.clone());
        self.stage = Stage::Waiting(Taking(Box::pin(taking)));
    }

    async fn wait_for_snapshot(&mut self) -> Option<Bytes> {
        let Stage::Waiting(taking) = &mut self.stage else {
            return None;
        };
        // The snapshot's future is kept across calls; the other branches only observe.
        tokio::select! {
            taken = taking.0.as_mut() => match taken {
                Ok(snapshot) => {
                    (self.cursor, self.last_sent) = (snapshot.cursor, snapshot.cursor);
                    self.stage = Stage::Sending(snapshot);
                    None
                }
                Err(error) => self.fail(&error),
            },
            () = self.context.draining.cancelled() => Some(self.goodbye()),
            () = self.registration.gone().cancelled() => None,
            ticked = self.context.ticks.changed() => self.ticked(ticked.is_ok()),
        }
    }

    async fn send_snapshot(&mut self) -> Option<Bytes> {
        let Stage::Sending(snapshot) = &mut self.stage else {
            return None;
        };
        if snapshot.is_between_messages() && self.context.draining.is_cancelled() {
            return Some(self.goodbye());
        }
        match snapshot.next().await {
            Ok(Some(bytes)) => Some(self.sent(0, bytes)),
            Ok(None) => {
                self.stage = Stage::Following;
                self.connected(false);
                None
            }
            Err(error) => self.fail(&error),
        }
    }

    /// One step along the log; `None` when it produced no message.
    async fn follow(&mut self) -> Option<Bytes> {
        if self.handed == 0 && self.context.draining.is_cancelled() {
            return Some(self.goodbye());
        }
        // Armed before the read: anything published from here on ends the wait below.
        self.context.news.mark_unchanged();
        match self.context.feed.next(self.cursor, &self.options, usize::MAX).await {
            Ok(Next::Some(batch)) if batch.bytes.is_empty() => {
                self.cursor = batch.until;
                self.registration.sent(self.cursor, 0, 0);
                // Few events pass the filter of a long replay. Let others run, notice a shutdown,
                // and tell the client now and then how far the replay has come.
                tokio::task::yield_now().await;
                if self.handed == 0 && self.context.ticks.has_changed().unwrap_or(false) {
                    self.context.ticks.mark_unchanged();
                    return Some(self.keepalive());
                }
                None
            }
            Ok(Next::Some(batch)) => Some(self.hand_over(&batch)),
            Ok(Next::Expired { .. }) if self.handed > 0 => {
                tracing::warn!(
                    event.seq = self.cursor + 1,
                    "retention has removed an event that was half sent"
                );
                self.registration.ends(DisconnectReason::Overtaken);
                self.stage = Stage::BrokenOff;
                None
            }
            Ok(Next::Expired { oldest }) => {
                self.cursor = self.cursor.max(oldest.saturating_sub(1));
                if self.with_snapshots {
                    self.begin();
                }
                let message = self.reset(ResetReason::Expired);
                Some(self.sent(0, message))
            }
            Ok(Next::UpToDate) => {
                self.registration.note_up_to_date();
                // All are cancel safe: they only observe.
                tokio::select! {
                    _ = self.context.news.changed() => None,
                    () = self.context.draining.cancelled() => None,
                    () = self.registration.gone().cancelled() => None,
                    ticked = self.context.ticks.changed() => self.ticked(ticked.is_ok()),
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Hands over a page, or the next part of a large message. It copies only that part, and finds
    /// the rest again when the part has been sent. So a client that stops reading within a message
    /// holds no more memory than others.
    fn hand_over(&mut self, batch: &Batch) -> Bytes {
        self.context.ticks.mark_unchanged();
        if let Some(published) = batch.published
            && published >= self.opened
            && self.handed == 0
        {
            self.context.latency.note(published.elapsed());
        }
        let rest = batch.bytes.slice(self.handed..);
        if rest.len() > PAGE_BYTES {
            self.handed += PAGE_BYTES;
            self.registration.note_half_sent(true);
            return self.sent(0, Bytes::copy_from_slice(&rest[..PAGE_BYTES]));
        }
        let bytes = match std::mem::take(&mut self.handed) {
            0 => rest,
            _ => Bytes::copy_from_slice(&rest),
        };
        self.cursor = batch.until;
        self.last_sent = batch.last_seq().unwrap_or(self.last_sent);
        let bytes = self.sent(batch.len(), bytes);
        self.registration.note_half_sent(false);
        bytes
    }

    /// Ends the stream of a client that has lost its authorization. It gets no goodbye, which would
    /// ask it to reconnect.
    pub(in crate::events) fn revoke(&mut self) {
        if matches!(self.stage, Stage::Ended | Stage::BrokenOff) {
            return;
        }
        self.registration.ends(DisconnectReason::Revoked);
        self.stage = if self.is_between_messages() { Stage::Ended } else { Stage::BrokenOff };
    }

    fn is_between_messages(&self) -> bool {
        match &self.stage {
            Stage::Sending(snapshot) => snapshot.is_between_messages(),
            _ => self.handed == 0,
        }
    }

    /// Ends a stream that cannot be read on. Its client reconnects with its last id.
    fn fail(&mut self, error: &dyn fmt::Display) -> Option<Bytes> {
        tracing::error!(error = %error, event.seq = self.cursor, "a stream ended: it cannot be read on");
        self.registration.ends(DisconnectReason::Failed);
        self.stage = if self.is_between_messages() { Stage::Ended } else { Stage::BrokenOff };
        None
    }
}
