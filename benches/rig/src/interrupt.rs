//! SIGINT and SIGTERM end the bench by an error, so that whatever it has started is taken down on the way out.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From here on the signals are noted instead of ending the process.
pub fn arm() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, INTERRUPTED.clone())?;
    }
    Ok(())
}

/// To be asked in every loop that may last.
///
/// # Errors
/// Once a signal has arrived.
pub fn check() -> anyhow::Result<()> {
    anyhow::ensure!(!INTERRUPTED.load(Relaxed), "interrupted");
    Ok(())
}
