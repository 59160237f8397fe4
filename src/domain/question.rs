//! A question: a script or a person asks it about a task, and somebody answers it once.
//!
//! [`Question::answered`] and [`Question::expired`] are the only ways to its end. Both take an open question, so no
//! question ends twice.

use std::collections::HashSet;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::error::Invalid;
use super::id::{QuestionId, TaskId};
use super::schema::word_enum;
use super::text::{Author, seen_and_at_most_chars, seen_meta, text_newtype};

/// Most open questions of a task. Each event of the task lists them all.
pub const OPEN_MAX: usize = 100;
/// Most answers to choose from. A board shows a button for each.
const OPTIONS_MAX: usize = 20;
/// Longest question, in characters.
const QUESTION_CHARS_MAX: usize = 2000;
/// Longest answer to choose, in characters: it has to fit on a button.
const OPTION_CHARS_MAX: usize = 200;
/// Longest answer, in characters.
const ANSWER_CHARS_MAX: usize = 16 << 10;
/// Longest time to answer: 30 days.
const DEADLINE_SECONDS_MAX: u32 = 30 * 86_400;

text_newtype!(
    /// What is asked: 1–2,000 characters, not blank.
    QuestionText,
    "question_text",
    |text| seen_and_at_most_chars(text, QUESTION_CHARS_MAX),
    seen_meta(QUESTION_CHARS_MAX, "Deploy?")
);

text_newtype!(
    /// An answer to choose: 1–200 characters, not blank.
    QuestionOption,
    "question_option",
    |text| seen_and_at_most_chars(text, OPTION_CHARS_MAX),
    seen_meta(OPTION_CHARS_MAX, "yes")
);

text_newtype!(
    /// An answer: 1–16,384 characters, not blank.
    AnswerText,
    "answer_text",
    |text| seen_and_at_most_chars(text, ANSWER_CHARS_MAX),
    seen_meta(ANSWER_CHARS_MAX, "yes")
);

word_enum! {
    /// Where a question stands.
    QuestionStatus {
        /// it waits for an answer
        Open = "open",
        /// somebody has answered it
        Answered = "answered",
        /// nobody has answered it in time
        Expired = "expired",
    }
}

/// A question about a task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct Question {
    /// Identifies the question; a UUIDv7, so ids sort by time.
    pub id: QuestionId,
    /// The task that it is about.
    pub task_id: TaskId,
    /// What is asked, in plain text.
    pub text: QuestionText,
    /// The answers to choose from, in the order given; empty when any text is an answer.
    #[oai(validator(max_items = 20))]
    pub options: Vec<QuestionOption>,
    /// The answer that holds when nobody has answered until the deadline; null when there is none.
    #[oai(nullable)]
    pub default: Option<AnswerText>,
    /// Where it stands.
    pub status: QuestionStatus,
    /// The answer. Once the question has expired, its `default`. Null while it is open, and when it expired without a
    /// default.
    #[oai(nullable)]
    pub answer: Option<AnswerText>,
    /// The name of the token that answered it; null when nobody did, or nobody was named.
    #[oai(nullable)]
    pub answered_by: Option<Author>,
    /// The name of the token that asked it; null when it was nobody's.
    #[oai(nullable)]
    pub asked_by: Option<Author>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it expires; null when it waits for ever.
    #[oai(nullable)]
    pub deadline_at: Option<Timestamp>,
    /// When it was answered or expired; null while it is open.
    #[oai(nullable)]
    pub ended_at: Option<Timestamp>,
}

/// What it takes to ask. Only `text` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct QuestionDraft {
    /// What to ask, in plain text.
    pub text: QuestionText,
    /// The answers to choose from, each once. Without any, every text is an answer.
    #[oai(default, validator(max_items = 20))]
    #[serde(default)]
    pub options: Vec<QuestionOption>,
    /// The question expires after so many seconds. Without it, it waits for ever.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "2592000")))]
    #[serde(default)]
    pub deadline_seconds: Option<u32>,
    /// The answer that holds when nobody has answered until the deadline: one of `options`, if there are any.
    #[oai(nullable)]
    #[serde(default)]
    pub default: Option<AnswerText>,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct AnswerDraft {
    /// One of the question's `options`, if it has any; otherwise any text.
    pub answer: AnswerText,
}

/// The question has ended already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOpen(pub Box<Question>);

impl QuestionDraft {
    /// # Errors
    /// [`Invalid`] when an option comes twice, there are too many, the default is none of them, or the deadline is out of
    /// range.
    pub fn checked(self) -> Result<Self, Invalid> {
        if self.options.len() > OPTIONS_MAX {
            return Err(Invalid::new("options", format!("holds more than {OPTIONS_MAX} answers")));
        }
        let mut known = HashSet::new();
        for (index, option) in self.options.iter().enumerate() {
            if !known.insert(option) {
                return Err(Invalid::new(
                    format!("options[{index}]"),
                    "is there twice; send each answer once",
                ));
            }
        }
        if let Some(default) = &self.default {
            must_be_offered(&self.options, default).map_err(|words| Invalid::new("default", words))?;
        }
        if let Some(seconds) = self.deadline_seconds
            && !(1..=DEADLINE_SECONDS_MAX).contains(&seconds)
        {
            let words = format!("must be 1 to {DEADLINE_SECONDS_MAX}");
            return Err(Invalid::new("deadline_seconds", words));
        }
        Ok(self)
    }
}

