//! Any text, as a name, a path or a text of a task, and as what an execution is asked for: what is taken obeys its rule,
//! and is told as it came. `tests/fuzz/run names -max_total_time=3600`
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use taskhub::domain::execution::ExecutionRequest;
use taskhub::domain::text::{
    ARTIFACT_CHARS_MAX, Artifact, Assignee, NAME_CHARS_MAX, Script, TITLE_CHARS_MAX, Tag, Title, TokenName,
};

/// Whether a text was taken, by both of its ways in.
fn taken<T: std::str::FromStr + std::fmt::Display + DeserializeOwned + Serialize>(text: &str) -> bool {
    let by_json = serde_json::from_value::<T>(json!(text)).ok();
    let Ok(value) = text.parse::<T>() else {
        assert!(by_json.is_none(), "two ways in, two rules");
        return false;
    };
    assert_eq!(value.to_string(), text);
    assert_eq!(json!(by_json.expect("one rule")), json!(text));
    true
}

fuzz_target!(|text: &str| {
    let chars = text.chars().count();
    let is_name = taken::<Assignee>(text);
    assert_eq!(is_name, taken::<Tag>(text));
    assert_eq!(is_name, taken::<TokenName>(text));
    if is_name {
        assert!(!text.contains(',') && !text.chars().any(char::is_control));
        assert!((1..=NAME_CHARS_MAX).contains(&chars) && text.chars().any(|c| !c.is_whitespace()));
    }
    if taken::<Title>(text) {
        assert!((1..=TITLE_CHARS_MAX).contains(&chars));
    }
    if taken::<Artifact>(text) {
        assert!((1..=ARTIFACT_CHARS_MAX).contains(&chars));
    }
    if taken::<Script>(text) {
        assert!(!text.contains('\0'));
    }
    let asking = |fields| serde_json::from_value::<ExecutionRequest>(fields).ok()?.validated().ok();
    if asking(json!({ "cwd": text })).is_some() {
        assert!(
            !text.contains('\0') && !text.split('/').any(|part| part == ".."),
            "{text:?} leads elsewhere"
        );
    }
    if asking(json!({ "env": { text: "" } })).is_some() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(
            text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
        );
        assert!(!text.starts_with("TASKHUB_") || text == "TASKHUB_TOKEN");
    }
    if asking(json!({ "env": { "A": text } })).is_some() {
        assert!(!text.contains('\0'));
    }
});
