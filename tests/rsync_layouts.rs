//! What a download by rsync looks like at the client: the same as where nothing stands
//! between it and rsync on the other side.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::clients::{has, run, text};
use common::programs::{ready, rsync, rsync_fails, rsync_ok, shown};
use serde_json::json;

/// `rt` with a directory in a directory, a link to a file, and one to a directory.
fn make_tree(home: &Path) {
    fs::create_dir_all(home.join("rt/sub/deep")).unwrap();
    fs::write(home.join("rt/one"), "1").unwrap();
    fs::write(home.join("rt/sub/deep/two"), "22").unwrap();
    fs::write(home.join("-x"), "333").unwrap();
    symlink("one", home.join("rt/ln")).unwrap();
    symlink("sub", home.join("rt/lndir")).unwrap();
    symlink("nowhere", home.join("rt/dangling")).unwrap();
    // So that whose times were set can be told.
    for (at, path) in ["rt/sub/deep/two", "rt/sub/deep", "rt/sub", "rt", ""].iter().enumerate() {
        let when = format!("2001-01-0{}T00:00:00Z", at + 1);
        run(Command::new("touch").args(["-d", &when]).arg(home.join(path)));
    }
}

/// Every name below with what it is; `.` with its time if that was set.
fn layout(dir: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = shown(path.strip_prefix(root).unwrap());
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_symlink() {
                format!("link to {}", shown(&fs::read_link(&path).unwrap()))
            } else if meta.is_dir() {
                walk(root, &path, found);
                format!("directory of {}", meta.mtime())
            } else {
                format!("file of {} bytes", meta.len())
            };
            found.insert(name, what);
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    let modified = fs::metadata(dir).unwrap().mtime();
    found.insert(".".to_owned(), if modified < 1_000_000_000 { modified } else { 0 }.to_string());
    found
}

/// Runs rsync with `words` through the server, and again with a shell in `start` in its
/// place: both must end alike and leave the same.
fn compare(server: &common::TestServer, start: &Path, words: &[&str]) {
    let (ours, native) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = rsync(server, &[words, &[&(shown(ours.path()) + "/")]].concat());
    let shell = server.dir().join("shell");
    let script = format!("#!/bin/sh\ncd '{}' && shift && exec sh -c \"$*\"\n", shown(start));
    fs::write(&shell, script).unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    let expected = Command::new("rsync")
        .args(["-e", &shown(&shell)])
        .args(words)
        .arg(shown(native.path()) + "/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{words:?}: {}, natively {}", text(&out), text(&expected));
    assert_eq!(layout(ours.path()), layout(native.path()), "{said}");
    assert_eq!(out.status.code(), expected.status.code(), "{said}");
}

#[test]
fn downloads_have_the_layout_of_local_copies() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, _local) = ready(json!({}));
    let home = server.home("alice");
    make_tree(&home);
    let table: &[&[&str]] = &[
        &["-a", "host:rt"],
        &["-a", "host:rt/"],
        &["-a", "host:rt/."],
        &["-a", "host:./rt/./"],
        // Without the option the client does not take what it has asked for.
        &["-a", "--trust-sender", "host:rt/sub/.."],
        &["-a", "host:rt/sub/.."],
        &["-a", "host:rt/sub/../"],
        &["-a", "host:rt/sub/../sub/deep"],
        &["-a", "host:"],
        &["-a", "host:."],
        &["-a", "host:rt/one"],
        &["-a", "host:./-x"],
        &["-a", "host:rt/ln"],
        &["-a", "host:rt/lndir"],
        &["-a", "host:rt/dangling"],
        &["-r", "host:rt/ln"],
        &["-a", "host:rt/lndir/"],
        &["-a", "host:rt/lndir/."],
        &["-a", "host:rt/lndir/deep"],
        &["-a", "host:rt/one", "host:rt/sub", "host:rt/ln"],
        &["-d", "host:rt/"],
        &["-aR", "host:rt"],
        &["-aR", "host:rt/"],
        &["-aR", "host:rt/sub/deep"],
        &["-aR", "host:rt/sub/deep/"],
        &["-aR", "host:./rt/sub/deep"],
        &["-aR", "host:rt/./sub/deep"],
        &["-aR", "host:rt/./sub/deep/two"],
        &["-aR", "host:rt/././sub"],
        &["-aR", "host:rt/./"],
        &["-aR", "host:rt/."],
        &["-aR", "host:rt/sub/.././sub"],
        &["-aR", "host:rt/ln"],
        &["-aR", "host:rt/lndir"],
        &["-aR", "host:rt/lndir/"],
        &["-aR", "host:rt/lndir/deep"],
        &["-aR", "host:rt/lndir/./deep"],
        &["-aR", "host:./-x"],
        &["-aR", "host:rt/./sub", "host:rt/one"],
        &["-aR", "--no-implied-dirs", "host:rt/sub/deep"],
        &["-aR", "--no-relative", "host:rt/sub/deep"],
        &["-a", "--ignore-missing-args", "host:nope", "host:rt"],
        &["-a", "--ignore-missing-args", "host:no/such/path/", "host:rt/one"],
        &["-a", "--ignore-missing-args", "host:nope"],
        &["-aR", "--ignore-missing-args", "host:rt/./nope", "host:no/./where", "host:rt/one"],
        &["-a", "host:nope", "host:rt"],
    ];
    for words in table {
        compare(&server, &home, words);
    }
}

