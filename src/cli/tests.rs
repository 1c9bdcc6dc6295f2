use super::*;
use slog::Level;

fn serve(arguments: &[&str]) -> ServeOptions {
    match parse(["sftpgo", "serve"].iter().chain(arguments)) {
        Ok(Command::Serve(options)) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    definition().debug_assert();
}

#[test]
fn the_defaults_of_serve() {
    let options = serve(&[]);
    assert_eq!(options.config.config_dir, ".");
    assert_eq!(options.grace_time_secs, 0);
    assert_eq!(options.load_data.file(), None);
    assert!(!options.load_data.updates_existing());
    assert_eq!(options.load_data_scan, QuotaScan::Nobody);
    let dir = crate::config::ConfigDir::new("/etc/sftpgo".as_ref()).expect("absolute");
    let log = options.log.options(&dir);
    assert_eq!(log.file.as_deref(), Some("/etc/sftpgo/sftpgo.log".as_ref()));
    assert_eq!((log.max_size_mb, log.max_backups, log.max_age_days), (10, 5, 28));
    assert!(!log.compress && !log.utc);
    assert_eq!(log.level, Level::Debug);
}

#[test]
fn an_empty_log_path_means_stderr() {
    let dir = crate::config::ConfigDir::new("/".as_ref()).expect("absolute");
    for arguments in [&["-l", ""][..], &["--log-file-path="]] {
        assert_eq!(serve(arguments).log.options(&dir).file, None);
    }
}

#[test]
fn the_older_verbosity_flag_chooses_the_level_unless_the_newer_one_is_given() {
    for (arguments, expected) in [
        (&["-v"][..], Level::Debug),
        (&["-v=false"], Level::Info),
        (&["--log-verbose=0"], Level::Info),
        (&["--log-verbose=1"], Level::Debug),
        (&["--log-level", "warn"], Level::Warning),
        (&["--log-level", "ERROR", "-v"], Level::Error),
    ] {
        assert_eq!(serve(arguments).log.level.level(), expected, "{arguments:?}");
    }
}

#[test]
fn the_flags_of_every_generation_are_understood() {
    let options = serve(&[
        "-c",
        "/etc/sftpgo",
        "-f",
        "other",
        "-s",
        "1",
        "-b",
        "2",
        "-a",
        "3",
        "-z",
        "--log-utc-time",
        "--loaddata-from",
        "/tmp/dump.json",
        "--loaddata-mode",
        "0",
        "--loaddata-scan",
        "2",
        "--loaddata-clean",
        "--grace-time",
        "30",
        "--profiler=false",
    ]);
    assert_eq!(options.config.config_file, "other");
    assert_eq!(options.load_data.file(), Some("/tmp/dump.json".as_ref()));
    assert!(options.load_data.updates_existing() && options.load_data.clean);
    assert_eq!(options.load_data_scan, QuotaScan::Limited);
    assert_eq!(options.grace_time_secs, 30);
    assert!(options.log.compress && options.log.level.utc_time);
}

#[test]
fn a_wrong_command_line_is_status_2_and_help_is_0() {
    for arguments in [
        &["sftpgo"][..],
        &["sftpgo", "nonsense"],
        &["sftpgo", "serve", "--nonsense"],
        &["sftpgo", "serve", "--log-max-size", "-1"],
        &["sftpgo", "serve", "--log-compress=maybe"],
        &["sftpgo", "serve", "--loaddata-from", "relative.json"],
        &["sftpgo", "serve", "--loaddata-scan", "3"],
        &["sftpgo", "serve", "--profiler"],
        &["sftpgo", "gen", "completion", "elvish"],
        // A command that does not exist yet.
        &["sftpgo", "revertprovider"],
        &["sftpgo", "startsubsys", "-d", "homes"],
    ] {
        let error = parse(arguments).expect_err("wrong");
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
    for arguments in [&["sftpgo", "--help"][..], &["sftpgo", "-v"], &["sftpgo", "help", "serve"]] {
        assert_eq!(parse(arguments).expect_err("no command").exit_code(), 0, "{arguments:?}");
    }
}

#[test]
fn the_version_names_the_build_date() {
    let text = parse(["sftpgo", "--version"]).expect_err("version").to_string();
    assert!(text.contains(crate::version::VERSION), "{text}");
    assert!(text.contains(crate::version::BUILD_DATE), "{text}");
    assert!(text.contains(crate::version::COMMIT), "{text}");
}

#[test]
fn the_subsystem_logs_in_utc_and_takes_homes_of_the_system_unless_told_otherwise() {
    let subsystem =
        |arguments: &[&str]| match parse(["sftpgo", "startsubsys"].iter().chain(arguments)) {
            Ok(Command::Startsubsys(options)) => options,
            other => panic!("{other:?}"),
        };
    let usual = subsystem(&[]);
    assert!(usual.level.utc_time && usual.level.level() == Level::Debug);
    assert!(!usual.preserve_home && !usual.log_to_journald);
    assert_eq!(usual.home_of("ann", "/home/ann".as_ref()).to_str(), Some("/home/ann"));
    let told = subsystem(&["-c", "/etc/x", "-d", "/srv", "-p", "-j", "-v=0", "--log-utc-time=0"]);
    assert!(!told.level.utc_time && told.level.level() == Level::Info);
    assert!(told.preserve_home && told.log_to_journald);
    assert_eq!(told.home_of("ann", "/home/ann".as_ref()).to_str(), Some("/srv/ann"));
}
