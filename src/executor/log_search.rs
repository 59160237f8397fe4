//! Searches a log for the lines that match a pattern, on a thread that may block.
//!
//! A pattern comes from a client and may be slow: the time of a match is the length of the line times the size of the
//! pattern. So a search ends after a time and a number of bytes, and says where to go on. Only a few searches run at once,
//! since each one takes a processor. A search whose caller has gone stops at the next line.
//!
//! A line longer than `LINE_BYTES_MAX` is searched in pieces of that length. A match across two pieces is not found.
//! Rejected: whole lines. One line may be as long as the log, and no deadline interrupts a match.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use regex::Regex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::logs::{self, From};

/// Searches that run at once. More would take the processors from the streams.
const SEARCHES_MAX: usize = 2;
/// How long a search waits for its turn. Clients give up after a minute.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a search lasts. It ends a slow pattern.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(3);
/// Bytes of the log that one search reads. It bounds the reads of the disk.
const SEARCH_BYTES_MAX: u64 = 16 << 20;
/// The longest piece of a line that is matched at once. It bounds the time between two looks at the clock.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes that a search holds in memory, besides one line.
const PAGE_BYTES: u64 = 256 << 10;
/// Bytes that an answer shows of one line, so that a few long lines do not fill it.
const SHOWN_BYTES_MAX: usize = 2_000;
/// Bytes that are shown of a long line before its match.
const CONTEXT_BYTES: usize = 200;

/// What the place of a line takes in an answer, so that many short lines do not fill it.
const PLACE_BYTES: usize = 12;

static SEARCHES: Semaphore = Semaphore::const_new(SEARCHES_MAX);

/// Which log, for what, and how much of it.
#[derive(Debug, Clone)]
pub struct LogSearch {
    /// Comes from an execution, never from a client.
    pub path: PathBuf,
    pub pattern: Regex,
    /// Where the search begins, in bytes.
    pub offset: u64,
    /// Whether the log will not grow.
    pub complete: bool,
    /// The search ends when the lines that it has found have this many bytes.
    pub found_bytes_max: usize,
}

/// Why a search has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEnd {
    /// All of the log has been searched.
    EndOfLog,
    /// The answer is full.
    Full,
    /// As many bytes as one search reads.
    Bytes,
    /// The time of a search is over.
    Time,
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// Each line that matches, with the byte at which it begins.
    pub lines: Vec<(u64, String)>,
    /// Where the next search begins.
    pub next_offset: u64,
    pub end: SearchEnd,
}

/// Searches a log. `None` when too many searches run.
///
/// # Errors
/// Any error of the disk.
///
/// # Cancel safety
/// Reads only. The search stops at the next line when the future is dropped.
pub async fn search(search: LogSearch) -> io::Result<Option<SearchResult>> {
    let Ok(turn) = tokio::time::timeout(TURN_TIME_MAX, SEARCHES.acquire()).await else {
        return Ok(None);
    };
    let turn = turn.map_err(io::Error::other)?;
    let gone = CancellationToken::new();
    let _guard = gone.clone().drop_guard();
    blocking(move || {
        // The thread runs on for a moment when the caller has gone, and counts as long.
        let _turn = turn;
        let until = Instant::now() + SEARCH_TIME_MAX;
        run(&search, || gone.is_cancelled() || Instant::now() >= until).map(Some)
    })
    .await
}

fn run(search: &LogSearch, is_over: impl Fn() -> bool) -> io::Result<SearchResult> {
    let LogSearch { path, pattern, offset, complete, found_bytes_max } = search;
    let (mut read_at, mut line_at) = (*offset, *offset);
    let mut result = SearchResult { lines: Vec::new(), next_offset: line_at, end: SearchEnd::EndOfLog };
    let (mut unread, mut found_bytes) = (Vec::new(), 0);
    loop {
        let page = logs::read_piece(path, From::Offset(read_at), PAGE_BYTES, *complete)?;
        let is_last = page.next_offset >= page.size || page.next_offset == read_at;
        read_at = page.next_offset;
        unread.extend(page.bytes);
        let mut begin = 0;
        while let Some(length) = next_line(&unread[begin..], is_last) {
            let line = String::from_utf8_lossy(&unread[begin..begin + length]);
            let line = line.trim_end_matches('\n');
            if let Some(found) = pattern.find(line) {
                let shown = excerpt(line, found.start());
                found_bytes += PLACE_BYTES + shown.len();
                result.lines.push((line_at, shown));
            }
            begin += length;
            line_at += length as u64;
            result.next_offset = line_at;
            let end = if is_last && begin == unread.len() {
                SearchEnd::EndOfLog
            } else if found_bytes >= *found_bytes_max {
                SearchEnd::Full
            } else if line_at - offset >= SEARCH_BYTES_MAX {
                SearchEnd::Bytes
            } else if is_over() {
                SearchEnd::Time
            } else {
                continue;
            };
            return Ok(SearchResult { end, ..result });
        }
        unread.drain(..begin);
        if is_last {
            return Ok(result);
        }
    }
}

