//! The data folder: made for its owner alone, and used by one process at a time.
//!
//! The lock is the operating system's, so a killed process leaves nothing to clean up. Beside it lies the address at
//! which the owner can be asked, for commands that would rather go through a running server.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};

const LOCK: &str = "lock";
const ADDRESS: &str = "address";

/// A data folder that this process owns until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    #[allow(dead_code, reason = "its drop releases the lock")]
    lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        create(path).map_err(|cause| unusable(path, cause))?;
        let lock = private(&path.join(LOCK)).map_err(|cause| unusable(path, cause))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path)),
            Err(TryLockError::Error(cause)) => return Err(unusable(path, cause)),
        }
        fs::remove_file(path.join(ADDRESS)).ok(); // of an owner that was killed
        Ok(Self { path: path.to_owned(), lock })
    }

    /// A file in it, made if it is not there. SQLite gives the files beside it the same permissions.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf> {
        let file = self.path.join(name);
        // One that is there may be open, and closing it here would release the locks that SQLite holds on it.
        if !file.exists() {
            private(&file).map_err(|cause| unusable(&self.path, cause))?;
        }
        Ok(file)
    }

    /// How long one of its files is in bytes; 0 if it is not there.
    pub(super) fn length(&self, name: &str) -> u64 {
        fs::metadata(self.path.join(name)).map_or(0, |data| data.len())
    }

    /// Writes down where the owner can be asked.
    pub(super) fn announce(&self, address: &str) -> Result<()> {
        fs::write(self.path.join(ADDRESS), address).map_err(|cause| unusable(&self.path, cause))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_file(self.path.join(ADDRESS)).ok(); // most owners never announced one
    }
}

/// Where the process that owns the folder can be asked, as it [announced](super::Sqlite::announce) it.
pub fn owner_address(path: &Path) -> Option<String> {
    fs::read_to_string(path.join(ADDRESS)).ok().filter(|address| !address.is_empty())
}

fn create(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file, which is made for its owner alone: the folder itself may have been made by somebody else.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn taken(path: &Path) -> Error {
    Error::new(
        Code::Conflict,
        format!(
            "the data folder {} is in use by another process; stop that one, or name another folder with --data",
            path.display()
        ),
    )
}

pub(super) fn unusable(path: &Path, cause: std::io::Error) -> Error {
    let message = format!(
        "the data folder {} cannot be used ({cause}); check its path and permissions",
        path.display()
    );
    Error::unavailable(message).caused_by(cause)
}
