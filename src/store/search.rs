//! Text search by SQL, for as long as the index in memory does not answer. Both read texts as [`words`] does.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;

use crate::domain::words::{self, Search, SearchPart, numbers_that_begin_with};

/// The SQL function that says whether a word of its first argument begins with its second.
const HAS_WORD: &str = "has_word";

/// Adds the function [`HAS_WORD`] to a connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(HAS_WORD, 2, flags, |context| {
        let (text, wanted) = (context.get_raw(0).as_str()?, context.get_raw(1).as_str()?);
        Ok(words::has_word(text, wanted))
    })
}

/// The condition on a row of `tasks` that the search finds it, and the values of its `?` marks.
pub(super) fn condition(text: &str) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let search = Search::new(text);
    let parts: Vec<_> = search.parts.iter().map(|part| of_part(part, &mut values)).collect();
    match parts.is_empty() {
        true => ("0".to_owned(), values),
        false => (format!("({})", parts.join(" AND ")), values),
    }
}

fn of_part(part: &SearchPart, values: &mut Vec<Value>) -> String {
    let mut word = |word: &String| {
        values.extend(std::iter::repeat_n(Value::Text(word.clone()), 3));
        format!(
            "({HAS_WORD}(title, ?) OR {HAS_WORD}(description, ?)
                OR EXISTS (SELECT 1 FROM comments WHERE task_id = tasks.id AND {HAS_WORD}(text, ?)))"
        )
    };
    let words = part.words.iter().map(&mut word).collect::<Vec<_>>().join(" AND ");
    let Some((project, number)) = &part.key else {
        return format!("({words})");
    };
    values.push(Value::Text(project.clone()));
    let range = |(first, last): (i64, i64)| format!("number BETWEEN {first} AND {last}");
    let ranges = numbers_that_begin_with(*number).map(range).collect::<Vec<_>>().join(" OR ");
    format!("(({words}) OR (project = ? AND ({ranges})))")
}
