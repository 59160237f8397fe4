//! The hub itself: durable, guarded, with everything it has, over either of its two ways out.

use std::process::Command;
use std::rc::Rc;
use std::sync::LazyLock;

use anyhow::Context;
use rig::cores::Cores;
use rig::hub::{Hub, post};
use serde_json::json;

use super::Server;
use rig::listener::Ids;
use rig::marker::{MARKER_BYTES, Marker};
use rig::publisher::{Way, request};

const PROGRAM: &str = env!("CARGO_BIN_EXE_taskhub");
/// Connections that publish: as many as the store commits at once.
const LANES: usize = 256;
/// With its envelope an event is as long as those of the others.
const MESSAGE_BYTES: usize = 210;

/// The hub's two ways out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    HandOff,
    Body,
}

/// Whether this hub can hand sockets off, and so be told not to.
pub fn hands_off() -> bool {
    static HANDS_OFF: LazyLock<bool> = LazyLock::new(|| {
        let help = Command::new(PROGRAM).args(["serve", "--help"]).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--fanout-threads"))
    });
    *HANDS_OFF
}

pub fn start(out: Out, flags: &[&str], cores: &Cores) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir()?;
    let mut flags = flags.to_vec();
    if out == Out::Body && hands_off() {
        flags.extend(["--fanout-threads", "0"]);
    }
    let hub = Hub::start(PROGRAM, directory.path(), &flags, cores)?;
    let address = hub.address;
    let task = post(address, "/api/tasks", &json!({"title": "Measure what a delivery costs"}))?;
    let id = task["id"].as_str().context("a task without an id")?;
    Ok(Server {
        process: hub.into_process(),
        address,
        stream: "/api/events/stream".to_owned(),
        ids: Ids::Hub,
        way: announce(),
        questions: vec!["/health".to_owned(), format!("/api/tasks/{id}")],
        directory: Some(directory),
    })
}

fn announce() -> Way {
    let padding = "x".repeat(MESSAGE_BYTES - MARKER_BYTES);
    let write = move |out: &mut Vec<u8>, markers: &[Marker]| {
        let body = format!(r#"{{"level":"info","message":"{}{padding}"}}"#, markers[0].text());
        request(out, "POST", "/api/events/announcements", &body);
    };
    Way { lanes: LANES, batches: false, write: Rc::new(write) }
}

/// Changes one of `tasks` after the other. Each change is one, in whatever order they arrive: the title has the
/// event's mark.
pub fn change(tasks: Vec<String>) -> Way {
    let write = move |out: &mut Vec<u8>, markers: &[Marker]| {
        let path = format!("/api/tasks/{}", tasks[markers[0].seq as usize % tasks.len()]);
        request(
            out,
            "PATCH",
            &path,
            &format!(r#"{{"title":"Look for what is wanted {}"}}"#, markers[0].text()),
        );
    };
    Way { lanes: LANES, batches: false, write: Rc::new(write) }
}
