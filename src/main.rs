//! The `sftpgo` command.

use std::process::ExitCode;

use sftpgo::cli::{self, Command, InitProviderOptions, ServeOptions};
use sftpgo::config;
use sftpgo::error::{Error, ErrorKind, Result};

fn main() -> ExitCode {
    let command = cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sftpgo: {error}");
            ExitCode::from(cli::EXIT_FAILURE)
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Ping(options) => cli::ping::run(&options),
        Command::Gen(command) => cli::generate::run(&command, &mut std::io::stdout().lock()),
        Command::Serve(ServeOptions { config, .. })
        | Command::Initprovider(InitProviderOptions { config, .. }) => {
            let loaded = config::load(config.sources())?;
            Err(Error::new(
                ErrorKind::Unsupported,
                format!("configuration {:?} is fine, nothing serves it yet", loaded.file),
            ))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "not available yet")),
    }
}
