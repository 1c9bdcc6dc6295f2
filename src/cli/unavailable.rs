//! Flags of `portable` whose features this version lacks: known, hidden, and
//! refused by name, instead of an "unexpected argument" that suggests a typo.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

const FLAGS: [&str; 45] = [
    "s3-bucket",
    "s3-region",
    "s3-access-key",
    "s3-access-secret",
    "s3-endpoint",
    "s3-storage-class",
    "s3-key-prefix",
    "s3-acl",
    "s3-force-path-style",
    "s3-upload-part-size",
    "s3-upload-concurrency",
    "s3-role-arn",
    "s3-skip-tls-verify",
    "gcs-bucket",
    "gcs-credentials-file",
    "gcs-automatic-credentials",
    "gcs-storage-class",
    "gcs-key-prefix",
    "az-container",
    "az-account-name",
    "az-account-key",
    "az-sas-url",
    "az-endpoint",
    "az-access-tier",
    "az-key-prefix",
    "az-use-emulator",
    "az-upload-part-size",
    "az-upload-concurrency",
    "az-download-part-size",
    "az-download-concurrency",
    "crypto-passphrase",
    "sftp-endpoint",
    "sftp-username",
    "sftp-password",
    "sftp-key-path",
    "sftp-fingerprints",
    "sftp-prefix",
    "sftp-buffer-size",
    "sftp-disable-concurrent-reads",
    "ftpd-cert",
    "ftpd-key",
    "webdav-cert",
    "webdav-key",
    "httpd-cert",
    "httpd-key",
];

/// Those of them that were given.
#[derive(Debug, Clone, Default)]
pub struct UnavailableFlags(Vec<&'static str>);

impl UnavailableFlags {
    pub fn first(&self) -> Option<&'static str> {
        self.0.first().copied()
    }

    fn of(matches: &ArgMatches) -> Self {
        let is_given = |name: &&str| {
            matches.value_source(name).is_some_and(|source| source != ValueSource::DefaultValue)
        };
        Self(FLAGS.into_iter().filter(is_given).collect())
    }
}

impl clap::Args for UnavailableFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.into_iter().fold(command, |command, name| {
            command.arg(
                Arg::new(name)
                    .long(name)
                    .hide(true)
                    .num_args(0..=1)
                    .action(ArgAction::Append)
                    .allow_hyphen_values(true),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for UnavailableFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::of(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::of(matches);
        Ok(())
    }
}
