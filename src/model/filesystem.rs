//! Where an account's or a folder's files are: one configuration per kind of storage.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::placeholders::Placeholders;
use super::secret::Secret;
use super::wire::{is_default, null_is_default};
use crate::error::{Error, Result};

/// The kind of storage; a number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum FilesystemProvider {
    #[default]
    Local,
    S3,
    Gcs,
    AzureBlob,
    /// Local files, encrypted.
    Crypt,
    Sftp,
    Http,
}

impl TryFrom<i64> for FilesystemProvider {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        Ok(match number {
            0 => Self::Local,
            1 => Self::S3,
            2 => Self::Gcs,
            3 => Self::AzureBlob,
            4 => Self::Crypt,
            5 => Self::Sftp,
            6 => Self::Http,
            other => {
                return Err(format!("filesystem.provider: {other} is unknown, expected 0 to 6"));
            }
        })
    }
}

impl From<FilesystemProvider> for i64 {
    fn from(provider: FilesystemProvider) -> Self {
        match provider {
            FilesystemProvider::Local => 0,
            FilesystemProvider::S3 => 1,
            FilesystemProvider::Gcs => 2,
            FilesystemProvider::AzureBlob => 3,
            FilesystemProvider::Crypt => 4,
            FilesystemProvider::Sftp => 5,
            FilesystemProvider::Http => 6,
        }
    }
}

/// The storage of an account or folder. Only the configuration that `provider`
/// selects is used and kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FilesystemConfig {
    /// 0 local, 1 S3, 2 Google Cloud Storage, 3 Azure Blob, 4 local encrypted, 5 SFTP, 6 HTTP.
    #[schema(value_type = i64, minimum = 0, maximum = 6)]
    pub provider: FilesystemProvider,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub osconfig: OsFsConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3config: Option<Box<S3Config>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcsconfig: Option<Box<GcsConfig>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azblobconfig: Option<Box<AzureBlobFsConfig>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cryptconfig: Option<Box<CryptFsConfig>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sftpconfig: Option<Box<SftpFsConfig>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub httpconfig: Option<Box<HttpFsConfig>>,
}

/// Largest buffer of the local storages, in MB.
const MAX_BUFFER_MB: i64 = 10;

impl FilesystemConfig {
    /// Drops the configurations that `provider` does not select and checks the rest.
    pub fn normalise(&mut self) -> Result<()> {
        use FilesystemProvider as P;
        let provider = self.provider;
        fn keep<T>(config: &mut T, used: bool)
        where
            T: Default,
        {
            if !used {
                *config = T::default();
            }
        }
        keep(&mut self.osconfig, provider == P::Local);
        keep(&mut self.s3config, provider == P::S3);
        keep(&mut self.gcsconfig, provider == P::Gcs);
        keep(&mut self.azblobconfig, provider == P::AzureBlob);
        keep(&mut self.cryptconfig, provider == P::Crypt);
        keep(&mut self.sftpconfig, provider == P::Sftp);
        keep(&mut self.httpconfig, provider == P::Http);
        for (name, size) in [
            ("read_buffer_size", self.osconfig.read_buffer_size),
            ("write_buffer_size", self.osconfig.write_buffer_size),
        ] {
            if !(0..=MAX_BUFFER_MB).contains(&size) {
                return Err(Error::invalid(format!(
                    "osconfig.{name}: {size} is not between 0 and {MAX_BUFFER_MB} (MB)"
                )));
            }
        }
        Ok(())
    }

    /// The texts in which placeholders are expanded: prefixes, and user names at
    /// other servers.
    pub(super) fn templates(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        texts.extend(self.s3config.iter().map(|s3| s3.key_prefix.as_str()));
        texts.extend(self.gcsconfig.iter().map(|gcs| gcs.key_prefix.as_str()));
        texts.extend(self.azblobconfig.iter().map(|azure| azure.key_prefix.as_str()));
        if let Some(sftp) = &self.sftpconfig {
            texts.extend([sftp.prefix.as_str(), sftp.username.as_str()]);
        }
        texts.extend(self.httpconfig.iter().map(|http| http.username.as_str()));
        texts
    }

    /// Expands every one of [`FilesystemConfig::templates`], or fails at the first
    /// that cannot be.
    pub(super) fn expand(&mut self, placeholders: &Placeholders<'_>) -> Result<()> {
        let mut texts: Vec<&mut String> = Vec::new();
        texts.extend(self.s3config.iter_mut().map(|s3| &mut s3.key_prefix));
        texts.extend(self.gcsconfig.iter_mut().map(|gcs| &mut gcs.key_prefix));
        texts.extend(self.azblobconfig.iter_mut().map(|azure| &mut azure.key_prefix));
        if let Some(sftp) = &mut self.sftpconfig {
            texts.extend([&mut sftp.prefix, &mut sftp.username]);
        }
        texts.extend(self.httpconfig.iter_mut().map(|http| &mut http.username));
        for text in texts {
            *text = placeholders.expand(text)?;
        }
        Ok(())
    }

