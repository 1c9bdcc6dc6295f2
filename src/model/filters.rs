//! Restrictions and options of one account: from where, how and with what it may log in.

mod patterns;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::network;
use super::secret::Secret;
use super::wire::{is_default, null_is_default};
use super::{access_time, by_source};
use crate::error::{Error, Result};
use crate::paths::VirtualPath;

pub use patterns::{ExtensionsFilter, PatternsFilter};

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum LoginMethod {
    #[serde(rename = "publickey")]
    PublicKey,
    #[serde(rename = "password")]
    Password,
    #[serde(rename = "keyboard-interactive")]
    KeyboardInteractive,
    #[serde(rename = "publickey+password")]
    PublicKeyAndPassword,
    #[serde(rename = "publickey+keyboard-interactive")]
    PublicKeyAndKeyboardInteractive,
    #[serde(rename = "TLSCertificate")]
    TlsCertificate,
    #[serde(rename = "TLSCertificate+password")]
    TlsCertificateAndPassword,
    /// Only as a restriction: the plain password method of SSH.
    #[serde(rename = "password-over-SSH")]
    PasswordOverSsh,
}

impl LoginMethod {
    /// The methods by which somebody can log in.
    const USABLE: [LoginMethod; 7] = [
        Self::PublicKey,
        Self::Password,
        Self::KeyboardInteractive,
        Self::PublicKeyAndPassword,
        Self::PublicKeyAndKeyboardInteractive,
        Self::TlsCertificate,
        Self::TlsCertificateAndPassword,
    ];

    /// The name on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::PublicKeyAndPassword => "publickey+password",
            Self::PublicKeyAndKeyboardInteractive => "publickey+keyboard-interactive",
            Self::TlsCertificate => "TLSCertificate",
            Self::TlsCertificateAndPassword => "TLSCertificate+password",
            Self::PasswordOverSsh => "password-over-SSH",
        }
    }
}

/// A family of protocols an account can log in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoginProtocol {
    /// SFTP, SCP and SSH commands.
    Ssh,
    Ftp,
    /// WebDAV.
    Dav,
    /// Web client and REST API.
    Http,
}

impl LoginProtocol {
    /// All four.
    pub const ALL: [LoginProtocol; 4] = [Self::Ssh, Self::Ftp, Self::Dav, Self::Http];

    /// The name on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "SSH",
            Self::Ftp => "FTP",
            Self::Dav => "DAV",
            Self::Http => "HTTP",
        }
    }
}

/// The filters of a user.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UserFilters {
    /// Networks (CIDR) that may log in; empty for all.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub allowed_ip: Vec<String>,
    /// Networks (CIDR) that may not log in; evaluated before `allowed_ip`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub denied_ip: Vec<String>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub denied_login_methods: Vec<LoginMethod>,
    /// Not all four.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub denied_protocols: Vec<LoginProtocol>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub file_extensions: Vec<ExtensionsFilter>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub file_patterns: Vec<PatternsFilter>,
    /// Bytes, 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_upload_file_size: i64,
    /// Empty, `None` or `CommonName`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub tls_username: String,
    /// PEM client certificates.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub tls_certs: Vec<String>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub hooks: HooksFilter,
    /// Do not check or create the home directory at login.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_fs_checks: bool,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub web_client: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_api_key_auth: bool,
    /// Empty, `LDAPUser` or `OSUser`: a hint to authentication plugins.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub user_type: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub totp_config: UserTotpConfig,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub recovery_codes: Vec<RecoveryCode>,
    #[serde(
        alias = "2fa_protocols",
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub two_factor_protocols: Vec<String>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub bandwidth_limits: Vec<BandwidthLimit>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub data_transfer_limits: Vec<DataTransferLimit>,
    /// Seconds, 0 asks the hook at every login.
    #[serde(skip_serializing_if = "is_default")]
    pub external_auth_cache_time: i64,
    /// Absolute virtual directory where sessions start; empty for `/`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub start_directory: String,
    /// 1 requires TLS for FTP.
    #[serde(skip_serializing_if = "is_default")]
    pub ftp_security: i32,
    #[serde(skip_serializing_if = "is_default")]
    pub is_anonymous: bool,
    /// Days.
    #[serde(skip_serializing_if = "is_default")]
    pub default_shares_expiration: i64,
    /// Days.
    #[serde(skip_serializing_if = "is_default")]
    pub max_shares_expiration: i64,
    /// Days, 0 for never.
    #[serde(skip_serializing_if = "is_default")]
    pub password_expiration: i64,
    /// Minimum entropy in bits, 0 for the configured one.
    #[serde(skip_serializing_if = "is_default")]
    pub password_strength: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub require_password_change: bool,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub access_time: Vec<TimePeriod>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub additional_emails: Vec<String>,
}

