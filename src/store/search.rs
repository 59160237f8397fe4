//! Text search. It ignores case, and it treats the different Unicode spellings of a character as
//! equal.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use unicode_normalization::UnicodeNormalization;

/// The SQL function that says whether its first argument contains its second. The second must be
/// [`folded`].
pub(super) const CONTAINS: &str = "contains_folded";

/// Adds the function [`CONTAINS`] to a connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(CONTAINS, 2, flags, |context| {
        let (text, wanted) = (context.get_raw(0).as_str()?, context.get_raw(1).as_str()?);
        Ok(contains(text, wanted))
    })
}

/// Removes the differences that a search ignores. "STRASSE" equals "Straße", and "É" equals "e"
/// with a combining accent. It works like Unicode's canonical caseless matching (section 3.13.5),
/// except for a few letters without a capital.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Goes through the capitals, because some letters have several letters as their capital. Goes
    // character by character, so that a sigma at the end of a word equals any other sigma.
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
