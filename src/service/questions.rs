//! Asks, answers and expires questions.
//!
//! A question and its task change in one transaction: the event of the question comes first, then the `task_updated` that
//! changes `waiting_for`.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::event::NewEvent;
use crate::domain::id::{LeaseId, QuestionId, TaskId};
use crate::domain::question::{AnswerText, NotOpen, OPEN_MAX, Question, QuestionDraft, QuestionStatus};
use crate::store::{QuestionPage, QuestionQuery, Tx, View};

use super::change::save;
use super::conversation::named;
use super::idempotency::{IdempotencyKey, fingerprint, once};
use super::leases::require_any;
use super::lookup::load;
use super::{Service, ServiceError, Stamped};

/// How many questions one transaction expires: others must not wait long for the writer.
const EXPIRED_AT_ONCE: usize = 100;

/// For how long a question that is repeated without a lease gets the answer of before, as other repetitions do: 24 hours.
const REPEATED_MS: i64 = 24 * 3_600_000;

/// The answer to a request that asks.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As it is now.
    pub question: Question,
    /// Whether an earlier request with the same key has asked it.
    pub repeated: bool,
}

impl Service {
    /// Asks a question about a task.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Invalid`], [`ServiceError::TooManyQuestions`],
    /// [`ServiceError::KeyReused`], [`ServiceError::NoQuestion`] when an earlier request with the key has asked it and it is
    /// gone, [`ServiceError::Store`]
    pub async fn ask(
        &self,
        task_id: TaskId,
        draft: QuestionDraft,
        key: Option<IdempotencyKey>,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<Asked>, ServiceError> {
        let draft = draft.checked()?;
        self.write(move |tx| {
            let fingerprint = fingerprint(&format!("ask {task_id}"), &draft);
            let (id, repeated) = once(tx, key, &fingerprint, |tx| {
                require_any(tx, lease, task_id)?;
                ask(tx, task_id, draft)
            })?;
            Ok(Asked { question: find(tx, id)?, repeated })
        })
        .await
    }

    /// The question, and asks it unless the caller has asked the same already. One that is open is the same for all who ask. One
    /// that has an answer is the same when the caller's token asked it under this lease or, without a lease, in the last
    /// 24 hours: the caller may have lost the answer, and a person should not be asked twice. Another worker, or
    /// another try, asks anew.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::LeaseLost`], [`ServiceError::Invalid`],
    /// [`ServiceError::TooManyQuestions`], [`ServiceError::Store`]
    pub async fn ask_once(
        &self,
        task_id: TaskId,
        draft: QuestionDraft,
        lease: Option<LeaseId>,
    ) -> Result<Stamped<Question>, ServiceError> {
        let draft = draft.checked()?;
        self.write(move |tx| {
            require_any(tx, lease, task_id)?;
            load(tx, task_id)?;
            match asked_before(tx, task_id, &draft, lease)? {
                Some(question) => Ok(question),
                None => {
                    let id = ask(tx, task_id, draft)?;
                    find(tx, id)
                }
            }
        })
        .await
    }

    /// The last questions of a task that have ended, at most `limit`, the latest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::Store`]
    pub async fn ended_questions(&self, task: TaskId, limit: usize) -> Result<Vec<Question>, ServiceError> {
        self.store
            .read(move |view| {
                load(view, task)?;
                Ok(view.ended_questions(task, None, limit)?)
            })
            .await
    }

    /// A page of questions, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub async fn questions(&self, query: QuestionQuery) -> Result<QuestionPage, ServiceError> {
        self.store.read(move |view| Ok(view.questions(&query)?)).await
    }

