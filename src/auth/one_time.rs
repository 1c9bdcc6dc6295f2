//! Time-based one-time passwords (RFC 6238): six digits, new every 30 seconds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{hmac, rand};
use data_encoding::{BASE32, BASE32_NOPAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config::{MfaConfig, TotpAlgorithm, TotpSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Secret;
use crate::model::secretbox;

/// Seconds for which a code is shown.
const PERIOD_SECS: u64 = 30;

/// Clocks that differ by one period are forgiven, in both directions.
const DRIFT: u64 = 1;

/// As HMAC-SHA-1 recommends (RFC 4226, section 4).
const SECRET_BYTES: usize = 20;

/// Shorter secrets could be guessed.
const MIN_SECRET_BYTES: usize = 10;

/// Most accounts whose last code is remembered; expired ones make room first.
const MAX_REMEMBERED: usize = 10_000;

/// The recovery codes that an account gets at once.
const RECOVERY_CODES: usize = 12;

/// Generates and verifies codes. Cheap to clone; the clones share which codes were used.
#[derive(Debug, Clone)]
pub struct OneTimePasswords {
    kinds: Arc<[TotpSettings]>,
    /// The period of the last code of each account: none of it or before it is good
    /// any more.
    last_used: Arc<Mutex<HashMap<String, u64>>>,
}

impl Default for OneTimePasswords {
    fn default() -> Self {
        Self::new(&MfaConfig::default())
    }
}

/// A fresh secret for an authenticator program.
pub struct NewSecret {
    pub issuer: String,
    /// Base32.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`, which a QR code shows.
    pub url: Zeroizing<String>,
}

/// Whose codes: the names of users and of admins are apart.
#[derive(Debug, Clone, Copy)]
pub enum CodeOwner<'a> {
    User(&'a str),
    Admin(&'a str),
}

impl CodeOwner<'_> {
    fn key(self) -> String {
        match self {
            Self::User(name) => format!("user {name}"),
            Self::Admin(name) => format!("admin {name}"),
        }
    }
}

impl OneTimePasswords {
    pub fn new(config: &MfaConfig) -> Self {
        Self { kinds: config.totp.clone().into(), last_used: Arc::default() }
    }

    /// The configured kinds.
    pub fn kinds(&self) -> &[TotpSettings] {
        &self.kinds
    }

    fn kind(&self, name: &str) -> Result<&TotpSettings> {
        self.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            Error::invalid(format!("config_name: there is no {name:?} in the setting mfa.totp"))
        })
    }

    /// Fails with `InvalidInput` if there is no kind of this name.
    pub fn require_kind(&self, name: &str) -> Result<()> {
        self.kind(name).map(drop)
    }

    /// Makes a secret of the kind `name` for `account`.
    pub fn generate(&self, name: &str, account: &str) -> Result<NewSecret> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        fill(&mut *bytes)?;
        self.describe(name, &BASE32_NOPAD.encode(&*bytes), account)
    }

    /// What an authenticator needs to know of a secret in base32.
    pub fn describe(&self, name: &str, secret: &str, account: &str) -> Result<NewSecret> {
        let kind = self.kind(name)?;
        check_secret(secret)?;
        let secret = Zeroizing::new(secret.to_owned());
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let algorithm = match kind.algo {
            TotpAlgorithm::Sha1 => "SHA1",
            TotpAlgorithm::Sha256 => "SHA256",
            TotpAlgorithm::Sha512 => "SHA512",
        };
        let url = format!(
            "otpauth://totp/{issuer}:{account}?algorithm={algorithm}&digits=6&issuer={issuer}&period={PERIOD_SECS}&secret={}",
            *secret,
            issuer = encoded(&kind.issuer),
            account = encoded(account),
        );
        Ok(NewSecret { issuer: kind.issuer.clone(), secret, url: Zeroizing::new(url) })
    }

    /// Whether `code` is one of the codes of a secret in base32 now. It can be used
    /// again afterwards: this is for setting a secret up.
    pub fn matches(
        &self,
        name: &str,
        secret: &str,
        code: &str,
        now_unix_secs: u64,
    ) -> Result<bool> {
        Ok(self.period_of(name, secret, code, now_unix_secs)?.is_some())
    }

    /// Whether `code` is a code of the stored secret that `owner` has not used yet; from
    /// now on it has been.
    pub fn redeem(
        &self,
        owner: CodeOwner<'_>,
        name: &str,
        secret: &Secret,
        code: &str,
        now_unix_secs: u64,
    ) -> Result<bool> {
        let clear = secretbox::open(secret)?;
        let Some(period) = self.period_of(name, &clear, code, now_unix_secs)? else {
            return Ok(false);
        };
        let mut used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest_good = now_unix_secs / PERIOD_SECS - DRIFT;
        if used.len() >= MAX_REMEMBERED {
            used.retain(|_, last| *last >= oldest_good);
        }
        let owner = owner.key();
        match used.get(&owner) {
            Some(last) if *last >= period => return Ok(false),
            None if used.len() >= MAX_REMEMBERED => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "too many one-time passwords at once",
                ));
            }
            _ => {}
        }
        used.insert(owner, period);
        Ok(true)
    }

    /// The latest period whose code this is.
    fn period_of(
        &self,
        name: &str,
        secret: &str,
        code: &str,
        now_unix_secs: u64,
    ) -> Result<Option<u64>> {
        let kind = self.kind(name)?;
        let secret = decode(secret)?;
        let now = now_unix_secs / PERIOD_SECS;
        let mut found = None;
        // All of them, so that the time does not tell which.
        for period in now.saturating_sub(DRIFT)..=now + DRIFT {
            let right = code_at(kind.algo, &secret, period);
            if bool::from(right.as_bytes().ct_eq(code.trim().as_bytes())) {
                found = Some(period);
            }
        }
        Ok(found)
    }
}

