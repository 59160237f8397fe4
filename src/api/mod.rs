//! The API: its operations, its problems and its specification.
//!
//! A handler has few lines. It turns parameters into a call of `service` or `events`, and the
//! result into a reply. `problem` gives every error the same form. `edge` has the layers that a
//! request passes before it comes here.

mod announcements;
mod batch;
mod byte_range;
mod comma_list;
mod comments;
pub mod conditional;
mod event_schema;
mod events;
mod executions;
mod hooks;
mod identity;
pub mod json_body;
mod leases;
mod logs;
mod negotiation;
mod paging;
pub mod permission;
pub mod problem;
mod problem_code;
mod problem_map;
mod projects;
mod questions;
mod raw_log;
pub mod request_headers;
pub mod spec;
pub mod stream_reply;
mod stream_status;
mod system;
mod tasks;
mod tickets;
pub mod waiting;

use crate::auth::Auth;
use crate::data_dir::DataDir;
use crate::domain::token::Caller;
use crate::events::Events;
use crate::executor::{LogStreams, Sessions};
use crate::metrics::Metrics;
use crate::quota::Quota;
use crate::service::Service;
use crate::vitals::Vitals;

/// What groups the operations in the documentation.
#[derive(Debug, Clone, Copy, poem_openapi::Tags)]
enum Tags {
    /// What is to be done, by whom, and where it stands.
    Tasks,
    /// Taking a task, surely alone, and reporting on it.
    Leases,
    /// What groups tasks and counts them.
    Projects,
    /// What a script or a person asks, and somebody answers.
    Questions,
    /// Running the scripts of tasks, and reading what they wrote.
    Executions,
    /// Every change, as a stream or as a list.
    Events,
    /// For operators.
    System,
}

/// What the handlers work with.
#[derive(Debug)]
pub struct ApiContext {
    pub auth: Auth,
    pub service: Service,
    pub events: Events,
    pub logs: LogStreams,
    pub sessions: Sessions,
    pub metrics: Metrics,
    /// Limits the streams of each caller.
    pub stream_quota: Quota<Caller>,
    /// Limits the clients that read a log, because each keeps a file open.
    pub log_quota: Quota<Caller>,
    /// Where the logs of executions are.
    pub data_dir: DataDir,
    pub vitals: Vitals,
    /// Whether the operator has named a command for tasks without a script.
    pub runs_without_script: bool,
}
