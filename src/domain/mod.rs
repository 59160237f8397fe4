//! The pure heart: tasks, executions, events, and the decisions about them.
//!
//! Nothing here reads a clock, a file or a socket, and nothing imports another room. Types carry both
//! their wire form (serde) and their schema (poem-openapi's `Type`), in one place: a second list of fields
//! or variants for the specification would drift from the first.

pub mod clock;
pub mod error;
pub mod event;
pub mod execution;
pub mod filter;
pub mod id;
pub mod log;
pub mod page;
pub(crate) mod schema;
pub mod task;
pub mod text;
pub mod token;
