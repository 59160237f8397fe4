//! The commands that talk to a running hub: `taskhub exec`, `taskhub logs`, `taskhub ask` and `taskhub mcp`.
//!
//! They use only the hub's HTTP API, like any other client. Standard output gets what scripts
//! wrote, unchanged; all messages go to standard error.

mod ask;
mod bridge;
mod error;
mod follow;
mod hub;
mod outcome;
mod trust;

pub use ask::{AskArgs, ask};
pub use bridge::{McpArgs, mcp};
pub use error::ClientError;
pub use hub::{Bearer, Hub, HubError};
pub use trust::Roots;

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::domain::id::{ExecutionId, TaskId};
use crate::telemetry::say;

use follow::{Follower, Output};

/// The exit code that a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// And for a program whose reader is gone.
const READER_GONE: u8 = 141;

#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// The task to run
    task_id: TaskId,
    /// Print what it writes as it is written, and exit with its exit code
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    hub: HubArgs,
    /// A command to run instead of the task's script
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// The task whose log to print
    task_id: TaskId,
    /// Go on until the execution has ended
    #[arg(short, long)]
    follow: bool,
    /// Which execution of the task (default: the latest)
    #[arg(long, value_name = "ID")]
    execution_id: Option<ExecutionId>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Debug, Clone, Args)]
struct HubArgs {
    #[command(flatten)]
    place: HubPlace,
    /// What the hub asks for, if it does (better in the variable: other users see command lines)
    #[arg(long, env = "TASKHUB_TOKEN", hide_env_values = true)]
    token: Option<Bearer>,
}

/// Which hub, without a secret.
#[derive(Debug, Clone, Args)]
struct HubPlace {
    /// Where the hub is
    #[arg(long, env = "TASKHUB_URL", default_value = "http://localhost:8000")]
    url: Hub,
    /// File with the certificate, in PEM form, that a hub's has to be or to lead to (default: those that this machine
    /// trusts)
    #[arg(long, env = "TASKHUB_CA_CERT", value_name = "FILE")]
    ca_cert: Option<Roots>,
}

impl HubArgs {
    fn hub(self) -> Hub {
        self.place.hub(self.token)
    }
}

impl HubPlace {
    fn hub(self, token: Option<Bearer>) -> Hub {
        self.url.with(token, self.ca_cert)
    }
}

/// The fields of an execution that the commands need; others of a newer hub are ignored.
#[derive(Debug, Deserialize)]
struct Started {
    id: ExecutionId,
    session_name: String,
}

/// Starts an execution. With `--follow`, prints its output and returns its exit code.
///
/// # Errors
/// [`ClientError`]
pub async fn exec(args: ExecArgs) -> Result<ExitCode, ClientError> {
    let ExecArgs { task_id, follow, hub, command } = args;
    let hub = hub.hub();
    let request = match command.is_empty() {
        true => json!({}),
        false => json!({ "script_content": script(&command) }),
    };
    let started: Started = hub.post(&format!("/api/exec/{task_id}"), &request).await?;
    if !follow {
        say(&format_args!("{} has started; `taskhub logs -f {task_id}` follows it", started.session_name));
        return print(format!("{}\n", started.id).as_bytes());
    }
    say(&format_args!("{} has started", started.session_name));
    watch(hub, task_id, started.id, |end| {
        if let Some(words) = end.words() {
            say(&words);
        }
        end.exit_code()
    })
    .await
}

/// Prints the log of an execution.
///
/// # Errors
/// [`ClientError`]
pub async fn logs(args: LogsArgs) -> Result<ExitCode, ClientError> {
    let LogsArgs { task_id, follow, execution_id, hub } = args;
    let hub = hub.hub();
    let latest: Started = hub.get(&format!("/api/exec/{task_id}")).await?;
    let id = execution_id.unwrap_or(latest.id);
    if follow {
        return watch(hub, task_id, id, |_| 0).await;
    }
    let path = format!("/api/exec/{task_id}/logs/raw?execution_id={id}");
    let mut answer = hub.open(&path, "text/plain").await?;
    let mut output = Output::new();
    while let Some(bytes) = answer.next().await? {
        if let Err(error) = output.write(&bytes).await {
            return unwritten(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows a log to its end, or until Ctrl-C. Ctrl-C ends only the watching, not the execution.
async fn watch(
    hub: Hub,
    task: TaskId,
    execution: ExecutionId,
    judge: impl FnOnce(outcome::End) -> u8,
) -> Result<ExitCode, ClientError> {
    let follower = Follower::new(hub, task, execution);
    // Ctrl-C drops the follower; it has nothing to save.
    let followed = tokio::select! {
        followed = follower.run() => followed,
        _ = tokio::signal::ctrl_c() => {
            say(&format_args!(
                "the execution goes on; `taskhub logs -f {task} --execution-id {execution}` follows it, and POST \
                 /api/exec/{task}/stop ends it"
            ));
            return Ok(INTERRUPTED.into());
        }
    };
    match followed {
        Ok(end) => Ok(judge(end).into()),
        Err(ClientError::Output(error)) => unwritten(error),
        Err(error) => Err(error),
    }
}

/// Prints the whole answer of a command.
///
/// # Errors
/// [`ClientError::Output`]
pub fn print(bytes: &[u8]) -> Result<ExitCode, ClientError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => unwritten(error),
    }
}

fn unwritten(error: std::io::Error) -> Result<ExitCode, ClientError> {
    match error.kind() {
        // The reader has closed the pipe.
        std::io::ErrorKind::BrokenPipe => Ok(READER_GONE.into()),
        _ => Err(ClientError::Output(error)),
    }
}

/// A script that runs one command with exactly these words.
fn script(command: &[String]) -> String {
    let quoted: Vec<_> = command.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    // `exec` replaces the shell, so that the execution ends as the command does.
    format!("exec {}\n", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_whatever_is_in_them() {
        let command = ["printf", "%s|", "a b", "it's", "$HOME", "", "*", "-n", "a\nb", "\"", "\\"];
        let script = script(&command.map(str::to_owned));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("ran");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b|it's|$HOME||*|-n|a\nb|\"|\\|");
    }
}
