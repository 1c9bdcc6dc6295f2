//! Which SSH algorithms are offered, from the configuration's names.
//!
//! The defaults hold nothing that ssh-audit calls weak: no NIST curves for key
//! exchange, no 2048-bit groups, no encrypt-and-MAC. Those we implement are there for
//! the asking. A name that is unknown or not implemented stops the start.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

use super::host_keys::HostKey;
use crate::config::SftpdConfig;
use crate::error::{Error, Result};

/// Key exchanges offered by default, most preferred first.
pub const DEFAULT_KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
];
/// Key exchanges that can be configured besides.
pub(super) const OTHER_KEX: &[&str] = &[
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
    "diffie-hellman-group-exchange-sha1",
];
/// Ciphers offered by default; AES-GCM is the fastest wherever the CPU has AES.
pub const DEFAULT_CIPHERS: &[&str] = &[
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
];
pub(super) const OTHER_CIPHERS: &[&str] = &["aes256-cbc", "aes192-cbc", "aes128-cbc"];
/// MACs offered by default, for the ciphers that need one. The last is for libssh2 before
/// 1.11, which knows neither a better one nor a cipher that needs none.
pub const DEFAULT_MACS: &[&str] =
    &["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"];
pub(super) const OTHER_MACS: &[&str] = &["hmac-sha2-512", "hmac-sha1", "hmac-sha1-etm@openssh.com"];
/// Host-key algorithms offered by default, for the host keys that exist.
pub const DEFAULT_HOST_KEYS: &[&str] = &[
    "ssh-ed25519",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
];
/// Signature algorithms accepted from clients by default.
pub const DEFAULT_PUBLIC_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
pub(super) const OTHER_KEYS: &[&str] = &["ssh-rsa"];

/// What FIPS 140-3 approves of all these, in the order of preference: key agreement of
/// SP 800-56A, ciphers of SP 800-38A and 38D, HMAC with SHA-2, signatures of FIPS 186-5.
const FIPS_KEX: &[&str] = &[
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group14-sha256",
];
const FIPS_CIPHERS: &[&str] =
    &["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"];
const FIPS_MACS: &[&str] = &[
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];

/// What is offered, by name (for the status page) and as the SSH library takes it.
#[derive(Debug, Clone)]
pub struct Algorithms {
    pub kex: Vec<String>,
    pub ciphers: Vec<String>,
    pub macs: Vec<String>,
    pub host_keys: Vec<String>,
    pub public_keys: Vec<String>,
}

impl Algorithms {
    /// Checks the configured lists; an empty list means the defaults.
    pub fn from_config(config: &SftpdConfig) -> Result<Self> {
        let fips = config.fips_mode;
        let kind =
            |default, other, approved| if fips { (approved, &[][..]) } else { (default, other) };
        // The defaults for keys are approved, and the others are not.
        let keys = if fips { &[][..] } else { OTHER_KEYS };
        Ok(Self {
            kex: choose(
                "sftpd.kex_algorithms",
                &config.kex_algorithms,
                kind(DEFAULT_KEX, OTHER_KEX, FIPS_KEX),
            )?,
            ciphers: choose(
                "sftpd.ciphers",
                &config.ciphers,
                kind(DEFAULT_CIPHERS, OTHER_CIPHERS, FIPS_CIPHERS),
            )?,
            macs: choose("sftpd.macs", &config.macs, kind(DEFAULT_MACS, OTHER_MACS, FIPS_MACS))?,
            host_keys: choose(
                "sftpd.host_key_algorithms",
                &config.host_key_algorithms,
                (DEFAULT_HOST_KEYS, keys),
            )?,
            public_keys: choose(
                "sftpd.public_key_algorithms",
                &config.public_key_algorithms,
                (DEFAULT_PUBLIC_KEYS, keys),
            )?,
        })
    }

    /// True when a client may sign with this algorithm.
    pub fn accepts_public_key(&self, algorithm: &Algorithm) -> bool {
        self.public_keys.iter().any(|name| name == algorithm.as_str())
    }

