//! How fast each client may ask, when the operator limits that: by token, or by address where none is asked for.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use poem::http::header;

use crate::domain::token::Caller;

use crate::api::problem::{Code, Problem};

/// Requests after which those are forgotten who have been quiet: memory is for clients that are there.
const PRUNE_EVERY: u32 = 4096;

/// What each client may do in a second, saved up for a second.
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
    /// A [`Problem`] that says when to ask again.
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
