//! What writers write and filters ask for: few words, so that they meet; and texts that like to break a frame.

pub const KINDS: &[&str] = &[
    "task_created",
    "task_updated",
    "task_deleted",
    "lease_event",
    "announcement",
    "comment_added",
    "question_asked",
    "question_answered",
    "question_expired",
    "execution_event",
];
pub const STATUSES: &[&str] = &["todo", "inprogress", "review", "done"];
pub const PRIORITIES: &[&str] = &["low", "medium", "high"];
/// What a filter can ask for.
pub const PRIORITY_FILTERS: &[&str] = &["low", "medium", "high", "none"];
pub const ASSIGNEES: &[&str] = &["ada", "bob", "Zoë Ω"];
pub const TAGS: &[&str] = &["red", "green", "blue", "a \"b\" \\c"];
pub const LEVELS: &[&str] = &["info", "warning", "critical"];

/// Answers to choose from.
pub const OPTIONS: &[&str] = &["yes", "no", "\"later\" \\ später"];

pub const NASTY: &[&str] = &[
    "a\nid: 9-9\ndata: {}\n\n",
    "a\r\nevent: x\r\n\r\n",
    "a\rretry: 1\r\r",
    "\u{feff}b\u{0}c\u{2028}d\u{2029}e\u{85}f",
    "\u{1f600}\u{10ffff}\\\"</script>",
    ": comment\n:\n",
    "data:\n\n\n",
    "0\r\n\r\n",
];

/// For a query.
pub fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() || b"-_,".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}
