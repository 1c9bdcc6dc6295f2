//! Which algorithms and keys are weak, and why, in words for who runs the server.
//!
//! The judgement is ssh-audit's (3.3), whose "fail" is [`Grade::Broken`] and whose "warn"
//! is [`Grade::Weak`]. Left out is its remark that a key exchange does not withstand
//! quantum computers: it is made of every classic one, and a hybrid one is preferred.

/// How weak something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Below what is recommended; for old clients only.
    Weak,
    /// To be switched off.
    Broken,
}

impl Grade {
    /// As REST and pages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Broken => "broken",
        }
    }
}

/// What an algorithm is for; the same name can be sound for one purpose only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Kex,
    Cipher,
    Mac,
    HostKey,
    /// What clients sign with.
    PublicKey,
}

impl Purpose {
    /// As REST and pages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kex => "kex",
            Self::Cipher => "cipher",
            Self::Mac => "mac",
            Self::HostKey => "host_key",
            Self::PublicKey => "public_key",
        }
    }
}

const SHA1: &str = "it relies on SHA-1, for which collisions can be made";
const SHA1_2048: &str =
    "it relies on SHA-1, for which collisions can be made, and on a group of 2048 bits";
const GROUP_1024: &str =
    "its group has 1024 bits, which the Logjam attack breaks, and it relies on SHA-1";
const GROUP_2048: &str = "its group has 2048 bits, about 112 bits of security";
const NIST_CURVE: &str = "the origin of the NIST curve's constants was never explained";
const NIST_KEY: &str = "the origin of the NIST curve's constants was never explained, and a bad \
                        random number in one signature gives the key away";
const CBC: &str = "the CBC mode lets who changes packets learn parts of what was encrypted";
const ENCRYPT_AND_MAC: &str =
    "it authenticates the clear text instead of what is sent (encrypt-and-MAC)";
const SHA1_ENCRYPT_AND_MAC: &str = "it relies on SHA-1, for which collisions can be made, and \
                                    authenticates the clear text instead of what is sent";

/// Everything weak that can be configured.
const TABLE: &[(Purpose, &str, Grade, &str)] = &[
    (Purpose::Kex, "ecdh-sha2-nistp256", Grade::Broken, NIST_CURVE),
    (Purpose::Kex, "ecdh-sha2-nistp384", Grade::Broken, NIST_CURVE),
    (Purpose::Kex, "ecdh-sha2-nistp521", Grade::Broken, NIST_CURVE),
    (Purpose::Kex, "diffie-hellman-group14-sha256", Grade::Weak, GROUP_2048),
    (Purpose::Kex, "diffie-hellman-group14-sha1", Grade::Broken, SHA1_2048),
    (Purpose::Kex, "diffie-hellman-group1-sha1", Grade::Broken, GROUP_1024),
    (Purpose::Kex, "diffie-hellman-group-exchange-sha1", Grade::Broken, SHA1),
    (Purpose::Cipher, "aes256-cbc", Grade::Weak, CBC),
    (Purpose::Cipher, "aes192-cbc", Grade::Weak, CBC),
    (Purpose::Cipher, "aes128-cbc", Grade::Weak, CBC),
    (Purpose::Mac, "hmac-sha2-256", Grade::Weak, ENCRYPT_AND_MAC),
    (Purpose::Mac, "hmac-sha2-512", Grade::Weak, ENCRYPT_AND_MAC),
    (Purpose::Mac, "hmac-sha1", Grade::Broken, SHA1_ENCRYPT_AND_MAC),
    (Purpose::Mac, "hmac-sha1-etm@openssh.com", Grade::Broken, SHA1),
    (Purpose::HostKey, "ssh-rsa", Grade::Broken, SHA1),
    (Purpose::HostKey, "ecdsa-sha2-nistp256", Grade::Broken, NIST_KEY),
    (Purpose::HostKey, "ecdsa-sha2-nistp384", Grade::Broken, NIST_KEY),
    (Purpose::HostKey, "ecdsa-sha2-nistp521", Grade::Broken, NIST_KEY),
    // The auditor does not see what clients may sign with. A curve is the choice of who
    // owns the key; SHA-1 is the server's.
    (Purpose::PublicKey, "ssh-rsa", Grade::Broken, SHA1),
];

