//! The requests in flight. Each is a task of its own; one that is cancelled is dropped, and with it its connection. The hub
//! sees that as the cancellation.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

/// How many requests have a connection at once; the others wait. Each takes an open file, and a process may have 1,024.
const CONNECTIONS_MAX: usize = 512;

#[derive(Debug)]
pub struct Requests {
    tasks: JoinSet<Option<String>>,
    /// By the text of the id: `1` and `"1"` are two ids.
    by_id: HashMap<String, AbortHandle>,
    connections: Arc<Semaphore>,
}

impl Requests {
    pub fn new() -> Self {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { tasks: JoinSet::new(), by_id: HashMap::new(), connections }
    }

    /// Does `work` beside the others.
    pub fn start(&mut self, id: Option<&Value>, work: impl Future<Output = ()> + Send + 'static) {
        let id = id.map(Value::to_string);
        let (key, connections) = (id.clone(), self.connections.clone());
        let task = self.tasks.spawn(async move {
            let _connection = connections.acquire().await;
            work.await;
            key
        });
        if let Some(id) = id {
            self.by_id.insert(id, task);
        }
    }

    /// Drops a request. One that has been answered is none any more.
    pub fn cancel(&mut self, id: &Value) {
        if let Some(task) = self.by_id.remove(&id.to_string()) {
            task.abort();
        }
    }

    /// Waits for the next request that ends. `None` when there is none.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&mut self) -> Option<()> {
        // One that was cancelled has been forgotten already.
        if let Ok((task, Some(id))) = self.tasks.join_next_with_id().await? {
            // A client may have used the id again.
            if self.by_id.get(&id).is_some_and(|handle| handle.id() == task) {
                self.by_id.remove(&id);
            }
        }
        Some(())
    }
}
