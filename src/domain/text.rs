//! The strings of a task. Each has a type, and each type has a rule. A value of such a type keeps
//! its rule.
//!
//! A length counts Unicode characters, as `maxLength` of the specification does. A *name*
//! (assignee, tag) is one printable line without commas, because filters separate names by commas.
//! A *text* (title, description, script) may hold anything that JSON can carry.

use poem_openapi::registry::MetaSchema;

/// The word in a filter that matches tasks without an assignee.
pub const NOBODY: &str = "none";
/// Longest title, in characters. A title must fit on a card and into an event.
pub const TITLE_CHARS_MAX: usize = 500;
/// Longest assignee or tag, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Longest artifact path, in characters: `PATH_MAX` of Linux.
pub const ARTIFACT_CHARS_MAX: usize = 4096;
/// Longest description, in characters. It bounds the size of one task in a list and in a snapshot.
pub const DESCRIPTION_CHARS_MAX: usize = 1 << 20;
/// Longest script, in characters.
pub const SCRIPT_CHARS_MAX: usize = 256 << 10;

/// Makes a newtype over a string. `$check` refuses what breaks its rule, and `$meta` is its schema.
macro_rules! text_newtype {
    ($(#[$attribute:meta])+ $name:ident, $wire:literal, $check:expr, $meta:expr) => {
        $(#[$attribute])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn meta() -> ::poem_openapi::registry::MetaSchema {
                $meta
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        $crate::domain::schema::text_type!($name, $wire);
    };
}

pub(super) use text_newtype;

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
        pattern: Some(SEEN_PATTERN.into()),
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
    /// Who wrote a comment, or asked or answered a question: one printable line without commas, 1–200 characters.
    Author,
    "author",
    name,
    name_meta("alice")
);

impl From<&Assignee> for Author {
    fn from(name: &Assignee) -> Self {
        Self(name.0.clone())
    }
}

impl From<&TokenName> for Author {
    fn from(name: &TokenName) -> Self {
        Self(name.0.clone())
    }
}

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

/// Whether the text holds only white space as Unicode defines it. `\s` of ECMA-262 differs: it
/// includes U+FEFF and leaves out U+0085.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Characters that show nothing although they are not white space: Unicode's
/// `Default_Ignorable_Code_Point`, as far as patterns can name it, and the blank pattern of
/// Braille.
macro_rules! invisible {
    () => {
        r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    };
}

/// The `pattern` of a text with at least one visible character. See [`must_be_seen`].
pub const SEEN_PATTERN: &str = concat!(r"[^\s\u0085", invisible!(), "]");

/// The `pattern` of a name in the specification: one line, no comma, no control character, at least
/// one visible character.
const NAME_PATTERN: &str = concat!(
    r"^[^,\u0000-\u001f\u007f-\u009f\u2028\u2029]*[^,\s\u0000-\u001f\u007f-\u009f",
    invisible!(),
    r"][^,\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
);

/// Refuses a new text without a visible character. The types do not have this rule, because an
/// older hub may have stored such a text.
///
/// # Errors
/// What is wrong, in words.
pub fn must_be_seen(text: &str) -> Result<(), String> {
    let is_seen = |c: char| !(c.is_whitespace() || is_invisible(c));
    match text.chars().any(is_seen) {
        true => Ok(()),
        false => Err("must not be blank; send something that can be seen".into()),
    }
}

/// Refuses the same for a name, and also the line breaks U+2028 and U+2029.
///
/// # Errors
/// What is wrong, in words.
pub fn must_be_one_line(name: &str) -> Result<(), String> {
    must_be_seen(name)?;
    match name.contains(['\u{2028}', '\u{2029}']) {
        true => Err("must not contain commas, line breaks or other control characters".into()),
        false => Ok(()),
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}'
    )
}

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

/// Refuses a text without a visible character, and one that is too long.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn seen_and_at_most_chars(text: &str, max: usize) -> Result<(), String> {
    must_be_seen(text)?;
    at_most_chars(text, max)
}

/// The schema of a text with this rule.
pub(super) fn seen_meta(chars_max: usize, example: &str) -> MetaSchema {
    MetaSchema {
        example: Some(example.into()),
        min_length: Some(1),
        max_length: Some(chars_max),
        pattern: Some(SEEN_PATTERN.into()),
        ..MetaSchema::new("string")
    }
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
    fn there_is_something_to_see_in_a_new_text_as_its_pattern_says() {
        let [seen, name] = [SEEN_PATTERN, NAME_PATTERN].map(|it| regex::Regex::new(it).expect("a pattern"));
        for c in (0..=0x2_ffff).filter_map(char::from_u32) {
            let text = format!(" {c}\u{200b}");
            // ECMA-262 and this library agree on `\s` but for U+FEFF, which is named.
            assert_eq!(must_be_seen(&text).is_ok(), seen.is_match(&text), "{c:?}");
            let is_name = text.parse::<Assignee>().is_ok() && must_be_one_line(&text).is_ok();
            assert_eq!(is_name, name.is_match(&text), "{c:?}");
            assert!(must_be_one_line(&format!("a{c}")).is_err() == ['\u{2028}', '\u{2029}'].contains(&c));
        }
    }

    #[test]
    fn a_number_is_not_taken_for_a_string() {
        assert!(serde_json::from_str::<Title>("5").is_err());
        assert!(serde_json::from_str::<Title>("true").is_err());
        assert_eq!(serde_json::from_str::<Title>(r#""five""#).expect("a string").as_str(), "five");
    }
}
