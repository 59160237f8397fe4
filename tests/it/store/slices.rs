//! Queries in slices: whatever changes between two slices, the answer is one committed state.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use taskhub::store::{Copied, TaskCopy, TaskList};
use tokio::runtime::Handle;

use super::*;

const TASKS: usize = 200;

/// A store whose slices end after a few rows.
fn sliced(directory: &TempDir) -> Running {
    let config = StoreConfig { slice_ms_max: 0, ..config(directory.path(), &[]).store };
    Running::configured(directory, &config)
}

/// The `number`th of the tasks; some are created in the same millisecond.
fn numbered(number: usize) -> Task {
    let priority = [Value::Null, json!("low"), json!("high")][number % 3].clone();
    let tags = if number.is_multiple_of(2) { json!(["even"]) } else { json!([]) };
    let fields = json!({
        "title": format!("needle {number}"), "status": Status::ALL[number % 4], "project": "default",
        "priority": priority, "tags": tags,
    });
    let mut task = task(fields, number as i64 / 3);
    task.updated_at = Timestamp::from_ms((number * 7 % TASKS) as i64);
    task
}

async fn fill(running: &Running) -> Vec<Task> {
    let tasks: Vec<_> = (0..TASKS).map(numbered).collect();
    for task in &tasks {
        running.insert(task).await;
    }
    tasks
}

/// Changes made between two slices: a few tasks change all that lists sort and filter by, one goes, one comes.
struct Meddler {
    store: Store,
    runtime: Handle,
    tasks: Vec<Task>,
    round: usize,
}

impl Meddler {
    async fn new(running: &Running) -> Arc<Mutex<Self>> {
        let (store, runtime) = (running.store.clone(), Handle::current());
        Arc::new(Mutex::new(Self { store, runtime, tasks: fill(running).await, round: 0 }))
    }

    fn meddle(&mut self) {
        self.round += 1;
        let round = self.round;
        let mut tasks = std::mem::take(&mut self.tasks);
        let operation = move |tx: &mut Tx<'_>| -> Result<_, Failure> {
            for step in 0..5 {
                let at = (round * 37 + step * 61) % tasks.len();
                let task = &mut tasks[at];
                let rank = round + step;
                task.status = Status::ALL[rank % 4];
                task.priority = [None, Some(Priority::Low), Some(Priority::High)][rank % 3];
                task.title = ["needle", "hay"][rank % 2].parse().expect("a title");
                task.tags = from_json(if rank.is_multiple_of(3) { json!(["even"]) } else { json!([]) });
                task.updated_at = Timestamp::from_ms((rank * 13 % TASKS) as i64);
                tx.update_task(task)?;
                tx.append(&NewEvent::task_created(task))?;
            }
            let gone = tasks.remove(round * 11 % tasks.len());
            tx.delete_task(gone.id)?;
            tx.append(&NewEvent::task_created(&gone))?;
            let comes = numbered(round * 17 % TASKS);
            tx.insert_task(&comes)?;
            tx.append(&NewEvent::task_created(&comes))?;
            tasks.push(comes);
            Ok(tasks)
        };
        self.tasks = self.runtime.block_on(self.store.write(operation)).expect("written");
    }
}

fn filters() -> [FacetFilter; 4] {
    [
        FacetFilter::default(),
        FacetFilter { statuses: from_json(json!(["todo", "review"])), ..FacetFilter::default() },
        FacetFilter { tags: from_json(json!(["even"])), ..FacetFilter::default() },
        FacetFilter { projects: from_json(json!(["default", "other"])), ..FacetFilter::default() },
    ]
}

