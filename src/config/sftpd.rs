//! `sftpd`: the SSH server with SFTP.

use super::setting::section;

section! {
    /// The SSH server with SFTP.
    pub struct SftpdConfig {
        /// Where to listen. Every element is one listener.
        pub bindings: Vec<SftpdBinding> = vec![SftpdBinding::default()];

        /// Most authentication attempts per connection. 0 means 6, a negative number sets no limit.
        pub max_auth_tries: i32 = 0;

        /// Identification string sent after `SSH-2.0-`, kept for older configurations: prefer
        /// `common.server_version`. Empty for the usual one.
        pub banner: String = String::new(), check check_banner;

        /// Files with the private host keys. Empty: `id_ed25519` and `id_rsa` in the configuration
        /// directory, and `id_ecdsa` if it is there. A missing `id_ed25519` or `id_rsa` is
        /// generated, and so is an `id_ecdsa` that this list names.
        pub host_keys: Vec<String> = Vec::new();

        /// Files with host certificates, made with `ssh-keygen -s CA -h`. Each is presented
        /// instead of the host key it was made for; those of other keys are ignored.
        pub host_certificates: Vec<String> = Vec::new();

        /// Host key algorithms to offer. Empty for the secure defaults.
        pub host_key_algorithms: Vec<String> = Vec::new();

        /// Key exchange algorithms in the order of preference. Empty for the secure defaults.
        pub kex_algorithms: Vec<String> = Vec::new();

        /// Ciphers in the order of preference. Empty for the secure defaults.
        pub ciphers: Vec<String> = Vec::new();

        /// Message authentication codes in the order of preference. Empty for the secure defaults.
        pub macs: Vec<String> = Vec::new();

        /// Algorithms accepted for the public keys of accounts. Empty for the secure defaults.
        pub public_key_algorithms: Vec<String> = Vec::new();

        /// Files with the public keys of authorities whose user certificates open the accounts
        /// that they name as principals.
        pub trusted_user_ca_keys: Vec<String> = Vec::new();

        /// File with the revoked user certificates: a JSON list of the fingerprints (`SHA256:…`)
        /// of their public keys, or of authorities. Read again on SIGHUP. Empty for none.
        pub revoked_user_certs_file: String = String::new();

        /// Allow only algorithms that FIPS 140-3 approves: key exchange over the NIST curves and
        /// the large prime groups, AES, HMAC-SHA-2, and RSA, ECDSA and Ed25519 keys. This is about
        /// algorithms alone; the cryptographic library is not a validated module.
        pub fips_mode: bool = false;

        /// File whose content is shown to clients before they authenticate. Empty for none.
        pub login_banner_file: String = String::new();

        /// Directory in which SFTP clients find the root of their account, such as `/files`; all
        /// SSH commands, `scp` among them, are off then. Empty for none.
        pub folder_prefix: String = String::new();

        /// SSH commands that accounts may run: `md5sum`, `sha1sum`, `sha256sum`, `sha384sum`,
        /// `sha512sum`, `cd`, `pwd`, `scp`, `sftpgo-copy`, `sftpgo-remove`, and the programs
        /// `rsync`, `git-receive-pack`, `git-upload-pack` and `git-upload-archive`, which must
        /// be installed. `*` enables all of them. `scp` is its old protocol; clients that use
        /// SFTP need none of these.
        pub enabled_ssh_commands: Vec<String> =
            ["md5sum", "sha1sum", "sha256sum", "cd", "pwd", "scp"].map(String::from).to_vec(),
            check check_ssh_commands;

        /// Offer keyboard-interactive authentication, which asks for the password and then, of
        /// accounts that have one for SSH, for a one-time password.
        pub keyboard_interactive_authentication: bool = true;

        /// Program (an absolute path) or HTTP address that leads the dialogue of
        /// keyboard-interactive authentication instead. Empty for none.
        pub keyboard_interactive_auth_hook: String = String::new(), check check_hook;

        /// Offer password authentication. False also disables public key followed by password.
        pub password_authentication: bool = true;
    }
}

section! {
    /// One listener of the SSH server.
    pub struct SftpdBinding {
        /// TCP port. 0 disables the binding.
        pub port: u16 = 2022;

        /// IP address to listen on. Empty for all of them.
        pub address: String = String::new();

        /// Apply the PROXY protocol settings of `common`.
        pub apply_proxy_config: bool = true;
    }
}

fn check_hook(hook: &str) -> Result<(), String> {
    let is_known = hook.is_empty()
        || hook.starts_with('/')
        || hook.starts_with("http://")
        || hook.starts_with("https://");
    is_known.then_some(()).ok_or_else(|| "must be an absolute path or an HTTP address".to_owned())
}

/// The names that `enabled_ssh_commands` knows, besides `*`.
pub const SSH_COMMANDS: [&str; 14] = [
    "md5sum",
    "sha1sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "cd",
    "pwd",
    "scp",
    "sftpgo-copy",
    "sftpgo-remove",
    "rsync",
    "git-receive-pack",
    "git-upload-pack",
    "git-upload-archive",
];

/// Whether all names are known; a list with a misspelt one would enable less than it says.
pub fn check_ssh_commands(names: &[String]) -> Result<(), String> {
    match names.iter().find(|name| *name != "*" && !SSH_COMMANDS.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let known = SSH_COMMANDS.join(", ");
            Err(format!("unknown SSH command {unknown:?}; known are * and {known}"))
        }
    }
}

/// RFC 4253, section 4.2: printable US-ASCII, 255 bytes with `SSH-2.0-` and CR LF.
fn check_banner(banner: &str) -> Result<(), String> {
    if banner.len() > 245 {
        return Err("must not be longer than 245 bytes".to_owned());
    }
    if !banner.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("must be printable US-ASCII".to_owned());
    }
    Ok(())
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "opkssh_path": "",
    "opkssh_checksum": ""
}"#;
