//! Files and directories for this user alone, whatever the umask: the database holds tokens' digests and, while an
//! execution is alive, its environment.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What others may do.
const OTHERS: u32 = 0o077;

/// Opens a file for reading and writing, makes it when it is missing, and takes from others what they may do with it.
///
/// # Errors
/// Whatever the system said; also when the file is a link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path)?;
    tighten_to(&file.metadata()?.permissions(), path, |private| file.set_permissions(private))?;
    Ok(file)
}

/// Takes from others what they may do with something that is there.
///
/// # Errors
/// When it is not this user's to change, or not there.
pub(super) fn tighten(path: &Path) -> io::Result<()> {
    let now = path.metadata()?.permissions();
    tighten_to(&now, path, |private| std::fs::set_permissions(path, private))
}

fn tighten_to(
    now: &Permissions,
    path: &Path,
    set: impl FnOnce(Permissions) -> io::Result<()>,
) -> io::Result<()> {
    if now.mode() & OTHERS == 0 {
        return Ok(());
    }
    set(Permissions::from_mode(now.mode() & 0o7777 & !OTHERS))?;
    tracing::info!(path = %path.display(), "others could read or write this; now only the hub's user can");
    Ok(())
}
