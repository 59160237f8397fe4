//! The limit on a script's memory: on the address space of each of its processes (RLIMIT_AS), which is what a
//! machine offers without privileges. What is refused to a script is refused by its own `malloc`; nobody is killed.
//!
//! A child begins with its parent's limits. So this process takes the limit upon itself for the moment of the
//! start, the soft one, which it can lift again, and then fixes it in the child; a process that the child has started by
//! then could still lift its own. Rejected: a shell with `ulimit` in between, which would hide why a script cannot be
//! started; setting it only afterwards, which a quick fork escapes.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Starts something that may have no more than `bytes` of address space.
pub(super) fn limited(bytes: Option<u64>, start: impl FnOnce() -> io::Result<Pid>) -> io::Result<Pid> {
    let Some(bytes) = bytes else {
        return start();
    };
    let own = getrlimit(Resource::As);
    let limit = Some(own.maximum.map_or(bytes, |maximum| bytes.min(maximum)));
    setrlimit(Resource::As, Rlimit { current: limit, ..own })?;
    let started = start();
    setrlimit(Resource::As, own)?;
    if let Ok(pid) = started
        && let Err(error) = prlimit(Some(pid), Resource::As, Rlimit { current: limit, maximum: limit })
    {
        eprintln!("the script may lift its memory limit: {error}");
    }
    started
}
