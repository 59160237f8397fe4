//! Killing what is left of a script when the shim that watched over it has died.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::processes::{self, Mark, Process};

/// Processes of a lost execution are looked for and killed until none is found, at most so often.
const KILL_ROUNDS_MAX: u32 = 50;
const KILL_PAUSE: Duration = Duration::from_millis(20);

/// Kills everything that carries the mark of an execution, that is in the session of its shim, that is an orphan of this hub
/// (if it adopts them), or that was seen among the shim's descendants.
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
