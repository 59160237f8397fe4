//! A checksum in each row of tasks and events. SQLite notices a damaged page, but not a changed
//! letter in a title.
//!
//! The checksum is the CRC-32 of the stored columns, each with its type and length. It detects
//! every change of up to 32 consecutive bits, and misses one in four billion of the other changes.
//! Rows of earlier versions have no checksum, and the reader accepts them unchecked.
//!
//! Rejected: SQLite's `cksumvfs`. The bundled library does not have this extension. It also needs
//! reserved bytes in every page, so every database would have to be rewritten.

use crc32fast::Hasher;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// The SQL function that answers the checksum of its arguments.
pub(super) const ROW_SUM: &str = "row_sum";

/// A row whose columns do not match its checksum.
#[derive(Debug, thiserror::Error)]
#[error("a row of {table} is not what was written")]
pub(super) struct Mismatch {
    table: &'static str,
}

/// Adds the function [`ROW_SUM`] to a connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(ROW_SUM, -1, flags, |context| {
        let mut sum = Sum::default();
        (0..context.len()).for_each(|index| sum.add(context.get_raw(index)));
        Ok(sum.finish())
    })
}

/// The columns of a row, after a check against the checksum that follows them.
///
/// # Errors
/// [`Mismatch`], wrapped in an error of SQLite.
pub(super) fn checked<'a, const COLUMNS: usize>(
    row: &'a Row<'_>,
    table: &'static str,
) -> rusqlite::Result<[ValueRef<'a>; COLUMNS]> {
    let mut columns = [ValueRef::Null; COLUMNS];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = row.get_ref(index)?;
    }
    let Some(stored) = row.get_ref(COLUMNS)?.as_i64_or_null()? else {
        return Ok(columns);
    };
    let mut sum = Sum::default();
    columns.iter().for_each(|column| sum.add(*column));
    match sum.finish() == stored {
        true => Ok(columns),
        false => Err(rusqlite::Error::UserFunctionError(Box::new(Mismatch { table }))),
    }
}

/// What is wrong with the stored data, if damaged data is why a query failed.
pub(super) fn damage(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::UserFunctionError(source) => {
            source.downcast_ref::<Mismatch>().map(ToString::to_string)
        }
        _ if super::damage::is_damage(error) => Some(error.to_string()),
        _ => None,
    }
}

/// The checksum of the columns so far. It collects short columns in a buffer first: a step of the
/// hasher costs as much for a few bytes as for a few hundred, and a list has thousands of columns.
struct Sum {
    hasher: Hasher,
    buffer: [u8; 512],
    filled: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { hasher: Hasher::new(), buffer: [0; 512], filled: 0 }
    }
}

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
        self.put(&[kind, a, b, c, d, e, f, g, h]);
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.buffer.len() - self.filled {
            self.flush();
        }
        match self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.hasher.update(bytes),
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    fn finish(mut self) -> i64 {
        self.flush();
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_that_of_all_bytes_in_a_row_however_long_they_are() {
        for length in [0, 1, 400, 502, 503, 504, 511, 512, 513, 5_000] {
            let text = "x".repeat(length);
            let (mut sum, mut whole) = (Sum::default(), Hasher::new());
            for value in [ValueRef::Text(text.as_bytes()), ValueRef::Null, ValueRef::Text(b"end")] {
                sum.add(value);
            }
            for (kind, bytes) in [(3, text.as_bytes()), (0, b""), (3, b"end")] {
                whole.update(&[kind]);
                whole.update(&(bytes.len() as u64).to_le_bytes());
                whole.update(bytes);
            }
            assert_eq!(sum.finish(), i64::from(whole.finalize()), "{length}");
        }
    }

    #[test]
    fn every_bit_of_a_row_counts_and_a_row_without_a_sum_does_not() {
        let conn = Connection::open_in_memory().expect("a database");
        register(&conn).expect("registered");
        conn.execute_batch(
            "CREATE TABLE t (a TEXT, b INTEGER, c BLOB, sum INTEGER) STRICT;
             INSERT INTO t VALUES ('text', 7, x'00ff', row_sum('text', 7, x'00ff'));",
        )
        .expect("made");
        let read =
            || conn.query_row("SELECT a, b, c, sum FROM t", (), |row| checked::<3>(row, "t").map(drop));
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
