//! `portable`: one directory, one account, nothing stored.
//!
//! From the flags to the account and to the changed configuration, as functions
//! without side effects; the assembly of the server calls them.

mod account;
mod keys;

use clap::{ArgAction, Args};

use super::flags::{LevelFlags, parse_flag};
use super::unavailable::UnavailableFlags;
use crate::config::{Config, ConfigDir, SSH_COMMANDS, Sources, check_ssh_commands};
use crate::error::{Error, Result};
use crate::logging::LogOptions;

pub use account::PortableAccount;
pub use keys::EphemeralHostKeys;

/// Options of `portable`.
#[derive(Debug, Clone, Args)]
pub struct PortableOptions {
    /// Directory of the configuration, if there is one, and base of its relative paths
    #[arg(
        short = 'c',
        long,
        env = "SFTPGO_CONFIG_DIR",
        hide_env_values = true,
        value_name = "DIR",
        default_value = "."
    )]
    config_dir: String,

    /// Configuration file; see `serve`
    #[arg(
        long,
        env = "SFTPGO_CONFIG_FILE",
        hide_env_values = true,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    config_file: String,

    /// Directory to serve
    #[arg(short = 'd', long, value_name = "DIR", default_value = ".")]
    directory: String,

    /// Name of the account [default: a generated one]
    #[arg(short = 'u', long, default_value = "", hide_default_value = true)]
    username: String,

    /// Password of the account [default: a generated one, unless there is a public key]
    #[arg(short = 'p', long, default_value = "", hide_default_value = true)]
    password: HiddenText,

    /// File with the password of the account
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "password"
    )]
    password_file: String,

    /// Public key of the account, as in authorized_keys; can be repeated
    #[arg(short = 'k', long = "public-key", value_name = "KEY")]
    public_keys: Vec<String>,

    /// Permissions of the account; "*" for all
    #[arg(
        short = 'g',
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "list,download"
    )]
    permissions: Vec<String>,

    /// Directory in which the account starts
    #[arg(long, value_name = "PATH", default_value = "/")]
    start_directory: String,

    /// Port of the SSH server; 0 for a random one, negative for none
    #[arg(
        short = 's',
        long,
        value_name = "PORT",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    sftpd_port: i32,

    /// SSH commands to enable; "*" for all
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "md5sum,sha1sum,sha256sum,cd,pwd,scp"
    )]
    ssh_commands: Vec<String>,

    /// Names that are allowed in a directory, as /dir::*.jpg,*.png; can be repeated
    #[arg(long, value_name = "RULE")]
    allowed_patterns: Vec<String>,

    /// Names that are denied in a directory, as /dir::*.jpg,*.png; can be repeated
    #[arg(long, value_name = "RULE")]
    denied_patterns: Vec<String>,

    /// Extensions that are allowed in a directory, as /dir::.jpg,.png; can be repeated
    #[arg(long, value_name = "RULE")]
    allowed_extensions: Vec<String>,

    /// Extensions that are denied in a directory, as /dir::.jpg,.png; can be repeated
    #[arg(long, value_name = "RULE")]
    denied_extensions: Vec<String>,

    /// Advertise the service by multicast DNS
    #[arg(
        short = 'S',
        long,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub advertise_service: bool,

    /// Tell name and password when the service is advertised
    #[arg(
        short = 'C',
        long,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub advertise_credentials: bool,

    /// Kind of the storage; osfs (or 0), the local file system, is the only one yet
    #[arg(short = 'f', long, value_name = "NAME", default_value = "osfs")]
    fs_provider: String,

    /// Log file; empty for no log
    #[arg(short = 'l', long, value_name = "FILE", default_value = "", hide_default_value = true)]
    log_file_path: String,

    #[command(flatten)]
    level: LevelFlags,

    /// Seconds to wait for running transfers when the service stops
    #[arg(
        long = "grace-time",
        env = "SFTPGO_GRACE_TIME",
        hide_env_values = true,
        value_name = "SECONDS",
        default_value_t = 0
    )]
    pub grace_time_secs: u32,

    /// Port of the FTP server; negative for none, the only choice yet
    #[arg(long, value_name = "PORT", default_value_t = -1, allow_negative_numbers = true, hide = true)]
    ftpd_port: i32,

    /// Port of the WebDAV server; negative for none, the only choice yet
    #[arg(long, value_name = "PORT", default_value_t = -1, allow_negative_numbers = true, hide = true)]
    webdav_port: i32,

    /// Port of the HTTP server; negative for none, the only choice yet
    #[arg(long, value_name = "PORT", default_value_t = -1, allow_negative_numbers = true, hide = true)]
    httpd_port: i32,

    #[command(flatten)]
    unavailable: UnavailableFlags,
}

