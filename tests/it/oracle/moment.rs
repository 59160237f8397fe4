//! What everybody knows of the hub: which of its lives it is in, where it listens, and how that life stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Up,
    /// It is about to end, or has ended; what it said still counts.
    Ending,
    /// All is written, up to this seq: read on to there and be done.
    Finishing(u64),
}

#[derive(Debug, Clone)]
pub struct Moment {
    /// Counts the lives from 1.
    pub life: u32,
    pub address: SocketAddr,
    pub phase: Phase,
    crashed: Arc<AtomicBool>,
}

impl Moment {
    pub fn new(life: u32, address: SocketAddr) -> Self {
        Self { life, address, phase: Phase::Up, crashed: Arc::default() }
    }

    /// The same life, further on.
    pub fn in_phase(&self, phase: Phase) -> Self {
        Self { phase, ..self.clone() }
    }

    /// From here on this life never said anything: whatever arrives of it is thrown away.
    pub fn crash(&self) {
        self.crashed.store(true, SeqCst);
    }

    pub fn has_crashed(&self) -> bool {
        self.crashed.load(SeqCst)
    }
}

/// Sees each moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Moments(pub watch::Receiver<Option<Moment>>);

impl Moments {
    pub fn now(&self) -> Option<Moment> {
        self.0.borrow().clone()
    }

    /// The life that one can connect to, waited for; `None` when there will be no more.
    pub async fn up(&mut self) -> Option<Moment> {
        let up = |moment: &Option<Moment>| {
            moment.as_ref().is_some_and(|it| it.phase != Phase::Ending && !it.has_crashed())
        };
        self.0.wait_for(up).await.ok().and_then(|moment| moment.clone())
    }

    /// Until something is different.
    ///
    /// # Cancel safety
    /// Only observes.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
