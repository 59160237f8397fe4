//! Places that there is a limited number of, in all and for each client. A place is given back when it is dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

/// Goes with a request that has come on a place of the server's reserve: it is there so that operators can see what is
/// going on while all other places are taken, and for nothing else.
#[derive(Debug, Clone, Copy)]
pub struct OnReserve;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub all: u32,
    pub each: u32,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// The client has as many as it may.
    Own,
}

/// The places of all clients. Clones share them.
#[derive(Debug)]
pub struct Places<K> {
    bounds: Bounds,
    taken: Arc<Mutex<Taken<K>>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: u32,
    of: HashMap<K, u32>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self { bounds: self.bounds, taken: self.taken.clone() }
    }
}

impl<K: Hash + Eq + Clone> Places<K> {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, taken: Arc::new(Mutex::new(Taken { all: 0, of: HashMap::new() })) }
    }

    /// A place of `client`, or of nobody in particular.
    ///
    /// # Errors
    /// [`Full`]
    pub fn take(&self, client: Option<K>) -> Result<Place<K>, Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.bounds.all {
            return Err(Full::All);
        }
        if let Some(client) = &client {
            let count = taken.of.entry(client.clone()).or_default();
            if *count >= self.bounds.each {
                return Err(Full::Own);
            }
            *count += 1;
        }
        taken.all += 1;
        Ok(Place { client, taken: self.taken.clone() })
    }
}

/// A place that was taken.
#[derive(Debug)]
pub struct Place<K: Hash + Eq> {
    client: Option<K>,
    taken: Arc<Mutex<Taken<K>>>,
}

impl<K: Hash + Eq> Drop for Place<K> {
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
        let places = Places::new(Bounds { all: 4, each: 2 });
        let (first, second) = (places.take(Some("a")), places.take(Some("a")));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(places.take(Some("a")).err(), Some(Full::Own));
        let others = [places.take(Some("b")), places.take(None)];
        assert!(
            others.iter().all(Result::is_ok),
            "another client has its own, and nobody in particular no bound"
        );
        assert_eq!(places.take(None).err(), Some(Full::All));
        drop(first);
        let third = places.take(Some("a"));
        assert!(third.is_ok());
        drop((second, third, others));
        let taken = lock(&places.taken);
        assert!(taken.of.is_empty() && taken.all == 0);
    }
}
