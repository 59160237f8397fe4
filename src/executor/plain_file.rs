//! Opens files in directories where scripts can write. A script may put a pipe, a device or a link
//! in place of a file. These functions never block on a pipe, never follow a link, and never read
//! more than the caller expects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// # Errors
/// [`ErrorKind::NotFound`] when nothing is there; [`ErrorKind::InvalidData`] when it is not a
/// regular file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a regular file with `options`.
///
/// # Errors
/// As [`open`].
pub(super) fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = match options.custom_flags(flags).open(path) {
        // A link, a pipe that nobody reads, a directory.
        Err(error)
            if [Errno::LOOP, Errno::NXIO, Errno::ISDIR].map(Some).contains(&Errno::from_io_error(&error)) =>
        {
            return Err(ErrorKind::InvalidData.into());
        }
        file => file?,
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(ErrorKind::InvalidData.into()),
    }
}

/// The first `bytes_max` bytes of a file, and whether there are more.
///
/// # Errors
/// As [`open`].
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    let is_cut = bytes.len() as u64 > bytes_max;
    bytes.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    Ok((bytes, is_cut))
}

/// Creates an empty file, and first removes what lies at its path.
///
/// # Errors
/// Any error of the disk.
pub(super) fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}
