//! Lists of tasks: pages, filters, search, and the cursor that joins them to the stream.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Hub, all_pages, next_page};
use crate::sse::{Stream, seq};
use crate::tasks::ids;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_bare_array_also_behind_a_trailing_slash() {
    let hub = Hub::start().await;
    let todo = hub.client.create(json!({ "title": "todo" })).await;
    hub.client.create(json!({ "title": "done", "status": "done" })).await;
    for address in ["/api/tasks/?status=todo", "/api/tasks?status=todo", "/api/tasks//?status=todo,review"] {
        let answer = hub.client.get(address).await;
        let list = answer.body.as_array().unwrap_or_else(|| panic!("{address}: {answer:?}"));
        assert_eq!(list.len(), 1, "{address}");
        assert_eq!(list[0]["id"], todo.as_str());
        assert_eq!(next_page(&answer), None);
    }
    let created = hub.client.post("/api/tasks/", json!({ "title": "third" })).await;
    assert_eq!(created.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_through_all_tasks_once_in_every_order_and_keep_their_filters() {
    let hub = Hub::start().await;
    let client = &hub.client;
    let (statuses, priorities) =
        (["todo", "inprogress", "review", "done"], [None, Some("low"), Some("high")]);
    let who = ["Ada Lovelace & Söhne=?", "bo"];
    let creates = (0..250).map(|n| {
        let body = json!({
            "title": format!("{n}"), "status": statuses[n % 4], "priority": priorities[n % 3],
            "assignee": who[n / 4 % 2], "tags": [format!("tag+{}", n % 5)],
        });
        client.create(body)
    });
    let created: BTreeSet<_> = join_all(creates).await.into_iter().collect();
    for sort in ["created_at", "updated_at", "priority", "status"] {
        for order in ["asc", "desc"] {
            let found = all_pages(client, format!("/api/tasks?sort={sort}&order={order}&limit=60")).await;
            assert_eq!(ids(&found), created, "{sort} {order}");
            let mut ranks: Vec<_> = found.iter().map(|task| rank(task, sort)).collect();
            if order == "desc" {
                ranks.reverse();
            }
            assert!(ranks.is_sorted(), "{sort} {order}");
        }
    }
    assert_eq!(client.get("/api/tasks").await.body.as_array().map(Vec::len), Some(100), "the default limit");
    let query = [
        ("assignee", who[0]),
        ("status", "todo,review"),
        ("priority", "low,high"),
        ("tag", "tag+0,tag+2"),
        ("q", "2"),
        ("limit", "3"),
        ("sort", "priority"),
        ("order", "desc"),
    ];
    let query = serde_urlencoded::to_string(query).expect("a query");
    // Each filter alone would let others through.
    let matching = |n: &usize| {
        (n / 4).is_multiple_of(2)
            && n.is_multiple_of(2)
            && matches!((n % 3, n % 5), (1 | 2, 0 | 2))
            && n.to_string().starts_with('2')
    };
    let expected = (0..250).filter(matching);
    let found = all_pages(client, format!("/api/tasks?{query}")).await;
    assert_eq!(ids(&found).len(), expected.count());
    assert!(found.iter().all(|task| task["assignee"] == who[0]), "the link lost a filter");
}

/// What a task is sorted by, so that it compares.
fn rank(task: &Value, sort: &str) -> (usize, String) {
    let word = task[sort].as_str().unwrap_or_default();
    let scale: &[&str] = match sort {
        "priority" => &["", "low", "medium", "high"],
        "status" => &["todo", "inprogress", "review", "done"],
        _ => return (0, word.to_owned()),
    };
    (scale.iter().position(|it| *it == word).expect("a known word"), String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_stream_from_its_cursor_miss_and_repeat_nothing_while_others_write() {
    let hub = Hub::start().await;
    let client = hub.client.clone();
    let writer = tokio::spawn(async move {
        let mut created = BTreeSet::new();
        for number in 0..300 {
            created.insert(client.create(json!({ "title": format!("{number}") })).await);
        }
        created.insert(client.create(json!({ "title": "last" })).await);
        created
    });
    let followers = [0, 40, 80, 120, 160].map(async |after| {
        let far_enough = |status: &Value| seq(&status["head"]) >= after;
        hub.client.wait_for("/api/events/status", far_enough).await;
        let list = hub.client.get("/api/tasks?limit=500").await;
        let cursor = list.header("taskhub-cursor").to_owned();
        let mut tasks: Vec<_> = list.body.as_array().expect("a list").to_vec();
        let mut stream = Stream::open(&hub.client, &format!("?since={cursor}")).await;
        let mut expected = seq(&json!(cursor));
        loop {
            let event = stream.next_event().await;
            expected += 1;
            assert_eq!(seq(&event["id"]), expected);
            tasks.push(json!({ "id": event["data"]["task_id"] }));
            if event["data"]["title"] == "last" {
                return ids(&tasks);
            }
        }
    });
    let seen = join_all(followers).await;
    let created = writer.await.expect("no panic");
    assert!(seen.iter().all(|tasks| *tasks == created));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_words_by_their_beginnings_in_title_description_comments_and_key() {
    let hub = Hub::start().await;
    let title = hub.client.create(json!({ "title": "Fix the 100% bug", "description": "x" })).await;
    let text = hub.client.create(json!({ "title": "y", "description": "nothing to fix_up\r\nhere" })).await;
    hub.client.post(&format!("/api/tasks/{title}/comments"), json!({ "text": "Ça déborde" })).await;
    let searches: [(&str, &[&String]); 12] = [
        ("q=FIX", &[&title, &text]),
        ("q=100%25", &[&title]),
        ("q=fix_u", &[&text]),
        ("q=up%0D%0Ahere", &[&text]),
        ("q=fix&order=desc&limit=1", &[&text]),
        ("q=nowhere", &[]),
        // Only beginnings, and every word.
        ("q=ixed", &[]),
        ("q=fix+nothing", &[&text]),
        ("q=deborder", &[]),
        ("q=d%C3%89bord+bug", &[&title]),
        ("q=Default-2", &[&text]),
        ("q=%25", &[]),
    ];
    for (query, expected) in searches {
        let answer = hub.client.get(&format!("/api/tasks?{query}")).await;
        let found: Vec<_> = answer.body.as_array().expect("a list").iter().map(|it| &it["id"]).collect();
        assert_eq!(found, expected.to_vec(), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_tasks_is_shorter_and_leads_on() {
    let hub = Hub::start().await;
    let description = "x".repeat(1 << 20);
    for number in 0..10 {
        hub.client.create(json!({ "title": format!("{number}"), "description": description })).await;
    }
    let page = hub.client.get("/api/tasks?limit=500").await;
    assert_eq!(page.body.as_array().expect("a list").len(), 4);
    let tasks = all_pages(&hub.client, "/api/tasks?limit=500".to_owned()).await;
    let titles: Vec<_> = tasks.iter().map(|task| task["title"].as_str().expect("a title")).collect();
    assert_eq!(titles, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_takes_too_long_ends_with_a_problem_that_says_what_to_do() {
    let hub = Hub::tuned(&[], |config| config.store.query_ms_max = 0).await;
    // A filter that the index does not know.
    let answer = hub.client.get("/api/tasks?key=default-1").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body["code"], "query_timeout");
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.contains("ask for less")));
    assert_eq!(answer.header("retry-after"), "5");
}
