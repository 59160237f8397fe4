//! The log of one execution. It never grows beyond its limit.
//!
//! ```text
//! head                  all bytes, as they come, up to the limit less the tail and two marks
//! mark                  "limit reached …", as soon as there are more bytes
//! mark                  "… bytes left out here", when the execution ends
//! tail                  the last bytes, at most 1 MiB and half the limit
//! ```
//!
//! Every write checks the limit. A script can write a gigabyte a second, so a periodic check of the
//! file's size would come too late. Bytes once written stay where they are, because readers resume
//! by offset; log rotation would break that. The price: after the first mark the log shows nothing
//! new until the end, and a shim that is killed loses the tail.
//!
//! When a write to the disk fails, the log counts the bytes and reports them at the end. A failing
//! log never stops the script.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::statvfs;

use super::super::{directory, plain_file};

/// Bytes of the tail, which the shim keeps in memory.
const TAIL_BYTES_MAX: u64 = 1 << 20;
/// Space for the two marks, and for a final message about a full disk.
const MARKS_BYTES_MAX: u64 = 512;
/// With a lower limit the marks would be longer than the output.
const LOG_BYTES_MIN: u64 = 2048;

pub(super) struct CappedLog<W = File> {
    file: W,
    log_bytes_max: u64,
    /// Bytes that may still go to the file directly.
    head_room: u64,
    tail_bytes_max: usize,
    tail: VecDeque<u8>,
    is_over: bool,
    /// Bytes that newer bytes pushed out of the tail.
    left_out: u64,
    /// Bytes that the disk refused.
    refused: u64,
    refusal: Option<io::Error>,
    ends_line: bool,
}

impl CappedLog {
    /// Opens the log for appending; bytes that it already holds count.
    pub fn open(path: &Path, log_bytes_max: u64) -> io::Result<Self> {
        // The hub has made the file. The open refuses a link, which would lead the output
        // elsewhere.
        let mut options = OpenOptions::new();
        let file = plain_file::open_with(options.read(true).append(true).create(true).mode(0o600), path)?;
        let size = file.metadata()?.len();
        Ok(Self::new(file, size, log_bytes_max))
    }

    /// Puts the log back when somebody has removed or replaced it: the open file can still be read.
    /// From then on the log goes to the new file.
    ///
    /// # Errors
    /// Any error of the disk.
    pub fn put_back(&mut self, path: &Path) -> io::Result<()> {
        if directory::is_at(&self.file, path) {
            return Ok(());
        }
        if let Some(place) = path.parent() {
            directory::make_private(place)?;
        }
        let bytes = self.file.metadata()?.len();
        if statvfs(path.parent().unwrap_or(path)).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < bytes) {
            return Err(ErrorKind::StorageFull.into());
        }
        drop(plain_file::create(path, 0o600)?);
        let mut copy = plain_file::open_with(OpenOptions::new().read(true).append(true), path)?;
        self.file.seek(SeekFrom::Start(0))?;
        if let Err(error) = io::copy(&mut self.file, &mut copy) {
            // A partial copy would take space, and readers would take it for the whole log.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        self.file = copy;
        Ok(())
    }

    /// Writes the end of the log and syncs it. Returns how many bytes of the output are not in it,
    /// if that is known, and the last error of the disk.
    pub fn finish(mut self, path: &Path) -> (Option<u64>, io::Result<()>) {
        self.complete();
        let kept = self.put_back(path).and_then(|()| self.file.sync_all());
        let left_out = kept.is_ok().then_some(self.left_out + self.refused);
        (left_out, kept.and(self.refusal.map_or(Ok(()), Err)))
    }
}

impl<W: Write> CappedLog<W> {
    fn new(file: W, size: u64, log_bytes_max: u64) -> Self {
        let log_bytes_max = log_bytes_max.max(LOG_BYTES_MIN);
        let room = (log_bytes_max - MARKS_BYTES_MAX).saturating_sub(size);
        let tail_bytes_max = TAIL_BYTES_MAX.min(log_bytes_max / 2).min(room);
        Self {
            file,
            log_bytes_max,
            head_room: room - tail_bytes_max,
            tail_bytes_max: usize::try_from(tail_bytes_max).unwrap_or(usize::MAX),
            tail: VecDeque::new(),
            is_over: false,
            left_out: 0,
            refused: 0,
            refusal: None,
            ends_line: true,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.head_room).unwrap_or(usize::MAX);
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        if !head.is_empty() {
            self.head_room -= head.len() as u64;
            self.append(head);
        }
        if !rest.is_empty() {
            if !self.is_over {
                self.is_over = true;
                self.mark(&format!(
                    "the log has reached its limit of {} bytes; its end will follow when the execution ends",
                    self.log_bytes_max
                ));
            }
            self.remember(rest);
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.tail_bytes_max)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(self.tail_bytes_max);
        self.tail.drain(..excess);
        self.tail.extend(kept);
        self.left_out += (excess + bytes.len() - kept.len()) as u64;
    }

