//! Public keys of accounts: lines as in OpenSSH's `authorized_keys`, without options.

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};

use crate::error::{Error, Result};

/// Smallest RSA modulus that is accepted, as OpenSSH's `RequiredRSASize` default.
const MIN_RSA_BITS: u32 = 1024;

/// The length of an RSA key; other types have only one.
pub fn rsa_bits(key: &PublicKey) -> Option<u32> {
    match key.key_data() {
        KeyData::Rsa(rsa) => Some(rsa.key_size()),
        _ => None,
    }
}

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
        KeyData::Other(_) | KeyData::Certificate(_) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII7SspTE+8waCziFlcprbqHA+hwHMyy8NidanihfibkR me@host";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBB9Dqhl+Wt4HvDWRPMI8yrXmrfvdLwyH62ys3hX4Pk+9x/G4F3NuC6Kkf/lpziPddy8LfK8NPWr1X8qKB4oT708= me@host";
    const ECDSA_521: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFWvz+rRNFd5uXhKSaYfKg9xKh1vFOdpTnq6d9sa4pLX+rrX5yI2azGk9hw6Q40RZ2LPJBwwCvmWgiVJda9RWcJDwGkLIf0dw9kEIOivGnlS2k8X5nYF/8+OyJdfVFbvWrSF7BZ/lZTll/u+uiPKgrJBdDDGVgjeZsE+zRcv+XeDH8TmQ== me@host";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC/OOiw8KBULAVqUZqHw3veoPKmAuzDMKtjq41JjS9eNPdJ9MhtustHa9bkuTz6qE3WPKI5qkg6MOG1eGAN+LrK2ZIS6YQistYsmFoEhMAEsWKQ5+rKYc+V/uVrqU0uM73LPoTqNIHDbPznKke8iBHQ/XEfYnrqgGrJqiJQpNeWXhZUM0yWd97tyMZLxFG3r50DGCNk+m873pDOIFaJzr6CAT7YwDpqQJQymIk6Z6Vz1HEXRaYQb6aeskmCTaKQjj6SjzHPwPDf6FnDDEdr+esgOCQvQdamPqALSYGLv66pG7fzEs4Sppi0a/tD5Kb+9wZnLZiAMmJybeNdMfkCGrnx me@host";
    const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAKtvRD0E8cgbx0xK0O+ON3LYzn5/UvWlHX6zhFhwFNpATJtdndleM9aWN3eJig5fl6itpBGSXpTDLY+6aSnBDuAufSp+DSIkZGL+sFOydQOLre5hC1A5SZmpBuYgvb3YPP9fQdchXGF/+ZfxfALrTpCjzmIDu2zn5PcFodyi3EKrAAAAFQDWRlyQuzCEat5E2sDv+58syt9dMQAAAIEAoHOGOcEwOznaOPGzDyUO66icCIiHxKpXwx1Zp9Pl6OwW3mo5tfBkQUKpP9keGoW2xnXCZZXpmjS/HA22J4pD6Lk6ax9kkgKdLgeCW+nIBN+u86G3+4yzJ7LqCLIRt0ltFXkZa72q7m4jBEG6w3zffUdejBZsqhrZ3aiDoePYV/QAAACAdsc+F4ruzTNHc9ETHtp2bOHwqJkpxGTn9CoYjdW2C2ED+B7V3XrVyUNKISWxZXH7ol57n1YX+Knj+/+jqTfNk2AWeZS4ohmrSZgZ3bEBJe/K2j5BiNzk6+38MoWXaG01oCHDlwb3+L1hjWmCe9u/l3CTbUjAWL3Ul6eUbd3xpBY= me@host";
    const CERTIFICATE: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgrDg5j9A+IuudPgC36vgvowbNR7Bi/S1f552d4jTg4VoAAAAIbmlzdHAyNTYAAABBBB9Dqhl+Wt4HvDWRPMI8yrXmrfvdLwyH62ys3hX4Pk+9x/G4F3NuC6Kkf/lpziPddy8LfK8NPWr1X8qKB4oT708AAAAAAAAAAAAAAAEAAAACaWQAAAAHAAAAA2JvYgAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACCO0rKUxPvMGgs4hZXKa26hwPocBzMsvDYnWp4oX4m5EQAAAFMAAAALc3NoLWVkMjU1MTkAAABAhvylfstgZgKgr5nlKOX1RV1BsvLc6eyJeGTpLLRpc2S4mgV9ehwCPJHUq/Z7Ii7fJlHBeaHBIFChQ436vRAyDg== me@host";

    #[test]
    fn common_key_types_are_read() {
        for line in [ED25519, ECDSA, ECDSA_521, RSA] {
            parse(line).unwrap();
            parse(&format!("  {line} some comment with spaces \t")).unwrap();
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let short_rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDJ7rv5vEZ0IDyBLBvSdoGUZz/uZ0BLBk4pL0tQ1xNv+cZnO3nZ2nKb0LqN7vYV6Y3mZ0BLBk4pL0tQ1xNv+cZn x";
        let table: &[(&str, &str)] = &[
            ("", "is empty"),
            ("garbage", "not an OpenSSH public key"),
            ("ssh-ed25519", "not a valid ssh-ed25519 key"),
            ("ssh-ed25519 !!!!", "not a valid ssh-ed25519 key"),
            (&ED25519[..60], "not a valid ssh-ed25519 key"),
            (&ED25519.replace("ssh-ed25519", "ssh-rsa"), "not a valid ssh-rsa key"),
            (&format!("command=\"ls\" {ED25519}"), "options in front"),
            (&format!("no-pty,from=\"10.0.0.1\" {RSA}"), "options in front"),
            (&format!("{ED25519}\n{RSA}"), "more than one line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key"),
            ("ssh-foo AAAAB3NzaC1mb28AAAAA", "ssh-foo"),
            (DSA, "ssh-dss"),
            (CERTIFICATE, "is a certificate"),
            (short_rsa, "at least 1024"),
        ];
        for (line, part) in table {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(part), "{line:?}: {error}");
        }
    }

    #[test]
    fn keys_given_twice_are_kept_once_and_errors_name_the_position() {
        let same = ED25519.replace("me@host", "other comment");
        let mut lines = vec![format!(" {ED25519} "), same, String::new(), RSA.to_owned()];
        normalise(&mut lines).unwrap();
        assert_eq!(lines, [ED25519, RSA]);

        let error = normalise(&mut vec![RSA.to_owned(), "x".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("key 2: "), "{error}");
    }

    #[test]
    fn a_key_matches_whatever_its_comment() {
        let lines = [RSA.to_owned(), "broken".to_owned(), ED25519.to_owned()];
        let offered = parse(&ED25519.replace("me@host", "")).unwrap();
        assert!(contains(&lines, offered.key_data()));
        assert!(!contains(&lines[..2], offered.key_data()));
    }
}
