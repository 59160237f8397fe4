//! **Agreeing**: one seq is one message, byte for byte, whoever saw it in whatever format; and who filters
//! sees exactly the matching part of what it has looked at.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included};

use crate::oracle::history::{History, Span};
use crate::oracle::observer::Log;
use crate::oracle::truth::Truth;

use super::Court;

pub fn agreeing(history: &History, truth: &Truth, court: &mut Court) {
    for (one, other) in &truth.conflicts {
        court.holds(false, || format!("{} and {}", one, other));
    }
    let epochs: BTreeSet<_> =
        history.observers.iter().flat_map(Log::messages).map(|message| &message.epoch).collect();
    court.holds(epochs.len() == 1, || format!("one log has one epoch, not {epochs:?}"));
    for observer in &history.observers {
        for span in observer.spans() {
            exactly_what_matches(observer, &span, truth, court);
        }
    }
}

fn exactly_what_matches(observer: &Log, span: &Span, truth: &Truth, court: &mut Court) {
    let (name, Span { after, to, .. }) = (&observer.name, span);
    let seen: BTreeSet<u64> = span.events.iter().map(|event| event.seq).collect();
    for seq in seen.iter().filter(|seq| *seq <= after || *seq > to) {
        court.holds(false, || format!("{name}: {seq} is not in {after}..={to}"));
    }
    if to <= after {
        return;
    }
    for (seq, told) in truth.events.range((Excluded(*after), Included(*to))) {
        match observer.filter.passes(&told.message, told.before()) {
            Some(true) => court.holds(seen.contains(seq), || {
                format!("{name} looked at {after}..={to} and did not see {}", told.message)
            }),
            Some(false) => {
                court.holds(!seen.contains(seq), || format!("{name} should not have seen {}", told.message))
            }
            None => {}
        }
    }
}
