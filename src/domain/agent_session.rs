//! A session of a coding agent, and what one of its hooks tells of it.
//!
//! The words are those of Claude Code. It names more events and sends more fields with each release, so what is not known is
//! passed over. Rejected: an enum of its events, which would refuse the next one.

use poem_openapi::Object;
use serde::Deserialize;

use super::task::Status;
use super::text::{Title, seen_and_at_most_chars, seen_meta, text_newtype};

/// Longest name of a session, in characters. Those of today are UUIDs.
const ID_CHARS_MAX: usize = 200;
/// Longest title that is taken from a prompt, in characters: as much as a card shows.
const TITLE_CHARS_MAX: usize = 80;

text_newtype!(
    /// What an agent calls its session: 1–200 characters, not blank.
    AgentSessionId,
    "agent_session_id",
    |text| seen_and_at_most_chars(text, ID_CHARS_MAX),
    seen_meta(ID_CHARS_MAX, "5f0c1f6e-6a8f-4a53-9d53-0a5c9b1d2e3f")
);

/// What a hook of Claude Code sends. It sends more, which is passed over.
#[derive(Debug, Clone, Object, Deserialize)]
pub struct HookInput {
    /// The session; all events with this id are about one task.
    pub session_id: AgentSessionId,
    /// What has happened. `SessionStart`, `UserPromptSubmit`, `PostToolUse`, `Notification`, `Stop` and `SessionEnd` change
    /// the task; any other event changes nothing.
    pub hook_event_name: String,
    /// Where the agent works. Its last part is the title of the task until there is a prompt.
    #[oai(nullable)]
    #[serde(default)]
    pub cwd: Option<String>,
    /// What the user has asked for, with `UserPromptSubmit`. The first one gives the task its title.
    #[oai(nullable)]
    #[serde(default)]
    pub prompt: Option<String>,
    /// What the agent wants of the user, with `Notification`. It becomes a comment.
    #[oai(nullable)]
    #[serde(default)]
    pub message: Option<String>,
}

/// What an event means for the task of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStep {
    Started,
    Prompted,
    /// It has used a tool.
    Works,
    /// It waits for its user.
    Waits,
    Stopped,
    Ended,
}

impl SessionStep {
    /// The status that follows, if one does.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Started => None,
            Self::Prompted | Self::Works => Some(Status::InProgress),
            Self::Waits | Self::Stopped => Some(Status::Review),
            Self::Ended => Some(Status::Done),
        }
    }
}

impl HookInput {
    /// `None` for an event that changes nothing.
    pub fn step(&self) -> Option<SessionStep> {
        match self.hook_event_name.as_str() {
            "SessionStart" => Some(SessionStep::Started),
            "UserPromptSubmit" => Some(SessionStep::Prompted),
            "PostToolUse" => Some(SessionStep::Works),
            "Notification" => Some(SessionStep::Waits),
            "Stop" => Some(SessionStep::Stopped),
            "SessionEnd" => Some(SessionStep::Ended),
            _ => None,
        }
    }

    /// The first line of the prompt in which something can be seen.
    pub fn title_of_prompt(&self) -> Option<Title> {
        self.prompt.as_deref()?.lines().find_map(title)
    }

    /// The name of the directory.
    pub fn title_of_directory(&self) -> Option<Title> {
        self.cwd.as_deref()?.rsplit(['/', '\\']).find_map(title)
    }
}

/// A title as far as it fits on a card.
fn title(text: &str) -> Option<Title> {
    let text = text.trim();
    let cut = match text.char_indices().nth(TITLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    };
    super::text::must_be_seen(&cut).ok()?;
    cut.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(more: serde_json::Value) -> HookInput {
        let mut input = json!({ "session_id": "s", "hook_event_name": "UserPromptSubmit" });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(input).expect("a hook's input")
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let told =
            input(json!({ "permission_mode": "plan", "tool_input": { "command": "ls" }, "message": null }));
        assert_eq!(told.step(), Some(SessionStep::Prompted));
        for other in ["PreToolUse", "SubagentStop", "PreCompact", "Dreamed", ""] {
            assert_eq!(input(json!({ "hook_event_name": other })).step(), None, "{other}");
        }
        assert!(serde_json::from_value::<HookInput>(json!({ "hook_event_name": "Stop" })).is_err());
        assert!(
            serde_json::from_value::<HookInput>(json!({ "session_id": " ", "hook_event_name": "Stop" }))
                .is_err()
        );
    }

    #[test]
    fn a_title_is_one_line_that_fits_on_a_card() {
        let of = |prompt: &str| input(json!({ "prompt": prompt })).title_of_prompt().map(|it| it.to_string());
        assert_eq!(of("\n  Mend the test \nand more").as_deref(), Some("Mend the test"));
        assert_eq!(of(" \n\u{200b}\n"), None);
        assert_eq!(of(&"ä".repeat(80)), Some("ä".repeat(80)));
        assert_eq!(of(&format!("{} b", "a".repeat(79))), Some(format!("{}…", "a".repeat(79))));
        let of = |cwd: &str| input(json!({ "cwd": cwd })).title_of_directory().map(|it| it.to_string());
        assert_eq!(of("/home/ada/web").as_deref(), Some("web"));
        assert_eq!(of("/home/ada/web/").as_deref(), Some("web"));
        assert_eq!(of(r"C:\work\shop").as_deref(), Some("shop"));
        assert_eq!(of("/"), None);
    }
}
