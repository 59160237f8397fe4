//! Limits how many requests each client may send in a second, if the operator sets a limit. A
//! client is a token, or an address where no token is required.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use poem::http::header;

use crate::domain::token::Caller;

use crate::api::problem::{Code, Problem};

/// After this many requests, the limiter forgets idle clients. So memory is used only for active
/// ones.
const PRUNE_EVERY: u32 = 4096;

/// The requests that each client may send in a second; unused ones can be saved for one second.
#[derive(Debug)]
pub struct RateLimit {
    limiter: DefaultKeyedRateLimiter<Caller>,
    per_second: NonZeroU32,
    asked: AtomicU32,
}

impl RateLimit {
    pub fn new(per_second: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second));
        Self { limiter, per_second, asked: AtomicU32::new(0) }
    }

    /// # Errors
    /// A [`Problem`] that says when to try again.
    pub fn check(&self, caller: &Caller) -> Result<(), Problem> {
        if self.asked.fetch_add(1, Relaxed).is_multiple_of(PRUNE_EVERY) {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(caller).map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + 1;
            let detail = format!("more than {} requests in a second; wait {seconds} s", self.per_second);
            Problem::new(Code::TooManyRequests, detail).with_header(header::RETRY_AFTER, seconds.to_string())
        })
    }
}
