//! The tasks that have something in common, as a set of slots: a word, a tag, an assignee.
//!
//! Most words are rare. So a set of one takes no memory of its own, and a small set is a sorted list. Only a large set is
//! a bitmap: a bitmap takes some 50 bytes for every 65,536 slots that it has any of.

use roaring::RoaringBitmap;

/// A set becomes a bitmap when it has more slots.
const SLICE_MAX: usize = 512;

#[derive(Debug, Clone)]
pub(super) enum Postings {
    One(u32),
    /// Sorted, at least two. In a box, because it makes all others smaller.
    #[expect(clippy::box_collection, reason = "a set of one, as most are, takes 16 bytes instead of 24")]
    Slice(Box<Vec<u32>>),
    Bitmap(Box<RoaringBitmap>),
}

impl Postings {
    /// The set of these slots, which are sorted and at least one.
    pub(super) fn of(slots: &[u32]) -> Self {
        match slots {
            [slot] => Self::One(*slot),
            _ if slots.len() <= SLICE_MAX => Self::Slice(Box::new(slots.to_vec())),
            _ => Self::Bitmap(Box::new(bitmap(slots))),
        }
    }

    pub(super) fn insert(&mut self, slot: u32) {
        match self {
            Self::One(one) if *one == slot => {}
            Self::One(one) => *self = Self::of(&[slot.min(*one), slot.max(*one)]),
            Self::Bitmap(bitmap) => drop(bitmap.insert(slot)),
            Self::Slice(slots) => {
                let Err(at) = slots.binary_search(&slot) else {
                    return;
                };
                make_room(slots, 1);
                slots.insert(at, slot);
                if slots.len() > SLICE_MAX {
                    *self = Self::of(&std::mem::take(slots));
                }
            }
        }
    }

    /// Adds sorted slots.
    pub(super) fn extend(&mut self, added: &[u32]) {
        match self {
            Self::Bitmap(bitmap) => {
                // The usual case: all of them are new tasks.
                if bitmap.append(added.iter().copied()).is_err() {
                    bitmap.extend(added);
                }
            }
            Self::Slice(slots) if slots.last() < added.first() && slots.len() + added.len() <= SLICE_MAX => {
                make_room(slots, added.len());
                slots.extend_from_slice(added);
            }
            _ => {
                let mut all: Vec<u32> = self.slots().chain(added.iter().copied()).collect();
                all.sort_unstable();
                all.dedup();
                *self = Self::of(&all);
            }
        }
    }

    /// Takes a slot out. `false` when nothing is left, and the set has to be dropped.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        match self {
            Self::One(one) => return *one != slot,
            Self::Bitmap(bitmap) => {
                bitmap.remove(slot);
                // Well below the other limit, so that no set changes its form again and again.
                if bitmap.len() as usize <= SLICE_MAX / 2 {
                    let left: Vec<u32> = bitmap.iter().collect();
                    *self = Self::of(&left);
                }
            }
            Self::Slice(slots) => {
                if let Ok(at) = slots.binary_search(&slot) {
                    slots.remove(at);
                    if let [left] = slots[..] {
                        *self = Self::One(left);
                    }
                }
            }
        }
        true
    }

    /// Gives back the memory that the set has taken to grow.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::One(_) => {}
            Self::Slice(slots) => slots.shrink_to_fit(),
            Self::Bitmap(bitmap) => shrink(bitmap),
        }
    }

    /// The greatest slot.
    pub(super) fn last(&self) -> Option<u32> {
        match self {
            Self::Bitmap(bitmap) => bitmap.max(),
            _ => self.slots().next_back(),
        }
    }

    /// The slots of a set that is no bitmap.
    fn slots(&self) -> impl DoubleEndedIterator<Item = u32> {
        let slots = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Slice(slots) => slots,
            Self::Bitmap(_) => &[],
        };
        slots.iter().copied()
    }

    pub(super) fn as_bitmap(&self) -> std::borrow::Cow<'_, RoaringBitmap> {
        match self {
            Self::Bitmap(bitmap) => std::borrow::Cow::Borrowed(bitmap),
            _ => std::borrow::Cow::Owned(self.slots().collect()),
        }
    }
}

/// Gives back the memory that a bitmap has taken to grow.
pub(super) fn shrink(bitmap: &mut RoaringBitmap) {
    bitmap.optimize();
    // A copy has no room to spare.
    *bitmap = bitmap.clone();
}

/// Makes room, but less than a vector would by itself: there are many of them.
fn make_room(slots: &mut Vec<u32>, count: usize) {
    if slots.capacity() < slots.len() + count {
        slots.reserve_exact(count.max(slots.len() / 4));
    }
}

fn bitmap(sorted: &[u32]) -> RoaringBitmap {
    RoaringBitmap::from_sorted_iter(sorted.iter().copied()).expect("the slots are sorted")
}

/// The union of many sets. Small sets are written into plain words of bits, which takes about a nanosecond a slot.
#[derive(Debug, Default)]
pub(super) struct Union<'a> {
    bits: Vec<u64>,
    bitmaps: Vec<&'a RoaringBitmap>,
}

impl<'a> Union<'a> {
    pub(super) fn add(&mut self, postings: &'a Postings) {
        if let Postings::Bitmap(bitmap) = postings {
            self.bitmaps.push(bitmap);
        }
        for slot in postings.slots() {
            let word = slot as usize / 64;
            if word >= self.bits.len() {
                self.bits.resize((word + 1).next_power_of_two(), 0);
            }
            self.bits[word] |= 1 << (slot % 64);
        }
    }

    pub(super) fn into_bitmap(self) -> RoaringBitmap {
        use roaring::MultiOps;
        let bytes: Vec<u8> = self.bits.iter().flat_map(|word| word.to_le_bytes()).collect();
        let small = RoaringBitmap::from_lsb0_bytes(0, &bytes);
        match self.bitmaps.is_empty() {
            true => small,
            false => self.bitmaps.into_iter().chain([&small]).union(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_same_in_every_form() {
        let mut model = std::collections::BTreeSet::from([70_000]);
        let mut set = Postings::of(&[70_000]);
        let mut state = 7_u64;
        for step in 0..20_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let slot = (state >> 40) as u32 % 3_000;
            // It grows beyond both limits and shrinks again, and never gets empty.
            match (step / 4_000) % 2 == 0 {
                true => {
                    set.insert(slot);
                    model.insert(slot);
                }
                false => {
                    assert!(set.remove(slot));
                    model.remove(&slot);
                }
            }
            if step % 900 == 0 {
                set.shrink();
            }
            if step % 500 == 0 {
                assert_eq!(
                    set.as_bitmap().iter().collect::<Vec<_>>(),
                    model.iter().copied().collect::<Vec<_>>()
                );
                let mut union = Union::default();
                union.add(&set);
                assert_eq!(union.into_bitmap(), *set.as_bitmap());
            }
        }
        set.extend(&[1, 2, 70_000, 80_000]);
        model.extend([1, 2, 80_000]);
        assert_eq!(set.as_bitmap().len() as usize, model.len());
        assert!(!Postings::One(5).remove(5) && Postings::One(5).remove(6));
    }
}
