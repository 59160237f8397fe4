//! The hub's directory, held open: somebody may give it another name while the hub runs.
//!
//! A path through `/proc/self/fd` leads to the directory itself, wherever it is by now, and nowhere once it was removed.
//! It means something to this process alone: what others are told is [`DataDir::real`].

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cheap to clone; the path is good as long as one of the clones is there.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: Arc<Path>,
    _held: Arc<File>,
}

impl DataDir {
    /// Holds a directory that is there.
    ///
    /// # Errors
    /// Whatever the system said.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.canonicalize()?;
        let held = File::open(&dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let own = held.metadata()?;
        // Where there is no /proc, the name has to do.
        let leads_there = path.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()));
        let path = if leads_there { path } else { dir };
        Ok(Self { path: path.into(), _held: Arc::new(held) })
    }

    /// Its name now, as others see it.
    ///
    /// # Errors
    /// When it has none any more.
    pub fn real(&self) -> io::Result<PathBuf> {
        self.path.canonicalize()
    }
}

impl Deref for DataDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_under_its_new_name_and_not_once_it_is_gone() {
        let place = tempfile::tempdir().expect("a directory");
        let [old, new] = ["old", "new"].map(|name| place.path().join(name));
        std::fs::create_dir(&old).expect("made");
        let held = DataDir::open(&old).expect("opened");
        std::fs::rename(&old, &new).expect("moved");
        std::fs::create_dir(&old).expect("made");
        std::fs::write(held.join("file"), "x").expect("written");
        assert!(new.join("file").exists() && !old.join("file").exists());
        assert_eq!(held.real().expect("a name"), new.canonicalize().expect("a path"));
        std::fs::remove_dir_all(&new).expect("removed");
        assert!(held.real().is_err() && std::fs::write(held.join("file"), "x").is_err());
    }
}
