//! The integration tests: one binary, real hubs, real sockets.

mod contract;
mod harness;
mod sse;

mod crash;
mod events;
mod executor;
mod imports;
mod spec;
mod start;
mod stop;
