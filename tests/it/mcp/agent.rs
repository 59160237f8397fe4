//! An agent: a client of `/mcp` that speaks one of the two eras of the protocol.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::Validator;
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{Answer, Client};

const VERSION: &str = "2026-07-28";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Each request stands alone, and says in headers and `_meta` what it is.
    Alone,
    /// As a client speaks after `initialize`.
    Initialized,
}

/// What a call of a tool has come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Data(Value),
    Text(String),
    Refused(Value),
}

#[derive(Clone)]
pub struct Agent {
    pub client: Client,
    pub era: Era,
    /// By the name of the tool; those of text have none.
    outputs: Arc<HashMap<String, Validator>>,
}

/// A message as the newer era sends it.
pub fn message(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

impl Agent {
    pub async fn of(client: &Client) -> Self {
        Self::in_era(client, Era::Alone).await
    }

    pub async fn in_era(client: &Client, era: Era) -> Self {
        let mut agent = Self { client: client.clone(), era, outputs: Arc::default() };
        let described = |tool: &Value| {
            let mut schema = tool.get("outputSchema")?.clone();
            close(&mut schema);
            let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
            Some((tool["name"].as_str()?.to_owned(), validator))
        };
        agent.outputs = Arc::new(agent.tools().await.iter().filter_map(described).collect());
        agent
    }

    /// The same agent with another client, as after a restart of the hub.
    pub fn at(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// A request as its era sends it.
    pub fn request(&self, method: &str, params: Value) -> RequestBuilder {
        let request = self.client.request(Method::POST, "/mcp");
        let request = request.header(ACCEPT, "application/json, text/event-stream");
        match self.era {
            Era::Initialized => {
                let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
                request.header("MCP-Protocol-Version", "2025-11-25").json(&body)
            }
            Era::Alone => {
                let request = request.header("MCP-Protocol-Version", VERSION).header("Mcp-Method", method);
                let request = match params["name"].as_str() {
                    Some(name) => request.header("Mcp-Name", name),
                    None => request,
                };
                request.json(&message(method, params))
            }
        }
    }

    pub fn call_request(&self, tool: &str, arguments: Value) -> RequestBuilder {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    pub async fn ask(&self, method: &str, params: Value) -> Answer {
        self.client.send(self.request(method, params)).await
    }

    pub async fn tools(&self) -> Vec<Value> {
        let answer = self.ask("tools/list", json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body["result"]["tools"].as_array().expect("tools").clone()
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Outcome {
        let answer = self.client.send(self.call_request(tool, arguments)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.outcome(tool, &answer.body)
    }

    /// What an answer to a call says.
    pub fn outcome(&self, tool: &str, answer: &Value) -> Outcome {
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {answer}"));
        let data = &result["structuredContent"];
        if result["isError"] == true {
            let words = ["code", "detail", "next"].map(|it| data[it].as_str().expect("words"));
            assert!(words.iter().all(|it| !it.is_empty()), "{data}");
            assert_eq!(text, format!("{}: {}; {}", words[0], words[1], words[2]), "both say the same");
            return Outcome::Refused(data.clone());
        }
        if data.is_null() {
            assert!(!self.outputs.contains_key(tool), "{tool} has an output schema: {answer}");
            return Outcome::Text(text.to_owned());
        }
        let validator = self.outputs.get(tool).unwrap_or_else(|| panic!("{tool} has no output schema"));
        let errors: Vec<_> = validator.iter_errors(data).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{tool}: {data} does not fit: {errors:?}");
        assert_eq!(serde_json::from_str::<Value>(text).ok().as_ref(), Some(data), "both say the same");
        Outcome::Data(data.clone())
    }

    /// Calls a tool that answers data.
    pub async fn data(&self, tool: &str, arguments: Value) -> Value {
        match self.call(tool, arguments).await {
            Outcome::Data(data) => data,
            other => panic!("{tool}: {other:?}"),
        }
    }

    pub async fn text(&self, tool: &str, arguments: Value) -> String {
        match self.call(tool, arguments).await {
            Outcome::Text(text) => text,
            other => panic!("{tool}: {other:?}"),
        }
    }

    pub async fn refused(&self, tool: &str, arguments: Value) -> Value {
        match self.call(tool, arguments).await {
            Outcome::Refused(refusal) => refusal,
            other => panic!("{tool}: {other:?}"),
        }
    }

    pub async fn refused_by(&self, code: &str, tool: &str, arguments: Value) -> Value {
        let refusal = self.refused(tool, arguments).await;
        assert_eq!(refusal["code"], code, "{tool}: {refusal}");
        refusal
    }

    /// A new task's key.
    pub async fn create(&self, draft: Value) -> String {
        let created = self.data("create_tasks", json!({ "tasks": [draft] })).await;
        created["tasks"][0]["key"].as_str().expect("a key").to_owned()
    }

    /// Claims, and gets a task: its key and its lease.
    pub async fn claim(&self, worker: &str) -> (String, String) {
        let claimed = self.data("claim_task", json!({ "worker": worker })).await;
        let text = |name: &str| claimed[name].as_str().unwrap_or_else(|| panic!("no task: {claimed}"));
        (text("key").to_owned(), text("lease").to_owned())
    }
}

/// Refuses what a schema does not describe.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            close_object(object);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

fn close_object(object: &mut Map<String, Value>) {
    if object.get("type") == Some(&json!("object")) && object.get("properties").is_some_and(Value::is_object)
    {
        object.entry("additionalProperties").or_insert(json!(false));
    }
}
