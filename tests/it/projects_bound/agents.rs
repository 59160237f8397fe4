//! Agents whose token is bound: how the tools are tried, and what they show.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::World;
use super::attempts::Tried::{self, Alike};
use super::attempts::{Attempt, Names, with_body};
use crate::harness::Client;
use crate::mcp::{Agent, Era};

/// Of these tools, those that could end something last.
pub const OF_AGENTS: [(&str, Tried); 13] = [
    (
        "mcp list_tasks",
        Alike(|names| {
            let Names { project, tag, assignee, word, key, .. } = names;
            let queries = [
                json!({ "project": project }),
                json!({ "project": project, "status": ["todo", "review"], "limit": 1 }),
                json!({ "tag": tag }),
                json!({ "assignee": assignee }),
                json!({ "q": word }),
                json!({ "q": key }),
            ];
            calls("list_tasks", queries)
        }),
    ),
    ("mcp get_task", Alike(|names| on_each(names, "get_task", json!({})))),
    (
        "mcp read_log",
        Alike(|names| {
            let mut attempts = on_each(names, "read_log", json!({}));
            attempts.extend(on_each(names, "read_log", json!({ "grep": "output" })));
            let (own, execution) = (&names.own, &names.execution);
            attempts.extend(calls("read_log", [json!({ "task": own, "execution": execution })]));
            attempts
        }),
    ),
    (
        "mcp wait_events",
        Alike(|names| {
            let Names { project, tag, assignee, .. } = names;
            let wish = json!({ "cursor": "earliest", "wait_seconds": 0 });
            let mut attempts = on_each(names, "wait_events", wish);
            let facets =
                [json!({ "project": project }), json!({ "tag": tag }), json!({ "assignee": assignee })];
            attempts.extend(calls(
                "wait_events",
                facets.map(|mut facet| {
                    facet["cursor"] = json!("earliest");
                    facet["wait_seconds"] = json!(0);
                    facet
                }),
            ));
            attempts
        }),
    ),
    (
        "mcp create_tasks",
        Alike(|names| {
            let draft = |draft: Value| json!({ "tasks": [{ "title": "t", "project": "alpha" }, draft] });
            let mut drafts = vec![draft(json!({ "title": "t", "project": names.project }))];
            for blocker in names.tasks().into_iter().chain([names.key.as_str()]) {
                drafts.push(draft(json!({ "title": "t", "project": "alpha", "blocked_by": [blocker] })));
            }
            calls("create_tasks", drafts)
        }),
    ),
    (
        "mcp update_task",
        Alike(|names| {
            let mut attempts = on_each(names, "update_task", json!({ "title": "u" }));
            attempts.extend(on_each(names, "update_task", json!({ "title": "u", "version": 99 })));
            attempts.extend(under_lease(names, "update_task", json!({ "title": "u" })));
            let own = |blocker: &str| json!({ "task": names.own, "blocked_by": [blocker] });
            attempts.extend(calls("update_task", [own(&names.task), own(&names.key)]));
            attempts
        }),
    ),
    (
        "mcp claim_task",
        Alike(|names| {
            let Names { project, tag, assignee, task, key, .. } = names;
            let wishes = [
                json!({ "project": project }),
                json!({ "tag": tag }),
                json!({ "project": "alpha", "tag": tag }),
                json!({ "task": task }),
                json!({ "task": key }),
            ];
            calls(
                "claim_task",
                wishes.map(|mut wish| {
                    wish["worker"] = json!(assignee);
                    wish
                }),
            )
        }),
    ),
    ("mcp heartbeat", Alike(|names| calls("heartbeat", [json!({ "lease": names.handle })]))),
    (
        "mcp comment",
        Alike(|names| {
            let mut attempts = on_each(names, "comment", json!({ "text": "c" }));
            attempts.extend(under_lease(names, "comment", json!({ "text": "c" })));
            attempts
        }),
    ),
    (
        "mcp ask_person",
        Alike(|names| {
            let question = json!({ "text": "q", "wait_seconds": 0 });
            let mut attempts = on_each(names, "ask_person", question.clone());
            attempts.extend(under_lease(names, "ask_person", question));
            let ask = json!({ "question": names.question, "wait_seconds": 0 });
            attempts.extend(calls("ask_person", [ask]));
            attempts
        }),
    ),
    (
        "mcp run_task",
        Alike(|names| {
            let mut attempts = on_each(names, "run_task", json!({ "stop": true, "wait_seconds": 0 }));
            let script = json!({ "script": "true", "wait_seconds": 0 });
            attempts.extend(under_lease(names, "run_task", script));
            attempts
        }),
    ),
    // Of the hidden task a question is open, so that nobody completes it here.
    (
        "mcp complete_task",
        Alike(|names| {
            let report = json!({ "lease": names.handle, "summary": "s", "proof": "p" });
            calls("complete_task", [report])
        }),
    ),
    ("mcp fail_task", Alike(|names| calls("fail_task", [json!({ "lease": names.handle, "reason": "r" })]))),
];

