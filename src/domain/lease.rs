//! A lease: a worker has a task until a time, and no longer unless it renews.
//!
//! The number of a lease fences: it rises with each lease of the task, so a system that keeps the highest one knows the owner.

use std::fmt;
use std::str::FromStr;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::LeaseId;
use super::task::TaskKey;
use super::text::{Assignee, seen_and_at_most_chars, seen_meta, text_newtype};

/// Longest report of progress, in characters. Every event of the task carries it.
const PROGRESS_CHARS_MAX: usize = 500;

text_newtype!(
    /// How far a worker is: 1–500 characters, not blank.
    Progress,
    "progress",
    |text| seen_and_at_most_chars(text, PROGRESS_CHARS_MAX),
    seen_meta(PROGRESS_CHARS_MAX, "3 of 7 files are translated")
);

/// The lease that a task is worked on under.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Lease {
    /// Identifies the lease: the worker sends it as `Taskhub-Lease` with its reports.
    pub id: LeaseId,
    /// Counts the leases of the task, from 1; a higher number is a later owner.
    #[oai(validator(minimum(value = "1")))]
    pub number: i64,
    /// Who has the task.
    pub worker: Assignee,
    /// When the lease ends unless the worker renews it. A renewal changes neither the task nor its events, unless the worker
    /// asks for that: `GET /api/leases/{lease_id}` and `GET /api/tasks/{task_id}/why` tell the present end.
    pub expires_at: Timestamp,
    /// How far the worker is, as it said with its last renewal that said so; null when it has said nothing.
    #[oai(nullable)]
    #[serde(default)]
    pub progress: Option<Progress>,
}

impl Lease {
    /// When the worker has claimed the task: the id says so, as long as it is one of the hub's own.
    pub fn claimed_at(&self) -> Option<Timestamp> {
        let (seconds, nanos) = self.id.uuid().get_timestamp()?.to_unix();
        Some(Timestamp::from_ms(i64::try_from(seconds).ok()? * 1000 + i64::from(nanos / 1_000_000)))
    }
}

/// A lease by a short name that agents can copy: `web-12.3.7f3a21` is the third lease of task `web-12`. The last part is the
/// end of the lease's id, so that a name that was made up or mixed up names nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LeaseHandle {
    pub task: TaskKey,
    number: i64,
    id_end: String,
}

/// Hexadecimal digits of the id in a handle.
const HANDLE_DIGITS: usize = 6;

impl LeaseHandle {
    pub fn of(task: &TaskKey, lease: &Lease) -> Self {
        let id = lease.id.uuid().simple().to_string();
        Self { task: task.clone(), number: lease.number, id_end: id[id.len() - HANDLE_DIGITS..].to_owned() }
    }

    /// Whether this handle was never one, as long as the task is held by `present`: it names that lease or a later one, with
    /// another end. A handle that was copied with a mistake is such.
    pub fn is_misspelt(&self, present: &Lease) -> bool {
        self.number >= present.number && *self != Self::of(&self.task, present)
    }
}

impl fmt::Display for LeaseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.task, self.number, self.id_end)
    }
}

impl TryFrom<String> for LeaseHandle {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for LeaseHandle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Models write some texts in capitals, and may add a space.
        let text = text.trim().to_lowercase();
        let parse = || {
            let mut parts = text.split('.');
            let (task, number, id_end) = (parts.next()?, parts.next()?, parts.next()?);
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let is_end = id_end.len() == HANDLE_DIGITS && id_end.bytes().all(is_hex);
            let handle =
                Self { task: task.parse().ok()?, number: number.parse().ok()?, id_end: id_end.to_owned() };
            (is_end && parts.next().is_none()).then_some(handle)
        };
        parse().ok_or_else(|| "expected a lease such as web-12.3.7f3a21, as claim_task answers it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_one_lease() {
        let lease = Lease {
            id: "0197f9a2-6c1e-7b5a-9d3e-2f4a8c7f3a21".parse().expect("an id"),
            number: 3,
            worker: "ada".parse().expect("a name"),
            expires_at: Timestamp::from_ms(0),
            progress: None,
        };
        assert_eq!(lease.claimed_at().map(|it| it.to_string()).as_deref(), Some("2025-07-11T13:17:40.766Z"));
        let handle = LeaseHandle::of(&"web-12".parse().expect("a key"), &lease);
        assert_eq!(handle.to_string(), "web-12.3.7f3a21");
        for text in ["web-12.3.7f3a21", "WEB-12.3.7F3A21", " web-12.3.7f3a21\n"] {
            assert_eq!(text.parse(), Ok(handle.clone()), "{text}");
        }
        for (text, is) in [
            ("web-12.3.7f3a21", false),
            ("web-12.3.7f3a22", true),
            ("web-12.4.7f3a21", true),
            ("web-12.2.7f3a22", false),
        ] {
            assert_eq!(text.parse::<LeaseHandle>().map(|it| it.is_misspelt(&lease)), Ok(is), "{text}");
        }
        for bad in ["web-12", "web-12.3", "web-12.3.7f3a2", "web-12.x.7f3a21", "web-12.3.7f3a21.1"] {
            assert!(bad.parse::<LeaseHandle>().is_err(), "{bad}");
        }
    }
}