    /// The host-key algorithms that are offered with `host_key`, in its order.
    pub fn offered_with(&self, host_key: &HostKey) -> Vec<&'static str> {
        let mut algorithms = host_key.algorithms();
        algorithms.retain(|name| self.host_keys.iter().any(|offered| offered == name));
        algorithms
    }

    /// In the SSH library's types. Strict key exchange is always offered.
    ///
    /// The library has one list for what it offers with `host_keys` and for what it
    /// announces in `server-sig-algs`. So that list has all host-key algorithms, and of those
    /// for clients the ones that no host key could serve as well.
    pub fn preferred(&self, host_keys: &[HostKey]) -> Result<Preferred> {
        let mut kex = names(&self.kex, |name| kex::Name::try_from(name).ok())?;
        kex.push(kex::EXTENSION_SUPPORT_AS_SERVER);
        kex.push(kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER);
        let is_of_host = |name: &str| host_keys.iter().any(|key| key.algorithms().contains(&name));
        let mut keys = self.host_keys.clone();
        for name in &self.public_keys {
            if !keys.contains(name) && !is_of_host(name) {
                keys.push(name.clone());
            }
        }
        Ok(Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(names(&keys, |name| name.parse::<Algorithm>().ok())?),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Owned(names(&self.ciphers, |name| cipher::Name::try_from(name).ok())?),
            mac: Cow::Owned(names(&self.macs, |name| mac::Name::try_from(name).ok())?),
            compression: Cow::Borrowed(&[compression::NONE]),
        })
    }
}

fn choose(
    key: &str,
    configured: &[String],
    (default, other): (&[&str], &[&str]),
) -> Result<Vec<String>> {
    if configured.is_empty() {
        return Ok(default.iter().map(|name| (*name).to_owned()).collect());
    }
    let known = || default.iter().chain(other);
    for name in configured {
        if !known().any(|candidate| candidate == name) {
            let valid = known().copied().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "`{key}`: unknown or unsupported algorithm \"{name}\"; valid are {valid}"
            )));
        }
    }
    Ok(configured.to_vec())
}

fn names<T>(list: &[String], parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    list.iter()
        .map(|name| {
            parse(name)
                .ok_or_else(|| Error::internal(format!("algorithm {name} is not implemented")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_we_offer_is_implemented() {
        let all = |a: &[&str], b: &[&str]| a.iter().chain(b).map(ToString::to_string).collect();
        let algorithms = Algorithms {
            kex: all(DEFAULT_KEX, OTHER_KEX),
            ciphers: all(DEFAULT_CIPHERS, OTHER_CIPHERS),
            macs: all(DEFAULT_MACS, OTHER_MACS),
            host_keys: all(DEFAULT_HOST_KEYS, OTHER_KEYS),
            public_keys: all(DEFAULT_PUBLIC_KEYS, OTHER_KEYS),
        };
        let preferred = algorithms.preferred(&[]).unwrap();
        assert_eq!(preferred.kex.len(), algorithms.kex.len() + 2);
        for name in &algorithms.public_keys {
            let algorithm = name.parse::<Algorithm>().unwrap();
            assert!(algorithms.accepts_public_key(&algorithm), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_valid_ones() {
        let config = SftpdConfig { ciphers: vec!["arcfour".into()], ..SftpdConfig::default() };
        let error = Algorithms::from_config(&config).unwrap_err().to_string();
        assert!(error.contains("sftpd.ciphers") && error.contains("arcfour"), "{error}");
        assert!(error.contains("aes128-gcm@openssh.com"), "{error}");
    }

    #[test]
    fn fips_mode_keeps_what_is_approved_and_refuses_the_rest_by_name() {
        let config = SftpdConfig { fips_mode: true, ..SftpdConfig::default() };
        let algorithms = Algorithms::from_config(&config).unwrap();
        algorithms.preferred(&[]).unwrap();
        for list in [&algorithms.kex, &algorithms.ciphers, &algorithms.macs] {
            for name in list {
                let is_other = ["25519", "chacha", "sha1", "md5", "cbc"];
                assert!(!is_other.iter().any(|part| name.contains(part)), "{name}");
            }
        }
        for (kex, good) in [("ecdh-sha2-nistp384", true), ("curve25519-sha256", false)] {
            let config = SftpdConfig { kex_algorithms: vec![kex.into()], ..config.clone() };
            assert_eq!(Algorithms::from_config(&config).is_ok(), good, "{kex}");
        }
        let config = SftpdConfig { host_key_algorithms: vec!["ssh-rsa".into()], ..config };
        assert!(Algorithms::from_config(&config).is_err());
    }

    #[test]
    fn sha1_signatures_are_refused_unless_asked_for() {
        let algorithms = Algorithms::from_config(&SftpdConfig::default()).unwrap();
        assert!(!algorithms.accepts_public_key(&Algorithm::Rsa { hash: None }));
    }
}
