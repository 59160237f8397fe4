//! Serves one client alone: sends what it has missed, keepalives and the goodbye.

use bytes::{Bytes, BytesMut};

use crate::events::batch::{Batch, Position};
use crate::events::control::CheckpointData;
use crate::events::disconnect_reason::DisconnectReason;
use crate::events::feed::Page;
use crate::events::frame::{self, LAST_CHUNK};
use crate::events::log_slice::LogSlice;
use crate::events::ring::{After, SCAN_MAX};
use crate::events::segment::PAGE_BYTES;
use crate::events::subscriber::Subscriber;
use crate::store::StoreError;

use super::key::Key;
use super::member::{Sent, State};
use super::resync::resync;
use super::shard::Shard;

/// Batches in a row for one client, so that the others do not wait long.
const TURN_BATCHES_MAX: usize = 8;

/// Whether a client can be sent more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Over,
}

impl Shard {
    pub(super) fn enqueue(&mut self, key: Key) {
        if let Some(member) = self.table.get(key) {
            member.state = State::Queued;
            self.queue.push_back(key);
        }
    }

    /// Sends a client what it has missed, for one turn.
    pub(super) fn serve(&mut self, key: Key) {
        // `broadcast` serves the live clients together.
        if self.table.get(key).is_none_or(|member| member.state == State::Live) {
            return;
        }
        for _ in 0..TURN_BATCHES_MAX {
            if self.advance(key) == Turn::Over {
                return;
            }
        }
        self.enqueue(key);
    }

    fn advance(&mut self, key: Key) -> Turn {
        if let Some(tail) = self.tails.remove(&key) {
            return self.send_control(key, tail);
        }
        let position = self.position;
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        if let Some(reason) = member.leaves {
            self.end(key, |member| member.close(reason));
            return Turn::Over;
        }
        let Position { cursor, offset } = member.position;
        // A message that is half sent comes first.
        if offset == 0 {
            if self.is_draining && (member.is_last || cursor >= position) {
                return self.say_goodbye(key);
            }
            if std::mem::take(&mut member.is_due) {
                return self.send_keepalive(key, cursor);
            }
            if cursor == position {
                self.join_live(key);
                return Turn::Over;
            }
            if cursor > position {
                member.state = State::Ahead;
                member.handover.registration.set_cursor(cursor);
                self.ahead.push(key);
                return Turn::Over;
            }
        }
        match self.context.feed.ring.after(cursor, PAGE_BYTES, SCAN_MAX) {
            After::Some(slice) => self.send_slice(key, slice, true),
            // The live cursor is never ahead of the ring. If it were, this client would have to
            // wait.
            After::UpToDate => {
                self.enqueue(key);
                Turn::Over
            }
            After::Behind => {
                member.state = State::Fetching;
                member.handover.registration.set_cursor(cursor);
                self.fetch(Some(key), cursor);
                Turn::Over
            }
        }
    }

    /// Sends a slice that begins at the client's position, up to the live cursor.
    fn send_slice(&mut self, key: Key, slice: LogSlice, is_live: bool) -> Turn {
        let (position, epoch) = (self.position, self.context.feed.epoch());
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let Some(slice) = slice.limited(position) else {
            return Turn::More;
        };
        let Position { offset, .. } = member.position;
        let mut batch = Batch::chunks(&slice, epoch, &member.handover.options);
        if self.is_draining {
            // While draining a client gets one last page. Once that page has begun, it gets only
            // the rest of the message that is half sent.
            if std::mem::replace(&mut member.is_last, true) && offset > 0 {
                batch = batch.first_only();
            }
        }
        let is_live = is_live && offset == 0 && batch.first_seq() > Some(member.handover.live_after);
        let sent = member.send(&batch, offset as usize);
        member.handover.registration.set_cursor(member.position.cursor);
        self.note_latency(batch.published.filter(|_| is_live), 1);
        self.yields();
        match sent {
            Sent::Whole => Turn::More,
            Sent::Part => {
                self.block(key);
                Turn::Over
            }
            Sent::Ended => {
                self.end(key, drop);
                Turn::Over
            }
        }
    }

    pub(super) fn take_page(&mut self, key: Key, page: Result<Page, StoreError>) {
        let Some(member) = self.table.get(key).filter(|member| member.state == State::Fetching) else {
            return;
        };
        member.state = State::Queued;
        let is_whole = member.position.offset == 0;
        match page {
            Ok(Page::Some(slice)) if slice.after != member.position.cursor => self.serve(key),
            Ok(Page::Some(slice)) => {
                if self.send_slice(key, slice, false) == Turn::More {
                    self.serve(key);
                }
            }
            Ok(Page::Expired { .. }) if is_whole => self.have_resynced(key),
            Ok(Page::Expired { .. }) => {
                tracing::warn!("retention has removed an event that was half sent");
                self.end(key, |member| member.break_off(DisconnectReason::Overtaken));
            }
            Err(error) => {
                tracing::error!(error = %error, "a stream ended: it cannot be read on");
                match is_whole {
                    true => drop(self.send_last(key, Bytes::new(), DisconnectReason::Failed)),
                    false => self.end(key, |member| member.break_off(DisconnectReason::Failed)),
                }
            }
        }
    }

