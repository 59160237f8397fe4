//! What the benches share. A crate, since each of them uses another part of it.

pub mod callers;
pub mod connection;
pub mod cores;
pub mod figures;
pub mod hub;
pub mod interrupt;
pub mod listener;
pub mod load_client;
pub mod marker;
pub mod probe;
pub mod process;
pub mod publisher;
pub mod report;
pub mod wire;
