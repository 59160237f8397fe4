//! The command line.

mod check;
mod token;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app::App;
use crate::client::{self, AskArgs, ClientError, ExecArgs, LogsArgs, McpArgs};
use crate::config::Config;
use crate::shutdown::Signals;
use crate::{api, process, telemetry};

/// How long `/ready` shows the reason before a failed hub ends.
const FAILURE_SHOWN: Duration = Duration::from_secs(2);

/// The list of documents at the end of `--help`.
const PAGES: &str = "\
Without a command the hub serves: the board at http://localhost:8000, the API at /docs.

Pages of the repository:
  README.md           first steps
  docs/tasks.md       tasks, comments, questions
  docs/stream.md      follow changes
  docs/executions.md  run scripts
  docs/agents.md      let agents work on tasks, by MCP
  docs/security.md    tokens, TLS, limits
  docs/operations.md  settings, proxies, backups, what fails how";

#[derive(Debug, Parser)]
#[command(
    name = "taskhub",
    version,
    about = "Keeps tasks, runs their scripts, and streams every change",
    after_help = PAGES,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (what happens without a command, too)
    Serve(Box<Config>),
    /// Print the OpenAPI specification
    Openapi,
    /// Read the whole database, and say whether it is what was written
    Check(check::CheckArgs),
    /// Make, list and revoke the tokens that a hub asks for
    Token(token::TokenArgs),
    /// Run a task on a running hub
    Exec(ExecArgs),
    /// Print the log of a task's execution
    Logs(LogsArgs),
    /// Ask a question about a task, wait for the answer, and print it (exit code 124: nobody has answered in time)
    Ask(AskArgs),
    /// Let an agent that only starts programs use a running hub: MCP over standard input and output (the token: TASKHUB_TOKEN)
    Mcp(McpArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// With a message for the operator.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Openapi) => {
                return client::print(api::spec::json().as_bytes()).map_err(Into::into);
            }
            Some(Command::Check(args)) => return check::run(&args),
            Some(Command::Token(args)) => return token::run(args),
            Some(Command::Exec(args)) => return talk(client::exec(args)),
            Some(Command::Logs(args)) => return talk(client::logs(args)),
            Some(Command::Ask(args)) => return talk(client::ask(args)),
            Some(Command::Mcp(args)) => return talk(client::mcp(args)),
            Some(Command::Serve(config)) => serve(*config)?,
            None => serve(self.config)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a command that talks to a hub.
fn talk(command: impl Future<Output = Result<ExitCode, ClientError>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(command);
    // A write to standard output may hang, because nobody reads it. It must not delay the end.
    runtime.shutdown_background();
    Ok(done?)
}

/// Waits until a signal or a fault ends the hub, and stops it.
///
/// # Errors
/// When the hub must be started again, or a second signal cut it short.
async fn attend(app: App, signals: &mut Signals) -> anyhow::Result<()> {
    // Both only wait.
    let failure = tokio::select! {
        signal = signals.first() => {
            tracing::info!(signal, "TaskHub is ending; a second signal cuts it short");
            None
        }
        part = app.vitals().failed() => {
            // Clients that ask for `/ready` learn the reason before the process ends.
            tokio::time::sleep(FAILURE_SHOWN).await;
            Some(part.to_owned())
        }
    };
    // Both only wait. Cutting short loses no acknowledged write: the process just ends.
    tokio::select! {
        () = app.stop() => {}
        second = signals.second() => anyhow::bail!("cut short by {second}"),
    }
    if let Some(part) = failure {
        anyhow::bail!("{part} has ended by a fault; start the hub again");
    }
    tracing::info!("TaskHub has ended");
    Ok(())
}

fn serve(mut config: Config) -> anyhow::Result<()> {
    config.executor.adopts_orphans = true;
    telemetry::init(&config.telemetry)?;
    process::protect(config.core_dumps).context("cannot prepare this process")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        // The handlers come first, before anything can learn that the hub is ready.
        let mut signals = Signals::catch()?;
        let app = App::start(config).await?;
        app.announce();
        attend(app, &mut signals).await
    });
    // Does not wait for a query whose caller is gone.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hub_that_has_lost_a_part_ends_with_an_error_so_that_it_is_started_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path().to_str().expect("a path");
        let cli = Cli::parse_from(["taskhub", "--listen", "127.0.0.1:0", "--data-dir", data_dir]);
        let app = App::start(cli.config).await.expect("it starts");
        let mut signals = Signals::catch().expect("signals");
        // Dropped without a word, as by a panic.
        drop(app.vitals().hold("the test's part"));
        let ended =
            tokio::time::timeout(FAILURE_SHOWN * 10, attend(app, &mut signals)).await.expect("in time");
        let words = ended.expect_err("an error is an exit code other than 0").to_string();
        assert_eq!(words, "the test's part has ended by a fault; start the hub again");
    }
}
