//! Turns the signals that a shim handles into a file descriptor for `poll`.
//!
//! TERM, INT, QUIT and HUP ask the shim to stop. CHLD says that a process has ended. The handlers
//! only store the signal and wake the shim.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::signal_name;
use signal_hook::{flag, low_level};

pub(super) struct Signals {
    wake: UnixStream,
    /// The last signal that asked for a stop; 0 for none.
    stop: Arc<AtomicUsize>,
}

impl Signals {
    pub fn install() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let stop = Arc::new(AtomicUsize::new(0));
        for signal in [SIGTERM, SIGINT, SIGQUIT, SIGHUP] {
            // Store first, then wake: handlers run in the order of their registration.
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            flag::register_usize(signal, Arc::clone(&stop), number)?;
            low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        low_level::pipe::register(SIGCHLD, waker)?;
        Ok(Self { wake, stop })
    }

    /// The signal that asked for a stop, if one did.
    pub fn stop(&self) -> Option<i32> {
        i32::try_from(self.stop.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }

    /// Readable once a signal has come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Discards the wake-ups that have arrived.
    pub fn clear(&self) {
        let mut bytes = [0; 64];
        while (&self.wake).read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}

/// A signal for people to read: `9 (KILL)`.
pub(super) fn named(signal: i32) -> String {
    match signal_name(signal) {
        Some(name) => format!("{signal} ({})", name.trim_start_matches("SIG")),
        None => signal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_called_by_number_and_name() {
        assert_eq!(named(9), "9 (KILL)");
        assert_eq!(named(40), "40");
    }
}
