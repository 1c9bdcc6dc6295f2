//! What the rest of the process says of itself, for `/status` and `/version`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::web::listen::validity::CertificateState;

/// What the other servers say of themselves for `/status`.
pub trait ServiceFacts: Send + Sync {
    fn ssh(&self) -> SshServiceStatus;
}

/// Version and build of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VersionInfo {
    pub version: String,
    /// RFC 3339; empty if the build did not record it.
    pub build_date: String,
    /// Empty if the build did not record it.
    pub commit_hash: String,
    /// `+name` for what is built in, `-name` for what is not.
    #[schema(example = json!(["+metrics", "+sqlite", "-s3"]))]
    pub features: Vec<String>,
}

/// The SSH server: SFTP, SCP and SSH commands.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = SSHServiceStatus)]
pub struct SshServiceStatus {
    pub is_active: bool,
    pub bindings: Vec<SshBinding>,
    pub host_keys: Vec<SshHostKey>,
    /// The commands that clients may run.
    pub ssh_commands: Vec<String>,
    /// The ways to log in.
    pub authentications: Vec<String>,
    pub public_key_algorithms: Vec<String>,
    pub macs: Vec<String>,
    pub kex_algorithms: Vec<String>,
    pub ciphers: Vec<String>,
    /// Which of all these algorithms are weak, as ssh-audit sees it.
    pub weak_algorithms: Vec<WeakAlgorithm>,
    pub host_certificates: Vec<SshHostCertificate>,
}

/// Why something is weak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Weakness {
    /// `weak`, or `broken` if nothing but the need of an old client speaks for it.
    pub grade: &'static str,
    /// The end of a sentence.
    pub reason: &'static str,
}

/// An algorithm that is offered or accepted although it is weak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WeakAlgorithm {
    /// `kex`, `cipher`, `mac`, `host_key` or `public_key`.
    pub purpose: &'static str,
    pub name: String,
    #[serde(flatten)]
    pub weakness: Weakness,
}

/// A certificate of a host key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SSHHostCertificate)]
pub struct SshHostCertificate {
    pub path: String,
    /// What its authority calls it.
    pub key_id: String,
    /// The host names it is for; empty for all.
    pub principals: Vec<String>,
    /// Of the key that it certifies.
    pub fingerprint: String,
    /// Unix milliseconds.
    pub valid_from: i64,
    /// Unix milliseconds; absent if it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
    pub state: CertificateState,
}

/// One address the SSH server listens on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SSHBinding)]
pub struct SshBinding {
    /// Empty for all addresses.
    pub address: String,
    pub port: u16,
    /// Whether the PROXY protocol settings apply.
    pub apply_proxy_config: bool,
    /// Whether they do and are on, so that headers are read.
    pub reads_proxy_header: bool,
}

/// One host key, by which clients recognise the server.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = SSHHostKey)]
pub struct SshHostKey {
    /// The file of the private key.
    pub path: String,
    /// `SHA256:` and the digest in base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The signature algorithms offered with it.
    pub algorithms: Vec<String>,
    /// How long it is; for RSA keys only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<u32>,
    /// When its file was last written, if that is known; Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<i64>,
    /// Absent if nothing is known against the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<Weakness>,
}
