//! The terminal of an execution that runs in tmux: a copy of the output for people who attach, and
//! an input to the script.
//!
//! The log comes first: the terminal must never delay the script or its log. So the shim writes to
//! the terminal without blocking. Output that the terminal does not take at once waits in a bounded
//! buffer; when the buffer overflows, only the latest output is shown. The keys that would stop a
//! terminal's output are switched off. Input goes to the script's processes: Ctrl-C interrupts
//! them, and a person can answer a question asked on `/dev/tty`.

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

/// The buffer of waiting output: a few screens, and small beside the rest of this process. It must
/// be larger than one chunk.
const WAITING_BYTES_MAX: usize = 256 << 10;
/// How long the terminal may take for the last output.
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
        // Ctrl-S would stop the output, and Ctrl-Z the script. There is no shell that could
        // continue it.
        modes.input_modes -= InputModes::IXON;
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(&tty, OptionalActions::Now, &modes)?;
        // tmux ignores these signals, and the script would inherit that. If the script then reads
        // before the handover, its read fails instead of waiting. A signal with a handler returns
        // to its default in a new program, so a handler without effect is set.
        for signal in [SIGTTIN, SIGTTOU] {
            flag::register(signal, Arc::default())?;
        }
        Ok(Self { tty, waiting: VecDeque::new() })
    }

    /// Gives a process group the terminal's input.
    pub fn hand_over(&self, group: Pid) -> io::Result<()> {
        tcsetpgrp(&self.tty, group)?;
        // The group may have read before the handover, which stopped it.
        Ok(kill_process_group(group, Signal::CONT)?)
    }

    /// The descriptor to poll for space, while output waits.
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.tty.as_fd())
    }

    /// Gives the terminal a moment to take the last output.
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

    /// Writes as much as the terminal takes.
    pub fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match self.tty.write(self.waiting.as_slices().0) {
                Ok(count) if count > 0 => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The terminal is gone, so nobody can see it.
                _ => self.waiting.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many bytes, then no more for now.
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
