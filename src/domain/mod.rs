//! The domain: tasks, executions and events, and all decisions about them.
//!
//! Nothing here uses a file or a socket, and nothing here imports another top-level module. Only
//! [`clock`] reads the system's clock, except for the time inside a new [`id`]. Each type carries
//! its wire form (serde) and its schema (poem-openapi's `Type`) in one place. A second list of
//! fields for the specification would drift from the first.

pub mod agent_session;
pub mod allowed_projects;
pub mod batch;
pub mod clock;
pub mod comment;
pub mod error;
pub mod event;
pub mod execution;
pub mod filter;
pub mod id;
pub mod lease;
pub mod log;
pub mod page;
pub mod project;
pub mod question;
pub(crate) mod schema;
pub mod task;
pub mod task_row;
pub mod text;
pub mod token;
pub mod words;