    /// Passes a client that retention has overtaken to a task, which sends a reset and may take a
    /// snapshot.
    fn have_resynced(&mut self, key: Key) {
        let Some(pending) = self.commands.expect_client() else {
            return self.end(key, |member| member.break_off(DisconnectReason::CutOff));
        };
        let Some(member) = self.take_out(key) else {
            return;
        };
        self.unwatch(&member);
        let subscriber = Subscriber::rejoin(self.context.clone(), member.handover, member.position.cursor);
        let tending = resync(member.connection, subscriber, pending);
        let cut_off = self.cut_off.clone();
        let tending = async move { cut_off.run_until_cancelled_owned(tending).await };
        self.tasks.spawn_on(tending, &self.runtime);
    }

    /// A keepalive of the period `seconds` is due: send it now, or as soon as the client can get
    /// one.
    pub(super) fn tick(&mut self, key: Key, seconds: Option<u64>) {
        let position = self.position;
        if let Some(member) = self.table.get(key)
            && member.handover.options.keepalive_seconds == seconds
        {
            match member.state {
                State::Live => drop(self.send_keepalive(key, position)),
                _ => member.is_due = true,
            }
        }
    }

    /// Sends a keepalive; or a checkpoint, when a filter has let the id of the client's last
    /// message fall behind.
    fn send_keepalive(&mut self, key: Key, cursor: u64) -> Turn {
        let (id, head) = (self.context.feed.id(cursor), self.context.feed.ring.head().max(cursor));
        let head = self.context.feed.id(head);
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let format = member.handover.options.format;
        let bytes = if member.handover.last_sent >= cursor || member.handover.options.filter.is_empty() {
            frame::chunk(&format.keepalive())
        } else {
            member.handover.last_sent = cursor;
            frame::chunk(&format.control(id, "checkpoint", CheckpointData { head }))
        };
        self.send_control(key, bytes.freeze())
    }

    /// Ends the stream of a client that has lost its authorization. It gets no goodbye, which would
    /// ask it to reconnect. The stream ends at once, even if the client has not read everything.
    pub(super) fn revoke(&mut self, key: Key) {
        let has_tail = self.tails.contains_key(&key);
        let Some(member) = self.table.get(key) else {
            return;
        };
        if !member.handover.registration.gone().is_cancelled() {
            return;
        }
        let is_whole = match member.state {
            State::Live => true,
            State::Blocked => false,
            _ => member.position.offset == 0 && !has_tail,
        };
        self.detach(key);
        match is_whole {
            true => drop(self.send_last(key, Bytes::new(), DisconnectReason::Revoked)),
            false => self.end(key, |member| member.break_off(DisconnectReason::Revoked)),
        }
    }

    /// Sends a client its goodbye. A client that is behind gets it in its turn.
    pub(super) fn drain(&mut self, key: Key) {
        match self.table.get(key).map(|member| member.state) {
            Some(State::Live) => {
                self.detach(key);
                self.serve(key);
            }
            Some(State::Ahead) => self.serve(key),
            _ => {}
        }
    }

    fn say_goodbye(&mut self, key: Key) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let format = member.handover.options.format;
        let goodbye = format.goodbye(self.context.feed.id(member.position.cursor));
        self.send_last(key, goodbye, DisconnectReason::Drained)
    }

    /// Sends `message`, which may be empty, and ends the answer.
    fn send_last(&mut self, key: Key, message: Bytes, reason: DisconnectReason) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        member.leaves = Some(reason);
        let mut bytes = match message.is_empty() {
            true => BytesMut::new(),
            false => frame::chunk(&message),
        };
        bytes.extend_from_slice(LAST_CHUNK);
        match self.send_control(key, bytes.freeze()) {
            // `advance` then closes the connection.
            Turn::More => self.advance(key),
            Turn::Over => Turn::Over,
        }
    }

    /// Sends bytes that are not part of the log. The shard keeps what the socket does not take.
    fn send_control(&mut self, key: Key, bytes: Bytes) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        match member.send_beside(bytes) {
            Ok(rest) if rest.is_empty() => Turn::More,
            Ok(rest) => {
                self.detach(key);
                self.tails.insert(key, rest);
                self.block(key);
                Turn::Over
            }
            Err(_) => {
                self.end(key, drop);
                Turn::Over
            }
        }
    }
}
