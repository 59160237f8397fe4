//! **Whole**: the operations of a batch stand in the log in their order, with what follows from them and with nothing of
//! anybody else in between. Of one that is all or none there are all or none, also when the hub ended before it answered.
//!
//! That each operation is there which was acknowledged, and none that was refused, is a part of **complete**.

use std::collections::HashMap;

use serde_json::json;

use crate::oracle::batch::Sent;
use crate::oracle::filter::Before;
use crate::oracle::history::History;
use crate::oracle::message::Message;
use crate::oracle::truth::{Told, Truth};
use crate::oracle::wish::{Wish, WishKind, marks};
use crate::oracle::writer::Outcome;

use super::Court;

pub fn whole(history: &History, truth: &Truth, court: &mut Court) {
    let log = Index::of(truth);
    for writer in &history.writers {
        for Sent { atomic, wishes } in &writer.batches {
            let wishes = &writer.wishes[wishes.clone()];
            judge(*atomic, wishes, &log, truth, court);
        }
    }
}

/// Where each operation has left its event.
struct Index<'a> {
    /// The first event that shows a mark: a change shows its own at once.
    marked: HashMap<&'a str, u64>,
    deleted: HashMap<&'a str, u64>,
}

impl<'a> Index<'a> {
    fn of(truth: &'a Truth) -> Self {
        let (mut marked, mut deleted) = (HashMap::new(), HashMap::new());
        for (&seq, told) in &truth.events {
            let event = &told.message;
            match event.kind.as_str() {
                "task_created" | "task_updated" => {
                    marks(&event.raw).for_each(|mark| _ = marked.entry(mark).or_insert(seq));
                }
                "task_deleted" => drop(deleted.insert(event.text("task_id"), seq)),
                _ => {}
            }
        }
        Self { marked, deleted }
    }
}

fn judge(atomic: bool, wishes: &[(Wish, Outcome)], log: &Index<'_>, truth: &Truth, court: &mut Court) {
    // The events of its operations, in the order of the batch; of changes only where the answer never came, for somebody
    // else may have deleted the task.
    let (mut seqs, mut missing) = (Vec::new(), Vec::new());
    for (wish, outcome) in wishes {
        let seq = match (&wish.kind, outcome) {
            (_, Outcome::Refused) | (WishKind::Impossible(_), _) => continue,
            (WishKind::Delete { .. }, Outcome::Unknown) => continue,
            (WishKind::Delete { task, .. }, _) => log.deleted.get(task.as_str()),
            _ => log.marked.get(wish.mark.as_str()),
        };
        match seq {
            Some(seq) => seqs.push(*seq),
            None => missing.push(&wish.mark),
        }
    }
    let name = wishes.first().map_or("", |(wish, _)| wish.mark.as_str());
    let (Some(&first), Some(&last)) = (seqs.iter().min(), seqs.iter().max()) else {
        return;
    };
    // Where events are lost, the first one that shows a mark may be a later one, and what is missing may be lost.
    if truth.last_hole(last) > 0 {
        return;
    }
    court.holds(!atomic || missing.is_empty(), || format!("of {name} there is {seqs:?} without {missing:?}"));
    court.holds(seqs.is_sorted_by(|one, next| one < next), || format!("{name} is not in order: {seqs:?}"));
    for (seq, told) in truth.events.range(first..=last).filter(|(seq, _)| !seqs.contains(seq)) {
        let is_its_own = follows(&told.message) || is_delete_of(told, wishes);
        court.holds(is_its_own, || format!("{seq} is amid {name} at {seqs:?}: {}", told.message));
    }
}

/// Whether an event may follow from another one in its transaction.
fn follows(event: &Message) -> bool {
    match event.kind.as_str() {
        "lease_event" | "question_expired" => true,
        "task_updated" => event.data["changed"] == json!(["ready"]) || event.data["reason"] == "auto_started",
        "execution_event" => event.data["execution_event"] == "queued",
        _ => false,
    }
}

/// Whether it is the event of a deletion whose answer never came.
fn is_delete_of(told: &Told, wishes: &[(Wish, Outcome)]) -> bool {
    told.message.kind == "task_deleted"
        && !matches!(told.before(), Before::Nothing)
        && wishes.iter().any(|(wish, outcome)| {
            let WishKind::Delete { task, .. } = &wish.kind else { return false };
            matches!(outcome, Outcome::Unknown) && task == told.message.text("task_id")
        })
}
