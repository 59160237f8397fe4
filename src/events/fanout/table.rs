//! The clients of a fan-out thread, in a dense table. Each has a number that the kernel can return.

use super::key::Key;
use super::member::Member;

#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    member: Option<Member>,
}

impl Table {
    pub fn insert(&mut self, member: Member) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // A process has fewer descriptors than `u32` has values.
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        place.member = Some(member);
        Key { slot, generation: place.generation }
    }

    pub fn get(&mut self, key: Key) -> Option<&mut Member> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.member.as_mut().filter(|_| slot.generation == key.generation)
    }

    pub fn remove(&mut self, key: Key) -> Option<Member> {
        self.get(key)?;
        let slot = &mut self.slots[key.slot as usize];
        // Only half of the values, so that no key is all ones.
        slot.generation = (slot.generation + 1) & (u32::MAX >> 1);
        self.free.push(key.slot);
        slot.member.take()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots, empty ones included.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The client in a slot.
    pub fn key_at(&self, slot: usize) -> Option<Key> {
        let Slot { generation, member } = self.slots.get(slot)?;
        member.as_ref().map(|_| Key { slot: slot as u32, generation: *generation })
    }

    pub fn keys(&self) -> Vec<Key> {
        (0..self.slots.len()).filter_map(|slot| self.key_at(slot)).collect()
    }
}
