//! `startsubsys`: the options of the SFTP subsystem of OpenSSH's server.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::flags::{ConfigFlags, LevelFlags, parse_flag};
use crate::config::Sources;

/// Options of `startsubsys`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("utc_time", |flag| flag.default_value("true")))]
pub struct SubsystemOptions {
    #[command(flatten)]
    config: ConfigFlags,

    /// Absolute path of the directory in which each user has a home of the own name
    /// [default: the homes of the system]
    #[arg(short = 'd', long, value_name = "DIR", default_value = "", hide_default_value = true)]
    base_home_dir: String,

    /// Keep the home of a user that the data provider knows
    #[arg(
        short = 'p',
        long,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub preserve_home: bool,

    /// Log to systemd's journal instead of stderr, which OpenSSH's server throws away
    #[arg(
        short = 'j',
        long,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub log_to_journald: bool,

    #[command(flatten)]
    pub level: LevelFlags,
}

impl SubsystemOptions {
    /// What the configuration is made of, for [`crate::config::load`].
    pub fn sources(&self) -> Sources {
        self.config.sources()
    }

    /// The home of a user whose home on the system is `system_home`.
    pub fn home_of(&self, username: &str, system_home: &Path) -> PathBuf {
        match &*self.base_home_dir {
            "" => system_home.to_owned(),
            base => Path::new(base).join(username),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.base_home_dir.is_empty() && !Path::new(&self.base_home_dir).is_absolute() {
            return Err(format!("--base-home-dir: {} is not an absolute path", self.base_home_dir));
        }
        Ok(())
    }
}
