//! How many files this process may have open: a stream is one, and the usual 1,024 are soon used up. And which of them
//! others get to see: none.
//!
//! The limit that counts by default is the soft one, kept low for old programs; a program that knows what it does
//! raises its own. Its scripts did not ask for that and get back what the hub was started with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit as far as it goes. Answers what it was; `None` when there was none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(error = %error, limit = current, "the limit on open files stays as it is");
    }
    current
}

/// How many may be open; `None` when there is no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Keeps what this process was handed open, beyond the three usual files, from the programs that it starts. A script
/// outlives the hub: it must not hold on to the lock or the pipe of whoever has started that.
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
