//! What the running services say of themselves for `/status` and `/version`.

use std::path::Path;

use crate::protocol::ssh::server::Facts as SshFacts;
use crate::version;
use crate::web::{ServiceFacts, SshBinding, SshHostKey, SshServiceStatus, VersionInfo};

/// The services' facts, fixed once they have started.
pub struct Facts {
    ssh: SshServiceStatus,
}

impl Facts {
    pub fn new(ssh: &SshFacts) -> Self {
        let bindings: Vec<_> = ssh
            .bindings
            .iter()
            .map(|binding| SshBinding {
                address: binding.address.ip().to_string(),
                port: binding.address.port(),
                apply_proxy_config: binding.apply_proxy_config,
            })
            .collect();
        let host_keys = ssh.host_keys.iter().map(|host| SshHostKey {
            path: host.path.display().to_string(),
            fingerprint: host.fingerprint(),
            algorithms: host
                .algorithms()
                .into_iter()
                .filter(|name| ssh.algorithms.host_keys.iter().any(|offered| offered == name))
                .map(str::to_owned)
                .collect(),
            rsa_bits: host.rsa_bits(),
            made_unix_ms: written(&host.path),
        });
        Self {
            ssh: SshServiceStatus {
                is_active: !bindings.is_empty(),
                bindings,
                host_keys: host_keys.collect(),
                ssh_commands: Vec::new(),
                authentications: ssh.authentications.clone(),
                public_key_algorithms: ssh.algorithms.public_keys.clone(),
                macs: ssh.algorithms.macs.clone(),
                kex_algorithms: ssh.algorithms.kex.clone(),
                ciphers: ssh.algorithms.ciphers.clone(),
            },
        }
    }
}

/// When a file was last written; Unix milliseconds.
fn written(path: &Path) -> Option<i64> {
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

impl ServiceFacts for Facts {
    fn ssh(&self) -> SshServiceStatus {
        self.ssh.clone()
    }
}

/// Version, build and what is built in.
pub fn version() -> VersionInfo {
    let features = [
        "+metrics",
        "+portable",
        "+sqlite",
        "+unixcrypt",
        "-azblob",
        "-bolt",
        "-gcs",
        "-mysql",
        "-pgsql",
        "-s3",
    ];
    VersionInfo {
        version: version::VERSION.to_owned(),
        build_date: version::BUILD_DATE.to_owned(),
        commit_hash: version::COMMIT.to_owned(),
        features: features.map(str::to_owned).to_vec(),
    }
}
