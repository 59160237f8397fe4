//! What the protocol asks of a server, answered by the tables of this room.

use poem::http::request::Parts;
use rmcp::model::{
    ArgumentInfo, CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams,
    CompleteResult, CompletionInfo, CustomRequest, CustomResult, DiscoverResult, ErrorCode,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, PromptMessage, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ResourceContents, ResourceTemplate, Role, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

use crate::api::stream_reply;
use crate::config::McpProfile;
use crate::domain::token::Scope;

use super::call::Call;
use super::deferred::{Deferred, Place};
use super::failure::Failure;
use super::resource::{self, Resource};
use super::table::Row;
use super::{completion, instructions, listen, profiles, prompts};

/// For how long a client may keep the list of tools: it changes only with the hub's version.
const LIST_TTL_MS: u64 = 300_000;

/// Answers requests. It keeps nothing between them.
#[derive(Debug, Clone, Copy)]
pub struct Handler {
    pub profile: McpProfile,
}

impl Handler {
    fn call_of(context: &RequestContext<RoleServer>) -> Result<Call, ErrorData> {
        Call::of(context).ok_or_else(|| ErrorData::internal_error("the hub failed; its log says why", None))
    }

    fn row(self, name: &str) -> Option<&'static Row> {
        profiles::tools_of(self.profile).iter().find(|row| row.name == name)
    }

    /// What the server says of itself to this caller.
    fn info_for(&self, context: &RequestContext<RoleServer>) -> Result<ServerConfig, ErrorData> {
        let scope = Self::call_of(context)?.principal.scope;
        Ok(self.get_info().with_instructions(instructions::of(self.profile, scope)))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_completions()
            .enable_resources()
            .enable_resources_subscribe()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("taskhub", env!("CARGO_PKG_VERSION")).with_title("TaskHub"))
            .with_instructions(instructions::of(self.profile, Scope::Exec))
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let mut info = self.negotiate_initialize(&request)?;
        info.instructions = self.info_for(&context)?.instructions;
        // A client of that era would subscribe by a request of its own, and wait for notices on a stream that is not there.
        if let Some(resources) = &mut info.capabilities.resources {
            resources.subscribe = None;
        }
        context.peer.set_peer_info(request);
        Ok(info)
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.info_for(&context)?))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let words =
            format!("there is no method {}; tools/list and tools/call are the most useful", request.method);
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, words, None))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.row(name).map(Row::tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let scope = Self::call_of(&context)?.principal.scope;
        let tools =
            profiles::tools_of(self.profile).iter().filter(|row| row.scope <= scope).map(Row::tool).collect();
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(row) = self.row(&request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {}", request.name), None));
        };
        let call = Self::call_of(&context)?;
        let place = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Place>());
        let tells_progress = call.progress.is_some();
        let mut deferred = Box::new(Deferred { row, call, given: request.arguments.unwrap_or_default() });
        match place {
            Some(place) if !tells_progress => {
                place.put(deferred);
                Ok(CallToolResult::success(Vec::new()).into())
            }
            _ => tokio::select! {
                result = deferred.make() => Ok(result.into()),
                () = context.ct.cancelled() => Err(ErrorData::internal_error("the call was cancelled", None)),
            },
        }
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = ListPromptsResult::with_all_items(prompts::all());
        Ok(prompts.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let text = match prompts::text(&request.name, &arguments) {
            Some(Ok(text)) => text,
            Some(Err(failure)) => return Err(ErrorData::invalid_params(failure.detail, None)),
            None => {
                return Err(ErrorData::invalid_params(format!("there is no prompt {}", request.name), None));
            }
        };
        Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let call = Self::call_of(&context)?;
        let projects = call.service.projects().await.map_err(|error| failed(error.into()))?.value;
        let boards = projects.into_iter().map(|project| {
            let uri = Resource::Board(project.project).to_string();
            rmcp::model::Resource::new(uri, project.title.to_string()).with_mime_type("text/markdown")
        });
        let boards = ListResourcesResult::with_all_items(boards.collect());
        Ok(boards.with_ttl_ms(0).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = [
            (resource::TASK, "task", "A task with its comments and last execution", "text/markdown"),
            (resource::LOG, "log", "The end of the log of a task's last execution", "text/plain"),
            (resource::BOARD, "board", "The tasks of a project by status", "text/markdown"),
        ];
        let templates = templates.map(|(uri, name, description, mime_type)| {
            ResourceTemplate::new(uri, name).with_description(description).with_mime_type(mime_type)
        });
        let templates = ListResourceTemplatesResult::with_all_items(templates.to_vec());
        Ok(templates.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let call = Self::call_of(&context)?;
        let uri = request.uri;
        let not_found = |words: String| ErrorData::resource_not_found(words, Some(json!({ "uri": uri })));
        let resource: Resource = uri.parse().map_err(not_found)?;
        let mime_type = resource.mime_type();
        let text =
            resource.read(&call).await.map_err(|failure| match failure.code.ends_with("_not_found") {
                true => not_found(failure.detail),
                false => failed(failure),
            })?;
        let contents = ResourceContents::text(text, uri).with_mime_type(mime_type);
        let read =
            ReadResourceResult::new(vec![contents]).with_ttl_ms(0).with_cache_scope(CacheScope::Private);
        Ok(read.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let call = Self::call_of(&context)?;
        let ArgumentInfo { name, value, .. } = request.argument;
        let values = completion::complete(&call, &name, &value).await.map_err(failed)?;
        let values = CompletionInfo::new(values).map_err(|words| ErrorData::internal_error(words, None))?;
        Ok(CompleteResult::new(values))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = requested.supported_by(&self.get_info().capabilities);
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.retain(|uri| uri.parse::<Resource>().is_ok());
            uris.truncate(listen::URIS_MAX);
        }
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let call = Self::call_of(subscription.request_context())?;
        let permit = stream_reply::permit(&call.context.stream_quota, call.service.actor());
        let _permit = permit.map_err(|problem| failed(problem.into()))?;
        listen::listen(&call, &subscription).await.map_err(failed)
    }
}

/// A failure where the protocol has no result for one.
fn failed(failure: Failure) -> ErrorData {
    ErrorData::internal_error(format!("{}: {}; {}", failure.code, failure.detail, failure.next), None)
}
