//! The terminal of an execution that runs in tmux: a copy of the output for people who attach, and a way to reach the
//! script.
//!
//! The log is the truth, and the terminal a courtesy: nothing that happens on it may hold up the script or its log. So
//! it is written without blocking, what it does not take at once waits in a bounded memory, and of more than that
//! only the latest is shown; the keys that would stop a terminal's output are switched off. What is typed goes to the
//! script's processes: Ctrl-C interrupts them, and what asks on `/dev/tty` can be answered.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{InputModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr, tcsetpgrp};
use signal_hook::consts::{SIGTTIN, SIGTTOU};
use signal_hook::flag;

/// What may wait for the terminal: a few screens, and little beside the rest of this process. More than one chunk.
const WAITING_BYTES_MAX: usize = 256 << 10;
/// Most time for a terminal to take the last of it.
const FINISH_PATIENCE: Duration = Duration::from_millis(500);
const GAP: &[u8] = b"\r\n[taskhub: some output is left out here]\r\n";

pub(super) struct Terminal<W = File> {
    tty: W,
    waiting: VecDeque<u8>,
}

impl Terminal {
    /// The terminal that this process was started on.
    pub fn open() -> io::Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let tty = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty")?;
        let mut modes = tcgetattr(&tty)?;
        // Ctrl-S would stop the output, Ctrl-Z the script, and no shell is there to let it go on.
        modes.input_modes -= InputModes::IXON;
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(&tty, OptionalActions::Now, &modes)?;
        // tmux leaves these ignored, and what is ignored stays so in the script: it would be refused instead of waiting
        // when it reads before the terminal is handed over. What has a handler is as usual again in a new program.
        for signal in [SIGTTIN, SIGTTOU] {
            flag::register(signal, Arc::default())?;
        }
        Ok(Self { tty, waiting: VecDeque::new() })
    }

    /// Lets a process group have what is typed.
    pub fn hand_over(&self, group: Pid) -> io::Result<()> {
        tcsetpgrp(&self.tty, group)?;
        // It may have asked too early, and been stopped for it.
        Ok(kill_process_group(group, Signal::CONT)?)
    }

    /// To be polled for room while something waits for it.
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.tty.as_fd())
    }

    /// Gives the terminal a moment to take the last of it.
    pub fn finish(mut self) {
        let until = Instant::now() + FINISH_PATIENCE;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.flush();
            let Some(fd) = self.waits_for() else {
                return;
            };
            let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&timeout));
        }
    }
}

impl<W: Write> Terminal<W> {
    pub fn show(&mut self, bytes: &[u8]) {
        if self.waiting.len() + bytes.len() > WAITING_BYTES_MAX {
            self.waiting.clear();
            self.waiting.extend(GAP);
        }
        self.waiting.extend(&bytes[bytes.len().saturating_sub(WAITING_BYTES_MAX - GAP.len())..]);
        self.flush();
    }

    /// As much as the terminal takes.
    pub fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match self.tty.write(self.waiting.as_slices().0) {
                Ok(count) if count > 0 => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody can look at it any more.
                _ => self.waiting.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then no more for now.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.1 -= count;
            self.0.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_terminal_does_not_take_waits_and_of_a_flood_the_end_is_shown() {
        let mut terminal = Terminal { tty: Narrow(Vec::new(), 2), waiting: VecDeque::new() };
        terminal.show(b"hello ");
        terminal.tty.1 = usize::MAX;
        terminal.show(b"world");
        assert_eq!(terminal.tty.0, b"hello world");

        terminal.tty = Narrow(Vec::new(), 1);
        for _ in 0..100 {
            terminal.show(&[b'x'; 10_000]);
            assert!(terminal.waiting.len() <= WAITING_BYTES_MAX);
        }
        terminal.tty.1 = usize::MAX;
        terminal.show(b"the end");
        let shown = String::from_utf8(terminal.tty.0).expect("text");
        assert_eq!(shown.matches("[taskhub: some output is left out here]").count(), 1);
        assert!(shown.ends_with("xxxthe end") && shown.len() < WAITING_BYTES_MAX);
    }
}
