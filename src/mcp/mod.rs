//! MCP: agents use the hub through a few tools, resources and prompts, at `POST /mcp`.
//!
//! The Model Context Protocol has two eras: since revision 2026-07-28 each request stands alone, and before it a client begins
//! with `initialize`. The library answers both without keeping a session. This room adds what an agent may do and how it reads:
//! `table` has a row for each tool, and a list of tools and a call of one use the same row. Everything goes through the same service as
//! the API, in the name of the same token.
//!
//! # How a call gets to a tool
//! It passes the same pipeline as every request, and needs the scope `read`. `endpoint` answers what is no message. The library
//! (rmcp) checks the headers against the body. `handler` takes the service and the principal from the request, finds the tool,
//! and leaves the call (`deferred`). It is made when the library has answered, so that a call that waits holds little memory. A
//! refusal is a result with `isError`, a code, and what to do next.
//!
//! A call that waits ends within 45 seconds, since clients give up after 60. It also ends when its client, its token or the hub
//! goes. A client that has gone may never learn what it has claimed. So the first lease of a claim is short, and the same worker
//! that claims again gets its task back. A lease has a short name, such as `web-12.3.7f3a21`: a refusal under a lost lease can
//! name the task, and a model copies it with fewer mistakes than a UUID.
//!
//! Rejected: a tool for each operation of the API. Fifty tools with their schemas fill the memory of a model before it has begun.

mod arguments;
mod call;
mod classic;
mod compact_event;
mod completion;
mod deferred;
mod endpoint;
mod event_page;
mod execution_name;
mod failure;
mod handler;
mod instructions;
mod listen;
mod message;
mod preconditions;
mod profiles;
mod progress;
mod projects;
mod prompts;
mod resource;
mod routes;
mod row_list;
mod schema;
mod table;
mod task_name;
mod task_text;
mod tools;

pub use endpoint::McpEndpoint;
pub use routes::{Routes, ToRoutes};
