//! Cuts a log into messages: bytes in, text or base64 out, without losing or adding a byte.
//!
//! A script may write half a character now and the other half later, or bytes that are not text. As
//! long as the log can grow, an unfinished character waits for its rest. Bytes that are not UTF-8
//! go as base64, so that a client can always restore the exact bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a log that the hub reads for one message.
pub(super) const WINDOW_BYTES: usize = 32 << 10;
/// Encoded bytes of one message without its envelope. A stream whose client does not read holds
/// this much. One byte of a log can take six bytes in JSON.
const ENCODED_BYTES_MAX: usize = (32 << 10) - 512;
/// A run of bytes that are not text ends at this much text in a row. Any binary has shorter
/// stretches of text; these go along as base64, because one message for each would be mostly
/// envelopes.
const TEXT_RUN_BYTES_MIN: usize = 64;

/// The first bytes of the input, encoded for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// How many bytes of the log the piece holds.
    pub length: usize,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Base64(String),
}

/// As much of the beginning of `bytes` as fits in one message. `growing`: more bytes may follow.
/// `None` when `bytes` is empty, or holds only an unfinished character that may still be completed.
pub(super) fn first_piece(bytes: &[u8], growing: bool) -> Option<Piece> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let (length, content) = match text.is_empty() {
        false => {
            let length = fitting(text);
            (length, Content::Text(text[..length].to_owned()))
        }
        true => {
            let length = odd_run(bytes, growing).min(ENCODED_BYTES_MAX / 4 * 3);
            (length, Content::Base64(STANDARD.encode(&bytes[..length])))
        }
    };
    (length > 0).then_some(Piece { length, content })
}

/// How many bytes of a text fit, in whole characters.
fn fitting(text: &str) -> usize {
    let mut encoded = 0;
    for (at, character) in text.char_indices() {
        encoded += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            // `Envelope` escapes these as `\uXXXX`.
            '\0'..' ' | '\u{85}' | '\u{2028}' | '\u{2029}' => 6,
            other => other.len_utf8(),
        };
        if encoded > ENCODED_BYTES_MAX {
            return at;
        }
    }
    text.len()
}

/// The length of the run at the beginning that is not text.
fn odd_run(bytes: &[u8], growing: bool) -> usize {
    let mut length = 0;
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().len() >= TEXT_RUN_BYTES_MIN {
            break;
        }
        length += chunk.valid().len();
        let is_last = length + chunk.invalid().len() == bytes.len();
        if growing && is_last && is_unfinished(chunk.invalid()) {
            break;
        }
        length += chunk.invalid().len();
    }
    length
}

fn is_unfinished(end: &[u8]) -> bool {
    std::str::from_utf8(end).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::event::Envelope;

    fn text(bytes: &[u8], growing: bool) -> Option<(usize, String)> {
        match first_piece(bytes, growing)? {
            Piece { length, content: Content::Text(text) } => Some((length, text)),
            other => panic!("{other:?}"),
        }
    }

    fn base64(bytes: &[u8], growing: bool) -> Option<usize> {
        match first_piece(bytes, growing)? {
            Piece { length, content: Content::Base64(_) } => Some(length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn half_a_character_waits_for_its_rest_until_nothing_can_follow() {
        assert_eq!(text(b"a\xe2\x82", true), Some((1, "a".into())));
        assert_eq!(first_piece(b"\xe2\x82", true), None);
        assert_eq!(text(b"\xe2\x82\xac", true), Some((3, "€".into())));
        assert_eq!(base64(b"\xe2\x82", false), Some(2));
        assert_eq!(base64(b"\xff\xe2\x82", true), Some(1), "what cannot become text does not wait");
        assert_eq!(base64(b"\xe2\x82a", true), Some(3), "nor does what was never finished");
        assert_eq!(first_piece(b"", false), None);
    }

    #[test]
    fn bytes_that_are_no_text_go_together_until_there_is_text_again() {
        assert_eq!(text(b"abc\xff", true), Some((3, "abc".into())));
        let line = "x".repeat(TEXT_RUN_BYTES_MIN);
        let run = [b"\xffELF\xfe", line.as_bytes()].concat();
        assert_eq!(base64(&run, true), Some(5));
        let run = [b"\xffELF\xfe", &line.as_bytes()[1..]].concat();
        assert_eq!(base64(&run, true), Some(run.len()));
    }

    #[test]
    fn carriage_returns_and_nuls_are_text() {
        assert_eq!(text(b"10%\r20%\r\n\0", true), Some((10, "10%\r20%\r\n\0".into())));
    }

    /// Bytes as scripts write them: text, binary, and what falls between.
    fn output() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            any::<String>().prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..200),
            proptest::sample::select(vec!["€", "\r", "\0", "\u{2028}", "é\n", "😀", "plain text\n"])
                .prop_map(|text| text.repeat(40).into_bytes()),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_join_to_the_bytes_however_they_come(bytes in output(), steps in proptest::collection::vec(1..200usize, 1..20)) {
            let (mut joined, mut written, mut steps) = (Vec::new(), 0, steps.into_iter().cycle());
            while joined.len() < bytes.len() {
                let growing = written < bytes.len();
                let window = &bytes[joined.len()..written];
                match first_piece(window, growing) {
                    Some(Piece { length, content: Content::Text(text) }) => {
                        prop_assert_eq!(text.as_bytes(), &window[..length]);
                        joined.extend_from_slice(text.as_bytes());
                    }
                    Some(Piece { length, content: Content::Base64(text) }) => {
                        let decoded = STANDARD.decode(text).expect("base64");
                        prop_assert_eq!(&decoded, &window[..length]);
                        joined.extend_from_slice(&decoded);
                    }
                    None => {
                        prop_assert!(growing && window.len() < 4, "nothing is held back for long");
                        written = bytes.len().min(written + steps.next().unwrap_or(1));
                    }
                }
            }
            prop_assert_eq!(joined, bytes);
        }
    }

    #[test]
    fn a_message_is_never_larger_than_a_page() {
        for unit in ["\0", "a", "\n", "€", "😀", "\u{2028}", "\u{85}", "\""] {
            let bytes = unit.repeat(WINDOW_BYTES / unit.len()).into_bytes();
            let Some((length, text)) = text(&bytes, true) else { panic!("{unit:?}") };
            assert!(length > WINDOW_BYTES / 8, "{unit:?}: {length}");
            let envelope = Envelope {
                id: u64::MAX,
                event: "log",
                data: text,
                timestamp: crate::domain::clock::Timestamp::from_ms(0),
            };
            let encoded = envelope.encode().len();
            assert!(encoded <= 32 << 10, "{unit:?}: {encoded}");
        }
        let binary = [0xff; WINDOW_BYTES];
        let Some(Piece { content: Content::Base64(encoded), .. }) = first_piece(&binary, true) else {
            panic!("bytes");
        };
        assert!(encoded.len() <= ENCODED_BYTES_MAX);
    }
}
