//! What a run has exercised, to be printed, and to fail a run that has exercised too little.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use super::batch::Sent;
use super::history::History;
use super::observer::{Ended, Log, Record};
use super::truth::Truth;
use super::verdict::{Property, Violation, unanswered};
use super::wish::WishKind;
use super::writer::Outcome;

/// In the order in which they are printed.
const COUNTED: &[&str] = &[
    "schedules",
    "lives",
    "crashes",
    "stops",
    "observers",
    "connections",
    "cuts",
    "cuts inside a message",
    "resumes",
    "resumes from the store",
    "resets",
    "resets in mid-stream",
    "snapshots",
    "snapshots cut short",
    "acknowledged",
    "refused",
    "unknown",
    "made without an answer",
    "events",
    "observed messages",
    "probes",
    "claimed",
    "given back",
    "reported under a lease",
    "refused under a lease",
    "became ready",
    "ended leases",
    "expired leases",
    "attempts exhausted",
    "asked",
    "answered",
    "answered too late",
    "expired questions",
    "batches",
    "batches refused",
    "batches in part",
    "batches unknown",
    "started by themselves",
    "started after another execution",
    "completed executions",
    "lost executions",
];

#[derive(Debug, Clone, Default)]
pub struct Totals(BTreeMap<String, u64>);

impl Totals {
    pub fn of(history: &History, truth: &Truth, violations: &[Violation]) -> Self {
        let mut totals = Self::default();
        let lives = &history.schedule.lives;
        let crashes = lives[..lives.len() - 1].iter().filter(|life| life.crashes).count();
        totals.count("schedules", 1);
        totals.count("lives", lives.len());
        totals.count("crashes", crashes);
        totals.count("stops", lives.len() - crashes);
        totals.count("events", history.head as usize);
        totals.count("made without an answer", unanswered(history, truth));
        for violation in violations {
            totals.count(&violation.property.to_string(), 1);
        }
        for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
            let name = match outcome {
                Outcome::Acknowledged(_) => "acknowledged",
                Outcome::Unknown if !matches!(wish.kind, WishKind::Impossible(_)) => "unknown",
                Outcome::Unknown | Outcome::Refused => "refused",
            };
            totals.count(name, 1);
            let of_work = match (&wish.kind, outcome) {
                (WishKind::Claim { .. }, Outcome::Acknowledged(_)) => "claimed",
                (WishKind::Ask { .. }, Outcome::Acknowledged(_)) => "asked",
                (WishKind::Answer { .. }, Outcome::Acknowledged(_)) => "answered",
                (WishKind::GiveBack { .. }, Outcome::Acknowledged(_)) => "given back",
                (WishKind::Update { lease: Some(_), .. }, Outcome::Acknowledged(_)) => {
                    "reported under a lease"
                }
                (WishKind::Update { lease: Some(_), .. }, Outcome::Refused) => "refused under a lease",
                _ => continue,
            };
            totals.count(of_work, 1);
        }
        for told in truth.events.values() {
            let data = &told.message.data;
            totals
                .count("became ready", (data["changed"] == json!(["ready"]) && data["ready"] == true).into());
            totals.count("ended leases", (data["lease_event"] == "taken_away").into());
            totals.count("expired leases", (data["lease_event"] == "expired").into());
            let had_deadline = told.message.kind == "question_expired" && !data["deadline"].is_null();
            totals.count("expired questions", had_deadline.into());
            totals.count("started by themselves", (data["reason"] == "auto_started").into());
            totals.count("completed executions", (data["execution_event"] == "completed").into());
            totals.count("lost executions", (data["execution_event"] == "lost").into());
            totals.count("attempts exhausted", (data["reason"] == "attempts_exhausted").into());
        }
        totals.count_batches(history);
        let again = truth.events.iter().filter(|(seq, told)| {
            let before = truth.get(*seq - 1).map(|before| &before.message.data["execution_event"]);
            told.message.data["reason"] == "auto_started"
                && before.is_some_and(|phase| phase == "completed" || phase == "lost")
        });
        totals.count("started after another execution", again.count());
        let late_answers = history.writers.iter().map(|writer| writer.late_answers.len());
        totals.count("answered too late", late_answers.sum());
        let probes = history.writers.iter().map(|writer| writer.probes.len());
        totals.count("probes", probes.sum());
        for observer in &history.observers {
            totals.count_observer(observer, history.schedule.hub.ring_events_max);
        }
        totals
    }

    fn count_batches(&mut self, history: &History) {
        for writer in &history.writers {
            for Sent { wishes, .. } in &writer.batches {
                let outcomes = || writer.wishes[wishes.clone()].iter().map(|(_, outcome)| outcome);
                let refused = outcomes().filter(|it| matches!(it, Outcome::Refused)).count();
                self.count("batches", 1);
                self.count("batches refused", (refused == wishes.len()).into());
                self.count("batches in part", (0 < refused && refused < wishes.len()).into());
                self.count("batches unknown", outcomes().any(|it| matches!(it, Outcome::Unknown)).into());
            }
        }
    }

    fn count_observer(&mut self, observer: &Log, ring_events_max: u64) {
        self.count("observers", 1);
        self.count("connections", observer.visits.len());
        self.count("observed messages", observer.messages().count());
        for visit in &observer.visits {
            if let Ended::Cut { torn } = visit.ended {
                self.count("cuts", 1);
                self.count("cuts inside a message", torn.into());
            }
            let mut last = "";
            for (at, message) in visit.messages().enumerate() {
                last = &message.kind;
                match last {
                    "connected" if message.data["resumed"] == true => {
                        let behind = message.seq_of("head") - message.seq;
                        self.count("resumes", 1);
                        self.count("resumes from the store", (behind > ring_events_max).into());
                    }
                    "connected" => self.count("snapshots", observer.snapshot.into()),
                    "reset" => {
                        self.count("resets", 1);
                        self.count("resets in mid-stream", (at > 0).into());
                    }
                    _ => {}
                }
            }
            self.count("snapshots cut short", (last == "snapshot").into());
        }
        for record in observer.records() {
            match record {
                Record::Gone => self.count("resets", 1),
                Record::Probed { .. } => self.count("probes", 1),
                _ => {}
            }
        }
    }

    fn count(&mut self, name: &str, count: usize) {
        *self.0.entry(name.to_owned()).or_default() += count as u64;
    }

    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.count(name, *count as usize);
        }
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in COUNTED {
            write!(f, "{name} {}, ", self.get(name))?;
        }
        let of = |property: Property| self.get(&property.to_string());
        let divergent = of(Property::Agreeing) + of(Property::StateIsFold);
        write!(
            f,
            "missing {}, duplicate {}, out of order {}, divergent {divergent}, not resumable {}, uncommitted {}, \
             with two owners {}, ready for no reason or not told {}, not answered once {}, batches not whole {}, not started once {}",
            of(Property::Complete),
            of(Property::Unique),
            of(Property::Ordered),
            of(Property::Resumable),
            of(Property::Committed),
            of(Property::OneOwner),
            of(Property::ReadyIsFold),
            of(Property::AnsweredOnce),
            of(Property::Whole),
            of(Property::StartedOnce),
        )
    }
}
