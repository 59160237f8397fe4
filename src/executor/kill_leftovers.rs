//! Kills what is left of a script when its shim has died.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::processes::{self, Mark, Process};

/// How often to search for processes of a lost execution and kill them, until none is found.
const KILL_ROUNDS_MAX: u32 = 50;
const KILL_PAUSE: Duration = Duration::from_millis(20);

/// Kills every process that carries the mark of an execution, is in the session of its shim, is an
/// orphan of this hub (if `adopts`), or was seen among the shim's descendants (`family`).
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn kill_leftovers(
    mark: &Mark,
    shim: Option<Pid>,
    adopts: bool,
    family: &[Process],
) -> io::Result<()> {
    for _ in 0..KILL_ROUNDS_MAX {
        let mut rest = processes::rest(mark, shim)?;
        rest.extend(family.iter().copied().filter(Process::is_running));
        if adopts {
            rest.extend(processes::orphans()?);
        }
        if rest.is_empty() {
            break;
        }
        for process in rest {
            process.signal(Signal::KILL);
        }
        std::thread::sleep(KILL_PAUSE);
    }
    Ok(())
}
