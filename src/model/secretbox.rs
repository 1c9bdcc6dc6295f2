//! Encryption of stored secrets: XSalsa20-Poly1305, the "secretbox" of NaCl.
//!
//! Every secret has a random key of its own, kept beside it: whoever has the whole
//! store can read it. What this is for is that a secret is not in the clear where
//! only a part of it shows, as in lists, logs of statements and redacted dumps.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::secret::{Secret, SecretStatus};
use crate::error::{Error, Result};

const NONCE: usize = 24;
const TAG: usize = 16;

/// Encrypts `clear`, which belongs to `owner`.
pub fn seal(clear: &str, owner: &str) -> Result<Secret> {
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; NONCE];
    let fill = rand::fill(&mut *key).and_then(|()| rand::fill(&mut nonce));
    fill.map_err(|_| Error::internal("the system's random source does not answer"))?;
    let mut payload = nonce.to_vec();
    payload.extend(seal_box(&derive(&*key), &nonce, clear.as_bytes()));
    Ok(Secret {
        status: Some(SecretStatus::Secretbox),
        payload: STANDARD.encode(payload),
        key: hex::encode(*key),
        additional_data: owner.to_owned(),
        mode: 0,
    })
}

/// The clear text of a secret. Fails with `InvalidInput` for one that is encrypted in
/// another way, with a master key, or not as [`seal`] does it.
pub fn open(secret: &Secret) -> Result<Zeroizing<String>> {
    let refused = |why: &str| Error::invalid(format!("secret: {why}"));
    match secret.status {
        Some(SecretStatus::Plain) => return Ok(Zeroizing::new(secret.payload.clone())),
        Some(SecretStatus::Secretbox) if secret.mode == 0 => {}
        Some(SecretStatus::Secretbox) => {
            return Err(refused("is encrypted with a master key, which this version lacks"));
        }
        Some(status) => return Err(refused(&format!("of kind {status:?} cannot be decrypted"))),
        None => return Err(refused("is not set")),
    }
    let key = hex::decode(&secret.key).map_err(|_| refused("its key is not hexadecimal"))?;
    let payload =
        STANDARD.decode(&secret.payload).map_err(|_| refused("its payload is not base64"))?;
    let (nonce, sealed) =
        payload.split_first_chunk::<NONCE>().ok_or_else(|| refused("is too short"))?;
    let clear = open_box(&derive(&key), nonce, sealed)
        .ok_or_else(|| refused("does not belong to its key"))?;
    String::from_utf8(clear).map(Zeroizing::new).map_err(|_| refused("is not text"))
}

fn derive(key: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::digest(key).into())
}

/// The tag and the encrypted text. The first half block of the stream is the key of the
/// tag.
fn seal_box(key: &[u8; 32], nonce: &[u8; NONCE], clear: &[u8]) -> Vec<u8> {
    let (mut stream, tag_key) = start(key, nonce);
    let mut text = clear.to_vec();
    stream.apply_keystream(&mut text);
    let mut sealed = tag(&tag_key, &text).to_vec();
    sealed.append(&mut text);
    sealed
}

fn open_box(key: &[u8; 32], nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>> {
    let (given, text) = sealed.split_first_chunk::<TAG>()?;
    let (mut stream, tag_key) = start(key, nonce);
    if !bool::from(tag(&tag_key, text).ct_eq(given)) {
        return None;
    }
    let mut clear = text.to_vec();
    stream.apply_keystream(&mut clear);
    Some(clear)
}

fn start(key: &[u8; 32], nonce: &[u8; NONCE]) -> (XSalsa20, Zeroizing<[u8; 32]>) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut tag_key = Zeroizing::new([0; 32]);
    stream.apply_keystream(&mut *tag_key);
    (stream, tag_key)
}

fn tag(key: &[u8; 32], text: &[u8]) -> [u8; TAG] {
    Poly1305::new(key.into()).compute_unpadded(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_that_of_nacl() {
        // From the tests of NaCl (secretbox.c).
        let key = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
        let nonce = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
        let clear = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc\
                     e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31\
                     0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde\
                     048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864\
                     5e0705";
        let sealed = "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce\
                      48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972\
                      71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae\
                      90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3\
                      7973f622a43d14a6599b1f654cb45a74e355a5";
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key: [u8; 32] = bytes(key).try_into().unwrap();
        let nonce: [u8; 24] = bytes(nonce).try_into().unwrap();
        assert_eq!(seal_box(&key, &nonce, &bytes(clear)), bytes(sealed));
        assert_eq!(open_box(&key, &nonce, &bytes(sealed)).unwrap(), bytes(clear));
    }

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        let secret = seal("tr0ub4dor", "alice").unwrap();
        assert_eq!(secret.status, Some(SecretStatus::Secretbox));
        assert_eq!(secret.additional_data, "alice");
        assert!(!secret.payload.contains("tr0ub4dor"));
        // As in the published example: nonce, tag and text.
        assert_eq!(STANDARD.decode(&secret.payload).unwrap().len(), 24 + 16 + 9);
        assert_eq!(open(&secret).unwrap().as_str(), "tr0ub4dor");
        assert_ne!(seal("tr0ub4dor", "alice").unwrap().payload, secret.payload);

        let changes: [fn(&mut Secret); 6] = [
            |secret| {
                secret
                    .key
                    .replace_range(0..2, if secret.key.starts_with("00") { "01" } else { "00" })
            },
            |secret| secret.key.push('x'),
            |secret| secret.payload.truncate(20),
            |secret| secret.payload = STANDARD.encode([0; 60]),
            |secret| secret.mode = 1,
            |secret| secret.status = Some(SecretStatus::VaultTransit),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut changed = secret.clone();
            change(&mut changed);
            assert!(open(&changed).is_err(), "change {at}");
        }
        assert!(open(&Secret::default()).is_err());
    }
}