impl Question {
    /// An open question. `draft` has to be checked.
    pub fn ask(
        id: QuestionId,
        task_id: TaskId,
        draft: QuestionDraft,
        asked_by: Option<Author>,
        now: Timestamp,
    ) -> Self {
        let deadline = |seconds: u32| Timestamp::from_ms(now.ms() + i64::from(seconds) * 1000);
        Self {
            id,
            task_id,
            text: draft.text,
            options: draft.options,
            default: draft.default,
            status: QuestionStatus::Open,
            answer: None,
            answered_by: None,
            asked_by,
            created_at: now,
            deadline_at: draft.deadline_seconds.map(deadline),
            ended_at: None,
        }
    }

    /// # Errors
    /// [`Invalid`] when the question has options and the answer is none of them.
    pub fn must_offer(&self, answer: &AnswerText) -> Result<(), Invalid> {
        must_be_offered(&self.options, answer).map_err(|words| Invalid::new("answer", words))
    }

    /// This question with its answer. [`Question::must_offer`] says whether the answer fits.
    ///
    /// # Errors
    /// [`NotOpen`] with the question as it ended.
    pub fn answered(self, answer: AnswerText, by: Option<Author>, now: Timestamp) -> Result<Self, NotOpen> {
        let open = self.open()?;
        let (status, answer) = (QuestionStatus::Answered, Some(answer));
        Ok(Self { status, answer, answered_by: by, ended_at: Some(now), ..open })
    }

    /// This question at its deadline: its default is its answer.
    ///
    /// # Errors
    /// [`NotOpen`] with the question as it ended.
    pub fn expired(self, now: Timestamp) -> Result<Self, NotOpen> {
        let open = self.open()?;
        Ok(Self {
            status: QuestionStatus::Expired,
            answer: open.default.clone(),
            ended_at: Some(now),
            ..open
        })
    }

    /// This question when its task is deleted. Nobody can answer it any more, and its default does not hold: what it was
    /// asked for is gone.
    ///
    /// # Errors
    /// [`NotOpen`] with the question as it ended.
    pub fn withdrawn(self, now: Timestamp) -> Result<Self, NotOpen> {
        Ok(Self { answer: None, ..self.expired(now)? })
    }

    fn open(self) -> Result<Self, NotOpen> {
        match self.status {
            QuestionStatus::Open => Ok(self),
            QuestionStatus::Answered | QuestionStatus::Expired => Err(NotOpen(Box::new(self))),
        }
    }
}

fn must_be_offered(options: &[QuestionOption], answer: &AnswerText) -> Result<(), String> {
    let is_offered = options.iter().any(|option| option.as_str() == answer.as_str());
    match options.is_empty() || is_offered {
        true => Ok(()),
        false => {
            let offered: Vec<_> = options.iter().map(|option| format!("{:?}", option.as_str())).collect();
            Err(format!("must be one of {}", offered.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> Result<QuestionDraft, Invalid> {
        serde_json::from_str::<QuestionDraft>(json).expect("it parses").checked()
    }

    #[test]
    fn a_default_is_one_of_the_options_and_no_option_comes_twice() {
        assert!(draft(r#"{"text":"?","options":["a","b"],"default":"b"}"#).is_ok());
        assert!(draft(r#"{"text":"?","default":"anything"}"#).is_ok());
        for (odd, field) in [
            (r#"{"text":"?","options":["a","b"],"default":"c"}"#, "default"),
            (r#"{"text":"?","options":["a","b","a"]}"#, "options[2]"),
            (r#"{"text":"?","deadline_seconds":0}"#, "deadline_seconds"),
            (r#"{"text":"?","deadline_seconds":2592001}"#, "deadline_seconds"),
        ] {
            assert_eq!(draft(odd).expect_err(odd).field, field, "{odd}");
        }
    }

    #[test]
    fn a_question_ends_once() {
        let asked = draft(r#"{"text":"?","options":["yes","no"],"default":"no"}"#).expect("a draft");
        let now = Timestamp::from_ms(1);
        let open = Question::ask(QuestionId::generate(), TaskId::generate(), asked, None, now);
        let yes: AnswerText = "yes".parse().expect("an answer");
        assert!(open.must_offer(&yes).is_ok());
        assert!(open.must_offer(&"maybe".parse().expect("an answer")).is_err());
        let answered = open.clone().answered(yes.clone(), None, now).expect("it is open");
        assert_eq!(answered.answer.as_ref(), Some(&yes));
        assert_eq!(answered.clone().expired(now), Err(NotOpen(Box::new(answered))));
        let expired = open.clone().expired(now).expect("it is open");
        assert_eq!(expired.answer.as_ref().map(AnswerText::as_str), Some("no"));
        assert!(expired.answered(yes, None, now).is_err());
        assert_eq!(open.withdrawn(now).expect("it is open").answer, None);
    }
}
