//! The `data` of events about comments and questions.

use poem_openapi::Object;
use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::comment::{Comment, CommentText};
use crate::domain::id::{CommentId, QuestionId, TaskId};
use crate::domain::question::{AnswerText, Question, QuestionOption, QuestionStatus, QuestionText};
use crate::domain::schema::word_enum;
use crate::domain::text::{Author, TokenName};

word_enum! {
    /// The fields of such an event that can be too long for a stream with `max_bytes`.
    LongField {
        /// what was said or asked
        Text = "text",
        /// the answers to choose from
        Options = "options",
        /// the answer
        Answer = "answer",
    }
}

/// A comment on a task.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct CommentEventData {
    /// The task that it is about.
    pub task_id: TaskId,
    /// The comment.
    pub comment_id: CommentId,
    /// Who wrote it; null when nobody was named.
    #[oai(nullable)]
    pub author: Option<Author>,
    /// Markdown.
    pub text: CommentText,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
    /// What was left out, and is `…` or an empty list here, since the stream was opened with `max_bytes`; absent when all is
    /// there. `listComments` has it.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Vec<LongField>>,
}

impl CommentEventData {
    pub fn of(comment: &Comment) -> Self {
        Self {
            task_id: comment.task_id,
            comment_id: comment.id,
            author: comment.author.clone(),
            text: comment.text.clone(),
            actor: None,
            omitted: None,
        }
    }
}

/// A question about a task, as it stands after the event.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct QuestionEventData {
    /// The task that it is about.
    pub task_id: TaskId,
    /// The question.
    pub question_id: QuestionId,
    /// What is asked, in plain text.
    pub text: QuestionText,
    /// The answers to choose from; empty when any text is an answer.
    pub options: Vec<QuestionOption>,
    /// When it expires; null when it waits for ever.
    #[oai(nullable)]
    pub deadline: Option<Timestamp>,
    /// The answer, or the default of a question that has expired; null while it is open, and when there is none.
    #[oai(nullable)]
    pub answer: Option<AnswerText>,
    /// Who has asked, or, once it is answered, who has answered; null when nobody was named, and when it has expired.
    #[oai(nullable)]
    pub by: Option<Author>,
    /// The name of the token that caused it; null when it was nobody's.
    #[oai(nullable)]
    pub actor: Option<TokenName>,
    /// What was left out, and is `…` or an empty list here, since the stream was opened with `max_bytes`; absent when all is
    /// there. `getQuestion` has it.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Vec<LongField>>,
}

impl QuestionEventData {
    pub fn of(question: &Question) -> Self {
        Self {
            task_id: question.task_id,
            question_id: question.id,
            text: question.text.clone(),
            options: question.options.clone(),
            deadline: question.deadline_at,
            answer: question.answer.clone(),
            by: match question.status {
                QuestionStatus::Open => question.asked_by.clone(),
                QuestionStatus::Answered => question.answered_by.clone(),
                QuestionStatus::Expired => None,
            },
            actor: None,
            omitted: None,
        }
    }
}