#[test]
fn downloads_begin_where_the_account_does() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"filters": {"start_directory": "/rt/sub"}}));
    let home = server.home("alice");
    make_tree(&home);
    let table: &[&[&str]] = &[
        &["-a", "host:"],
        &["-a", "host:."],
        &["-a", "host:deep"],
        &["-a", "host:../one"],
        &["-a", "--trust-sender", "host:.."],
        &["-aR", "host:"],
        &["-aR", "host:deep"],
        &["-aR", "host:./deep"],
        &["-aR", "host:deep/./two"],
        &["-aR", "host:.././ln"],
    ];
    for words in table {
        compare(&server, &home.join("rt/sub"), words);
    }
    // A path from the root is one of the account's root, not of the machine's.
    let there = local.path().join("there");
    rsync_ok(&server, &["-aR", "host:/rt/sub/deep", &shown(&there)]);
    assert!(there.join("rt/sub/deep/two").is_file());
    rsync_ok(&server, &["-a", "host:/rt/ln", &shown(&there)]);
    assert_eq!(shown(&fs::read_link(there.join("ln")).unwrap()), "one");
}

#[test]
fn no_way_of_writing_a_source_leads_out_of_the_home() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    make_tree(&home);
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("sub")).unwrap();
    fs::write(outside.path().join("sub/secret"), "secret").unwrap();
    symlink(outside.path(), home.join("out")).unwrap();
    let name = shown(Path::new(outside.path().file_name().unwrap()));
    let there = shown(&local.path().join("there"));
    let table: &[(&str, &str, &str)] = &[
        ("-a", "host:out/", "permission denied"),
        ("-a", "host:out/.", "permission denied"),
        ("-a", "host:out/sub", "permission denied"),
        ("-a", "host:out/sub/secret", "permission denied"),
        ("-a", "host:rt/../out/sub", "permission denied"),
        ("-aR", "host:out/sub", "permission denied"),
        ("-aR", "host:out/", "permission denied"),
        ("-aR", "host:out/./sub", "permission denied"),
        ("-aR", "host:./out/sub/secret", "permission denied"),
        ("-aR", "host:out/sub/./secret", "permission denied"),
        ("-aR", "host:rt/../out", "\"..\""),
        ("-aR", "host:../rt", "\"..\""),
        ("-aR", "host:rt/./../out/sub", "\"..\""),
    ];
    for (options, source, said) in table {
        rsync_fails(&server, &[options, source, &there], said);
    }
    for above in [format!("host:../../../{}/sub", name), format!("host:{}", shown(outside.path()))]
    {
        rsync_fails(&server, &["-a", &above, &there], "no such file");
    }
    assert!(!Path::new(&there).exists());
    // The link itself is the account's, and so is the root above which there is nothing.
    rsync_ok(&server, &["-a", "host:out", &(there.clone() + "/")]);
    assert_eq!(fs::read_link(Path::new(&there).join("out")).unwrap(), outside.path());
    rsync_ok(&server, &["-a", "host:../../rt/one", &there]);
}
