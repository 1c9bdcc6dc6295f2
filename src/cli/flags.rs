//! Flags that several commands share, and how their values are read.

use std::path::Path;

use clap::{ArgAction, Args, ValueEnum};
use slog::Level;

use crate::config::setting::parse_bool;
use crate::config::{ConfigDir, Sources};
use crate::logging::LogOptions;

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigFlags {
    /// Directory of the configuration, and base of its relative paths
    #[arg(
        short = 'c',
        long,
        env = "SFTPGO_CONFIG_DIR",
        hide_env_values = true,
        value_name = "DIR",
        default_value = "."
    )]
    pub config_dir: String,

    /// Configuration file: a path relative to the configuration directory, or a name
    /// without extension inside it [default: the first sftpgo.<extension> that is found]
    #[arg(
        short = 'f',
        long,
        env = "SFTPGO_CONFIG_FILE",
        hide_env_values = true,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub config_file: String,
}

impl ConfigFlags {
    /// What the configuration is made of, for [`crate::config::load`].
    pub fn sources(&self) -> Sources {
        Sources::of_process(&self.config_dir, &self.config_file)
    }
}

/// The log of the service.
#[derive(Debug, Clone, Args)]
pub struct LogFlags {
    /// Log file, relative to the configuration directory; empty logs to stderr
    #[arg(
        short = 'l',
        long = "log-file-path",
        env = "SFTPGO_LOG_FILE_PATH",
        hide_env_values = true,
        value_name = "FILE",
        default_value = "sftpgo.log"
    )]
    pub file_path: String,

    /// Megabytes after which the log file is rotated
    #[arg(
        short = 's',
        long = "log-max-size",
        env = "SFTPGO_LOG_MAX_SIZE",
        hide_env_values = true,
        value_name = "MB",
        default_value_t = 10
    )]
    pub max_size_mb: u32,

    /// Rotated files that are kept
    #[arg(
        short = 'b',
        long = "log-max-backups",
        env = "SFTPGO_LOG_MAX_BACKUPS",
        hide_env_values = true,
        value_name = "COUNT",
        default_value_t = 5
    )]
    pub max_backups: u32,

    /// Days for which rotated files are kept
    #[arg(
        short = 'a',
        long = "log-max-age",
        env = "SFTPGO_LOG_MAX_AGE",
        hide_env_values = true,
        value_name = "DAYS",
        default_value_t = 28
    )]
    pub max_age_days: u32,

    /// Compress rotated files with gzip
    #[arg(
        short = 'z',
        long = "log-compress",
        env = "SFTPGO_LOG_COMPRESS",
        hide_env_values = true,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub compress: bool,

    #[command(flatten)]
    pub level: LevelFlags,
}

impl LogFlags {
    /// For [`crate::logging::Logging::start`].
    pub fn options(&self, config_dir: &ConfigDir) -> LogOptions {
        LogOptions {
            file: (!self.file_path.is_empty()).then(|| config_dir.resolve(&self.file_path)),
            max_size_mb: u64::from(self.max_size_mb),
            max_backups: self.max_backups as usize,
            max_age_days: self.max_age_days,
            compress: self.compress,
            level: self.level.level(),
            utc: self.level.utc_time,
        }
    }
}

/// How much is logged, and the clock of the log.
#[derive(Debug, Clone, Args)]
pub struct LevelFlags {
    /// Least severe level that is logged [default: debug]
    #[arg(
        long = "log-level",
        env = "SFTPGO_LOG_LEVEL",
        hide_env_values = true,
        value_name = "LEVEL",
        ignore_case = true,
        value_enum
    )]
    log_level: Option<LogLevel>,

    /// Older form of --log-level: true is debug, false is info
    #[arg(
        short = 'v',
        long = "log-verbose",
        env = "SFTPGO_LOG_VERBOSE",
        hide_env_values = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    log_verbose: Option<bool>,

    /// Log times in UTC instead of local time
    #[arg(
        long = "log-utc-time",
        env = "SFTPGO_LOG_UTC_TIME",
        hide_env_values = true,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub utc_time: bool,
}

impl LevelFlags {
    /// The newer flag wins.
    pub fn level(&self) -> Level {
        match (self.log_level, self.log_verbose) {
            (Some(LogLevel::Debug), _) | (None, None | Some(true)) => Level::Debug,
            (Some(LogLevel::Info), _) | (None, Some(false)) => Level::Info,
            (Some(LogLevel::Warn), _) => Level::Warning,
            (Some(LogLevel::Error), _) => Level::Error,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A dump that is loaded at start.
#[derive(Debug, Clone, Args)]
pub struct LoadDataFlags {
    /// Absolute path of a dump to load; a failure stops the start
    #[arg(
        long = "loaddata-from",
        env = "SFTPGO_LOADDATA_FROM",
        hide_env_values = true,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    from: String,

    /// What happens to objects that exist: 0 they are updated, 1 they are kept
    #[arg(
        long = "loaddata-mode",
        env = "SFTPGO_LOADDATA_MODE",
        hide_env_values = true,
        value_name = "0|1",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(0..=1)
    )]
    mode: u8,

    /// Delete the dump when it was loaded
    #[arg(
        long = "loaddata-clean",
        env = "SFTPGO_LOADDATA_CLEAN",
        hide_env_values = true,
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = parse_flag
    )]
    pub clean: bool,
}

impl LoadDataFlags {
    /// The dump to load, if there is one.
    pub fn file(&self) -> Option<&Path> {
        (!self.from.is_empty()).then(|| Path::new(&self.from))
    }

    /// Whether objects that exist are replaced by those of the dump.
    pub fn updates_existing(&self) -> bool {
        self.mode == 0
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self.file() {
            Some(file) if !file.is_absolute() => {
                Err(format!("--loaddata-from: {} is not an absolute path", file.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Whose quota is scanned after loading a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaScan {
    Nobody,
    Everybody,
    /// Users with a quota.
    Limited,
}

pub(super) fn parse_quota_scan(text: &str) -> Result<QuotaScan, String> {
    match text {
        "0" => Ok(QuotaScan::Nobody),
        "1" => Ok(QuotaScan::Everybody),
        "2" => Ok(QuotaScan::Limited),
        _ => Err("expected 0, 1 or 2".to_owned()),
    }
}

/// `1`, `true`, `0` or `false`, as in the environment.
pub(super) fn parse_flag(text: &str) -> Result<bool, String> {
    parse_bool(text).ok_or_else(|| "expected true, false, 1 or 0".to_owned())
}
