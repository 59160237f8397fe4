//! The properties, one after another.

mod agreeing;
mod batches;
mod committed;
mod complete;
mod explained;
mod fold;
mod ordered;
mod questions;
mod resumable;
mod starts;
mod work;

pub use explained::unanswered;

use std::fmt;

use super::history::History;
use super::observer::Log;
use super::truth::{Told, Truth};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// What arrives later is later in the log.
    Ordered,
    /// Nothing arrives twice.
    Unique,
    /// Every acknowledged change arrives, and nothing that was refused.
    Complete,
    /// Whoever comes back goes on exactly where it left off, or is told honestly that it cannot.
    Resumable,
    /// All saw the same; with a filter, exactly the matching part.
    Agreeing,
    /// Who applies the stream to a snapshot has the tasks.
    StateIsFold,
    /// What was seen or acknowledged is in the store.
    Committed,
    /// At any cursor a task has one owner at most, each with a higher number than the one before, and only the owner
    /// reports under a lease.
    OneOwner,
    /// A task is ready when the tasks at this cursor make it so, and what makes it so is the event before.
    ReadyIsFold,
    /// A question ends once at most, as it was acknowledged, and a task waits for those that are open.
    AnsweredOnce,
    /// A task that is to start by itself starts once, where it becomes ready, and nothing else does.
    StartedOnce,
    /// A batch is in the log in one piece, and one that is all or none as a whole or not at all.
    Whole,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordered => "ordered",
            Self::Unique => "unique",
            Self::Complete => "complete",
            Self::Resumable => "resumable",
            Self::Agreeing => "agreeing",
            Self::StateIsFold => "state = fold",
            Self::Committed => "committed",
            Self::OneOwner => "one owner",
            Self::ReadyIsFold => "ready = fold",
            Self::AnsweredOnce => "answered once",
            Self::StartedOnce => "started once",
            Self::Whole => "whole",
        })
    }
}

/// Where a history does not have a property.
#[derive(Debug)]
pub struct Violation {
    pub property: Property,
    pub words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A task may be large; where it differs stands in the beginning.
        let words: String = self.words.chars().take(700).collect();
        write!(f, "{}: {words}", self.property)
    }
}

/// Collects the violations of one property.
pub struct Court {
    property: Property,
    violations: Vec<Violation>,
}

impl Court {
    fn of(property: Property) -> Self {
        Self { property, violations: Vec::new() }
    }

    pub fn holds(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { property: self.property, words: words() });
        }
    }
}

pub fn judge(history: &History, truth: &Truth) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut court = |property, judge: fn(&History, &Truth, &mut Court)| {
        let mut court = Court::of(property);
        judge(history, truth, &mut court);
        violations.append(&mut court.violations);
    };
    court(Property::Ordered, ordered::ordered);
    court(Property::Unique, ordered::unique);
    court(Property::Complete, complete::complete);
    court(Property::Complete, explained::explained);
    court(Property::Resumable, resumable::resumable);
    court(Property::Agreeing, agreeing::agreeing);
    court(Property::StateIsFold, fold::state_is_fold);
    court(Property::Committed, committed::committed);
    court(Property::OneOwner, work::one_owner);
    court(Property::ReadyIsFold, work::ready_is_fold);
    court(Property::AnsweredOnce, questions::answered_once);
    court(Property::StartedOnce, starts::started_once);
    court(Property::Whole, batches::whole);
    violations
}

/// What an observer without a filter has seen from the first event on, without a gap; nothing when it has not.
fn from_the_first<'a>(observer: &'a Log, truth: &'a Truth) -> Vec<&'a Told> {
    let first = observer.spans().into_iter().next().filter(|span| span.after == 0);
    let Some(span) = first.filter(|_| observer.filter.is_empty()) else {
        return Vec::new();
    };
    let seen = span.events.iter().zip(1..).take_while(|(event, seq)| event.seq == *seq);
    seen.filter_map(|(event, _)| truth.get(event.seq)).collect()
}
