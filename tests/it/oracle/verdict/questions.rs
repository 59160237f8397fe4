//! **Answered once**: a question ends once at most, by the answer that was acknowledged or at its deadline, and who comes too
//! late is told how. A task waits for its open questions at each cursor, and for no others.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::oracle::history::History;
use crate::oracle::message::Message;
use crate::oracle::observer::Log;
use crate::oracle::truth::Truth;
use crate::oracle::wish::{WishKind, marks};
use crate::oracle::writer::{LateAnswer, Outcome};

use super::{Court, from_the_first};

/// What the log tells of a question.
#[derive(Default)]
struct Life<'a> {
    asked: Option<&'a Message>,
    /// `question_answered` or `question_expired`.
    ended: Option<&'a Message>,
}

type Lives<'a> = BTreeMap<&'a str, Life<'a>>;

pub fn answered_once(history: &History, truth: &Truth, court: &mut Court) {
    let lives = lives(truth, court);
    expired_at_their_deadline(history, truth, &lives, court);
    let mut answered: HashMap<&str, &str> = HashMap::new();
    for (wish, outcome) in history.writers.iter().flat_map(|writer| &writer.wishes) {
        if let (WishKind::Answer { question, text }, Outcome::Acknowledged(body)) = (&wish.kind, outcome) {
            let other = answered.insert(question, text);
            court.holds(other.is_none(), || format!("{question} was answered {other:?} and {text:?}"));
            let is_theirs = body["answer"] == text.as_str() && body["status"] == "answered";
            court.holds(is_theirs, || format!("{text:?} was answered {body}"));
        }
    }
    for late in history.writers.iter().flat_map(|writer| &writer.late_answers) {
        let ended = lives.get(late.question.as_str()).and_then(|life| life.ended);
        let is_told = ended.is_none_or(|ended| tells_the_end(late, ended));
        court.holds(is_told, || {
            format!("{late:?} after {}", ended.map(ToString::to_string).unwrap_or_default())
        });
    }
    are_listed(history, truth, &lives, court);
    for observer in &history.observers {
        waits_for_open_questions(observer, truth, court);
    }
}

/// Follows each question from its beginning to its end.
fn lives<'a>(truth: &'a Truth, court: &mut Court) -> Lives<'a> {
    let mut lives = Lives::new();
    for (&seq, told) in &truth.events {
        let event = told.message.as_ref();
        let is_end = match event.kind.as_str() {
            "question_asked" => false,
            "question_answered" | "question_expired" => true,
            _ => continue,
        };
        let life = lives.entry(event.text("question_id")).or_default();
        if !is_end {
            court.holds(life.asked.is_none() && life.ended.is_none(), || format!("asked again: {event}"));
            life.asked = Some(event);
            continue;
        }
        court.holds(life.ended.is_none(), || format!("ended before: {event}"));
        match life.asked {
            Some(asked) => {
                let is_same = ["task_id", "text", "options", "deadline"]
                    .iter()
                    .all(|it| asked.data[*it] == event.data[*it]);
                court.holds(is_same, || format!("{asked} ended as {event}"));
            }
            None => court.holds(truth.last_hole(seq) > 0, || format!("nobody has asked: {event}")),
        }
        life.ended = Some(event);
    }
    lives
}

/// What expired had a deadline, which was over, and its default is its answer; unless its task was deleted.
fn expired_at_their_deadline(history: &History, truth: &Truth, lives: &Lives<'_>, court: &mut Court) {
    let wishes = || history.writers.iter().flat_map(|writer| &writer.wishes).map(|(wish, _)| wish);
    for event in lives.values().filter_map(|life| life.ended).filter(|it| it.kind == "question_expired") {
        let after = truth.events.range(event.seq + 1..).map(|(_, told)| told.message.as_ref());
        let Some(next) = { after }.find(|it| it.kind != "question_expired") else {
            continue;
        };
        if truth.has_hole_between(event.seq, next.seq) {
            continue;
        }
        if next.kind == "task_deleted" && next.data["task_id"] == event.data["task_id"] {
            court.holds(event.data["answer"].is_null(), || format!("withdrawn with an answer: {event}"));
            continue;
        }
        let is_over = event.data["deadline"].as_str().is_some_and(|deadline| *deadline <= *event.timestamp);
        court.holds(is_over, || format!("expired before its deadline: {event}"));
        let mark = marks(event.text("text")).next();
        let wish = wishes().find(|wish| Some(wish.mark.as_str()) == mark);
        if let Some(WishKind::Ask { fields, .. }) = wish.map(|wish| &wish.kind) {
            let default = fields.get("default").unwrap_or(&Value::Null);
            court.holds(*default == event.data["answer"], || {
                format!("not with its default {default}: {event}")
            });
        }
    }
}

