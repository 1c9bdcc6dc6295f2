//! What the running services say of themselves for `/status` and `/version`.

use std::path::Path;

use crate::model::timestamp::now_unix_ms;
use crate::protocol::ssh::algorithms::Algorithms;
use crate::protocol::ssh::host_keys::{HostCertificate, HostKey};
use crate::protocol::ssh::server::Facts as SshFacts;
use crate::protocol::ssh::weaknesses::{self, Grade, Purpose};
use crate::version;
use crate::web::{
    ServiceFacts, SshBinding, SshHostCertificate, SshHostKey, SshServiceStatus, Validity,
    VersionInfo, WeakAlgorithm, Weakness,
};

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
                reads_proxy_header: binding.reads_proxy_header,
            })
            .collect();
        let host_keys = ssh.host_keys.iter().map(|host| SshHostKey {
            path: host.path.display().to_string(),
            fingerprint: host.fingerprint(),
            algorithms: ssh.algorithms.offered_with(host).into_iter().map(str::to_owned).collect(),
            rsa_bits: host.rsa_bits(),
            modified_at: written(&host.path),
            weakness: weakness_of(host, &ssh.algorithms),
        });
        Self {
            ssh: SshServiceStatus {
                is_active: !bindings.is_empty(),
                bindings,
                host_keys: host_keys.collect(),
                ssh_commands: ssh.commands.clone(),
                authentications: ssh.authentications.clone(),
                public_key_algorithms: ssh.algorithms.public_keys.clone(),
                macs: ssh.algorithms.macs.clone(),
                kex_algorithms: ssh.algorithms.kex.clone(),
                ciphers: ssh.algorithms.ciphers.clone(),
                weak_algorithms: weak_algorithms(ssh),
                host_certificates: ssh.host_certificates.iter().map(host_certificate).collect(),
            },
        }
    }
}

/// What is known against a host key: that it is short, or is of a weak kind.
fn weakness_of(host: &HostKey, algorithms: &Algorithms) -> Option<Weakness> {
    let by_kind = algorithms
        .offered_with(host)
        .into_iter()
        .find_map(|name| weaknesses::of_algorithm(Purpose::HostKey, name));
    host.rsa_bits().and_then(weaknesses::of_rsa_key).or(by_kind).map(told)
}

fn told((grade, reason): (Grade, &'static str)) -> Weakness {
    Weakness { grade: grade.as_str(), reason }
}

/// The weak ones of all that are offered. Host-key algorithms are offered only for the
/// keys that exist, and with the key it is told.
fn weak_algorithms(ssh: &SshFacts) -> Vec<WeakAlgorithm> {
    let offered = &ssh.algorithms;
    let lists = [
        (Purpose::Kex, &offered.kex),
        (Purpose::Cipher, &offered.ciphers),
        (Purpose::Mac, &offered.macs),
        (Purpose::PublicKey, &offered.public_keys),
    ];
    let all = lists.into_iter().flat_map(|(purpose, list)| {
        list.iter().filter_map(move |name| {
            let weakness = told(weaknesses::of_algorithm(purpose, name)?);
            Some(WeakAlgorithm { purpose: purpose.as_str(), name: name.clone(), weakness })
        })
    });
    let host_keys = ssh.host_keys.iter().flat_map(|host| offered.offered_with(host));
    let host_keys = host_keys.filter_map(|name| {
        let weakness = weaknesses::of_algorithm(Purpose::HostKey, name)?;
        Some(WeakAlgorithm {
            purpose: Purpose::HostKey.as_str(),
            name: name.to_owned(),
            weakness: told(weakness),
        })
    });
    all.chain(host_keys).collect()
}

fn host_certificate(host: &HostCertificate) -> SshHostCertificate {
    let (from, until) = host.validity();
    let validity = Validity::of_secs(from, until);
    SshHostCertificate {
        path: host.path.display().to_string(),
        key_id: host.certificate.key_id().to_owned(),
        principals: host.certificate.valid_principals().to_vec(),
        fingerprint: host.fingerprint(),
        valid_from: validity.from,
        valid_until: validity.until,
        state: validity.state(now_unix_ms()),
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
        let mut ssh = self.ssh.clone();
        for certificate in &mut ssh.host_certificates {
            let validity =
                Validity { from: certificate.valid_from, until: certificate.valid_until };
            certificate.state = validity.state(now_unix_ms());
        }
        ssh
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
