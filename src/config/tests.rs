//! Loading as a whole: files of every format, the environment, older names.

use std::path::Path;

use super::*;
use crate::error::Result;
use crate::model::LoginProtocol;

/// A configuration directory with some files, and an environment.
struct Scene {
    dir: tempfile::TempDir,
    environment: Environment,
    config_file: Option<String>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        Self { dir, environment: Environment::new(), config_file: None }
    }

    fn with_file(name: &str, text: &str) -> Self {
        Self::new().file(name, text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("file");
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn config_file(mut self, name: &str) -> Self {
        self.config_file = Some(name.to_owned());
        self
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn try_load(&self) -> Result<Loaded> {
        load(Sources {
            config_dir: self.path().to_owned(),
            config_file: self.config_file.clone(),
            other_dirs: vec![self.path().join("home"), self.path().join("system")],
            environment: self.environment.clone(),
        })
    }

    fn load(&self) -> Loaded {
        self.try_load().expect("configuration")
    }

    fn error(&self) -> String {
        self.try_load().expect_err("an error").to_string()
    }
}

/// The same settings in every format.
const SAME_SETTINGS: [(&str, &str); 7] = [
    (
        "sftpgo.json",
        r#"{"common": {"idle_timeout": 7, "umask": "0027"},
            "sftpd": {"bindings": [{"port": 22}, {"port": 2222, "address": "::1"}],
                      "ciphers": ["a", "b"], "password_authentication": false}}"#,
    ),
    (
        "sftpgo.toml",
        "[common]\nidle_timeout = 7\numask = \"0027\"\n[sftpd]\nciphers = [\"a\", \"b\"]\n\
         password_authentication = false\n[[sftpd.bindings]]\nport = 22\n\
         [[sftpd.bindings]]\nport = 2222\naddress = \"::1\"\n",
    ),
    (
        "sftpgo.yaml",
        "common:\n  idle_timeout: 7\n  umask: \"0027\"\nsftpd:\n  bindings:\n    - port: 22\n\
        \x20   - port: 2222\n      address: \"::1\"\n  ciphers: [a, b]\n\
        \x20 password_authentication: false\n",
    ),
    (
        "sftpgo.yml",
        "{common: {idle_timeout: 7, umask: '0027'}, sftpd: {bindings: [{port: 22}, \
         {port: 2222, address: '::1'}], ciphers: [a, b], password_authentication: false}}\n",
    ),
    (
        "sftpgo.hcl",
        "common {\n  idle_timeout = 7\n  umask = \"0027\"\n}\nsftpd {\n  bindings {\n    port = 22\n\
         }\n  bindings {\n    port = 2222\n    address = \"::1\"\n  }\n\
         ciphers = [\"a\", \"b\"]\n  password_authentication = false\n}\n",
    ),
    (
        "sftpgo.env",
        "SFTPGO_COMMON__IDLE_TIMEOUT=7\nexport common.umask='0027'\n\
         SFTPGO_SFTPD__BINDINGS__0__PORT=22\nSFTPGO_SFTPD__BINDINGS__1__PORT=2222\n\
         SFTPGO_SFTPD__BINDINGS__1__ADDRESS=\"::1\" # IPv6\nSFTPGO_SFTPD__CIPHERS=a,b\n\
         SFTPGO_SFTPD__PASSWORD_AUTHENTICATION=0\n",
    ),
    (
        "sftpgo.properties",
        "common.idle_timeout=7\ncommon.umask = 0027\nsftpd.bindings.0.port:22\n\
         sftpd.bindings.1.port=2222\nsftpd.bindings.1.address=::1\nsftpd.ciphers=a, b\n\
         sftpd.password_authentication=false\n",
    ),
];

#[test]
fn every_format_says_the_same() {
    for (name, text) in SAME_SETTINGS {
        let scene = Scene::with_file(name, text);
        let loaded = scene.load();
        assert_eq!(loaded.file.as_deref(), Some(scene.path().join(name).as_path()));
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        let Config { common, sftpd, .. } = &loaded.config;
        assert_eq!(common.idle_timeout, 7, "{name}");
        assert_eq!(common.umask, Umask(Some(0o027)), "{name}");
        assert_eq!(sftpd.ciphers, ["a", "b"], "{name}");
        assert!(!sftpd.password_authentication, "{name}");
        let second = SftpdBinding { port: 2222, address: "::1".into(), apply_proxy_config: true };
        assert_eq!(sftpd.bindings, [SftpdBinding { port: 22, ..Default::default() }, second]);
        // What nobody wrote keeps its default.
        assert_eq!(common.max_per_host_connections, 20, "{name}");
    }
}

#[test]
fn a_single_hcl_block_is_a_list_of_one() {
    let scene = Scene::with_file("sftpgo.hcl", "sftpd {\n  bindings {\n    port = 22\n  }\n}\n");
    assert_eq!(scene.load().config.sftpd.bindings.len(), 1);
    assert_eq!(scene.load().config.sftpd.bindings[0].port, 22);
}

#[test]
fn without_a_file_the_built_in_defaults_and_the_environment_count() {
    let loaded = Scene::new().env("SFTPGO_SFTPD__MAX_AUTH_TRIES", "-1").load();
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.config.sftpd.max_auth_tries, -1);
    let mut expected = Config::default();
    expected.sftpd.max_auth_tries = -1;
    assert_eq!(loaded.config, expected);
    assert_eq!(loaded.config.httpd.bindings[0].address, "127.0.0.1");
}

