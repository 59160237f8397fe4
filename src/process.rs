//! What this process settles with the kernel before it does anything else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signal_hook::consts::SIGXFSZ;

/// Prepares a hub: a file that reaches a limit on sizes is an error and not the end, and nobody but root reads the
/// hub's memory, which holds tokens and environments, unless the operator wants to debug it.
///
/// # Errors
/// Whatever the kernel said.
pub fn protect(may_be_dumped: bool) -> io::Result<()> {
    survive_size_limits()?;
    if !may_be_dumped {
        // Also closes /proc/PID/environ, mem and fd to other processes of this user. Not inherited beyond exec.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Turns SIGXFSZ, which would end the process at its limit on file sizes (`ulimit -f`), into EFBIG. With a handler and
/// not by ignoring it, since programs that are started get the default back only from a handler.
///
/// # Errors
/// When the handler cannot be installed.
pub fn survive_size_limits() -> io::Result<()> {
    // Nobody looks at the flag: the error of the write says it all.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}
