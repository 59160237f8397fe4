//! The operation that issues tickets. A browser's `EventSource` authenticates with one.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::auth::Principal;
use crate::domain::clock::Timestamp;

use super::json_body::JsonBody;
use super::problem::problems::NONE;
use super::problem::{Problem, Problems};
use super::{ApiContext, Tags};

#[derive(Debug)]
pub struct TicketApi;

/// Stands for your token, once. Not to be logged.
#[derive(Object, Serialize)]
pub struct EventTicket {
    /// Send it as `ticket` in the query of a stream.
    pub ticket: String,
    /// It is refused from then on.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for EventTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventTicket")
    }
}

#[derive(Debug, ApiResponse)]
pub enum TicketReply {
    /// A ticket was issued.
    #[oai(status = 201)]
    Created(
        JsonBody<EventTicket>,
        /// The stream of events with the ticket in its query, to be opened as it is. Not to be logged.
        #[oai(header = "Location")]
        String,
    ),
}

#[OpenApi(tag = "Tags::Events")]
impl TicketApi {
    /// Get a ticket for a stream
    ///
    /// A browser's `EventSource` cannot send a token, and no address should hold one. It can open
    /// `/api/events/stream?ticket=…`, or a log's stream, with a ticket: good once, for 30 seconds, for reading. The
    /// stream ends when the token is revoked. An `EventSource` that was cut off comes back with its used ticket, is
    /// refused, and closes for good: then get a new one, and open another with the `last_event_id` you have seen.
    #[oai(path = "/api/events/tickets", method = "post", operation_id = "createEventTicket")]
    async fn ticket(
        &self,
        context: Data<&Arc<ApiContext>>,
        principal: Data<&Principal>,
    ) -> Result<TicketReply, Problems<NONE>> {
        let ticket = context.auth.issue(&principal).map_err(|error| {
            tracing::error!(error = %error, "the system has no randomness to give");
            Problem::internal()
        })?;
        let (ticket, expires_at) = (ticket.secret.text, ticket.expires_at);
        let location = format!("/api/events/stream?ticket={ticket}");
        Ok(TicketReply::Created(JsonBody(EventTicket { ticket, expires_at }), location))
    }
}
