//! A message of the client: the line as it came, and what the bridge has to know of it.
//!
//! The bridge forwards the bytes of the line. It reads a few fields for the headers of HTTP, and knows no method but the two
//! that concern it: `initialize` and `notifications/cancelled`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

#[derive(Debug)]
pub struct Message {
    pub body: Bytes,
    /// The id of a request. A notification has none, and an answer of the client has one of the hub's.
    pub id: Option<Value>,
    /// A notification or an answer. Otherwise an error of the hub goes to the client, also one without an id.
    pub wants_no_answer: bool,
    method: Option<String>,
    /// What a request is about: the name of a tool or prompt, or the URI of a resource.
    name: Option<String>,
    /// The revision of the protocol that the message names itself, since 2026-07-28.
    version: Option<String>,
    /// The request that this message cancels.
    pub cancels: Option<Value>,
}

impl Message {
    /// # Errors
    /// When the line is not JSON.
    pub fn parse(line: Bytes) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_slice(&line)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let method = text(&value["method"]);
        let params = &value["params"];
        let named_by =
            if method.as_ref().is_some_and(|it| it.starts_with("resources/")) { "uri" } else { "name" };
        let is_cancellation = method.as_deref() == Some("notifications/cancelled");
        let id = value.get("id").filter(|id| method.is_some() && !id.is_null()).cloned();
        let is_answer = value.get("result").or(value.get("error")).is_some();
        Ok(Self {
            wants_no_answer: id.is_none() && (method.is_some() || is_answer),
            id,
            name: text(&params[named_by]),
            version: text(&params["_meta"]["io.modelcontextprotocol/protocolVersion"]),
            cancels: is_cancellation.then(|| params["requestId"].clone()),
            method,
            body: line,
        })
    }

    pub fn is_initialize(&self) -> bool {
        self.method.as_deref() == Some("initialize")
    }

    /// The headers that repeat the body. `agreed` is the revision that the answer to `initialize` has named, for messages that
    /// name none.
    pub fn headers(&self, agreed: Option<&str>) -> HeaderMap {
        let agreed = agreed.filter(|_| !self.is_initialize());
        let fields = [
            (PROTOCOL_VERSION, self.version.as_deref().or(agreed).map(str::to_owned)),
            (METHOD, self.method.clone()),
            (NAME, self.name.as_deref().map(encoded)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| {
            // The hub refuses a message without the header, and says so.
            Some((name, HeaderValue::from_str(&value?).ok()?))
        });
        fields.collect()
    }
}

/// A name as the value of a header. The protocol wraps what a header cannot carry (SEP-2243).
fn encoded(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && name.trim_ascii() == name
        && !(name.starts_with("=?base64?") && name.ends_with("?="));
    match is_plain {
        true => name.to_owned(),
        false => format!("=?base64?{}?=", STANDARD.encode(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: Value) -> Message {
        Message::parse(value.to_string().into()).expect("JSON")
    }

    fn headers(value: Value, agreed: Option<&str>) -> Vec<(String, String)> {
        let headers = message(value).headers(agreed);
        let fields =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        fields
    }

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_headers_repeat_the_body() {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
        let call =
            json!({ "id": 1, "method": "tools/call", "params": { "name": "get_task", "_meta": meta } });
        let expected =
            [("mcp-method", "tools/call"), ("mcp-name", "get_task"), ("mcp-protocol-version", "2026-07-28")];
        assert_eq!(headers(call.clone(), None), pairs(&expected));
        assert_eq!(headers(call, Some("2025-06-18")), pairs(&expected));
        let read = json!({ "id": 1, "method": "resources/read", "params": { "uri": "taskhub://tasks/a", "name": "b" } });
        let expected = [
            ("mcp-method", "resources/read"),
            ("mcp-name", "taskhub://tasks/a"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        assert_eq!(headers(read, Some("2025-11-25")), pairs(&expected));
        let hello = json!({ "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25" } });
        assert_eq!(headers(hello, Some("2025-06-18")), pairs(&[("mcp-method", "initialize")]));
        assert_eq!(headers(json!([{ "method": "a" }]), None), []);
    }

    #[test]
    fn a_name_that_no_header_carries_is_wrapped() {
        assert_eq!(encoded("get_task"), "get_task");
        assert_eq!(encoded("größe"), "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(encoded(" a"), "=?base64?IGE=?=");
        assert_eq!(encoded("a\nb"), "=?base64?YQpi?=");
        assert_eq!(encoded("=?base64?IGE=?="), format!("=?base64?{}?=", STANDARD.encode("=?base64?IGE=?=")));
    }

    #[test]
    fn only_a_request_has_an_id_to_answer() {
        assert_eq!(message(json!({ "id": "a", "method": "ping" })).id, Some(json!("a")));
        assert_eq!(message(json!({ "id": 7, "result": {} })).id, None);
        assert!(message(json!({ "id": 7, "result": {} })).wants_no_answer);
        for odd in [json!({}), json!([]), json!({ "id": null })] {
            assert!(!message(odd).wants_no_answer, "the hub says what is wrong");
        }
        let cancelled = message(json!({ "method": "notifications/cancelled", "params": { "requestId": 3 } }));
        assert!(cancelled.wants_no_answer);
        assert_eq!(cancelled.cancels, Some(json!(3)));
        assert!(Message::parse(Bytes::from_static(b"{")).is_err());
    }
}
