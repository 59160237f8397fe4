//! A visit to the stream: one connection, read until it ends, is cut, or has told everything.

use crate::oracle::connection::{Arrived, Connection, Format, Read};
use crate::oracle::moment::{Moment, Phase};
use crate::oracle::schedule::Transport;
use crate::oracle::way::Ask;

use super::{Asked, Ended, Observer, Position, Progress, Record, Visit, give_up};

/// How many in a hundred reads are followed by a look into the store.
const PROBE_PERCENT: u64 = 8;

impl Observer {
    pub(super) async fn follow(&mut self, moment: &Moment) -> Visit {
        let asked = match &self.state.position {
            Some(position) => Asked::After(position.seq),
            None if self.plan.from_earliest => Asked::Earliest,
            None => Asked::Live,
        };
        let mut visit = Visit { asked, records: Vec::new(), ended: Ended::Refused };
        let ask = self.ask();
        let format = match self.plan.transport {
            Transport::Ndjson => Format::Lines(Vec::new()),
            _ => Format::sse(),
        };
        let random = &mut self.plan.random;
        let until_cut = match random.chance(self.plan.cut_percent) {
            // Half of them soon, in the head of the answer or the first messages.
            true if random.chance(50) => random.between(0..=1500) as usize,
            true => random.between(0..=40_000) as usize,
            false => usize::MAX,
        };
        let opening = Connection::open(moment.address, &ask, format, until_cut);
        if let Ok(mut connection) = opening.await {
            visit.ended = self.read(&mut connection, moment, &mut visit.records).await;
        }
        visit
    }

    /// A browser repeats its address and adds the header; others change the address.
    fn ask(&mut self) -> Ask {
        let mut query = self.plan.filter.query();
        let mut headers = Vec::new();
        if self.plan.snapshot {
            query.push_str("&snapshot=true");
        }
        if self.plan.transport == Transport::NamedSse {
            query.push_str("&named=true");
        }
        let first = if self.plan.from_earliest { "&since=earliest" } else { "" };
        match self.state.position.as_ref().map(Position::id) {
            None => query.push_str(first),
            Some(id) => match self.plan.random.between(0..=2) {
                0 => {
                    query.push_str(first);
                    headers.push(("last-event-id", id));
                }
                1 => query.push_str(&format!("{first}&last_event_id={id}")),
                _ => query.push_str(&format!("&since={id}")),
            },
        }
        if self.plan.transport == Transport::Ndjson {
            headers.push(("accept", "application/x-ndjson".to_owned()));
        }
        let query = query.replacen('&', "?", 1);
        let path = format!("/api/events/stream{query}");
        Ask { path, headers, by_http2: self.plan.by_http2, small_buffer: self.plan.small_buffer }
    }

    async fn read(
        &mut self,
        connection: &mut Connection,
        moment: &Moment,
        records: &mut Vec<Record>,
    ) -> Ended {
        loop {
            match self.phase(moment) {
                _ if moment.has_crashed() => return Ended::Crashed,
                Phase::Up if self.plan.random.chance(self.plan.stall_percent) => {
                    self.rest(self.plan.stall_ms_max).await;
                    continue;
                }
                Phase::Up => {}
                Phase::Ending => connection.spare(),
                Phase::Finishing(head) => {
                    connection.spare();
                    self.finish_in_time();
                    // Only who has been answered knows where it stands.
                    if !records.is_empty() {
                        match self.progress(moment, head).await {
                            Progress::Done => {
                                records.push(Record::Stands(head));
                                return Ended::Finished;
                            }
                            Progress::NotYet => {}
                            Progress::Overtaken => return Ended::Cut { torn: false },
                        }
                    }
                }
            }
            let deadline = self.state.deadline;
            // All are cancel safe.
            let read = tokio::select! {
                read = connection.read() => read,
                () = self.moments.changed() => continue,
                () = give_up(deadline) => return Ended::Stuck,
            };
            match read {
                // Looked at only now: what arrived before the crash was said.
                _ if moment.has_crashed() => return Ended::Crashed,
                Read::Messages(arrived) => {
                    let before = records.len();
                    for message in arrived {
                        self.take(message, records);
                    }
                    let probes = records.len() > before && self.plan.random.chance(PROBE_PERCENT);
                    if probes && let Some(record) = self.probe(moment).await {
                        records.push(record);
                    }
                }
                Read::End { torn } => return Ended::InOrder { torn },
                Read::Broken => return Ended::Broken,
                Read::Cut { torn } => return Ended::Cut { torn },
            }
        }
    }

    fn take(&mut self, arrived: Arrived, records: &mut Vec<Record>) {
        let message = self.shelf.message(&arrived.raw);
        if let Some((id, kind)) = arrived.frame {
            let named = self.plan.transport == Transport::NamedSse;
            let expected = if named { message.kind.as_str() } else { "message" };
            assert_eq!(
                (id.as_str(), kind.as_str()),
                (message.id().as_str(), expected),
                "agreeing: the frame"
            );
        }
        if message.kind == "reset" {
            self.state.target = None;
        }
        self.state.position = Some(Position { epoch: message.epoch.clone(), seq: message.seq });
        records.push(Record::Message(message));
    }
}
