//! `gen`: shell completions, man pages, and the generated documentation.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::definition;
use crate::config::reference;
use crate::error::{Error, Result};

/// What to generate.
#[derive(Debug, Clone, Subcommand)]
pub enum GenerateCommand {
    /// Print the completion script of a shell
    Completion {
        #[arg(value_enum)]
        shell: CompletionShell,
    },
    /// Write the man pages
    Man(ManOptions),
    /// Print the generated documentation of the configuration
    #[command(hide = true)]
    ConfigReference {
        #[arg(value_enum)]
        form: ReferenceForm,
    },
}

#[derive(Debug, Clone, Args)]
pub struct ManOptions {
    /// Directory for the pages; made if it is missing
    #[arg(short = 'd', long, value_name = "DIR", default_value = "man")]
    pub dir: PathBuf,
}

/// The shells that completions exist for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// The two generated files.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReferenceForm {
    /// `etc/sftpgo.toml`
    Toml,
    /// `docs/configuration.md`
    Markdown,
}

/// Generates what was asked for; `out` is the standard output.
///
/// # Errors
/// A directory or file that cannot be written.
pub fn run(command: &GenerateCommand, out: &mut dyn Write) -> Result<()> {
    let text = match command {
        GenerateCommand::Completion { shell } => completion(*shell),
        GenerateCommand::Man(options) => return write_man_pages(options),
        GenerateCommand::ConfigReference { form } => match form {
            ReferenceForm::Toml => reference::sample_file().into_bytes(),
            ReferenceForm::Markdown => reference::reference_page()?.into_bytes(),
        },
    };
    // A reader such as `head` may have left.
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::from_io("standard output", error))
        }
        _ => Ok(()),
    }
}

fn completion(shell: CompletionShell) -> Vec<u8> {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
        CompletionShell::Powershell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "sftpgo", &mut script);
    script
}

fn write_man_pages(options: &ManOptions) -> Result<()> {
    let dir = &options.dir;
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(definition(), dir))
        .map_err(|error| Error::from_io(format!("man pages in {}", dir.display()), error))
}
