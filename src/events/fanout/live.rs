//! The live clients: all clients that are up to date. They share one cursor, and this module sends
//! them new events together.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::events::batch::{Batch, Position};
use crate::events::feed::Page;
use crate::events::log_slice::{Event, LogSlice};
use crate::events::ring::{After, SCAN_MAX};
use crate::store::StoreError;

use super::key::{GroupId, Key};
use super::member::{Sent, State};
use super::shard::Shard;

/// Most bytes of one send to the live clients: about what a socket takes. The rest would only wait.
const LIVE_BYTES_MAX: usize = 256 << 10;

impl Shard {
    /// Sends new events to the live clients. Returns whether there may be more.
    pub(super) fn broadcast(&mut self) -> bool {
        if self.is_fetching {
            return false;
        }
        if self.live_count == 0 {
            self.step(self.context.feed.ring.head());
            return false;
        }
        match self.context.feed.ring.after(self.position, LIVE_BYTES_MAX, SCAN_MAX) {
            After::Some(slice) => {
                self.deliver(&slice, true);
                true
            }
            After::UpToDate => false,
            After::Behind => {
                self.is_fetching = true;
                self.fetch(None, self.position);
                false
            }
        }
    }

    /// Sends each live client its part of a slice that begins at the live cursor. Only events from
    /// the ring count for the latency.
    fn deliver(&mut self, slice: &LogSlice, is_from_ring: bool) {
        let mut concerned: HashMap<GroupId, Vec<Event<'_>>> = HashMap::new();
        for event in slice.events() {
            let meta = &event.entry().meta;
            self.groups.concerned(event.seq, meta, |id| concerned.entry(id).or_default().push(event));
        }
        for (id, events) in concerned {
            let group = self.groups.group(id);
            if !group.live.is_empty() {
                let (options, epoch) = (group.options.clone(), self.context.feed.epoch());
                let batch = match options.filter.is_empty() {
                    true => Batch::chunks(slice, epoch, &options),
                    false => Batch::chunks_of(slice, epoch, &options, events.into_iter()),
                };
                self.send_to_live(id, &batch, batch.published.filter(|_| is_from_ring));
            }
        }
        self.step(slice.until);
    }

    /// Sends one batch to all live clients of a group. When one leaves, the last of the list takes
    /// its place, so the index stays.
    fn send_to_live(&mut self, id: GroupId, batch: &Batch, published: Option<Instant>) {
        let (mut at, mut sent) = (0, 0);
        while let Some(key) = self.groups.live_client(id, at) {
            let member = self.table.get(key).expect("live clients are members");
            match member.send(batch, 0) {
                Sent::Whole => at += 1,
                Sent::Part => {
                    self.leave_live(key);
                    self.block(key);
                }
                // The write failed: the connection is dead and its reason is recorded. Remove the client, and
                // close its socket by dropping it.
                Sent::Ended => self.end(key, drop),
            }
            sent += 1;
            if self.yields() {
                self.note_latency(published, std::mem::take(&mut sent));
            }
        }
        self.note_latency(published, sent);
    }

    pub(super) fn note_latency(&self, published: Option<Instant>, sends: u64) {
        if let Some(published) = published
            && sends > 0
        {
            self.context.latency.note_all(published.elapsed(), sends);
        }
    }

    /// Moves the live cursor to `position`, and serves the clients that were ahead of it: they came
    /// from a task that had read further than this thread.
    pub(super) fn step(&mut self, position: u64) {
        // Never backwards: no client gets an event twice.
        if position <= self.position {
            return;
        }
        self.position = position;
        self.live_cursor.store(position, Relaxed);
        for key in std::mem::take(&mut self.ahead) {
            self.serve(key);
        }
    }

    pub(super) fn join_live(&mut self, key: Key) {
        let Some(member) = self.table.get(key) else {
            return;
        };
        let group = self.groups.group(member.group);
        member.state = State::Live;
        member.index = group.live.len();
        member.handover.registration.follow(&self.live_cursor);
        group.live.push(key);
        self.live_count += 1;
    }

    /// Removes a client from the live ones. Its position must be set.
    pub(super) fn leave_live(&mut self, key: Key) {
        let Some(member) = self.table.get(key) else {
            return;
        };
        let (group, index) = (member.group, member.index);
        member.state = State::Queued;
        let live = &mut self.groups.group(group).live;
        live.swap_remove(index);
        self.live_count -= 1;
        if let Some(&moved) = live.get(index)
            && let Some(moved) = self.table.get(moved)
        {
            moved.index = index;
        }
    }

    /// Removes a client from the live ones, and sets its position to the live cursor.
    pub(super) fn detach(&mut self, key: Key) {
        let position = self.position;
        if let Some(member) = self.table.get(key)
            && member.state == State::Live
        {
            member.position = Position { cursor: position, offset: 0 };
            self.leave_live(key);
        }
    }

    pub(super) fn take_page_for_live(&mut self, page: Result<Page, StoreError>) {
        self.is_fetching = false;
        match page {
            // The store may hold events that the ring does not have yet. The live cursor must not
            // pass the head of the ring, because other clients ask the ring for what comes after
            // it.
            Ok(Page::Some(slice)) => {
                if let Some(slice) = slice.limited(self.context.feed.ring.head()) {
                    self.deliver(&slice, false);
                }
            }
            // Each client continues alone: one may need a `reset`, another a snapshot, and after an
            // error each stream ends on its own.
            Ok(Page::Expired { .. }) | Err(_) => {
                for key in self.table.keys() {
                    if self.table.get(key).is_some_and(|member| member.state == State::Live) {
                        self.detach(key);
                        self.enqueue(key);
                    }
                }
                self.step(self.context.feed.ring.oldest() - 1);
            }
        }
    }
}
