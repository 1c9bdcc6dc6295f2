//! Host keys of `portable` that end with the process.

use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigDir};
use crate::error::{Error, Result};

/// The names of host keys that a configuration directory may hold.
const USUAL_NAMES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// Generated in no time, unlike RSA.
const GENERATED_NAMES: [&str; 2] = ["id_ecdsa", "id_ed25519"];

/// A private directory for host keys; removed when this value is dropped.
#[derive(Debug)]
pub struct EphemeralHostKeys {
    dir: PathBuf,
}

impl EphemeralHostKeys {
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for EphemeralHostKeys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Names keys in a fresh directory as the host keys, unless there are some.
pub(super) fn provide(
    config: &mut Config,
    config_dir: &ConfigDir,
) -> Result<Option<EphemeralHostKeys>> {
    let has_keys = USUAL_NAMES.iter().any(|name| config_dir.resolve(name).exists());
    if has_keys || !config.sftpd.host_keys.is_empty() {
        return Ok(None);
    }
    let dir = std::env::temp_dir().join(format!("sftpgo-{}", uuid::Uuid::new_v4().simple()));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&dir)
        .map_err(|error| Error::from_io(format!("directory {}", dir.display()), error))?;
    let keys = EphemeralHostKeys { dir };
    config.sftpd.host_keys = GENERATED_NAMES
        .iter()
        .map(|name| keys.dir.join(name).to_string_lossy().into_owned())
        .collect();
    Ok(Some(keys))
}
