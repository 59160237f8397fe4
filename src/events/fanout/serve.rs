//! One client by itself: catching up, being told that its stream lives, being sent away.

use bytes::{Bytes, BytesMut};

use crate::events::control::CheckpointData;
use crate::events::feed::Page;
use crate::events::frame::{self, LAST_CHUNK};
use crate::events::parcel::{Parcel, Place};
use crate::events::registry::DisconnectReason;
use crate::events::ring::{After, SCAN_MAX};
use crate::events::segment::PAGE_BYTES;
use crate::events::stretch::Stretch;
use crate::events::subscriber::Subscriber;
use crate::store::StoreError;

use super::member::{Sent, State};
use super::shard::Shard;
use super::table::Key;
use super::tend::tend;

/// Parcels in a row, so that nobody has to wait long for their turn.
const TURN_PARCELS_MAX: usize = 8;

/// Whether a client can go on at once.
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

    /// Sends a client what it lacks, for one turn.
    pub(super) fn serve(&mut self, key: Key) {
        // Who is in the crowd goes with it.
        if self.table.get(key).is_none_or(|member| member.state == State::Crowd) {
            return;
        }
        for _ in 0..TURN_PARCELS_MAX {
            if self.advance(key) == Turn::Over {
                return;
            }
        }
        self.enqueue(key);
    }

    fn advance(&mut self, key: Key) -> Turn {
        if let Some(tail) = self.tails.remove(&key) {
            return self.say(key, tail);
        }
        let position = self.position;
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        if let Some(reason) = member.leaves {
            self.end(key, |member| member.close(reason));
            return Turn::Over;
        }
        let Place { cursor, offset } = member.place;
        // Whatever is begun is finished first.
        if offset == 0 {
            if self.is_draining && (member.is_last || cursor >= position) {
                return self.send_away(key);
            }
            if std::mem::take(&mut member.is_due) {
                return self.beat(key, cursor);
            }
            if cursor == position {
                self.join_crowd(key);
                return Turn::Over;
            }
            if cursor > position {
                member.state = State::Ahead;
                member.wish.registration.stand(cursor);
                self.ahead.push(key);
                return Turn::Over;
            }
        }
        match self.around.feed.ring.after(cursor, PAGE_BYTES, SCAN_MAX) {
            After::Some(stretch) => self.send_stretch(key, stretch, true),
            // The crowd is never ahead of the ring. If it were, this client would have to wait.
            After::UpToDate => {
                self.enqueue(key);
                Turn::Over
            }
            After::Behind => {
                member.state = State::Fetching;
                member.wish.registration.stand(cursor);
                self.fetch(Some(key), cursor);
                Turn::Over
            }
        }
    }

    /// Sends what a client lacks of a stretch that begins where it stands, no further than the crowd.
    fn send_stretch(&mut self, key: Key, stretch: Stretch, is_live: bool) -> Turn {
        let (position, epoch) = (self.position, self.around.feed.epoch());
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let Some(stretch) = stretch.limited(position) else {
            return Turn::More;
        };
        let Place { offset, .. } = member.place;
        let mut parcel = Parcel::of(&stretch, epoch, &member.wish.shape);
        if self.is_draining {
            // One page at most; and of that, once it was begun, no more than the message that is half sent.
            if std::mem::replace(&mut member.is_last, true) && offset > 0 {
                parcel = parcel.first_only();
            }
        }
        let is_live = is_live && offset == 0 && parcel.first() > Some(member.wish.live_after);
        let sent = member.send(&parcel, offset as usize);
        member.wish.registration.stand(member.place.cursor);
        self.note_latency(parcel.published.filter(|_| is_live), 1);
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
        let is_whole = member.place.offset == 0;
        match page {
            Ok(Page::Some(stretch)) if stretch.after != member.place.cursor => self.serve(key),
            Ok(Page::Some(stretch)) => {
                if self.send_stretch(key, stretch, false) == Turn::More {
                    self.serve(key);
                }
            }
            Ok(Page::Expired { .. }) if is_whole => self.have_tended(key),
            Ok(Page::Expired { .. }) => {
                tracing::warn!("retention has removed an event that was half sent");
                self.end(key, |member| member.break_off(DisconnectReason::Overtaken));
            }
            Err(error) => {
                tracing::error!(error = %error, "a stream ended: it cannot be read on");
                match is_whole {
                    true => drop(self.say_last(key, Bytes::new(), DisconnectReason::Failed)),
                    false => self.end(key, |member| member.break_off(DisconnectReason::Failed)),
                }
            }
        }
    }

    /// Gives a client that retention has overtaken to a task, which tells it so and may have to take a snapshot.
    fn have_tended(&mut self, key: Key) {
        let Some(promise) = self.mailbox.promise() else {
            return self.end(key, |member| member.break_off(DisconnectReason::CutOff));
        };
        let Some(member) = self.take_out(key) else {
            return;
        };
        self.unwatch(&member);
        let subscriber = Subscriber::rejoin(self.around.clone(), member.wish, member.place.cursor);
        let tending = tend(member.connection, subscriber, promise);
        let cut_off = self.cut_off.clone();
        let tending = async move { cut_off.run_until_cancelled_owned(tending).await };
        self.tasks.spawn_on(tending, &self.runtime);
    }

    /// A keepalive is due every so many `seconds`, now or when the client can be sent one.
    pub(super) fn tick(&mut self, key: Key, seconds: Option<u64>) {
        let position = self.position;
        if let Some(member) = self.table.get(key)
            && member.wish.shape.keepalive_seconds == seconds
        {
            match member.state {
                State::Crowd => drop(self.beat(key, position)),
                _ => member.is_due = true,
            }
        }
    }

    /// Tells a client that its stream lives; one that a filter has let fall behind, how far it has come.
    fn beat(&mut self, key: Key, cursor: u64) -> Turn {
        let (id, head) = (self.around.feed.id(cursor), self.around.feed.ring.head().max(cursor));
        let head = self.around.feed.id(head);
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let format = member.wish.shape.format;
        let bytes = if member.wish.told >= cursor || member.wish.shape.filter.is_empty() {
            frame::chunk(&format.keepalive())
        } else {
            member.wish.told = cursor;
            frame::chunk(&format.control(id, "checkpoint", CheckpointData { head }))
        };
        self.say(key, bytes.freeze())
    }

    /// Ends the stream of a client that is no longer let in: without a farewell, which would ask it back, and at
    /// once, whatever it has not taken yet.
    pub(super) fn expel(&mut self, key: Key) {
        let has_tail = self.tails.contains_key(&key);
        let Some(member) = self.table.get(key) else {
            return;
        };
        if !member.wish.registration.gone().is_cancelled() {
            return;
        }
        let is_whole = match member.state {
            State::Crowd => true,
            State::Blocked => false,
            _ => member.place.offset == 0 && !has_tail,
        };
        self.set_apart(key);
        match is_whole {
            true => drop(self.say_last(key, Bytes::new(), DisconnectReason::Revoked)),
            false => self.end(key, |member| member.break_off(DisconnectReason::Revoked)),
        }
    }

    /// Everybody is to be sent away; who is not up to date will be in its turn.
    pub(super) fn drain(&mut self, key: Key) {
        match self.table.get(key).map(|member| member.state) {
            Some(State::Crowd) => {
                self.set_apart(key);
                self.serve(key);
            }
            Some(State::Ahead) => self.serve(key),
            _ => {}
        }
    }

    fn send_away(&mut self, key: Key) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        let format = member.wish.shape.format;
        let goodbye = format.goodbye(self.around.feed.id(member.place.cursor));
        self.say_last(key, goodbye, DisconnectReason::Drained)
    }

    /// Ends an answer after `message`, which may be empty.
    fn say_last(&mut self, key: Key, message: Bytes, reason: DisconnectReason) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        member.leaves = Some(reason);
        let mut bytes = match message.is_empty() {
            true => BytesMut::new(),
            false => frame::chunk(&message),
        };
        bytes.extend_from_slice(LAST_CHUNK);
        match self.say(key, bytes.freeze()) {
            // Closes it.
            Turn::More => self.advance(key),
            Turn::Over => Turn::Over,
        }
    }

    /// Sends what is no part of the log. What the socket does not take is kept until it does.
    fn say(&mut self, key: Key, bytes: Bytes) -> Turn {
        let Some(member) = self.table.get(key) else {
            return Turn::Over;
        };
        match member.send_beside(bytes) {
            Ok(rest) if rest.is_empty() => Turn::More,
            Ok(rest) => {
                self.set_apart(key);
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