/// Whether somebody whose answer came too late was told how the question has ended.
fn tells_the_end(late: &LateAnswer, ended: &Message) -> bool {
    let words = match ended.data["answer"].as_str() {
        Some(answer) => format!("{answer:?}"),
        None => "without an answer".to_owned(),
    };
    let status = ended.kind.trim_start_matches("question_");
    let found = &late.found;
    // A task that is deleted takes its questions with it.
    let is_found = found.is_null() || (found["answer"] == ended.data["answer"] && found["status"] == status);
    late.detail.contains(&words) && is_found
}

/// The questions that the hub knows at the end are those of the log.
fn are_listed(history: &History, truth: &Truth, lives: &Lives<'_>, court: &mut Court) {
    let listed: HashMap<_, _> =
        history.questions.iter().map(|it| (it["id"].as_str().expect("an id"), it)).collect();
    for (id, question) in &listed {
        let life = lives.get(id);
        let is_whole = life.is_some_and(|life| life.asked.is_some());
        let hole = truth.last_hole(history.head);
        court.holds(is_whole || hole > 0, || format!("nobody saw it asked: {question}"));
        let agrees = match life {
            Some(Life { ended: Some(ended), .. }) => {
                ended.kind == format!("question_{}", question["status"].as_str().unwrap_or_default())
                    && ended.data["answer"] == question["answer"]
            }
            Some(Life { asked: Some(asked), ended: None }) => {
                question["status"] == "open" || hole > asked.seq
            }
            _ => true,
        };
        court.holds(agrees, || format!("the log tells otherwise: {question}"));
    }
    let whole_from = truth.last_hole(history.head);
    for (id, asked) in lives.iter().filter_map(|(id, life)| Some((*id, life.asked?))) {
        let mut later = truth.events.range(asked.seq..).map(|(_, told)| &told.message);
        let is_gone =
            later.any(|it| it.kind == "task_deleted" && it.data["task_id"] == asked.data["task_id"]);
        let is_listed = listed.contains_key(id);
        court
            .holds(is_listed != is_gone || asked.seq < whole_from, || format!("listed {is_listed}: {asked}"));
    }
}

fn waits_for_open_questions(observer: &Log, truth: &Truth, court: &mut Court) {
    // The open questions of each task, in the order in which they were asked.
    let mut open: HashMap<&str, Vec<&str>> = HashMap::new();
    // The task of which is to be told next that it waits for others now.
    let mut due: Option<&str> = None;
    for told in from_the_first(observer, truth) {
        let (event, task) = (&told.message, told.message.text("task_id"));
        let wrong = |words: &str| format!("{}: {words}: {event}", observer.name);
        let waits = open.entry(task).or_default();
        if let Some(due) = due.take() {
            let is_due = due == task && event.data["changed"] == json!(["waiting_for"]);
            // With its task a question goes without that.
            let goes = due == task && ["question_expired", "task_deleted"].contains(&event.kind.as_str());
            court.holds(is_due || goes, || wrong("a question's step is not told of its task"));
        }
        let question = event.text("question_id");
        match event.kind.as_str() {
            "question_asked" => {
                waits.push(question);
                due = Some(task);
            }
            "question_answered" | "question_expired" => {
                waits.retain(|id| *id != question);
                due = Some(task);
            }
            "task_created" | "task_updated" => {
                let is_fold = event.data["waiting_for"] == json!(waits);
                court.holds(is_fold, || wrong(&format!("it waits for {waits:?}")));
            }
            "task_deleted" => court.holds(waits.is_empty(), || wrong("its questions are open")),
            _ => {}
        }
    }
}
