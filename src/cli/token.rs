//! `taskhub token`: makes, lists and revokes tokens, on the hub's machine, whether the hub runs or
//! not.
//!
//! The secret goes to standard output alone, and is stored nowhere. All messages go to standard
//! error.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::auth::Secret;
use crate::client;
use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::clock::Timestamp;
use crate::domain::project::ProjectName;
use crate::domain::text::{TokenName, must_be_one_line};
use crate::domain::token::{Scope, Token};
use crate::store::TokenBook;
use crate::telemetry::say;

/// The longest life of a token that expires. A longer one is refused: it would mean a token without
/// an end.
const DAYS_MAX: i64 = 36_500;
const DAY_SECONDS: i64 = 86_400;

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, this once; from the first one on the hub asks everybody for one
    Create(CreateArgs),
    /// List the tokens that there have been
    List(Place),
    /// Refuse a token from now on; its open streams end within a second
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// The hub's data directory
    #[arg(long, env = "TASKHUB_DATA_DIR", default_value = "taskhub-data", value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What to call it: it is the `actor` of whatever is done with it
    #[arg(long)]
    name: TokenName,
    /// What it allows: `read`, `write`, `exec`; each includes those before it
    #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPE")]
    scope: Vec<Scope>,
    /// Bind it to a project, which need not exist yet; repeat it for more. It then sees and changes only these (default:
    /// all projects)
    #[arg(long = "project", value_name = "PROJECT")]
    projects: Vec<ProjectName>,
    /// How long it is good, as in 90d, 12h, 30m, 45s (default: until it is revoked)
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<i64>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The token's name
    name: TokenName,
    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
///
/// # Errors
/// With a message for the operator.
pub fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TokenCommand::Create(args) => create(args),
        TokenCommand::List(place) => list(&place),
        TokenCommand::Revoke(args) => {
            TokenBook::open(&args.place.data_dir, false)?.revoke(&args.name, Timestamp::now())?;
            say(&format_args!("{} is refused from now on; a running hub knows within a second", args.name));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn create(args: CreateArgs) -> anyhow::Result<ExitCode> {
    must_be_one_line(args.name.as_str()).map_err(|message| anyhow::anyhow!("the name {message}"))?;
    let secret = Secret::token()?;
    let now = Timestamp::now();
    let token = Token {
        name: args.name,
        digest: secret.digest,
        scope: args.scope.into_iter().max().unwrap_or(Scope::Read),
        projects: match args.projects.is_empty() {
            true => AllowedProjects::default(),
            false => AllowedProjects::only(args.projects),
        },
        created_at: now,
        expires_at: args.expires.map(|seconds| Timestamp::from_ms(now.ms() + seconds * 1000)),
        revoked_at: None,
    };
    let mut book = TokenBook::open(&args.place.data_dir, true)?;
    book.insert(&token)?;
    say(&format_args!(
        "{} may {} in {}; keep it, it is not shown again. A running hub knows it within a second",
        token.name,
        token.scope.words(),
        token.projects
    ));
    if let Err(error) = writeln!(std::io::stdout(), "{}", secret.text) {
        // The user has not seen the secret, so no one may use it.
        book.revoke(&token.name, Timestamp::now())?;
        anyhow::bail!("the token could not be printed and is revoked: {error}");
    }
    Ok(ExitCode::SUCCESS)
}

fn list(place: &Place) -> anyhow::Result<ExitCode> {
    let tokens = TokenBook::open(&place.data_dir, false)?.list()?;
    let now = Timestamp::now();
    let mut rows = vec![["NAME", "SCOPES", "CREATED", "EXPIRES", "STATE", "PROJECTS"].map(str::to_owned)];
    for token in tokens {
        let state = match token.revoked_at {
            Some(at) if Some(at) == token.expires_at => "expired",
            Some(_) => "revoked",
            None if token.is_good(now) => "good",
            None => "expired",
        };
        let expires = token.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string());
        let (name, created) = (token.name.to_string(), token.created_at.to_string());
        let projects = token.projects.to_string();
        rows.push([name, token.scope.words(), created, expires, state.to_owned(), projects]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut table = String::new();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    Ok(client::print(table.as_bytes())?)
}

/// `90d` in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let odd = || "expected a number and d, h, m or s, such as 90d or 12h, at most 36500d".to_owned();
    let unit = match text.chars().last() {
        Some('d') => DAY_SECONDS,
        Some('h') => 3600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(odd()),
    };
    let digits = &text[..text.len() - 1];
    let number: i64 =
        digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit())).ok_or_else(odd)?;
    let seconds = number.checked_mul(unit).filter(|it| (1..=DAYS_MAX * DAY_SECONDS).contains(it));
    seconds.ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        assert_eq!(seconds("12h"), Ok(43_200));
        assert_eq!(seconds("1s"), Ok(1));
        for odd in ["", "d", "0d", "-1d", "+1d", "1", "1w", "1.5d", "36501d", "9223372036854775807d", "1é"] {
            assert!(seconds(odd).is_err(), "{odd}");
        }
    }
}
