//! The specification. It is generated once and polished once, and every place shows the same text.
//!
//! poem-openapi describes the handlers. `polish.rs` changes what generators and linters want
//! otherwise, and `answers.rs` adds what the layers in front of the handlers answer. All changes
//! are rules for the whole document, with no exception for a single operation. `tests/it/spec/`
//! checks these rules.
//!
//! Some names and forms exist only because generators need them. A schema `NewTask` beside `Task`
//! does not compile in Go. A header `Last-Event-ID` beside `last_event_id` does not compile in
//! Rust. A nullable enum is `nullable` beside an `allOf` with one reference. OpenAPI 3.0.3 strictly
//! wants null among the words of the enum, but generators make a second type of that.
//!
//! A released specification stays compatible. Clients were generated from `openapi/released.json`,
//! and a test reports what would break them. For a release, write that file anew in the commit that
//! sets the version.

mod answers;
mod examples;
mod polish;

use std::sync::LazyLock;

use poem_openapi::{ContactObject, LicenseObject, OpenApiService, ServerObject};
use serde_json::Value;

use super::announcements::AnnouncementApi;
use super::batch::BatchApi;
use super::comments::CommentApi;
use super::events::EventApi;
use super::executions::ExecutionApi;
use super::hooks::HookApi;
use super::identity::IdentityApi;
use super::leases::LeaseApi;
use super::logs::LogApi;
use super::projects::ProjectApi;
use super::questions::QuestionApi;
use super::system::SystemApi;
use super::tasks::TaskApi;
use super::tickets::TicketApi;
use super::waiting::WaitApi;

pub use answers::REQUIRED_SCOPE;

/// All operations.
pub type Api = (
    TaskApi,
    BatchApi,
    WaitApi,
    LeaseApi,
    CommentApi,
    QuestionApi,
    ProjectApi,
    ExecutionApi,
    LogApi,
    EventApi,
    TicketApi,
    AnnouncementApi,
    HookApi,
    IdentityApi,
    SystemApi,
);

/// What a new user needs to know before the first operation.
const OVERVIEW: &str = include_str!("overview.md");

pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new(
        (
            TaskApi,
            BatchApi,
            WaitApi,
            LeaseApi,
            CommentApi,
            QuestionApi,
            ProjectApi,
            ExecutionApi,
            LogApi,
            EventApi,
            TicketApi,
            AnnouncementApi,
            HookApi,
            IdentityApi,
            SystemApi,
        ),
        "TaskHub",
        env!("CARGO_PKG_VERSION"),
    )
    .description(OVERVIEW.trim_end())
    .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
    .contact(ContactObject::new().name("The TaskHub developers"))
    .server(ServerObject::new("/").description("The hub that serves this document."))
}

/// The specification as JSON.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::from_str(&service().spec()).expect("poem-openapi writes JSON");
    polish::polish(&mut document);
    answers::complete(&mut document);
    examples::add(&mut document);
    answers::name_claimed_task(&mut document);
    document
});

/// The specification as indented JSON with a final newline. This text is served, printed and
/// committed.
pub fn json() -> String {
    let mut text = serde_json::to_string_pretty(&*DOCUMENT).expect("a JSON value is always JSON");
    text.push('\n');
    text
}

/// The specification as YAML.
pub fn yaml() -> String {
    serde_norway::to_string(&*DOCUMENT).expect("a JSON value is always YAML")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_raw_document_holds_no_key_twice() {
        // serde_json keeps only the last of two equal keys, so the test walks over the text itself.
        let text = service().spec();
        let mut open: Vec<BTreeSet<String>> = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}', '"']) {
            let token = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match token {
                b'{' => open.push(BTreeSet::new()),
                b'}' => drop(open.pop()),
                _ => {
                    let mut end = 0;
                    let bytes = rest.as_bytes();
                    while bytes[end] != b'"' {
                        end += if bytes[end] == b'\\' { 2 } else { 1 };
                    }
                    let (key, after) = (&rest[..end], &rest[end + 1..]);
                    if after.trim_start().starts_with(':') {
                        let keys = open.last_mut().expect("a key is inside an object");
                        assert!(keys.insert(key.to_owned()), "{key} twice in one object");
                    }
                    rest = after;
                }
            }
        }
    }
}
