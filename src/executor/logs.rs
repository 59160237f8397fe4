//! Reads the logs of executions, while they grow or afterwards: in pages, from an offset or from
//! the end, or as a download.
//!
//! Offsets count bytes, so that a reader continues exactly where it stopped. Text is UTF-8, with
//! U+FFFD for invalid bytes. A page never ends within a character: that character begins the next
//! page. Paths come from an execution's number alone, never from a client.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::blocking::blocking;
use super::{directory, plain_file};

/// Bytes of a log that one download holds in memory.
const PIECE_BYTES: usize = 64 << 10;

/// The length of the longest UTF-8 character. A smaller page might never get past one.
const PAGE_BYTES_MIN: u64 = 4;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// This many bytes after the start.
    Offset(u64),
    /// This many lines before the end, or as many of them as fit in a page.
    Tail(usize),
}

/// A piece of a log. `offset <= next_offset <= size`, in bytes from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// Where `text` begins.
    pub offset: u64,
    /// Where the next page begins.
    pub next_offset: u64,
    /// The size of the log when the page was read.
    pub size: u64,
    pub text: String,
    /// Whether the log does not exist.
    pub is_missing: bool,
}

/// The same piece as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBytes {
    pub offset: u64,
    pub next_offset: u64,
    pub size: u64,
    pub bytes: Vec<u8>,
    pub is_missing: bool,
}

impl std::convert::From<LogBytes> for LogPage {
    fn from(piece: LogBytes) -> Self {
        let LogBytes { offset, next_offset, size, bytes, is_missing } = piece;
        Self { offset, next_offset, size, text: String::from_utf8_lossy(&bytes).into_owned(), is_missing }
    }
}

/// Where the logs of all executions are.
pub(super) fn all(data_dir: &Path) -> PathBuf {
    data_dir.join("logs")
}

/// Makes an empty log. Replaces a file that an earlier database left under this number, and makes
/// the directory again if somebody has removed it.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if let Some(place) = path.parent() {
        directory::make_private(place)?;
    }
    plain_file::create(path, 0o600).map(drop)
}

/// An open log, as it was when it was opened.
#[derive(Debug)]
pub struct OpenLog {
    file: File,
    /// In bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: SystemTime,
}

/// Opens a log. Refuses anything but a regular file, because a script may have put something else
/// in its place.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when it is not a regular file, [`ErrorKind::NotFound`] before the
/// start, or any error of the disk.
pub async fn open(path: &Path) -> io::Result<OpenLog> {
    let path = path.to_owned();
    blocking(move || {
        let file = plain_file::open(&path)?;
        let metadata = file.metadata()?;
        Ok(OpenLog { size: metadata.len(), modified: metadata.modified()?, file })
    })
    .await
}

impl OpenLog {
    /// Streams `length` bytes from `first` on, one piece at a time. Ends in an error if the file
    /// was truncated meanwhile.
    pub fn read(self, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let file = Arc::new(self.file);
        stream::try_unfold((first, length), move |(at, left)| {
            let file = file.clone();
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let piece = blocking(move || {
                    let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES))];
                    file.read_exact_at(&mut piece, at)?;
                    Ok(Bytes::from(piece))
                })
                .await?;
                let next = piece.len() as u64;
                Ok(Some((piece, (at + next, left - next))))
            }
        })
    }
}

/// Reads at most `bytes_max` bytes. A log that does not exist yet counts as empty.
///
/// `complete` says that the log will not grow. An unfinished character at its end then becomes
/// U+FFFD; otherwise it waits for the rest. `path` must come from an execution, never from a
/// client.
///
/// # Errors
/// Any error of the disk.
pub async fn read_page(path: &Path, from: From, bytes_max: usize, complete: bool) -> io::Result<LogPage> {
    Ok(read_bytes(path, from, bytes_max, complete).await?.into())
}

/// The same without making text of it. Text has other lengths where the log is not UTF-8.
///
/// # Errors
/// Any error of the disk.
pub async fn read_bytes(path: &Path, from: From, bytes_max: usize, complete: bool) -> io::Result<LogBytes> {
    let path = path.to_owned();
    blocking(move || read_piece(&path, from, bytes_max as u64, complete)).await
}

/// The same on a thread that may block.
pub(super) fn read_piece(path: &Path, from: From, bytes_max: u64, complete: bool) -> io::Result<LogBytes> {
    let mut file = match plain_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(LogBytes { is_missing: true, ..piece(0, 0, Vec::new()) });
        }
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    let bytes_max = bytes_max.max(PAGE_BYTES_MIN);
    let start = match from {
        From::Offset(offset) => offset.min(size),
        From::Tail(_) => size.saturating_sub(bytes_max),
    };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(bytes_max.min(size - start)).read_to_end(&mut bytes)?;

    // Shorter than expected if the file was truncated meanwhile.
    let end = start + bytes.len() as u64;
    if !(complete && end >= size) {
        bytes.truncate(bytes.len() - cut_off(&bytes));
    }
    let skipped = match from {
        From::Offset(_) => 0,
        From::Tail(lines) => tail_start(&bytes, lines, start > 0),
    };
    Ok(piece(start + skipped as u64, size, bytes.split_off(skipped)))
}

