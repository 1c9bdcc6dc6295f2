//! Configuration: one file per section, every setting declared once with its
//! doc comment and its default.
//!
//! Sources are read into trees of values that remember their origin (`tree`),
//! older names are replaced (`alias`), the trees are laid over one another and
//! read into the typed [`Config`] (`load`). Modules receive their section, not
//! the whole.

pub mod acme;
pub mod alias;
pub mod command;
pub mod common;
pub mod data_provider;
pub mod dotenv;
pub mod environment;
pub mod file;
pub mod ftpd;
pub mod http;
pub mod httpd;
pub mod kms;
pub mod later;
pub mod lists;
pub mod load;
pub mod mfa;
pub mod plugins;
pub mod rate_limiter;
pub mod reference;
pub mod setting;
pub mod sftpd;
pub mod smtp;
pub mod telemetry;
pub mod tls;
pub mod tree;
pub mod webdavd;

pub use command::{CommandConfig, CommandSettings};
pub use common::{
    CommonConfig, DefenderConfig, LoginDelayConfig, ProxyMode, ServerVersion, SetstatMode, Umask,
    UploadMode,
};
pub use data_provider::{
    Argon2Options, BcryptOptions, DataProviderConfig, Driver, PasswordAlgorithm, PasswordHashing,
    PasswordRules, PasswordValidation, TrackQuota, UpdateMode,
};
pub use environment::Environment;
pub use http::{HttpCertificate, HttpConfig, HttpHeader};
pub use httpd::{
    CorsConfig, HttpdBinding, HttpdConfig, HttpdSecurity, HttpsProxyHeader, SetupConfig,
};
pub use load::{ConfigDir, Loaded, Sources, load};
pub use mfa::{MfaConfig, TotpAlgorithm, TotpSettings};
pub use rate_limiter::{RateLimiterConfig, RateLimiterScope};
pub use setting::Secret;
pub use sftpd::{SSH_COMMANDS, SftpdBinding, SftpdConfig, check_ssh_commands};
pub use telemetry::TelemetryConfig;
pub use tls::MinTlsVersion;

use setting::section;

section! {
    /// The whole configuration.
    pub struct Config {
        /// Settings shared by all protocols.
        pub common: CommonConfig = CommonConfig::default();
        /// The SSH server with SFTP.
        pub sftpd: SftpdConfig = SftpdConfig::default();
        /// Where accounts are stored, and the rules for them.
        pub data_provider: DataProviderConfig = DataProviderConfig::default();
        /// The HTTP server for the REST API and the web pages.
        pub httpd: HttpdConfig = HttpdConfig::default();
        /// Metrics and health, on a listener of their own.
        pub telemetry: TelemetryConfig = TelemetryConfig::default();
        /// The HTTP client of hooks.
        pub http: HttpConfig = HttpConfig::default();
        /// How programs are run as hooks.
        pub command: CommandConfig = CommandConfig::default();
        /// Time-based one-time passwords as a second factor.
        pub mfa: MfaConfig = MfaConfig::default();
    }
}

#[cfg(test)]
mod tests;
