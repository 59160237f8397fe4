//! Limits connections: in all, for each address, and a small reserve for when all permits are
//! taken.
//!
//! A hub without a free permit still answers. Each permit of the reserve is good for one request
//! and for a short time. A connection in the reserve that sends nothing makes room for the next
//! one. So an operator who asks for the hub's state gets an answer even while a thousand others
//! connect and send nothing.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::config::ServerConfig;
use crate::open_files;
use crate::quota::{Exhausted, Limits, Permit, Quota};

/// Permits of the reserve: enough for a few operators and their monitoring at once.
const RESERVE_PLACES: u32 = 32;
/// With few permits the reserve is one part in this many of them instead.
const RESERVE_SHARE: u32 = 4;
/// The default limit of connections for one address: no less than the streams that a client may
/// have.
const PER_ADDRESS_MAX: u32 = 20_000;
/// How long a connection in the reserve has to begin a request, before a waiting one may take its
/// permit.
const RESERVE_PATIENCE: Duration = Duration::from_millis(100);
/// After this time a permit of the reserve is free again in any case.
const RESERVE_TIME_MAX: Duration = Duration::from_secs(5);

/// What a connection holds.
#[derive(Debug)]
pub(super) enum Admitted {
    Permit(Permit<IpAddr>),
    Reserve(Reserved),
}

#[derive(Debug)]
pub(super) struct Admission {
    quota: Quota<IpAddr>,
    reserve: Reserve,
    /// Trusted proxies have no limit for their address: many clients are behind one.
    proxies: Vec<IpNet>,
    /// Whether the hub's own machine has no limit either: all of its programs share one address,
    /// and its other users can do worse.
    is_loopback_free: bool,
}

impl Admission {
    pub fn new(config: &ServerConfig) -> Self {
        let (all, reserve) = split(config.connections_max, open_files::shares().connections);
        if all < config.connections_max {
            // Not a warning: many machines are set up like this, and few hubs need more.
            tracing::info!(
                connections_max = all,
                "fewer connections are possible than allowed: the limit on open files is low (`ulimit -n`, \
                 LimitNOFILE=)"
            );
        }
        // Without a setting, no address gets all of them.
        let each = config.connections_per_address_max.unwrap_or(PER_ADDRESS_MAX.min(all - all / 4));
        Self {
            quota: Quota::new(Limits { all, each }),
            reserve: Reserve { quota: Arc::new(Semaphore::new(reserve as usize)), wanted: Arc::default() },
            proxies: config.trusted_proxy.clone(),
            is_loopback_free: config.connections_per_address_max.is_none(),
        }
    }

    /// Waits for a permit for a connection from `peer`; `None` when its address has reached its
    /// limit.
    ///
    /// # Cancel safety
    /// A permit that is dropped is free again.
    pub async fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let peer = peer.to_canonical();
        let is_free = self.proxies.iter().any(|network| network.contains(&peer))
            || self.is_loopback_free && peer.is_loopback();
        let client = (!is_free).then(|| network_of(peer));
        loop {
            match self.quota.take(client) {
                Ok(permit) => return Some(Admitted::Permit(permit)),
                Err(Exhausted::All) => {}
                // A reserve permit lets the hub tell the client, but only if one is free now.
                Err(Exhausted::Own) => return self.reserve.try_take().map(Admitted::Reserve),
            }
            // Meanwhile an ordinary permit may be free again.
            if let Some(reserved) = self.reserve.take().await {
                return Some(Admitted::Reserve(reserved));
            }
        }
    }
}

/// The key by which connections are counted: an IPv6 host has a whole /64 network, with all its
/// addresses.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// How many permits there are, and how many more in the reserve. There must be `room` for at least
/// two connections.
fn split(connections_max: u32, room: u32) -> (u32, u32) {
    let reserve = RESERVE_PLACES.min((room / RESERVE_SHARE).max(1));
    (connections_max.min(room - reserve), reserve)
}

/// The permits for when all others are taken.
#[derive(Debug, Clone)]
struct Reserve {
    quota: Arc<Semaphore>,
    wanted: Arc<Wanted>,
}

/// The connections that wait for a permit of the reserve.
#[derive(Debug, Default)]
struct Wanted {
    /// Each waiting connection notifies it. This wakes a connection that holds a permit and has had
    /// enough time.
    notify: Notify,
    /// How many wait now. A notification from a connection that got a permit since is no reason to
    /// make room.
    waiting: AtomicUsize,
}

impl Wanted {
    /// Notifies, and counts as waiting as long as the guard lives.
    fn wait(&self) -> impl Drop + '_ {
        struct Waiting<'a>(&'a Wanted);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Relaxed);
            }
        }
        self.waiting.fetch_add(1, Relaxed);
        self.notify.notify_one();
        Waiting(self)
    }
}