    fn complete(&mut self) {
        if self.left_out > 0 {
            self.mark(&format!("{} bytes left out here", self.left_out));
        }
        let tail = std::mem::take(&mut self.tail);
        let (front, back) = tail.as_slices();
        self.append(front);
        self.append(back);
        if self.refused > 0 {
            let refused = self.refused;
            self.mark(&format!("{refused} bytes could not be written"));
        }
    }

    /// Writes a line of the shim's own into the log.
    fn mark(&mut self, text: &str) {
        let start = if self.ends_line { "" } else { "\n" };
        // Only refused bytes of the script count.
        let refused = self.refused;
        self.append(format!("{start}[taskhub: {text}]\n").as_bytes());
        self.refused = refused;
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) if count > 0 => {
                    self.ends_line = bytes[count - 1] == b'\n';
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    self.refused += bytes.len() as u64;
                    self.refusal = Some(result.err().unwrap_or(ErrorKind::WriteZero.into()));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(log_bytes_max: u64, size: u64, output: &[u8], chunk: usize) -> Vec<u8> {
        let mut log = CappedLog::new(Vec::new(), size, log_bytes_max);
        for part in output.chunks(chunk) {
            log.write(part);
        }
        log.complete();
        log.file
    }

    #[test]
    fn below_the_limit_the_log_is_the_output() {
        let output: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        assert_eq!(written(65_536, 0, &output, 7), output);
    }

    #[test]
    fn a_log_a_little_too_long_is_all_there_around_a_mark() {
        let output = b"0123456789".repeat(400);
        let log = written(4096, 0, &output, 333);
        let text = String::from_utf8(log).expect("digits");
        let (before, after) = text.split_once("\n[taskhub: ").expect("a mark");
        let (mark, after) = after.split_once("]\n").expect("its end");
        assert!(mark.contains("limit of 4096 bytes"), "{mark}");
        assert!(!mark.contains("left out"));
        let after = after.rsplit_once("]\n").map_or(after, |(_, tail)| tail);
        assert!(output.starts_with(before.as_bytes()));
        assert!(output.ends_with(after.as_bytes()));
    }

    #[test]
    fn a_flood_leaves_its_beginning_its_end_and_the_count_between() {
        let output: Vec<u8> = (0..200_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        for chunk in [1000, 65_536, output.len()] {
            let log = written(65_536, 0, &output, chunk);
            assert!(log.len() <= 65_536, "{}", log.len());
            let text = String::from_utf8(log).expect("text");
            assert!(text.starts_with("0\n1\n2\n"));
            assert!(text.ends_with("199998\n199999\n"));
            let (before, after) = text.split_once("[taskhub: ").expect("a mark");
            let before = before.trim_end_matches('\n').len();
            let (_, after) = after.split_once("[taskhub: ").expect("another");
            let (count, tail) = after.split_once(" bytes left out here]\n").expect("a count");
            let count: usize = count.parse().expect("a number");
            let sum = before + count + tail.len();
            assert!((output.len() - sum) <= 1, "{sum} of {}", output.len());
        }
    }

    #[test]
    fn what_an_earlier_attempt_wrote_counts() {
        let log = written(65_536, 60_000, &[b'x'; 100_000], 1000);
        assert!(60_000 + log.len() <= 65_536, "{}", log.len());
        assert!(log.starts_with(b"[taskhub: the log has reached"));
    }

    #[test]
    fn a_full_disk_stops_nothing_and_is_counted() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(self.0);
                self.0 -= count;
                if count == 0 {
                    return Err(ErrorKind::StorageFull.into());
                }
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut log = CappedLog::new(Full(10), 0, 65_536);
        log.write(&[b'x'; 25]);
        log.write(b"y");
        assert_eq!(log.refused, 16);
        assert_eq!(log.refusal.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    }
}
