//! A memory budget that clients share: one limit for all of them, and a share for each. A client
//! that fills its share delays only itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One client may hold at most one part in this many of all bytes.
const SHARES: u32 = 4;

/// A number of bytes that requests can hold.
#[derive(Debug)]
pub struct Budget<K: Eq + Hash> {
    all: Arc<Semaphore>,
    each_max: u32,
    /// The shares of the clients that hold something now.
    shares: Shares<K>,
}

type Shares<K> = Arc<Mutex<HashMap<K, Arc<Semaphore>>>>;

/// The bytes that one request holds. Dropping it returns them.
#[derive(Debug)]
pub struct Held<K: Eq + Hash> {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    each_max: u32,
    permits: Vec<OwnedSemaphorePermit>,
    place: (K, Shares<K>),
}

impl<K: Eq + Hash + Clone> Budget<K> {
    /// `one_max`: the most that one request needs. That much always fits.
    pub fn new(all_max: u32, one_max: u32) -> Self {
        let all_max = all_max.max(one_max);
        Self {
            all: Arc::new(Semaphore::new(all_max as usize)),
            each_max: (all_max / SHARES).max(one_max),
            shares: Arc::default(),
        }
    }

    /// An empty holding for a request of this client.
    pub fn of(&self, client: K) -> Held<K> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let full = || Arc::new(Semaphore::new(self.each_max as usize));
        let own = shares.entry(client.clone()).or_insert_with(full).clone();
        let place = (client, self.shares.clone());
        Held { all: self.all.clone(), own, each_max: self.each_max, permits: Vec::new(), place }
    }
}

impl<K: Eq + Hash> Held<K> {
    /// Waits until `bytes` more are free, and holds them.
    pub async fn add(&mut self, bytes: u32) {
        // The own share first: a request that waits for it holds nothing of the common budget
        // meanwhile.
        for from in [&self.own, &self.all] {
            let more = from.clone().acquire_many_owned(bytes).await;
            self.permits.push(more.expect("the budget is never closed"));
        }
    }

    /// Holds `bytes` more if they are free now. An amount larger than a share takes the whole
    /// share.
    pub fn try_add(&mut self, bytes: u64) -> bool {
        let bytes = bytes.min(self.each_max.into()) as u32;
        let more: Result<Vec<_>, _> = [&self.own, &self.all]
            .into_iter()
            .map(|from| from.clone().try_acquire_many_owned(bytes))
            .collect();
        let is_there = more.is_ok();
        self.permits.extend(more.into_iter().flatten());
        is_there
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        self.permits.clear();
        let (client, shares) = &self.place;
        let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the table and this value refer to the share: the client has no other request.
        if Arc::strong_count(&self.own) <= 2 {
            shares.remove(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_client_that_fills_its_share_waits_and_others_do_not() {
        let budget = Budget::new(100, 10);
        let mut greedy = budget.of("greedy");
        greedy.add(25).await;
        let mut second = budget.of("greedy");
        assert!(second.add(1).now_or_never().is_none());
        let mut modest = budget.of("modest");
        assert!(modest.add(25).now_or_never().is_some());
        drop(greedy);
        assert!(second.add(1).now_or_never().is_some());
        drop((second, modest));
        let [mut first, mut second] = ["greedy", "greedy"].map(|client| budget.of(client));
        assert!(first.try_add(1_000), "one large answer always fits");
        assert!(!second.try_add(1) && budget.of("modest").try_add(25));
        drop(first);
        assert!(second.try_add(25), "what was refused holds nothing");
        drop(second);
        assert!(budget.shares.lock().expect("no panic").is_empty());
    }
}
