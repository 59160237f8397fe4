//! Schedules of what befalls a hub's files between its lives: a backup is put back, the end of the log is lost, the directory
//! is moved or copied, the reader of its own log dies. Whatever it was, a client that folds the stream has the tasks in the end:
//! a client that is not told of a break in the history keeps what is no more, or misses what is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{Client, HubProcess, all_pages};
use crate::sse::{Stream, seq};

use super::campaign::{any_seed, from_environment};
use super::random::Random;
use super::words;

/// What an event carries of a task.
const FIELDS: [&str; 6] = ["title", "status", "priority", "assignee", "tags", "version"];
const AT_ONCE: usize = 4;

/// What befalls the files of a hub that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Misfortune {
    Nothing,
    Moved,
    Copied,
    /// A backup is put in the place of the database.
    Restored,
    /// A backup is written over the database, which stays the same file.
    RestoredInPlace,
    /// The write-ahead log is removed.
    TailLost,
    MarkLost,
}

use Misfortune::{Copied, MarkLost, Moved, Nothing, Restored, RestoredInPlace, TailLost};

/// A client that folds the stream.
#[derive(Default)]
struct Follower {
    last_id: Option<String>,
    tasks: BTreeMap<String, Value>,
    resets: u64,
    resumes: u64,
    /// The last life of the hub in which it was there.
    last_life: Option<u64>,
}

impl Follower {
    /// Follows up to what it announces itself once it is connected, or for so many messages only.
    async fn follow(&mut self, client: &Client, messages_max: u64) {
        let mut stream = Stream::connect(client, "?snapshot=true", self.last_id.as_deref()).await;
        let mut announced = json!(null);
        for _ in 0..messages_max {
            let message = stream.next().await;
            self.apply(&message);
            if message["event"] == "connected" {
                let body = json!({ "level": "info", "message": "here" });
                announced = client.post("/api/events/announcements", body).await.body["id"].clone();
            }
            if message["id"] == announced {
                break;
            }
        }
    }

    fn apply(&mut self, message: &Value) {
        let data = &message["data"];
        self.last_id = Some(message["id"].as_str().expect("an id").to_owned());
        match message["event"].as_str().expect("a word") {
            "reset" => self.resets += 1,
            "connected" => self.resumes += u64::from(data["resumed"] == true),
            "snapshot" => {
                if data["part"] == 1 {
                    self.tasks.clear();
                }
                let tasks = data["tasks"].as_array().expect("a list").iter();
                self.tasks.extend(tasks.map(|task| (task["id"].to_string(), facets(task))));
            }
            "task_created" | "task_updated" => {
                self.tasks.insert(data["task_id"].to_string(), facets(data));
            }
            "task_deleted" => drop(self.tasks.remove(&data["task_id"].to_string())),
            _ => {}
        }
    }

    /// Whether it has seen a whole snapshot of the log that its id is of.
    fn has_a_place(&self) -> bool {
        self.last_id.as_ref().is_some_and(|id| seq(&json!(id)) > 0)
    }
}

