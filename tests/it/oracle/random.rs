//! SplitMix64: all of a schedule comes of one number, on every machine alike.

use std::ops::RangeInclusive;

#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, so that who draws from one does not disturb the others.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    /// True this often in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.between(0..=list.len() as u64 - 1) as usize]
    }

    /// Some of a list, in its order: at least one, at most `most`.
    pub fn some<T: Clone>(&mut self, list: &[T], most: usize) -> Vec<T> {
        let mut left: Vec<usize> = (0..list.len()).collect();
        let count = self.between(1..=most.min(list.len()) as u64);
        let mut picked: Vec<usize> = (0..count)
            .map(|_| {
                let at = self.between(0..=left.len() as u64 - 1) as usize;
                left.swap_remove(at)
            })
            .collect();
        picked.sort_unstable();
        picked.into_iter().map(|at| list[at].clone()).collect()
    }
}