impl Reserve {
    /// A permit that is free now, or that another connection frees within a moment.
    async fn take(&self) -> Option<Reserved> {
        if let Some(reserved) = self.try_take() {
            return Some(reserved);
        }
        let _waiting = self.wanted.wait();
        let permit = timeout(RESERVE_PATIENCE, self.quota.clone().acquire_owned()).await.ok()?;
        Some(self.reserved(permit.expect("the semaphore is never closed")))
    }

    fn try_take(&self) -> Option<Reserved> {
        self.quota.clone().try_acquire_owned().ok().map(|permit| self.reserved(permit))
    }

    fn reserved(&self, permit: OwnedSemaphorePermit) -> Reserved {
        Reserved { _place: permit, wanted: self.wanted.clone() }
    }
}

/// A permit of the reserve.
#[derive(Debug)]
pub(super) struct Reserved {
    _place: OwnedSemaphorePermit,
    wanted: Arc<Wanted>,
}

impl Reserved {
    /// Returns when the connection has to end: at the time limit, or earlier if another one waits
    /// and this one has not begun a request (`has_begun`).
    pub async fn over(&self, has_begun: impl Fn() -> bool) {
        let wanted = async {
            sleep(RESERVE_PATIENCE).await;
            loop {
                self.wanted.notify.notified().await;
                match self.wanted.waiting.load(Relaxed) {
                    0 => {}
                    _ if has_begun() => break,
                    _ => return,
                }
            }
            // Pass the notification on to another connection.
            self.wanted.notify.notify_one();
            std::future::pending::<()>().await;
        };
        // The connection ends in either case.
        let _ = timeout(RESERVE_TIME_MAX, wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn of_the_room_for_connections_some_is_the_reserve() {
        assert_eq!(split(50_000, u32::MAX), (50_000, 32));
        assert_eq!(split(50_000, 2616), (2584, 32));
        assert_eq!(split(50_000, 96), (72, 24));
        assert_eq!(split(10, 96), (10, 24));
        assert_eq!(split(50_000, 2), (1, 1), "somebody is always served");
    }

    #[test]
    fn all_addresses_of_a_host_are_one_client() {
        let of = |text: &str| network_of(text.parse().expect("an address")).to_string();
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[tokio::test]
    async fn who_waits_for_the_reserve_gets_a_place_that_is_free_before() {
        let reserve = Reserve { quota: Arc::new(Semaphore::new(1)), wanted: Arc::default() };
        let quota = Quota::new(Limits { all: 1, each: 1 });
        let admission = Admission { quota, reserve, proxies: Vec::new(), is_loopback_free: true };
        let peer = IpAddr::from([127, 0, 0, 1]);
        let first = admission.admit(peer).await;
        assert!(matches!(first, Some(Admitted::Permit(_))));
        let Some(Admitted::Reserve(busy)) = admission.admit(peer).await else {
            panic!("all places are taken");
        };
        let waiting = tokio::join!(timeout(DEADLINE, admission.admit(peer)), async { drop(first) }).0;
        assert!(matches!(waiting, Ok(Some(Admitted::Permit(_)))), "{waiting:?}");
        drop(busy);
    }

    #[tokio::test]
    async fn nobody_makes_room_for_one_who_has_gone() {
        let reserve = Reserve { quota: Arc::new(Semaphore::new(1)), wanted: Arc::default() };
        let first = reserve.take().await.expect("there is one");
        assert!(reserve.take().await.is_none(), "it has rung, and waits no more");
        drop(first);
        let slow = reserve.take().await.expect("there is one again");
        assert!(timeout(RESERVE_PATIENCE * 3, slow.over(|| false)).await.is_err());
    }

    #[tokio::test]
    async fn who_says_nothing_on_a_place_of_the_reserve_makes_room() {
        let reserve = Reserve { quota: Arc::new(Semaphore::new(2)), wanted: Arc::default() };
        let [silent, busy] =
            [reserve.take().await, reserve.take().await].map(|it| it.expect("there are two"));
        assert!(reserve.try_take().is_none());
        let silent = tokio::spawn(async move { silent.over(|| false).await });
        let busy = tokio::spawn(async move { busy.over(|| true).await });
        let third = async {
            loop {
                if let Some(permit) = reserve.take().await {
                    break permit;
                }
            }
        };
        let _third = timeout(DEADLINE, third).await.expect("the silent one makes room");
        assert!(silent.await.is_ok() && !busy.is_finished());
        busy.abort();
    }
}
