//! User certificates: which authorities are trusted, and what their certificates are
//! good for (PROTOCOL.certkeys of OpenSSH).
//!
//! That the certificate is inside its validity and that its signatures hold is checked
//! here as well, although the SSH library does so before it asks: a change there must
//! not open this door.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Certificate, Fingerprint};
use russh::keys::{HashAlg, PublicKey};

use crate::error::{Error, Result};
use crate::model::network;

/// Why a certificate does not open an account: for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateRefusal {
    NoAuthority,
    Invalid,
    NotForUsers,
    OtherPrincipals,
    Revoked,
    AddressDenied,
    UnknownOption(String),
}

impl fmt::Display for CertificateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAuthority => "certificate of an authority that is not trusted",
            Self::Invalid => "certificate is expired, not valid yet or badly signed",
            Self::NotForUsers => "certificate is not a user certificate",
            Self::OtherPrincipals => "certificate does not name the user as a principal",
            Self::Revoked => "certificate is revoked",
            Self::AddressDenied => "certificate is not valid from this address",
            Self::UnknownOption(name) => {
                return write!(f, "certificate has the critical option {name:?}, not supported");
            }
        })
    }
}

/// The trusted authorities and the revoked certificates.
#[derive(Debug, Default)]
pub struct UserCertificates {
    authorities: Vec<Fingerprint>,
    revoked: RwLock<HashSet<String>>,
    revoked_file: Option<PathBuf>,
}

impl UserCertificates {
    /// Reads `trusted_user_ca_keys` and `revoked_user_certs_file`; any file that cannot
    /// be read stops the start.
    pub fn load(config_dir: &Path, authorities: &[String], revoked_file: &str) -> Result<Self> {
        let mut trusted = Vec::new();
        for name in authorities {
            let path = config_dir.join(name);
            let named = |error: Error| error.wrap(format!("`sftpd.trusted_user_ca_keys`: {name}"));
            let text = read(&path).map_err(named)?;
            trusted.extend(public_keys(&text).map_err(named)?);
        }
        let revoked_file = (!revoked_file.is_empty()).then(|| config_dir.join(revoked_file));
        let loaded = Self { authorities: trusted, revoked: RwLock::default(), revoked_file };
        loaded.reload()?;
        Ok(loaded)
    }

    /// Reads the list of revoked certificates again. After an error the old one holds.
    pub fn reload(&self) -> Result<()> {
        let Some(path) = &self.revoked_file else { return Ok(()) };
        let revoked = read(path).and_then(|text| revoked_list(&text)).map_err(|error| {
            error.wrap(format!("`sftpd.revoked_user_certs_file`: {}", path.display()))
        })?;
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = revoked;
        Ok(())
    }

    /// Whether any authority is trusted.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Whether the certificate says that its holder is `username` and may come from
    /// `ip` now.
    pub fn check(
        &self,
        certificate: &Certificate,
        username: &str,
        ip: IpAddr,
        now_unix_secs: u64,
    ) -> Result<(), CertificateRefusal> {
        let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
        if !self.authorities.contains(&authority) {
            return Err(CertificateRefusal::NoAuthority);
        }
        if certificate.validate_at(now_unix_secs, &self.authorities).is_err() {
            return Err(CertificateRefusal::Invalid);
        }
        if !certificate.cert_type().is_user() {
            return Err(CertificateRefusal::NotForUsers);
        }
        // None at all would mean anybody.
        if !certificate.valid_principals().iter().any(|principal| principal == username) {
            return Err(CertificateRefusal::OtherPrincipals);
        }
        if self.is_revoked(certificate.public_key()) || self.is_revoked(certificate.signature_key())
        {
            return Err(CertificateRefusal::Revoked);
        }
        for (name, value) in certificate.critical_options().iter() {
            match name.as_str() {
                "source-address" if permits(value, ip) => {}
                "source-address" => return Err(CertificateRefusal::AddressDenied),
                // Including force-command, which nothing here could obey.
                _ => return Err(CertificateRefusal::UnknownOption(name.clone())),
            }
        }
        Ok(())
    }

    fn is_revoked(&self, key: &KeyData) -> bool {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }
}

/// A comma-separated list of networks; one that cannot be read permits nothing.
fn permits(list: &str, ip: IpAddr) -> bool {
    let mut networks: Vec<String> = list.split(',').map(|one| one.trim().to_owned()).collect();
    network::normalise(&mut networks).is_ok()
        && !networks.is_empty()
        && network::permits(&networks, &[], ip)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::from_io("cannot be read", error))
}

/// One key a line, as in an `authorized_keys` file; empty lines and comments are fine.
fn public_keys(text: &str) -> Result<Vec<Fingerprint>> {
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = PublicKey::from_openssh(line).map_err(|error| {
            Error::invalid(format!("line {}: not a public key: {error}", number + 1))
        })?;
        keys.push(key.fingerprint(HashAlg::Sha256));
    }
    if keys.is_empty() {
        return Err(Error::invalid("holds no public key"));
    }
    Ok(keys)
}

