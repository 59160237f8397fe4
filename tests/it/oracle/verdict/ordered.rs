//! **Ordered** and **unique**: over all connections of an observer, resets included.

use std::collections::HashSet;

use crate::oracle::history::History;
use crate::oracle::truth::Truth;

use super::Court;

pub fn ordered(history: &History, truth: &Truth, court: &mut Court) {
    for observer in &history.observers {
        let mut last = 0;
        for event in observer.events() {
            court.holds(event.seq >= last, || format!("{}: {} came after {last}", observer.name, event));
            last = event.seq;
        }
    }
    let mut last = "";
    for told in truth.events.values() {
        let event = &told.message;
        court.holds(event.timestamp.as_str() >= last, || format!("time runs backwards to {}", event));
        last = &event.timestamp;
    }
}

pub fn unique(history: &History, _: &Truth, court: &mut Court) {
    for observer in &history.observers {
        let mut seen = HashSet::new();
        for event in observer.events() {
            court.holds(seen.insert(event.seq), || format!("{} saw twice {}", observer.name, event));
        }
    }
}
