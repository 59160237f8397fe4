//! A quota: limits how many permits exist, in all and for each client. Dropping a permit returns
//! it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

/// Marks a request on a connection of the server's reserve. The reserve only lets operators see the
/// hub's state while all other permits are taken.
#[derive(Debug, Clone, Copy)]
pub struct OnReserve;

/// The limits of a quota.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub all: u32,
    pub each: u32,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// All are taken.
    All,
    /// The client has as many as it may.
    Own,
}

/// The permits of all clients. Clones share them.
#[derive(Debug)]
pub struct Quota<K> {
    limits: Limits,
    taken: Arc<Mutex<Taken<K>>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: u32,
    of: HashMap<K, u32>,
}

impl<K> Clone for Quota<K> {
    fn clone(&self) -> Self {
        Self { limits: self.limits, taken: self.taken.clone() }
    }
}

impl<K: Hash + Eq + Clone> Quota<K> {
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::new(Mutex::new(Taken { all: 0, of: HashMap::new() })) }
    }

    /// A permit for `client`. `None` counts only against the limit of all.
    ///
    /// # Errors
    /// [`Exhausted`]
    pub fn take(&self, client: Option<K>) -> Result<Permit<K>, Exhausted> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.limits.all {
            return Err(Exhausted::All);
        }
        if let Some(client) = &client {
            let count = taken.of.entry(client.clone()).or_default();
            if *count >= self.limits.each {
                return Err(Exhausted::Own);
            }
            *count += 1;
        }
        taken.all += 1;
        Ok(Permit { client, taken: self.taken.clone() })
    }
}

/// A permit in use.
#[derive(Debug)]
pub struct Permit<K: Hash + Eq> {
    client: Option<K>,
    taken: Arc<Mutex<Taken<K>>>,
}

impl<K: Hash + Eq> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        let Some(client) = &self.client else {
            return;
        };
        if let Some(count) = taken.of.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(client);
            }
        }
    }
}

fn lock<K>(taken: &Mutex<Taken<K>>) -> MutexGuard<'_, Taken<K>> {
    taken.lock().unwrap_or_else(|poison| poison.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_gets_back_what_it_gives_up() {
        let quota = Quota::new(Limits { all: 4, each: 2 });
        let (first, second) = (quota.take(Some("a")), quota.take(Some("a")));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(quota.take(Some("a")).err(), Some(Exhausted::Own));
        let others = [quota.take(Some("b")), quota.take(None)];
        assert!(
            others.iter().all(Result::is_ok),
            "another client has its own, and nobody in particular no bound"
        );
        assert_eq!(quota.take(None).err(), Some(Exhausted::All));
        drop(first);
        let third = quota.take(Some("a"));
        assert!(third.is_ok());
        drop((second, third, others));
        let taken = lock(&quota.taken);
        assert!(taken.of.is_empty() && taken.all == 0);
    }
}
