use super::*;
use crate::cli::{Command, parse};
use crate::config::SftpdBinding;
use crate::model::Permission;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8bTHuFKKfgkgv1VSfZ4GXYMJmVDzyEyhkkUgwDZUZ6 me";

fn try_options(arguments: &[&str]) -> Result<PortableOptions, String> {
    let arguments = ["sftpgo", "portable"].iter().chain(arguments);
    match parse(arguments) {
        Ok(Command::Portable(options)) => Ok(*options),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn options(arguments: &[&str]) -> PortableOptions {
    try_options(arguments).expect("options")
}

#[test]
fn credentials_are_generated_when_they_are_absent() {
    let first = options(&[]).account().expect("account");
    let second = options(&[]).account().expect("account");
    assert_ne!(first.user.username, second.user.username);
    assert_ne!(first.password, second.password);
    assert_eq!(first.password.as_deref().map(str::len), Some(20));
    assert_eq!(first.password.as_deref(), Some(first.user.password.as_str()));
    assert!(!format!("{first:?}").contains(first.user.password.as_str()));
}

#[test]
fn a_public_key_replaces_the_generated_password() {
    let account = options(&["-k", KEY, "-u", "bob"]).account().expect("account");
    assert_eq!(account.user.username, "bob");
    assert_eq!(account.user.public_keys, [KEY]);
    assert_eq!(account.password, None);
    assert!(account.user.password.is_empty());
    let account = options(&["-k", KEY, "-p", "secret"]).account().expect("account");
    assert_eq!(account.password.as_deref(), Some("secret"));
    assert!(options(&["-k", "nonsense"]).account().is_err());
}

#[test]
fn several_keys_may_share_a_flag_and_a_comment_may_hold_a_comma() {
    let both = format!("{KEY},at home,{KEY}");
    let account = options(&["-k", &both, "-k", KEY]).account().expect("account");
    assert_eq!(account.user.public_keys, [format!("{KEY},at home"), KEY.into(), KEY.into()]);
}

#[test]
fn a_password_file_gives_its_line() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("password");
    std::fs::write(&path, "from file \n").expect("file");
    let path = path.to_str().expect("UTF-8");
    let account = options(&["--password-file", path]).account().expect("account");
    assert_eq!(account.password.as_deref(), Some("from file "));
    assert!(try_options(&["--password-file", path, "-p", "x"]).is_err());
    std::fs::write(path, "\n").expect("file");
    assert!(options(&["--password-file", path]).account().is_err());
}

#[test]
fn permissions_are_those_of_the_root() {
    let root = crate::paths::VirtualPath::new("/");
    let account = options(&[]).account().expect("account");
    let set = account.user.permissions.at(&root);
    assert!(set.grants_all(&[Permission::List, Permission::Download]));
    assert!(!set.grants(Permission::Upload));
    let account = options(&["-g", "*"]).account().expect("account");
    assert!(account.user.permissions.at(&root).grants(Permission::Chmod));
    let error = options(&["-g", "list,fly"]).account().expect_err("unknown").to_string();
    assert!(error.contains("fly"), "{error}");
}

#[test]
fn patterns_and_extensions_are_collected_per_directory() {
    let account = options(&[
        "--allowed-patterns",
        "/a/::*.JPG,*.png",
        "--denied-patterns",
        "/::secret*",
        "--denied-extensions",
        "/a::.exe",
        "--denied-patterns",
        "/a::*.exe",
    ])
    .account()
    .expect("account");
    let rules: Vec<_> = account
        .user
        .filters
        .file_patterns
        .iter()
        .map(|rule| {
            (rule.path.as_str(), rule.allowed_patterns.clone(), rule.denied_patterns.clone())
        })
        .collect();
    let list = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        rules,
        [("/", vec![], list(&["secret*"])), ("/a", list(&["*.jpg", "*.png"]), list(&["*.exe"])),]
    );
    for wrong in ["*.jpg", "a::*.jpg", "/a::", "/a:*.jpg", "/a::[x", "/a::b/c"] {
        assert!(options(&["--denied-patterns", wrong]).account().is_err(), "{wrong}");
    }
}

