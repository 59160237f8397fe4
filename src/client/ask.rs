//! `taskhub ask`: asks a question, waits for its answer, and prints it.
//!
//! The command makes one key, so a request that is sent again asks nothing twice. Once the hub has taken the question,
//! the command waits for as long as the question is open, also while the hub is away: only the hub knows the answer.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::domain::id::{QuestionId, TaskId};
use crate::domain::question::QuestionStatus;
use crate::telemetry::say;

use super::error::ClientError;
use super::hub::{Hub, HubError};
use super::{HubArgs, print};

/// The exit code of `timeout` for a program that took too long.
const EXPIRED: u8 = 124;
/// How long one request waits for the answer. Shorter than the time that a hub has to begin an answer.
const WAIT_SECONDS: u32 = 20;
/// The pause between two attempts to reach a hub that is gone.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// After this time a hub that has not taken the question is not just restarting.
const ABSENCE_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Args)]
pub struct AskArgs {
    /// What to ask
    text: String,
    /// An answer to choose from (may be given several times; without any, every text is an answer)
    #[arg(long = "option", value_name = "ANSWER")]
    options: Vec<String>,
    /// The answer that holds when nobody has answered until the deadline
    #[arg(long, value_name = "ANSWER")]
    default: Option<String>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS")]
    deadline_seconds: Option<u32>,
    /// The task that the question is about (a script of the hub knows its own)
    #[arg(long, value_name = "ID", env = "TASKHUB_TASK_ID")]
    task: TaskId,
    #[command(flatten)]
    hub: HubArgs,
}

/// The fields of a question that the command needs; others of a newer hub are ignored.
#[derive(Debug, Deserialize)]
struct Question {
    id: QuestionId,
    status: QuestionStatus,
    answer: Option<String>,
}

/// Asks, waits, and prints the answer.
///
/// # Errors
/// [`ClientError`]
pub async fn ask(args: AskArgs) -> Result<ExitCode, ClientError> {
    let AskArgs { text, options, default, deadline_seconds, task, hub } = args;
    let hub = hub.hub();
    let body = json!({
        "text": text, "options": options, "default": default, "deadline_seconds": deadline_seconds,
    });
    let (path, key) = (format!("/api/tasks/{task}/questions"), QuestionId::generate().to_string());
    let mut absence = Absence::new(Some(ABSENCE_MAX));
    let asked: Question = loop {
        match hub.post_once(&path, &body, &key).await {
            Ok(question) => break question,
            Err(error) => absence.wait(error).await?,
        }
    };
    let ended = wait(&hub, asked).await?;
    match ended.answer {
        Some(answer) => print(format!("{answer}\n").as_bytes()),
        None => {
            say(&format_args!("nobody has answered the question {} in time", ended.id));
            Ok(EXPIRED.into())
        }
    }
}

/// Waits for the end of a question.
async fn wait(hub: &Hub, mut question: Question) -> Result<Question, ClientError> {
    let path = format!("/api/questions/{}?wait={WAIT_SECONDS}", question.id);
    let mut absence = Absence::new(None);
    while question.status == QuestionStatus::Open {
        let begun = Instant::now();
        match hub.get(&path).await {
            Ok(found) => question = found,
            Err(error) => {
                absence.wait(error).await?;
                continue;
            }
        }
        absence = Absence::new(None);
        // A hub that is ending answers at once.
        if question.status == QuestionStatus::Open && begun.elapsed() < PAUSE_MIN {
            sleep(PAUSE_MIN).await;
        }
    }
    Ok(question)
}

/// A time without the hub.
struct Absence {
    /// When the hub was last there.
    begun: Instant,
    /// How long it may last; `None`: for ever.
    time_max: Option<Duration>,
    pause: Duration,
    has_told: bool,
}

impl Absence {
    fn new(time_max: Option<Duration>) -> Self {
        Self { begun: Instant::now(), time_max, pause: PAUSE_MIN, has_told: false }
    }

    /// Pauses before the next attempt.
    ///
    /// # Errors
    /// `error` when waiting does not help, or it has lasted too long.
    async fn wait(&mut self, error: HubError) -> Result<(), HubError> {
        let is_over = self.time_max.is_some_and(|max| self.begun.elapsed() > max);
        if is_over || !error.may_pass() {
            return Err(error);
        }
        if !self.has_told {
            say(&"the hub is away; the question goes on when it is back");
            self.has_told = true;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
