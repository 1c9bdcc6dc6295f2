//! The `sftpgo` command.

use std::process::ExitCode;

use sftpgo::{cli, server};

/// Measured faster than the system's allocator for packets and small replies.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        // Prints help, version or what is wrong; ends with 0 or 2.
        Err(error) => error.exit(),
    };
    match server::run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sftpgo: {error}");
            ExitCode::from(cli::EXIT_FAILURE)
        }
    }
}
