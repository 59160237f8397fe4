//! Work on files, off the threads of the runtime.

/// Runs file work on a thread that may block.
///
/// # Errors
/// Of the work; also when it panics.
pub(super) async fn blocking<T, F>(work: F) -> std::io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