#[test]
fn the_served_directory_is_absolute_and_exists() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().to_str().expect("UTF-8");
    let account = options(&["-d", path]).account().expect("account");
    let expected = dir.path().canonicalize().expect("path");
    assert_eq!(std::path::Path::new(&account.user.home_dir), expected);
    std::fs::write(dir.path().join("file"), "").expect("file");
    for wrong in ["missing", "file"] {
        let wrong = format!("{path}/{wrong}");
        assert!(options(&["-d", &wrong]).account().is_err(), "{wrong}");
    }
}

#[test]
fn the_flags_change_the_first_binding_only() {
    let mut config = Config::default();
    config.sftpd.bindings = vec![
        SftpdBinding { port: 1, address: "127.0.0.1".into(), apply_proxy_config: true },
        SftpdBinding { port: 2, ..SftpdBinding::default() },
    ];
    let mut chosen = config.clone();
    options(&["-s", "2022"]).apply(&mut chosen, |_| panic!("a port is given")).expect("applied");
    let ports = |config: &Config| {
        config.sftpd.bindings.iter().map(|binding| binding.port).collect::<Vec<_>>()
    };
    assert_eq!(ports(&chosen), [2022, 2]);
    assert!(chosen.httpd.bindings.is_empty());
    let random = options(&["--ssh-commands", "cd,pwd"]);
    random
        .apply(&mut config, |address| {
            assert_eq!(address, "127.0.0.1");
            random_port(address)
        })
        .expect("applied");
    assert!(ports(&config)[0] >= 1024);
    assert_eq!(config.sftpd.enabled_ssh_commands, ["cd", "pwd"]);
}

#[test]
fn host_keys_are_ephemeral_unless_there_are_some() {
    let dir = tempfile::tempdir().expect("directory");
    let config_dir = ConfigDir::new(dir.path()).expect("absolute");
    let mut config = Config::default();
    let keys = options(&[]).ephemeral_host_keys(&mut config, &config_dir).expect("keys");
    let keys = keys.expect("a directory");
    let path = keys.dir().to_owned();
    assert!(path.is_dir() && !path.starts_with(dir.path()));
    assert_eq!(config.sftpd.host_keys.len(), 2);
    drop(keys);
    assert!(!path.exists());
    // Named ones stay.
    assert!(options(&[]).ephemeral_host_keys(&mut config, &config_dir).expect("keys").is_none());
    // So do those that exist.
    std::fs::write(dir.path().join("id_ed25519"), "").expect("file");
    let mut config = Config::default();
    assert!(options(&[]).ephemeral_host_keys(&mut config, &config_dir).expect("keys").is_none());
    assert!(config.sftpd.host_keys.is_empty());
}

#[test]
fn what_this_version_lacks_is_refused_by_name() {
    for (arguments, named) in [
        (&["--s3-bucket", "b"][..], "--s3-bucket"),
        (&["--gcs-automatic-credentials", "1"], "--gcs-automatic-credentials"),
        (&["--s3-force-path-style"], "--s3-force-path-style"),
        (&["--ftpd-port", "2121"], "--ftpd-port"),
        (&["--webdav-port=0"], "--webdav-port"),
        (&["--httpd-port", "8080"], "--httpd-port"),
        (&["--crypto-passphrase", "x"], "--crypto-passphrase"),
        (&["-f", "s3fs"], "--fs-provider s3fs"),
        (&["-f", "2"], "--fs-provider 2"),
    ] {
        let error = try_options(arguments).expect_err("refused");
        assert!(error.contains(named), "{error}");
        assert!(error.contains("not available in this version"), "{error}");
    }
    for wrong in
        [&["-f", "floppy"][..], &["-s", "-1"], &["-s", "70000"], &["--start-directory", "a"]]
    {
        assert!(try_options(wrong).is_err(), "{wrong:?}");
    }
    options(&["--ftpd-port", "-1", "--webdav-port=-1", "-f", "0"]);
}

#[test]
fn an_older_meaning_of_c_is_pointed_out() {
    let options = options(&["-c", "md5sum,scp"]);
    assert!(options.warnings()[0].contains("--ssh-commands md5sum,scp"));
    assert!(self::options(&["-c", "/etc/sftpgo"]).warnings().is_empty());
    assert!(self::options(&[]).warnings().is_empty());
}
