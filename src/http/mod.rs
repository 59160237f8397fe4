//! HTTP: the routes, and what every request passes on its way to one.
//!
//! Read `front.rs` as the table of contents. Handlers are a few lines each: they turn parameters into a use
//! case of `service` or a question to `events`, and its answer into a reply; `problem` turns every error into
//! one form. No status, header or JSON is known outside this room.

mod accept;
mod access;
mod authority;
mod body;
mod budget;
mod classic;
mod code;
mod compat;
mod cors;
mod events;
mod executions;
mod forwarded;
mod front;
mod guard;
mod intake;
mod list;
mod logs;
mod operation;
mod pace;
mod pages;
mod parameters;
mod path;
mod precondition;
mod problem;
mod range;
mod raw_log;
mod schema;
pub mod spec;
mod standing;
mod stream;
mod system;
mod tasks;
mod unsent;

pub use pages::paths as page_paths;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Response};

use crate::auth::Auth;
use crate::config::ServerConfig;
use crate::data_dir::DataDir;
use crate::domain::token::Caller;
use crate::events::Events;
use crate::executor::{LogStreams, Sessions};
use crate::metrics::Metrics;
use crate::places::Places;
use crate::service::{IdempotencyKey, Service};
use crate::vitals::Vitals;

use front::Front;
use problem::{Code, Problem};

/// What groups the operations in the documentation.
#[derive(Debug, Clone, Copy, poem_openapi::Tags)]
enum Tags {
    /// What is to be done, by whom, and where it stands.
    Tasks,
    /// Running the scripts of tasks, and reading what they wrote.
    Executions,
    /// Every change, as a stream or as a list.
    Events,
    /// For operators.
    System,
}

/// What the routes work with.
#[derive(Debug)]
pub struct Rooms {
    pub auth: Auth,
    pub service: Service,
    pub events: Events,
    pub logs: LogStreams,
    pub sessions: Sessions,
    pub metrics: Metrics,
    /// Of the streams that each caller may have.
    pub places: Places<Caller>,
    /// Of those who read a log and keep its file open meanwhile.
    pub log_places: Places<Caller>,
    /// Where the logs of executions are.
    pub data_dir: DataDir,
    pub vitals: Vitals,
}

/// Every route behind every check.
pub fn endpoint(rooms: Rooms, config: &ServerConfig) -> BoxEndpoint<'static, Response> {
    Front::new(rooms, config).boxed()
}

/// All lines of a header as one list. The framework overlooks every line after the first, and any that is not
/// ASCII; a condition or a cursor that is overlooked would be a lost update or a silent gap.
fn header_list(request: &poem::Request, name: &str) -> Option<String> {
    let lines = request.headers().get_all(name).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// # Errors
/// A [`Problem`] when it is none.
fn idempotency_key(request: &poem::Request) -> Result<Option<IdempotencyKey>, Problem> {
    let name = "Idempotency-Key";
    let key = header_list(request, name).map(|text| text.parse()).transpose();
    key.map_err(|words: String| {
        Problem::new(Code::InvalidParameter, format!("{name}: {words}")).with_field(name)
    })
}

fn comma_list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A `Link` header that leads to the next page (RFC 8288); empty parameters are left out.
fn next_link(path: &str, parameters: &[(&str, String)]) -> String {
    let given: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(given).expect("pairs of strings are always a query");
    format!("<{path}?{query}>; rel=\"next\"")
}
