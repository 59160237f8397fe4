//! Reads the file at `$TASKHUB_ARTIFACTS`, in which a script names its results: one path a line.
//!
//! The script owns the file and may put anything in its place. That must neither delay the end of
//! the execution nor make it fail. So this module reads only a regular file, up to a limit, and
//! counts the lines that are not paths.

use std::io;
use std::path::Path;

use crate::domain::execution::NamedArtifacts;

use super::plain_file;

/// More than the artifacts that a task can hold.
const BYTES_MAX: u64 = 1 << 20;

/// # Errors
/// When the file cannot be read; [`io::ErrorKind::NotFound`] when it does not exist.
pub(super) fn read(path: &Path) -> io::Result<NamedArtifacts> {
    let (bytes, is_cut) = plain_file::read(path, BYTES_MAX)?;
    Ok(named(&bytes, is_cut))
}

fn named(bytes: &[u8], is_cut: bool) -> NamedArtifacts {
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let mut named = NamedArtifacts::default();
    if is_cut {
        // The last path may be cut off.
        lines.pop();
        named.refused += 1;
    }
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        match str::from_utf8(line).ok().and_then(|line| line.parse().ok()) {
            Some(artifact) => named.artifacts.push(artifact),
            None => named.refused += 1,
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_a_line_and_what_is_none_is_counted() {
        let text = [b"a b\r\n\n\xc3\xa9/x\n\xff\n".as_slice(), &[b'x'; 4097], b"\nlast"].concat();
        let found = named(&text, false);
        let paths: Vec<_> = found.artifacts.iter().map(|it| it.as_str()).collect();
        assert_eq!((paths, found.refused), (vec!["a b", "\u{e9}/x", "last"], 2));
        let cut = named(b"whole\nha", true);
        assert_eq!((cut.artifacts.len(), cut.refused), (1, 1));
    }

    #[test]
    fn only_an_ordinary_file_is_read_and_not_without_end() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        fs::write(at("long"), "path\n".repeat(1 << 20)).expect("written");
        assert_eq!(read(&at("long")).expect("read").artifacts.len(), (1 << 20) / 5);
        symlink(at("long"), at("link")).expect("linked");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).expect("made");
        for odd in ["link", "pipe", "missing", "."] {
            assert!(read(&at(odd)).is_err(), "{odd}");
        }
    }
}
