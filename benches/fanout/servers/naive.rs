//! What a poem author writes without thinking of load: `EventStream` over a broadcast channel, an event encoded
//! for each client, and who falls behind loses events without a word.

use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt};
use poem::listener::TcpAcceptor;
use poem::web::sse::Event;
use poem::{Route, Server};
use poem_openapi::payload::{EventStream, Json};
use poem_openapi::types::ToJSON;
use poem_openapi::{Object, OpenApi, OpenApiService};
use tokio::sync::broadcast::{self, error::RecvError};

use rig::marker::Marker;
use rig::publisher::{Way, request};

/// Events that a client may be behind by.
const BEHIND_MAX: usize = 4096;

/// All events in one request, as an array.
pub fn way() -> Way {
    let write = |out: &mut Vec<u8>, markers: &[Marker]| {
        let envelopes: Vec<_> = markers.iter().map(|marker| marker.envelope()).collect();
        request(out, "POST", "/publish", &format!("[{}]", envelopes.join(",")));
    };
    Way { lanes: 1, batches: true, write: Rc::new(write) }
}

#[derive(Debug, Clone, Object)]
struct Envelope {
    id: String,
    event: String,
    data: Task,
    timestamp: String,
}

#[derive(Debug, Clone, Object)]
struct Task {
    task_id: String,
    title: String,
    status: String,
    priority: String,
    assignee: String,
    tags: Vec<String>,
    version: i64,
}

#[derive(Debug, Object)]
struct Pong {
    ok: bool,
}

struct Api {
    events: broadcast::Sender<Envelope>,
}

#[OpenApi]
impl Api {
    #[oai(path = "/stream", method = "get")]
    async fn stream(&self) -> EventStream<BoxStream<'static, Envelope>> {
        EventStream::new(follow(self.events.subscribe()).boxed())
            .to_event(|envelope: Envelope| Event::message(envelope.to_json_string()).id(envelope.id))
            .keep_alive(Duration::from_secs(30))
    }

    #[oai(path = "/publish", method = "post")]
    async fn publish(&self, envelopes: Json<Vec<Envelope>>) -> Json<Pong> {
        for envelope in envelopes.0 {
            // Nobody may be listening.
            let _ = self.events.send(envelope);
        }
        Json(Pong { ok: true })
    }

    #[oai(path = "/ping", method = "get")]
    async fn ping(&self) -> Json<Pong> {
        Json(Pong { ok: true })
    }
}

fn follow(events: broadcast::Receiver<Envelope>) -> impl Stream<Item = Envelope> {
    stream::unfold(events, async |mut events| {
        loop {
            match events.recv().await {
                Ok(envelope) => return Some((envelope, events)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

pub fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let api = Api { events: broadcast::Sender::new(BEHIND_MAX) };
        let app = Route::new().nest("/", OpenApiService::new(api, "Naive", "1.0"));
        Ok(Server::new_with_acceptor(TcpAcceptor::from_std(listener)?).run(app).await?)
    })
}
