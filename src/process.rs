//! What this process sets up in the kernel before it does anything else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signal_hook::consts::SIGXFSZ;

/// Prepares a hub. A file that reaches a size limit causes an error and does not end the process.
/// Only root can read the hub's memory, which holds tokens and environments, unless the operator
/// wants to debug it.
///
/// # Errors
/// Any error of the kernel.
pub fn protect(may_be_dumped: bool) -> io::Result<()> {
    survive_size_limits()?;
    if !may_be_dumped {
        // Also closes /proc/PID/environ, mem and fd to other processes of this user. Does not
        // survive an exec.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Turns SIGXFSZ, which would end the process at its limit of file sizes (`ulimit -f`), into EFBIG.
/// Uses a handler and does not ignore the signal: started programs get the default back only from a
/// handler.
///
/// # Errors
/// When the handler cannot be installed.
pub fn survive_size_limits() -> io::Result<()> {
    // Nothing reads the flag: the error of the write is enough.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
