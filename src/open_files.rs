//! How many files this process may have open: a stream is one, and the usual 1,024 are soon used up. How many of them
//! clients may take. And which of them others get to see: none.
//!
//! The limit that counts by default is the soft one, kept low for old programs; a program that knows what it does
//! raises its own. Its scripts did not ask for that and get back what the hub was started with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What clients leave to the store, executions and the program itself, so that many clients do not stop the work: these,
/// and of a higher limit an eighth.
const KEPT: u64 = 96;
const KEPT_SHARE: u64 = 8;
/// Of what is left, one in so many is for a log that is read: that takes a file beside its connection.
const LOGS_SHARE: u32 = 4;

/// How many files clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub connections: u32,
    /// Logs that are read at once.
    pub logs: u32,
}

/// Raises the soft limit as far as it goes. Answers what it was; `None` when there was none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(error = %error, limit = current, "the limit on open files stays as it is");
    }
    current
}

/// What there is for clients under the limit of this moment.
pub fn shares() -> Shares {
    share_out(getrlimit(Resource::Nofile).current)
}

fn share_out(limit: Option<u64>) -> Shares {
    let room = limit.map_or(u32::MAX, |files| {
        let kept = KEPT + files / KEPT_SHARE;
        u32::try_from(files.saturating_sub(kept)).unwrap_or(u32::MAX)
    });
    // Somebody is always served.
    let room = room.max(3);
    let logs = (room / LOGS_SHARE).max(1);
    Shares { connections: room - logs, logs }
}

/// Keeps what this process was handed open, beyond the three usual files, from the programs that it starts. A script
/// outlives the hub: it must not hold on to the lock or the pipe of the process that has started it.
pub fn keep_to_itself() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// Sets the soft limit.
///
/// # Errors
/// When it lies above the hard one.
pub fn set(current: Option<u64>) -> std::io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_to_the_rest_of_the_hub() {
        let of = |limit| {
            let Shares { connections, logs } = share_out(Some(limit));
            (connections, logs)
        };
        assert_eq!(of(256), (96, 32));
        assert_eq!(of(4096), (2616, 872));
        assert_eq!(of(64), (2, 1));
        let Shares { connections, logs } = share_out(None);
        assert_eq!(connections + logs, u32::MAX);
    }
}
