//! Tasks: every field, every filter, every page.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_round_trips_every_field_whatever_text_it_holds() {
    let directory = directory();
    let running = Running::open(&directory);
    let odd = "a\r\nb\u{0}c\u{2028}d\u{feff}e\"'\\%_\u{1f980}\u{7f}";
    let mut description = odd.to_owned();
    description.extend(std::iter::repeat_n('é', DESCRIPTION_CHARS_MAX - odd.chars().count()));
    let mut full = task(
        json!({
            "title": odd, "description": description, "status": "review", "priority": "high",
            "assignee": "\u{feff}Ada \"Lovelace\" \\", "tags": ["b", "a", "ü '"],
            "artifacts": [odd, "/b,c"], "script": "#!/bin/sh\r\necho \u{2028}\u{feff}\n",
        }),
        1234,
    );
    // Older hubs have let these in.
    full.title = "\u{200b}".parse().expect("a title");
    full.assignee = Some("\u{feff}Ada \u{2028}\"Lovelace\" \\".parse().expect("a name"));
    full.tags.push("ü \u{2029}'".parse().expect("a name"));
    let bare = task(json!({ "title": "\u{feff}x" }), 1235);
    for task in [&full, &bare] {
        running.insert(task).await;
    }
    let swap = |from: &Task, to: &Task| Task {
        id: from.id,
        key: from.key.clone(),
        created_at: from.created_at,
        version: 7,
        ..to.clone()
    };
    let changed = [swap(&full, &bare), swap(&bare, &full)];
    for round in [&[full.clone(), bare.clone()], &changed] {
        for task in round {
            let (id, written) = (task.id, task.clone());
            running.write(move |tx| Ok(tx.update_task(&written)?)).await.expect("written");
            assert_eq!(running.read(move |view| view.task(id)).await.as_ref(), Some(task));
        }
        assert_eq!(running.read(|view| view.tasks(&query())).await.0, round);
    }
    let again = full.clone();
    let refused = running.write(move |tx| Ok(tx.insert_task(&again)?)).await;
    assert!(matches!(refused, Err(Failure::Store(StoreError::Database(_)))), "the id is taken");
    let id = full.id;
    running.write(move |tx| Ok(tx.delete_task(id)?)).await.expect("written");
    assert_eq!(
        running.read(move |view| Ok((view.task(id)?, view.tasks(&query())?.0.len()))).await,
        (None, 1)
    );
    running.close().await;
}

