//! Bearer tokens: JSON web tokens (RFC 7519) signed with HS256.
//!
//! A token names an account and where it was asked from; it grants nothing by
//! itself. Rights are read from the account with every request, so taking a
//! right away, disabling or deleting an account works at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// `token_validation`: do not ask that a token comes from the IP it was issued to.
pub const VALIDATION_ANY_IP: u32 = 1;
/// `token_validation`: an edit of the account ends its tokens.
pub const VALIDATION_ACCOUNT_UNCHANGED: u32 = 2;

/// The most logged-out tokens that are remembered one by one.
const MAX_REVOKED: usize = 10_000;

/// Who a token was issued to. A token of one kind is useless for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// `/api/v2` as an administrator.
    Admin,
    /// `/api/v2/user` as a user.
    User,
}

impl Audience {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "api-admin",
            Self::User => "api-user",
        }
    }
}

/// What a token says; integrity is by signature, secrecy there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Unique, so that one token can be revoked.
    pub jti: String,
    /// The account's name.
    pub sub: String,
    pub aud: String,
    /// The address the token was asked from.
    pub ip: String,
    /// Issued at, Unix seconds.
    pub iat: u64,
    /// Expires at, Unix seconds.
    pub exp: u64,
    /// The account's `updated_at` when the token was issued, Unix milliseconds.
    pub upd: i64,
}

/// A freshly signed token.
#[derive(Debug)]
pub struct Issued {
    pub token: String,
    /// Unix seconds.
    pub expires_at_unix_secs: u64,
}

/// Signs and verifies the tokens of one binding.
pub struct TokenIssuer {
    signing: EncodingKey,
    verifying: DecodingKey,
    lifetime_secs: u64,
    /// Bits [`VALIDATION_ANY_IP`] and [`VALIDATION_ACCOUNT_UNCHANGED`].
    validation: u32,
    revoked: Arc<Revocations>,
}

impl TokenIssuer {
    /// With an empty `passphrase` the key is random: then a token is good for this
    /// binding of this process only. With one, all bindings that share it accept
    /// each other's tokens, also after a restart.
    pub fn new(
        passphrase: &str,
        lifetime_secs: u64,
        validation: u32,
        revoked: Arc<Revocations>,
    ) -> Result<Self> {
        let key: [u8; 32] = if passphrase.is_empty() {
            let mut key = [0; 32];
            fill_random(&mut key)?;
            key
        } else {
            Sha256::new()
                .chain_update(b"sftpgo httpd token signing key\0")
                .chain_update(passphrase.as_bytes())
                .finalize()
                .into()
        };
        Ok(Self {
            signing: EncodingKey::from_secret(&key),
            verifying: DecodingKey::from_secret(&key),
            lifetime_secs,
            validation,
            revoked,
        })
    }

    /// Issues a token for `account`, asked for from `ip`.
    pub fn issue(
        &self,
        audience: Audience,
        account: &str,
        account_updated_at_unix_ms: i64,
        ip: IpAddr,
    ) -> Result<Issued> {
        self.issue_at(unix_secs(), audience, account, account_updated_at_unix_ms, ip)
    }

    fn issue_at(
        &self,
        now_unix_secs: u64,
        audience: Audience,
        account: &str,
        account_updated_at_unix_ms: i64,
        ip: IpAddr,
    ) -> Result<Issued> {
        let claims = Claims {
            jti: uuid::Uuid::new_v4().simple().to_string(),
            sub: account.to_owned(),
            aud: audience.as_str().to_owned(),
            ip: ip_text(ip),
            iat: now_unix_secs,
            exp: now_unix_secs.saturating_add(self.lifetime_secs),
            upd: account_updated_at_unix_ms,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|error| {
                Error::with_source(ErrorKind::Internal, "sign an access token", error)
            })?;
        Ok(Issued { token, expires_at_unix_secs: claims.exp })
    }