/// How weak an algorithm is, and why; `None` if nothing is known against it.
pub fn of_algorithm(purpose: Purpose, name: &str) -> Option<(Grade, &'static str)> {
    let mut known = TABLE.iter();
    let found = known.find(|(of, known, ..)| *of == purpose && *known == name);
    found.map(|(_, _, grade, why)| (*grade, *why))
}

/// How weak an RSA key of this many bits is, and why.
pub fn of_rsa_key(bits: u32) -> Option<(Grade, &'static str)> {
    match bits {
        0..2_048 => Some((Grade::Broken, "RSA keys below 2048 bits can be broken")),
        2_048..3_072 => {
            Some((Grade::Weak, "RSA keys below 3072 bits have about 112 bits of security"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithms::{
        DEFAULT_CIPHERS, DEFAULT_HOST_KEYS, DEFAULT_KEX, DEFAULT_MACS, DEFAULT_PUBLIC_KEYS,
        OTHER_CIPHERS, OTHER_KEX, OTHER_KEYS, OTHER_MACS,
    };
    use super::*;

    /// Everything that can be configured.
    const CONFIGURABLE: [(Purpose, &[&str], &[&str]); 5] = [
        (Purpose::Kex, DEFAULT_KEX, OTHER_KEX),
        (Purpose::Cipher, DEFAULT_CIPHERS, OTHER_CIPHERS),
        (Purpose::Mac, DEFAULT_MACS, OTHER_MACS),
        (Purpose::HostKey, DEFAULT_HOST_KEYS, OTHER_KEYS),
        (Purpose::PublicKey, DEFAULT_PUBLIC_KEYS, OTHER_KEYS),
    ];

    #[test]
    fn every_entry_is_about_something_that_can_be_configured() {
        for (purpose, name, ..) in TABLE {
            let lists = CONFIGURABLE.iter().find(|(of, ..)| of == purpose).expect("a list");
            assert!(lists.1.contains(name) || lists.2.contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_offered_besides_the_defaults_is_weak_but_for_some() {
        let sound = [
            "diffie-hellman-group-exchange-sha256",
            "diffie-hellman-group17-sha512",
            "diffie-hellman-group15-sha512",
        ];
        for (purpose, _, others) in CONFIGURABLE {
            for name in others {
                let is_weak = of_algorithm(purpose, name).is_some();
                assert_ne!(is_weak, sound.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn of_the_defaults_only_one_mac_and_old_ecdsa_host_keys_are_weak() {
        let mut weak: Vec<&str> = Vec::new();
        for (purpose, defaults, _) in CONFIGURABLE {
            let is_weak = |name: &&str| of_algorithm(purpose, name).is_some();
            weak.extend(defaults.iter().copied().filter(is_weak));
        }
        let ecdsa = ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
        assert_eq!((weak[0], &weak[1..]), ("hmac-sha2-256", &ecdsa[..]));
    }

    #[test]
    fn nothing_with_sha_1_passes_for_sound() {
        for (purpose, defaults, others) in CONFIGURABLE {
            for name in defaults.iter().chain(others) {
                if name.contains("sha1") || *name == "ssh-rsa" {
                    let (grade, why) = of_algorithm(purpose, name).expect(name);
                    assert!(grade == Grade::Broken && why.contains("SHA-1"), "{name}");
                }
            }
        }
    }

    #[test]
    fn short_rsa_keys_are_weak_and_shorter_ones_broken() {
        for (bits, grade) in [
            (1_024, Some(Grade::Broken)),
            (2_047, Some(Grade::Broken)),
            (2_048, Some(Grade::Weak)),
            (3_071, Some(Grade::Weak)),
            (3_072, None),
            (4_096, None),
        ] {
            assert_eq!(of_rsa_key(bits).map(|(grade, _)| grade), grade, "{bits}");
        }
    }
}
