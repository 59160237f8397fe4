//! A call that is made when the library has done its part.
//!
//! The library serves each request with two tasks and two channels, tens of kilobytes that it holds until the tool answers. So
//! a call that only answers does not wait in there: the handler leaves it in the request's [`Place`], and the library answers at
//! once, with an empty result. It has checked the message by then. The endpoint makes the call, and fills in its result.

use std::mem;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::permission;

use super::call::Call;
use super::table::{Answer, Arguments, Row};

/// A call of a tool that exists.
pub struct Deferred {
    pub row: &'static Row,
    pub call: Call,
    pub given: JsonObject,
}

impl Deferred {
    /// The result of the tool. Counts the call.
    ///
    /// # Cancel safety
    /// What a call writes is one transaction, done or not; besides that it only waits.
    pub async fn make(&mut self) -> CallToolResult {
        let Self { row, call, given } = self;
        let arguments = Arguments { given: mem::take(given), schema: &row.input };
        let answer = match call.require(row.scope) {
            // Both are cancel safe.
            Ok(()) => tokio::select! {
                answer = (row.work)(call, arguments) => answer,
                () = call.principal.gone.cancelled() => Err(permission::no_longer_let_in().into()),
            },
            Err(refused) => Err(refused),
        };
        let outcome = answer.as_ref().map_or_else(|failure| failure.code.as_str(), |_| "ok");
        call.context.metrics.tool_call(row.name, outcome);
        match answer {
            Ok(Answer::Data(data)) => CallToolResult::structured(data),
            Ok(Answer::Text(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(failure) => failure.result(),
        }
    }
}

/// Where the handler leaves the call of a request. Clones are one place.
#[derive(Clone, Default)]
pub struct Place(Arc<Mutex<Option<Box<Deferred>>>>);

impl Place {
    pub fn put(&self, deferred: Box<Deferred>) {
        *self.0.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(deferred);
    }

    pub fn take(&self) -> Option<Box<Deferred>> {
        mem::take(&mut self.0.lock().unwrap_or_else(|poison| poison.into_inner()))
    }
}

/// The message of the library with an empty result, to be filled in. It is kept as text, which is smaller than what it says.
pub struct Frame(Bytes);

impl Frame {
    /// `None` for a message that has no result.
    pub fn of(message: &Bytes) -> Option<Self> {
        let Value::Object(parsed) = serde_json::from_slice(message).ok()? else {
            return None;
        };
        parsed.get("result").is_some_and(Value::is_object).then(|| Self(message.clone()))
    }

    /// The message with the result of the call. What the library has added to its own stays.
    pub async fn filled(self, mut call: Box<Deferred>) -> Bytes {
        let mut result = call.make().await;
        let Ok(Message { before, result: mut own }) = serde_json::from_slice::<Message<Map<_, _>>>(&self.0)
        else {
            return self.0;
        };
        // The library says which type it is, to clients that know types.
        result.result_type = None;
        own.retain(|name, _| name != "content" && name != "isError");
        let filled = Message { before, result: Filled { own, result } };
        serde_json::to_vec(&filled).map_or(self.0, Bytes::from)
    }
}

/// A message of the library, written without a copy of the result as values.
#[derive(Serialize, Deserialize)]
struct Message<R> {
    /// Its version and id.
    #[serde(flatten)]
    before: Map<String, Value>,
    result: R,
}

/// What the library has said of its own, and the result.
#[derive(Serialize)]
struct Filled {
    #[serde(flatten)]
    own: Map<String, Value>,
    #[serde(flatten)]
    result: CallToolResult,
}
