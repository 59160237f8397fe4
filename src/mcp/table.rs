//! The rows of the table of tools. A list of tools and a call of one use the same row, so that no caller sees a tool that it may
//! not call, or the other way round.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;

use crate::domain::token::Scope;

use super::call::Call;
use super::failure::Failure;

/// What a tool answers.
#[derive(Debug)]
pub enum Answer {
    /// For the output schema of the tool.
    Data(Value),
    /// For reading: some clients drop the text of an answer that has data as well.
    Text(String),
}

/// What a call does to the world, for the client that asks its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Reads,
    /// Adds something; a repetition adds it again.
    Adds,
    /// A repetition changes nothing more.
    Settles,
    /// Overwrites what was there.
    Overwrites,
    /// Runs a program of the caller.
    Runs,
}

pub type Work = for<'a> fn(&'a Call, Arguments<'a>) -> BoxFuture<'a, Result<Answer, Failure>>;

/// The arguments of a call, and their schema.
#[derive(Debug)]
pub struct Arguments<'a> {
    pub given: JsonObject,
    pub schema: &'a JsonObject,
}

impl Arguments<'_> {
    /// # Errors
    /// A [`Failure`] that names the argument
    pub fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, Failure> {
        super::arguments::read(&self.given, self.schema)
    }
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub scope: Scope,
    pub description: &'static str,
    pub effect: Effect,
    pub input: Arc<JsonObject>,
    /// `None` for a tool that answers text.
    pub output: Option<Arc<JsonObject>>,
    pub work: Work,
}

impl Row {
    /// As clients see it.
    pub fn tool(&self) -> Tool {
        let tool =
            Tool::new(self.name, self.description, self.input.clone()).with_annotations(self.effect.hints());
        match &self.output {
            Some(output) => tool.with_raw_output_schema(output.clone()),
            None => tool,
        }
    }
}

impl Effect {
    /// Only what differs from what the protocol takes for granted: a tool writes, destroys, and reaches the open world.
    fn hints(self) -> ToolAnnotations {
        let hints = ToolAnnotations::new();
        match self {
            Self::Reads => hints.read_only(true).open_world(false),
            Self::Adds => hints.destructive(false).open_world(false),
            Self::Settles => hints.destructive(false).idempotent(true).open_world(false),
            Self::Overwrites => hints.idempotent(true).open_world(false),
            Self::Runs => hints,
        }
    }
}
