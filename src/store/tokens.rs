//! Tokens: the hub reads them all the time, and the command `taskhub token` writes them.
//!
//! # The second writer
//! The operator must be able to make a token before the first start, and to revoke one while the
//! hub runs. Both happen on the machine itself and without a token. So the command writes to the
//! same database. When no hub holds the directory's lock, the command takes it. Otherwise it uses
//! one short transaction (`BEGIN IMMEDIATE`), and the hub's writer waits for it as for any lock of
//! SQLite. The command writes only the tables `tokens` and `audit`, never the log, so the state
//! that the hub's writer keeps in memory stays right. The hub reads the tokens several times a
//! second ([`View::tokens`]) to notice the change.
//!
//! Rejected: a request to the running hub. It would need a token to make the first token.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use thiserror::Error;

use crate::domain::allowed_projects::AllowedProjects;
use crate::domain::clock::Timestamp;
use crate::domain::text::TokenName;
use crate::domain::token::{Actor, AuditAction, Token, TokenDigest};

use super::lock::Locks;
use super::reader::View;
use super::tasks::{from_json, json, parsed};
use super::tx::Tx;
use super::{OpenError, StoreError, audit, open};

const COLUMNS: &str = "name, sha256, scope, created_at, expires_at, revoked_at, projects";

impl View<'_> {
    /// The tokens that nobody has revoked, and whether there has ever been a token.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tokens(&self) -> Result<(Vec<Token>, bool), StoreError> {
        let any = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM tokens)")?
            .query_row((), |row| row.get(0))?;
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE revoked_at IS NULL ORDER BY id");
        let mut statement = self.conn.prepare_cached(&sql)?;
        Ok((statement.query_map((), token)?.collect::<rusqlite::Result<_>>()?, any))
    }
}

impl Tx<'_> {
    /// Marks tokens as expired for good. So they do not become valid again when somebody sets the
    /// clock back.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn expire_tokens(&mut self, digests: &[TokenDigest]) -> Result<(), StoreError> {
        let sql = "UPDATE tokens SET revoked_at = expires_at WHERE sha256 = ?1 AND revoked_at IS NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        digests.iter().try_for_each(|digest| Ok(statement.execute([digest]).map(drop)?))
    }
}

/// Why a token could not be made or revoked.
#[derive(Debug, Error)]
pub enum TokenError {
    #[error("there is a token {0:?} already; choose another name, or revoke it first")]
    NameTaken(String),
    #[error("there is no token {0:?} that could be revoked; `taskhub token list` shows them")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for TokenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The tokens of a data directory. Works with and without a running hub.
#[derive(Debug)]
pub struct TokenBook {
    conn: Connection,
    /// `None` while a hub holds the locks.
    _lock: Option<Locks>,
}

impl TokenBook {
    /// Opens the tokens of `dir`. When the database is missing, makes it if `create` is set.
    ///
    /// # Errors
    /// [`OpenError`], each variant with a message for the operator.
    pub fn open(dir: &Path, create: bool) -> Result<Self, OpenError> {
        if !create && !super::files::database_file(dir).exists() {
            return Err(OpenError::Nothing(dir.to_owned()));
        }
        match open::prepare(dir) {
            Ok((conn, lock)) => Ok(Self { conn, _lock: Some(lock) }),
            Err(OpenError::InUse(_)) => Ok(Self { conn: open::beside_a_hub(dir)?, _lock: None }),
            Err(error) => Err(error),
        }
    }

    /// All tokens, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list(&self) -> Result<Vec<Token>, StoreError> {
        let mut statement = self.conn.prepare(&format!("SELECT {COLUMNS} FROM tokens ORDER BY id"))?;
        Ok(statement.query_map((), token)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Adds a token.
    ///
    /// # Errors
    /// [`TokenError::NameTaken`] while another token of this name is valid, [`TokenError::Store`]
    pub fn insert(&mut self, token: &Token) -> Result<(), TokenError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (name, now) = (token.name.as_str(), token.created_at.ms());
        // The name of an expired token is free again.
        tx.execute(
            "UPDATE tokens SET revoked_at = expires_at
             WHERE name = ?1 AND revoked_at IS NULL AND expires_at <= ?2",
            params![name, now],
        )?;
        let taken = "SELECT 1 FROM tokens WHERE name = ?1 AND revoked_at IS NULL";
        if tx.query_row(taken, [name], |_| Ok(())).optional()?.is_some() {
            return Err(TokenError::NameTaken(name.to_owned()));
        }
        tx.execute(
            "INSERT INTO tokens (name, sha256, scope, created_at, expires_at, projects)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                name,
                token.digest,
                token.scope.word(),
                now,
                token.expires_at.map(Timestamp::ms),
                token.projects.names().map(|names| json(&names)),
            ],
        )?;
        let until = token.expires_at.map_or_else(|| "for ever".to_owned(), |end| format!("until {end}"));
        let detail = format!("{} in {} {until}", token.scope.words(), token.projects);
        note(&tx, token.created_at, AuditAction::TokenCreated, name, &detail)?;
        Ok(tx.commit()?)
    }

    /// Revokes the token of this name. The hub refuses it from now on.
    ///
    /// # Errors
    /// [`TokenError::Unknown`], [`TokenError::Store`]
    pub fn revoke(&mut self, name: &TokenName, now: Timestamp) -> Result<(), TokenError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL";
        if tx.execute(sql, params![name.as_str(), now.ms()])? == 0 {
            return Err(TokenError::Unknown(name.to_string()));
        }
        note(&tx, now, AuditAction::TokenRevoked, name.as_str(), "")?;
        Ok(tx.commit()?)
    }
}

/// Writes to the audit log, in the name of the operator.
fn note(
    conn: &Connection,
    at: Timestamp,
    action: AuditAction,
    name: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    audit::insert(conn, at, &Actor::default(), action, name, detail)
}

/// Whether the hub in `dir` asks for tokens, as far as reading shows. Changes nothing.
pub(super) fn has_tokens(dir: &Path) -> bool {
    let path = super::files::database_file(dir);
    let look = || -> rusqlite::Result<bool> {
        let conn = open::open_to_look(&path)?;
        conn.query_row("SELECT EXISTS (SELECT 1 FROM tokens)", (), |row| row.get(0))
    };
    // When this cannot read the database, opening it will report the error.
    path.exists() && look().unwrap_or(false)
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let time =
        |column| -> rusqlite::Result<_> { Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms)) };
    Ok(Token {
        name: parsed(row, 0)?,
        digest: row.get::<_, TokenDigest>(1)?,
        scope: parsed(row, 2)?,
        created_at: Timestamp::from_ms(row.get(3)?),
        expires_at: time(4)?,
        revoked_at: time(5)?,
        projects: match row.get_ref(6)? {
            ValueRef::Null => AllowedProjects::default(),
            _ => AllowedProjects::only(from_json(row, 6)?),
        },
    })
}
