//! Hashing and verifying passwords without blocking anybody else.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::cache::VerifiedPasswords;
use super::entropy::entropy_bits;
use super::hash::{CostLimits, Scheme, StoredHash};
use crate::config::{DataProviderConfig, PasswordAlgorithm};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Password;
use crate::provider::{PasswordOwner, PasswordPolicy};

/// Longest clear-text password, in bytes: longer ones are refused before they
/// are hashed, as some formats take time that grows with the length.
pub const MAX_PASSWORD_LEN: usize = 1024;

/// bcrypt reads no more than this.
const MAX_BCRYPT_LEN: usize = 72;

/// Hashes new passwords as configured and verifies stored ones of every format.
/// Hashing runs on the blocking pool, on as many threads as there are cores and
/// no more. Cheap to clone.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    hasher: Hasher,
    limits: CostLimits,
    min_entropy_users: f64,
    min_entropy_admins: f64,
    verified: Option<VerifiedPasswords>,
    /// Verified when there is no hash to verify, so that nobody learns from the
    /// time that takes which accounts exist.
    decoy: String,
    slots: Arc<Semaphore>,
}

/// How new passwords are hashed.
#[derive(Clone)]
enum Hasher {
    Bcrypt { cost: u32 },
    Argon2id(Params),
}

impl Hasher {
    fn scheme(&self) -> Scheme {
        match self {
            Self::Bcrypt { .. } => Scheme::Bcrypt,
            Self::Argon2id(_) => Scheme::Argon2id,
        }
    }

    fn hash(&self, clear: &str) -> Result<String> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::internal(format!("password cannot be hashed: {error}"))
        };
        match self {
            Self::Bcrypt { cost } => {
                if clear.len() > MAX_BCRYPT_LEN {
                    return Err(Error::invalid(format!(
                        "longer than {MAX_BCRYPT_LEN} bytes, which is all that bcrypt can use; choose a shorter one or data_provider.password_hashing.algo \"argon2id\""
                    )));
                }
                // `$2a$` instead of `$2b$`: the same hash, and the prefix that
                // every other implementation knows.
                bcrypt::hash_with_result(clear, *cost)
                    .map(|parts| parts.format_for_version(bcrypt::Version::TwoA))
                    .map_err(|error| failed(&error))
            }
            Self::Argon2id(params) => {
                let mut salt = [0; 16];
                SystemRandom::new().fill(&mut salt).map_err(|error| failed(&error))?;
                let mut hash = [0; 32];
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
                    .hash_password_into(clear.as_bytes(), &salt, &mut hash)
                    .map_err(|error| failed(&error))?;
                Ok(format!(
                    "$argon2id$v=19$m={},t={},p={}${}${}",
                    params.m_cost(),
                    params.t_cost(),
                    params.p_cost(),
                    STANDARD_NO_PAD.encode(salt),
                    STANDARD_NO_PAD.encode(hash)
                ))
            }
        }
    }
}