fn calls(tool: &str, all: impl IntoIterator<Item = Value>) -> Vec<Attempt> {
    let call = |arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        with_body(Method::POST, "/mcp".into(), message)
    };
    all.into_iter().map(call).collect()
}

/// By key and by id.
fn on_each(names: &Names, tool: &str, arguments: Value) -> Vec<Attempt> {
    let named = |task: &str| {
        let mut arguments = arguments.clone();
        arguments["task"] = json!(task);
        arguments
    };
    calls(tool, names.tasks().into_iter().chain([names.key.as_str()]).map(named))
}

/// On the hidden task and on the caller's own, under a lease that is hidden.
fn under_lease(names: &Names, tool: &str, arguments: Value) -> Vec<Attempt> {
    let named = |task: &String| {
        let mut arguments = arguments.clone();
        arguments["task"] = json!(task);
        arguments["lease"] = json!(names.handle);
        arguments
    };
    calls(tool, [&names.own, &names.task].map(named))
}

async fn words(client: &Client, request: RequestBuilder) -> String {
    client.send(request).await.body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_one_project_sees_nothing_of_another() {
    let world = World::with(&[]).await;
    world.hold().await;
    let World { owner, bound, own, .. } = &world;
    for era in [Era::Alone, Era::Initialized] {
        let (agent, all) = (Agent::in_era(bound, era).await, Agent::in_era(owner, era).await);
        assert_eq!(agent.tools().await, all.tools().await, "the same scope");
        for (tool, arguments) in [
            ("list_tasks", json!({})),
            ("list_tasks", json!({ "q": "shared" })),
            ("wait_events", json!({ "cursor": "earliest", "limit": 100, "wait_seconds": 0 })),
        ] {
            let said = words(bound, agent.call_request(tool, arguments.clone())).await;
            assert!(said.contains("alpha") && !said.contains("bravo"), "{tool}: {said}");
            let said = words(owner, all.call_request(tool, arguments)).await;
            assert!(said.contains("alpha") && said.contains("bravo"), "{tool}: {said}");
        }
        for (tool, wanted) in [("get_task", "alpha text"), ("read_log", "alpha output")] {
            let said = agent.text(tool, json!({ "task": own })).await;
            assert!(said.contains(wanted) && !said.contains("bravo"), "{said}");
            for hidden in ["bravo-2", "BRAVO-2", world.hidden.as_str()] {
                agent.refused_by("task_not_found", tool, json!({ "task": hidden })).await;
            }
        }
        // What is ready in another project is not given away.
        let claimed = agent.data("claim_task", json!({ "worker": "bravo-name" })).await;
        assert_eq!(claimed, json!({}));
    }
    let agent = Agent::of(bound).await;
    let key = agent.create(json!({ "title": "t", "project": "alpha" })).await;
    assert_eq!(agent.claim("w").await.0, key);
}