fn queries() -> Vec<TaskQuery> {
    let filters = filters();
    let mut queries = Vec::new();
    for &sort in TaskSort::ALL {
        for &order in SortOrder::ALL {
            for (text, limit) in [(None, 40), (Some("NEEDLE".to_owned()), 40), (None, 1000)] {
                let filter = filters[queries.len() % filters.len()].clone();
                queries.push(TaskQuery { filter, text, sort, order, after: None, limit });
            }
        }
    }
    queries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_slices_is_the_list_of_the_state_in_which_it_ends() {
    let directory = directory();
    let running = sliced(&directory);
    let meddler = Meddler::new(&running).await;
    let (mut slices, mut pages) = (0, 0);
    for mut query in queries() {
        // Two pages of each list.
        for _ in 0..2 {
            let (asked, mut list, meddler) = (query.clone(), TaskList::new(query.clone()), meddler.clone());
            let mut slices_now = 0;
            let read = running.store.read_in_slices(move |view, slice| -> Result<_, Failure> {
                let found = list.go_on(view, slice)?;
                let Some((page, next)) = found else {
                    slices_now += 1;
                    meddler.lock().expect("no panic inside").meddle();
                    return Ok(None);
                };
                Ok(Some((page, next, view.tasks(&asked)?, slices_now)))
            });
            let (page, next, (all, more), slices_now) = read.await.expect("it reads");
            (slices, pages) = (slices + slices_now, pages + 1);
            let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
            assert!(ids(&all).starts_with(&ids(&page)), "{query:?}");
            assert!(all.starts_with(&page), "{query:?}");
            if page.len() < all.len() {
                // Rows were changed away: the next page has the rest.
                let after = next.clone().expect("a next page");
                let first = PageKey::of(&all[page.len()], query.sort, query.order);
                let in_order = (after.key, after.id) < (first.key, first.id);
                assert_eq!(in_order, query.order == SortOrder::Ascending, "{query:?}");
            } else {
                assert_eq!(next.is_some(), more.is_some(), "{query:?}");
            }
            query.after = next;
            if query.after.is_none() {
                break;
            }
        }
    }
    assert!(slices > 5 * pages, "{slices} slices of {pages} pages");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_slices_comes_to_the_state_in_which_it_ends() {
    let directory = directory();
    let running = sliced(&directory);
    let meddler = Meddler::new(&running).await;
    for filter in filters() {
        let query = TaskQuery { filter, limit: 10 * TASKS, ..query() };
        let (asked, mut copy) = (query.clone(), TaskCopy::new(Vec::new(), query.filter.clone()));
        let (mut copied, mut slices, meddler) = (BTreeMap::new(), 0, meddler.clone());
        let read = running.store.read_in_slices(move |view, slice| -> Result<_, Failure> {
            let mut last = copied.keys().next_back().copied();
            let cursor = copy.go_on(view, slice, |step| -> Result<(), Failure> {
                match step {
                    Copied::Task(task) => {
                        let key = Some((task.created_at, task.id));
                        assert!(last < key, "out of order");
                        last = key;
                        copied.insert((task.created_at, task.id), *task);
                    }
                    Copied::Correction(id, task) => {
                        copied.retain(|&(_, it), _| it != id);
                        copied.extend(task.map(|task| ((task.created_at, task.id), *task)));
                    }
                    Copied::Restart => copied.clear(),
                }
                Ok(())
            })?;
            slices += 1;
            let Some(cursor) = cursor else {
                // In the end the copy must get ahead of the changes.
                if slices < 20 {
                    meddler.lock().expect("no panic inside").meddle();
                }
                return Ok(None);
            };
            assert_eq!(cursor, view.head()?);
            Ok(Some((copied.values().cloned().collect::<Vec<_>>(), view.tasks(&asked)?.0, slices)))
        });
        let (copied, all, slices) = read.await.expect("it reads");
        assert!(slices > 10, "{slices}");
        assert_eq!(copied, all, "{query:?}");
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_begins_again_when_retention_has_removed_the_events_that_it_needs() {
    let directory = directory();
    let running = sliced(&directory);
    let meddler = Meddler::new(&running).await;
    let query = TaskQuery { sort: TaskSort::UpdatedAt, limit: 40, ..query() };
    let (asked, mut list) = (query.clone(), TaskList::new(query));
    let store = running.store.clone();
    let read = running.store.read_in_slices(move |view, slice| -> Result<_, Failure> {
        if let Some((page, _)) = list.go_on(view, slice)? {
            return Ok(Some((page, view.tasks(&asked)?.0)));
        }
        let mut meddler = meddler.lock().expect("no panic inside");
        meddler.meddle();
        let forget =
            |tx: &mut Tx<'_>| -> Result<_, Failure> { Ok(tx.expire_events(1, None, u64::MAX, 1000)?) };
        meddler.runtime.block_on(store.write(forget)).expect("written");
        Ok(None)
    });
    let (page, all) = read.await.expect("it reads");
    assert_eq!(page, all);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_has_a_deadline() {
    let directory = directory();
    let config = StoreConfig { query_ms_max: 30, ..config(directory.path(), &[]).store };
    let running = Running::configured(&directory, &config);
    let endless = running.store.read_in_slices(|_, slice| -> Result<Option<()>, StoreError> {
        while !slice.is_over() {}
        Ok(None)
    });
    let ended = tokio::time::timeout(Duration::from_secs(10), endless).await.expect("in time");
    assert!(matches!(ended, Err(StoreError::Late)));
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_caller_has_gone_and_makes_room_for_others() {
    let directory = directory();
    let running = Running::open(&directory);
    let running_now = Arc::new(AtomicUsize::new(0));
    let reads: Vec<_> = (0..8)
        .map(|_| {
            let (store, going) = (running.store.clone(), running_now.clone());
            tokio::spawn(async move {
                let mut guard = None;
                let endless = store.read_in_slices(move |_, slice| -> Result<Option<()>, StoreError> {
                    guard.get_or_insert_with(|| Going::new(going.clone()));
                    while !slice.is_over() {}
                    Ok(None)
                });
                endless.await
            })
        })
        .collect();
    let wait_for = async |count: usize| {
        let waited = async {
            while running_now.load(Relaxed) != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("in time");
    };
    wait_for(8).await;
    for read in reads {
        read.abort();
        assert!(read.await.is_err());
    }
    wait_for(0).await;
    let mut list = TaskList::new(TaskQuery { text: Some("x".to_owned()), ..query() });
    let found = running.store.read_in_slices(move |view, slice| list.go_on(view, slice));
    assert_eq!(found.await.expect("it reads").0, []);
    running.close().await;
}

/// Counts the queries that exist.
struct Going(Arc<AtomicUsize>);

impl Going {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_starts_over_beside_queries_that_never_end() {
    let directory = directory();
    // Later than the test takes on any machine.
    let config = StoreConfig { query_ms_max: 3_600_000, ..config(directory.path(), &[]).store };
    let running = Running::configured(&directory, &config);
    let endless: Vec<_> = (0..4)
        .map(|_| {
            let store = running.store.clone();
            tokio::spawn(async move {
                let read = store.read_in_slices(|view, slice| -> Result<Option<()>, StoreError> {
                    view.head()?;
                    while !slice.is_over() {}
                    Ok(None)
                });
                read.await
            })
        })
        .collect();
    let data = json!({ "level": "info", "message": "x".repeat(2000) });
    let write = || {
        let data = data.clone();
        running.write(move |tx| {
            for _ in 0..10 {
                tx.append(&NewEvent::announcement(from_json(data.clone())))?;
            }
            Ok(())
        })
    };
    // 72 MiB of pages at the least, were they never written over.
    for _ in 0..36 {
        for written in join_all((0..100).map(|_| write())).await {
            written.expect("written");
        }
        let size = std::fs::metadata(directory.path().join(format!("{DATABASE}-wal"))).expect("there").len();
        assert!(size < 64 << 20, "the write-ahead log has {size} bytes");
    }
    for read in endless {
        read.abort();
        assert!(read.await.is_err());
    }
    running.close().await;
}
