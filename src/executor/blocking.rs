//! Runs file work outside the threads of the runtime.

/// Runs `work` on a thread that may block.
///
/// # Errors
/// The error of `work`, or one that says that `work` panicked.
pub(super) async fn blocking<T, F>(work: F) -> std::io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
