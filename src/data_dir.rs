//! The hub's data directory, held open, because somebody may rename it while the hub runs.
//!
//! A path through `/proc/self/fd` leads to the directory itself, wherever it is now, and nowhere
//! once it is removed. Only this process can use it; others get [`DataDir::real`].

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cheap to clone. The path is valid as long as one of the clones exists.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: Arc<Path>,
    _held: Arc<File>,
}

impl DataDir {
    /// Opens an existing directory.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.canonicalize()?;
        let held = File::open(&dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let own = held.metadata()?;
        // Without /proc, use the name.
        let leads_there = path.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()));
        let path = if leads_there { path } else { dir };
        Ok(Self { path: path.into(), _held: Arc::new(held) })
    }

    /// The current path, for other processes.
    ///
    /// # Errors
    /// When the directory was removed.
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
