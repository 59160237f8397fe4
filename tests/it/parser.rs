//! Two readers of streams, written from the standards and from nothing of the hub's: server-sent events as
//! WHATWG HTML, sections 9.2.5 and 9.2.6, has them, and NDJSON. What the hub writes is not read by what the
//! hub writes with.
//!
//! They read on past anything, as a browser does, and note what a hub would never send; whoever reads a
//! hub's stream looks at `fields`. A stream that ends needs no word: what is unfinished was never dispatched.

use std::collections::{BTreeMap, VecDeque};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The type: `message` without an `event:` line.
    pub kind: String,
    pub last_event_id: String,
    pub data: String,
}

/// Reads server-sent events. Feed it bytes as they come.
#[derive(Debug, Default)]
pub struct Parser {
    /// Bytes of the line that has not ended. Decoded as a whole, so a character may come in pieces.
    line: Vec<u8>,
    after_cr: bool,
    after_first_line: bool,
    data: String,
    kind: String,
    id: String,
    /// What a client would send as `Last-Event-ID`: the id at the last empty line.
    pub last_event_id: String,
    pub retry_ms: Option<u64>,
    pub comments: Vec<String>,
    /// How many lines each field has had, those that mean nothing included.
    pub fields: BTreeMap<String, usize>,
    pub messages: VecDeque<Message>,
}

impl Parser {
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    let bytes = std::mem::take(&mut self.line);
                    let line = String::from_utf8_lossy(&bytes);
                    // UTF-8 decode takes one byte order mark, from the beginning of the stream alone.
                    match std::mem::replace(&mut self.after_first_line, true) {
                        true => self.end_of_line(&line),
                        false => self.end_of_line(line.strip_prefix('\u{feff}').unwrap_or(&line)),
                    }
                }
                _ => self.line.push(byte),
            }
        }
    }

    /// Whether nothing of a message has arrived that is not yet dispatched.
    pub fn is_between_messages(&self) -> bool {
        self.line.is_empty() && self.data.is_empty() && self.kind.is_empty()
    }

    fn end_of_line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        if field.is_empty() {
            return self.comments.push(value.to_owned());
        }
        *self.fields.entry(field.to_owned()).or_default() += 1;
        match field {
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => self.kind = value.to_owned(),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            // A number too large for us is no other number.
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id.clone_from(&self.id);
        let (mut data, kind) = (std::mem::take(&mut self.data), std::mem::take(&mut self.kind));
        if data.is_empty() {
            return;
        }
        data.pop();
        self.messages.push_back(Message {
            kind: if kind.is_empty() { "message".to_owned() } else { kind },
            last_event_id: self.last_event_id.clone(),
            data,
        });
    }
}

/// Reads NDJSON: a line ends at LF, and nowhere else.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    pub blank: usize,
    pub lines: VecDeque<String>,
}

