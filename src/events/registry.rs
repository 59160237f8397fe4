//! Who is connected, and how far along. Nothing here is on the way of an event.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::domain::clock::Timestamp;
use crate::domain::filter::EventFilter;

use super::frame::Format;

/// One open stream.
#[derive(Debug)]
pub struct Client {
    pub id: u64,
    pub peer: Option<IpAddr>,
    pub since: Timestamp,
    pub format: Format,
    pub filter: EventFilter,
    /// The seq up to which everything was sent or filtered out.
    pub cursor: AtomicU64,
    pub bytes: AtomicU64,
    pub events: AtomicU64,
}

/// Sums over all streams, ended ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub connected: u64,
    pub connections: u64,
    pub bytes: u64,
    pub events: u64,
}

#[derive(Debug, Default)]
pub struct Registry {
    clients: Mutex<HashMap<u64, Arc<Client>>>,
    connections: AtomicU64,
    ended_bytes: AtomicU64,
    ended_events: AtomicU64,
}

/// Keeps a client in the registry; dropping it, however the stream ends, takes the client out.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    client: Arc<Client>,
}

impl Registry {
    pub fn register(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        format: Format,
        filter: EventFilter,
        cursor: u64,
    ) -> Registration {
        let client = Arc::new(Client {
            id: self.connections.fetch_add(1, Relaxed) + 1,
            peer,
            since: Timestamp::now(),
            format,
            filter,
            cursor: AtomicU64::new(cursor),
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
        });
        self.lock().insert(client.id, client.clone());
        Registration { registry: self.clone(), client }
    }

    /// The open streams, oldest first.
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.lock().values().cloned().collect();
        clients.sort_by_key(|client| client.id);
        clients
    }

    pub fn totals(&self) -> Totals {
        let clients = self.lock();
        let sum = |of: fn(&Client) -> &AtomicU64| -> u64 {
            clients.values().map(|client| of(client).load(Relaxed)).sum()
        };
        Totals {
            connected: clients.len() as u64,
            connections: self.connections.load(Relaxed),
            bytes: self.ended_bytes.load(Relaxed) + sum(|client| &client.bytes),
            events: self.ended_events.load(Relaxed) + sum(|client| &client.events),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Registration {
    /// Notes what was handed to the connection.
    pub fn sent(&self, cursor: u64, events: u64, bytes: usize) {
        self.client.cursor.store(cursor, Relaxed);
        self.client.events.fetch_add(events, Relaxed);
        self.client.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut clients = self.registry.lock();
        clients.remove(&self.client.id);
        let (bytes, events) = (&self.client.bytes, &self.client.events);
        self.registry.ended_bytes.fetch_add(bytes.load(Relaxed), Relaxed);
        self.registry.ended_events.fetch_add(events.load(Relaxed), Relaxed);
    }
}
