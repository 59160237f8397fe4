//! Decides how an execution ended whose shim is gone.

use std::io::{self, ErrorKind};

use crate::domain::execution::{End, NamedArtifacts, Outcome};
use crate::domain::id::ExecutionId;

use super::artifacts;
use super::directory::Directory;
use super::kill_leftovers::kill_leftovers;
use super::processes::{Mark, Process};
use super::session::Ended;

/// The outcome of an execution whose shim is gone. If the shim left no result, this function kills
/// what is left of the execution.
pub(super) fn verdict(
    directory: &Directory,
    mark: &Mark,
    ended: Ended,
    adopts: bool,
    family: &[Process],
) -> io::Result<Outcome> {
    let id = mark.execution;
    match directory.read_exit() {
        Ok(exit) => return Ok(exit.outcome()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // A shim does not write such a file: treat it as absent.
        Err(error) if error.kind() == ErrorKind::InvalidData => {}
        Err(error) => return Err(error),
    }
    let complaint = directory.errors().unwrap_or_default();
    tracing::warn!(execution.id = %id, shim.ended = ?ended, shim.errors = complaint, "a shim left no result");
    if directory.is_untouched() {
        match &ended {
            Ended::Process(status) => return Ok(failed(&format!("its shim ended with {status}"))),
            Ended::Tmux(Some(error)) => return Ok(failed(error)),
            Ended::Tmux(None) => return Ok(failed(&"its shim ended before it had begun")),
            Ended::Unseen | Ended::Hung => {}
        }
    }
    kill_leftovers(mark, directory.pid(), adopts, family)?;
    Ok(lost(match ended {
        Ended::Process(status) => format!("the process that watched over it ended with {status}"),
        Ended::Tmux(_) => "the process that watched over it ended without a result".into(),
        Ended::Unseen => "the process that watched over it ended, and the hub was not there to see it".into(),
        Ended::Hung => "the process that watched over it did not react, and was killed".into(),
    }))
}

/// The artifacts that the script named, however the execution ended.
pub(super) fn named(directory: &Directory, id: ExecutionId) -> NamedArtifacts {
    match artifacts::read(&directory.artifacts()) {
        Ok(named) => named,
        Err(error) if error.kind() == ErrorKind::NotFound => NamedArtifacts::default(),
        Err(error) => {
            tracing::info!(execution.id = %id, %error, "what a script named as artifacts cannot be read");
            NamedArtifacts { refused: 1, ..NamedArtifacts::default() }
        }
    }
}

pub(super) fn failed(error: &dyn std::fmt::Display) -> Outcome {
    Outcome { reason: Some(format!("could not start: {error}")), ..Outcome::of(End::Failed) }
}

fn lost(reason: String) -> Outcome {
    Outcome { reason: Some(reason), ..Outcome::of(End::Lost) }
}
