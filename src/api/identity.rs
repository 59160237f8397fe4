//! The operation that says what the hub knows of its caller: a page shows what may be done before
//! somebody tries.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::auth::Principal;
use crate::domain::project::ProjectName;
use crate::domain::text::TokenName;
use crate::domain::token::Scope;

use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::NONE;
use super::{ApiContext, Tags};

#[derive(Debug)]
pub struct IdentityApi;

/// Who the caller is, and what it may do.
#[derive(Debug, Object, Serialize)]
pub struct Identity {
    /// The name of the token; null when the hub asks for none.
    #[oai(nullable)]
    pub name: Option<TokenName>,
    /// What it may do: each scope includes those before it in `read`, `write`, `exec`.
    pub scope: Scope,
    /// The only projects that it sees and changes, sorted; null when it is bound to none.
    #[oai(nullable)]
    pub projects: Option<Vec<ProjectName>>,
    /// Whether a task without a script can be run: the hub's operator has named a command for all tasks
    /// (`--exec-default`).
    pub runs_without_script: bool,
}

#[derive(Debug, ApiResponse)]
pub enum IdentityReply {
    /// Who asks.
    #[oai(status = 200)]
    Ok(JsonBody<Identity>),
}

#[OpenApi(tag = "Tags::System")]
impl IdentityApi {
    /// Who am I?
    ///
    /// The name and the scope of the token that the request shows, and what the hub runs for its tasks. Without tokens
    /// everybody has the scope `exec`.
    #[oai(path = "/api/whoami", method = "get", operation_id = "whoAmI")]
    async fn whoami(
        &self,
        context: Data<&Arc<ApiContext>>,
        principal: Data<&Principal>,
    ) -> Result<IdentityReply, Problems<NONE>> {
        Ok(IdentityReply::Ok(JsonBody(Identity {
            name: principal.name.clone(),
            scope: principal.scope,
            projects: principal.projects.names().map(<[_]>::to_vec),
            runs_without_script: context.runs_without_script,
        })))
    }
}
