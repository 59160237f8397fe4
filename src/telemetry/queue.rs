//! Writes the log to standard error: a bounded queue, and one thread that writes.
//!
//! Standard error may be blocked by a terminal paused with Ctrl-S, a `tee` that has died, or a full
//! disk. None of them may delay the hub. So only the queue's own thread writes there. A line that
//! finds the queue full is dropped, a line that cannot be written is lost, and both are counted.
//!
//! Rejected: `tracing-appender`. Its queue counts lines instead of bytes. It does not count lines
//! whose write fails. The drop of its guard panics when standard output is closed as well.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait. A reader that pauses for a while misses nothing; one that is gone costs
/// this much memory.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Lost lines of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostLines {
    /// The queue was full: standard error takes lines too slowly, or not at all.
    pub queue_full: u64,
    /// Standard error refused them.
    pub write_failed: u64,
}

/// The input of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogQueue {
    entries: Sender<Entry>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes_waiting: AtomicUsize,
    queue_full: AtomicU64,
    write_failed: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Answers when everything before it has been written.
    Flush(Sender<()>),
}

impl LogQueue {
    /// Starts the thread that writes to `output`. It ends when the last clone of the queue is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = channel();
        let state = Arc::<State>::default();
        let theirs = state.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&waiting, output, &theirs))?;
        Ok(Self { entries, state })
    }

    pub fn lost(&self) -> LostLines {
        LostLines {
            queue_full: self.state.queue_full.load(Relaxed),
            write_failed: self.state.write_failed.load(Relaxed),
        }
    }

    /// Waits until everything queued so far has been written, but no longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = channel();
        if self.entries.send(Entry::Flush(done)).is_ok() {
            // On a timeout, too, the caller continues.
            let _ = written.recv_timeout(patience);
        }
    }

    fn push(&self, line: &[u8]) {
        let waiting = self.state.bytes_waiting.fetch_add(line.len(), Relaxed);
        if waiting + line.len() > QUEUE_BYTES_MAX || self.entries.send(Entry::Line(line.to_vec())).is_err() {
            self.state.bytes_waiting.fetch_sub(line.len(), Relaxed);
            self.state.queue_full.fetch_add(1, Relaxed);
        }
    }
}

fn write_all(entries: &Receiver<Entry>, mut output: impl Write, state: &State) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                    state.write_failed.fetch_add(1, Relaxed);
                }
                state.bytes_waiting.fetch_sub(line.len(), Relaxed);
            }
            // The waiting caller may have timed out.
            Entry::Flush(done) => drop(done.send(())),
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self)
    }
}

/// Takes one line for each write, as `tracing-subscriber` calls it. Never fails and never blocks.
#[derive(Debug)]
pub struct LineWriter<'a>(&'a LogQueue);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error, unbuffered. Waits if the descriptor is non-blocking: another program on the same
/// terminal may have set that.
#[derive(Debug)]
pub struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match io::stderr().write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&io::stderr(), PollFlags::OUT)], None)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// Takes a write only when the test allows it.
    struct Gated {
        passes: Arc<Mutex<Receiver<()>>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // When the test has dropped its end, every write passes.
            let _ = self.passes.lock().expect("no panic").recv();
            self.taken.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (LogQueue, SyncSender<()>, Arc<Mutex<Vec<u8>>>) {
        let (pass, passes) = std::sync::mpsc::sync_channel(0);
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let output = Gated { passes: Arc::new(Mutex::new(passes)), taken: taken.clone() };
        (LogQueue::start(output).expect("a thread"), pass, taken)
    }

    #[test]
    fn lines_beyond_the_queue_are_dropped_and_counted_and_the_rest_arrives_in_order() {
        let (queue, gate, taken) = gated();
        let line = |number: u8| vec![number; QUEUE_BYTES_MAX / 4];
        for number in 0..6 {
            queue.make_writer().write_all(&line(number)).expect("never fails");
        }
        assert_eq!(queue.lost(), LostLines { queue_full: 2, write_failed: 0 });
        drop(gate);
        queue.flush(Duration::from_secs(20));
        assert_eq!(*taken.lock().expect("no panic"), (0..4).flat_map(line).collect::<Vec<_>>());
        // There is room again.
        queue.make_writer().write_all(b"more").expect("never fails");
        queue.flush(Duration::from_secs(20));
        assert!(taken.lock().expect("no panic").ends_with(b"more"));
    }

    #[test]
    fn a_reader_that_takes_nothing_does_not_hold_up_the_end() {
        let (queue, _gate, _taken) = gated();
        queue.make_writer().write_all(b"stuck").expect("never fails");
        queue.flush(Duration::from_millis(10));
    }

    #[test]
    fn lines_that_are_refused_are_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = LogQueue::start(Full).expect("a thread");
        queue.make_writer().write_all(b"a line").expect("never fails");
        queue.flush(Duration::from_secs(20));
        assert_eq!(queue.lost(), LostLines { queue_full: 0, write_failed: 1 });
    }
}