#[test]
fn a_file_that_lists_http_bindings_decides_their_addresses() {
    let text = "[[httpd.bindings]]\nport = 8081\n";
    let loaded = Scene::with_file("sftpgo.toml", text).load();
    assert_eq!(loaded.config.httpd.bindings[0].address, "");
    // A file about something else leaves the default binding alone.
    let loaded = Scene::with_file("sftpgo.toml", "[httpd]\njwt_lifetime = 5\n").load();
    assert_eq!(loaded.config.httpd.bindings[0].address, "127.0.0.1");
}

#[test]
fn the_first_directory_and_the_first_format_win() {
    let scene = Scene::new()
        .file("system/sftpgo.json", r#"{"common": {"idle_timeout": 1}}"#)
        .file("home/sftpgo.yaml", "common: {idle_timeout: 2}");
    assert_eq!(scene.load().config.common.idle_timeout, 2);
    let scene = scene
        .file("sftpgo.yaml", "common: {idle_timeout: 3}")
        .file("sftpgo.json", r#"{"common": {"idle_timeout": 4}}"#);
    assert_eq!(scene.load().config.common.idle_timeout, 4);
}

#[test]
fn a_given_file_is_a_path_or_a_base_name() {
    let mut scene = Scene::new()
        .file("sftpgo.json", r#"{"common": {"idle_timeout": 1}}"#)
        .file("sub/other.toml", "[common]\nidle_timeout = 2\n")
        .file("base.yaml", "common: {idle_timeout: 3}");
    let absolute = scene.path().join("sub/other.toml").display().to_string();
    for (given, expected) in [("sub/other.toml", 2), (absolute.as_str(), 2), ("base", 3)] {
        scene = scene.config_file(given);
        assert_eq!(scene.load().config.common.idle_timeout, expected, "{given}");
    }
}

#[test]
fn a_given_file_that_does_not_exist_is_an_error() {
    for name in ["missing.json", "missing"] {
        let error = Scene::new().config_file(name).error();
        assert!(error.contains("missing"), "{error}");
        assert!(error.contains("does not exist"), "{error}");
    }
}

#[test]
fn an_unparsable_file_is_named_with_the_line_but_without_its_text() {
    for (name, text) in [
        ("sftpgo.json", "{\n\"common\": {\"idle_timeout\": 1,,\n \"x\": \"secret\"}}"),
        ("sftpgo.toml", "[common]\nidle_timeout == \"secret\"\n"),
        ("sftpgo.yaml", "common:\n  - a\n  b: secret: c\n"),
        ("sftpgo.hcl", "common {\n  idle_timeout = = \"secret\"\n}\n"),
        ("sftpgo.env", "A=1\nsecret\n"),
        ("sftpgo.properties", "a=1\nb=\\uZZZZsecret\n"),
    ] {
        let error = Scene::with_file(name, text).error();
        assert!(error.contains(name), "{name}: {error}");
        assert!(error.contains("line"), "{name}: {error}");
        assert!(!error.contains("secret"), "{name}: {error}");
    }
}

#[test]
fn a_file_that_is_no_table_or_not_utf8_is_an_error() {
    assert!(Scene::with_file("sftpgo.json", "[1]").error().contains("expected a table"));
    let scene = Scene::new();
    std::fs::write(scene.path().join("sftpgo.json"), b"{\"a\": \"\xff\"}").expect("file");
    assert!(scene.error().contains("not UTF-8"));
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    for name in ["sftpgo.toml", "sftpgo.yaml", "sftpgo.hcl", "sftpgo.env", "sftpgo.properties"] {
        assert_eq!(Scene::with_file(name, "# nothing\n").load().config, Config::default());
    }
}

#[test]
fn wrong_values_are_named_with_key_value_and_origin() {
    let cases = [
        ("[common]\nidle_timeout = \"many\"", "`common.idle_timeout` = \"many\"", "an integer"),
        ("[common]\nidle_timeout = -1", "`common.idle_timeout` = -1", "between 0 and"),
        ("[common]\nidle_timeout = 1.5", "`common.idle_timeout` = 1.5", "an integer"),
        ("[common]\nupload_mode = 9", "`common.upload_mode` = 9", "one of 0, 1, 2"),
        ("[common]\numask = 18", "`common.umask` = 18", "octal string"),
        ("[common]\numask = \"0888\"", "`common.umask` = \"0888\"", "octal string"),
        ("[common]\nsymlink_mode = 4", "`common.symlink_mode` = 4", "between 0 and 3"),
        ("[common]\nserver_version = \"x\"", "`common.server_version` = \"x\"", "\"short\""),
        (
            "[common.defender.login_delay]\nsuccess = 60001",
            "`common.defender.login_delay.success` = 60001",
            "between 0 and 60000",
        ),
        ("common = 3", "`common` = 3", "a table"),
        ("[sftpd]\nbindings = 3", "`sftpd.bindings` = 3", "a list of tables"),
        ("[[sftpd.bindings]]\nport = 70000", "`sftpd.bindings[0].port` = 70000", "65535"),
        ("[[sftpd.bindings]]\nport = \"22\"", "`sftpd.bindings[0].port` = \"22\"", "an integer"),
        ("[sftpd]\nciphers = \"a,b\"", "`sftpd.ciphers` = \"a,b\"", "a list of strings"),
        ("[sftpd]\nciphers = [1]", "`sftpd.ciphers[0]` = 1", "a string"),
        ("[sftpd]\npassword_authentication = 1", "= 1", "true or false"),
        ("[data_provider]\ndriver = \"oracle\"", "`data_provider.driver`", "\"sqlite\""),
        (
            "[data_provider.password_hashing.bcrypt_options]\ncost = 3",
            "`data_provider.password_hashing.bcrypt_options.cost` = 3",
            "between 4 and 31",
        ),
        ("[sftpd]\nbanner = \"a\\nb\"", "`sftpd.banner`", "printable"),
    ];
    for (text, named, problem) in cases {
        let error = Scene::with_file("sftpgo.toml", text).error();
        assert!(error.contains(named), "{text}: {error}");
        assert!(error.contains(problem), "{text}: {error}");
        assert!(error.contains("sftpgo.toml"), "{text}: {error}");
    }
}

#[test]
fn every_wrong_value_is_reported_not_only_the_first() {
    let text = "[common]\nidle_timeout = \"a\"\nupload_mode = 9\n[httpd]\njwt_lifetime = 0\n";
    let error = Scene::with_file("sftpgo.toml", text).error();
    for key in ["idle_timeout", "upload_mode", "jwt_lifetime"] {
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn the_environment_beats_the_file_and_is_named_when_it_is_wrong() {
    let scene = Scene::with_file("sftpgo.toml", "[common]\nidle_timeout = 7\n");
    let scene = scene.env("SFTPGO_COMMON__IDLE_TIMEOUT", "9");
    assert_eq!(scene.load().config.common.idle_timeout, 9);
    let error = scene.env("SFTPGO_COMMON__IDLE_TIMEOUT", "soon").error();
    assert!(error.contains("SFTPGO_COMMON__IDLE_TIMEOUT"), "{error}");
    assert!(error.contains("`common.idle_timeout` = \"soon\""), "{error}");
    assert!(!error.contains("sftpgo.toml"), "{error}");
}

#[test]
fn an_index_in_the_environment_extends_a_list_or_patches_one_field() {
    let scene =
        Scene::with_file("sftpgo.toml", "[[sftpd.bindings]]\nport = 22\naddress = \"::1\"\n")
            .env("SFTPGO_SFTPD__BINDINGS__0__PORT", "23")
            .env("SFTPGO_SFTPD__BINDINGS__1__PORT", "24")
            // No holes: this is simply the next one.
            .env("SFTPGO_SFTPD__BINDINGS__4000000000__PORT", "25");
    let bindings = scene.load().config.sftpd.bindings;
    assert_eq!(bindings.iter().map(|binding| binding.port).collect::<Vec<_>>(), [23, 24, 25]);
    assert_eq!(bindings[0].address, "::1");
    // Without a file the default list is patched.
    let scene = Scene::new().env("SFTPGO_HTTPD__BINDINGS__0__PORT", "9");
    assert_eq!(scene.load().config.httpd.bindings[0].address, "127.0.0.1");
    assert_eq!(scene.load().config.httpd.bindings[0].port, 9);
}

#[test]
fn a_stray_key_is_a_warning_and_the_list_stays() {
    let file = "[sftpd.bindings]\nport = 22\naddress = \"::1\"\n\
                [[httpd.bindings]]\nport = 81\naddress = \"::1\"\n\
                [[common.rate_limiters]]\naverage = 3\n";
    let strays = [
        "SFTPGO_SFTPD__BINDINGS__X__ADDRESS",
        "SFTPGO_SFTPD__BINDINGS__-1__PORT",
        "SFTPGO_SFTPD__BINDINGS__1__ADRESS",
        "SFTPGO_SFTPD__KEYS__X__PRIVATE_KEY",
        "SFTPGO_SFTPD__HOST_KEYS__X",
        "SFTPGO_HTTPD__BINDINGS__PORT",
        "SFTPGO_HTTPD__BINDINGS__X",
        "SFTPGO_COMMON__RATE_LIMITERS__X__AVERAGE",
        "SFTPGO_SFTPD__0__PORT",
        "SFTPGO_FTPD__BINDINGS__X__PORT",
    ];
    for (name, text) in [("sftpgo.toml", file), ("sftpgo.yaml", "")] {
        let expected = Scene::with_file(name, text).load().config;
        for stray in strays {
            let loaded = Scene::with_file(name, text).env(stray, "5").load();
            assert_eq!(loaded.config, expected, "{stray}");
            assert_eq!(loaded.warnings.len(), 1, "{stray}: {:?}", loaded.warnings);
            let warning = &loaded.warnings[0];
            assert!(warning.contains(stray) && warning.contains("unknown key"), "{warning}");
        }
    }
    // The indexes beside it count, also under their older names.
    let loaded = Scene::new()
        .env("SFTPGO_SFTPD__BINDINGS__X__ADDRESS", "127.0.0.9")
        .env("SFTPGO_SFTPD__BINDINGS__0__PORT", "7")
        .env("SFTPGO_SFTPD__BIND_ADDRESS", "127.0.0.2")
        .load();
    let binding = &loaded.config.sftpd.bindings[0];
    assert_eq!((binding.port, binding.address.as_str()), (7, "127.0.0.2"));
    // And a setting that is not available still stops the start.
    let scene = Scene::new()
        .env("SFTPGO_FTPD__BINDINGS__X__PORT", "0")
        .env("SFTPGO_FTPD__BINDINGS__0__PORT", "2121");
    assert!(scene.error().contains("SFTPGO_FTPD__BINDINGS__0__PORT"), "{}", scene.error());
}

#[test]
fn an_index_patches_the_only_element_of_a_file() {
    for (name, text) in [
        ("sftpgo.toml", "[sftpd.bindings]\nport = 22\naddress = \"::1\"\n"),
        ("sftpgo.hcl", "sftpd {\n  bindings {\n    port = 22\n    address = \"::1\"\n  }\n}\n"),
        ("sftpgo.json", r#"{"sftpd": {"bindings": {"port": 22, "address": "::1"}}}"#),
    ] {
        let scene = Scene::with_file(name, text).env("SFTPGO_SFTPD__BINDINGS__0__PORT", "23");
        let loaded = scene.load();
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        let binding = SftpdBinding { port: 23, address: "::1".into(), apply_proxy_config: true };
        assert_eq!(loaded.config.sftpd.bindings, [binding], "{name}");
    }
    let scene = Scene::with_file("sftpgo.hcl", "ftpd {\n  bindings {\n    port = 0\n  }\n}\n");
    let scene = scene.env("SFTPGO_FTPD__BINDINGS__0__PORT", "2121");
    assert!(scene.error().contains("SFTPGO_FTPD__BINDINGS__0__PORT"), "{}", scene.error());
}

#[test]
fn text_values_become_booleans_and_lists() {
    for (text, expected) in [("1", true), ("TRUE", true), ("0", false), ("false", false)] {
        let scene = Scene::new().env("SFTPGO_SFTPD__PASSWORD_AUTHENTICATION", text);
        assert_eq!(scene.load().config.sftpd.password_authentication, expected);
    }
    assert!(Scene::new().env("SFTPGO_SFTPD__PASSWORD_AUTHENTICATION", "yes").try_load().is_err());
    let scene = Scene::new().env("SFTPGO_SFTPD__ENABLED_SSH_COMMANDS", " cd , pwd,");
    assert_eq!(scene.load().config.sftpd.enabled_ssh_commands, ["cd", "pwd"]);
    let scene = Scene::new().env("SFTPGO_SFTPD__ENABLED_SSH_COMMANDS", "");
    assert!(scene.load().config.sftpd.enabled_ssh_commands.is_empty());
}

#[test]
fn env_d_adds_variables_that_are_not_set() {
    let scene = Scene::new()
        .file("env.d/20-later.env", "SFTPGO_COMMON__IDLE_TIMEOUT=2\nOTHER='$HOME'\n")
        .file("env.d/10-first", "SFTPGO_COMMON__IDLE_TIMEOUT=1\nNAME=\"say \\\"$GREETING\\\"\"\n")
        .env("GREETING", "hello")
        .env("SFTPGO_SFTPD__MAX_AUTH_TRIES", "3")
        .file("env.d/30", "SFTPGO_SFTPD__MAX_AUTH_TRIES=9\n");
    let loaded = scene.load();
    assert_eq!(loaded.config.common.idle_timeout, 1);
    assert_eq!(loaded.config.sftpd.max_auth_tries, 3);
    assert_eq!(loaded.environment["OTHER"], "$HOME");
    assert_eq!(loaded.environment["NAME"], "say \"hello\"");
    let error = Scene::new().file("env.d/bad", "\n\nnonsense\n").error();
    assert!(error.contains("env.d/bad") && error.contains("line 3"), "{error}");
}

#[test]
fn an_unknown_key_is_a_warning_and_keys_have_no_case() {
    let text = "[Common]\nIDLE_Timeout = 3\nidle_time = 4\n[nonsense]\na = 1\n";
    let loaded = Scene::with_file("sftpgo.toml", text).env("SFTPGO_NONSENSE__A", "1").load();
    assert_eq!(loaded.config.common.idle_timeout, 3);
    let warnings = loaded.warnings.join("\n");
    assert_eq!(loaded.warnings.len(), 3, "{warnings}");
    for named in ["`Common.idle_time` (from ", "nonsense.a", "SFTPGO_NONSENSE__A"] {
        assert!(warnings.contains(named), "{warnings}");
    }
}

#[test]
fn an_older_name_counts_with_one_warning() {
    let text = r#"{
        "sftpd": {"bind_port": 22, "bind_address": "::1", "idle_timeout": 3, "upload_mode": 2,
                  "setstat_mode": 1, "umask": "0077", "keys": [{"private_key": "id_rsa"}],
                  "enabled_ssh_commands": ["cd"], "enable_scp": true,
                  "actions": {"execute_on": [], "command": "", "http_notification_url": ""}},
        "data_provider": {"skip_natural_keys_validation": true, "external_auth_program": ""},
        "httpd": {"bind_port": 8081, "backups_path": "saved"}
    }"#;
    let loaded = Scene::with_file("sftpgo.json", text).load();
    let Config { common, sftpd, data_provider, httpd, .. } = &loaded.config;
    assert_eq!((sftpd.bindings[0].port, sftpd.bindings[0].address.as_str()), (22, "::1"));
    assert_eq!(common.idle_timeout, 3);
    assert_eq!(common.upload_mode, UploadMode::AtomicWithResume);
    assert_eq!(common.setstat_mode, SetstatMode::Ignore);
    assert_eq!(common.umask, Umask(Some(0o077)));
    assert_eq!(sftpd.host_keys, ["id_rsa"]);
    assert_eq!(sftpd.enabled_ssh_commands, ["cd", "scp"]);
    assert_eq!(data_provider.naming_rules, 5);
    assert_eq!(data_provider.backups_path, "saved");
    assert_eq!((httpd.bindings[0].port, httpd.bindings[0].address.as_str()), (8081, "127.0.0.1"));
    for old in ["sftpd.bind_port", "sftpd.keys", "sftpd.enable_scp", "httpd.backups_path"] {
        let named = format!("`{old}`");
        let count = loaded.warnings.iter().filter(|warning| warning.contains(&named)).count();
        assert_eq!(count, 1, "{old}: {:?}", loaded.warnings);
    }
}

#[test]
fn the_newer_name_wins_within_a_source_and_the_environment_over_the_file() {
    let text = "[sftpd]\nbind_port = 1\nidle_timeout = 2\n[[sftpd.bindings]]\nport = 3\n\
                [common]\nidle_timeout = 4\n";
    let scene = Scene::with_file("sftpgo.toml", text);
    let loaded = scene.load();
    assert_eq!(loaded.config.sftpd.bindings[0].port, 3);
    assert_eq!(loaded.config.common.idle_timeout, 4);
    assert!(loaded.warnings.iter().any(|warning| warning.contains("ignored because")));
    // An older name in the environment still beats the file.
    let scene = scene.env("SFTPGO_SFTPD__BIND_PORT", "5").env("SFTPGO_SFTPD__IDLE_TIMEOUT", "6");
    let config = scene.load().config;
    assert_eq!(config.sftpd.bindings[0].port, 5);
    assert_eq!(config.common.idle_timeout, 6);
    let scene =
        scene.env("SFTPGO_SFTPD__BINDINGS__0__PORT", "7").env("SFTPGO_COMMON__IDLE_TIMEOUT", "8");
    let config = scene.load().config;
    assert_eq!((config.sftpd.bindings[0].port, config.common.idle_timeout), (7, 8));
}

#[test]
fn naming_rules_beat_the_older_switch() {
    let text = "[data_provider]\nskip_natural_keys_validation = true\nnaming_rules = 2\n";
    let loaded = Scene::with_file("sftpgo.toml", text).load();
    assert_eq!(loaded.config.data_provider.naming_rules, 2);
}

#[test]
fn an_older_name_appears_in_the_error_about_its_value() {
    let error = Scene::with_file("sftpgo.toml", "[sftpd]\nbind_port = \"x\"\n").error();
    assert!(error.contains("`sftpd.bind_port` = \"x\""), "{error}");
    let scene = Scene::new().env("SFTPGO_SFTPD__BIND_PORT", "x");
    assert!(scene.error().contains("SFTPGO_SFTPD__BIND_PORT"), "{}", scene.error());
}

#[test]
fn an_unavailable_setting_stops_the_start_unless_it_leaves_the_feature_off() {
    let cases = [
        ("[common]\nrename_mode = 1", "common.rename_mode"),
        ("[common.defender]\nenabled = true", "common.defender.enabled"),
        ("[common.actions]\nhook = \"/bin/x\"", "common.actions.hook"),
        ("[[ftpd.bindings]]\nport = 2121", "ftpd.bindings[0].port"),
        ("[[plugins]]\ntype = \"notifier\"", "plugins[0].type"),
        ("[[httpd.bindings]]\nhide_login_url = 1", "httpd.bindings[0].hide_login_url"),
        ("[kms.secrets]\nurl = \"local://x\"", "kms.secrets.url"),
        ("[sftpd]\nkeyboard_interactive_auth_program = \"p\"", "keyboard_interactive_auth_program"),
        ("[data_provider]\nhost = \"db\"", "data_provider.host"),
        ("ftpd = 3", "ftpd"),
        ("[[smtp]]\nhost = \"mail\"", "smtp"),
    ];
    for (text, named) in cases {
        let error = Scene::with_file("sftpgo.toml", text).error();
        assert!(error.contains(named) && error.contains("sftpgo.toml"), "{text}: {error}");
    }
    let scene = Scene::new().env("SFTPGO_WEBDAVD__BINDINGS__0__PORT", "80");
    assert!(scene.error().contains("SFTPGO_WEBDAVD__BINDINGS__0__PORT"), "{}", scene.error());
    let scene = Scene::new()
        .env("SFTPGO_FTPD__BINDINGS__0__PORT", "0")
        .env("SFTPGO_COMMON__RATE_LIMITERS__0__PROTOCOLS", "SSH,FTP,DAV,HTTP");
    assert!(scene.load().warnings.is_empty());
}

#[test]
fn a_rate_limiter_that_cannot_work_is_refused_by_its_key() {
    let cases = [
        ("period = 99", "rate_limiters[1].period"),
        ("average = 1\nburst = 0", "rate_limiters[1].burst"),
        ("average = -1", "rate_limiters[1].average"),
        ("type = 3", "rate_limiters[1].type"),
        ("protocols = [\"SSH\", \"SMTP\"]", "rate_limiters[1].protocols[1]"),
        ("protocols = [\"SSH\", \"ssh\"]", "SSH is given twice"),
        ("protocols = []", "rate_limiters[1].protocols"),
        ("allow_list = [\"10.0.0.0/33\"]", "rate_limiters[1].allow_list"),
        ("generate_defender_events = true", "rate_limiters[1].generate_defender_events"),
        ("entries_soft_limit = 150", "rate_limiters[1].entries_soft_limit"),
        ("entries_soft_limit = 0", "rate_limiters[1].entries_soft_limit"),
        ("entries_hard_limit = 100", "rate_limiters[1].entries_soft_limit"),
    ];
    for (text, named) in cases {
        let text =
            format!("[[common.rate_limiters]]\naverage = 1\n[[common.rate_limiters]]\n{text}\n");
        let error = Scene::with_file("sftpgo.toml", &text).error();
        assert!(error.contains(named) && error.contains("sftpgo.toml"), "{text}: {error}");
    }
    let scene = Scene::new()
        .env("SFTPGO_COMMON__RATE_LIMITERS__0__AVERAGE", "5")
        .env("SFTPGO_COMMON__RATE_LIMITERS__0__TYPE", "1")
        .env("SFTPGO_COMMON__RATE_LIMITERS__0__PROTOCOLS", "http, ssh");
    let limiter = scene.load().config.common.rate_limiters.remove(0);
    assert_eq!((limiter.average, limiter.r#type), (5, RateLimiterScope::Global));
    assert_eq!(limiter.protocols, [LoginProtocol::Http, LoginProtocol::Ssh]);
}

#[test]
fn every_known_key_at_its_default_is_accepted_in_silence() {
    let mut file = serde_json::Map::new();
    for (section, keys) in later::unavailable_keys().expect("tables") {
        for (key, value) in keys {
            // One element for every list of tables.
            let path = key.replace("[]", ".0");
            let pointer: Vec<&str> = path.split('.').collect();
            assert_eq!(pointer[0], section);
            let mut at = &mut file;
            for part in &pointer[..pointer.len() - 1] {
                at = at
                    .entry(part.to_string())
                    .or_insert_with(|| serde_json::Value::Object(Default::default()))
                    .as_object_mut()
                    .expect("a table");
            }
            at.insert(pointer[pointer.len() - 1].to_owned(), value);
        }
    }
    let text = serde_json::Value::Object(file).to_string();
    let loaded = Scene::with_file("sftpgo.json", &text).load();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn a_setting_without_effect_warns_when_it_is_set() {
    let text = "[httpd]\nopenapi_path = \"/usr/share/sftpgo/openapi\"\n[sftpd]\nmoduli = []\n\
                [data_provider.auto_backup]\nenabled = true\n";
    let loaded = Scene::with_file("sftpgo.toml", text).load();
    let warnings = loaded.warnings.join("\n");
    assert!(warnings.contains("httpd.openapi_path"), "{warnings}");
    assert!(warnings.contains("data_provider.auto_backup"), "{warnings}");
    assert_eq!(loaded.warnings.len(), 2, "{warnings}");
}

#[test]
fn no_secret_reaches_an_error_a_warning_or_debug() {
    let text = "[httpd]\nsigning_passphrase = \"hush-1\"\n[smtp]\npassword = \"hush-2\"\n\
                [data_provider]\npassword = \"hush-3\"\nconnection_string = \"hush-4\"\n\
                [kms.secrets]\nmaster_key = \"hush-5\"\n";
    let error = Scene::with_file("sftpgo.toml", text).error();
    assert!(error.contains("smtp.password") && error.contains("master_key"), "{error}");
    assert!(!error.contains("hush"), "{error}");
    let text = "[httpd]\nsigning_passphrase = \"hush-1\"\n";
    let loaded = Scene::with_file("sftpgo.toml", text).load();
    assert_eq!(loaded.config.httpd.signing_passphrase.expose(), "hush-1");
    assert!(!format!("{:?}", loaded.config).contains("hush"));
    let scene = Scene::with_file("sftpgo.json", r#"{"httpd": {"signing_passphrase": 123456}}"#);
    assert!(!scene.error().contains("123456"));
    let scene = Scene::with_file("sftpgo.json", r#"{"smtp": [{"password": "hush"}]}"#);
    assert!(!scene.error().contains("hush"), "{}", scene.error());
    let scene = Scene::with_file("sftpgo.json", r#"{"smpt": {"passwrod": "hush"}}"#)
        .env("SFTPGO_DEFAULT_ADMIN_PASSWORD", "hush");
    assert!(!format!("{:?}", scene.load()).contains("hush"));
}

#[test]
fn relative_paths_start_at_the_configuration_directory() {
    let scene = Scene::new();
    let dir = scene.load().config_dir;
    assert_eq!(dir.resolve("id_rsa"), scene.path().join("id_rsa"));
    assert_eq!(dir.resolve("/etc/x"), Path::new("/etc/x"));
    assert!(ConfigDir::new(Path::new("")).expect("current directory").path().is_absolute());
}
