//! TaskHub: keeps tasks, runs them in sessions with log files, and streams every change to everybody.
//!
//! The rooms, and which of them a room may use (`tests/it/imports.rs` holds the code to it):
//!
//! | room | owns | may use |
//! | --- | --- | --- |
//! | [`domain`] | tasks, executions, events: pure types and decisions | nothing |
//! | [`store`] | the database, the log, the order of events | domain |
//! | [`events`] | the stream: ring, cursors, frames, who is connected | domain, store (reading) |
//! | [`service`] | the use cases, one transaction each | domain, store |
//! | [`executor`] | running scripts and knowing their end | domain, service, events |
//! | [`auth`] | who asks, and what they may do | domain, store (reading) |
//! | [`http`] | routes, problems, the specification, pages | domain, service, events, auth, executor (reading), store (its queries) |
//! | [`client`] | the commands that talk to a running hub, over HTTP | domain |
//! | [`server`] | sockets: accepting, deadlines, ending | shutdown |
//! | [`app`], [`cli`] | putting the parts together, in order | everything |
//!
//! [`config`], [`data_dir`], [`exec_root`], [`handoff`], [`metrics`], [`open_files`], [`peer`], [`places`], [`process`],
//! [`telemetry`] and [`vitals`] are leaves that everybody may use.

pub mod app;
pub mod auth;
pub mod cli;
pub mod client;
pub mod config;
pub mod data_dir;
pub mod domain;
pub mod events;
pub mod exec_root;
pub mod executor;
pub mod handoff;
pub mod http;
pub mod metrics;
pub mod open_files;
pub mod peer;
pub mod places;
pub mod process;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod vitals;
