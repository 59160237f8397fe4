//! TaskHub: keeps tasks, runs them in sessions with log files, and streams every change to every
//! client.
//!
//! The modules, and which other modules each may use (`tests/it/imports.rs` checks it):
//!
//! | room | owns | may use |
//! | --- | --- | --- |
//! | [`domain`] | tasks, executions, events: pure types and decisions | nothing |
//! | [`store`] | the database, the log, the order of events | domain |
//! | [`events`] | the stream: ring, cursors, frames, open streams | domain, store (reading) |
//! | [`index`] | which tasks a list has, in memory | domain |
//! | [`service`] | the use cases, one transaction each | domain, store, index |
//! | [`executor`] | running scripts and finding out how they end | domain, service, events |
//! | [`auth`] | the callers, and what they may do | domain, store (reading) |
//! | [`api`] | operations, problems, the specification | domain, service, events, auth, executor (reading), store (its queries) |
//! | [`mcp`] | what agents call: tools over the same service | domain, service, events, auth, executor (reading), store (its queries), api (its problems) |
//! | [`web`] | the board, the monitor and the documentation, as files for a browser | api (the specification) |
//! | [`edge`] | the checks of every request: guard, access, limits, CORS, proxies | domain, service, auth, api, mcp, web |
//! | [`client`] | the commands that talk to a running hub, over HTTP | domain |
//! | [`server`] | sockets: accepting, deadlines, ending | shutdown |
//! | [`app`], [`cli`] | putting the parts together, in order | everything |
//!
//! [`config`], [`data_dir`], [`exec_root`], [`handoff`], [`metrics`], [`open_files`], [`close_reason`], [`quota`], [`user_timeout`], [`process`],
//! [`telemetry`] and [`vitals`] are leaves that every module may use.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod client;
pub mod close_reason;
pub mod config;
pub mod data_dir;
pub mod domain;
pub mod edge;
pub mod events;
pub mod exec_root;
pub mod executor;
pub mod handoff;
pub mod index;
pub mod mcp;
pub mod metrics;
pub mod open_files;
pub mod process;
pub mod quota;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod user_timeout;
pub mod vitals;
pub mod web;