/// Codes that replace a one-time password, each once.
pub fn recovery_codes() -> Result<Vec<String>> {
    let one = || {
        // 80 random bits: not to be guessed, and still to be typed.
        let mut bytes = [0; 10];
        fill(&mut bytes)?;
        let text = BASE32_NOPAD.encode(&bytes);
        let mut code = String::new();
        for (at, letter) in text.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        Ok(code)
    };
    (0..RECOVERY_CODES).map(|_| one()).collect()
}

/// Checks what is given as a secret; authenticator programs show it in groups.
pub fn check_secret(secret: &str) -> Result<()> {
    decode(secret).map(drop)
}

fn decode(secret: &str) -> Result<Zeroizing<Vec<u8>>> {
    let compact: Zeroizing<String> = Zeroizing::new(
        secret.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase(),
    );
    let bare = compact.trim_end_matches('=');
    let bytes = BASE32_NOPAD
        .decode(bare.as_bytes())
        .or_else(|_| BASE32.decode(compact.as_bytes()))
        .map_err(|_| Error::invalid("secret: is not base32"))?;
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(Error::invalid(format!("secret: has less than {MIN_SECRET_BYTES} bytes")));
    }
    Ok(Zeroizing::new(bytes))
}

/// RFC 4226, section 5.3.
fn code_at(algorithm: TotpAlgorithm, secret: &[u8], counter: u64) -> String {
    let algorithm = match algorithm {
        TotpAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        TotpAlgorithm::Sha256 => hmac::HMAC_SHA256,
        TotpAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), &counter.to_be_bytes());
    let digest = tag.as_ref();
    let offset = usize::from(digest.last().copied().unwrap_or_default() & 0xf);
    let word = digest.get(offset..offset + 4).and_then(|four| four.try_into().ok());
    let number = u32::from_be_bytes(word.unwrap_or_default()) & 0x7fff_ffff;
    let mut code = String::with_capacity(6);
    let _ = write!(code, "{:06}", number % 1_000_000);
    code
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    rand::fill(bytes).map_err(|_| Error::internal("the system's random source does not answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base32(bytes: &[u8]) -> String {
        BASE32_NOPAD.encode(bytes)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, of which we show the last six digits.
        let seed = b"1234567890".repeat(7);
        let table = [
            (59, ["287082", "119246", "693936"]),
            (1_111_111_109, ["081804", "084774", "091201"]),
            (1_111_111_111, ["050471", "062674", "943326"]),
            (1_234_567_890, ["005924", "819424", "441116"]),
            (2_000_000_000, ["279037", "698825", "618901"]),
            (20_000_000_000, ["353130", "737706", "863826"]),
        ];
        for (time, codes) in table {
            let counter = time / PERIOD_SECS;
            let algorithms = [TotpAlgorithm::Sha1, TotpAlgorithm::Sha256, TotpAlgorithm::Sha512];
            for ((algorithm, length), code) in algorithms.into_iter().zip([20, 32, 64]).zip(codes) {
                assert_eq!(code_at(algorithm, &seed[..length], counter), code, "{time}");
            }
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_short_time() {
        let codes = OneTimePasswords::default();
        let secret = b"12345678901234567890";
        let stored = secretbox::seal(&base32(secret), "alice").unwrap();
        let now = 1_234_567_890;
        let period = now / PERIOD_SECS;
        let code = |period| code_at(TotpAlgorithm::Sha1, secret, period);
        let alice = CodeOwner::User("alice");
        let redeem =
            |owner, code: &str| codes.redeem(owner, "Default", &stored, code, now).unwrap();
        assert!(!redeem(alice, &code(period - 2)));
        assert!(!redeem(alice, &code(period + 2)));
        assert!(!redeem(alice, ""));
        assert!(!redeem(alice, "12345"));
        assert!(redeem(alice, &code(period - 1)));
        assert!(redeem(alice, &format!(" {} ", code(period))));
        // Used, and older than a used one.
        assert!(!redeem(alice, &code(period)));
        assert!(!redeem(alice, &code(period - 1)));
        assert!(redeem(CodeOwner::Admin("alice"), &code(period)));
        assert!(codes.matches("Default", &base32(secret), &code(period), now).unwrap());
        assert!(codes.redeem(alice, "Other", &stored, &code(period), now).is_err());
    }

    #[test]
    fn secrets_are_read_as_programs_show_them() {
        for good in ["GEZDGNBVGY3TQOJQ", "gezd gnbv gy3t qojq", "GEZDGNBVGY3TQOJQGE======"] {
            check_secret(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in ["", "GEZDGNBVGY3TQ", "GEZDGNBVGY3TQOJ1", "secret"] {
            assert!(check_secret(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_secret_can_be_scanned() {
        let config = MfaConfig {
            totp: vec![TotpSettings {
                name: "Main".into(),
                issuer: "My files & more".into(),
                algo: TotpAlgorithm::Sha256,
            }],
        };
        let codes = OneTimePasswords::new(&config);
        let new = codes.generate("Main", "a:b@c").unwrap();
        check_secret(&new.secret).unwrap();
        assert!(
            new.url
                .starts_with("otpauth://totp/My%20files%20%26%20more:a%3Ab%40c?algorithm=SHA256&")
        );
        assert!(new.url.ends_with(new.secret.as_str()));
        assert!(codes.generate("Default", "x").is_err());
    }

    #[test]
    fn recovery_codes_differ() {
        let codes = recovery_codes().unwrap();
        let unique: std::collections::HashSet<_> = codes.iter().collect();
        assert_eq!(unique.len(), RECOVERY_CODES);
        assert!(codes.iter().all(|code| code.len() == 19), "{codes:?}");
    }
}