/// Text of a flag that `Debug` must not show.
#[derive(Clone)]
struct HiddenText(String);

impl From<&str> for HiddenText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HiddenText(..)")
    }
}

impl PortableOptions {
    /// What the configuration is made of, for [`crate::config::load`].
    pub fn sources(&self) -> Sources {
        Sources::of_process(&self.config_dir, &self.config_file)
    }

    /// For [`crate::logging::Logging::start`]; `None` when nothing is logged.
    pub fn log_options(&self) -> Option<LogOptions> {
        (!self.log_file_path.is_empty()).then(|| LogOptions {
            file: Some(self.log_file_path.clone().into()),
            level: self.level.level(),
            utc: self.level.utc_time,
            ..LogOptions::default()
        })
    }

    /// Notes for the person at the terminal.
    pub fn warnings(&self) -> Vec<String> {
        let looks_like_commands =
            self.config_dir.split(',').all(|name| name == "*" || SSH_COMMANDS.contains(&name));
        if looks_like_commands && !std::path::Path::new(&self.config_dir).is_dir() {
            return vec![format!(
                "-c is --config-dir; to enable SSH commands use --ssh-commands {}",
                self.config_dir
            )];
        }
        Vec::new()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(name) = self.unavailable.first() {
            return Err(format!("--{name} is not available in this version"));
        }
        for (name, port) in [
            ("ftpd-port", self.ftpd_port),
            ("webdav-port", self.webdav_port),
            ("httpd-port", self.httpd_port),
        ] {
            if port >= 0 {
                return Err(format!("--{name} is not available in this version"));
            }
        }
        check_ssh_commands(&self.ssh_commands).map_err(|why| format!("--ssh-commands: {why}"))?;
        match self.fs_provider.to_ascii_lowercase().as_str() {
            "osfs" | "0" => {}
            "s3fs" | "gcsfs" | "azblobfs" | "cryptfs" | "sftpfs" | "1" | "2" | "3" | "4" | "5" => {
                let name = &self.fs_provider;
                return Err(format!("--fs-provider {name} is not available in this version"));
            }
            _ => return Err(format!("--fs-provider: {:?} is unknown", self.fs_provider)),
        }
        if self.sftpd_port < 0 {
            return Err("--sftpd-port is negative, so nothing would be served".to_owned());
        }
        if u16::try_from(self.sftpd_port).is_err() {
            return Err(format!("--sftpd-port: {} is not a port", self.sftpd_port));
        }
        if !self.start_directory.starts_with('/') {
            return Err(format!("--start-directory: {} is not absolute", self.start_directory));
        }
        Ok(())
    }

    /// Changes a loaded configuration into what is served: one SSH listener and
    /// the enabled commands, no HTTP server. `random_port` is used when the flags
    /// leave the port open.
    ///
    /// # Errors
    /// What `random_port` reports.
    pub fn apply(
        &self,
        config: &mut Config,
        random_port: impl FnOnce(&str) -> Result<u16>,
    ) -> Result<()> {
        let mut bindings = std::mem::take(&mut config.sftpd.bindings).into_iter();
        let mut binding = bindings.next().unwrap_or_default();
        binding.port = match u16::try_from(self.sftpd_port) {
            Ok(0) => random_port(&binding.address)?,
            Ok(port) => port,
            Err(_) => {
                return Err(Error::invalid(format!("--sftpd-port: {}", self.sftpd_port)));
            }
        };
        config.sftpd.bindings = std::iter::once(binding).chain(bindings).collect();
        config.sftpd.enabled_ssh_commands = self.ssh_commands.clone();
        config.httpd.bindings.clear();
        config.data_provider.create_default_admin = false;
        Ok(())
    }

    /// Host keys that end with the process, unless the configuration names some
    /// or the configuration directory already holds one: a served directory is
    /// often the current one, and a private key must not appear in it.
    ///
    /// # Errors
    /// The temporary directory cannot be made.
    pub fn ephemeral_host_keys(
        &self,
        config: &mut Config,
        config_dir: &ConfigDir,
    ) -> Result<Option<EphemeralHostKeys>> {
        keys::provide(config, config_dir)
    }
}

/// A free port above the well-known ones, for [`PortableOptions::apply`].
///
/// # Errors
/// The address cannot be listened on.
pub fn random_port(address: &str) -> Result<u16> {
    let address = if address.is_empty() { "0.0.0.0" } else { address.trim_matches(['[', ']']) };
    std::net::TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::from_io(format!("finding a free port on {address}"), error))
}

#[cfg(test)]
mod tests;
