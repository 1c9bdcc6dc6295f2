//! Secrets inside configurations: what is stored encrypted and shown redacted.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::is_default;

/// What the payload of a [`Secret`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SecretStatus {
    /// Clear text, only as input.
    Plain,
    /// Keep what is stored, only as input.
    Redacted,
    Secretbox,
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
    #[serde(rename = "GCP")]
    Gcp,
    #[serde(rename = "AWS")]
    Aws,
    VaultTransit,
    AzureKeyVault,
}

/// A secret value: clear text on input, encrypted at rest. `{}` is no secret.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(from = "SecretForm")]
pub struct Secret {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SecretStatus>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payload: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub additional_data: String,
    /// 1 if the master key took part in the encryption.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: i32,
}

impl Secret {
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.payload.is_empty()
    }

    /// Blanks what would help to decrypt the payload, as the API shows secrets.
    pub fn hide_key(&mut self) {
        self.key.clear();
        self.additional_data.clear();
        if self.status == Some(SecretStatus::Plain) {
            self.payload.clear();
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The forms a secret has had: an object since 2.0, a string before.
#[derive(Deserialize)]
#[serde(untagged)]
enum SecretForm {
    Object {
        #[serde(default, deserialize_with = "empty_is_none")]
        status: Option<SecretStatus>,
        #[serde(default)]
        payload: String,
        #[serde(default)]
        key: String,
        #[serde(default)]
        additional_data: String,
        #[serde(default)]
        mode: i32,
    },
    Text(String),
    Null(()),
}

fn empty_is_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretStatus>, D::Error> {
    use serde::de::{IntoDeserializer, value::StrDeserializer};
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => {
            let name: StrDeserializer<'_, D::Error> = text.as_str().into_deserializer();
            SecretStatus::deserialize(name).map(Some)
        }
    }
}

impl From<SecretForm> for Secret {
    fn from(form: SecretForm) -> Self {
        match form {
            SecretForm::Object { status, payload, key, additional_data, mode } => {
                Self { status, payload, key, additional_data, mode }
            }
            SecretForm::Text(text) if text.is_empty() => Self::default(),
            SecretForm::Text(payload) => {
                let encrypted = payload.starts_with("$aes$");
                let status = if encrypted { SecretStatus::Aes256Gcm } else { SecretStatus::Plain };
                Self { status: Some(status), payload, ..Self::default() }
            }
            SecretForm::Null(()) => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_of_secrets_are_read() {
        let table: &[(&str, Option<SecretStatus>, &str)] = &[
            ("{}", None, ""),
            ("null", None, ""),
            ("\"\"", None, ""),
            (r#"{"status":""}"#, None, ""),
            (r#"{"status":"Plain","payload":"x"}"#, Some(SecretStatus::Plain), "x"),
            (
                r#"{"status":"AES-256-GCM","payload":"00","mode":1}"#,
                Some(SecretStatus::Aes256Gcm),
                "00",
            ),
            ("\"$aes$00$11\"", Some(SecretStatus::Aes256Gcm), "$aes$00$11"),
            ("\"clear\"", Some(SecretStatus::Plain), "clear"),
        ];
        for (json, status, payload) in table {
            let secret: Secret = serde_json::from_str(json).unwrap();
            assert_eq!((secret.status, secret.payload.as_str()), (*status, *payload), "{json}");
        }
        assert!(serde_json::from_str::<Secret>(r#"{"status":"Rot13"}"#).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret: Secret =
            serde_json::from_str(r#"{"status":"Secretbox","payload":"pay","key":"kkk"}"#).unwrap();
        let shown = format!("{secret:?}");
        assert!(!shown.contains("pay") && !shown.contains("kkk"), "{shown}");
    }
}