fn revoked_list(text: &str) -> Result<HashSet<String>> {
    let list: Vec<String> = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("not a JSON list of fingerprints: {error}")))?;
    for (at, entry) in list.iter().enumerate() {
        // A typing error must not be found out by the holder of the certificate.
        let known = entry.parse::<Fingerprint>().is_ok_and(|print| print.is_sha256());
        if !known {
            return Err(Error::invalid(format!(
                "entry {}: not a fingerprint as ssh-keygen -l shows it (SHA256:…)",
                at + 1
            )));
        }
    }
    Ok(list.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::certificate::{Builder, CertType};
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn certificate(
        authority: &PrivateKey,
        change: impl FnOnce(&mut Builder),
        principals: &[&str],
        kind: CertType,
    ) -> Certificate {
        let holder = key();
        let mut builder =
            Builder::new(vec![7; 16], holder.public_key(), NOW - 60, NOW + 60).unwrap();
        builder.cert_type(kind).unwrap();
        for principal in principals {
            builder.valid_principal(*principal).unwrap();
        }
        if principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        change(&mut builder);
        builder.sign(authority).unwrap()
    }

    fn trusting(authority: &PrivateKey) -> UserCertificates {
        UserCertificates {
            authorities: vec![authority.public_key().fingerprint(HashAlg::Sha256)],
            ..UserCertificates::default()
        }
    }

    fn here() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    #[test]
    fn a_certificate_opens_only_what_its_authority_meant() {
        let authority = key();
        let trusted = trusting(&authority);
        let user = |change: fn(&mut Builder), principals: &[&str]| {
            certificate(&authority, change, principals, CertType::User)
        };
        let nothing: fn(&mut Builder) = |_| ();
        let table: Vec<(&str, Certificate, Result<(), CertificateRefusal>)> = vec![
            ("good", user(nothing, &["alice"]), Ok(())),
            ("one of several", user(nothing, &["bob", "alice"]), Ok(())),
            ("another name", user(nothing, &["bob"]), Err(CertificateRefusal::OtherPrincipals)),
            ("no name", user(nothing, &[]), Err(CertificateRefusal::OtherPrincipals)),
            (
                "a host's",
                certificate(&authority, nothing, &["alice"], CertType::Host),
                Err(CertificateRefusal::NotForUsers),
            ),
            (
                "another authority's",
                certificate(&key(), nothing, &["alice"], CertType::User),
                Err(CertificateRefusal::NoAuthority),
            ),
            (
                "from here",
                user(
                    |builder| {
                        builder
                            .critical_option("source-address", "10.0.0.0/8,192.0.2.0/24")
                            .unwrap();
                    },
                    &["alice"],
                ),
                Ok(()),
            ),
            (
                "from elsewhere",
                user(
                    |builder| {
                        builder.critical_option("source-address", "10.0.0.0/8").unwrap();
                    },
                    &["alice"],
                ),
                Err(CertificateRefusal::AddressDenied),
            ),
            (
                "from nowhere",
                user(
                    |builder| {
                        builder.critical_option("source-address", "anything").unwrap();
                    },
                    &["alice"],
                ),
                Err(CertificateRefusal::AddressDenied),
            ),
            (
                "with a command",
                user(
                    |builder| {
                        builder.critical_option("force-command", "true").unwrap();
                    },
                    &["alice"],
                ),
                Err(CertificateRefusal::UnknownOption("force-command".into())),
            ),
        ];
        for (what, certificate, expected) in table {
            assert_eq!(trusted.check(&certificate, "alice", here(), NOW), expected, "{what}");
        }
    }

    #[test]
    fn a_certificate_is_good_only_inside_its_validity() {
        let authority = key();
        let trusted = trusting(&authority);
        let certificate = certificate(&authority, |_| (), &["alice"], CertType::User);
        for (now, good) in
            [(NOW - 61, false), (NOW - 60, true), (NOW + 59, true), (NOW + 60, false)]
        {
            let outcome = trusted.check(&certificate, "alice", here(), now);
            assert_eq!(outcome.is_ok(), good, "{now}");
        }
    }

    #[test]
    fn a_revoked_certificate_is_refused_once_the_list_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let authority = key();
        let certificate = certificate(&authority, |_| (), &["alice"], CertType::User);
        let line = authority.public_key().to_openssh().unwrap();
        std::fs::write(dir.path().join("ca.pub"), format!("# ours\n\n{line}\n")).unwrap();
        std::fs::write(dir.path().join("revoked"), "[]").unwrap();
        let trusted = UserCertificates::load(dir.path(), &["ca.pub".into()], "revoked").unwrap();
        assert_eq!(trusted.check(&certificate, "alice", here(), NOW), Ok(()));

        let print = certificate.public_key().fingerprint(HashAlg::Sha256);
        std::fs::write(dir.path().join("revoked"), format!("[\"{print}\"]")).unwrap();
        trusted.reload().unwrap();
        let refused = Err(CertificateRefusal::Revoked);
        assert_eq!(trusted.check(&certificate, "alice", here(), NOW), refused);

        // A list that cannot be read does not lift a revocation.
        std::fs::write(dir.path().join("revoked"), "[\"SHA256:x\"]").unwrap();
        let error = trusted.reload().unwrap_err().to_string();
        assert!(error.contains("revoked_user_certs_file") && error.contains("entry 1"), "{error}");
        assert_eq!(trusted.check(&certificate, "alice", here(), NOW), refused);
    }

    #[test]
    fn files_that_hold_no_key_stop_the_start() {
        let dir = tempfile::tempdir().unwrap();
        for (content, part) in
            [(None, "cannot be read"), (Some(""), "no public key"), (Some("x"), "line 1")]
        {
            if let Some(content) = content {
                std::fs::write(dir.path().join("ca"), content).unwrap();
            }
            let error =
                UserCertificates::load(dir.path(), &["ca".into()], "").unwrap_err().to_string();
            assert!(
                error.contains("sftpd.trusted_user_ca_keys") && error.contains(part),
                "{error}"
            );
        }
    }
}
