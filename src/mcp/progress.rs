//! Tells a client that waits how long it has waited, if it has asked for that.
//!
//! Some clients give up after a minute of silence, and start anew with each word on progress.

use futures_util::future::BoxFuture;
use poem::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::time::{Duration, Instant, MissedTickBehavior};

/// Between two words on progress.
const PERIOD: Duration = Duration::from_secs(10);

/// Whether the client takes a stream as an answer. Without one there is no way to tell progress.
#[derive(Debug, Clone, Copy)]
pub struct TakesStream(pub bool);

#[derive(Debug)]
pub struct Progress {
    token: ProgressToken,
    peer: Peer<RoleServer>,
}

impl Progress {
    pub fn asked_for(request: &RequestContext<RoleServer>) -> Option<Self> {
        let parts = request.extensions.get::<Parts>()?;
        let TakesStream(takes_stream) = *parts.extensions.get()?;
        let token = request.meta.get_progress_token().filter(|_| takes_stream)?;
        Some(Self { token, peer: request.peer.clone() })
    }

    /// Waits for `work`, and tells every few seconds that it is being waited for.
    ///
    /// # Cancel safety
    /// As `work`.
    pub fn while_waiting<'a, T: Send + 'a>(
        progress: Option<&'a Self>,
        what: &'a str,
        work: impl Future<Output = T> + Send + 'a,
    ) -> BoxFuture<'a, T> {
        // Boxed, since a future that is handed on is kept once for each hand.
        let work = Box::pin(work);
        match progress {
            Some(progress) => Box::pin(progress.tell_until(work, what)),
            None => work,
        }
    }

    async fn tell_until<T: Send>(&self, mut work: BoxFuture<'_, T>, what: &str) -> T {
        let started = Instant::now();
        let mut ticks = tokio::time::interval_at(started + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Both are cancel safe: the work is only polled.
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.tell(started.elapsed().as_secs() as f64, what).await,
            }
        }
    }

    async fn tell(&self, seconds: f64, what: &str) {
        let told = ProgressNotificationParam::new(self.token.clone(), seconds).with_message(what);
        // The stream itself notices a client that has gone.
        let _ = self.peer.notify_progress(told).await;
    }
}
