//! The hub and its disk, with the three ways to end it.
//!
//! **A crash in this process** is an image of the database and its write-ahead log, taken while the hub works:
//! the next life starts on the image, and the old hub, to which nobody listens any more, is stopped and thrown
//! away. That equals kill -9: SQLite appends to the log file and the copy reads it from the front, so the image
//! holds what was written up to some moment after the crash was declared, and perhaps a torn end. Only a
//! checkpoint that lets the log start over would spoil it, which the salts in the log's header tell; then the
//! image is taken again.
//!
//! **The binary** gets the real thing. Its disk may be slowed down (`slow_disk.c`), since the moments that
//! matter, inside a commit, are too short to be hit by chance.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use taskhub::app::App;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{self, HubProcess};

use super::moment::Moment;
use super::schedule::{HubPlan, Place};

pub struct World {
    place: Place,
    plan: HubPlan,
    /// An address of its own: an observer that comes late can never meet the hub of another schedule.
    listen: SocketAddr,
    directory: TempDir,
    /// How far the clock of hubs in this process is ahead.
    clock_ahead_ms: Arc<AtomicI64>,
    hub: Option<Hub>,
    /// Hubs that have crashed and are being taken apart.
    past: JoinSet<()>,
}

enum Hub {
    InProcess(Box<App>),
    Binary(HubProcess),
}

impl World {
    pub fn new(place: Place, plan: &HubPlan) -> Self {
        Self {
            place,
            plan: plan.clone(),
            listen: SocketAddr::from((own_address(), 0)),
            directory: directory(),
            clock_ahead_ms: Arc::default(),
            hub: None,
            past: JoinSet::new(),
        }
    }

    /// Begins a life; answers where it listens.
    pub async fn start(&mut self) -> SocketAddr {
        let (hub, address) = match self.place {
            Place::InProcess => {
                let flags = self.flags();
                let flags: Vec<_> = flags.iter().map(String::as_str).collect();
                let mut config = harness::config(self.directory.path(), &flags);
                config.server.listen = vec![self.listen];
                config.store.retention_period_ms = self.plan.retention_period_ms;
                config.store.half_sent_ms_max = self.plan.half_sent_ms_max;
                config.store.clock_ahead_ms = self.clock_ahead_ms.clone();
                config.store.lease_second_ms = self.plan.lease_second_ms;
                config.store.may_be_copied = true;
                let app = App::start(config).await.expect("the hub starts");
                let address = app.addresses()[0];
                (Hub::InProcess(Box::new(app)), address)
            }
            Place::Binary => {
                let mut command = HubProcess::command(self.directory.path(), &self.listen.to_string());
                command.args(self.flags());
                if let Some(seed) = self.plan.slow_disk {
                    command.env("LD_PRELOAD", SLOW_DISK.0.as_path());
                    command.env("SLOW_DISK_SEED", (seed as u32).to_string());
                    command.env("SLOW_DISK_PROOF", self.slow_disk_proof());
                }
                let hub = HubProcess::spawn(command).await;
                let address = hub.client.address;
                (Hub::Binary(hub), address)
            }
        };
        self.hub = Some(hub);
        address
    }

    /// Sets the clock to where it is after so many changes.
    pub fn set_time(&self, changes: u64) {
        self.clock_ahead_ms.store(changes.cast_signed() * self.plan.change_ms, Relaxed);
    }

    /// Ends a life as by kill -9. What was said before counts, and nothing that is said after.
    pub async fn crash(&mut self, moment: &Moment) {
        match self.hub.take().expect("a hub") {
            Hub::InProcess(app) => {
                moment.crash();
                let of = self.directory.path().to_owned();
                let image = tokio::task::spawn_blocking(move || image(&of)).await.expect("no panic");
                let old = std::mem::replace(&mut self.directory, image);
                self.past.spawn(async move {
                    app.stop().await;
                    drop(old);
                });
            }
            Hub::Binary(mut hub) => {
                hub.kill();
                self.assert_slow();
            }
        }
    }

    /// Ends a life in order.
    pub async fn stop(&mut self) {
        match self.hub.take().expect("a hub") {
            Hub::InProcess(app) => app.stop().await,
            Hub::Binary(hub) => {
                assert_eq!(hub.terminate().await, Some(0), "SIGTERM is an end in order");
                self.assert_slow();
            }
        }
    }

    /// Waits until nothing is left of hubs that have crashed.
    pub async fn clear_away(mut self) {
        while let Some(gone) = self.past.join_next().await {
            gone.expect("no panic");
        }
    }

    fn flags(&self) -> Vec<String> {
        let plan = &self.plan;
        let settings = [
            ("--ring-events-max", Some(plan.ring_events_max)),
            ("--ring-bytes-max", plan.ring_bytes_max),
            ("--retain-events-max", plan.retain_events_max),
            ("--fanout-threads", Some(plan.fanout_threads)),
        ];
        let flag = |(name, value): (&str, Option<u64>)| Some([name.to_owned(), value?.to_string()]);
        settings.into_iter().filter_map(flag).flatten().collect()
    }

    fn slow_disk_proof(&self) -> PathBuf {
        self.directory.path().join("slow")
    }

    /// A slow disk that is not slow would make these schedules test much less than they say.
    fn assert_slow(&self) {
        if self.plan.slow_disk.is_some() {
            fs::remove_file(self.slow_disk_proof()).expect("the slow disk was in the way of writes");
        }
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// 127.0.0.0/8 is all loopback.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(7919).wrapping_add(COUNT.fetch_add(1, Relaxed));
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, a % 254 + 1, b, c % 254 + 1)
}

/// A copy of the database as it stands on the disk.
fn image(of: &Path) -> TempDir {
    loop {
        let (image, before) = (directory(), salts(of));
        // The mark first: it may lag behind the log, as after a failure of power, but never lead.
        for name in ["taskhub.mark", "taskhub.db", WAL] {
            if let Ok(bytes) = fs::read(of.join(name)) {
                fs::write(image.path().join(name), bytes).expect("room for a copy");
            }
        }
        if salts(of) == before {
            return image;
        }
    }
}

const WAL: &str = "taskhub.db-wal";

/// Bytes 16 to 24 of the write-ahead log, drawn anew whenever it starts over. <https://sqlite.org/fileformat2.html#walformat>
fn salts(directory: &Path) -> Option<[u8; 8]> {
    use std::os::unix::fs::FileExt;
    let mut salts = [0; 8];
    fs::File::open(directory.join(WAL)).ok()?.read_exact_at(&mut salts, 16).ok()?;
    Some(salts)
}

/// Compiled once, by the compiler that SQLite needed as well.
static SLOW_DISK: LazyLock<(PathBuf, TempDir)> = LazyLock::new(|| {
    let directory = directory();
    let library = directory.path().join("slow_disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oracle/slow_disk.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    assert!(compiled.expect("cc runs").success(), "slow_disk.c compiles");
    (library, directory)
});
