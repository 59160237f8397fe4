//! Lists in answers, as far as a model can take them.

use serde_json::Value;

/// Bytes of a list in an answer, about 10,000 tokens. A longer one would fill the memory of a model.
pub const LIST_BYTES_MAX: usize = 30_000;

/// How many of these rows fit into an answer. The first one always does, so that a caller comes on.
pub fn rows_that_fit(rows: &[Value]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Value| {
        bytes += row.to_string().len();
        bytes <= LIST_BYTES_MAX
    };
    rows.iter().take_while(fits).count().max(1).min(rows.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_ends_before_it_is_too_long() {
        let row = json!("x".repeat(LIST_BYTES_MAX / 4));
        assert_eq!(rows_that_fit(&[]), 0);
        assert_eq!(rows_that_fit(&vec![row; 9]), 3);
        let long = json!("x".repeat(LIST_BYTES_MAX));
        assert_eq!(rows_that_fit(&[long.clone(), long]), 1, "one is shown whatever its length");
    }
}
