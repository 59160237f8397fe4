//! Visits to the list of events: one request after another, each from where the one before ended.
//!
//! A request that is dropped has answered nothing, so there is no cutting at a byte here.

use std::time::Duration;

use reqwest::StatusCode;
use serde::de::IgnoredAny;

use crate::harness::Answer;
use crate::oracle::moment::{Moment, Phase};

use super::{Asked, Ended, Observer, Position, Record, Visit, give_up};

impl Observer {
    pub(super) async fn poll(&mut self, moment: &Moment) -> Visit {
        let mut visit = Visit { asked: Asked::Polling, records: Vec::new(), ended: Ended::Refused };
        visit.ended = self.ask_on(moment, &mut visit.records).await;
        visit
    }

    async fn ask_on(&mut self, moment: &Moment, records: &mut Vec<Record>) -> Ended {
        loop {
            let phase = self.phase(moment);
            if moment.has_crashed() {
                return Ended::Crashed;
            }
            if phase == Phase::Ending {
                return Ended::Broken;
            }
            let Some(position) = self.position_to_ask_from(moment, records).await else {
                return Ended::Broken;
            };
            if let Phase::Finishing(head) = phase {
                self.finish_in_time();
                if position.seq >= head {
                    return Ended::Finished;
                }
            }
            if phase == Phase::Up && self.plan.random.chance(self.plan.stall_percent) {
                self.rest(self.plan.stall_ms_max).await;
                continue;
            }
            let wait = if phase == Phase::Up { 1 } else { 0 };
            let limit = self.plan.random.between(1..=30);
            let filter = self.plan.filter.query();
            let path = format!("/api/events?since={}&limit={limit}&wait={wait}{filter}", position.id());
            let until_cut = match self.plan.random.chance(self.plan.cut_percent / 4) {
                true => Duration::from_micros(self.plan.random.between(0..=4000)),
                false => Duration::from_secs(3600),
            };
            let deadline = self.state.deadline;
            let mut moments = self.moments.clone();
            // All may be dropped: who asks changes nothing.
            let answer = tokio::select! {
                answer = self.get(moment, &path) => answer,
                () = moments.changed() => {
                    self.moments = moments;
                    continue;
                }
                () = tokio::time::sleep(until_cut), if phase == Phase::Up => return Ended::Cut { torn: false },
                () = give_up(deadline) => return Ended::Stuck,
            };
            match answer {
                Some(answer) => self.note(&answer, records),
                None if moment.has_crashed() => return Ended::Crashed,
                None => return Ended::Broken,
            }
        }
    }

    /// The last position, or one to begin with; there is always one again after it was lost.
    async fn position_to_ask_from(&mut self, moment: &Moment, records: &mut Vec<Record>) -> Option<Position> {
        if self.state.position.is_none() {
            let (oldest, head) = self.standing(moment).await?;
            let (oldest_seq, head_seq) = (oldest.seq, head.seq);
            let begins = if self.plan.from_earliest || self.state.was_overtaken { oldest } else { head };
            records.push(Record::Began { at: begins.seq, oldest: oldest_seq, head: head_seq });
            self.state.position = Some(begins);
        }
        self.state.position.clone()
    }

    fn note(&mut self, answer: &Answer, records: &mut Vec<Record>) {
        if answer.status == StatusCode::GONE {
            self.state.position = None;
            self.state.was_overtaken = true;
            records.push(Record::Gone);
            return;
        }
        assert_eq!(answer.status, StatusCode::OK, "resumable: {answer:?}");
        for event in elements(&answer.bytes) {
            records.push(Record::Message(self.shelf.message(event)));
        }
        let position = Position::of(answer.header("taskhub-cursor"));
        records.push(Record::Stands(position.seq));
        self.state.position = Some(position);
    }
}

/// The elements of a JSON array as they are spelt in it.
fn elements(array: &[u8]) -> Vec<&str> {
    let mut rest = std::str::from_utf8(array).expect("UTF-8").strip_prefix('[').expect("an array");
    let mut elements = Vec::new();
    while rest != "]" {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next().expect("an element").expect("JSON");
        let (element, after) = rest.split_at(values.byte_offset());
        elements.push(element);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    elements
}
