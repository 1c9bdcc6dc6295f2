//! git as a server: `git-upload-pack`, `git-receive-pack`, `git-upload-archive`.
//!
//! A repository is a directory that the account can write by other means, and git runs
//! programs that its configuration names: hooks, filters, formatters of archives. None of
//! them may run here. What the table switches off is switched off for all; and since it
//! cannot list what a repository may call its filters, git also runs only where the
//! kernel keeps it from executing anything but git itself (see `confinement`).

use std::ffi::OsStr;

use crate::vfs::Changes;

/// Settings that win over those of a repository. Values are given in the environment,
/// which counts as the command line.
const SETTINGS: &[(&str, &str)] = &[
    // Who owns the repository does not matter: nothing in it is trusted anyway.
    ("safe.directory", "*"),
    // Every hook.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    // It is asked for in every push; this one says nothing.
    ("core.alternateRefsCommand", "git-check-ref-format"),
    ("core.sshCommand", "false"),
    ("core.gitProxy", "false"),
    ("core.askPass", "false"),
    ("credential.helper", ""),
    // Signed pushes are not verified, which would run a program.
    ("receive.certNonceSeed", ""),
    ("gpg.program", "false"),
    ("gpg.openpgp.program", "false"),
    ("gpg.x509.program", "false"),
    ("gpg.ssh.program", "false"),
    // A work tree is never updated: that would run the filters of its attributes.
    ("receive.denyCurrentBranch", "refuse"),
    // Nothing goes on after the command has ended.
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // Nothing is fetched from elsewhere.
    ("protocol.allow", "never"),
];

/// The rest of git's environment.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    // A push is recorded with somebody's name, and the account has none to give.
    ("GIT_COMMITTER_NAME", "sftpgo"),
    ("GIT_COMMITTER_EMAIL", "sftpgo@localhost"),
    ("LC_ALL", "C"),
];

/// One of git's three programs for servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    UploadPack,
    ReceivePack,
    UploadArchive,
}

impl Program {
    /// What `git` is asked for.
    pub fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
            Self::UploadArchive => "upload-archive",
        }
    }

    pub fn changes(self) -> Changes {
        match self {
            Self::UploadPack | Self::UploadArchive => Changes::Nothing,
            Self::ReceivePack => Changes::Files,
        }
    }
}

/// The one repository that the command is about.
///
/// # Errors
/// Anything but exactly one path, which is no option.
pub fn repository(words: &[Vec<u8>]) -> Result<&[u8], String> {
    if let Some(option) = words.iter().find(|word| word.starts_with(b"-")) {
        let option = String::from_utf8_lossy(option);
        return Err(format!("option {} is not allowed", option.escape_debug()));
    }
    match words {
        [path] if path.is_empty() => Err("the path of the repository is empty".to_owned()),
        [path] => Ok(path),
        _ => Err("exactly one repository is needed".to_owned()),
    }
}

/// git's environment beside `PATH`.
pub fn environment() -> Vec<(String, &'static OsStr)> {
    let count = ("GIT_CONFIG_COUNT".to_owned(), SETTINGS_COUNT);
    let settings = SETTINGS.iter().enumerate().flat_map(|(at, (key, value))| {
        [(format!("GIT_CONFIG_KEY_{at}"), *key), (format!("GIT_CONFIG_VALUE_{at}"), *value)]
    });
    let rest = ENVIRONMENT.iter().map(|(key, value)| ((*key).to_owned(), *value));
    std::iter::once(count)
        .chain(settings)
        .chain(rest)
        .map(|(key, value)| (key, OsStr::new(value)))
        .collect()
}

const SETTINGS_COUNT: &str = "18";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_settings_are_passed() {
        assert_eq!(SETTINGS.len().to_string(), SETTINGS_COUNT);
        let environment = environment();
        let value = |key: &str| {
            let found = environment.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.to_str().unwrap())
        };
        for (at, setting) in SETTINGS.iter().enumerate() {
            let key = value(&format!("GIT_CONFIG_KEY_{at}"));
            let found = key.zip(value(&format!("GIT_CONFIG_VALUE_{at}")));
            assert_eq!(found.as_ref(), Some(setting));
        }
        assert_eq!(value("HOME"), None);
    }

    #[test]
    fn exactly_one_path_and_no_option() {
        let words = |line: &str| -> Vec<Vec<u8>> {
            line.split(' ').filter(|w| !w.is_empty()).map(|w| w.as_bytes().to_vec()).collect()
        };
        assert_eq!(repository(&words("/a.git")).unwrap(), b"/a.git");
        for wrong in ["", "a b", "--strict a", "--upload-pack=x", "-x", "--"] {
            assert!(repository(&words(wrong)).is_err(), "{wrong}");
        }
        assert!(repository(&[Vec::new()]).is_err());
    }
}