impl Lines {
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' if self.line.is_empty() => self.blank += 1,
                b'\n' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).expect("JSON is UTF-8");
                    self.lines.push_back(line);
                }
                _ => self.line.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8]) -> Parser {
        let mut whole = Parser::default();
        whole.feed(stream);
        for cut in 0..=stream.len() {
            let mut halves = Parser::default();
            halves.feed(&stream[..cut]);
            halves.feed(&stream[cut..]);
            assert_eq!(format!("{whole:?}"), format!("{halves:?}"), "cut at {cut}");
        }
        whole
    }

    /// The messages of a stream as type, id, data.
    fn messages(stream: &str) -> Vec<(String, String, String)> {
        let messages = read(stream.as_bytes()).messages;
        messages.into_iter().map(|it| (it.kind, it.last_event_id, it.data)).collect()
    }

    fn message(kind: &str, id: &str, data: &str) -> (String, String, String) {
        (kind.to_owned(), id.to_owned(), data.to_owned())
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        assert_eq!(messages("data: YHOO\ndata: +2\ndata: 10\n\n"), [message("message", "", "YHOO\n+2\n10")]);
        let ids =
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let expected = [
            message("message", "1", "first event"),
            message("message", "", "second event"),
            message("message", "", " third event"),
        ];
        assert_eq!(messages(ids), expected);
        assert_eq!(read(ids.as_bytes()).comments, ["test stream"]);
        let empty = [message("message", "", ""), message("message", "", "\n")];
        assert_eq!(messages("data\n\ndata\ndata\n\ndata:"), empty);
        assert_eq!(messages("data:test\n\ndata: test\n\n"), vec![message("message", "", "test"); 2]);
        let named = "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\ndata: 1\n\n";
        let expected =
            [message("add", "", "73857293"), message("remove", "", "2153"), message("message", "", "1")];
        assert_eq!(messages(named), expected);
    }

    #[test]
    fn a_line_ends_at_cr_lf_or_both_and_nowhere_else() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = ["id: 1", "data: a", "data: b", "", "data: c", "", ""].join(end);
            let expected = [message("message", "1", "a\nb"), message("message", "1", "c")];
            assert_eq!(messages(&stream), expected, "{end:?}");
        }
        assert_eq!(messages("data: a\r\n\rdata: b\n\r"), ["a", "b"].map(|it| message("message", "", it)));
        let odd = "a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\0g";
        assert_eq!(messages(&format!("data: {odd}\n\n")), [message("message", "", odd)]);
    }

    #[test]
    fn a_byte_order_mark_is_taken_from_the_beginning_alone() {
        let stream = "\u{feff}data: a\n\n\u{feff}data: b\n\ndata: \u{feff}c\n\n";
        assert_eq!(messages(stream), ["a", "\u{feff}c"].map(|it| message("message", "", it)));
        assert!(read(stream.as_bytes()).fields.contains_key("\u{feff}data"));
        assert_eq!(messages("\u{feff}\u{feff}data: a\n\n"), []);
        assert_eq!(messages("\u{feff}\ndata: a\n\n"), [message("message", "", "a")]);
    }

    #[test]
    fn an_id_stays_until_another_comes_and_counts_from_the_empty_line_on() {
        let stream = "id: 1\n\ndata: a\n\nid: x\0y\ndata: b\n\nid: 2\nevent: unfinished\ndata: c\n";
        assert_eq!(messages(stream), ["a", "b"].map(|it| message("message", "1", it)));
        assert_eq!(read(stream.as_bytes()).last_event_id, "1");
    }

    #[test]
    fn an_event_without_data_is_not_dispatched_and_leaves_no_type_behind() {
        assert_eq!(messages("event: a\n\ndata: x\n\n"), [message("message", "", "x")]);
        assert_eq!(messages("event: a\nevent\ndata: x\n\n"), [message("message", "", "x")]);
    }

    #[test]
    fn only_digits_set_the_retry_and_what_is_unknown_is_passed_over() {
        let retry = |text: &str| read(text.as_bytes()).retry_ms;
        assert_eq!(retry("retry: 10\nretry: +5\nretry: 1s\nretry: -1\nretry:\nretry:  7\n"), Some(10));
        assert_eq!(retry("Retry: 1\n retry: 1\nretry : 1\n"), None);
        assert_eq!(retry("retry:5"), None);
        let parser = read(b"Data: a\n data: b\ndata : c\n\xff\ndata: \xf0\x9f\n\n");
        assert_eq!(parser.messages.len(), 1);
        assert_eq!(parser.messages[0].data, "\u{fffd}");
        assert_eq!(parser.fields.len(), 5);
    }

    #[test]
    fn a_line_of_json_ends_at_lf_alone_and_an_unfinished_one_is_none() {
        let mut lines = Lines::default();
        lines.feed("\n{\"a\":\"\u{2028}\u{85}\"}\r\n\n[".as_bytes());
        assert_eq!(
            (lines.blank, Vec::from(lines.lines)),
            (2, vec!["{\"a\":\"\u{2028}\u{85}\"}\r".to_owned()])
        );
    }
}
