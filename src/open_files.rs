//! The limit of open files: raises it, and shares it out. Each stream takes one file, and the usual
//! 1,024 are soon used up. Also keeps the files of this process from its children.
//!
//! The soft limit applies. Systems keep it low for old programs, and a program may raise its own up
//! to the hard limit. Scripts did not ask for that, so they get back the limit that the hub was
//! started with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are kept for the store, executions and the program itself, so that many clients do
/// not stop the work: this number, and an eighth of the limit.
const KEPT: u64 = 96;
const KEPT_SHARE: u64 = 8;
/// One part in this many of the rest is for reading logs: a stream of a log takes a file besides
/// its connection.
const LOGS_SHARE: u32 = 4;

/// How many files clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub connections: u32,
    /// Logs that may be read at once.
    pub logs: u32,
}

/// Raises the soft limit to the hard one. Returns the old limit; `None` when there was none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(error = %error, limit = current, "the limit on open files stays as it is");
    }
    current
}

/// The shares under the current limit.
pub fn shares() -> Shares {
    share_out(getrlimit(Resource::Nofile).current)
}

fn share_out(limit: Option<u64>) -> Shares {
    let room = limit.map_or(u32::MAX, |files| {
        let kept = KEPT + files / KEPT_SHARE;
        u32::try_from(files.saturating_sub(kept)).unwrap_or(u32::MAX)
    });
    // At least one client can always be served.
    let room = room.max(3);
    let logs = (room / LOGS_SHARE).max(1);
    Shares { connections: room - logs, logs }
}

/// Keeps the open files that this process inherited, beyond the three standard ones, from its
/// children. A script outlives the hub: it must not hold the lock or the pipe of the process that
/// started the hub.
pub fn keep_to_itself() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// Sets the soft limit.
///
/// # Errors
/// When it is above the hard limit.
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
