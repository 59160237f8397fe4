//! The error of JSON-RPC for a request that got no message as an answer: there is no hub, or HTTP has refused it.
//!
//! Agents show the text to a model or a person. So it says what to do.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::hub::{Hub, HubError};

/// Of the range that JSON-RPC leaves to servers.
const NOT_ANSWERED: i32 = -32_000;
const PARSE_ERROR: i32 = -32_700;

#[derive(Debug)]
pub struct Failure {
    code: i32,
    message: String,
    status: Option<StatusCode>,
    /// The code of the hub's problem.
    problem: Option<String>,
}

/// What the hub says of a refusal (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    code: Option<String>,
    detail: String,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { code: NOT_ANSWERED, message: message.into(), status: None, problem: None }
    }

    /// A line that is no message.
    pub fn of_line(reason: impl std::fmt::Display) -> Self {
        Self { code: PARSE_ERROR, ..Self::new(format!("the line is not a message: {reason}")) }
    }

    /// The answer has ended before the message came that answers the request.
    pub fn cut_off(reason: impl std::fmt::Display) -> Self {
        Self::new(format!("the answer was cut off: {reason}; call again"))
    }

    /// An answer of HTTP that carries no message.
    pub fn of_status(hub: &Hub, status: StatusCode, body: &[u8]) -> Self {
        let problem: Option<Problem> = serde_json::from_slice(body).ok();
        let Problem { code, detail } = match problem {
            Some(problem) => problem,
            // A proxy before the hub has texts of its own.
            None if status.is_server_error() => Problem { code: None, detail: status.to_string() },
            None => return Self { status: Some(status), ..Self::from(hub.foreign(status)) },
        };
        let url = hub.url();
        let make_token = "make one on the hub's machine with `taskhub token create --name NAME --scope exec`, and set \
                          TASKHUB_TOKEN for `taskhub mcp`";
        let message = match status {
            StatusCode::UNAUTHORIZED if hub.has_token() => {
                format!("the hub at {url} does not accept the token in TASKHUB_TOKEN: {detail}; {make_token}")
            }
            StatusCode::UNAUTHORIZED => format!("the hub at {url} asks for a token; {make_token}"),
            StatusCode::FORBIDDEN => format!("the hub refuses that: {detail}"),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => format!(
                "there is no MCP at {url}/mcp: {detail}; set TASKHUB_URL to the address of a hub that is as new as this program"
            ),
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!("the message is too large for the hub: {detail}; send less in one call")
            }
            StatusCode::TOO_MANY_REQUESTS => format!("{detail}; call again in a few seconds"),
            status if status.is_server_error() => {
                format!("the hub cannot do that now: {detail}; call again in a few seconds")
            }
            status => format!("the hub answers {status}: {detail}"),
        };
        Self { status: Some(status), problem: code, ..Self::new(message) }
    }

    /// The message for the request with this id.
    pub fn answer(self, id: Option<&Value>) -> Value {
        let Self { code, message, status, problem } = self;
        let mut error = json!({ "code": code, "message": message });
        if let Some(status) = status {
            error["data"] = json!({ "status": status.as_u16(), "code": problem });
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::new(error.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
