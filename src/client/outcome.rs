//! How an execution ended, and the exit code that a shell gets for it.

use serde::Deserialize;

/// The data of a log's `end`. A status that only a newer hub has is accepted as text.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    status: String,
    exit_code: Option<i32>,
    reason: Option<String>,
}

impl End {
    /// The script's own exit code, if it had one. Otherwise the convention of shells and `timeout`:
    /// 128 and the signal, 124 for a timeout. Anything else is 1.
    pub fn exit_code(&self) -> u8 {
        let own = self.exit_code.filter(|code| *code != 0).map(|code| u8::try_from(code).unwrap_or(1));
        own.unwrap_or(match self.status.as_str() {
            "completed" => 0,
            "timed_out" => 124,
            "stopped" => 128 + 15,
            _ => self.signal().map_or(1, |signal| 128 + signal),
        })
    }

    /// The message about the end; `None` when the execution completed.
    pub fn words(&self) -> Option<String> {
        match (self.status.as_str(), &self.reason) {
            ("completed", _) => None,
            (status, Some(reason)) => Some(format!("{}: {reason}", status.replace('_', " "))),
            (status, None) => Some(status.replace('_', " ")),
        }
    }

    /// The signal that killed the script. The hub reports it only as text: `killed by signal 9
    /// (KILL)`.
    fn signal(&self) -> Option<u8> {
        let rest = self.reason.as_deref()?.strip_prefix("killed by signal ")?;
        rest.split(' ').next()?.parse().ok().filter(|signal| (1..=64).contains(signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_told_what_it_expects() {
        for (status, exit_code, reason, expected) in [
            ("completed", Some(0), None, 0),
            ("failed", Some(7), Some("exit code 7"), 7),
            ("failed", Some(255), None, 255),
            ("failed", None, Some("killed by signal 9 (KILL)"), 137),
            ("failed", None, Some("could not start: no such file"), 1),
            ("stopped", None, Some("stopped on request"), 143),
            ("stopped", Some(3), None, 3),
            ("stopped", Some(0), None, 143),
            ("timed_out", None, None, 124),
            ("lost", None, None, 1),
        ] {
            let end = End { status: status.into(), exit_code, reason: reason.map(str::to_owned) };
            assert_eq!(end.exit_code(), expected, "{end:?}");
        }
    }
}