impl Passwords {
    /// Takes `password_hashing`, `password_validation` and `password_caching`.
    /// Blocks for the time of one hash.
    pub fn new(config: &DataProviderConfig) -> Result<Self> {
        let hashing = &config.password_hashing;
        let argon2 = &hashing.argon2_options;
        let hasher = match hashing.algo {
            PasswordAlgorithm::Bcrypt => Hasher::Bcrypt { cost: hashing.bcrypt_options.cost },
            PasswordAlgorithm::Argon2id => Hasher::Argon2id(
                Params::new(argon2.memory, argon2.iterations, argon2.parallelism, Some(32))
                    .map_err(|error| {
                        Error::invalid(format!(
                            "data_provider.password_hashing.argon2_options: {error}"
                        ))
                    })?,
            ),
        };
        // Whatever is configured can also be verified.
        let base = CostLimits::default();
        let limits = CostLimits {
            bcrypt_cost: base.bcrypt_cost.max(hashing.bcrypt_options.cost),
            argon2_memory_kib: base.argon2_memory_kib.max(argon2.memory),
            argon2_work_kib: base
                .argon2_work_kib
                .max(u64::from(argon2.memory) * u64::from(argon2.iterations)),
            ..base
        };
        let mut noise = [0; 32];
        SystemRandom::new()
            .fill(&mut noise)
            .map_err(|error| Error::internal(format!("no random numbers: {error}")))?;
        let decoy = hasher.hash(&STANDARD_NO_PAD.encode(noise))?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self(Arc::new(Inner {
            hasher,
            limits,
            min_entropy_users: config.password_validation.users.min_entropy,
            min_entropy_admins: config.password_validation.admins.min_entropy,
            verified: config.password_caching.then(VerifiedPasswords::new).transpose()?,
            decoy,
            slots: Arc::new(Semaphore::new(threads)),
        })))
    }

    /// Hashes a clear-text password that is strong enough for `owner`.
    pub async fn hash(&self, owner: PasswordOwner, clear: &str) -> Result<Password> {
        if clear.len() > MAX_PASSWORD_LEN {
            return Err(Error::invalid(format!("longer than {MAX_PASSWORD_LEN} bytes")));
        }
        let wanted = match owner {
            PasswordOwner::User => self.0.min_entropy_users,
            PasswordOwner::Admin => self.0.min_entropy_admins,
        };
        let entropy = entropy_bits(clear);
        if wanted > 0.0 && entropy < wanted {
            return Err(Error::invalid(format!(
                "too easy to guess: about {entropy:.0} bits of entropy, {wanted:.0} are required; make it longer or use more kinds of characters"
            )));
        }
        self.hash_unchecked(clear).await
    }

    async fn hash_unchecked(&self, clear: &str) -> Result<Password> {
        let clear = Zeroizing::new(clear.to_owned());
        self.on_blocking_pool(move |inner| inner.hasher.hash(&clear)).await?.map(Password::new)
    }

    /// Whether `clear` is the password behind `stored`. Without a stored one,
    /// or with one that cannot be read, it takes the time of a verification and
    /// is false.
    pub async fn verify(&self, stored: &Password, clear: &str) -> Result<bool> {
        if let Some(verified) = &self.0.verified
            && !stored.is_empty()
            && verified.contains(stored.as_str(), clear)
        {
            return Ok(true);
        }
        let hash = (!stored.is_empty())
            .then(|| StoredHash::parse(stored.as_str(), &self.0.limits).ok())
            .flatten();
        // An empty password never opens anything, whatever was imported.
        let is_usable = hash.is_some() && !clear.is_empty() && clear.len() <= MAX_PASSWORD_LEN;
        let hash = match hash {
            Some(hash) if is_usable => hash,
            _ => StoredHash::parse(&self.0.decoy, &self.0.limits)?,
        };
        let end = clear.len().min(MAX_PASSWORD_LEN);
        let tried = Zeroizing::new(clear.as_bytes()[..end].to_vec());
        let matches = self.on_blocking_pool(move |_| hash.matches(&tried)).await?;
        let is_right = matches && is_usable;
        if is_right && let Some(verified) = &self.0.verified {
            verified.insert(stored.as_str(), clear);
        }
        Ok(is_right)
    }

    /// A hash of the preferred algorithm to replace `stored`, whose clear text
    /// was just verified; `None` if it is of that algorithm already, or cannot
    /// be.
    pub async fn better_hash(&self, stored: &Password, clear: &str) -> Result<Option<Password>> {
        let Ok(hash) = StoredHash::parse(stored.as_str(), &self.0.limits) else {
            return Ok(None);
        };
        let preferred = self.0.hasher.scheme();
        let fits = preferred != Scheme::Bcrypt || clear.len() <= MAX_BCRYPT_LEN;
        if hash.scheme() == preferred || !fits {
            return Ok(None);
        }
        let better = self.hash_unchecked(clear).await?;
        if let Some(verified) = &self.0.verified {
            verified.insert(better.as_str(), clear);
        }
        Ok(Some(better))
    }

    async fn on_blocking_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T> {
        let slot = self.0.slots.clone().acquire_owned().await.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "password hashing has ended", error)
        })?;
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&inner)
        })
        .await
        .map_err(|error| Error::with_source(ErrorKind::Internal, "password hashing failed", error))
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

