//! Comments and questions.

use taskhub::domain::comment::Comment;
use taskhub::domain::id::{CommentId, QuestionId};
use taskhub::domain::question::{Question, QuestionDraft};
use taskhub::store::{CommentQuery, QuestionQuery};

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// A question that is asked at the time 0.
async fn ask(running: &Running, task: TaskId, deadline_seconds: Option<u32>) -> Question {
    let draft = json!({
        "text": "a\u{0}\r\n\u{2028}?", "options": ["\"yes\"", "no,"], "default": "no,", "deadline_seconds": deadline_seconds,
    });
    let draft: QuestionDraft = from_json(draft);
    let asked_by = Some("ci".parse().expect("a name"));
    let question = Question::ask(QuestionId::generate(), task, draft, asked_by, at(0));
    let row = question.clone();
    running.write(move |tx| Ok(tx.insert_question(&row)?)).await.expect("written");
    question
}

async fn end(running: &Running, question: &Question) {
    let row = question.clone();
    running.write(move |tx| Ok(tx.end_question(&row)?)).await.expect("written");
}

async fn listed(running: &Running, query: QuestionQuery) -> Vec<Question> {
    let (mut found, mut query) = (Vec::new(), query);
    loop {
        let (page, next) = running.read(move |view| view.questions(&query)).await;
        found.extend(page);
        match next {
            None => return found,
            next => query.after = next,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_kept_as_they_were_asked_and_ended_and_the_next_deadline_is_known() {
    let directory = directory();
    let running = Running::open(&directory);
    let (one, two) = (TaskId::generate(), TaskId::generate());
    assert_eq!(running.read(|view| view.next_question_deadline()).await, None);
    let open = ask(&running, one, None).await;
    assert_eq!(running.read(|view| view.next_question_deadline()).await, None, "it waits for ever");
    let late = ask(&running, two, Some(9)).await;
    let soon = ask(&running, one, Some(5)).await;
    let first = ask(&running, one, Some(1)).await;
    assert_eq!(running.read(|view| view.next_question_deadline()).await, Some(at(1000)));
    assert_eq!(running.read(|view| view.due_questions(at(999), 9)).await, []);
    let due = running.read(|view| view.due_questions(at(5000), 9)).await;
    assert_eq!(due, [first.clone(), soon.clone()], "in the order of their deadlines");
    assert_eq!(running.read(|view| view.due_questions(at(5000), 1)).await, std::slice::from_ref(&first));

    let yes = "\"yes\"".parse().expect("an answer");
    let answered = first.answered(yes, Some("Ada".parse().expect("a name")), at(7)).expect("it is open");
    let expired = soon.expired(at(5001)).expect("it is open");
    end(&running, &answered).await;
    end(&running, &expired).await;
    assert_eq!(running.read(|view| view.next_question_deadline()).await, Some(at(9000)));
    running.close().await;

    let running = Running::open(&directory);
    let all = QuestionQuery { limit: 2, ..QuestionQuery::default() };
    let expected = [open.clone(), late.clone(), expired.clone(), answered.clone()];
    assert_eq!(listed(&running, all).await, expected, "oldest first, in pages");
    let of_one = QuestionQuery { task_id: Some(one), ..all };
    assert_eq!(listed(&running, of_one).await, [open.clone(), expired.clone(), answered.clone()]);
    assert_eq!(
        listed(&running, QuestionQuery { open: Some(true), ..of_one }).await,
        std::slice::from_ref(&open)
    );
    assert_eq!(listed(&running, QuestionQuery { open: Some(false), ..all }).await, [expired, answered]);
    let id = open.id;
    assert_eq!(running.read(move |view| view.question(id)).await, Some(open));
    running.write(move |tx| Ok(tx.delete_questions(one)?)).await.expect("written");
    assert_eq!(listed(&running, all).await, [late]);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_listed_by_task_in_pages() {
    let directory = directory();
    let running = Running::open(&directory);
    let (one, two) = (TaskId::generate(), TaskId::generate());
    let mut written = Vec::new();
    for (number, task) in [one, two, one, one].into_iter().enumerate() {
        let comment = Comment {
            id: CommentId::generate(),
            task_id: task,
            author: (number > 1).then(|| "Ada".parse().expect("a name")),
            text: format!("{number}\u{0}\r\n").parse().expect("a text"),
            created_at: at(number as i64),
        };
        let row = comment.clone();
        running.write(move |tx| Ok(tx.insert_comment(&row)?)).await.expect("written");
        written.push(comment);
    }
    running.close().await;

    let running = Running::open(&directory);
    let first = CommentQuery { task_id: one, after: None, limit: 2 };
    let (page, next) = running.read(move |view| view.comments(&first)).await;
    assert_eq!((&page[..], next), (&[written[0].clone(), written[2].clone()][..], Some(written[2].id)));
    let rest = CommentQuery { after: next, ..first };
    let (page, next) = running.read(move |view| view.comments(&rest)).await;
    assert_eq!((&page[..], next), (&written[3..], None));
    running.write(move |tx| Ok(tx.delete_comments(one)?)).await.expect("written");
    assert!(running.read(move |view| view.comments(&first)).await.0.is_empty());
    let other = CommentQuery { task_id: two, ..first };
    assert_eq!(running.read(move |view| view.comments(&other)).await.0, written[1..2]);
    running.close().await;
}