/// The length of the first line or, of a longer one, of the first piece of it. `None` when more has to be read.
fn next_line(unread: &[u8], is_last: bool) -> Option<usize> {
    let within = &unread[..unread.len().min(LINE_BYTES_MAX)];
    match within.iter().position(|byte| *byte == b'\n') {
        Some(end) => Some(end + 1),
        None if unread.len() > LINE_BYTES_MAX => Some(LINE_BYTES_MAX - logs::cut_off(within)),
        None if is_last && !unread.is_empty() => Some(unread.len()),
        None => None,
    }
}

/// A line, or of a long one what is around its match.
fn excerpt(line: &str, match_at: usize) -> String {
    if line.len() <= SHOWN_BYTES_MAX {
        return line.to_owned();
    }
    let begin = line.floor_char_boundary(match_at.saturating_sub(CONTEXT_BYTES));
    let end = line.floor_char_boundary((begin + SHOWN_BYTES_MAX).min(line.len()));
    format!("[from its byte {begin} on] {} [a line of {} bytes]", &line[begin..end], line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], pattern: &str, offset: u64) -> (tempfile::TempDir, LogSearch) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        std::fs::write(&path, bytes).expect("written");
        let pattern = Regex::new(pattern).expect("a pattern");
        (directory, LogSearch { path, pattern, offset, complete: true, found_bytes_max: 1000 })
    }

    #[test]
    fn a_search_that_is_over_says_where_to_go_on() {
        let (_directory, search) = of(b"a1\na2\na3\n", "a", 0);
        let first = run(&search, || true).expect("read");
        assert_eq!((first.end, first.next_offset, first.lines.len()), (SearchEnd::Time, 3, 1));
        let rest = run(&LogSearch { offset: first.next_offset, ..search }, || false).expect("read");
        assert_eq!(rest.lines, [(3, "a2".to_owned()), (6, "a3".to_owned())]);
        assert_eq!((rest.end, rest.next_offset), (SearchEnd::EndOfLog, 9));
    }

    #[test]
    fn a_long_line_is_searched_in_pieces_that_end_with_characters() {
        // Three bytes each, which does not divide the length of a piece.
        let mut log = "€".repeat(50_000).into_bytes();
        log.extend(b"needle\nend\n");
        let (_directory, search) = of(&log, "needle|end", 0);
        let result = run(&search, || false).expect("read");
        let places: Vec<_> = result.lines.iter().map(|(at, _)| *at).collect();
        assert_eq!(places.len(), 2);
        assert_eq!(places[0] % 3, 0, "a piece begins with a character");
        assert!(places[0] < 150_000 && places[1] == 150_007, "{places:?}");
        let (_, shown) = &result.lines[0];
        assert!(shown.contains("needle [a line of") && shown.len() < 500, "{shown}");
        assert!(!shown.contains('\u{fffd}'), "{shown}");
    }

    #[test]
    fn an_answer_that_is_full_goes_on_behind_its_last_line() {
        let line = format!("{}\n", "x".repeat(499));
        let (_directory, search) = of(line.repeat(5).as_bytes(), "x", 0);
        let result = run(&search, || false).expect("read");
        assert_eq!((result.end, result.lines.len(), result.next_offset), (SearchEnd::Full, 2, 1000));
    }

    #[test]
    fn a_search_reads_no_more_than_its_bytes() {
        let log = vec![b'\n'; SEARCH_BYTES_MAX as usize + 10];
        let (_directory, search) = of(&log, "x", 5);
        let result = run(&search, || false).expect("read");
        assert_eq!((result.end, result.next_offset), (SearchEnd::Bytes, SEARCH_BYTES_MAX + 5));
    }
}