impl UserFilters {
    /// Brings lists to their stored form; errors name the field.
    pub fn normalise(&mut self) -> Result<()> {
        network::normalise(&mut self.allowed_ip).map_err(|error| error.wrap("allowed_ip"))?;
        network::normalise(&mut self.denied_ip).map_err(|error| error.wrap("denied_ip"))?;
        dedup(&mut self.denied_login_methods);
        if LoginMethod::USABLE.iter().all(|method| self.denied_login_methods.contains(method)) {
            return Err(Error::invalid(
                "denied_login_methods: all methods are denied; disable the account instead",
            ));
        }
        dedup(&mut self.denied_protocols);
        if LoginProtocol::ALL.iter().all(|protocol| self.denied_protocols.contains(protocol)) {
            return Err(Error::invalid(
                "denied_protocols: all protocols are denied; disable the account instead",
            ));
        }
        patterns::normalise_extensions(&mut self.file_extensions)
            .map_err(|error| error.wrap("file_extensions"))?;
        patterns::normalise_patterns(&mut self.file_patterns)
            .map_err(|error| error.wrap("file_patterns"))?;
        if !self.start_directory.is_empty() {
            if !self.start_directory.starts_with('/') {
                return Err(Error::invalid(format!(
                    "start_directory: {:?} is not an absolute path",
                    self.start_directory
                )));
            }
            if self.start_directory.chars().any(char::is_control) {
                return Err(Error::invalid("start_directory: contains a control character"));
            }
            let path = VirtualPath::new(&self.start_directory);
            self.start_directory =
                if path.is_root() { String::new() } else { path.to_string_lossy().into_owned() };
        }
        check_mfa_protocols(&self.two_factor_protocols)
            .map_err(|error| error.wrap("two_factor_protocols"))?;
        check_mfa_protocols(&self.totp_config.protocols)
            .map_err(|error| error.wrap("totp_config.protocols"))?;
        if self.max_upload_file_size < 0 {
            let size = self.max_upload_file_size;
            return Err(Error::invalid(format!("max_upload_file_size: {size} is negative")));
        }
        by_source::normalise_bandwidth(&mut self.bandwidth_limits)?;
        by_source::normalise_transfer(&mut self.data_transfer_limits)?;
        access_time::check(&self.access_time)?;
        if self.tls_username == "None" {
            self.tls_username.clear();
        }
        Ok(())
    }

    /// Whether the address may log in.
    pub fn permits_address(&self, address: IpAddr) -> bool {
        network::permits(&self.allowed_ip, &self.denied_ip, address)
    }

    pub fn denies_protocol(&self, protocol: LoginProtocol) -> bool {
        self.denied_protocols.contains(&protocol)
    }

    /// Switches one-time passwords off.
    pub fn forget_second_factor(&mut self) {
        self.totp_config = UserTotpConfig::default();
        self.recovery_codes.clear();
    }

    /// Whether logins over `protocol` need a second factor that is not there: because the
    /// account has none for it, or because the plain password method of SSH cannot ask
    /// for it. Over HTTP somebody without one is let in to set it up.
    pub fn lacks_second_factor(&self, method: LoginMethod, protocol: LoginProtocol) -> bool {
        let is_required = self.two_factor_protocols.iter().any(|name| name == protocol.as_str());
        if !is_required || protocol == LoginProtocol::Http {
            return false;
        }
        let has_one = self.totp_config.is_for(protocol);
        !has_one || (protocol == LoginProtocol::Ssh && method == LoginMethod::Password)
    }

