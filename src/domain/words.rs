//! Words: how a search reads a text, and what a search asks for.
//!
//! A word is a run of letters and digits. Case, accents and compatibility forms make no difference: "Straße" equals
//! "STRASSE", "É" equals "e", "ﬁ" equals "fi". A capital after a small letter begins a word within the word, so that
//! `StoreError` is found by "error". Scripts without spaces (Chinese, Japanese, Thai and others) have no runs: there each two
//! neighbours are a word, and the last character is one.
//!
//! A search asks for the beginnings of words. The store's queries and the index in memory both read with this module, so
//! they find the same tasks.
//!
//! Rejected: any part of a text, as a search found it before. No index of a bearable size finds that, so each search read
//! every task.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word counts by at most this many bytes. It bounds what one text of a single endless word costs.
pub const WORD_BYTES_MAX: usize = 48;
/// So many words within one word are read. Random text (base64) would have many.
const INNER_WORDS_MAX: usize = 3;

/// Hands every word of a text to `visit`, also the words within words. A word may come several times.
pub fn visit_words(text: &str, visit: &mut impl FnMut(&str)) {
    read(text, true, visit);
}

/// Whether a word of the text begins with `wanted`, which is a word of a [`Search`].
pub fn has_word(text: &str, wanted: &str) -> bool {
    let mut found = false;
    visit_words(text, &mut |word| found = found || word.starts_with(wanted));
    found
}

/// What a search asks for: every part must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub parts: Vec<SearchPart>,
}

/// What stands between two spaces of a search. It is found when each of its words begins a word of the task, in the title,
/// the description or a comment, or when it is the beginning of the task's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPart {
    pub words: Vec<String>,
    /// The part in small letters, when it may be a key: a project, a hyphen, the first digits of a number.
    pub key: Option<(String, i64)>,
}

impl Search {
    /// Reads what somebody typed. A search without a letter or a digit has no parts, and finds nothing.
    pub fn new(text: &str) -> Self {
        let part = |text: &str| {
            let mut words = Vec::new();
            read(text, false, &mut |word: &str| words.push(word.to_owned()));
            words.sort_unstable();
            words.dedup();
            SearchPart { words, key: key_start(text) }
        };
        let parts = text.split_whitespace().map(part).filter(|part| !part.words.is_empty());
        Self { parts: parts.collect() }
    }
}

fn key_start(text: &str) -> Option<(String, i64)> {
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    let (project, digits) = text.rsplit_once('-')?;
    let is_number = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number && digits.len() <= 18)?;
    Some((project.to_owned(), number))
}

/// The ranges of numbers that begin with the digits of `number`: 17, 170–179, 1700–1799 and so on.
pub fn numbers_that_begin_with(number: i64) -> impl Iterator<Item = (i64, i64)> {
    let magnitudes = (0..19).map_while(move |zeros| {
        let one = 10_i64.checked_pow(zeros)?;
        let first = number.checked_mul(one)?;
        Some((first, first.saturating_add(one - 1)))
    });
    magnitudes.take_while(|(first, _)| *first > 0)
}

/// Gathers the characters of one word.
struct Reader<'v, V> {
    visit: &'v mut V,
    word: String,
    /// Where the words within this word begin.
    inner: [usize; INNER_WORDS_MAX],
    inner_count: usize,
    with_inner: bool,
    after_small: bool,
    /// The last character, when its script has no spaces.
    unspaced: Option<char>,
}

fn read<V: FnMut(&str)>(text: &str, with_inner: bool, visit: &mut V) {
    let word = String::with_capacity(WORD_BYTES_MAX + 8);
    let (inner, inner_count) = ([0; INNER_WORDS_MAX], 0);
    let mut reader =
        Reader { visit, word, inner, inner_count, with_inner, after_small: false, unspaced: None };
    if text.is_ascii() {
        for byte in text.bytes() {
            match byte.is_ascii_alphanumeric() {
                true => {
                    reader.case(byte.is_ascii_uppercase(), byte.is_ascii_lowercase());
                    reader.push(char::from(byte.to_ascii_lowercase()));
                }
                false => reader.end(),
            }
        }
    } else {
        for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
            match c {
                _ if !c.is_alphanumeric() => reader.end(),
                _ if is_unspaced(c) => reader.push_unspaced(c),
                _ => {
                    reader.end_unspaced();
                    reader.case(c.is_uppercase(), c.is_lowercase());
                    // Goes through the capitals, because some letters have several letters as their capital.
                    c.to_uppercase().flat_map(char::to_lowercase).for_each(|c| reader.push(c));
                }
            }
        }
    }
    reader.end();
}

