//! **Committed**: what an observer has seen, and what a writer was told, is in the store from then on, for
//! whoever asks.

use crate::oracle::history::History;
use crate::oracle::observer::Record;
use crate::oracle::truth::Truth;
use crate::oracle::wish::{Wish, WishKind};
use crate::oracle::writer::Outcome;

use super::Court;

pub fn committed(history: &History, _: &Truth, court: &mut Court) {
    for observer in &history.observers {
        for record in observer.records() {
            if let Record::Probed { seen, committed } = record {
                court.holds(committed >= seen, || {
                    format!("{}: after {seen} had arrived, the store went up to {committed}", observer.name)
                });
            }
        }
    }
    let is_delete_of =
        |wish: &Wish, id: &str| matches!(&wish.kind, WishKind::Delete { task, .. } if task == id);
    for probe in history.writers.iter().flat_map(|writer| &writer.probes) {
        let mut wishes = history.writers.iter().flat_map(|writer| &writer.wishes);
        let is_right = match probe.found {
            Some(found) => found >= probe.version,
            None => wishes.any(|(wish, outcome)| {
                is_delete_of(wish, &probe.task) && !matches!(outcome, Outcome::Refused)
            }),
        };
        court.holds(is_right, || format!("what was acknowledged could not be read: {probe:?}"));
    }
}
