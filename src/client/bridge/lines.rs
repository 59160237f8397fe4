//! Reads lines of a bounded length. A line that is too long is skipped to its end and reported once, so that the line after
//! it is read as usual.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line. Otherwise a program that never ends its line fills the memory.
pub const LINE_BYTES_MAX: usize = 16 << 20;

const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its end.
    Whole(Bytes),
    TooLong,
}

#[derive(Debug)]
pub struct Lines<R> {
    input: BufReader<R>,
    /// The line so far.
    line: BytesMut,
    is_too_long: bool,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(input: R, bytes_max: usize) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Self { input, line: BytesMut::new(), is_too_long: false, bytes_max }
    }

    /// The next line that is not blank; `None` at the end of the input. A last line without an end is not complete, and is left
    /// out.
    ///
    /// # Errors
    /// Those of the input.
    ///
    /// # Cancel safety
    /// What was read is kept for the next call.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let read = self.input.fill_buf().await?;
            if read.is_empty() {
                return Ok(None);
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let piece = &read[..end.unwrap_or(read.len())];
            if self.line.len() + piece.len() > self.bytes_max {
                self.is_too_long = true;
                self.line = BytesMut::new();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(piece);
            }
            let taken = piece.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_none() {
                continue;
            }
            if std::mem::take(&mut self.is_too_long) {
                return Ok(Some(Line::TooLong));
            }
            let line = std::mem::take(&mut self.line).freeze();
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Line::Whole(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_costs_only_itself() {
        let text = format!("12345678\n\r\n{}\n123456789\nshort\r\nno end", "x".repeat(3 * BUFFER_BYTES));
        let mut lines = Lines::new(text.as_bytes(), 8);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.expect("it can be read") {
            read.push(line);
        }
        let whole = |text: &'static str| Line::Whole(Bytes::from_static(text.as_bytes()));
        assert_eq!(read, [whole("12345678"), Line::TooLong, Line::TooLong, whole("short\r")]);
    }
}