    /// The claims of a token that is genuine, alive, meant for `audience` and, unless
    /// configured otherwise, sent from the address it was issued to.
    pub fn verify(&self, token: &str, audience: Audience, ip: IpAddr) -> Result<Claims> {
        let refused = |why: &str| Error::new(ErrorKind::Unauthenticated, why);
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.set_required_spec_claims(&["exp", "aud", "sub"]);
        rules.set_audience(&[audience.as_str()]);
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &rules)
            .map_err(|error| {
                Error::with_source(
                    ErrorKind::Unauthenticated,
                    "the access token is not valid",
                    error,
                )
            })?
            .claims;
        if self.validation & VALIDATION_ANY_IP == 0 && claims.ip != ip_text(ip) {
            return Err(refused("the access token was issued to another address"));
        }
        if self.revoked.contains(&claims) {
            return Err(refused("the access token was logged out"));
        }
        Ok(claims)
    }

    /// Whether a token survives an edit of its account: `account_updated_at_unix_ms`
    /// is what the account says now.
    pub fn account_unchanged(&self, claims: &Claims, account_updated_at_unix_ms: i64) -> bool {
        self.validation & VALIDATION_ACCOUNT_UNCHANGED == 0
            || claims.upd == account_updated_at_unix_ms
    }

    /// Logs the token out, here and on every binding that shares the revocations.
    pub fn revoke(&self, claims: &Claims) {
        self.revoked.add(claims, unix_secs());
    }
}

/// The tokens that were logged out before they expired.
///
/// Bounded: should ten thousand be logged out within one lifetime, every token
/// issued up to now is refused instead, which is safe and costs a new login.
#[derive(Default)]
pub struct Revocations {
    state: Mutex<Revoked>,
}

#[derive(Default)]
struct Revoked {
    /// Token id to its expiry, Unix seconds.
    expiry_by_id: HashMap<String, u64>,
    /// Tokens issued at or before this are refused, Unix seconds.
    issued_until: Option<u64>,
}

impl Revocations {
    fn contains(&self, claims: &Claims) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.issued_until.is_some_and(|until| claims.iat <= until)
            || state.expiry_by_id.contains_key(&claims.jti)
    }

    fn add(&self, claims: &Claims, now_unix_secs: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.expiry_by_id.len() >= MAX_REVOKED {
            state.expiry_by_id.retain(|_, expiry| *expiry > now_unix_secs);
        }
        if state.expiry_by_id.len() >= MAX_REVOKED {
            state.expiry_by_id.clear();
            state.issued_until = Some(now_unix_secs);
        }
        state.expiry_by_id.insert(claims.jti.clone(), claims.exp);
    }
}

/// Fills `bytes` from the system's random source.
pub fn fill_random(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| {
        Error::new(ErrorKind::Unavailable, "the system's random source does not answer")
    })
}

