//! The crowd: everybody who is up to date. It has one cursor, and moves along the log as one.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::events::feed::Page;
use crate::events::parcel::{Parcel, Place};
use crate::events::ring::{After, SCAN_MAX};
use crate::events::stretch::{Event, Stretch};
use crate::store::StoreError;

use super::groups::GroupId;
use super::member::{Sent, State};
use super::shard::Shard;
use super::table::Key;

/// Most bytes that the crowd is sent at once: about what a socket takes, so that more would only have to wait.
const CROWD_BYTES_MAX: usize = 256 << 10;

impl Shard {
    /// Sends the crowd what is new; whether there may be more.
    pub(super) fn broadcast(&mut self) -> bool {
        if self.is_fetching {
            return false;
        }
        if self.crowd_size == 0 {
            self.step(self.around.feed.ring.head());
            return false;
        }
        match self.around.feed.ring.after(self.position, CROWD_BYTES_MAX, SCAN_MAX) {
            After::Some(stretch) => {
                self.deliver(&stretch, true);
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

    /// Sends everybody in the crowd their part of a stretch that begins where the crowd stands.
    fn deliver(&mut self, stretch: &Stretch, is_live: bool) {
        let mut concerned: HashMap<GroupId, Vec<Event<'_>>> = HashMap::new();
        for event in stretch.events() {
            let meta = &event.entry().meta;
            self.groups.concerned(event.seq, meta, |id| concerned.entry(id).or_default().push(event));
        }
        for (id, events) in concerned {
            let group = self.groups.group(id);
            if !group.crowd.is_empty() {
                let (shape, epoch) = (group.shape.clone(), self.around.feed.epoch());
                let parcel = match shape.filter.is_empty() {
                    true => Parcel::of(stretch, epoch, &shape),
                    false => Parcel::of_events(stretch, epoch, &shape, events.into_iter()),
                };
                self.send_to_crowd(id, &parcel, parcel.published.filter(|_| is_live));
            }
        }
        self.step(stretch.until);
    }

    fn send_to_crowd(&mut self, id: GroupId, parcel: &Parcel, published: Option<Instant>) {
        let (mut at, mut sent) = (0, 0);
        while let Some(key) = self.groups.crowd_at(id, at) {
            let member = self.table.get(key).expect("the crowd are members");
            match member.send(parcel, 0) {
                Sent::Whole => at += 1,
                Sent::Part => {
                    self.leave_crowd(key);
                    self.block(key);
                }
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
            self.around.latency.note_all(published.elapsed(), sends);
        }
    }

    /// The crowd stands at `position` now, and who was ahead of it may not be any more.
    pub(super) fn step(&mut self, position: u64) {
        // Never backwards: what a group has seen it is not shown again.
        if position <= self.position {
            return;
        }
        self.position = position;
        self.crowd.store(position, Relaxed);
        for key in std::mem::take(&mut self.ahead) {
            self.serve(key);
        }
    }

    pub(super) fn join_crowd(&mut self, key: Key) {
        let Some(member) = self.table.get(key) else {
            return;
        };
        let group = self.groups.group(member.group);
        member.state = State::Crowd;
        member.index = group.crowd.len();
        member.wish.registration.join(&self.crowd);
        group.crowd.push(key);
        self.crowd_size += 1;
    }

    /// From here on it has a place of its own: where the crowd stands, unless that was noted already.
    pub(super) fn leave_crowd(&mut self, key: Key) {
        let Some(member) = self.table.get(key) else {
            return;
        };
        let (group, index) = (member.group, member.index);
        member.state = State::Queued;
        let crowd = &mut self.groups.group(group).crowd;
        crowd.swap_remove(index);
        self.crowd_size -= 1;
        if let Some(&moved) = crowd.get(index)
            && let Some(moved) = self.table.get(moved)
        {
            moved.index = index;
        }
    }

    /// Takes a client of the crowd out of it, to be served by itself.
    pub(super) fn set_apart(&mut self, key: Key) {
        let position = self.position;
        if let Some(member) = self.table.get(key)
            && member.state == State::Crowd
        {
            member.place = Place { cursor: position, offset: 0 };
            self.leave_crowd(key);
        }
    }

    pub(super) fn take_page_for_crowd(&mut self, page: Result<Page, StoreError>) {
        self.is_fetching = false;
        match page {
            // What is committed may not be published yet; whoever is not in the crowd asks the ring.
            Ok(Page::Some(stretch)) => {
                if let Some(stretch) = stretch.limited(self.around.feed.ring.head()) {
                    self.deliver(&stretch, false);
                }
            }
            // Each for itself, then: some want to be told, some want a snapshot.
            Ok(Page::Expired { .. }) | Err(_) => {
                for key in self.table.keys() {
                    if self.table.get(key).is_some_and(|member| member.state == State::Crowd) {
                        self.set_apart(key);
                        self.enqueue(key);
                    }
                }
                self.step(self.around.feed.ring.oldest() - 1);
            }
        }
    }
}
