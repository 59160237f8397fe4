//! The integration tests: one binary, real hubs, real sockets.

mod contract;
mod harness;
mod http1;
mod parser;
mod sse;
mod transcript;

mod commands;
mod crash;
mod downloads;
mod events;
mod executions;
mod executor;
mod frames;
mod guard;
mod handoff;
mod imports;
mod limits;
mod lists;
mod logs;
mod oracle;
mod problems;
mod secrets;
mod slow;
mod snapshots;
mod sockets;
mod spec;
mod start;
mod stop;
mod store;
mod survival;
mod tasks;
mod tokens;