fn facets(task: &Value) -> Value {
    FIELDS
        .iter()
        .map(|name| ((*name).to_owned(), task[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

struct World {
    random: Random,
    directory: TempDir,
    data: PathBuf,
    backups: Vec<PathBuf>,
    moves: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        Self { random: Random::new(seed), directory, data, backups: Vec::new(), moves: 0 }
    }

    async fn start(&mut self) -> HubProcess {
        let mut command = HubProcess::command(&self.data, "127.0.0.1:0");
        command.args(["--ring-events-max", &self.random.between(1..=40).to_string()]);
        match self.random.chance(40) {
            true => HubProcess::spawn_unheard(command).await,
            false => HubProcess::spawn(command).await,
        }
    }

    /// A few changes of any kind.
    async fn write(&mut self, client: &Client) {
        for _ in 0..self.random.between(1..=12) {
            let tasks = all_pages(client, "/api/tasks?limit=500".to_owned()).await;
            let known = |random: &mut Random| random.pick(&tasks)["id"].as_str().expect("an id").to_owned();
            match self.random.between(0..=3) {
                0 if !tasks.is_empty() => {
                    let id = known(&mut self.random);
                    client.send(client.request(Method::DELETE, &format!("/api/tasks/{id}"))).await;
                }
                1 | 2 if !tasks.is_empty() => {
                    let id = known(&mut self.random);
                    let status = *self.random.pick(words::STATUSES);
                    client.set_status(&id, status).await;
                }
                _ => {
                    let title =
                        format!("{} {}", self.random.pick(words::NASTY), self.random.between(0..=999));
                    client.create(json!({ "title": title, "tags": [*self.random.pick(words::TAGS)] })).await;
                }
            }
        }
    }

    /// As SQLite's own tools make it, of a hub that runs.
    fn back_up(&mut self) {
        let to = self.directory.path().join(format!("backup-{}.db", self.backups.len()));
        let program =
            "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b); b.close()";
        let mut command = Command::new("python3");
        let made = command.args(["-c", program]).arg(self.data.join("taskhub.db")).arg(&to).status();
        assert!(made.expect("python3 runs").success());
        self.backups.push(to);
    }

    fn befall(&mut self, misfortune: Misfortune) {
        match misfortune {
            Nothing => {}
            Moved => self.go_on_in(|from, to| fs::rename(from, to).expect("moved")),
            Copied => self.go_on_in(|from, to| {
                let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
                assert!(copied.success());
            }),
            Restored | RestoredInPlace => {
                let backup = self.random.pick(&self.backups).clone();
                self.remove(&["taskhub.db-wal", "taskhub.db-shm"]);
                let database = self.data.join("taskhub.db");
                match misfortune {
                    RestoredInPlace => {
                        fs::write(database, fs::read(backup).expect("there")).expect("written");
                    }
                    _ => {
                        let staged = self.directory.path().join("staged.db");
                        fs::copy(backup, &staged).expect("copied");
                        fs::rename(staged, database).expect("put in place");
                    }
                }
            }
            TailLost => self.remove(&["taskhub.db-wal", "taskhub.db-shm"]),
            MarkLost => self.remove(&["taskhub.mark"]),
        }
    }

    fn go_on_in(&mut self, go: impl FnOnce(&Path, &Path)) {
        self.moves += 1;
        let to = self.directory.path().join(format!("data-{}", self.moves));
        go(&self.data, &to);
        self.data = to;
    }

    fn remove(&self, names: &[&str]) {
        for name in names {
            // After an end in order there is none.
            let _ = fs::remove_file(self.data.join(name));
        }
    }
}

#[derive(Debug, Default)]
struct Totals {
    resets: u64,
    resumes: u64,
    misfortunes: BTreeMap<Misfortune, u64>,
}

/// # Panics
/// When a follower does not have the tasks in the end, or is sent away from a log that it knows.
async fn play(seed: u64) -> Totals {
    let mut world = World::new(seed);
    let mut followers: Vec<Follower> = (0..4).map(|_| Follower::default()).collect();
    let (mut totals, mut before) = (Totals::default(), Nothing);
    let lives = world.random.between(2..=5);
    for life in 0..=lives {
        let mut hub = world.start().await;
        world.write(&hub.client).await;
        if world.random.chance(60) {
            world.back_up();
            world.write(&hub.client).await;
        }
        for follower in &mut followers {
            let is_last = life == lives;
            if !is_last && world.random.chance(30) {
                // It stays away, and may not learn of this life at all.
                continue;
            }
            let is_cut = !is_last && world.random.chance(30);
            let messages_max = if is_cut { world.random.between(1..=8) } else { u64::MAX };
            let (resets, has_a_place) = (follower.resets, follower.has_a_place());
            let last_life = follower.last_life.replace(life);
            follower.follow(&hub.client, messages_max).await;
            if matches!(before, Nothing | Moved)
                && has_a_place
                && last_life.is_some_and(|last| last + 1 == life)
            {
                assert_eq!(follower.resets, resets, "seed {seed}: {before:?}, and the log is another one");
            }
        }
        if life == lives {
            let listed = all_pages(&hub.client, "/api/tasks?limit=500".to_owned()).await;
            let listed: BTreeMap<_, _> =
                listed.iter().map(|task| (task["id"].to_string(), facets(task))).collect();
            for (number, follower) in followers.iter().enumerate() {
                assert_eq!(
                    follower.tasks, listed,
                    "seed {seed}: follower {number} after {:?}",
                    totals.misfortunes
                );
            }
        }
        match world.random.chance(50) {
            true => hub.kill(),
            false => assert_eq!(hub.terminate().await, Some(0)),
        }
        before = match world.backups.is_empty() {
            true => *world.random.pick(&[Nothing, Moved, Copied, TailLost, MarkLost]),
            false => {
                *world.random.pick(&[Nothing, Moved, Copied, Restored, RestoredInPlace, TailLost, MarkLost])
            }
        };
        if life < lives {
            *totals.misfortunes.entry(before).or_default() += 1;
            world.befall(before);
        }
    }
    totals.resets = followers.iter().map(|it| it.resets).sum();
    totals.resumes = followers.iter().map(|it| it.resumes).sum();
    totals
}

/// # Panics
/// When a schedule fails.
pub async fn run(schedules: u64) {
    let alone = from_environment("TASKHUB_ORACLE_SEED");
    let count = from_environment("TASKHUB_ORACLE_SCHEDULES").unwrap_or(schedules);
    let first = alone.unwrap_or_else(any_seed);
    let mut left = if alone.is_some() { first..first + 1 } else { first..first + count };
    let (mut running, mut all) = (JoinSet::new(), Totals::default());
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = left.next()
        {
            running.spawn(async move { (seed, tokio::spawn(play(seed)).await) });
        }
        let Some(played) = running.join_next().await else {
            break;
        };
        let (seed, totals) = played.expect("a panic is caught");
        let totals = totals.unwrap_or_else(|_| {
            panic!("alone: TASKHUB_ORACLE_SEED={seed} cargo test --test it oracle::restored_schedules")
        });
        all.resets += totals.resets;
        all.resumes += totals.resumes;
        for (misfortune, times) in totals.misfortunes {
            *all.misfortunes.entry(misfortune).or_default() += times;
        }
    }
    println!("seeds from {first}: {all:?}");
    assert!(alone.is_some() || (all.resets > 0 && all.resumes > 0), "{all:?}");
}
