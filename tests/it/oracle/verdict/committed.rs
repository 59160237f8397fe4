//! **Committed**: what an observer has seen is in the store from then on, for whoever asks.

use crate::oracle::history::History;
use crate::oracle::observer::Record;
use crate::oracle::truth::Truth;

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
}
