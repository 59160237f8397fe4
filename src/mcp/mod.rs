//! MCP: agents use the hub through a few tools, resources and prompts, at `POST /mcp`.
//!
//! The Model Context Protocol has two eras: since revision 2026-07-28 each request stands alone, and before it a client begins
//! with `initialize`. The library answers both without keeping a session. This room adds what an agent may do and how it reads:
//! `table` has a row for each tool, and a list of tools and a call of one use the same row. Everything goes through the same service as
//! the API, in the name of the same token.
//!
//! Rejected: a tool for each operation of the API. Fifty tools with their schemas fill the memory of a model before it has begun.

mod arguments;
mod call;
mod classic;
mod compact_event;
mod completion;
mod endpoint;
mod failure;
mod handler;
mod listen;
mod profiles;
mod progress;
mod prompts;
mod resource;
mod schema;
mod table;
mod task_name;
mod task_text;
mod tools;

pub use classic::{Routes, ToRoutes};
pub use endpoint::McpEndpoint;
