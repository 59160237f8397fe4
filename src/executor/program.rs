//! The program that runs as a shim: this very one, whatever has become of its file. An upgrade replaces that under a
//! running hub; another program in its place must not be run as a shim.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory::{self, Directory};
use super::plain_file;

/// Where the kernel shows the image of the process that looks.
const OWN_IMAGE: &str = "/proc/self/exe";

#[derive(Debug, Clone)]
pub enum ShimProgram {
    /// A file that nobody replaces.
    At(PathBuf),
    /// The image that this process runs.
    Own { image: Arc<File>, path: PathBuf },
}

impl ShimProgram {
    /// # Errors
    /// When the kernel does not show this process its own program.
    pub fn own() -> io::Result<Self> {
        Ok(Self::Own { image: Arc::new(File::open(OWN_IMAGE)?), path: fs::read_link(OWN_IMAGE)? })
    }

    /// What a child of this process can execute. The descriptor is open there until the moment that it does.
    pub(super) fn for_child(&self) -> PathBuf {
        match self {
            Self::At(path) => path.clone(),
            Self::Own { image, .. } => format!("/proc/self/fd/{}", image.as_raw_fd()).into(),
        }
    }

    /// What another process can execute for an execution: the file while it is this program, and then a copy.
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
