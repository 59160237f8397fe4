//! What the hub tells a model of its tools: short enough that no client cuts it, and in the words of JSON Schema that every
//! client takes.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Hub;

use super::Agent;

/// Where clients cut a description.
const DESCRIPTION_CHARS_MAX: usize = 2048;
const INSTRUCTIONS_CHARS_MAX: usize = 1500;
/// Of the names of server and tool as clients join them.
const NAME_CHARS_MAX: usize = 60;
/// Of the whole list. JSON such as this has about four bytes for each token of a model, and 2,500 tokens are the most.
const LIST_BYTES_MAX: usize = 10_000;

/// Every object in a value, with its place.
fn objects<'a>(place: String, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(object) => {
            found.push((place.clone(), value));
            object.iter().for_each(|(name, inner)| objects(format!("{place}/{name}"), inner, found));
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, inner)| objects(format!("{place}/{index}"), inner, found));
        }
        _ => {}
    }
}

/// What some clients or models refuse in a schema.
fn assert_taken_everywhere(place: &str, schema: &Value) {
    assert_eq!(schema["type"], "object", "{place}");
    for word in ["oneOf", "anyOf", "allOf"] {
        assert!(schema.get(word).is_none(), "{place}: {word} at the top");
    }
    let mut found = Vec::new();
    objects(place.to_owned(), schema, &mut found);
    for (place, object) in found {
        // The names of properties are no words of the schema.
        if place.ends_with("/properties") {
            continue;
        }
        assert!(object.get("$ref").is_none(), "{place}");
        assert!(!object["type"].is_array(), "{place}: a list of types");
        let format = object["format"].as_str().unwrap_or_default();
        assert!(!format.starts_with("uint"), "{place}: {format}");
        if let Some(required) = object["required"].as_array() {
            for name in required {
                assert!(object["properties"][name.as_str().expect("a name")].is_object(), "{place}: {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_takes_the_list_of_tools() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let tools = agent.tools().await;
    assert!((12..=14).contains(&tools.len()), "{}", tools.len());
    for tool in &tools {
        let name = tool["name"].as_str().expect("a name");
        assert!(format!("mcp__taskhub__{name}").len() <= NAME_CHARS_MAX, "{name}");
        let mut found = Vec::new();
        objects(name.to_owned(), tool, &mut found);
        let descriptions = found.iter().filter_map(|(place, it)| Some((place, it["description"].as_str()?)));
        for (place, description) in descriptions {
            assert!(description.chars().count() <= DESCRIPTION_CHARS_MAX, "{place}");
        }
        assert!(tool["description"].as_str().is_some_and(|it| !it.is_empty()), "{name}");
        assert_taken_everywhere(&format!("{name} takes"), &tool["inputSchema"]);
        if let Some(output) = tool.get("outputSchema") {
            assert_taken_everywhere(&format!("{name} answers"), output);
        }
    }
    let bytes = serde_json::to_vec(&tools).expect("JSON").len();
    println!("{} tools, {bytes} bytes", tools.len());
    assert!(bytes <= LIST_BYTES_MAX, "{bytes}");

    let found = agent.ask("server/discover", json!({})).await;
    let instructions = found.body["result"]["instructions"].as_str().expect("instructions");
    assert!(instructions.chars().count() <= INSTRUCTIONS_CHARS_MAX, "{}", instructions.chars().count());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_say_what_a_call_does() {
    let hub = Hub::start().await;
    let tools = Agent::of(&hub.client).await.tools().await;
    let with = |hint: &str, value: bool| -> BTreeSet<&str> {
        let has = tools.iter().filter(|tool| tool["annotations"][hint] == value);
        has.map(|tool| tool["name"].as_str().expect("a name")).collect()
    };
    let set = |names: &[&'static str]| -> BTreeSet<&str> { names.iter().copied().collect() };
    assert_eq!(with("readOnlyHint", true), set(&["list_tasks", "get_task", "read_log", "wait_events"]));
    // Only a script reaches beyond the hub. What is not said, a client takes for the worst.
    assert_eq!(with("openWorldHint", false).len(), tools.len() - 1);
    let gentle =
        ["create_tasks", "claim_task", "heartbeat", "complete_task", "fail_task", "comment", "ask_person"];
    assert_eq!(with("destructiveHint", false), set(&gentle));
    hub.stop().await;
}

/// [`Agent`] holds every answer against the schema of its tool.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_all_tools_answers_as_their_schemas_say() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let mut used = BTreeSet::new();
    let mut data = async |tool: &'static str, arguments: Value| {
        used.insert(tool);
        agent.data(tool, arguments).await
    };
    let plan = json!({ "request_id": "plan-1", "tasks": [
        { "title": "Translate", "description": "All texts", "tags": ["text"], "priority": "high", "name": "first" },
        { "title": "Print", "blocked_by": ["first"], "script": "echo printed" },
    ] });
    let created = data("create_tasks", plan).await;
    let (first, second) = (created["tasks"][0]["key"].clone(), created["tasks"][1]["key"].clone());
    assert_eq!(
        (&created["tasks"][0]["name"], &created["tasks"][1]["ready"]),
        (&json!("first"), &json!(false))
    );
    let page = data("list_tasks", json!({ "limit": 1 })).await;
    assert_eq!(page["tasks"][0]["key"], second, "newest first");
    let page = data("list_tasks", json!({ "limit": 1, "cursor": page["next_cursor"] })).await;
    assert_eq!((&page["tasks"][0]["key"], &page["tasks"][0]["ready"]), (&first, &json!(true)));
    assert!(page.get("next_cursor").is_none(), "{page}");

    let claimed = data("claim_task", json!({ "worker": "ada", "lease_seconds": 600 })).await;
    assert_eq!((&claimed["key"], &claimed["description"]), (&first, &json!("All texts")));
    let lease = claimed["lease"].clone();
    assert_eq!(data("heartbeat", json!({ "lease": lease, "progress": "half" })).await["stop"], false);
    data("update_task", json!({ "task": first, "tags": ["text", "long"], "lease": lease })).await;
    let noted = data("comment", json!({ "task": first, "text": "Seen", "lease": lease })).await;
    assert_eq!(noted["key"], first);
    let asked =
        json!({ "task": first, "text": "Which tone?", "options": ["plain", "formal"], "wait_seconds": 0 });
    let question = data("ask_person", asked).await;
    assert_eq!(question["status"], "open");
    let read = agent.text("get_task", json!({ "task": first })).await;
    for said in ["Translate", "All texts", "half", "Seen", "Which tone?", "plain, formal", "ada"] {
        assert!(read.contains(said), "{said}: {read}");
    }
    let path = format!("/api/questions/{}/answer", question["question"].as_str().expect("an id"));
    hub.client.with_body(Method::PUT, &path, json!({ "answer": "plain" })).await;
    let answered = data("ask_person", json!({ "question": question["question"] })).await;
    assert_eq!((&answered["status"], &answered["answer"]), (&json!("answered"), &json!("plain")));
    let report =
        json!({ "lease": lease, "summary": "Translated", "proof": "Read twice", "artifacts": ["a.txt"] });
    assert_eq!(data("complete_task", report).await["status"], "done");

    let next = data("claim_task", json!({ "worker": "ada", "task": second })).await;
    let run = data("run_task", json!({ "task": second, "lease": next["lease"] })).await;
    assert_eq!((&run["status"], &run["exit_code"]), (&json!("completed"), &json!(0)));
    assert!(run["log_tail"].as_str().expect("a log").contains("printed"), "{run}");
    let log = agent.text("read_log", json!({ "task": second, "grep": "PRINT" })).await;
    assert!(log.starts_with("0: printed\n"), "{log}");
    let failed = json!({ "lease": next["lease"], "reason": "The printer is out", "retry": false });
    assert_eq!(data("fail_task", failed).await["status"], "review");
    assert_eq!(data("claim_task", json!({ "worker": "ada" })).await, json!({}), "none is ready");

    let all = data("wait_events", json!({ "cursor": "earliest", "limit": 100, "wait_seconds": 0 })).await;
    let kinds: BTreeSet<_> =
        all["events"].as_array().expect("events").iter().map(|it| it["event"].as_str()).collect();
    for kind in [
        "task_created",
        "task_updated",
        "lease_event",
        "comment_added",
        "question_answered",
        "execution_event",
    ] {
        assert!(kinds.contains(&Some(kind)), "{kind}: {all}");
    }
    used.extend(["get_task", "read_log"]);
    let tools = agent.tools().await;
    let names: BTreeSet<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(used, names);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_argument_is_refused_with_what_would_be_right() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    assert_eq!(agent.create(json!({ "title": "t" })).await, "default-1");
    for (tool, arguments, detail, next) in [
        ("list_tasks", json!({ "status": ["doing"] }), "status[0]", "one of todo, inprogress, review, done"),
        ("list_tasks", json!({ "limit": 0 }), "limit", "1 to 50"),
        ("list_tasks", json!({ "cursor": "x" }), "cursor", "next_cursor"),
        ("list_tasks", json!({ "labels": [] }), "labels", "use only"),
        ("get_task", json!({}), "task", "task"),
        ("get_task", json!({ "task": "the second" }), "task: expected the key", "as list_tasks shows it"),
        ("claim_task", json!({ "worker": 7 }), "worker", "worker takes text (Your name: always"),
        ("claim_task", json!({}), "worker: is required", "worker takes text (Your name: always"),
        (
            "claim_task",
            json!({ "worker": " " }),
            "must not be blank; send 1 to 200 characters",
            "correct worker",
        ),
        (
            "claim_task",
            json!({ "worker": "w", "wait_seconds": 46 }),
            "wait_seconds: 46",
            "0 to 45; the nearest is 45",
        ),
        (
            "claim_task",
            json!({ "worker": "w", "lease_seconds": 1 }),
            "lease_seconds: 1",
            "5 to 3600; the nearest is 5",
        ),
        ("wait_events", json!({ "wait_seconds": 600 }), "wait_seconds: 600", "the nearest is 45"),
        ("wait_events", json!({ "limit": 1000 }), "limit: 1000", "the nearest is 100"),
        (
            "ask_person",
            json!({ "task": "default-1", "text": "t", "wait_seconds": 60 }),
            "wait_seconds",
            "nearest is 45",
        ),
        ("run_task", json!({ "task": "default-1", "wait_seconds": 46 }), "wait_seconds", "the nearest is 45"),
        ("read_log", json!({ "task": "default-1", "tail_lines": 5000 }), "tail_lines", "the nearest is 1000"),
        ("read_log", json!({ "task": "default-1", "offset": -1 }), "offset: -1", "the nearest is 0"),
        ("heartbeat", json!({ "lease": "mine" }), "lease", "as claim_task answered it"),
        (
            "create_tasks",
            json!({ "tasks": [{ "title": " " }] }),
            "tasks[0].title: must not be blank",
            "correct tasks[0].title",
        ),
        (
            "create_tasks",
            json!({ "tasks": [{ "title": "t" }, { "title": "\u{200b}" }] }),
            "tasks[1].title",
            "correct",
        ),
        (
            "create_tasks",
            json!({ "tasks": [{ "title": "t" }, { "title": "t", "tags": ["\u{200b}"] }] }),
            "tasks[1].tags[0]",
            "correct",
        ),
        (
            "create_tasks",
            json!({ "tasks": [{ "title": "t", "priority": "urgent" }] }),
            "tasks[0].priority",
            "one of low, medium, high",
        ),
        ("create_tasks", json!({ "tasks": 7 }), "tasks[0]", "tasks[0] takes objects with"),
        ("update_task", json!({ "task": "default-1", "priority": "urgent" }), "priority", "priority"),
        ("wait_events", json!({ "cursor": "yesterday" }), "cursor", "cursor"),
        ("ask_person", json!({ "task": "default-1" }), "task and text", "pass task and text"),
        ("create_tasks", json!({ "tasks": [] }), "tasks", "1 to 100"),
    ] {
        let refused = agent.refused_by("invalid_field", tool, arguments.clone()).await;
        assert!(refused["detail"].as_str().is_some_and(|it| it.contains(detail)), "{arguments}: {refused}");
        assert!(refused["next"].as_str().is_some_and(|it| it.contains(next)), "{arguments}: {refused}");
        for word in ["Link", "POST", "GET", "header", "leave it out"] {
            assert!(!refused.to_string().contains(word), "{word}: {refused}");
        }
    }
    for (tool, arguments, code) in [
        ("run_task", json!({ "task": "default-1" }), "nothing_to_run"),
        ("read_log", json!({ "task": "default-1" }), "execution_not_found"),
        ("ask_person", json!({ "question": "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e" }), "question_not_found"),
        ("create_tasks", json!({ "tasks": [{ "title": "t", "project": "old" }] }), "project_archived"),
    ] {
        hub.client.post("/api/projects", json!({ "project": "old" })).await;
        hub.client.with_body(Method::PATCH, "/api/projects/old", json!({ "archived": true })).await;
        let refused = agent.refused_by(code, tool, arguments).await;
        for word in ["POST", "GET", "PATCH", "/api", "script_content"] {
            assert!(!refused.to_string().contains(word), "{word}: {refused}");
        }
    }
    agent.refused_by("task_not_found", "get_task", json!({ "task": "default-999" })).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_taken_as_a_list_of_one() {
    let hub = Hub::start().await;
    let agent = Agent::of(&hub.client).await;
    let first = agent.create(json!({ "title": "first", "tags": "a" })).await;
    agent.create(json!({ "title": "second", "blocked_by": first })).await;
    agent.data("update_task", json!({ "task": first, "tags": "b", "status": "review" })).await;
    let found = agent.data("list_tasks", json!({ "status": "review" })).await;
    let titles: Vec<_> = found["tasks"].as_array().expect("tasks").iter().map(|it| &it["title"]).collect();
    assert_eq!(titles, ["first"]);
    assert_eq!(found["tasks"][0]["tags"], json!(["b"]));
    let events = json!({ "cursor": "earliest", "events": "task_created", "wait_seconds": 0 });
    let seen = agent.data("wait_events", events).await;
    assert_eq!(seen["events"].as_array().map(Vec::len), Some(2), "{seen}");
    hub.stop().await;
}