#[async_trait]
impl PasswordPolicy for Passwords {
    async fn prepare(&self, owner: PasswordOwner, password: &Password) -> Result<Password> {
        if password.is_hashed() {
            StoredHash::parse(password.as_str(), &self.0.limits)?;
            return Ok(password.clone());
        }
        self.hash(owner, password.as_str()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PasswordHashing;

    fn config(algo: PasswordAlgorithm) -> DataProviderConfig {
        let mut hashing = PasswordHashing { algo, ..PasswordHashing::default() };
        hashing.bcrypt_options.cost = 4;
        hashing.argon2_options.memory = 64;
        DataProviderConfig { password_hashing: hashing, ..DataProviderConfig::default() }
    }

    #[tokio::test]
    async fn what_was_hashed_is_verified() {
        for (algo, prefix) in [
            (PasswordAlgorithm::Bcrypt, "$2a$04$"),
            (PasswordAlgorithm::Argon2id, "$argon2id$v=19$m=64,t=1,p=2$"),
        ] {
            let passwords = Passwords::new(&config(algo)).unwrap();
            let hash = passwords.hash(PasswordOwner::User, "pässword").await.unwrap();
            assert!(hash.as_str().starts_with(prefix), "{}", hash.as_str());
            assert!(hash.is_hashed());
            for _ in 0..2 {
                assert!(passwords.verify(&hash, "pässword").await.unwrap());
                assert!(!passwords.verify(&hash, "password").await.unwrap());
                assert!(!passwords.verify(&hash, "").await.unwrap());
            }
            let again = passwords.hash(PasswordOwner::User, "pässword").await.unwrap();
            assert_ne!(again, hash, "salted");
        }
    }

    #[tokio::test]
    async fn no_password_is_no_password() {
        let passwords = Passwords::new(&config(PasswordAlgorithm::Bcrypt)).unwrap();
        for stored in ["", "clear", "$2a$broken", "$6$broken"] {
            let stored = Password::from(stored);
            assert!(!passwords.verify(&stored, "").await.unwrap());
            assert!(!passwords.verify(&stored, stored.as_str()).await.unwrap());
        }
        // Not even the decoy's own password would be one.
        assert!(!passwords.verify(&Password::default(), &passwords.0.decoy).await.unwrap());
    }

    #[tokio::test]
    async fn long_passwords_are_refused_where_they_would_be_cut() {
        let bcrypt = Passwords::new(&config(PasswordAlgorithm::Bcrypt)).unwrap();
        let argon2 = Passwords::new(&config(PasswordAlgorithm::Argon2id)).unwrap();
        let (fits, long, huge) = ("x".repeat(72), "x".repeat(73), "x".repeat(1025));
        assert!(bcrypt.hash(PasswordOwner::User, &fits).await.is_ok());
        let error = bcrypt.hash(PasswordOwner::User, &long).await.unwrap_err();
        assert!(error.to_string().contains("bcrypt"), "{error}");
        let hash = argon2.hash(PasswordOwner::User, &long).await.unwrap();
        assert!(argon2.verify(&hash, &long).await.unwrap());
        assert!(argon2.hash(PasswordOwner::User, &huge).await.is_err());
        assert!(!argon2.verify(&hash, &huge).await.unwrap());
        // A password that bcrypt would cut keeps the hash it has.
        assert_eq!(bcrypt.better_hash(&hash, &long).await.unwrap(), None);
    }

    #[tokio::test]
    async fn weak_passwords_are_refused_but_hashes_pass() {
        let mut config = config(PasswordAlgorithm::Bcrypt);
        config.password_validation.users.min_entropy = 60.0;
        let passwords = Passwords::new(&config).unwrap();
        let prepare = |owner, text: &'static str| {
            let passwords = passwords.clone();
            async move { passwords.prepare(owner, &Password::from(text)).await }
        };
        let error = prepare(PasswordOwner::User, "password").await.unwrap_err().to_string();
        assert!(error.contains("60 are required") && !error.contains("\"password\""), "{error}");
        assert!(prepare(PasswordOwner::Admin, "password").await.is_ok());
        assert!(prepare(PasswordOwner::User, "Tr0ub4dor&3 staple").await.is_ok());
        let hash = "$2a$14$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK";
        assert_eq!(prepare(PasswordOwner::User, hash).await.unwrap().as_str(), hash);
        for bad in ["$2a$31$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK", "$1$x"] {
            let error = prepare(PasswordOwner::User, bad).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn hashes_of_other_algorithms_get_a_better_one() {
        let bcrypt = Passwords::new(&config(PasswordAlgorithm::Bcrypt)).unwrap();
        let argon2 = Passwords::new(&config(PasswordAlgorithm::Argon2id)).unwrap();
        let old = bcrypt.hash(PasswordOwner::User, "secret").await.unwrap();
        assert_eq!(bcrypt.better_hash(&old, "secret").await.unwrap(), None);
        let new = argon2.better_hash(&old, "secret").await.unwrap().unwrap();
        assert!(new.as_str().starts_with("$argon2id$"));
        assert!(argon2.verify(&new, "secret").await.unwrap());
    }
}