    /// The ways to log in over SSH that begin with a public key and have a second step.
    /// There are none while a single step is still allowed: then the key is enough, or
    /// it is no way in at all.
    pub fn two_step_methods(&self) -> Vec<LoginMethod> {
        let single =
            [LoginMethod::PublicKey, LoginMethod::Password, LoginMethod::KeyboardInteractive];
        if !single.iter().all(|method| self.denies_method(*method, LoginProtocol::Ssh)) {
            return Vec::new();
        }
        [LoginMethod::PublicKeyAndPassword, LoginMethod::PublicKeyAndKeyboardInteractive]
            .into_iter()
            .filter(|method| !self.denied_login_methods.contains(method))
            .collect()
    }

    /// Whether `method` is denied over `protocol`; `password-over-SSH` denies the
    /// password only there.
    pub fn denies_method(&self, method: LoginMethod, protocol: LoginProtocol) -> bool {
        self.denied_login_methods.contains(&method)
            || (method == LoginMethod::Password
                && protocol == LoginProtocol::Ssh
                && self.denied_login_methods.contains(&LoginMethod::PasswordOverSsh))
    }
}

/// The protocols that can ask for a code.
fn check_mfa_protocols(names: &[String]) -> Result<()> {
    match names.iter().find(|name| !["SSH", "FTP", "HTTP"].contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("{name:?} is none of SSH, FTP and HTTP"))),
    }
}

fn dedup<T: PartialEq + Copy>(list: &mut Vec<T>) {
    let mut seen = Vec::with_capacity(list.len());
    list.retain(|item| {
        let is_new = !seen.contains(item);
        seen.push(*item);
        is_new
    });
}

/// Which hooks are not run for the account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct HooksFilter {
    pub external_auth_disabled: bool,
    pub pre_login_disabled: bool,
    pub check_password_disabled: bool,
}

/// Bandwidth per source network; the first match replaces the user's own limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct BandwidthLimit {
    #[serde(deserialize_with = "null_is_default")]
    pub sources: Vec<String>,
    /// KB/s, 0 for no limit.
    pub upload_bandwidth: i64,
    /// KB/s, 0 for no limit.
    pub download_bandwidth: i64,
}

/// Transfer volume per source network, in MB.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DataTransferLimit {
    #[serde(deserialize_with = "null_is_default")]
    pub sources: Vec<String>,
    pub upload_data_transfer: i64,
    pub download_data_transfer: i64,
    pub total_data_transfer: i64,
}

