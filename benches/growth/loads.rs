//! What a connection of the bench asks.

use rig::callers::Load;
use rig::publisher::request;

#[derive(Debug, Clone)]
pub enum Asks {
    /// Gives its tasks another status, one after the other.
    Changes(Vec<String>),
    /// Gets its tasks, one after the other.
    Gets(Vec<String>),
    /// Gets the same address.
    Same(String),
}

impl Load for Asks {
    fn write(&self, out: &mut Vec<u8>, number: usize) {
        match self {
            Self::Changes(tasks) => {
                let status = ["inprogress", "todo"][number / tasks.len() % 2];
                let path = format!("/api/tasks/status/{}", tasks[number % tasks.len()]);
                request(out, "PUT", &path, &format!(r#"{{"new_status":"{status}"}}"#));
            }
            Self::Gets(tasks) => get(out, &format!("/api/tasks/{}", tasks[number % tasks.len()])),
            Self::Same(path) => get(out, path),
        }
    }
}

fn get(out: &mut Vec<u8>, path: &str) {
    out.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
}
