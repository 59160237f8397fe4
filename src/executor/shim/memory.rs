//! Limits a script's memory: the address space of each of its processes (RLIMIT_AS), the only such
//! limit that needs no privileges. A process that reaches the limit gets an error from `malloc`;
//! nothing is killed.
//!
//! A child inherits its parent's limits. So the shim sets the limit on itself, for good, before it
//! starts anything. At no moment can a process of the script raise its own limit. The lowest limit
//! that a request can ask for is more than twice what the shim itself addresses. Only
//! CAP_SYS_RESOURCE, which root has, can raise the limit.
//!
//! Rejected: to set only the soft limit, lift it again after the start, and set the hard limit in
//! the child. What the child starts in between could still raise its limit. Also rejected: a shell
//! with `ulimit` in between, which would hide why a script cannot start.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits this process, and every process that it starts, to `bytes` of address space.
///
/// # Errors
/// When the limit cannot be set: the script must not run without it.
pub(super) fn limit(bytes: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::As).maximum.map_or(bytes, |maximum| bytes.min(maximum));
    Ok(setrlimit(Resource::As, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
}
