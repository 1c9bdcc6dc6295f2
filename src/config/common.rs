//! `common`: settings shared by all protocols.

use serde_json::Value;

use super::rate_limiter::{self, RateLimiterConfig};
use super::setting::{Report, Setting, integer_choice, section, word_choice};
use super::tree::{Content, Node};
use crate::model::{Clock, network};

section! {
    /// Settings shared by all protocols.
    pub struct CommonConfig {
        /// Minutes after which a client that sends no request and moves no data is disconnected.
        /// 0 disables the check. A running transfer counts as activity.
        pub idle_timeout: u32 = 15;

        /// How an uploaded file gets its name: 0 writes to the requested path at once; 1 writes to
        /// a temporary file that is renamed when the client closes it without an error; 2 does the
        /// same, and keeps what arrived when the upload fails, so that the client can resume.
        pub upload_mode: UploadMode = UploadMode::Standard;

        /// What happens to requests that change permissions, owner or times: 0 executes them,
        /// 1 reports success without doing anything, 2 does so only where the storage cannot
        /// execute them. Changing the size is always executed.
        pub setstat_mode: SetstatMode = SetstatMode::Execute;

        /// Where clients may create symbolic links, as a sum: 1 on local storage, 2 on remote SFTP
        /// storage. 0 refuses all of them and is the hardened choice. The account also needs the
        /// permission `create_symlinks`.
        pub symlink_mode: u8 = 3, range 0..=3;

        /// Directory for the temporary files of atomic uploads. It must exist, and should lie on the
        /// same file system as the home directories: else files are copied when they are complete.
        /// Empty: beside the uploaded file.
        pub temp_path: String = String::new();

        /// Whether load balancers tell who the client is (PROXY protocol, version 1 or 2), on
        /// bindings with `apply_proxy_config`: 0 no; 1 if the connection begins with such a
        /// header, and one of a sender that is not allowed is dropped; 2 always, and connections
        /// without one, or with one of a sender that is not allowed, are closed.
        pub proxy_protocol: ProxyMode = ProxyMode::Off;

        /// IP addresses and networks whose headers are believed. Empty for all of them: then
        /// every client can claim to be anybody, unless a firewall lets only the load balancer in.
        pub proxy_allowed: Vec<String> = Vec::new(), check check_networks;

        /// IP addresses and networks that never send a header.
        pub proxy_skipped: Vec<String> = Vec::new(), check check_networks;

        /// Most client connections at a time, over all protocols. 0 sets no limit.
        pub max_total_connections: u32 = 0;

        /// Most client connections at a time from one IP address. 0 sets no limit.
        pub max_per_host_connections: u32 = 20;

        /// How often clients may connect or ask. Every element is one limiter; all that are for a
        /// protocol apply to it. Those per address are asked before those for everybody.
        pub rate_limiters: Vec<RateLimiterConfig> = Vec::new(), check rate_limiter::check_all;

        /// What keeps attackers out.
        pub defender: DefenderConfig = DefenderConfig::default();

        /// File mode creation mask of the process, as an octal string such as "0022". Empty keeps
        /// the inherited one. Unix only.
        pub umask: Umask = Umask(None);

        /// The clock of `filters.access_time` of accounts: "local" for the server's time zone,
        /// empty or "utc" for UTC.
        pub tz: TimeZone = TimeZone::Unset;

        /// What servers tell about themselves: empty for name and version, "short" for the name
        /// only.
        pub server_version: ServerVersion = ServerVersion::Full;
    }
}

section! {
    /// What keeps attackers out.
    pub struct DefenderConfig {
        /// How long whoever logs in waits, also without a defender.
        pub login_delay: LoginDelayConfig = LoginDelayConfig::default();
    }
}

