//! How the operations of working together are tried: leases, comments, questions, waiting and batches.

use reqwest::Method;
use serde_json::{Value, json};

use super::attempts::Tried::{self, Alike};
use super::attempts::{Attempt, Body, Names, attempt, each, get, with_body};

/// Of these operations, those that end something last.
pub const OF_WORK: [(&str, Tried); 13] = [
    (
        "explainTask",
        Alike(|names| {
            each(names, |task| {
                let path = format!("/api/tasks/{task}/why");
                vec![get(format!("{path}?min_cursor=00000000-7")), get(path)]
            })
        }),
    ),
    (
        "waitForTask",
        Alike(|names| {
            each(names, |task| {
                let path = format!("/api/tasks/{task}/wait?until");
                let until = ["ready", "ready&seconds=1", "execution:ended", "question:answered"];
                let mut attempts: Vec<_> = until.iter().map(|until| get(format!("{path}={until}"))).collect();
                attempts.push(get(format!("{path}=status:todo,inprogress,review,done")));
                attempts.push(get(format!("{path}=ready&after=00000000-7")));
                attempts
            })
        }),
    ),
    (
        "claimTask",
        Alike(|names| {
            let wishes = [
                json!({ "project": names.project }),
                json!({ "tag": names.tag }),
                json!({ "tag": names.tag, "project": "alpha" }),
                json!({ "project": names.project, "another": true }),
            ];
            let claim = |mut wish: Value| {
                wish["worker"] = names.assignee.clone().into();
                with_body(Method::POST, "/api/tasks/claim".into(), wish)
            };
            wishes.map(claim).into()
        }),
    ),
    ("getLease", Alike(|names| vec![get(lease(names))])),
    (
        "renewLease",
        Alike(|names| {
            let bodies = [json!(null), json!({}), json!({ "lease_seconds": 3600, "announce": true })];
            bodies.map(|body| with_body(Method::PUT, lease(names), body)).into()
        }),
    ),
    (
        "listComments",
        Alike(|names| {
            let Names { own, comment, .. } = names;
            let mut attempts = each(names, |task| {
                let path = format!("/api/tasks/{task}/comments");
                vec![get(format!("{path}?cursor={comment}")), get(path)]
            });
            attempts.push(get(format!("/api/tasks/{own}/comments?cursor={comment}")));
            attempts
        }),
    ),
    ("addComment", Alike(|names| talk(names, "comments", &json!({ "text": "c", "author": "a" })))),
    (
        "askQuestion",
        Alike(|names| talk(names, "questions", &json!({ "text": "q", "deadline_seconds": 3600 }))),
    ),
    (
        "listQuestions",
        Alike(|names| {
            let Names { own, question, .. } = names;
            let mut attempts = each(names, |task| {
                ["", "&open=true", "&open=false", "&limit=1"]
                    .map(|rest| get(format!("/api/questions?task_id={task}{rest}")))
                    .into()
            });
            attempts.push(get(format!("/api/questions?cursor={question}")));
            attempts.push(get(format!("/api/questions?task_id={own}&cursor={question}")));
            attempts
        }),
    ),
    (
        "getQuestion",
        Alike(|names| {
            let path = format!("/api/questions/{}", names.question);
            vec![get(format!("{path}?wait=1")), get(path)]
        }),
    ),
    (
        "answerQuestion",
        Alike(|names| {
            let path = format!("/api/questions/{}/answer", names.question);
            vec![with_body(Method::PUT, path, json!({ "answer": "a" }))]
        }),
    ),
    ("returnLease", Alike(|names| vec![attempt(Method::DELETE, lease(names))])),
    ("changeTasks", Alike(batches)),
];

fn lease(names: &Names) -> String {
    format!("/api/leases/{}", names.lease)
}

/// Comments or questions: on what is hidden, and on the caller's own task under a lease that is hidden.
fn talk(names: &Names, what: &str, body: &Value) -> Vec<Attempt> {
    let path = |task: &str| format!("/api/tasks/{task}/{what}");
    let say = |task: &str, header| Attempt { header, ..with_body(Method::POST, path(task), body.clone()) };
    let mut attempts = each(names, |task| {
        let headers = [None, Some(("Idempotency-Key", "k".to_owned())), names.under_lease()];
        headers.map(|header| say(task, header)).into()
    });
    attempts.push(say(&names.own, names.under_lease()));
    attempts
}

/// Each operation of a batch alone, all of them together, and behind one that can be done.
fn batches(names: &Names) -> Vec<Attempt> {
    let Names { project, own, spare, lease, .. } = names;
    let mut operations = vec![
        json!({ "action": "create", "task": { "title": "t", "project": project } }),
        json!({ "action": "update", "task_id": own, "patch": { "title": "u" }, "lease": lease }),
        json!({ "action": "delete", "task_id": own, "lease": lease }),
        json!({ "action": "delete", "task_id": spare, "version": 99 }),
        json!({ "action": "delete", "task_id": spare }),
    ];
    for task in names.tasks() {
        operations.extend([
            json!({ "action": "create", "task": { "title": "t", "project": "alpha", "blocked_by": [task] } }),
            json!({ "action": "update", "task_id": own, "patch": { "blocked_by": [task] } }),
            json!({ "action": "update", "task_id": task, "patch": { "title": "u" } }),
            json!({ "action": "update", "task_id": task, "patch": { "title": "u" }, "version": 99 }),
            json!({ "action": "update", "task_id": task, "patch": { "title": "u" }, "lease": lease }),
            json!({ "action": "report", "task_id": task, "report": { "new_status": "done", "comment": "c" } }),
            json!({ "action": "report", "task_id": task, "report": { "new_status": "done" }, "lease": lease }),
        ]);
    }
    let first = json!({ "action": "create", "task": { "title": "t", "project": "alpha" } });
    let json = |atomic: bool, operations: Vec<&Value>| {
        let body = json!({ "atomic": atomic, "operations": operations });
        with_body(Method::POST, "/api/tasks/batch".into(), body)
    };
    let lines = |query: &str, operations: &[Value]| Attempt {
        body: Some(Body::Lines(operations.to_vec())),
        ..attempt(Method::POST, format!("/api/tasks/batch{query}"))
    };
    let mut attempts = vec![
        json(false, operations.iter().collect()),
        lines("", &operations),
        lines("?atomic=true", &operations),
        Attempt { header: Some(("Idempotency-Key", "b".into())), ..json(true, operations.iter().collect()) },
    ];
    attempts.extend(operations.iter().map(|operation| json(true, vec![&first, operation])));
    attempts
}