/// 48 tasks of every status, priority, two people and none, with many equal times.
async fn many_tasks(running: &Running) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (n, priority) in Priority::ALL.iter().map(|it| json!(it)).chain([Value::Null]).enumerate() {
        for status in Status::ALL {
            for assignee in [json!("Ada L"), json!("Bo%_"), Value::Null] {
                let tags = ["x", "y\"", "x y"].iter().take(tasks.len() % 4).collect::<Vec<_>>();
                let fields = json!({
                    "title": "t", "status": status, "priority": priority, "assignee": assignee, "tags": tags,
                });
                let mut task = task(fields, (n % 2) as i64);
                task.updated_at = Timestamp::from_ms(tasks.len() as i64 % 5);
                running.insert(&task).await;
                tasks.push(task);
            }
        }
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_filtered_as_a_stream_is() {
    let directory = directory();
    let running = Running::open(&directory);
    let tasks = many_tasks(&running).await;
    let lists = |statuses: &[&str], priorities: &[&str], assignees: &[&str], tags: &[&str]| FacetFilter {
        statuses: from_json(json!(statuses)),
        priorities: from_json(json!(priorities)),
        assignees: from_json(json!(assignees)),
        tags: from_json(json!(tags)),
        ..FacetFilter::default()
    };
    let filters = [
        lists(&[], &[], &[], &[]),
        lists(&["todo"], &[], &[], &[]),
        lists(&["todo", "done"], &["high", "low"], &[], &[]),
        lists(&[], &[], &["Ada L"], &[]),
        lists(&[], &[], &["Bo%_", "Ada L"], &["x"]),
        lists(&[], &[], &[], &["y\"", "x y"]),
        lists(&["review"], &["medium"], &["Ada L"], &["x"]),
        lists(&[], &[], &["ada l"], &[]),
        lists(&[], &[], &["none"], &[]),
        lists(&["done"], &[], &["none", "Ada L"], &[]),
        lists(&[], &[], &[], &["y"]),
        lists(&[], &["none"], &[], &[]),
        lists(&["todo"], &["none", "low"], &[], &[]),
    ];
    let mut sizes = Vec::new();
    for filter in filters {
        let matching = tasks.iter().filter(|task| filter.matches(&Facets::of(task)));
        let expected: BTreeSet<_> = matching.map(|task| task.id).collect();
        let query = TaskQuery { filter, ..query() };
        let (found, next) = running.read(move |view| view.tasks(&query)).await;
        assert_eq!(found.iter().map(|task| task.id).collect::<BTreeSet<_>>(), expected);
        assert_eq!(next, None);
        sizes.push(expected.len());
    }
    assert_eq!(sizes, [48, 12, 12, 16, 24, 24, 1, 0, 16, 8, 0, 12, 6]);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_words_and_their_beginnings() {
    let directory = directory();
    let running = Running::open(&directory);
    let texts = [
        ("100% sure", ""),
        ("1000 sure", ""),
        ("snake_case", ""),
        ("snakeXcase", "back\\slash"),
        ("", "in the Description, 50%"),
        ("nul\u{0}needle", ""),
    ];
    for (n, (title, description)) in texts.iter().enumerate() {
        let fields = json!({ "title": format!("{title} #{n}"), "description": description });
        running.insert(&task(fields, n as i64)).await;
    }
    let searches: [(&str, &[i64]); 14] = [
        ("100%", &[0, 1]),
        ("%", &[]),
        ("_", &[]),
        ("\\", &[]),
        ("E_C", &[]),
        ("snake_C", &[2]),
        ("xcase", &[3]),
        ("SURE", &[0, 1]),
        ("description, 5", &[4]),
        ("%sure", &[0, 1]),
        ("4", &[4]),
        ("absent", &[]),
        ("needle", &[5]),
        ("\u{0}", &[]),
    ];
    for (text, expected) in searches {
        let query = TaskQuery { text: Some(text.to_owned()), ..query() };
        let (found, _) = running.read(move |view| view.tasks(&query)).await;
        let found: Vec<_> = found.iter().map(|task| task.created_at.ms()).collect();
        assert_eq!(found, expected, "{text:?}");
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_task_once_in_order_although_others_come_and_go() {
    let directory = directory();
    let running = Running::open(&directory);
    let tasks = many_tasks(&running).await;
    let mut passing: Option<TaskId> = None;
    for &sort in TaskSort::ALL {
        for &order in SortOrder::ALL {
            let mut expected: Vec<_> =
                tasks.iter().map(|task| (PageKey::of(task, sort, order).key, task.id)).collect();
            expected.sort_unstable();
            if order == SortOrder::Descending {
                expected.reverse();
            }
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let query = TaskQuery { sort, order, after, limit: 7, ..query() };
                let (page, next) = running.read(move |view| view.tasks(&query)).await;
                assert!(page.len() == 7 || next.is_none());
                seen.extend(page);
                // One comes and one goes between any two pages.
                let comes = task(json!({ "title": "passing", "status": "review" }), seen.len() as i64 % 3);
                running.insert(&comes).await;
                if let Some(goes) = passing.replace(comes.id) {
                    running.write(move |tx| Ok(tx.delete_task(goes)?)).await.expect("written");
                }
                match next {
                    Some(key) => after = Some(key),
                    None => break,
                }
            }
            seen.retain(|task| task.title.as_str() == "t");
            let seen: Vec<_> =
                seen.iter().map(|task| (PageKey::of(task, sort, order).key, task.id)).collect();
            assert_eq!(seen, expected, "{sort} {order}");
        }
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_and_its_cursor_are_of_one_state_and_never_older_than_what_was_answered() {
    const VERSIONS: i64 = 300;
    let directory = directory();
    let running = Arc::new(Running::open(&directory));
    let task = task(json!({ "title": "t" }), 0);
    let id = task.id;
    assert_eq!(running.store.task(id).await.expect("it reads").0, None);
    // Each version is that of its event.
    let write = async |version: i64| {
        let task = Task { version, ..task.clone() };
        let operation = move |tx: &mut Tx<'_>| {
            match version {
                1 => tx.insert_task(&task)?,
                _ => tx.update_task(&task)?,
            }
            Ok(tx.append(&NewEvent::task_created(&task))?)
        };
        running.write(operation).await.expect("written")
    };
    write(1).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let store = running.store.clone();
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < VERSIONS {
                    let (found, cursor) = store.task(id).await.expect("it reads");
                    let version = found.expect("a task").version;
                    assert_eq!(version as u64, cursor.seq);
                    assert!(version >= seen);
                    seen = version;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for version in 2..=VERSIONS {
        let cursor = write(version).await;
        assert!(running.store.task(id).await.expect("it reads").1.seq >= cursor.seq);
    }
    for reader in readers {
        reader.await.expect("no panic");
    }
}
