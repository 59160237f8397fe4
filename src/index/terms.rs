//! The dictionary of words: which tasks have each word, in the order of the words, so that all words with one beginning
//! stand together.
//!
//! The words are kept in blocks, one after the other in one string. So a word takes its letters, two bytes and its
//! [`Postings`], and has no allocation of its own.
//!
//! Rejected: `BTreeMap<Box<str>, _>`: more than twice the memory, and texts such as "task 123456" give as many words as there
//! are tasks. An FST cannot be changed.

use roaring::RoaringBitmap;

use super::postings::{Postings, Union};

/// A block is cut in two when it has more words.
const WORDS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Terms {
    blocks: Vec<Block>,
    /// The first letters of each block. The search for a block looks only here, unless they are equal.
    starts: Vec<u64>,
}

#[derive(Debug, Default)]
struct Block {
    letters: Vec<u8>,
    /// Where each word ends. [`WORDS_MAX`] words of the greatest length fit into a `u16`.
    ends: Vec<u16>,
    postings: Vec<Postings>,
}

impl Block {
    fn word(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| usize::from(self.ends[before]));
        &self.letters[start..usize::from(self.ends[at])]
    }

    /// Where the word is, or where it would be.
    fn find(&self, word: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.word(middle).cmp(word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn insert(&mut self, at: usize, word: &[u8], postings: Postings) {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let from = usize::from(start);
        self.letters.splice(from..from, word.iter().copied());
        let length = word.len() as u16;
        self.ends.insert(at, start);
        self.ends[at..].iter_mut().for_each(|end| *end += length);
        self.postings.insert(at, postings);
    }

    fn remove(&mut self, at: usize) {
        let length = self.word(at).len();
        let end = usize::from(self.ends[at]);
        self.letters.drain(end - length..end);
        self.ends.remove(at);
        self.ends[at..].iter_mut().for_each(|end| *end -= length as u16);
        self.postings.remove(at);
    }

    /// Cuts off the half that comes after.
    fn split(&mut self) -> Self {
        let middle = self.ends.len() / 2;
        let start = self.ends[middle - 1];
        let letters = self.letters.split_off(usize::from(start));
        let ends = self.ends.split_off(middle).into_iter().map(|end| end - start).collect();
        let after = Self { letters, ends, postings: self.postings.split_off(middle) };
        self.letters.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.postings.shrink_to_fit();
        after
    }
}

/// The first eight letters, so that numbers compare as the words do.
fn start(word: &[u8]) -> u64 {
    let mut letters = [0; 8];
    let length = word.len().min(8);
    letters[..length].copy_from_slice(&word[..length]);
    u64::from_be_bytes(letters)
}

impl Terms {
    /// The block that a word belongs to.
    fn block(&self, word: &[u8]) -> usize {
        let start = start(word);
        let first = self.starts.partition_point(|other| *other < start);
        let end = first + self.starts[first..].partition_point(|other| *other == start);
        let equal = &self.blocks[first..end];
        (first + equal.partition_point(|block| block.word(0) <= word)).saturating_sub(1)
    }

    /// Adds a word of tasks, whose slots are sorted.
    pub(super) fn insert(&mut self, word: &str, slots: &[u32]) {
        let word = word.as_bytes();
        let number = self.block(word);
        let Some(block) = self.blocks.get_mut(number) else {
            let mut block = Block::default();
            block.insert(0, word, Postings::of(slots));
            self.starts.push(start(word));
            return self.blocks.push(block);
        };
        match (block.find(word), slots) {
            (Ok(at), [slot]) => block.postings[at].insert(*slot),
            (Ok(at), _) => block.postings[at].extend(slots),
            (Err(at), _) => {
                block.insert(at, word, Postings::of(slots));
                self.starts[number] = start(block.word(0));
                if block.ends.len() > WORDS_MAX {
                    let after = block.split();
                    self.starts.insert(number + 1, start(after.word(0)));
                    self.blocks.insert(number + 1, after);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, word: &str, slot: u32) {
        let number = self.block(word.as_bytes());
        let Some(block) = self.blocks.get_mut(number) else {
            return;
        };
        if let Ok(at) = block.find(word.as_bytes())
            && !block.postings[at].remove(slot)
        {
            block.remove(at);
            match block.ends.is_empty() {
                true => {
                    self.blocks.remove(number);
                    self.starts.remove(number);
                }
                false => self.starts[number] = start(block.word(0)),
            }
        }
    }

    /// Gives back the memory that the sets have taken to grow.
    pub(super) fn shrink(&mut self) {
        self.blocks.iter_mut().flat_map(|block| &mut block.postings).for_each(Postings::shrink);
    }

    /// The tasks that have a word with this beginning.
    pub(super) fn beginning_with(&self, beginning: &str) -> RoaringBitmap {
        let beginning = beginning.as_bytes();
        let mut union = Union::default();
        let first = self.block(beginning);
        for block in self.blocks.get(first..).unwrap_or_default() {
            let from = block.find(beginning).unwrap_or_else(|at| at);
            for at in from..block.ends.len() {
                if !block.word(at).starts_with(beginning) {
                    return union.into_bitmap();
                }
                union.add(&block.postings[at]);
            }
        }
        union.into_bitmap()
    }

    /// How many words there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.ends.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn words_are_found_by_their_beginnings_after_any_change() {
        let mut terms = Terms::default();
        let mut model: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut state = 11_u64;
        let mut random = |below: u32| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32 % below
        };
        for step in 0..60_000 {
            // Few words first, so that some get many slots.
            let number = random(if step < 10_000 { 20 } else { 4_000 });
            let word = format!("{}{number:o}", ["a", "abcdefghi", "é", ""][number as usize % 4]);
            let slot = random(3_000);
            match random(3) == 0 {
                true => {
                    terms.remove(&word, slot);
                    if let Some(slots) = model.get_mut(&word) {
                        slots.remove(&slot);
                        if slots.is_empty() {
                            model.remove(&word);
                        }
                    }
                }
                false => {
                    terms.insert(&word, &[slot]);
                    model.entry(word).or_default().insert(slot);
                }
            }
        }
        assert_eq!(terms.len(), model.len());
        for beginning in ["", "a", "ab", "abcdefghi1", "é17", "7", "b", "zz", "abcdefghi77777"] {
            let with = model.iter().filter(|(word, _)| word.starts_with(beginning));
            let expected: BTreeSet<u32> = with.flat_map(|(_, slots)| slots.iter().copied()).collect();
            assert_eq!(
                terms.beginning_with(beginning).iter().collect::<BTreeSet<_>>(),
                expected,
                "{beginning}"
            );
        }
        for (word, slots) in model {
            slots.iter().for_each(|slot| terms.remove(&word, *slot));
        }
        assert_eq!((terms.len(), terms.blocks.len(), terms.starts.len()), (0, 0, 0));
    }
}
