//! The operations on projects.

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::{ApiResponse, OpenApi};

use crate::domain::event::EventId;
use crate::domain::project::{Project, ProjectDraft, ProjectName, ProjectPatch};
use crate::service::{Service, Stamped};

use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, CONFLICT, NONE, NOT_FOUND, PRECONDITION_FAILED};
use super::{Tags, conditional};

#[derive(Debug)]
pub struct ProjectApi;

#[derive(Debug, ApiResponse)]
pub enum ProjectReply {
    /// The project as it is now.
    #[oai(status = 200)]
    Ok(
        JsonBody<Project>,
        /// The project's version in quotes, such as `"3"`; send it in `If-Match`, with its quotes.
        #[oai(header = "ETag")]
        String,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum ProjectCreatedReply {
    /// The project was created.
    #[oai(status = 201)]
    Created(
        JsonBody<Project>,
        /// Where the project is: a path on this hub.
        #[oai(header = "Location")]
        String,
        /// The project's version in quotes, such as `"3"`; send it in `If-Match`, with its quotes.
        #[oai(header = "ETag")]
        String,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum ProjectListReply {
    /// All projects, by name.
    #[oai(status = 200)]
    Ok(
        JsonBody<Vec<Project>>,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[derive(Debug, ApiResponse)]
pub enum ProjectDeletedReply {
    /// The project is gone.
    #[oai(status = 204)]
    Deleted(
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[OpenApi(tag = "Tags::Projects")]
impl ProjectApi {
    /// List projects
    ///
    /// All of them that you may see, by name. A hub has at most 1,000.
    #[oai(path = "/api/projects", method = "get", operation_id = "listProjects")]
    async fn list(&self, service: Data<&Service>) -> Result<ProjectListReply, Problems<NONE>> {
        let Stamped { value, cursor } = service.projects().await?;
        Ok(ProjectListReply::Ok(JsonBody(value), cursor))
    }

    /// Create a project
    ///
    /// Emits `project_created`. A name that is taken is refused (409). A token that is bound to projects may create only
    /// these (403 otherwise).
    #[oai(path = "/api/projects", method = "post", operation_id = "createProject")]
    async fn create(
        &self,
        service: Data<&Service>,
        body: JsonBody<ProjectDraft>,
    ) -> Result<ProjectCreatedReply, Problems<{ BODY | CONFLICT }>> {
        let Stamped { value: project, cursor } = service.create_project(body.0).await?;
        let (location, etag) = (format!("/api/projects/{}", project.project), etag(&project));
        Ok(ProjectCreatedReply::Created(JsonBody(project), location, etag, cursor))
    }

    /// Get a project
    ///
    /// The header `ETag` is its version: send it as `If-Match` with a change.
    #[oai(path = "/api/projects/:project", method = "get", operation_id = "getProject")]
    async fn get(
        &self,
        service: Data<&Service>,
        /// The name of the project.
        project: Path<ProjectName>,
    ) -> Result<ProjectReply, Problems<NOT_FOUND>> {
        Ok(reply(service.project(project.0).await?))
    }

    /// Change a project
    ///
    /// A JSON Merge Patch (RFC 7396). Emits `project_updated`, or `project_archived` when the patch closes the project for
    /// new tasks. The tasks of an archived project stay as they are and can be changed. With `If-Match` the change is made
    /// only to the version that you have seen (412 otherwise).
    #[oai(path = "/api/projects/:project", method = "patch", operation_id = "updateProject")]
    async fn update(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The name of the project.
        project: Path<ProjectName>,
        /// The `ETag` that the change is meant for; with another version nothing is changed (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
        body: JsonBody<ProjectPatch>,
    ) -> Result<ProjectReply, Problems<{ NOT_FOUND | PRECONDITION_FAILED | BODY }>> {
        let expected = conditional::of(request);
        Ok(reply(service.update_project(project.0, body.0, expected).await?))
    }

    /// Delete a project
    ///
    /// Emits `project_deleted`. Refused while the project has tasks (409), and always for `default`. When the name is used
    /// again, the numbers of its tasks go on: no key is given twice.
    #[oai(path = "/api/projects/:project", method = "delete", operation_id = "deleteProject")]
    async fn delete(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// The name of the project.
        project: Path<ProjectName>,
        /// The `ETag` of the version to delete; with another version nothing is deleted (412).
        #[oai(name = "If-Match")]
        _if_match: Header<Option<String>>,
    ) -> Result<ProjectDeletedReply, Problems<{ NOT_FOUND | CONFLICT | PRECONDITION_FAILED }>> {
        let deleted = service.delete_project(project.0, conditional::of(request)).await?;
        Ok(ProjectDeletedReply::Deleted(deleted.cursor))
    }
}

fn reply(Stamped { value: project, cursor }: Stamped<Project>) -> ProjectReply {
    let etag = etag(&project);
    ProjectReply::Ok(JsonBody(project), etag, cursor)
}

fn etag(project: &Project) -> String {
    format!("\"{}\"", project.version)
}
