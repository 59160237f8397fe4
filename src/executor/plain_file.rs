//! Files in directories that scripts can write to, too: one may lie there that is none, or a link that leads elsewhere.
//! Nothing is waited for, no link is followed, and no more is read than was expected.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// # Errors
/// [`ErrorKind::NotFound`] when nothing is there; [`ErrorKind::InvalidData`] when it is no ordinary file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // A pipe must not be waited for, nor a link followed.
    open_with(OpenOptions::new().read(true), path)
}

/// Opens an ordinary file for writing; `options` say how.
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

/// The beginning of a file, and whether there is more.
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

/// A new, empty file in place of whatever lies there.
///
/// # Errors
/// Whatever the disk said.
pub(super) fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}
