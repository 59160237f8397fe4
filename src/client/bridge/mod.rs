//! `taskhub mcp`: a bridge for agents that can only start programs. It carries MCP over standard input and output to `/mcp` of
//! a running hub.
//!
//! Each line of standard input is one POST. Its headers come from the line. The answer becomes one line, or a line for each
//! message of a stream. Requests run side by side, each over a connection of its own, so a hub that comes back is reached by
//! the next request. Standard output carries only messages, each written whole by one writer.
//!
//! The bridge knows no tool and checks no schema, so a newer hub works with an older bridge. Rejected: a server and a client
//! of the library back to back. They would keep a session, and hide what each side says from the other.

mod event_stream;
mod exchange;
mod failure;
mod lines;
mod message;
mod requests;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::open_files;
use crate::telemetry::say;

use super::error::ClientError;
use super::follow::Output;
use super::hub::Bearer;
use super::{HubPlace, unwritten};

use exchange::Exchange;
use lines::{LINE_BYTES_MAX, Line, Lines};
use message::Message;
use requests::Requests;

/// Never an argument: other users see command lines, and agents store them in files that people share.
const TOKEN: &str = "TASKHUB_TOKEN";
/// Answers that wait for a client which reads slowly. The requests behind them wait, too.
const LINES_WAITING_MAX: usize = 64;
/// How long requests in flight may still be answered after the end of standard input: a program may pipe in its messages and
/// read what comes. A call that waits for something ends then.
const LAST_ANSWERS_TIME_MAX: Duration = Duration::from_secs(1);
/// How long answers that are there may still be written after that. A client that no longer reads must not keep the bridge.
const LAST_LINES_TIME_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Args)]
pub struct McpArgs {
    #[command(flatten)]
    place: HubPlace,
}

/// Carries messages until the client closes standard input, or no longer reads.
///
/// # Errors
/// [`ClientError::Token`], [`ClientError::Output`]. An unreachable hub is none: each request gets an error, and the bridge
/// continues.
pub async fn mcp(args: McpArgs) -> Result<ExitCode, ClientError> {
    // Each request in flight takes one.
    open_files::raise();
    let hub = args.place.hub(token()?);
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    let mut writer = tokio::spawn(write(lines));
    let exchange = Exchange::new(hub, sender);
    let mut input = Lines::new(tokio::io::stdin(), LINE_BYTES_MAX);
    let mut requests = Requests::new();
    loop {
        // All are cancel safe.
        let line = tokio::select! {
            // As long as there is an exchange it ends only by an error.
            written = &mut writer => return ended(written),
            line = input.next() => line,
            Some(()) = requests.ended() => continue,
        };
        let exchange = exchange.clone();
        match line {
            Ok(Some(Line::Whole(line))) => match Message::parse(line) {
                // To close the connection is the cancellation; the message itself would find nothing any more.
                Ok(Message { cancels: Some(id), .. }) => requests.cancel(&id),
                Ok(message) => requests.start(message.id.clone().as_ref(), exchange.carry(message)),
                Err(error) => requests.start(None, exchange.refuse(error)),
            },
            Ok(Some(Line::TooLong)) => {
                let reason = format!("it is longer than {} MiB", LINE_BYTES_MAX >> 20);
                requests.start(None, exchange.refuse(reason));
            }
            Ok(None) => break,
            Err(error) => {
                say(&format_args!("cannot read standard input: {error}"));
                break;
            }
        }
    }
    // A request that takes longer is ended, like all that a client drops.
    let _ = timeout(LAST_ANSWERS_TIME_MAX, async { while requests.ended().await.is_some() {} }).await;
    // Ends the requests in flight. The writer ends with the last sender.
    drop((requests, exchange));
    match timeout(LAST_LINES_TIME_MAX, writer).await {
        Ok(written) => ended(written),
        Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// The exit code for how the writer has ended.
fn ended(written: Result<io::Result<()>, JoinError>) -> Result<ExitCode, ClientError> {
    match written.map_err(io::Error::from).flatten() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => unwritten(error),
    }
}

/// Writes lines, one after the other.
async fn write(mut lines: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut output = Output::new();
    while let Some(line) = lines.recv().await {
        output.write(&line).await?;
    }
    Ok(())
}

/// The token of the environment. An empty one is none: some clients pass every variable that their settings name.
fn token() -> Result<Option<Bearer>, ClientError> {
    match std::env::var(TOKEN) {
        Err(std::env::VarError::NotPresent) => Ok(None),
        Ok(token) if token.is_empty() => Ok(None),
        token => token.unwrap_or_default().parse().map(Some).map_err(ClientError::Token),
    }
}
