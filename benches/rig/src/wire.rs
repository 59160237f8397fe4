//! What a stream sounds like on the wire, read as cheaply as possible: the bench shares the machine with the hub.
//!
//! Two layers of lines, HTTP/1.1 chunks and server-sent events, both fed with bytes as they come. Nothing is
//! copied but the line that a read has cut in two, and no JSON is parsed: the order of an envelope's first fields
//! is enough to find what is needed.

use anyhow::{Context, bail, ensure};
use memchr::memmem;

/// Lines out of pieces.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    /// Whether `partial` is a line that was handed out.
    whole: bool,
}

impl Lines {
    /// The next whole line without its `\n`; what comes after it is left in `bytes`.
    pub fn next<'l, 'b: 'l>(&'l mut self, bytes: &mut &'b [u8]) -> Option<&'l [u8]> {
        if std::mem::take(&mut self.whole) {
            self.partial.clear();
        }
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            *bytes = &[];
            return None;
        };
        let line = &bytes[..end];
        *bytes = &bytes[end + 1..];
        if self.partial.is_empty() {
            return Some(line);
        }
        self.partial.extend_from_slice(line);
        self.whole = true;
        Some(&self.partial)
    }
}

/// Where an answer in chunks stands. RFC 9112, section 7.1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    StatusLine,
    Head,
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    /// There are no chunks: all that comes is the body.
    Rest,
    /// The terminating chunk has come: nobody can take this for a connection that broke off.
    Ended,
}

/// An answer's body out of its chunks.
#[derive(Debug, Default)]
pub struct Body {
    part: Part,
    lines: Lines,
    chunked: bool,
}

impl Body {
    /// Takes bytes as they came, hands on those of the body.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut hand_on: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            if let Part::Data(left) = self.part {
                let (data, rest) = bytes.split_at(left.min(bytes.len()));
                self.part = if data.len() == left { Part::DataEnd } else { Part::Data(left - data.len()) };
                bytes = rest;
                hand_on(data)?;
                continue;
            }
            if self.part == Part::Rest {
                return hand_on(bytes);
            }
            let Some(line) = self.lines.next(&mut bytes) else {
                return Ok(());
            };
            let line = std::str::from_utf8(line).context("a line that is not text")?.trim_end_matches('\r');
            self.part = match (self.part, line) {
                (Part::StatusLine, line) => {
                    ensure!(line.starts_with("HTTP/1.1 200"), "the stream was refused: {line}");
                    Part::Head
                }
                (Part::Head, "") if self.chunked => Part::Size,
                (Part::Head, "") => Part::Rest,
                (Part::Head, line) => {
                    self.chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked");
                    Part::Head
                }
                (Part::Size, line) => match usize::from_str_radix(line, 16).context("no size of a chunk")? {
                    0 => Part::Trailer,
                    size => Part::Data(size),
                },
                (Part::DataEnd, "") => Part::Size,
                (Part::Trailer, "") => Part::Ended,
                (part, line) => bail!("unexpected at {part:?}: {line:?}"),
            };
        }
        Ok(())
    }

    /// Whether the head has been read: the server has answered.
    pub fn opened(&self) -> bool {
        !matches!(self.part, Part::StatusLine | Part::Head)
    }

    pub fn ended(&self) -> bool {
        self.part == Part::Ended
    }
}

/// One message of the stream.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The seq of its id: of the event, or where a control message stands.
    pub seq: u64,
    /// Which event it is.
    pub word: &'a [u8],
    /// The envelope.
    pub data: &'a [u8],
}

/// Messages out of a body. WHATWG HTML, section 9.2.6, as far as the hub makes use of it.
#[derive(Debug, Default)]
pub struct Messages {
    lines: Lines,
    seq: u64,
    /// The last time to reconnect that was named.
    pub retry_ms: Option<u64>,
}

impl Messages {
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Message<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while let Some(line) = self.lines.next(&mut bytes) {
            // An envelope is one line, so its message can be had without waiting for the empty one.
            if let Some(data) = line.strip_prefix(b"data: ") {
                let word = text_after(data, b"\"event\":\"").context("an envelope without its event")?;
                each(Message { seq: self.seq, word, data })?;
            } else if let Some(id) = line.strip_prefix(b"id: ") {
                self.seq = seq(id).context("an id without a seq")?;
            } else if let Some(time) = line.strip_prefix(b"retry: ") {
                self.retry_ms = number(time);
            } else if !line.is_empty() && line[0] != b':' {
                bail!("an unknown field: {}", String::from_utf8_lossy(line));
            }
        }
        Ok(())
    }
}

/// The text after `name`, up to the next quotation mark. Only the beginning is searched: what is looked for stands
/// there, and an envelope may be long.
pub fn text_after<'a>(json: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    const SEARCHED_MAX: usize = 256;
    let beginning = &json[..json.len().min(SEARCHED_MAX)];
    let rest = &json[memmem::find(beginning, name)? + name.len()..];
    rest.get(..memchr::memchr(b'"', rest)?)
}

/// The second part of `{epoch}-{seq}`.
pub fn seq(id: &[u8]) -> Option<u64> {
    number(&id[memchr::memchr(b'-', id)? + 1..])
}

/// A number of nothing but digits.
pub fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
