//! Reads pages of the store in tasks, so that no fan-out thread ever waits for a disk.

use std::sync::Arc;

use crate::events::feed::{Feed, Page};
use crate::store::StoreError;

use super::command_queue::{Command, CommandQueue};
use super::key::Key;
use super::shard::Shard;

impl Shard {
    /// Starts reading a page of the store, for one client or for all live ones.
    pub(super) fn fetch(&self, key: Option<Key>, cursor: u64) {
        let feed = self.context.feed.clone();
        let errand = Errand { commands: self.commands.clone(), key, page: Err(StoreError::Aborted) };
        self.tasks.spawn_on(errand.run(feed, cursor), &self.runtime);
    }
}

/// A page that is being fetched. Its drop answers the thread, whatever happens to the task.
struct Errand {
    commands: Arc<CommandQueue>,
    key: Option<Key>,
    page: Result<Page, StoreError>,
}

impl Errand {
    async fn run(mut self, feed: Feed, cursor: u64) {
        self.page = feed.page(cursor).await;
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let page = std::mem::replace(&mut self.page, Err(StoreError::Aborted));
        self.commands.post(Command::Page(self.key, page));
    }
}
