//! The dumps that are on the server.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use actix_web::web::block;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::web::services::Services;

/// The most that are listed.
const LISTED: usize = 20;

/// A dump on the server.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Backup {
    /// Unix milliseconds; 0 if that is not known.
    pub written_at: u64,
    /// Of the file below `backups_path`.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

impl Services {
    /// The newest dumps directly in the backups path, the last one first; none if it is not
    /// there yet.
    ///
    /// # Errors
    /// When the backups path cannot be read.
    pub async fn backups(&self) -> Result<Vec<Backup>> {
        let dir = self.backups_path.clone();
        let listed = block(move || backups_in(&dir)).await;
        listed.map_err(|_| Error::internal("listing the backups was given up"))?
    }
}

fn backups_in(dir: &Path) -> Result<Vec<Backup>> {
    let failed = |error| Error::from_io(format!("backups path {}", dir.display()), error);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // What is gone by now is no backup.
        let Ok(metadata) = entry.metadata() else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !metadata.is_file() || !name.ends_with(".json") {
            continue;
        }
        let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written_at = written.and_then(|at| u64::try_from(at.as_millis()).ok()).unwrap_or(0);
        found.push(Backup { written_at, name, size: metadata.len() });
    }
    found.sort_by(|one, other| other.cmp(one));
    found.truncate(LISTED);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_backups_are_listed_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(backups_in(&dir.path().join("missing")).expect("none"), []);
        for number in 0..LISTED + 2 {
            let path = dir.path().join(format!("{number:02}.json"));
            std::fs::write(&path, "{}").expect("written");
            let at = UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            let file = std::fs::File::options().write(true).open(&path).expect("there");
            file.set_modified(at).expect("set");
        }
        std::fs::write(dir.path().join("notes.txt"), "x").expect("written");
        std::fs::create_dir(dir.path().join("dir.json")).expect("made");
        let found = backups_in(dir.path()).expect("listed");
        assert_eq!(found.len(), LISTED);
        let newest = serde_json::to_value(&found[0]).expect("serialisable");
        assert_eq!(newest, json!({"name": "21.json", "written_at": 21_000, "size": 2}));
        assert!(backups_in(&dir.path().join("notes.txt")).is_err(), "that is no directory");
    }
}
