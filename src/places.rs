//! Places that each client has a limited number of. A place is given back when it is dropped.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// The places of all clients. Clones share them.
#[derive(Debug, Clone)]
pub struct Places<K> {
    max: u32,
    taken: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Places<K> {
    pub fn new(max: u32) -> Self {
        Self { max, taken: Arc::default() }
    }

    /// A place of `client`; `None` when it has as many as it may.
    pub fn take(&self, client: K) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(|poison| poison.into_inner());
        let count = taken.entry(client.clone()).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        let places = self.taken.clone();
        Some(Place(Some(Box::new(move || give_back(&places, &client)))))
    }
}

fn give_back<K: Hash + Eq>(places: &Mutex<HashMap<K, u32>>, client: &K) {
    let mut taken = places.lock().unwrap_or_else(|poison| poison.into_inner());
    if let Some(count) = taken.get_mut(client) {
        *count -= 1;
        if *count == 0 {
            taken.remove(client);
        }
    }
}

/// A place that was taken. Whose it is, its holders need not know.
pub struct Place(Option<Box<dyn FnOnce() + Send + Sync>>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_gets_back_what_it_gives_up() {
        let places = Places::new(2);
        let first = places.take("a");
        let second = places.take("a");
        assert!(first.is_some() && second.is_some() && places.take("a").is_none());
        assert!(places.take("b").is_some(), "another client has its own");
        drop(first);
        assert!(places.take("a").is_some());
        drop(second);
        assert!(places.taken.lock().expect("no panic").is_empty());
    }
}