    /// Blanks the keys of all secrets, as the API shows them.
    pub fn hide_confidential(&mut self) {
        let mut secrets: Vec<&mut Secret> = Vec::new();
        if let Some(s3) = &mut self.s3config {
            secrets.extend([&mut s3.access_secret, &mut s3.sse_customer_key]);
        }
        if let Some(gcs) = &mut self.gcsconfig {
            secrets.push(&mut gcs.credentials);
        }
        if let Some(azure) = &mut self.azblobconfig {
            secrets.extend([&mut azure.account_key, &mut azure.sas_url]);
        }
        if let Some(crypt) = &mut self.cryptconfig {
            secrets.push(&mut crypt.passphrase);
        }
        if let Some(sftp) = &mut self.sftpconfig {
            secrets.extend([&mut sftp.password, &mut sftp.private_key, &mut sftp.key_passphrase]);
        }
        if let Some(http) = &mut self.httpconfig {
            secrets.extend([&mut http.password, &mut http.api_key]);
        }
        for secret in secrets {
            secret.hide_key();
        }
    }
}

/// Local disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct OsFsConfig {
    /// MB, 0 to 10, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub read_buffer_size: i64,
    /// MB, 0 to 10, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub write_buffer_size: i64,
}

/// Local disk, contents encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CryptFsConfig {
    pub passphrase: Secret,
    /// MB, 0 to 10, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub read_buffer_size: i64,
    /// MB, 0 to 10, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub write_buffer_size: i64,
}

/// Amazon S3 and compatible servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct S3Config {
    pub bucket: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    pub access_secret: Secret,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub sse_customer_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    #[serde(skip_serializing_if = "is_default")]
    pub force_path_style: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub skip_tls_verify: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage_class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub acl: String,
    /// Without leading `/`, ends with `/`; empty for the whole bucket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_prefix: String,
    /// MB, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_part_size: i64,
    /// Parts in parallel, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_concurrency: i64,
    /// Seconds, 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_part_max_time: i64,
    /// MB, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub download_part_size: i64,
    /// Parts in parallel, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub download_concurrency: i64,
    /// Seconds, 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub download_part_max_time: i64,
}

/// Google Cloud Storage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GcsConfig {
    pub bucket: String,
    /// Service account key, JSON.
    pub credentials: Secret,
    /// 1 uses the credentials of the environment.
    #[serde(skip_serializing_if = "is_default")]
    pub automatic_credentials: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage_class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub acl: String,
    /// Without leading `/`, ends with `/`; empty for the whole bucket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_prefix: String,
    /// MB, 0 for 16.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_part_size: i64,
    /// Seconds, 0 for 32.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_part_max_time: i64,
}

/// Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AzureBlobFsConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account_name: String,
    pub account_key: Secret,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub sas_url: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// MB, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_part_size: i64,
    /// Parts in parallel, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_concurrency: i64,
    /// MB, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub download_part_size: i64,
    /// Parts in parallel, 0 for 5.
    #[serde(skip_serializing_if = "is_default")]
    pub download_concurrency: i64,
    /// Empty, `Archive`, `Hot` or `Cool`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_tier: String,
    /// Without leading `/`, ends with `/`; empty for the whole container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_prefix: String,
    #[serde(skip_serializing_if = "is_default")]
    pub use_emulator: bool,
}

/// Another SFTP server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SftpFsConfig {
    /// `host[:port]`.
    pub endpoint: String,
    pub username: String,
    pub password: Secret,
    /// PEM or OpenSSH; tried before the password.
    pub private_key: Secret,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub key_passphrase: Secret,
    /// `SHA256:...`; empty accepts every host key.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    #[serde(skip_serializing_if = "is_default")]
    pub disable_concurrent_reads: bool,
    /// MB, 0 to 16, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub buffer_size: i64,
    /// 0: same server and username are one storage, 1: same server is.
    #[serde(skip_serializing_if = "is_default")]
    pub equality_check_mode: i32,
}

/// A server that speaks the HTTP filesystem interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct HttpFsConfig {
    pub endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    pub password: Secret,
    pub api_key: Secret,
    #[serde(skip_serializing_if = "is_default")]
    pub skip_tls_verify: bool,
    /// 0: same server and username are one storage, 1: same server is.
    #[serde(skip_serializing_if = "is_default")]
    pub equality_check_mode: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_selected_configuration_is_kept() {
        let mut config: FilesystemConfig = serde_json::from_str(
            r#"{"provider":0,"osconfig":null,"s3config":{"bucket":"b","access_secret":"$aes$x"}}"#,
        )
        .unwrap();
        config.normalise().unwrap();
        assert_eq!(config, FilesystemConfig::default());
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"provider":0}"#);
    }

    #[test]
    fn unknown_providers_and_large_buffers_are_refused() {
        assert!(serde_json::from_str::<FilesystemConfig>(r#"{"provider":7}"#).is_err());
        let mut config: FilesystemConfig =
            serde_json::from_str(r#"{"osconfig":{"read_buffer_size":11}}"#).unwrap();
        let error = config.normalise().unwrap_err().to_string();
        assert!(error.contains("osconfig.read_buffer_size"), "{error}");
    }
}
