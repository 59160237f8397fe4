//! One stream as it is read: out of chunks, lines and events comes what was delivered, and whether it is complete.

use std::sync::LazyLock;

use crate::wire::{Body, Lines, seq};
use anyhow::{Context, bail, ensure};
use memchr::memmem::Finder;

use crate::marker::Marker;

/// How a server numbers its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// The hub's ids: one more each time, from where `connected` says.
    Hub,
    /// The same behind a filter: higher each time.
    HubFiltered,
    /// By the marks of the events, one more each time from the first one seen.
    Marks,
    /// As before, and what is missing is counted: the server promises no better.
    MarksWithGaps,
}

/// An event that has come.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// If the event says so.
    pub sent_ns: Option<u64>,
    /// How many should have come before it and have not.
    pub missed: u64,
}

#[derive(Debug)]
pub struct Listener {
    ids: Ids,
    body: Body,
    lines: Lines,
    /// Of the `id:` line that was read last.
    id: u64,
    order: Order,
}

impl Listener {
    pub fn new(ids: Ids) -> Self {
        Self { ids, body: Body::default(), lines: Lines::default(), id: 0, order: Order { ids, last: None } }
    }

    /// Whether the stream stands: the hub has said `connected`, others have sent their head.
    pub fn opened(&self) -> bool {
        match self.ids {
            Ids::Hub | Ids::HubFiltered => self.order.last.is_some(),
            Ids::Marks | Ids::MarksWithGaps => self.body.opened(),
        }
    }

    /// Takes bytes as they came, hands on the events in them.
    ///
    /// # Errors
    /// When something is out of order.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Delivery)) -> anyhow::Result<()> {
        let Self { ids, body, lines, id, order } = self;
        body.feed(bytes, |mut bytes| {
            while let Some(line) = lines.next(&mut bytes) {
                if let Some(data) = line.strip_prefix(b"data:") {
                    match ids {
                        Ids::Hub | Ids::HubFiltered => order.message(*id, data, &mut each)?,
                        Ids::Marks | Ids::MarksWithGaps => order.markers(data, &mut each)?,
                    }
                } else if matches!(ids, Ids::Hub | Ids::HubFiltered)
                    && let Some(text) = line.strip_prefix(b"id: ")
                {
                    *id = seq(text).context("an id without a seq")?;
                }
            }
            Ok(())
        })
    }
}

/// What has come so far.
#[derive(Debug)]
struct Order {
    ids: Ids,
    last: Option<u64>,
}

impl Order {
    /// A message of the hub.
    fn message(&mut self, id: u64, data: &[u8], each: &mut impl FnMut(Delivery)) -> anyhow::Result<()> {
        static EVENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"event\":\""));
        let at = EVENT.find(data).context("an envelope without its event")? + EVENT.needle().len();
        match &data[at..] {
            word if word.starts_with(b"connected\"") => self.last = Some(id),
            word if word.starts_with(b"checkpoint\"") => {}
            word if word.starts_with(b"reset\"") || word.starts_with(b"goodbye\"") => {
                bail!("unexpected: {}", String::from_utf8_lossy(data));
            }
            _ => {
                let missed = self.step(id)?;
                each(Delivery { sent_ns: Marker::find(data).map(|(marker, _)| marker.sent_ns), missed });
            }
        }
        Ok(())
    }

    /// A line of another server, which may hold any number of events.
    fn markers(&mut self, mut data: &[u8], each: &mut impl FnMut(Delivery)) -> anyhow::Result<()> {
        while let Some((marker, rest)) = Marker::find(data) {
            let missed = self.step(marker.seq)?;
            each(Delivery { sent_ns: Some(marker.sent_ns), missed });
            data = rest;
        }
        Ok(())
    }

    /// How many are missing before `seq`.
    fn step(&mut self, seq: u64) -> anyhow::Result<u64> {
        let expected = self.last.map_or(seq, |last| last + 1);
        self.last = Some(seq);
        ensure!(seq >= expected, "{seq} came where {expected} was due: twice, or out of order");
        match self.ids {
            Ids::HubFiltered => Ok(0),
            Ids::MarksWithGaps => Ok(seq - expected),
            Ids::Hub | Ids::Marks => {
                ensure!(seq == expected, "{seq} came where {expected} was due: events are missing");
                Ok(0)
            }
        }
    }
}
