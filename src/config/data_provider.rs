//! `data_provider`: where accounts are stored, and the rules for them.

use super::setting::{integer_choice, section, word_choice};

/// What `name` is by default: a file name of a database, so no dump.
const DEFAULT_NAME: &str = "sftpgo.db";

section! {
    /// Where accounts are stored, and the rules for them.
    pub struct DataProviderConfig {
        /// Kind of the store.
        pub driver: Driver = Driver::Sqlite;

        /// Name of the store: for "sqlite" the database file, for "memory" a dump that is loaded
        /// at each start, and on SIGHUP in place of everything; the default means none.
        pub name: String = DEFAULT_NAME.to_owned();

        /// Prefix for the names of the tables: letters, digits and underscores.
        pub sql_tables_prefix: String = String::new(), check check_tables_prefix;

        /// Whose used size and files are counted: 0 nobody's, 1 everybody's, 2 that of accounts
        /// with a quota and of virtual folders.
        pub track_quota: TrackQuota = TrackQuota::WithLimits;

        /// Seconds during which changes of the used quota are collected before they are stored.
        /// 0 stores them as soon as possible.
        pub delayed_quota_update: u32 = 0;

        /// Most open connections to the database. 0 leaves the choice to the server.
        pub pool_size: u32 = 0;

        /// Where home directories go: an account without one gets this path followed by its name.
        /// Must be absolute to have an effect.
        pub users_base_dir: String = String::new();

        /// Whether accounts can be changed: 1, or 0 when the store must be treated as read-only.
        pub manage_users: u8 = 1, range 0..=1;

        /// How new passwords are stored.
        pub password_hashing: PasswordHashing = PasswordHashing::default();

        /// What a new password must fulfil.
        pub password_validation: PasswordValidation = PasswordValidation::default();

        /// Remember verified passwords in memory, so that frequent logins need no slow hash.
        pub password_caching: bool = true;

        /// When the database schema is created or upgraded: 0 at every start, 1 only by the
        /// command `initprovider`.
        pub update_mode: UpdateMode = UpdateMode::Automatic;

        /// Create an administrator when there is none, from the environment variables
        /// `SFTPGO_DEFAULT_ADMIN_USERNAME` and `SFTPGO_DEFAULT_ADMIN_PASSWORD`. Without these it is
        /// `admin` with the password `password`, to be changed at once.
        pub create_default_admin: bool = false;

        /// Which names are valid, as a sum: 1 allows any UTF-8 (otherwise letters, digits and
        /// `-._~` only), 2 converts to lower case, 4 trims spaces. Control characters, `/` and `\`
        /// are never allowed.
        pub naming_rules: u8 = 5, range 0..=7;

        /// The only directory where backups can be written.
        pub backups_path: String = "backups".to_owned();
    }
}

section! {
    /// How new passwords are stored. Passwords stored otherwise stay valid.
    pub struct PasswordHashing {
        /// Algorithm for new passwords.
        pub algo: PasswordAlgorithm = PasswordAlgorithm::Bcrypt;

        /// Cost of bcrypt.
        pub bcrypt_options: BcryptOptions = BcryptOptions::default();

        /// Cost of argon2id.
        pub argon2_options: Argon2Options = Argon2Options::default();
    }
}

section! {
    /// Cost of bcrypt.
    pub struct BcryptOptions {
        /// Each step doubles the time of a login.
        pub cost: u32 = 10, range 4..=31;
    }
}

section! {
    /// Cost of argon2id.
    pub struct Argon2Options {
        /// Memory in KiB.
        pub memory: u32 = 65536, range 8..=4_194_304;

        /// Passes over the memory.
        pub iterations: u32 = 1, range 1..=1000;

        /// Lanes computed in parallel.
        pub parallelism: u32 = 2, range 1..=255;
    }
}

section! {
    /// What a new password must fulfil.
    pub struct PasswordValidation {
        /// Rules for administrators.
        pub admins: PasswordRules = PasswordRules::default();

        /// Rules for users.
        pub users: PasswordRules = PasswordRules::default();
    }
}

section! {
    /// What a new password of one kind of account must fulfil.
    pub struct PasswordRules {
        /// Least entropy in bits. 0 accepts every password; 50 to 70 is reasonable.
        pub min_entropy: f64 = 0.0, range 0.0..=1000.0;
    }
}

word_choice! {
    /// Kind of the store.
    pub enum Driver {
        /// A SQLite file.
        Sqlite = "sqlite",
        /// Nothing is kept; accounts may come from a dump at each start.
        Memory = "memory",
    }
}

word_choice! {
    /// Algorithm for new passwords.
    pub enum PasswordAlgorithm {
        /// bcrypt.
        Bcrypt = "bcrypt",
        /// argon2id.
        Argon2id = "argon2id",
    }
}

integer_choice! {
    /// Whose used quota is counted.
    pub enum TrackQuota {
        /// Nobody's.
        Off = 0,
        /// Everybody's.
        Always = 1,
        /// That of accounts with a quota and of virtual folders.
        WithLimits = 2,
    }
}

integer_choice! {
    /// When the schema is created or upgraded.
    pub enum UpdateMode {
        /// At every start.
        Automatic = 0,
        /// Only by the command `initprovider`.
        Manual = 1,
    }
}

impl DataProviderConfig {
    /// The dump that accounts in memory come from; relative to the configuration directory.
    pub fn memory_dump(&self) -> Option<&str> {
        let names_a_dump = !self.name.is_empty() && self.name != DEFAULT_NAME;
        (self.driver == Driver::Memory && names_a_dump).then_some(&*self.name)
    }
}

fn check_tables_prefix(prefix: &str) -> Result<(), String> {
    let is_plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let starts_well = !prefix.starts_with(|first: char| first.is_ascii_digit());
    if is_plain && starts_well && prefix.len() <= 32 {
        Ok(())
    } else {
        Err("must be at most 32 letters, digits and underscores, no digit first".to_owned())
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "host": "",
    "port": 0,
    "username": "",
    "password": "",
    "password_file": "",
    "sslmode": 0,
    "root_cert": "",
    "client_cert": "",
    "client_key": "",
    "disable_sni": false,
    "target_session_attrs": "",
    "connection_string": "",
    "actions": {"execute_on": [], "execute_for": [], "hook": ""},
    "external_auth_hook": "",
    "external_auth_scope": 0,
    "pre_login_hook": "",
    "post_login_hook": "",
    "post_login_scope": 0,
    "check_password_hook": "",
    "check_password_scope": 0,
    "is_shared": 0,
    "node": {"host": "", "port": 0, "proto": "http"}
}"#;
