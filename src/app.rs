//! The composition root: builds all modules in order, and stops them in the opposite order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::ApiContext;
use crate::auth::{Asking, Auth};
use crate::config::{Config, ServerConfig};
use crate::data_dir::DataDir;
use crate::domain::clock::{Clock, ConfirmedClock};
use crate::edge;
use crate::events::Events;
use crate::executor::{Executor, ExecutorSettings, LogStreams, Retention, Sessions, ShimProgram};
use crate::index::TaskIndex;
use crate::metrics::Metrics;
use crate::open_files;
use crate::quota::{Limits, Quota};
use crate::server::{self, Tls};
use crate::service::{ClaimDispatcher, LeaseTimer, Service, Signals};
use crate::shutdown::Shutdown;
use crate::store::{Opened, Store};
use crate::vitals::Vitals;

/// Time between two updates of the histograms.
const METRICS_PERIOD: Duration = Duration::from_secs(5);

/// A running hub. Drop it only after [`App::stop`]; a dropped hub stops as if it were killed.
#[derive(Debug)]
pub struct App {
    addresses: Vec<SocketAddr>,
    /// The URL for people and scripts.
    url: String,
    data_dir: DataDir,
    auth: Auth,
    store: Store,
    writer: JoinHandle<()>,
    shutdown: Shutdown,
    drain_time_max: Duration,
}

impl App {
    /// Starts a hub. Changes nothing in the data directory before every address is bound.
    ///
    /// # Errors
    /// With a message for the operator.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let shutdown = Shutdown::default();
        let assembled = Self::assemble(config, shutdown.clone()).await;
        if assembled.is_err() {
            // Tasks that have started end in order.
            shutdown.soft.cancel();
        }
        assembled
    }

    async fn assemble(mut config: Config, shutdown: Shutdown) -> anyhow::Result<Self> {
        for root in &mut config.executor.exec_root {
            let resolved = root.canonicalize().ok().filter(|root| root.is_dir());
            *root = resolved.with_context(|| format!("--exec-root {} is not a directory", root.display()))?;
        }
        // Paths below it are passed on as text.
        if config.data_dir.to_str().is_none() {
            let name = config.data_dir.display();
            anyhow::bail!("the name of the data directory {name} is not UTF-8; name another with --data-dir");
        }
        let open_files_max = open_files::raise();
        let asking = asking(&config.server);
        let asks = match asking {
            Asking::Never => false,
            Asking::WithTokens => Store::has_tokens(&config.data_dir),
            Asking::Always => true,
        };
        let tls = tls(&config.server)?;
        let listeners = server::bind(&config.server, asks)?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let url = addresses.first().map(|address| base_url(address, &config.server)).unwrap_or_default();
        let Opened { store, writer, epoch: _, end, directory: data_dir } =
            Store::open(&config.data_dir, &config.store)?;

        let (log, drain) = (store.log_reader().clone(), shutdown.soft.clone());
        let metrics = Metrics::new();
        let latency = metrics.stream_latency();
        let events = Events::new(log, end, data_dir.clone(), &config.events, latency, drain)
            .context("cannot prepare the streams")?;
        let ring = events.clone();
        let index = TaskIndex::new(end.head);
        let committed_index = index.clone();
        let signals = Signals::default();
        let committed_signals = signals.clone();
        // Dropped when the writer's thread ends, however it does.
        let vital = shutdown.vitals.hold("the store's writer");
        let writer = writer
            .start(move |committed, more_follow| {
                let _ = &vital;
                committed_index.committed(&committed);
                committed_signals.committed(&committed);
                ring.publish(committed, more_follow);
            })
            .context("cannot start a thread")?;
        let ready = signals.ready();
        let (service, background) = Service::new(store.clone(), index, &config.executor, signals);
        let auth = Auth::new(asking);
        auth.look(store.token_reader()).await.context("cannot read the tokens")?;
        let vital = |name, task: BoxFuture<'static, ()>| shutdown.vitals.spawn(&shutdown.tasks, name, task);
        vital("the look at the tokens", auth.clone().follow(store.clone(), shutdown.soft.clone()).boxed());

        events
            .start(shutdown.hard.clone(), &shutdown.tasks, &shutdown.vitals)
            .context("cannot start a thread")?;
        let leaving = revoke(auth.departures(), events.clone(), service.clone(), shutdown.clone());
        vital("the end of what revoked tokens hold", leaving.boxed());
        let dispatcher = ClaimDispatcher::new(background.claims, ready);
        vital("the claims", dispatcher.run(service.clone(), shutdown.soft.clone()).boxed());
        let lease_second = Duration::from_millis(config.store.lease_second_ms);
        let leases = LeaseTimer::new(background.lease_starts, lease_second);
        vital("the end of leases", leases.run(service.clone(), shutdown.soft.clone()).boxed());
        let retention = forget(service.clone(), events.clone(), config.clone(), shutdown.clone());
        vital("the log's retention", retention.boxed());
        let clock = Clock::ahead_by(config.store.clock_ahead_ms.clone());
        let deadlines = service.clone().watch_deadlines(clock, shutdown.soft.clone());
        vital("the deadlines of questions", deadlines.boxed());
        let follower = service.clone().follow_index(shutdown.soft.clone());
        vital("the index of tasks", follower.boxed());

        let settings = ExecutorSettings {
            data_dir: data_dir.clone(),
            shim_program: match config.executor.shim_program.clone() {
                Some(program) => program.into(),
                None => ShimProgram::own().context("cannot find this program")?,
            },
            hub_url: url.clone(),
            open_files_max,
            retention: Retention {
                days_max: config.store.retain_days_max,
                period_ms: config.store.retention_period_ms,
                clock: Clock::ahead_by(config.store.clock_ahead_ms.clone()),
            },
            vitals: shutdown.vitals.clone(),
        };
        let token = shutdown.soft.clone();
        Executor::start(service.clone(), &config.executor, settings, token, &shutdown.tasks)?;

        vital("the metrics", fold(metrics.clone(), shutdown.clone()).boxed());
        let logs = LogStreams::new(service.clone(), data_dir.clone(), &events, shutdown.tasks.clone());
        let sessions = Sessions::new(data_dir.clone(), config.executor.sessions);
        let log_quota = open_files::shares().logs;
        let context = ApiContext {
            auth: auth.clone(),
            service,
            events,
            logs,
            sessions,
            metrics,
            stream_quota: Quota::new(Limits { all: u32::MAX, each: config.server.streams_per_client_max }),
            // No client gets all of them.
            log_quota: Quota::new(Limits { all: log_quota, each: log_quota - log_quota / 4 }),
            data_dir: data_dir.clone(),
            vitals: shutdown.vitals.clone(),
            runs_without_script: config.executor.exec_default.is_some(),
        };
        let endpoint = edge::endpoint(context, &config.server, shutdown.hard.clone());
        server::serve(listeners, endpoint, tls, &config.server, &shutdown);
        Ok(Self {
            addresses,
            url,
            data_dir,
            auth,
            store,
            writer,
            shutdown,
            drain_time_max: Duration::from_secs(config.server.shutdown_seconds_max),
        })
    }

    /// The addresses on which the hub listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether all vital tasks and threads run.
    pub fn vitals(&self) -> &Vitals {
        &self.shutdown.vitals
    }

    /// Logs the addresses of everything.
    pub fn announce(&self) {
        let base = &self.url;
        let listening: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        tracing::info!(
            listening = listening.join(" "),
            board = base,
            api = format!("{base}/api"),
            docs = format!("{base}/docs"),
            stream = format!("{base}/api/events/stream"),
            data = %self.data_dir.real().unwrap_or_default().display(),
            tokens = if self.auth.asks() { "asked for" } else { "not asked for" },
            "TaskHub is ready"
        );
    }

    /// Ends in order: streams get a goodbye, requests finish, and every accepted write is
    /// committed.
    pub async fn stop(self) {
        self.shutdown.drain(self.drain_time_max).await;
        self.store.close().await;
        let writer = self.writer;
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the store's writer ended by a fault");
        }
    }
}

