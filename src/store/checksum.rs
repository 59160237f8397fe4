//! A checksum in each row of tasks and events: SQLite finds a damaged page, and not another letter in a title.
//!
//! CRC-32 over the columns as they are stored, each with its type and length: every change of up to 32 bits in a row is
//! found, and one in four billion of the others is not. Rows of earlier versions have none and are taken as they are.
//!
//! Rejected: SQLite's `cksumvfs`, an extension that the bundled library does not have, which needs reserved bytes in every
//! page and so a database that is written anew.

use crc32fast::Hasher;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// The function of SQL that answers the checksum of its arguments.
pub(super) const ROW_SUM: &str = "row_sum";

/// A row that is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("a row of {table} is not what was written")]
pub(super) struct Mismatch {
    table: &'static str,
}

/// Makes a connection know [`ROW_SUM`].
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(ROW_SUM, -1, flags, |context| {
        let mut sum = Sum::default();
        (0..context.len()).for_each(|index| sum.add(context.get_raw(index)));
        Ok(sum.finish())
    })
}

/// Compares the columns of a row with the checksum that follows them.
///
/// # Errors
/// [`Mismatch`], inside of an error of SQLite.
pub(super) fn check(row: &Row<'_>, columns: usize, table: &'static str) -> rusqlite::Result<()> {
    let Some(stored) = row.get::<_, Option<i64>>(columns)? else {
        return Ok(());
    };
    let mut sum = Sum::default();
    for index in 0..columns {
        sum.add(row.get_ref(index)?);
    }
    match sum.finish() == stored {
        true => Ok(()),
        false => Err(rusqlite::Error::UserFunctionError(Box::new(Mismatch { table }))),
    }
}

/// What is wrong with the data itself, if that is why a query failed.
pub(super) fn damage(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::UserFunctionError(source) => {
            source.downcast_ref::<Mismatch>().map(ToString::to_string)
        }
        _ if super::open::is_damage(error) => Some(error.to_string()),
        _ => None,
    }
}

/// The checksum of the columns so far.
#[derive(Default)]
struct Sum(Hasher);

impl Sum {
    fn add(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.add_bytes(0, &[]),
            ValueRef::Integer(number) => self.add_bytes(1, &number.to_le_bytes()),
            ValueRef::Real(number) => self.add_bytes(2, &number.to_le_bytes()),
            ValueRef::Text(bytes) => self.add_bytes(3, bytes),
            ValueRef::Blob(bytes) => self.add_bytes(4, bytes),
        }
    }

    fn add_bytes(&mut self, kind: u8, bytes: &[u8]) {
        let [a, b, c, d, e, f, g, h] = (bytes.len() as u64).to_le_bytes();
        self.0.update(&[kind, a, b, c, d, e, f, g, h]);
        self.0.update(bytes);
    }

    fn finish(self) -> i64 {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_row_counts_and_a_row_without_a_sum_does_not() {
        let conn = Connection::open_in_memory().expect("a database");
        register(&conn).expect("registered");
        conn.execute_batch(
            "CREATE TABLE t (a TEXT, b INTEGER, c BLOB, sum INTEGER) STRICT;
             INSERT INTO t VALUES ('text', 7, x'00ff', row_sum('text', 7, x'00ff'));",
        )
        .expect("made");
        let read = || conn.query_row("SELECT a, b, c, sum FROM t", (), |row| check(row, 3, "t"));
        assert!(read().is_ok());
        for change in
            ["a = 'tExt'", "a = 'tex'", "a = NULL", "b = 6", "b = NULL", "c = x'00fe'", "sum = sum + 1"]
        {
            conn.execute_batch(&format!("BEGIN; UPDATE t SET {change}")).expect("changed");
            let error = read().expect_err(change);
            assert_eq!(damage(&error).as_deref(), Some("a row of t is not what was written"));
            conn.execute_batch("ROLLBACK").expect("undone");
        }
        conn.execute_batch("UPDATE t SET a = 'other', sum = NULL").expect("changed");
        assert!(read().is_ok(), "of an earlier version");
    }
}