fn piece(offset: u64, size: u64, bytes: Vec<u8>) -> LogBytes {
    LogBytes { offset, next_offset: offset + bytes.len() as u64, size, bytes, is_missing: false }
}

/// Where the last `lines` lines begin. `is_cut`: the first line in `bytes` began before `bytes`.
/// That part of a line is left out, unless `bytes` holds nothing else.
fn tail_start(bytes: &[u8], lines: usize, is_cut: bool) -> usize {
    if lines == 0 {
        return bytes.len();
    }
    // The line break at the end of the last line begins no new line.
    let inner = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let is_break = |byte: &u8| *byte == b'\n';
    let mut breaks = (0..inner.len()).rev().filter(|at| is_break(&inner[*at]));
    match breaks.nth(lines - 1) {
        Some(at) => at + 1,
        None if is_cut => inner.iter().position(is_break).map_or(0, |at| at + 1),
        None => 0,
    }
}

/// The length of an unfinished character at the end.
pub(super) fn cut_off(bytes: &[u8]) -> usize {
    for length in 1..=bytes.len().min(3) {
        let end = &bytes[bytes.len() - length..];
        // Not a continuation byte: a character or an invalid byte begins here.
        if end[0] & 0b1100_0000 != 0b1000_0000 {
            let is_unfinished = std::str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
            return if is_unfinished { length } else { 0 };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, from: From, bytes_max: u64, complete: bool) -> io::Result<LogPage> {
        read_piece(path, from, bytes_max, complete).map(LogPage::from)
    }

    fn log(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        std::fs::write(&path, bytes).expect("written");
        (directory, path)
    }

    fn whole(bytes: &[u8], from: From, bytes_max: u64) -> LogPage {
        let (_directory, path) = log(bytes);
        read(&path, from, bytes_max, true).expect("read")
    }

    fn tail(bytes: &[u8], lines: usize) -> String {
        whole(bytes, From::Tail(lines), 1000).text
    }

    #[test]
    fn pages_join_to_the_whole_whatever_their_size() {
        let text = "aé€😀\r\nß".repeat(20);
        let (_directory, path) = log(text.as_bytes());
        for bytes_max in 0..40 {
            let (mut joined, mut offset) = (String::new(), 0);
            while offset < text.len() as u64 {
                let page = read(&path, From::Offset(offset), bytes_max, false);
                let page = page.expect("read");
                assert_eq!(page.offset, offset);
                assert!(page.next_offset > offset);
                joined.push_str(&page.text);
                offset = page.next_offset;
            }
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn half_a_character_at_the_end_is_waited_for_until_nothing_can_follow() {
        let (_directory, path) = log(b"a\xe2\x82");
        let growing = read(&path, From::Offset(0), 100, false).expect("read");
        assert_eq!((growing.text.as_str(), growing.next_offset), ("a", 1));
        let waiting = read(&path, From::Offset(1), 100, false).expect("read");
        assert_eq!((waiting.text.as_str(), waiting.next_offset), ("", 1));
        let complete = read(&path, From::Offset(0), 100, true).expect("read");
        assert_eq!((complete.text.as_str(), complete.next_offset), ("a\u{fffd}", 3));
    }

    #[test]
    fn any_offset_into_any_bytes_is_answered() {
        let bytes: Vec<u8> = (0..=255).chain("é€😀".bytes()).collect();
        for offset in 0..300 {
            for complete in [false, true] {
                let (_directory, path) = log(&bytes);
                let page = read(&path, From::Offset(offset), 5, complete);
                let page = page.expect("read");
                assert_eq!(page.offset, offset.min(bytes.len() as u64));
                assert!(page.next_offset <= page.size);
            }
        }
    }

    #[test]
    fn beyond_the_end_and_before_the_beginning_there_is_nothing() {
        let beyond = whole(b"abc", From::Offset(99), 10);
        assert_eq!((beyond.offset, beyond.next_offset, beyond.size), (3, 3, 3));
        let missing = read(Path::new("/nowhere/log"), From::Tail(3), 10, false);
        assert_eq!(missing.expect("empty"), LogBytes { is_missing: true, ..piece(0, 0, Vec::new()) }.into());
    }

    #[test]
    fn a_tail_counts_lines_and_not_line_breaks() {
        assert_eq!(tail(b"1\n2\n3\n", 2), "2\n3\n");
        assert_eq!(tail(b"1\n2\n3", 2), "2\n3");
        assert_eq!(tail(b"1\n\n\n", 2), "\n\n");
        assert_eq!(tail(b"1\n2\n", 9), "1\n2\n");
        assert_eq!(tail(b"1\n2\n", 0), "");
        assert_eq!(tail(b"", 3), "");
        assert_eq!(tail(b"\n", 1), "\n");
    }

    #[test]
    fn a_tail_longer_than_a_page_begins_with_a_whole_line_if_there_is_one() {
        let page = whole(b"first\nsecond\nthird\n", From::Tail(3), 14);
        assert_eq!((page.text.as_str(), page.offset), ("second\nthird\n", 6));
        let page = whole(b"one long line", From::Tail(1), 4);
        assert_eq!((page.text.as_str(), page.next_offset), ("line", 13));
    }
}
