//! A message as HTTP brings it: what a body has to be before the library of the protocol reads it.
//!
//! The library answers what is no message of the protocol with a text of its own and 415, and a known method with malformed
//! parameters as one that does not exist. Here each of these gets an error of JSON-RPC that says what to send instead.

use poem::Response;
use poem::http::StatusCode;
use rmcp::model::ProtocolVersion;
use serde_json::{Map, Value, json};

/// Where a message names its version, since revision 2026-07-28.
const VERSION_IN_META: &str = "io.modelcontextprotocol/protocolVersion";

/// An error of JSON-RPC.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Of the message; null when it has none that can be named.
    id: Value,
    code: i32,
    words: String,
    data: Option<Box<Value>>,
}

impl Refusal {
    fn new(code: i32, words: impl Into<String>) -> Self {
        Self { id: Value::Null, code, words: words.into(), data: None }
    }

    /// The refusal of a message that only the library has found wrong.
    pub fn of_the_library() -> Self {
        Self::new(-32600, "this is no message of the protocol; see its schema")
    }

    pub fn response(self) -> Response {
        // A message whose parameters are wrong is a message all the same.
        let status = if self.code == -32602 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let mut error = json!({ "code": self.code, "message": self.words });
        if let Some(data) = self.data {
            error["data"] = *data;
        }
        let body = json!({ "jsonrpc": "2.0", "id": self.id, "error": error });
        Response::builder().status(status).content_type("application/json").body(body.to_string())
    }
}

/// Checks a body, and the version that its header names.
///
/// # Errors
/// The [`Refusal`] that says what to send instead
pub fn check(body: &[u8], version: Option<&str>) -> Result<(), Refusal> {
    let message = match serde_json::from_slice(body) {
        Ok(Value::Object(message)) => message,
        Ok(Value::Array(_)) => {
            let words = "this is a batch, which the protocol has no more; send each message alone";
            return Err(Refusal::new(-32600, words));
        }
        Ok(_) => return Err(Refusal::new(-32600, "the body is no message; send an object")),
        Err(_) => return Err(Refusal::new(-32700, "the body is not JSON, or is nested too deeply")),
    };
    check_frame(&message)?;
    let id = message.get("id").cloned().unwrap_or_default();
    let checked = check_version(&message, version).and_then(|()| check_params(&message));
    checked.map_err(|refusal| Refusal { id, ..refusal })
}

fn check_frame(message: &Map<String, Value>) -> Result<(), Refusal> {
    if message.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(Refusal::new(-32600, "the message has no \"jsonrpc\": \"2.0\""));
    }
    match message.get("id") {
        None | Some(Value::String(_)) => {}
        Some(Value::Number(number)) if number.is_i64() => {}
        Some(_) => return Err(Refusal::new(-32600, "id takes a text or a whole number")),
    }
    match message.get("method") {
        Some(Value::String(_)) => Ok(()),
        // The answer of a client, which the library refuses in its own words.
        None if message.contains_key("result") || message.contains_key("error") => Ok(()),
        _ => Err(Refusal::new(-32600, "the message has no method")),
    }
}

/// The library compares the header with a version in the body. A header alone is checked here.
fn check_version(message: &Map<String, Value>, version: Option<&str>) -> Result<(), Refusal> {
    let is_in_body = message.get("params").is_some_and(|params| params["_meta"][VERSION_IN_META].is_string());
    let supported: Vec<_> = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect();
    match version {
        Some(requested) if !is_in_body && !supported.contains(&requested) => Err(Refusal {
            data: Some(Box::new(json!({ "requested": requested, "supported": supported }))),
            ..Refusal::new(-32022, "Unsupported protocol version")
        }),
        _ => Ok(()),
    }
}

fn check_params(message: &Map<String, Value>) -> Result<(), Refusal> {
    let params = match message.get("params") {
        None => &Value::Null,
        Some(params @ Value::Object(_)) => params,
        Some(_) => return Err(Refusal::new(-32602, "params takes an object")),
    };
    let named = match message.get("method").and_then(Value::as_str) {
        Some("tools/call" | "prompts/get") => "name",
        Some("resources/read") => "uri",
        _ => return Ok(()),
    };
    if !params[named].is_string() {
        return Err(Refusal::new(-32602, format!("params.{named} takes a text")));
    }
    match params.get("arguments") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(Refusal::new(-32602, "params.arguments takes an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Option<i32> {
        check(body.as_bytes(), None).err().map(|refusal| refusal.code)
    }

    #[test]
    fn what_is_no_message_is_refused_by_its_code() {
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), None);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#), None);
        for odd in [
            "[]",
            r#"[{"jsonrpc":"2.0"}]"#,
            "5",
            "{}",
            r#"{"jsonrpc":"1.0"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        ] {
            assert_eq!(code(odd), Some(-32600), "{odd}");
        }
        for broken in ["", "{", &"[".repeat(10_000)] {
            assert_eq!(code(broken), Some(-32700));
        }
    }

    #[test]
    fn malformed_parameters_are_named() {
        let words = |method: &str, params: Value| {
            let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
            check(body.as_bytes(), None).err().map(|refusal| (refusal.id, refusal.code, refusal.words))
        };
        let refused = |text: &str| Some((json!(7), -32602, text.to_owned()));
        assert_eq!(words("tools/call", json!({ "name": "t", "arguments": {} })), None);
        assert_eq!(words("tools/list", json!([])), refused("params takes an object"));
        assert_eq!(words("tools/call", json!({ "name": 7 })), refused("params.name takes a text"));
        let arguments = json!({ "name": "t", "arguments": "{}" });
        assert_eq!(words("tools/call", arguments), refused("params.arguments takes an object"));
        assert_eq!(words("resources/read", json!({})), refused("params.uri takes a text"));
    }

    #[test]
    fn a_version_that_no_revision_has_is_refused_with_those_that_are_served() {
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        assert_eq!(check(body, Some("2025-06-18")), Ok(()));
        let refused = check(body, Some("2027-01-01")).expect_err("an unknown version");
        let data = refused.data.expect("versions");
        assert_eq!((refused.code, &data["requested"]), (-32022, &json!("2027-01-01")));
        assert!(data["supported"].as_array().is_some_and(|them| them.contains(&json!("2026-07-28"))));
    }
}
