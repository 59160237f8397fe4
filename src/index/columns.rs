//! What the index knows of each task, by its slot: a number that counts the tasks in the order of their ids.
//!
//! The ids of a hub ascend, so a slot says where a task stands among all. Only a hub that was started with a clock that had
//! been set back makes an id that is smaller than an older one. Then, until the next start, pages are found by looking at
//! every task that matches, which takes milliseconds for a million.

use hashbrown::HashTable;

use super::order::Key;

/// What a list is sorted by. Its order among equals is the order of the ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Created,
    Updated,
    Priority,
    Status,
}

#[derive(Debug)]
pub(super) struct Columns {
    ids: Vec<u128>,
    created: Vec<i64>,
    updated: Vec<i64>,
    /// The status in two bits, and the priority in two.
    ranks: Vec<u8>,
    /// The number in the key of the task.
    numbers: Vec<i64>,
    /// The slots by their ids. The ids themselves are above.
    slots: HashTable<u32>,
    ids_ascend: bool,
    /// Whether the times of creation ascend with the slots. They do, unless somebody has set the clock back.
    times_ascend: bool,
    /// Whether the numbers of each project ascend with the slots.
    numbers_ascend: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            created: Vec::new(),
            updated: Vec::new(),
            ranks: Vec::new(),
            numbers: Vec::new(),
            slots: HashTable::new(),
            ids_ascend: true,
            times_ascend: true,
            numbers_ascend: true,
        }
    }
}

/// The values of a new task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub id: u128,
    pub created: i64,
    pub updated: i64,
    pub number: i64,
}

impl Columns {
    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The slot of a task, also of one that was deleted.
    pub(super) fn slot(&self, id: u128) -> Option<u32> {
        self.slots.find(hash(id), |slot| self.ids[*slot as usize] == id).copied()
    }

    /// Adds a task. Answers its slot. `before` is the last slot of the same project.
    pub(super) fn push(&mut self, values: Values, before: Option<u32>) -> u32 {
        let Values { id, created, updated, number } = values;
        let slot = self.len();
        if let Some(last) = slot.checked_sub(1) {
            self.times_ascend &= self.key(Sort::Created, last) < (created, id);
            self.ids_ascend &= self.id(last) < id;
        }
        self.numbers_ascend &= before.is_none_or(|before| self.number(before) < number);
        if self.ids.len() == self.ids.capacity() {
            // Less than a vector would by itself: this is the largest part of the index.
            let more = (self.ids.len() / 8).max(64);
            self.ids.reserve_exact(more);
            self.created.reserve_exact(more);
            self.updated.reserve_exact(more);
            self.numbers.reserve_exact(more);
        }
        self.ids.push(id);
        self.created.push(created);
        self.updated.push(updated);
        self.ranks.push(0);
        self.numbers.push(number);
        let ids = &self.ids;
        self.slots.insert_unique(hash(id), slot, |slot| hash(ids[*slot as usize]));
        slot
    }

    pub(super) fn set_ranks(&mut self, slot: u32, status: u8, priority: u8) {
        self.ranks[slot as usize] = status | priority << 2;
    }

    pub(super) fn set_updated(&mut self, slot: u32, time: i64) {
        self.updated[slot as usize] = time;
    }

    pub(super) fn id(&self, slot: u32) -> u128 {
        self.ids[slot as usize]
    }

    pub(super) fn numbers_ascend(&self) -> bool {
        self.numbers_ascend
    }

    pub(super) fn number(&self, slot: u32) -> i64 {
        self.numbers[slot as usize]
    }

    /// What the task is sorted by.
    pub(super) fn value(&self, sort: Sort, slot: u32) -> i64 {
        let at = slot as usize;
        match sort {
            Sort::Created => self.created[at],
            Sort::Updated => self.updated[at],
            Sort::Priority => i64::from(self.ranks[at] >> 2),
            Sort::Status => i64::from(self.ranks[at] & 3),
        }
    }

    pub(super) fn key(&self, sort: Sort, slot: u32) -> Key {
        (self.value(sort, slot), self.ids[slot as usize])
    }

    /// Whether tasks that are equal in this sort stand in the order of their slots.
    pub(super) fn ids_ascend(&self) -> bool {
        self.ids_ascend
    }

    /// Whether the slots are in the order of creation.
    pub(super) fn creation_ascends(&self) -> bool {
        self.times_ascend && self.ids_ascend
    }

    /// The first slot whose id is greater. Only while [`ids_ascend`](Self::ids_ascend).
    pub(super) fn slot_after_id(&self, id: u128) -> u32 {
        self.ids.partition_point(|other| *other <= id) as u32
    }

    /// The first slot whose id is not smaller. Only while [`ids_ascend`](Self::ids_ascend).
    pub(super) fn slot_from_id(&self, id: u128) -> u32 {
        self.ids.partition_point(|other| *other < id) as u32
    }
}

/// The end of an id is random, and nobody outside can choose it.
fn hash(id: u128) -> u64 {
    (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_found_by_its_id_also_when_ids_came_late() {
        let mut columns = Columns::default();
        let ids = [10_u128, 20, 30, 5, 25, 40, 41, 7, 6, 50];
        for (at, id) in ids.into_iter().enumerate() {
            let time = i64::from(at as u32);
            let slot = columns.push(Values { id, created: time, updated: time, number: 1 }, None);
            assert_eq!(slot, at as u32);
            assert_eq!(columns.ids_ascend(), at < 3);
            for (slot, id) in ids.iter().enumerate() {
                let expected = (slot <= at).then_some(slot as u32);
                assert_eq!(columns.slot(*id), expected, "{id} after {at}");
            }
            assert_eq!(columns.slot(8), None);
        }
        assert!(!columns.creation_ascends());
    }
}
