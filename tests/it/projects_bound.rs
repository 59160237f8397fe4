//! Tokens that are bound to projects: for their holder there are no others.
//!
//! The bound token has `alpha`. `bravo` is the project that it must not learn of: every text, name and tag in there says so.

mod agents;
mod attempts;
mod dependencies;
mod matrix;
mod streams;
mod work_attempts;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Hub, all_pages};
use crate::tokens::{command, create, revoke, until};

/// A hub with two projects, a client that sees both, and one that is bound to `alpha`.
struct World {
    hub: Hub,
    owner: Client,
    bound: Client,
    /// A task of `alpha` that was executed.
    own: String,
    /// A task of `bravo` that was executed, and its execution.
    hidden: String,
    execution: Value,
    /// A task of `bravo` that was executed and then deleted.
    gone: String,
}

/// What the owner does with the hidden task, and one more task of `bravo`.
struct Held {
    lease: String,
    question: String,
    comment: String,
    /// Ready, with the tag of `bravo`.
    spare: String,
}

/// Makes a token that is bound to projects, and answers its secret.
fn create_bound(hub: &Hub, name: &str, projects: &[&str]) -> String {
    let mut arguments = vec!["create", "--name", name, "--scope", "exec"];
    projects.iter().for_each(|project| arguments.extend(["--project", project]));
    let output = command(hub.directory.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

async fn executed(client: &Client, project: &str) -> (String, Value) {
    let id = client
        .create(json!({
            "project": project, "title": format!("{project} shared"), "description": format!("{project} text"),
            "tags": [format!("{project}-tag")], "assignee": format!("{project}-name"),
            "script": format!("echo {project} output"),
        }))
        .await;
    client.post(&format!("/api/exec/{id}"), json!({})).await;
    let execution = client.wait_for(&format!("/api/exec/{id}"), |it| it["status"] == "completed").await;
    // The end of an execution and the status after it are one change.
    assert_eq!(client.get(&format!("/api/tasks/{id}")).await.body["status"], "review");
    (id, execution)
}

/// A worker of the project claims the task, which has a comment and an open question. Answers the ids of all three.
async fn held(client: &Client, project: &str, task: &str) -> [String; 3] {
    let path = format!("/api/tasks/{task}");
    let free = json!({ "status": "todo", "assignee": null });
    assert_eq!(client.with_body(Method::PATCH, &path, free).await.status, StatusCode::OK);
    let wish = json!({
        "project": project, "tag": format!("{project}-tag"), "worker": format!("{project}-name"), "another": true,
        "lease_seconds": 3600,
    });
    let claimed = client.post("/api/tasks/claim", wish).await;
    assert_eq!((claimed.status, claimed.id().as_str()), (StatusCode::OK, task));
    let text = json!({ "text": format!("{project} text") });
    let question = client.post(&format!("{path}/questions"), text.clone()).await;
    assert_eq!(question.status, StatusCode::CREATED);
    let comment = client.post(&format!("{path}/comments"), text).await;
    assert_eq!(comment.status, StatusCode::CREATED);
    let lease = claimed.body["lease"]["id"].as_str().expect("an id").to_owned();
    [lease, question.id(), comment.id()]
}

impl World {
    async fn with(flags: &[&str]) -> Self {
        let hub = Hub::with(flags).await;
        let owner = hub.client.with_token(&create(hub.directory.path(), "owner", "exec"));
        let bound = hub.client.with_token(&create_bound(&hub, "bound", &["alpha"]));
        until(&owner, StatusCode::OK).await;
        until(&bound, StatusCode::OK).await;
        // Bound to a project that is not there yet.
        let made = bound.post("/api/projects", json!({ "project": "alpha", "title": "alpha" })).await;
        assert_eq!(made.status, StatusCode::CREATED);
        owner.post("/api/projects", json!({ "project": "bravo", "title": "bravo" })).await;
        let (own, _) = executed(&bound, "alpha").await;
        let (gone, _) = executed(&owner, "bravo").await;
        owner.send(owner.request(Method::DELETE, &format!("/api/tasks/{gone}"))).await;
        let (hidden, execution) = executed(&owner, "bravo").await;
        let message = json!({ "level": "info", "message": "for everybody" });
        owner.post("/api/events/announcements", message).await;
        Self { hub, owner, bound, own, hidden, execution, gone }
    }

    /// The hidden task is held by a lease, has a comment and an open question.
    async fn hold(&self) -> Held {
        let Self { owner, hidden, .. } = self;
        let [lease, question, comment] = held(owner, "bravo", hidden).await;
        let spare = json!({ "project": "bravo", "title": "bravo spare", "tags": ["bravo-tag"] });
        Held { lease, question, comment, spare: owner.create(spare).await }
    }
}

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|it| it["id"].as_str().expect("an id")).collect()
}

