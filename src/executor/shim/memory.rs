//! The limit on a script's memory: on the address space of each of its processes (RLIMIT_AS), which is what a
//! machine offers without privileges. What is refused to a script is refused by its own `malloc`; nobody is killed.
//!
//! A child begins with its parent's limits, so this process takes the limit upon itself, for good and before anything
//! is started: there is no moment in which a process of the script could raise its own. The least limit
//! that can be asked for is more than twice what this process addresses. Only the privilege to raise any limit
//! (CAP_SYS_RESOURCE, which root has) lifts it.
//!
//! Rejected: the soft limit alone, lifted again after the start, and the hard one set in the child afterwards:
//! what the child starts meanwhile keeps the right to lift it. A shell with `ulimit` in between, which would hide why a
//! script cannot be started.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Leaves this process, and all that it will start, no more than `bytes` of address space.
///
/// # Errors
/// When the limit cannot be set: the script must not run without it.
pub(super) fn limit(bytes: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::As).maximum.map_or(bytes, |maximum| bytes.min(maximum));
    Ok(setrlimit(Resource::As, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
}