    /// The question as soon as it has ended, and as it is at `until` or when `draining` is cancelled.
    ///
    /// # Errors
    /// [`ServiceError::NoQuestion`], [`ServiceError::Store`]
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn question(
        &self,
        id: QuestionId,
        until: Instant,
        draining: &CancellationToken,
    ) -> Result<Question, ServiceError> {
        let mut ended = self.shared.signals.questions_ended();
        loop {
            // Armed before looking.
            ended.mark_unchanged();
            let question = self.store.read(move |view| find(view, id)).await?;
            let is_over = Instant::now() >= until || draining.is_cancelled();
            if question.status != QuestionStatus::Open || is_over {
                return Ok(question);
            }
            // All are cancel safe.
            tokio::select! {
                _ = ended.changed() => {}
                () = draining.cancelled() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`ServiceError::NoQuestion`], [`ServiceError::Invalid`], [`ServiceError::QuestionEnded`], [`ServiceError::Store`]
    pub async fn answer(
        &self,
        id: QuestionId,
        answer: AnswerText,
    ) -> Result<Stamped<Question>, ServiceError> {
        self.write(move |tx| {
            let question = find(tx, id)?;
            // Also when it has ended: the first answer is what the caller has to know.
            if question.status == QuestionStatus::Open {
                question.must_offer(&answer)?;
            }
            let answered = question.answered(answer, named(tx), tx.now())?;
            end(tx, &answered)?;
            Ok(answered)
        })
        .await
    }

    /// Expires questions whose deadline is over, some at a time.
    ///
    /// # Errors
    /// [`ServiceError::Store`]
    pub(super) async fn expire_questions(&self) -> Result<(), ServiceError> {
        self.store
            .write(move |tx| {
                for question in tx.due_questions(tx.now(), EXPIRED_AT_ONCE)? {
                    let expired = question.expired(tx.now())?;
                    end(tx, &expired)?;
                }
                Ok(())
            })
            .await
    }
}

/// The same question, if the caller has asked it before; see [`Service::ask_once`].
fn asked_before(
    view: &Tx<'_>,
    task: TaskId,
    draft: &QuestionDraft,
    lease: Option<LeaseId>,
) -> Result<Option<Question>, ServiceError> {
    let is_same = |it: &Question| it.text == draft.text && it.options == draft.options;
    let query = QuestionQuery { task_id: Some(task), open: Some(true), after: None, limit: OPEN_MAX };
    let (open, _) = view.questions(&query)?;
    if let Some(question) = open.into_iter().find(|it| is_same(it)) {
        return Ok(Some(question));
    }
    let (asker, now) = (named(view), view.now());
    let is_callers = |it: &Question| {
        let is_recent = match lease {
            // Both ids sort by time, and only who has the lease asks under it.
            Some(lease) => it.id.uuid() > lease.uuid(),
            None => it.created_at.ms() + REPEATED_MS > now.ms(),
        };
        is_recent && it.asked_by == asker && it.answer.is_some()
    };
    let ended = view.ended_questions(task, Some(&draft.text), OPEN_MAX)?;
    Ok(ended.into_iter().find(|it| is_same(it) && is_callers(it)))
}

fn ask(tx: &mut Tx<'_>, task_id: TaskId, draft: QuestionDraft) -> Result<QuestionId, ServiceError> {
    let task = load(tx, task_id)?;
    if task.waiting_for.len() >= OPEN_MAX {
        return Err(ServiceError::TooManyQuestions(OPEN_MAX));
    }
    let question = Question::ask(QuestionId::generate(), task_id, draft, named(tx), tx.now());
    tx.insert_question(&question)?;
    tx.append(&NewEvent::question(&question, &task))?;
    let mut next = task.clone();
    next.waiting_for.push(question.id);
    save(tx, task, next, None)?;
    Ok(question.id)
}

/// Writes the end of a question, with its event and that of its task.
fn end(tx: &mut Tx<'_>, ended: &Question) -> Result<(), ServiceError> {
    let task = load(tx, ended.task_id)?;
    tx.end_question(ended)?;
    tx.append(&NewEvent::question(ended, &task))?;
    let mut next = task.clone();
    next.waiting_for.retain(|id| *id != ended.id);
    save(tx, task, next, None)?;
    Ok(())
}

fn find(view: &View<'_>, id: QuestionId) -> Result<Question, ServiceError> {
    let question = view.question(id)?.ok_or(ServiceError::NoQuestion(id))?;
    match load(view, question.task_id) {
        Ok(_) => Ok(question),
        Err(ServiceError::NoTask(_)) => Err(ServiceError::NoQuestion(id)),
        Err(error) => Err(error),
    }
}

impl From<NotOpen> for ServiceError {
    fn from(NotOpen(question): NotOpen) -> Self {
        Self::QuestionEnded(question)
    }
}
