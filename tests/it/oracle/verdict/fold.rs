//! **State = fold**: a snapshot is what the log up to its cursor makes of the tasks, and a client that began with a snapshot, or with the first event, and applied what came, has
//! at the end what `GET /api/tasks` says with the same filter.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::oracle::filter::Filter;
use crate::oracle::fold::Tasks;
use crate::oracle::history::History;
use crate::oracle::observer::{Asked, Log, Record};
use crate::oracle::truth::Truth;

use super::Court;

pub fn state_is_fold(history: &History, truth: &Truth, court: &mut Court) {
    history.observers.iter().for_each(|observer| snapshots_are_of_their_moment(observer, truth, court));
    for observer in history.observers.iter().filter(|it| it.filter.shows_whole_tasks()) {
        let Some(tasks) = tasks_of(observer) else {
            // Only who was told of a loss and got no snapshot has no tasks.
            court
                .holds(!observer.snapshot || observer.is_stuck, || format!("{} has no state", observer.name));
            continue;
        };
        let of_filter =
            |task: &&serde_json::Value| observer.filter.holds(task["id"].as_str().expect("an id"), task);
        let listed: Vec<_> =
            history.list(&observer.filter.query_on_tasks()).iter().filter(of_filter).collect();
        if let Some(words) = tasks.differs_from(&listed) {
            court.holds(false, || format!("{}: {words}", observer.name));
        }
    }
}

fn snapshots_are_of_their_moment(observer: &Log, truth: &Truth, court: &mut Court) {
    for visit in &observer.visits {
        let mut listed: Vec<&Value> = Vec::new();
        for message in visit.messages() {
            match message.kind.as_str() {
                "snapshot" => listed.extend(message.data["tasks"].as_array().expect("a list")),
                // The end of a snapshot, or there was none.
                "connected" if observer.snapshot && message.data["resumed"] == false => {
                    if let Some(words) = differs_from_log(&listed, message.seq, &observer.filter, truth) {
                        court.holds(false, || {
                            format!("{}: in the snapshot at {}: {words}", observer.name, message.seq)
                        });
                    }
                    listed.clear();
                }
                _ => {}
            }
        }
    }
}

/// Compares the tasks that have an event since the last hole in the log.
fn differs_from_log(listed: &[&Value], seq: u64, filter: &Filter, truth: &Truth) -> Option<String> {
    let hole = truth.last_hole(seq);
    let (mut tasks, mut told) = (Tasks::default(), BTreeSet::new());
    for (_, event) in truth.events.range(hole + 1..seq + 1) {
        tasks.apply(&event.message, &Filter::default());
        if event.message.tells_task() {
            told.insert(event.message.text("task_id"));
        }
    }
    tasks.keep(filter);
    let is_known = |task: &&&Value| hole == 0 || told.contains(task["id"].as_str().expect("an id"));
    tasks.differs_from(&listed.iter().filter(is_known).copied().collect::<Vec<_>>())
}

/// The tasks that a client has at the end; `None` when it was told that it has missed something, or did not
/// begin with everything.
fn tasks_of(observer: &Log) -> Option<Tasks> {
    // A snapshot is taken over only when it is whole.
    let (mut tasks, mut arriving) = (None, None);
    for visit in &observer.visits {
        arriving = None;
        let is_first = matches!(visit.asked, Asked::Earliest);
        for record in &visit.records {
            match record {
                Record::Began { at: 0, .. } => tasks = Some(Tasks::default()),
                Record::Began { .. } | Record::Gone => tasks = None,
                Record::Stands(_) | Record::Probed { .. } => {}
                Record::Message(message) => match message.kind.as_str() {
                    "snapshot" => {
                        if message.data["part"] == 1 {
                            arriving = Some(Tasks::default());
                        }
                        arriving.get_or_insert_default().add(message);
                    }
                    "connected" if arriving.is_some() => tasks = arriving.take(),
                    "connected" if is_first && message.seq == 0 => tasks = Some(Tasks::default()),
                    "connected" if message.data["resumed"] == false => tasks = None,
                    "reset" => tasks = None,
                    _ => {
                        if let Some(tasks) = &mut tasks {
                            tasks.apply(message, &observer.filter);
                        }
                    }
                },
            }
        }
    }
    drop(arriving);
    tasks
}
