//! Executions, run by the real shim: how they end, what is left of them, and what a restarted hub makes of
//! them. The hub here is the store, the service and the executor, without HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use taskhub::config::{ExecutorConfig, SessionKind, StoreConfig};
use taskhub::domain::clock::Clock;
use taskhub::domain::execution::{Execution, ExecutionRequest, ExecutionStatus};
use taskhub::domain::id::TaskId;
use taskhub::domain::task::TaskDraft;
use taskhub::executor::{Executor, ExecutorSettings, Retention};
use taskhub::index::TaskIndex;
use taskhub::service::{Service, Signals};
use taskhub::store::{ExecutionQuery, Store};
use taskhub::vitals::Vitals;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod attempts;
mod ends;
mod hostile;
mod output;
mod recovery;
mod retention;
mod stops;
mod surroundings;
mod tmux;
mod turns;

use ExecutionStatus::{Completed, Failed, Lost, Queued, Running, Stopped, TimedOut};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    executor: ExecutorConfig,
}

fn arguments() -> Arguments {
    Arguments::parse_from(["taskhub", "--executions-max=8", "--grace-ms=300", "--log-bytes-max=1048576"])
}

fn config() -> ExecutorConfig {
    arguments().executor
}

/// What must hold of plain processes and in tmux alike.
fn in_each_kind_of_session(test: impl Fn(&TempDir, Hub)) {
    for sessions in [SessionKind::Process, SessionKind::Tmux] {
        println!("{sessions:?}");
        let directory = tempfile::tempdir().expect("a directory");
        let hub = Hub::with(directory.path(), &ExecutorConfig { sessions, ..config() });
        test(&directory, hub);
    }
}

/// Waits for something to be seen.
#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    String::from_utf8_lossy(&stat).rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

struct Hub {
    runtime: Runtime,
    service: Service,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    data_dir: PathBuf,
}

impl Hub {
    fn start(data_dir: &Path) -> Self {
        Self::with(data_dir, &config())
    }

    fn with(data_dir: &Path, config: &ExecutorConfig) -> Self {
        Self::tuned(data_dir, config, |_| {})
    }

    fn tuned(data_dir: &Path, config: &ExecutorConfig, tune: impl FnOnce(&mut ExecutorSettings)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let store = arguments().store;
        // A hub that was just cut off may hold its lock for a moment more.
        let opened = wait_for("the store", || Store::open(data_dir, &store).ok());
        opened.writer.start(|_, _| {}).expect("a thread");
        let (service, _background) =
            Service::new(opened.store, TaskIndex::new(0), config, Signals::default());
        let mut settings = ExecutorSettings {
            data_dir: taskhub::data_dir::DataDir::open(data_dir).expect("it is there"),
            shim_program: env!("CARGO_BIN_EXE_taskhub").into(),
            hub_url: "http://localhost:8000".into(),
            open_files_max: Some(256),
            retention: Retention { days_max: 30, period_ms: 60_000, clock: Clock::default() },
            vitals: Vitals::default(),
        };
        tune(&mut settings);
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let context = runtime.enter();
        Executor::start(service.clone(), config, settings, shutdown.clone(), &tracker).expect("started");
        drop(context);
        Self { runtime, service, shutdown, tracker, data_dir: data_dir.to_owned() }
    }

    /// Ends as asked, and in time.
    fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        let ended = async { tokio::time::timeout(PATIENCE, self.tracker.wait()).await };
        self.runtime.block_on(ended).expect("ended");
    }

    /// Every task is gone at once, wherever it stood.
    fn crash(self) {
        self.runtime.shutdown_background();
    }

    fn run(&self, script: &str) -> TaskId {
        self.request(script, r"{}")
    }

    fn request(&self, script: &str, request: &str) -> TaskId {
        self.execute(serde_json::json!({ "title": "a test", "script": script }), request)
    }

    /// Creates a task and starts it.
    fn execute(&self, new: serde_json::Value, request: &str) -> TaskId {
        let new: TaskDraft = serde_json::from_str(&new.to_string()).expect("a task");
        let request: ExecutionRequest = serde_json::from_str(request).expect("a request");
        self.runtime.block_on(async {
            let task = self.service.create_task(new, None).await.expect("created").value.task;
            self.service.start_execution(task.id, request, None, None).await.expect("queued");
            task.id
        })
    }

    /// Every attempt, the first one first.
    fn attempts(&self, task: TaskId) -> Vec<Execution> {
        let query = ExecutionQuery { task_id: Some(task), limit: 100, ..ExecutionQuery::default() };
        let (mut found, _) = self.runtime.block_on(self.service.executions(query)).expect("read");
        found.reverse();
        found
    }

    fn stop_task(&self, task: TaskId) {
        self.runtime.block_on(self.service.stop_execution(task)).expect("asked to stop");
    }

    fn execution(&self, task: TaskId) -> Execution {
        self.runtime.block_on(self.service.latest_execution(task)).expect("there")
    }

    #[track_caller]
    fn reaches(&self, task: TaskId, status: ExecutionStatus) -> Execution {
        wait_for(&format!("{status}"), || {
            let execution = self.execution(task);
            let is_done = execution.status.is_final() || execution.status == status;
            is_done.then_some(execution)
        })
    }

    #[track_caller]
    fn ends(&self, task: TaskId) -> (ExecutionStatus, Option<i32>, String) {
        let execution =
            wait_for("an end", || Some(self.execution(task)).filter(|execution| execution.status.is_final()));
        (execution.status, execution.exit_code, execution.reason.unwrap_or_default())
    }

    fn directory(&self, task: TaskId) -> PathBuf {
        self.data_dir.join(format!("executions/{}", self.execution(task).number))
    }

    fn log(&self, task: TaskId) -> Vec<u8> {
        fs::read(self.data_dir.join(self.execution(task).log_file)).unwrap_or_default()
    }

    /// What the script wrote to a file of its working directory, once it ends in a line break.
    #[track_caller]
    fn note(&self, task: TaskId, name: &str) -> String {
        let path = self.directory(task).join("work").join(name);
        wait_for(name, || {
            let text = fs::read_to_string(&path).ok()?;
            Some(text.strip_suffix('\n')?.to_owned())
        })
    }
}

fn hub() -> (TempDir, Hub) {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(directory.path());
    (directory, hub)
}

#[track_caller]
fn outcome(hub: &Hub, script: &str) -> (ExecutionStatus, Option<i32>, String) {
    let task = hub.run(script);
    hub.ends(task)
}