fn asking(config: &ServerConfig) -> Asking {
    match (config.insecure_no_auth, config.require_auth) {
        (true, _) => Asking::Never,
        (false, true) => Asking::Always,
        (false, false) => Asking::WithTokens,
    }
}

fn tls(config: &ServerConfig) -> anyhow::Result<Option<Tls>> {
    match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Ok(Some(Tls::load(cert.clone(), key.clone())?)),
        _ => Ok(None),
    }
}

/// The URL by which people and scripts on this machine find the hub.
fn base_url(address: &SocketAddr, config: &ServerConfig) -> String {
    let is_secure = config.tls_cert.is_some();
    let scheme = if is_secure { "https" } else { "http" };
    let localhost = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    let is_localhost = localhost.contains(&address.ip()) || address.ip().is_unspecified();
    match config.allow_host.first() {
        // A certificate names a host.
        Some(name) if is_secure => format!("{scheme}://{name}:{}", address.port()),
        // What people type. It works, because it leads to this address.
        _ if is_localhost => format!("{scheme}://localhost:{}", address.port()),
        _ => format!("{scheme}://{address}"),
    }
}

/// Ends the streams of clients that lost their authorization, and stops the executions that they
/// have queued.
async fn revoke(mut departures: watch::Receiver<()>, events: Events, service: Service, shutdown: Shutdown) {
    loop {
        // Both are cancel safe.
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            Ok(()) = departures.changed() => {
                events.revoke();
                // The service checks a queued execution again before it starts.
                if let Err(error) = service.stop_queued_of_departed().await {
                    tracing::warn!(%error, "could not stop what a revoked token had queued");
                }
            }
        }
    }
}

async fn fold(metrics: Metrics, shutdown: Shutdown) {
    let mut ticker = tokio::time::interval(METRICS_PERIOD);
    loop {
        // Both are cancel safe.
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            _ = ticker.tick() => metrics.upkeep(),
        }
    }
}

async fn forget(service: Service, events: Events, config: Config, shutdown: Shutdown) {
    let mut ticker = tokio::time::interval(Duration::from_millis(config.store.retention_period_ms));
    let mut clock = ConfirmedClock::new(Clock::ahead_by(config.store.clock_ahead_ms.clone()));
    loop {
        // Both are cancel safe.
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            _ = ticker.tick() => {}
        }
        let (events_max, days_max) = (config.store.retain_events_max, config.store.retain_days_max);
        let now = clock.now();
        let half_sent_time_max = Duration::from_millis(config.store.half_sent_ms_max);
        loop {
            let events = events.clone();
            let floor = move || events.oldest_in_use(half_sent_time_max);
            match service.forget(events_max, days_max, now, floor).await {
                Ok(more) if more && !shutdown.soft.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = %error, "old events could not be removed; trying again later");
                    break;
                }
            }
        }
    }
}