/// A window in which the account may be connected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TimePeriod {
    /// 0 Sunday to 6 Saturday.
    pub day_of_week: i32,
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`; this minute is still open.
    pub to: String,
}

/// One-time passwords of an admin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TotpConfig {
    pub enabled: bool,
    /// A name in the `mfa.totp` configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_name: String,
    pub secret: Secret,
}

/// One-time passwords of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UserTotpConfig {
    pub enabled: bool,
    /// A name in the `mfa.totp` configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_name: String,
    pub secret: Secret,
    /// `SSH`, `FTP`, `HTTP`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
}

impl UserTotpConfig {
    /// Whether logins over `protocol` ask for a code.
    pub fn is_for(&self, protocol: LoginProtocol) -> bool {
        self.enabled && self.protocols.iter().any(|name| name == protocol.as_str())
    }
}

/// A code that replaces a one-time password once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RecoveryCode {
    pub secret: Secret,
    pub used: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(json: &str) -> UserFilters {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_on_the_wire_are_the_documented_ones() {
        for method in LoginMethod::USABLE.into_iter().chain([LoginMethod::PasswordOverSsh]) {
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{}\"", method.as_str()));
        }
        for protocol in LoginProtocol::ALL {
            let json = serde_json::to_string(&protocol).unwrap();
            assert_eq!(json, format!("\"{}\"", protocol.as_str()));
        }
        assert_eq!(serde_json::to_string(&UserFilters::default()).unwrap(), "{}");
        assert_eq!(filters(r#"{"2fa_protocols":["SSH"]}"#).two_factor_protocols, ["SSH"]);
    }

    #[test]
    fn normalising_names_the_field_that_is_wrong() {
        let all_methods: Vec<_> = LoginMethod::USABLE.iter().map(|m| m.as_str()).collect();
        let table: &[(String, &str)] = &[
            (r#"{"allowed_ip":["x"]}"#.into(), "allowed_ip: "),
            (r#"{"denied_ip":["10.0.0.0/40"]}"#.into(), "denied_ip: "),
            (
                format!(r#"{{"denied_login_methods":{}}}"#, serde_json::json!(all_methods)),
                "denied_login_methods: ",
            ),
            (r#"{"denied_protocols":["SSH","FTP","DAV","HTTP"]}"#.into(), "denied_protocols: "),
            (r#"{"start_directory":"in"}"#.into(), "start_directory: "),
            (r#"{"start_directory":"/in\u0000"}"#.into(), "start_directory: "),
        ];
        for (json, field) in table {
            let error = filters(json).normalise().unwrap_err().to_string();
            assert!(error.starts_with(field), "{json}: {error}");
        }
    }

    #[test]
    fn normalising_brings_lists_to_one_form() {
        let mut got = filters(
            r#"{"allowed_ip":["10.0.0.7","10.0.0.7/32"],"denied_ip":null,
                "denied_protocols":["FTP","FTP"],"denied_login_methods":["password","password"],
                "start_directory":"/a/../b/","tls_username":"None"}"#,
        );
        got.normalise().unwrap();
        let want = filters(
            r#"{"allowed_ip":["10.0.0.7/32"],"denied_protocols":["FTP"],
                "denied_login_methods":["password"],"start_directory":"/b"}"#,
        );
        assert_eq!(got, want);
    }

    #[test]
    fn a_second_step_follows_a_key_only_when_no_single_step_is_allowed() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("publickey,password", &[]),
            ("publickey,keyboard-interactive", &[]),
            (
                "publickey,password,keyboard-interactive",
                &["publickey+password", "publickey+keyboard-interactive"],
            ),
            (
                "publickey,password-over-SSH,keyboard-interactive",
                &["publickey+password", "publickey+keyboard-interactive"],
            ),
            (
                "publickey,password,keyboard-interactive,publickey+password",
                &["publickey+keyboard-interactive"],
            ),
        ];
        for (denied, expected) in table {
            let denied: Vec<&str> = denied.split(',').filter(|name| !name.is_empty()).collect();
            let filters = filters(&serde_json::json!({"denied_login_methods": denied}).to_string());
            let steps: Vec<&str> =
                filters.two_step_methods().iter().map(|method| method.as_str()).collect();
            assert_eq!(&steps[..], *expected, "{denied:?}");
        }
    }

    #[test]
    fn a_required_second_factor_closes_what_cannot_ask_for_it() {
        let with = |totp: &str| {
            filters(&format!(r#"{{"two_factor_protocols":["SSH","HTTP"],"totp_config":{totp}}}"#))
        };
        let ssh = LoginProtocol::Ssh;
        let none = with("{}");
        for method in [LoginMethod::PublicKey, LoginMethod::KeyboardInteractive] {
            assert!(none.lacks_second_factor(method, ssh));
        }
        assert!(!none.lacks_second_factor(LoginMethod::Password, LoginProtocol::Http));
        assert!(!none.lacks_second_factor(LoginMethod::Password, LoginProtocol::Ftp));
        assert!(
            with(r#"{"enabled":true,"protocols":["FTP"]}"#)
                .lacks_second_factor(LoginMethod::PublicKey, ssh)
        );
        let one = with(r#"{"enabled":true,"protocols":["SSH"]}"#);
        assert!(one.lacks_second_factor(LoginMethod::Password, ssh));
        for method in [
            LoginMethod::PublicKey,
            LoginMethod::KeyboardInteractive,
            LoginMethod::PublicKeyAndPassword,
        ] {
            assert!(!one.lacks_second_factor(method, ssh));
        }
        assert!(!filters("{}").lacks_second_factor(LoginMethod::Password, ssh));
        assert!(filters(r#"{"two_factor_protocols":["DAV"]}"#).normalise().is_err());
    }

    #[test]
    fn password_over_ssh_is_denied_only_over_ssh() {
        let filters = filters(r#"{"denied_login_methods":["password-over-SSH"]}"#);
        assert!(filters.denies_method(LoginMethod::Password, LoginProtocol::Ssh));
        assert!(!filters.denies_method(LoginMethod::Password, LoginProtocol::Http));
        assert!(!filters.denies_method(LoginMethod::PublicKey, LoginProtocol::Ssh));
    }
}
