//! The program that runs as a shim: always the image of this process. An upgrade may replace its
//! file while the hub runs, and the hub must not run another program as a shim.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory::{self, Directory};
use super::plain_file;

/// Where the kernel shows a process its own image.
const OWN_IMAGE: &str = "/proc/self/exe";

#[derive(Debug, Clone)]
pub enum ShimProgram {
    /// A file that does not change.
    At(PathBuf),
    /// The image that this process runs.
    Own { image: Arc<File>, path: PathBuf },
}

impl ShimProgram {
    /// # Errors
    /// When the kernel does not show the image.
    pub fn own() -> io::Result<Self> {
        Ok(Self::Own { image: Arc::new(File::open(OWN_IMAGE)?), path: fs::read_link(OWN_IMAGE)? })
    }

    /// A path that a child of this process can execute. The child inherits the descriptor, and the
    /// exec closes it.
    pub(super) fn for_child(&self) -> PathBuf {
        match self {
            Self::At(path) => path.clone(),
            Self::Own { image, .. } => format!("/proc/self/fd/{}", image.as_raw_fd()).into(),
        }
    }

    /// A path that another process can execute: the program's file while it is unchanged, otherwise
    /// a copy in the execution's directory.
    pub(super) fn for_others(&self, directory: &Directory) -> io::Result<PathBuf> {
        match self {
            Self::At(path) => Ok(path.clone()),
            Self::Own { image, path } if directory::is_at(image, path) => Ok(path.clone()),
            Self::Own { image, .. } => {
                let copy = directory.path().join("program");
                let mut image = File::open(format!("/proc/self/fd/{}", image.as_raw_fd()))?;
                io::copy(&mut image, &mut plain_file::create(&copy, 0o700)?)?;
                Ok(copy)
            }
        }
    }
}

impl From<&str> for ShimProgram {
    fn from(path: &str) -> Self {
        Self::At(path.into())
    }
}

impl From<PathBuf> for ShimProgram {
    fn from(path: PathBuf) -> Self {
        Self::At(path)
    }
}
