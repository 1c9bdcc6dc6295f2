//! Whether a database file is still the one that was opened.
//!
//! An open file can be removed or replaced under a running server; it then goes on
//! working with a file that nobody will find after a restart.

use std::path::PathBuf;

use super::unavailable;
use crate::error::Result;

/// A file by its name and its identity.
#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number of the file.
#[cfg(unix)]
type Identity = (u64, u64);
/// Without such numbers only the name can be asked for.
#[cfg(not(unix))]
type Identity = ();

impl OpenedFile {
    /// Remembers the file at `path`, which is open.
    pub fn remember(path: PathBuf) -> Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }

    /// Fails with `Unavailable` when the file is gone or another one.
    pub fn require_in_place(&self) -> Result<()> {
        if identity(&self.path)? == self.identity {
            return Ok(());
        }
        Err(crate::error::Error::new(
            crate::error::ErrorKind::Unavailable,
            format!("data provider: {} was replaced by another file", self.path.display()),
        ))
    }
}

fn identity(path: &std::path::Path) -> Result<Identity> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        unavailable(format!("data provider: {} is gone", path.display()), error)
    })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_and_a_replaced_file_are_told_apart_from_the_opened_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        std::fs::write(&path, "one").unwrap();
        let opened = OpenedFile::remember(path.clone()).unwrap();
        opened.require_in_place().unwrap();
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        assert!(opened.require_in_place().unwrap_err().to_string().contains("is gone"));
        std::fs::write(&path, "two").unwrap();
        assert!(opened.require_in_place().unwrap_err().to_string().contains("replaced"));
    }
}
