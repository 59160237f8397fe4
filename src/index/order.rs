//! The tasks in the order of their last change: a sorted list of slots, in chunks.
//!
//! A change moves a task to the end, nearly always. So the chunks at the end stay full, and a removal costs one search and
//! a small move. The keys are not here: the columns have them.
//!
//! Rejected: `BTreeSet<(i64, u128)>`: it takes 40 bytes and more for each task, and this takes 5.

/// What tasks are sorted by: a time or a rank, and the id.
pub(super) type Key = (i64, u128);

/// A chunk is cut in two when it has more slots.
const CHUNK_MAX: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Order {
    chunks: Vec<Vec<u32>>,
    /// The key of the first slot of each chunk.
    firsts: Vec<Key>,
}

impl Order {
    fn chunk(&self, key: Key) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    /// Adds a slot. `key_of` answers the key of every slot that is in.
    pub(super) fn insert(&mut self, key: Key, slot: u32, key_of: impl Fn(u32) -> Key) {
        let number = self.chunk(key);
        let is_last = number + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(number) else {
            self.chunks.push(vec![slot]);
            return self.firsts.push(key);
        };
        let at = chunk.partition_point(|other| key_of(*other) < key);
        if is_last && at == chunk.len() && at == CHUNK_MAX {
            self.chunks.push(Vec::with_capacity(CHUNK_MAX));
            self.chunks[number + 1].push(slot);
            return self.firsts.push(key);
        }
        chunk.insert(at, slot);
        if at == 0 {
            self.firsts[number] = key;
        }
        if chunk.len() > CHUNK_MAX {
            let after = chunk.split_off(CHUNK_MAX / 2);
            self.firsts.insert(number + 1, key_of(after[0]));
            self.chunks.insert(number + 1, after);
        }
    }

    /// Takes the slot with this key out. `key_of` answers the key of every slot that is in.
    pub(super) fn remove(&mut self, key: Key, key_of: impl Fn(u32) -> Key) {
        let number = self.chunk(key);
        let Some(chunk) = self.chunks.get_mut(number) else {
            return;
        };
        let at = chunk.partition_point(|other| key_of(*other) < key);
        if at == chunk.len() || key_of(chunk[at]) != key {
            return;
        }
        chunk.remove(at);
        match chunk.first() {
            None => {
                self.chunks.remove(number);
                self.firsts.remove(number);
            }
            Some(first) => {
                if at == 0 {
                    self.firsts[number] = key_of(*first);
                }
                self.merge(number);
            }
        }
    }

    /// Joins a small chunk to the next one, unless that one is large.
    fn merge(&mut self, number: usize) {
        let length = self.chunks[number].len();
        if let Some(next) = self.chunks.get(number + 1)
            && length + next.len() <= CHUNK_MAX / 2
        {
            let next = self.chunks.remove(number + 1);
            self.firsts.remove(number + 1);
            self.chunks[number].extend(next);
        }
    }

    /// The slots after `key`, upwards; all of them without a key.
    pub(super) fn upwards(
        &self,
        after: Option<Key>,
        key_of: impl Fn(u32) -> Key,
    ) -> impl Iterator<Item = u32> {
        let (number, at) = match (after, self.chunks.is_empty()) {
            (Some(key), false) => {
                let number = self.chunk(key);
                (number, self.chunks[number].partition_point(|slot| key_of(*slot) <= key))
            }
            _ => (0, 0),
        };
        let first = self.chunks.get(number).map_or(&[][..], |chunk| &chunk[at..]);
        let rest = self.chunks.get(number + 1..).unwrap_or_default();
        first.iter().chain(rest.iter().flatten()).copied()
    }

    /// The slots before `key`, downwards; all of them without a key.
    pub(super) fn downwards(
        &self,
        before: Option<Key>,
        key_of: impl Fn(u32) -> Key,
    ) -> impl Iterator<Item = u32> {
        let (number, at) = match (before, self.chunks.len()) {
            (Some(key), 1..) => {
                let number = self.chunk(key);
                (number, self.chunks[number].partition_point(|slot| key_of(*slot) < key))
            }
            (_, count) => (count, 0),
        };
        let last = self.chunks.get(number).map_or(&[][..], |chunk| &chunk[..at]);
        last.iter()
            .rev()
            .chain(self.chunks[..number].iter().rev().flat_map(|chunk| chunk.iter().rev()))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_sorted_after_any_change_and_walks_from_any_key() {
        let (mut order, mut keys) = (Order::default(), vec![(0, 0); 5_000]);
        let mut model: BTreeSet<(Key, u32)> = BTreeSet::new();
        let mut state = 3_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for step in 0..60_000 {
            let slot = random(5_000) as u32;
            let old = keys[slot as usize];
            if model.remove(&(old, slot)) {
                order.remove(old, |slot| keys[slot as usize]);
            }
            // Mostly at the end, as time goes, and some far back.
            let time = if random(10) == 0 { random(60_000) } else { step };
            if random(8) > 0 {
                let key = (time as i64 / 30, u128::from(slot));
                keys[slot as usize] = key;
                order.insert(key, slot, |slot| keys[slot as usize]);
                model.insert((key, slot));
            }
            if step % 2_000 == 0 {
                let key_of = |slot: u32| keys[slot as usize];
                let key = (random(2_000) as i64, u128::from(random(5_000)));
                let up: Vec<u32> = order.upwards(Some(key), key_of).collect();
                let expected: Vec<u32> =
                    model.iter().filter(|(other, _)| *other > key).map(|(_, slot)| *slot).collect();
                assert_eq!(up, expected);
                let down: Vec<u32> = order.downwards(Some(key), key_of).collect();
                let expected: Vec<u32> =
                    model.iter().rev().filter(|(other, _)| *other < key).map(|(_, slot)| *slot).collect();
                assert_eq!(down, expected);
                assert_eq!(order.upwards(None, key_of).count(), model.len());
                assert_eq!(order.downwards(None, key_of).count(), model.len());
            }
        }
        assert!(order.chunks.len() < 40, "small chunks are joined: {}", order.chunks.len());
    }
}
