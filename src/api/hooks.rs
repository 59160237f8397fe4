//! The operation that the hooks of coding agents call.

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{ApiResponse, OpenApi};

use crate::domain::agent_session::HookInput;
use crate::domain::project::ProjectName;
use crate::service::Service;

use super::Tags;
use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT};

#[derive(Debug)]
pub struct HookApi;

#[derive(Debug, ApiResponse)]
pub enum HookReply {
    /// The hub has taken note of it. There is no body: Claude Code would read a decision in it.
    #[oai(status = 204)]
    Taken,
}

#[OpenApi(tag = "Tags::Tasks")]
impl HookApi {
    /// Show a session of Claude Code as a task
    ///
    /// An HTTP hook of Claude Code posts its input here as it is. Each session becomes one task, with the assignee `claude`
    /// and the tag `session`, which is found again by `session_id`. `SessionStart` makes the task, `UserPromptSubmit` sets
    /// it to `inprogress`, `Notification` and `Stop` to `review`, `SessionEnd` to `done`. The message of a `Notification` is
    /// added as a comment. `PostToolUse` sets a task that is in `review` to `inprogress`: its user has answered. Any other
    /// event changes nothing; unknown fields are passed over.
    ///
    /// For an event that Claude Code gives to commands alone, such as `SessionStart`, the command
    /// `curl -s http://localhost:8000/api/hooks/claude-code --json @-` posts it.
    #[oai(path = "/api/hooks/claude-code", method = "post", operation_id = "reportClaudeCodeHook")]
    async fn claude_code(
        &self,
        service: Data<&Service>,
        /// The project of the task. Without it that is `claude-code`, which the first session makes.
        project: Query<Option<ProjectName>>,
        body: JsonBody<HookInput>,
    ) -> Result<HookReply, Problems<{ BODY | CONFLICT }>> {
        service.report_agent_session(project.0, body.0).await?;
        Ok(HookReply::Taken)
    }
}