impl<V: FnMut(&str)> Reader<'_, V> {
    /// Tells of the case of the next character.
    fn case(&mut self, is_capital: bool, is_small: bool) {
        if self.with_inner && is_capital && self.after_small && self.inner_count < INNER_WORDS_MAX {
            self.inner[self.inner_count] = self.word.len();
            self.inner_count += 1;
        }
        self.after_small = is_small;
    }

    fn push(&mut self, c: char) {
        if self.word.len() + c.len_utf8() <= WORD_BYTES_MAX {
            self.word.push(c);
        }
    }

    fn push_unspaced(&mut self, c: char) {
        match self.unspaced.replace(c) {
            Some(before) => {
                let mut pair = [0; 8];
                let length = before.encode_utf8(&mut pair).len();
                let length = length + c.encode_utf8(&mut pair[length..]).len();
                (self.visit)(std::str::from_utf8(&pair[..length]).expect("two characters"));
            }
            None => self.end_word(),
        }
    }

    fn end_unspaced(&mut self) {
        if let Some(last) = self.unspaced.take() {
            (self.visit)(last.encode_utf8(&mut [0; 4]));
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            (self.visit)(&self.word);
            for at in &self.inner[..self.inner_count] {
                if *at < self.word.len() {
                    (self.visit)(&self.word[*at..]);
                }
            }
            self.word.clear();
        }
        (self.inner_count, self.after_small) = (0, false);
    }

    fn end(&mut self) {
        self.end_unspaced();
        self.end_word();
    }
}

/// Whether the script of this letter writes words without spaces between them.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        visit_words(text, &mut |word| words.push(word.to_owned()));
        words
    }

    fn finds(text: &str, wanted: &str) -> bool {
        let search = Search::new(wanted);
        let found = |part: &SearchPart| part.words.iter().all(|word| has_word(text, word));
        !search.parts.is_empty() && search.parts.iter().all(found)
    }

    #[test]
    fn case_accents_and_the_way_of_writing_make_no_difference() {
        let found = [
            ("ÄPFEL", "äpfel"),
            ("Apfel", "äpfel"),
            ("cafe", "café"),
            ("CAFÉ", "cafe\u{301}"),
            ("Straße", "STRASSE"),
            ("STRASSE", "straß"),
            ("ΟΔΟΣ", "οδος"),
            ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
            ("ПРИВЕТ, мир", "мир прив"),
            ("der ﬁnale Plan", "final"),
            ("plain ASCII", "pl asc"),
            ("nul\0needle", "NEEDLE"),
        ];
        for (text, wanted) in found {
            assert!(finds(text, wanted), "{wanted:?} in {text:?}");
        }
        for (text, wanted) in
            [("ab", "abc"), ("report", "port"), ("anything", "-"), ("anything", ""), ("one two", "one three")]
        {
            assert!(!finds(text, wanted), "{wanted:?} in {text:?}");
        }
    }

    #[test]
    fn what_is_no_letter_and_no_digit_parts_words() {
        assert_eq!(words("fix_up: src/store.rs, 100%"), ["fix", "up", "src", "store", "rs", "100"]);
        assert_eq!(words("a StoreError"), ["a", "storeerror", "error"]);
        assert!(finds("a storeerror", "StoreError") && !finds("a storeerror", "error"));
        let long = "x".repeat(1 << 20);
        assert_eq!(words(&long), ["x".repeat(WORD_BYTES_MAX)]);
        assert!(finds(&long, &long[..200]));
    }

    #[test]
    fn scripts_without_spaces_are_read_by_pairs() {
        assert_eq!(words("修复登录 v2"), ["修复", "复登", "登录", "录", "v2"]);
        for wanted in ["登", "登录", "修复登录", "录"] {
            assert!(finds("修复登录 v2", wanted), "{wanted}");
        }
        assert!(!finds("修复登录 v2", "录登"));
        assert_eq!(words("abかな"), ["ab", "かな", "な"]);
    }

    #[test]
    fn a_part_may_be_the_beginning_of_a_key() {
        let search = Search::new("Web-17, utf-8 x-y -5 web-0");
        let keys: Vec<_> = search.parts.iter().map(|part| part.key.clone()).collect();
        let key = |project: &str, number| Some((project.to_owned(), number));
        assert_eq!(keys, [key("web", 17), key("utf", 8), None, None, None]);
        assert_eq!(search.parts[0].words, ["17", "web"]);
        let ranges: Vec<_> = numbers_that_begin_with(17).take(3).collect();
        assert_eq!(ranges, [(17, 17), (170, 179), (1700, 1799)]);
        assert_eq!(numbers_that_begin_with(999_999_999_999_999_999).count(), 1, "no number is larger");
    }
}
