//! The operation that announces something to all streams.

use poem::Request;
use poem::web::Data;
use poem_openapi::param::Header;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::domain::event::{AnnouncementData, EventId};
use crate::service::Service;

use super::Tags;
use super::json_body::JsonBody;
use super::problem::Problems;
use super::problem::problems::{BODY, UNPROCESSABLE};
use super::request_headers::idempotency_key;

#[derive(Debug)]
pub struct AnnouncementApi;

/// An announcement that was made.
#[derive(Debug, Object, Serialize)]
pub struct Announced {
    /// The event that carries it.
    pub id: EventId,
}

#[derive(Debug, ApiResponse)]
pub enum AnnouncedReply {
    /// The announcement is durable and on its way to every stream.
    #[oai(status = 201)]
    Created(
        JsonBody<Announced>,
        /// Where the announcement can be read.
        #[oai(header = "Location")]
        String,
        /// The last event that the answer reflects. A stream opened with `since` set to it misses nothing and repeats
        /// nothing; a read with `min_cursor` set to it answers nothing older.
        #[oai(header = "Taskhub-Cursor")]
        EventId,
    ),
}

#[OpenApi(tag = "Tags::Events")]
impl AnnouncementApi {
    /// Tell everybody something
    ///
    /// Emits `announcement` to every stream that does not filter by tasks or their fields. Kept in the log like any event,
    /// so a client that resumes later gets it as well. With an `Idempotency-Key` a repetition of the same request within 24 hours
    /// announces nothing and answers what the first one answered. A token that is bound to projects may not announce (403).
    #[oai(path = "/api/events/announcements", method = "post", operation_id = "announce")]
    async fn announce(
        &self,
        service: Data<&Service>,
        request: &Request,
        /// Your name for this request, 1–255 visible ASCII characters, so that it can be repeated safely.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = "^[ -~]*[!-~][ -~]*$")
        )]
        _key: Header<Option<String>>,
        body: JsonBody<AnnouncementData>,
    ) -> Result<AnnouncedReply, Problems<{ BODY | UNPROCESSABLE }>> {
        let id = service.announce(body.0, idempotency_key(request)?).await?;
        let before = EventId::new(id.epoch, id.seq - 1);
        let location = format!("/api/events?since={before}&limit=1");
        Ok(AnnouncedReply::Created(JsonBody(Announced { id }), location, id))
    }
}
