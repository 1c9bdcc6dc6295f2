//! The server's private host keys: found, or made at the first start.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use russh::keys::ssh_key::{Certificate, LineEnding};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};

use crate::error::{Error, Result};

/// Keys looked for in the configuration directory when none are configured. The
/// ECDSA key of an older installation is used when it is there, since clients may
/// know the server by it, but none is made: ssh-audit counts its curve as weak.
const DEFAULT_NAMES: &[&str] = &["id_ed25519", "id_rsa", "id_ecdsa"];

/// A loaded host key.
#[derive(Clone)]
pub struct HostKey {
    pub path: PathBuf,
    pub key: PrivateKey,
}

impl HostKey {
    /// As clients show it: `SHA256:` and unpadded base64.
    pub fn fingerprint(&self) -> String {
        self.key.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// How long an RSA key is, in bits.
    pub fn rsa_bits(&self) -> Option<u32> {
        self.key.public_key().key_data().rsa().map(|key| key.key_size())
    }

    /// The host-key algorithms this key can serve.
    pub fn algorithms(&self) -> Vec<&'static str> {
        match self.key.algorithm() {
            Algorithm::Rsa { .. } => vec!["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
            Algorithm::Ed25519 => vec!["ssh-ed25519"],
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => vec!["ecdsa-sha2-nistp256"],
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => vec!["ecdsa-sha2-nistp384"],
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => vec!["ecdsa-sha2-nistp521"],
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostKey")
            .field("path", &self.path)
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

/// A certificate of a host key.
#[derive(Debug, Clone)]
pub struct HostCertificate {
    pub path: PathBuf,
    pub certificate: Certificate,
}

impl HostCertificate {
    /// The fingerprint of the key that is certified.
    pub fn fingerprint(&self) -> String {
        self.certificate.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// From when on and until when it is valid, in Unix seconds; `u64::MAX` is for ever.
    pub fn validity(&self) -> (u64, u64) {
        (self.certificate.valid_after(), self.certificate.valid_before())
    }
}

/// Loads the configured keys, or the default ones. A missing file with a default base
/// name is generated (mode 0600, its `.pub` 0644); any other missing or unreadable key
/// stops the start.
pub fn load(config_dir: &Path, configured: &[String]) -> Result<Vec<HostKey>> {
    let wanted: Vec<(PathBuf, bool)> = if configured.is_empty() {
        DEFAULT_NAMES
            .iter()
            .map(|name| (config_dir.join(name), *name == "id_ecdsa"))
            .filter(|(path, only_if_present)| !only_if_present || path.exists())
            .collect()
    } else {
        configured.iter().map(|path| (config_dir.join(path), false)).collect()
    };
    wanted
        .into_iter()
        .map(|(path, _)| {
            let key = match std::fs::read_to_string(&path) {
                Ok(text) => decode(&path, &text)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => generate(&path)
                    .map_err(|error| {
                        error.wrap(format!("`sftpd.host_keys`: {}", path.display()))
                    })?,
                Err(error) => {
                    return Err(Error::from_io(
                        format!("`sftpd.host_keys`: cannot read {}", path.display()),
                        error,
                    ));
                }
            };
            Ok(HostKey { path, key })
        })
        .collect()
}

/// Loads the certificates of host keys. One that is no host certificate stops the start.
pub fn load_certificates(config_dir: &Path, configured: &[String]) -> Result<Vec<HostCertificate>> {
    configured
        .iter()
        .map(|name| {
            let named = |error: Error| error.wrap(format!("`sftpd.host_certificates`: {name}"));
            let path = config_dir.join(name);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| named(Error::from_io("cannot be read", error)))?;
            let certificate = Certificate::from_openssh(text.trim()).map_err(|error| {
                named(Error::invalid(format!("not a certificate of OpenSSH: {error}")))
            })?;
            if !certificate.cert_type().is_host() {
                return Err(named(Error::invalid(
                    "not a host certificate; sign it with ssh-keygen -h",
                )));
            }
            Ok(HostCertificate { path, certificate })
        })
        .collect()
}

fn decode(path: &Path, text: &str) -> Result<PrivateKey> {
    russh::keys::decode_secret_key(text, None).map_err(|error| {
        Error::invalid(format!(
            "`sftpd.host_keys`: {} is not an unencrypted private key in OpenSSH or PEM format: \
             {error}",
            path.display()
        ))
    })
}

fn generate(path: &Path) -> Result<PrivateKey> {
    let key = match path.file_name().and_then(|name| name.to_str()) {
        Some("id_ed25519") => {
            let mut seed = [0u8; 32];
            aws_lc_rs::rand::fill(&mut seed)
                .map_err(|_| Error::internal("cannot get random bytes for a host key"))?;
            let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
            PrivateKey::from(pair)
        }
        Some("id_rsa") => {
            // The Rust implementation takes up to a minute for 4096 bits.
            let pair = KeyPair::generate(KeySize::Rsa4096)
                .map_err(|_| Error::internal("cannot generate an RSA key"))?;
            let der = pair
                .as_der()
                .map_err(|_| Error::internal("cannot encode the generated RSA key"))?;
            let pem = pem_pkcs8(der.as_ref());
            russh::keys::decode_secret_key(&pem, None)
                .map_err(|error| Error::internal(format!("generated RSA key: {error}")))?
        }
        Some("id_ecdsa") => {
            let rng = &mut russh::keys::key::safe_rng();
            PrivateKey::random(rng, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }).map_err(
                |error| Error::internal(format!("cannot generate an ECDSA key: {error}")),
            )?
        }
        _ => {
            return Err(Error::new(
                crate::error::ErrorKind::NotFound,
                "no such file (only id_rsa, id_ecdsa and id_ed25519 are generated)",
            ));
        }
    };
    let private = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| Error::internal(format!("cannot encode the host key: {error}")))?;
    write_new(path, private.as_bytes(), 0o600)?;
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|error| Error::internal(format!("cannot encode the host key: {error}")))?;
    let mut pub_path = path.as_os_str().to_owned();
    pub_path.push(".pub");
    write_new(Path::new(&pub_path), format!("{public}\n").as_bytes(), 0o644)?;
    Ok(key)
}

fn pem_pkcs8(der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (at, letter) in body.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

/// Writes a file that must not exist yet under a temporary name first, so that a
/// crash leaves no half key, with its final mode from the start.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let mut file = options.open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    #[cfg(not(unix))]
    let _ = mode;
    write().map_err(|error| Error::from_io(format!("cannot write {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_start_makes_keys_and_the_second_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path(), &[]).unwrap();
        let second = load(dir.path(), &[]).unwrap();
        let prints = |keys: &[HostKey]| keys.iter().map(HostKey::fingerprint).collect::<Vec<_>>();
        assert_eq!(prints(&first), prints(&second));
        assert_eq!(
            first.iter().flat_map(HostKey::algorithms).collect::<Vec<_>>(),
            ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
        );
        for (name, mode) in [("id_rsa", 0o600), ("id_rsa.pub", 0o644), ("id_ed25519", 0o600)] {
            let metadata = std::fs::metadata(dir.path().join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        }
        assert!(!dir.path().join("id_ecdsa").exists());
    }

    #[test]
    fn a_configured_default_name_is_generated_and_any_other_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let keys = load(dir.path(), &["id_ecdsa".into()]).unwrap();
        assert_eq!(keys[0].algorithms(), ["ecdsa-sha2-nistp256"]);
        let error = load(dir.path(), &["mine".into()]).unwrap_err().to_string();
        assert!(error.contains("sftpd.host_keys") && error.contains("mine"), "{error}");
    }

    #[test]
    fn an_unreadable_key_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("id_rsa"), "not a key").unwrap();
        let error = load(dir.path(), &["id_rsa".into()]).unwrap_err().to_string();
        assert!(error.contains("id_rsa") && error.contains("private key"), "{error}");
    }
}