/// Every page of the log that a client sees.
async fn history(client: &Client, query: &str) -> Vec<Value> {
    let (mut seen, mut since) = (Vec::new(), "earliest".to_owned());
    loop {
        let answer = client.get(&format!("/api/events?since={since}&limit=2{query}")).await;
        seen.extend(answer.body.as_array().expect("a list").iter().cloned());
        match answer.headers.get("taskhub-next-page") {
            Some(next) => since = next.to_str().expect("ASCII").to_owned(),
            None => return seen,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_pages_and_counts_hold_its_own_projects_alone() {
    let World { owner, bound, own, hidden, gone, .. } = &World::with(&[]).await;
    let projects = bound.get("/api/projects").await.body;
    assert_eq!(projects.as_array().expect("a list").len(), 1);
    assert_eq!(projects[0]["project"], "alpha");
    for query in [
        "",
        "?q=shared",
        "?limit=1",
        "?sort=updated_at&order=desc&limit=1",
        "?project=alpha,bravo",
        "?status=review",
    ] {
        assert_eq!(ids(&all_pages(bound, format!("/api/tasks{query}")).await), [own], "{query}");
    }
    for query in [
        "?q=bravo",
        "?q=bravo-1",
        "?project=bravo",
        "?key=bravo-1,bravo-2",
        "?tag=bravo-tag",
        "?assignee=bravo-name",
    ] {
        let answer = bound.get(&format!("/api/tasks{query}")).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, json!([])), "{query}");
    }
    for query in ["", "?limit=1", "?status=completed&limit=1"] {
        let found = all_pages(bound, format!("/api/executions{query}")).await;
        assert!(found.len() == 1 && found[0]["task_id"] == **own, "{query}: {found:?}");
    }
    for task in [hidden, gone] {
        assert_eq!(bound.get(&format!("/api/executions?task_id={task}")).await.body, json!([]));
        assert_ne!(owner.get(&format!("/api/executions?task_id={task}")).await.body, json!([]));
    }

    let all = history(bound, "").await;
    assert!(!all.iter().any(|event| event.to_string().contains("bravo")), "{all:?}");
    let mut expected = history(owner, "&project=alpha").await;
    expected.extend(history(owner, "&events=announcement").await);
    expected.sort_by_key(|event| crate::sse::seq(&event["id"]));
    assert_eq!(all, expected);
    assert_eq!(history(bound, "&events=project_created").await.len(), 1);
    for query in ["&project=bravo", "&key=bravo-2", "&tag=bravo-tag", "&assignee=bravo-name"] {
        assert!(history(bound, query).await.is_empty(), "{query}");
        assert!(!history(owner, query).await.is_empty(), "{query}");
    }
    assert!(history(bound, &format!("&task_id={hidden},{gone}")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_in_its_own_projects() {
    let World { hub, owner, bound, own, .. } = &World::with(&[]).await;
    let task =
        bound.post("/api/tasks", json!({ "project": "alpha", "title": "t", "script": "exit 3" })).await;
    assert_eq!((task.status, &task.body["key"]), (StatusCode::CREATED, &json!("alpha-2")));
    let (id, path) = (task.id(), format!("/api/tasks/{}", task.id()));
    assert_eq!(bound.with_body(Method::PATCH, &path, json!({ "title": "u" })).await.status, StatusCode::OK);
    assert_eq!(bound.set_status(&id, "todo").await.status, StatusCode::OK);
    // The hub settles, and tries again, in the name of the token.
    bound.post(&format!("/api/exec/{id}"), json!({ "retries": 1, "retry_delay_seconds": 0 })).await;
    let path_of_execution = format!("/api/exec/{id}");
    bound.wait_for(&path_of_execution, |it| it["status"] == "failed" && it["attempt"] == 2).await;
    let body = json!({ "script_content": "echo here; sleep 30" });
    assert_eq!(bound.post(&path_of_execution, body).await.status, StatusCode::OK);
    bound.wait_for_text(&format!("{path_of_execution}/logs/raw"), |it| it.contains("here")).await;
    assert_eq!(bound.post(&format!("{path_of_execution}/stop"), json!({})).await.status, StatusCode::OK);
    bound.wait_for(&path_of_execution, |it| it["status"] == "stopped").await;
    // What is left of a task that was deleted is still its own.
    assert_eq!(bound.send(bound.request(Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        bound.get(&format!("/api/executions?task_id={id}")).await.body.as_array().map(Vec::len),
        Some(3)
    );
    assert_eq!(bound.get(&path_of_execution).await.status, StatusCode::OK);

    // Without a name a task goes to `default`, which is not its own.
    let refused = bound.post("/api/tasks", json!({ "title": "t" })).await;
    assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!("project")));
    let path = "/api/projects/alpha";
    let changed = bound.with_body(Method::PATCH, path, json!({ "archived": true })).await;
    assert_eq!((changed.status, &changed.body["archived"]), (StatusCode::OK, &json!(true)));

    let both = hub.client.with_token(&create_bound(hub, "both", &["bravo", "alpha", "alpha"]));
    until(&both, StatusCode::OK).await;
    assert_eq!(both.get("/api/projects").await.body, {
        let mut all = owner.get("/api/projects").await.body;
        all.as_array_mut().expect("a list").retain(|it| it["project"] != "default");
        all
    });
    assert_eq!(both.get(&format!("/api/tasks/{own}")).await.status, StatusCode::OK);
    let listed = String::from_utf8(command(hub.directory.path(), &["list"]).stdout).expect("UTF-8");
    let cells: Vec<_> = listed.lines().map(|line| line.split_whitespace().last().expect("a cell")).collect();
    assert_eq!(cells, ["PROJECTS", "projects", "alpha", "alpha,bravo"]);
    let refused =
        command(hub.directory.path(), &["create", "--name", "x", "--scope", "read", "--project", "No"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("lower-case"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_same_name_does_not_repeat_what_an_earlier_one_saw() {
    let World { hub, owner, hidden, .. } = &World::with(&[]).await;
    let earlier = hub.client.with_token(&create(hub.directory.path(), "ci", "exec"));
    until(&earlier, StatusCode::OK).await;
    let ask = async |client: &Client, path: &str, body: Value| {
        client.send(client.request(Method::POST, path).header("Idempotency-Key", path).json(&body)).await
    };
    let task = json!({ "project": "bravo", "title": "bravo again" });
    let start = format!("/api/exec/{hidden}");
    assert_eq!(ask(&earlier, "/api/tasks", task.clone()).await.status, StatusCode::CREATED);
    assert_eq!(ask(&earlier, &start, json!({})).await.status, StatusCode::OK);
    owner.wait_for(&start, |it| it["status"] == "completed").await;

    // It works on a task of each project, the hidden one later.
    let own = owner.create(json!({ "project": "alpha", "title": "t" })).await;
    let claim = async |client: &Client, wish: Value| {
        let mut body = json!({ "worker": "w", "another": false });
        body.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
        client.post("/api/tasks/claim", body).await
    };
    assert_eq!(claim(&earlier, json!({ "project": "alpha" })).await.id(), own);
    let beyond = claim(&earlier, json!({ "project": "bravo", "another": true })).await;
    assert_eq!(beyond.body["project"], "bravo");

    revoke(hub.directory.path(), "ci");
    let later = hub.client.with_token(&create_bound(hub, "ci", &["alpha"]));
    until(&later, StatusCode::OK).await;
    let refused = ask(&later, "/api/tasks", task).await;
    assert_eq!((refused.status, &refused.body["field"]), (StatusCode::BAD_REQUEST, &json!("project")));
    assert_eq!(ask(&later, &start, json!({})).await.body["code"], "task_not_found");
    assert_eq!(claim(&later, json!({})).await.id(), own);
}