section! {
    /// How long whoever logs in waits, also without a defender.
    pub struct LoginDelayConfig {
        /// Milliseconds from a login until it succeeds, at the least, however it was made.
        pub success: u32 = 0, range 0..=60_000;

        /// Milliseconds from a password or a one-time password that is wrong until the client is
        /// told so, at the least. It is the same time whether the account exists or not. 0 answers
        /// as soon as the password is checked.
        pub password_failed: u32 = 1000, range 0..=60_000;
    }
}

integer_choice! {
    /// When an uploaded file appears under its name.
    pub enum UploadMode {
        /// At once.
        Standard = 0,
        /// When it is complete; a failed upload leaves nothing.
        Atomic = 1,
        /// When it is complete; a failed upload leaves what arrived.
        AtomicWithResume = 2,
    }
}

integer_choice! {
    /// What requests for new permissions, owners and times do.
    pub enum SetstatMode {
        /// They are executed.
        Execute = 0,
        /// They succeed without effect.
        Ignore = 1,
        /// They succeed without effect where the storage cannot execute them.
        IgnoreUnsupported = 2,
    }
}

integer_choice! {
    /// Whether connections begin with a header of the PROXY protocol.
    pub enum ProxyMode {
        /// They do not.
        Off = 0,
        /// They may.
        Optional = 1,
        /// They must.
        Required = 2,
    }
}

/// Whether every text is an IP address or a network.
pub(super) fn check_networks(list: &[String]) -> Result<(), String> {
    match list.iter().find(|text| network::parse(text).is_err()) {
        None => Ok(()),
        Some(text) => Err(format!("{text:?} is neither an IP address nor a network")),
    }
}

word_choice! {
    /// How much a server tells about itself.
    pub enum ServerVersion {
        /// Name and version.
        Full = "",
        /// The name only.
        Short = "short",
    }
}

word_choice! {
    /// The clock that days and hours are read from.
    pub enum TimeZone {
        /// UTC.
        Unset = "",
        /// UTC.
        Utc = "utc",
        /// The server's time zone.
        Local = "local",
    }
}

impl TimeZone {
    /// The clock that it stands for.
    pub fn clock(self) -> Clock {
        match self {
            Self::Unset | Self::Utc => Clock::Utc,
            Self::Local => Clock::Local,
        }
    }
}

/// Mask for the modes of new files and directories; `None` keeps the inherited one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub Option<u32>);

impl Setting for Umask {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        // A number is ambiguous: YAML reads 0022 as 18 or 22, depending on its version.
        if let Content::Text(text) = &node.content {
            if text.is_empty() {
                return Some(Self(None));
            }
            match u32::from_str_radix(text, 8) {
                Ok(mask) if mask <= 0o777 => return Some(Self(Some(mask))),
                _ => {}
            }
        }
        report.reject(node, at, "expected an octal string from \"000\" to \"777\"");
        None
    }

    fn to_json(&self) -> Value {
        Value::String(self.0.map(|mask| format!("{mask:04o}")).unwrap_or_default())
    }

    fn kind() -> String {
        "octal string".to_owned()
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "actions": {"execute_on": [], "execute_sync": [], "hook": ""},
    "rename_mode": 0,
    "resume_max_size": 0,
    "secret_min_entropy": 80,
    "startup_hook": "",
    "post_connect_hook": "",
    "post_disconnect_hook": "",
    "data_retention_hook": "",
    "whitelist_file": "",
    "allowlist_status": 0,
    "allow_self_connections": 0,
    "metadata": {"read": 0},
    "event_manager": {"enabled_commands": []},
    "defender": {
        "enabled": false,
        "driver": "memory",
        "ban_time": 30,
        "ban_time_increment": 50,
        "threshold": 15,
        "score_invalid": 2,
        "score_valid": 1,
        "score_limit_exceeded": 3,
        "score_no_auth": 0,
        "observation_time": 30,
        "entries_soft_limit": 100,
        "entries_hard_limit": 150,
        "safelist_file": "",
        "blocklist_file": "",
        "safelist": [],
        "blocklist": []
    }
}"#;
