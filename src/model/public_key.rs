//! Public keys of accounts: lines as in OpenSSH's `authorized_keys`, without options.

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};

use crate::error::{Error, Result};

/// Smallest RSA modulus that is accepted, as OpenSSH's `RequiredRSASize` default.
const MIN_RSA_BITS: u32 = 1024;

/// Reads one line `<type> <base64> [comment]`.
///
/// Options in front of the type are refused rather than ignored, because
/// ignoring `command=` or `from=` would widen what the key may do. Certificates
/// are refused too: those are accepted through their authority, not one by one.
pub fn parse(line: &str) -> Result<PublicKey> {
    let line = line.trim();
    let kind = line.split_whitespace().next().unwrap_or_default();
    if kind.is_empty() {
        return Err(Error::invalid("is empty"));
    }
    if line.contains(['\n', '\r']) {
        return Err(Error::invalid("has more than one line; give one key per entry"));
    }
    if kind.contains("-cert-") {
        return Err(Error::invalid(format!(
            "{kind} is a certificate; give the plain public key, or trust its authority with sftpd.trusted_user_ca_keys"
        )));
    }
    let looks_like_type =
        kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
    if !looks_like_type {
        let second = line.split_whitespace().any(|word| {
            word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-")
        });
        return Err(Error::invalid(if second {
            "has options in front of the key type; options are not supported, remove them"
        } else if line.contains("PRIVATE KEY") {
            "is a private key; give the public one (the .pub file)"
        } else {
            "is not an OpenSSH public key (expected \"<type> <base64> [comment]\")"
        }));
    }
    let key = PublicKey::from_openssh(line)
        .map_err(|error| Error::invalid(format!("not a valid {} key: {error}", printable(kind))))?;
    match key.key_data() {
        KeyData::Dsa(_) => {
            return Err(Error::invalid("ssh-dss keys are too weak and not accepted"));
        }
        KeyData::Rsa(rsa) if rsa.key_size() < MIN_RSA_BITS => {
            return Err(Error::invalid(format!(
                "RSA key of {} bits; at least {MIN_RSA_BITS} are required",
                rsa.key_size()
            )));
        }
        KeyData::Other(_) => {
            return Err(Error::invalid(format!("key type {} is not supported", printable(kind))));
        }
        _ => {}
    }
    if let Algorithm::Other(_) = key.algorithm() {
        return Err(Error::invalid(format!("key type {} is not supported", printable(kind))));
    }
    Ok(key)
}

/// Validates every line, trims it and removes keys given twice (the comment
/// does not count). Errors name the position, from 1.
pub fn normalise(lines: &mut Vec<String>) -> Result<()> {
    let mut keys: Vec<KeyData> = Vec::with_capacity(lines.len());
    let mut kept = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let key = parse(line).map_err(|error| error.wrap(format!("key {}", index + 1)))?;
        if !keys.contains(key.key_data()) {
            keys.push(key.key_data().clone());
            kept.push(line.trim().to_owned());
        }
    }
    *lines = kept;
    Ok(())
}

/// True if `offered` is one of `lines`; lines that cannot be read match nothing.
pub fn contains(lines: &[String], offered: &KeyData) -> bool {
    lines.iter().any(|line| parse(line).is_ok_and(|key| key.key_data() == offered))
}

/// The start of user input, fit for an error message.
fn printable(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}