fn ip_text(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

fn unix_secs() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn issuer(passphrase: &str, validation: u32) -> TokenIssuer {
        TokenIssuer::new(passphrase, 60, validation, Arc::default()).expect("issuer")
    }

    fn accepts(issuer: &TokenIssuer, token: &str, ip: IpAddr) -> bool {
        issuer.verify(token, Audience::Admin, ip).is_ok()
    }

    #[test]
    fn a_token_works_from_where_it_was_issued() {
        let issuer = issuer("", 0);
        let issued = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue");
        let claims = issuer.verify(&issued.token, Audience::Admin, HERE).expect("verify");
        assert_eq!((claims.sub.as_str(), claims.exp), ("root", issued.expires_at_unix_secs));
    }

    #[test]
    fn a_token_of_a_user_is_none_of_an_admin() {
        let issuer = issuer("", 0);
        let issued = issuer.issue(Audience::User, "root", 5, HERE).expect("issue");
        assert!(!accepts(&issuer, &issued.token, HERE));
        assert!(issuer.verify(&issued.token, Audience::User, HERE).is_ok());
    }

    #[test]
    fn a_token_from_another_address_is_refused_unless_configured() {
        for (validation, accepted) in [(0, false), (VALIDATION_ANY_IP, true)] {
            let issuer = issuer("", validation);
            let issued = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue");
            assert_eq!(accepts(&issuer, &issued.token, THERE), accepted);
        }
    }

    #[test]
    fn an_ipv4_client_is_the_same_through_an_ipv6_socket() {
        let issuer = issuer("", 0);
        let issued = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("address");
        assert!(accepts(&issuer, &issued.token, mapped));
    }

    #[test]
    fn an_expired_token_is_refused() {
        let issuer = issuer("", 0);
        let then = unix_secs() - 61;
        let issued = issuer.issue_at(then, Audience::Admin, "root", 5, HERE).expect("issue");
        assert!(!accepts(&issuer, &issued.token, HERE));
    }

    #[test]
    fn random_keys_keep_bindings_apart_and_a_passphrase_joins_them() {
        let issued = issuer("", 0).issue(Audience::Admin, "root", 5, HERE).expect("issue");
        assert!(!accepts(&issuer("", 0), &issued.token, HERE));
        let issued = issuer("pass", 0).issue(Audience::Admin, "root", 5, HERE).expect("issue");
        assert!(accepts(&issuer("pass", 0), &issued.token, HERE));
        assert!(!accepts(&issuer("word", 0), &issued.token, HERE));
    }

    #[test]
    fn tampered_unsigned_and_foreign_tokens_are_refused() {
        let issuer = issuer("pass", 0);
        let token = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue").token;
        let parts: Vec<&str> = token.split('.').collect();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
        let cut = &token[..token.len() - 2];
        for bad in ["", ".", "..", "a.b.c", unsigned.as_str(), cut] {
            assert!(!accepts(&issuer, bad, HERE), "{bad}");
        }
    }

    #[test]
    fn an_edit_of_the_account_ends_tokens_only_when_configured() {
        for (validation, survives) in [(0, true), (VALIDATION_ACCOUNT_UNCHANGED, false)] {
            let issuer = issuer("", validation);
            let issued = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue");
            let claims = issuer.verify(&issued.token, Audience::Admin, HERE).expect("verify");
            assert!(issuer.account_unchanged(&claims, 5));
            assert_eq!(issuer.account_unchanged(&claims, 6), survives);
        }
    }

    #[test]
    fn a_logged_out_token_is_refused_and_others_live_on() {
        let issuer = issuer("", 0);
        let first = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue").token;
        let second = issuer.issue(Audience::Admin, "root", 5, HERE).expect("issue").token;
        issuer.revoke(&issuer.verify(&first, Audience::Admin, HERE).expect("verify"));
        assert!(!accepts(&issuer, &first, HERE));
        assert!(accepts(&issuer, &second, HERE));
    }

    fn claims(id: usize, iat: u64, exp: u64) -> Claims {
        Claims {
            jti: id.to_string(),
            sub: "root".into(),
            aud: "api-admin".into(),
            ip: String::new(),
            iat,
            exp,
            upd: 0,
        }
    }

    #[test]
    fn expired_revocations_make_room() {
        let revoked = Revocations::default();
        for id in 0..MAX_REVOKED {
            revoked.add(&claims(id, 0, 10), 5);
        }
        revoked.add(&claims(MAX_REVOKED, 15, 99), 20);
        let state = revoked.state.lock().expect("lock");
        assert_eq!((state.expiry_by_id.len(), state.issued_until), (1, None));
    }

    #[test]
    fn a_flood_of_logouts_never_revives_a_token() {
        let revoked = Revocations::default();
        for id in 0..=MAX_REVOKED {
            revoked.add(&claims(id, 3, 99), 5);
        }
        assert!(revoked.contains(&claims(0, 3, 99)), "dropped one by one, refused by its age");
        assert!(!revoked.contains(&claims(77_777, 6, 99)), "later tokens are good");
        assert!(revoked.state.lock().expect("lock").expiry_by_id.len() <= MAX_REVOKED);
    }
}
