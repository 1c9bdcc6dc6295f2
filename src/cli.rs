//! The command line: what can be asked, as plain structs.
//!
//! Nothing is started here. `ping`, `gen` and `convert-users` are complete in their
//! modules; the server commands hand their options to whoever assembles the server.

pub mod convert;
pub mod flags;
pub mod generate;
pub mod mdns;
pub mod ping;
pub mod portable;
pub mod subsystem;
mod unavailable;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

pub use convert::ConvertOptions;
pub use flags::{ConfigFlags, LoadDataFlags, LogFlags, QuotaScan};
pub use generate::GenerateCommand;
pub use ping::PingOptions;
pub use portable::PortableOptions;
pub use subsystem::SubsystemOptions;

/// The exit status of every failure but a wrong command line, which is 2.
pub const EXIT_FAILURE: u8 = 1;

#[derive(Debug, Parser)]
#[command(
    name = "sftpgo",
    about = "Secure file-transfer server with virtual accounts",
    version = crate::version::LONG,
    disable_version_flag = true,
    max_term_width = 100
)]
struct CommandLine {
    /// Print version, commit and build date
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),

    #[command(subcommand)]
    command: Command,
}

/// What the command line asks for.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Run the service
    Serve(ServeOptions),
    /// Serve one directory with one account, without storing anything
    Portable(Box<PortableOptions>),
    /// Create the data provider, or bring it to this version
    Initprovider(InitProviderOptions),
    /// Serve SFTP on stdin and stdout, as a subsystem of OpenSSH's server
    Startsubsys(SubsystemOptions),
    /// Check whether a running instance is healthy
    Ping(PingOptions),
    /// Convert accounts of a Unix system, Pure-FTPd or ProFTPD to a dump that can be loaded
    ConvertUsers(ConvertOptions),
    /// Generate shell completions and man pages
    #[command(subcommand)]
    Gen(GenerateCommand),
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    #[command(flatten)]
    pub config: ConfigFlags,

    #[command(flatten)]
    pub log: LogFlags,

    #[command(flatten)]
    pub load_data: LoadDataFlags,

    /// Users whose quota is scanned after loading: 0 none, 1 all, 2 those with a quota
    #[arg(
        long = "loaddata-scan",
        env = "SFTPGO_LOADDATA_QUOTA_SCAN",
        hide_env_values = true,
        value_name = "0|1|2",
        default_value = "0",
        value_parser = flags::parse_quota_scan
    )]
    pub load_data_scan: QuotaScan,

    /// Seconds to wait for running transfers when the service stops
    #[arg(
        long = "grace-time",
        env = "SFTPGO_GRACE_TIME",
        hide_env_values = true,
        value_name = "SECONDS",
        default_value_t = 0
    )]
    pub grace_time_secs: u32,

    /// Kept for older command lines: there is no profiler yet.
    #[arg(
        long,
        hide = true,
        env = "SFTPGO_PROFILER",
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        value_parser = flags::parse_flag
    )]
    profiler: bool,
}

/// Options of `initprovider`.
#[derive(Debug, Clone, Args)]
pub struct InitProviderOptions {
    #[command(flatten)]
    pub config: ConfigFlags,

    #[command(flatten)]
    pub load_data: LoadDataFlags,
}

/// Reads the command line; `arguments` start with the name of the program.
///
/// # Errors
/// What clap has to say; `clap::Error::exit` prints it and ends the process with
/// 2 for a wrong command line and with 0 for help and version.
pub fn parse<I, T>(arguments: I) -> Result<Command, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let command = CommandLine::try_parse_from(arguments)?.command;
    let problem = match &command {
        Command::Serve(options) => options.check(),
        Command::Portable(options) => options.check(),
        Command::Startsubsys(options) => options.check(),
        Command::Initprovider(options) => options.load_data.check(),
        Command::ConvertUsers(options) => options.check(),
        Command::Ping(_) | Command::Gen(_) => Ok(()),
    };
    match problem {
        Ok(()) => Ok(command),
        Err(problem) => Err(definition().error(ErrorKind::InvalidValue, problem)),
    }
}

/// The whole command line as clap sees it, for completions and man pages.
pub fn definition() -> clap::Command {
    CommandLine::command()
}

impl ServeOptions {
    fn check(&self) -> Result<(), String> {
        if self.profiler {
            return Err("--profiler is not available in this version".to_owned());
        }
        self.load_data.check()
    }
}

#[cfg(test)]
mod tests;
