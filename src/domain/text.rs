//! The strings of a task, each with its rule. A value of one of these types has been checked.
//!
//! Lengths count Unicode characters, as `maxLength` of the specification does. A *name* (assignee, tag) is one printable line without commas, since filters list names separated by commas;
//! a *text* (title, description, script) may hold anything that JSON can carry.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::MetaSchema;

use super::schema::text_type;

/// Longest title, in characters: it must fit a card and an event.
pub const TITLE_CHARS_MAX: usize = 500;
/// Longest assignee or tag, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Longest artifact path, in characters: `PATH_MAX` of Linux.
pub const ARTIFACT_CHARS_MAX: usize = 4096;
/// Longest description, in characters: one task must not fill the ring.
pub const DESCRIPTION_CHARS_MAX: usize = 1 << 20;
/// Longest script, in characters.
pub const SCRIPT_CHARS_MAX: usize = 256 << 10;

macro_rules! text_newtype {
    ($(#[$attribute:meta])+ $name:ident, $wire:literal, $check:expr, $meta:expr) => {
        $(#[$attribute])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn meta() -> MetaSchema {
                $meta
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        text_type!($name, $wire);
    };
}

text_newtype!(
    /// What a task is called: 1–500 characters, not blank.
    Title,
    "title",
    |text| {
        if is_blank(text) {
            return Err("must not be blank; send 1 to 500 characters".into());
        }
        at_most_chars(text, TITLE_CHARS_MAX)
    },
    MetaSchema {
        example: Some("Write the report".into()),
        min_length: Some(1),
        max_length: Some(TITLE_CHARS_MAX),
        pattern: Some(NOT_BLANK_PATTERN.into()),
        ..MetaSchema::new("string")
    }
);

text_newtype!(
    /// Who does a task: one printable line without commas, 1–200 characters.
    Assignee,
    "assignee",
    name,
    name_meta("alice")
);

text_newtype!(
    /// A label: one printable line without commas, 1–200 characters.
    Tag,
    "tag",
    name,
    name_meta("docs")
);

text_newtype!(
    /// What a token is called: one printable line without commas, 1–200 characters.
    TokenName,
    "token_name",
    name,
    name_meta("ci")
);

text_newtype!(
    /// The path of something a task produced, 1–4,096 characters. TaskHub stores it, and never opens it.
    Artifact,
    "artifact",
    |text| {
        if text.is_empty() {
            return Err("must not be empty; send a path".into());
        }
        at_most_chars(text, ARTIFACT_CHARS_MAX)
    },
    MetaSchema {
        example: Some("out/report.pdf".into()),
        min_length: Some(1),
        max_length: Some(ARTIFACT_CHARS_MAX),
        ..MetaSchema::new("string")
    }
);

text_newtype!(
    /// Markdown, up to 1,048,576 characters.
    #[derive(Default)]
    Description,
    "description",
    |text| at_most_chars(text, DESCRIPTION_CHARS_MAX),
    MetaSchema {
        example: Some("With *all* figures.".into()),
        max_length: Some(DESCRIPTION_CHARS_MAX),
        ..MetaSchema::new("string")
    }
);

text_newtype!(
    /// What an execution runs, up to 262,144 characters; a first line `#!…` names the interpreter, otherwise `sh`.
    Script,
    "script",
    |text| {
        if is_blank(text) {
            return Err("must not be blank; send a shell script or leave it out".into());
        }
        if text.contains('\0') {
            return Err("must not contain a NUL character".into());
        }
        at_most_chars(text, SCRIPT_CHARS_MAX)
    },
    MetaSchema {
        example: Some("make report".into()),
        min_length: Some(1),
        max_length: Some(SCRIPT_CHARS_MAX),
        pattern: Some(r"^[^\u0000]*(?:[^\s\u0000\u0085]|\ufeff)[^\u0000]*$".into()),
        ..MetaSchema::new("string")
    }
);

/// `pattern` of a text that is not blank, as [`is_blank`] has it.
pub const NOT_BLANK_PATTERN: &str = r"[^\s\u0085]|\ufeff";

/// Whether there is nothing but white space, as Unicode has it. `\s` of ECMA-262 has U+FEFF, too, and not U+0085.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// `pattern` of a name in the specification: no comma, no control character, not blank.
const NAME_PATTERN: &str = r"^[^,\u0000-\u001f\u007f-\u009f]*(?:[^,\s\u0000-\u001f\u007f-\u009f]|\ufeff)[^,\u0000-\u001f\u007f-\u009f]*$";

fn name_meta(example: &str) -> MetaSchema {
    MetaSchema {
        example: Some(example.into()),
        min_length: Some(1),
        max_length: Some(NAME_CHARS_MAX),
        pattern: Some(NAME_PATTERN.into()),
        ..MetaSchema::new("string")
    }
}

fn name(text: &str) -> Result<(), String> {
    if is_blank(text) {
        return Err("must not be blank; send 1 to 200 characters, or leave it out".into());
    }
    if text.chars().any(|c| c.is_control() || c == ',') {
        return Err("must not contain commas, line breaks or other control characters".into());
    }
    at_most_chars(text, NAME_CHARS_MAX)
}

fn at_most_chars(text: &str, max: usize) -> Result<(), String> {
    match text.chars().count() {
        count if count > max => Err(format!("is {count} characters long; at most {max} are allowed")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_may_hold_any_text_but_not_be_blank() {
        assert!("line\r\nid: 7\u{0}".parse::<Title>().is_ok());
        for blank in [" \n\t", "\u{85}\u{2028}"] {
            assert!(blank.parse::<Title>().is_err(), "{blank:?}");
        }
        assert!("é".repeat(TITLE_CHARS_MAX).parse::<Title>().is_ok());
        assert!("é".repeat(TITLE_CHARS_MAX + 1).parse::<Title>().is_err());
    }

    #[test]
    fn a_name_is_one_printable_line_without_commas() {
        assert!("Ada Lovelace".parse::<Assignee>().is_ok());
        for bad in ["", "  ", "a,b", "a\nb", "a\u{7f}"] {
            assert!(bad.parse::<Assignee>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_is_not_taken_for_a_string() {
        assert!(serde_json::from_str::<Title>("5").is_err());
        assert!(serde_json::from_str::<Title>("true").is_err());
        assert_eq!(serde_json::from_str::<Title>(r#""five""#).expect("a string").as_str(), "five");
    }
}
