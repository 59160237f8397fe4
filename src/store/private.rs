//! Files and directories that only this user can open, whatever the umask is. The database holds
//! digests of tokens, and the environment of each live execution.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The permission bits of other users.
const OTHERS: u32 = 0o077;

/// Opens a file for reading and writing, makes it when it is missing, and removes the permissions
/// of other users.
///
/// # Errors
/// The error of the system. Also when the file is a symbolic link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path)?;
    tighten_to(&file.metadata()?.permissions(), path, |private| file.set_permissions(private))?;
    Ok(file)
}

/// Removes the permissions of other users on something that exists.
///
/// # Errors
/// When this user may not change it, or when it does not exist.
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
