//! progenitor: a builder for each operation over reqwest. Of the stream it hands over the bytes.

use std::env;

use futures_util::TryStreamExt;
use hub::types::{
    ClaimRequest, Code, Event, ExecutionPhase, ExecutionRequest, Priority, Problem, Status, StatusUpdate,
    TaskDraft, TaskField, TaskPatch,
};
use hub::{Client, Error, ResponseValue};
use uuid::Uuid;

mod hub {
    progenitor::generate_api!(spec = "taskhub.json", interface = Builder);
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let tag = env::var("TASKHUB_TAG")?;
    let hub = Client::new(&env::var("TASKHUB_URL")?);

    let draft = |title: &str| TaskDraft::builder().title(title).tags(vec![tag.parse().expect("a tag")]);
    let made = hub.create_task().body(draft("Write the report")).send().await?;
    let location = format!("/api/tasks/{}", made.id);
    assert_eq!(made.headers()["location"], location);
    let task = made.into_inner();
    for title in ["Read it", "Print it"] {
        hub.create_task().body(draft(title)).send().await?;
    }
    println!("ok: creates tasks");

    let mut titles = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = hub.list_tasks().tag(vec![tag.parse()?]).limit(2);
        if let Some(cursor) = cursor {
            request = request.cursor(cursor);
        }
        let page = request.send().await?;
        titles.extend(page.iter().map(|task| task.title.to_string()));
        let Some(next) = page.headers().get("taskhub-next-page") else { break };
        cursor = Some(next.to_str()?.to_owned());
    }
    assert_eq!(titles, ["Write the report", "Read it", "Print it"]);
    println!("ok: lists all pages");

    let got = hub.get_task().task_id(task.id).send().await?;
    assert_eq!((got.id, &got.title, got.created_at), (task.id, &task.title, task.created_at));
    println!("ok: gets a task");

    let etag = got.headers()["etag"].to_str()?.to_owned();
    let patch = TaskPatch::builder().priority(Priority::High);
    let patched = hub.update_task().task_id(task.id).if_match(&etag).body(patch).send().await?;
    assert_eq!((patched.priority, patched.version.get()), (Some(Priority::High), 2));
    println!("ok: merges a patch, if it matches");

    let patch = TaskPatch::builder().priority(Priority::Low);
    let late = hub.update_task().task_id(task.id).if_match(&etag).body(patch).send().await;
    assert_eq!(problem(late), (412, Code::VersionMismatch));
    println!("ok: is told that the version differs");

    let nobody: Uuid = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e".parse()?;
    let missing = hub.get_task().task_id(nobody).send().await;
    assert_eq!(problem(missing), (404, Code::TaskNotFound));
    println!("ok: is told that there is no such task");

    let guarded = env::var("TASKHUB_GUARDED_URL")?;
    let refused = Client::new(&guarded).list_tasks().send().await;
    assert_eq!(problem(refused), (401, Code::TokenMissing));
    println!("ok: is refused without a token");

    let token = format!("Bearer {}", env::var("TASKHUB_TOKEN")?);
    let headers = [(reqwest::header::AUTHORIZATION, token.parse()?)].into_iter().collect();
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    Client::new_with_client(&guarded, http).list_tasks().send().await?;
    println!("ok: is let in with a token");

    let update = StatusUpdate::builder().new_status(Status::Inprogress);
    let reported = hub.update_task_status().task_id(task.id).body(update).send().await?;
    assert_eq!(reported.status, Status::Inprogress);
    println!("ok: reports a status");

    let claim = ClaimRequest::builder().worker("alice").tag(Some(tag.parse()?));
    let claimed = hub.claim_task().body(claim).send().await?;
    let lease = claimed.lease.as_ref().expect("the task is held by a lease");
    assert!(task.lease.is_none() && lease.worker.as_str() == "alice");
    assert_eq!(claimed.status, Status::Inprogress);
    let update = StatusUpdate::builder().new_status(Status::Done);
    let ended =
        hub.update_task_status().task_id(claimed.id).taskhub_lease(lease.id).body(update).send().await?;
    assert!(ended.status == Status::Done && ended.lease.is_none());
    println!("ok: claims a task, and reports under its lease");

    let request: ExecutionRequest =
        ExecutionRequest::builder().script_content(Some("echo hello".parse()?)).try_into()?;
    let execution = hub.start_execution().task_id(task.id).body(request).send().await?;
    assert_eq!(execution.task_id, task.id);
    println!("ok: starts an execution");

    let created = find(
        &hub,
        task.id,
        None,
        |event| matches!(event, Event::TaskCreatedEvent(it) if it.data.created_at == task.created_at),
    );
    let created = id_of(&created.await?);
    let updated = find(
        &hub,
        task.id,
        Some(&created),
        |event| matches!(event, Event::TaskUpdatedEvent(it) if it.data.changed == [TaskField::Priority]),
    );
    let updated = id_of(&updated.await?);
    let ended = find(
        &hub,
        task.id,
        Some(&updated),
        |event| matches!(event, Event::ExecutionLifecycleEvent(it) if it.data.execution_event == ExecutionPhase::Completed),
    );
    ended.await?;
    println!("ok: receives events with their types");

    let mut next = Vec::new();
    let second = find(&hub, task.id, Some(&created), |event| {
        next.push(event.clone());
        next.len() == 2
    });
    assert_eq!(id_of(&second.await?), updated);
    assert!(matches!(next[0], Event::ConnectedEvent(_)), "{next:?}");
    println!("ok: resumes after the last event it has seen");
    Ok(())
}

/// The first message of a task's stream after `last_event_id` that is wanted.
async fn find(
    hub: &Client,
    task: Uuid,
    last_event_id: Option<&str>,
    mut wanted: impl FnMut(&Event) -> bool,
) -> Outcome<Event> {
    let request = hub.stream_events().task_id(vec![task]);
    let request = match last_event_id {
        Some(id) => request.last_event_id(id),
        None => request.since("earliest"),
    };
    let mut pieces = request.send().await?.into_inner().into_inner();
    let mut text = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        text.extend_from_slice(&piece);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if let Some(json) = line.strip_prefix(b"data: ") {
                let event = serde_json::from_slice(json)?;
                if wanted(&event) {
                    return Ok(event);
                }
            }
        }
    }
    Err("the stream has ended".into())
}

/// The id that every message has.
fn id_of(event: &Event) -> String {
    serde_json::to_value(event).expect("JSON")["id"].as_str().expect("a text").to_owned()
}

/// The status and the code that a call ends with.
fn problem<T>(outcome: Result<ResponseValue<T>, Error<Problem>>) -> (u16, Code) {
    match outcome {
        Err(Error::ErrorResponse(answer)) => (answer.status().as_u16(), answer.code),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("there is no problem"),
    }
}
