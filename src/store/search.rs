//! Searching texts as people do: upper and lower case are the same, and so are two ways of writing one character.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use unicode_normalization::UnicodeNormalization;

/// The function of SQL that says whether a text, its first argument, contains another one that is [`folded`].
pub(super) const CONTAINS: &str = "contains_folded";

/// Makes a connection know [`CONTAINS`].
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(CONTAINS, 2, flags, |context| {
        let (text, wanted) = (context.get_raw(0).as_str()?, context.get_raw(1).as_str()?);
        Ok(contains(text, wanted))
    })
}

/// A text without what searches pass over: "STRASSE" and "Straße", "É" and "e" with an accent of its own, are one. Like
/// the canonical caseless matching of Unicode (section 3.13.5), but for a few letters without a capital.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // By way of the capitals, which are longer where one letter stands for several. Character by character: a sigma at
    // the end of a word is as any other.
    let folded: String = text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.nfc().collect()
}

fn contains(text: &str, wanted: &str) -> bool {
    folded(text).contains(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_the_way_of_writing_make_no_difference() {
        let found = [
            ("ÄPFEL", "äpfel"),
            ("äpfel und Birnen", "ÄPFEL"),
            ("Straße", "STRASSE"),
            ("STRASSE", "straße"),
            ("cafe\u{301}", "café"),
            ("CAFÉ", "cafe\u{301}"),
            ("ΟΔΟΣ", "οδος"),
            ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
            ("ПРИВЕТ", "привет"),
            ("plain ASCII", "N asc"),
            ("nul\0needle", "\0NEEDLE"),
            ("anything", ""),
        ];
        for (text, wanted) in found {
            assert!(contains(text, &folded(wanted)), "{wanted:?} in {text:?}");
        }
        for (text, wanted) in [("Apfel", "äpfel"), ("cafe", "café"), ("ab", "abc")] {
            assert!(!contains(text, &folded(wanted)), "{wanted:?} in {text:?}");
        }
    }
}
