//! MCP as agents speak it: over the same sockets and through the same checks as all other requests.
//!
//! Every answer of a tool is held against the output schema that `tools/list` shows, closed: a field that is not described is
//! a fault.

mod agent;
mod asked;
mod claimed;
mod classic;
mod drain;
mod frames;
mod held;
mod listens;
mod logs;
mod plans;
mod projects;
mod reports;
mod schemas;
mod scopes;
mod sizes;
mod waits;

pub use agent::{Agent, Era, message};
