//! Every option of rsync that people use, with the real client, up and down.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::TestServer;
use common::clients::{has, run, text};
use common::programs::{ready, rsync, rsync_fails, rsync_ok, shown};
use serde_json::json;

fn make_tree(at: &Path) -> PathBuf {
    let tree = at.join("tree");
    fs::create_dir_all(tree.join("dir/deep")).unwrap();
    fs::write(tree.join("file"), vec![1; 100_000]).unwrap();
    fs::write(tree.join("dir/deep/small"), "small").unwrap();
    symlink("file", tree.join("link")).unwrap();
    tree
}

fn same(one: &Path, other: &Path, options: &[&str]) {
    let out = Command::new("diff")
        .args(["-r", "--no-dereference", "--exclude=.old"])
        .args([one, other])
        .output()
        .unwrap();
    assert!(out.status.success(), "{options:?}: {}", text(&out));
}

/// Options with which what arrives is what was there.
const COMPLETE: &[&[&str]] = &[
    &["-avzP"],
    &["-a", "--partial"],
    &["-a", "--partial-dir=.rsync-partial"],
    &["-a", "--partial-dir=.partial/here"],
    &["-a", "--delay-updates"],
    &["-a", "--delay-updates", "--partial-dir=.later"],
    &["-a", "--inplace"],
    &["-a", "--inplace", "--sparse"],
    &["-a", "--append"],
    &["-a", "--append-verify"],
    &["-a", "--delete"],
    &["-a", "--delete-before"],
    &["-a", "--delete-during"],
    &["-a", "--delete-after"],
    &["-a", "--delete-delay", "--max-delete=5"],
    &["-a", "--delete-excluded", "--force"],
    &["-a", "--delete-missing-args"],
    &["-a", "--ignore-missing-args"],
    &["-a", "--ignore-errors"],
    &["-a", "--chmod=Du+w,Fu+w"],
    &["-aH"],
    &["-aHAX"],
    &["-aS"],
    &["-aU", "--open-noatime"],
    &["-aE"],
    &["-aOJ"],
    &["-ax"],
    &["-aW"],
    &["-aC"],
    &["-aF"],
    &["-am"],
    &["-ay"],
    &["-ayy"],
    &["-ai", "--out-format=%n"],
    &["-aii"],
    &["-ah", "--stats"],
    &["-aq"],
    &["-avvv"],
    &["-a", "--preallocate"],
    &["-a", "--fsync"],
    &["-a", "--bwlimit=100M"],
    &["-a", "--max-size=1M"],
    &["-a", "--min-size=1"],
    &["-a", "--max-alloc=512M"],
    &["-a", "--exclude=*.tmp", "--include=*", "--filter=- *.bak"],
    &["-a", "--filter=: .rules"],
    &["-a", "--checksum"],
    &["-a", "--checksum-choice=md5"],
    &["-a", "--checksum-choice=none,xxh64"],
    &["-a", "--checksum-seed=1"],
    &["-az", "--compress-choice=zstd", "--compress-level=3"],
    &["-az", "--compress-choice=lz4"],
    &["-az", "--new-compress"],
    &["-az", "--old-compress"],
    &["-az", "--skip-compress=gz/zip"],
    &["-a", "--numeric-ids"],
    &["-a", "--no-o", "--no-g", "--no-D"],
    &["-a", "--no-owner", "--no-group", "--no-perms", "--no-times"],
    &["-a", "--no-whole-file"],
    &["-a", "--no-inc-recursive"],
    &["-a", "--no-specials"],
    &["-a", "--usermap=*:nobody"],
    &["-a", "--timeout=30"],
    &["-a", "--ignore-existing"],
    &["-a", "--update"],
    &["-a", "--ignore-times"],
    &["-a", "--size-only"],
    &["-a", "--modify-window=1"],
    &["-a", "--modify-window=-1"],
    &["-a", "--block-size=700"],
    &["-a", "--safe-links"],
    &["-a", "--backup"],
    &["-a", "--backup", "--suffix=.orig"],
    &["-a", "--backup", "--backup-dir=.old/today"],
    &["-a", "--info=stats2"],
    &["-a", "--info=progress2,stats2"],
    &["-a", "--info=name0"],
    &["-a", "--info=all4"],
    &["-a", "--debug=all"],
    &["-a", "--stderr=client"],
    &["-a", "--stderr=all"],
    &["-a", "--protocol=29"],
    &["-a", "--protocol=30"],
    &["-a", "--protocol=31"],
    &["-a", "--iconv=utf-8,utf-8"],
    &["-a", "--old-args"],
    &["-as"],
    &["-a", "--secluded-args"],
    &["-a", "--protect-args", "--delete"],
    &["-a", "--mkpath"],
];

#[test]
fn options_of_everyday_work_up_and_down() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let tree = make_tree(local.path());
    make_tree(&home);
    let from = shown(&tree) + "/";
    for (at, options) in COMPLETE.iter().enumerate() {
        let put = format!("put-{at}");
        let to = format!("host:{put}");
        rsync_ok(&server, &[*options, &[&from, &to]].concat());
        same(&tree, &home.join(&put), options);
        // With something to replace, and something that is too much.
        fs::write(home.join(&put).join("dir/deep/small"), "s").unwrap();
        rsync_ok(&server, &[*options, &[&from, &to]].concat());
        let got = local.path().join(format!("get-{at}"));
        rsync_ok(&server, &[*options, &["host:tree/", &shown(&got)]].concat());
        same(&tree, &got, options);
    }
}

#[test]
fn options_that_the_server_cannot_keep_in_place_are_refused_by_name() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let tree = make_tree(local.path());
    make_tree(&server.home("alice"));
    let (from, there) = (shown(&tree) + "/", shown(&local.path().join("there")));
    let up: &[(&str, &str)] = &[
        ("-K", "-K is not allowed: it follows links"),
        ("--temp-dir=tmp", "--temp-dir is not allowed: it writes elsewhere"),
        ("--partial-dir=/tmp/x", "--partial-dir is not allowed: it leads out"),
        ("--partial-dir=../x", "--partial-dir is not allowed: it leads out"),
        ("--backup-dir=/old", "--backup-dir is not allowed: it leads out"),
        ("--backup-dir=a/../../b", "--backup-dir is not allowed: it leads out"),
        ("--super", "--super is not allowed"),
        ("--write-devices", "--write-devices is not allowed"),
        ("-M--fake-super", "--fake-super is not allowed"),
        ("-M--log-file=/tmp/x", "--log-file is not allowed"),
        ("-M--debug=filter", "--debug is not allowed"),
        ("-M--insecure-links", "--insecure-links is not allowed"),
    ];
    for (option, said) in up {
        rsync_fails(&server, &["-ab", option, &from, "host:there"], said);
    }
    let down: &[(&str, &str)] = &[
        ("-L", "-L is not allowed: it follows links"),
        ("-k", "-k is not allowed: it follows links"),
        ("--copy-unsafe-links", "--copy-unsafe-links is not allowed: it follows links"),
        ("--copy-devices", "--copy-devices is not allowed"),
        ("--files-from=host:list", "--files-from is not allowed: names can come only from"),
    ];
    for (option, said) in down {
        let option = option.replace("host:", "alice@127.0.0.1:");
        rsync_fails(&server, &["-a", &option, "host:tree/", &there], said);
    }
    // What is the client's alone is no matter of ours.
    rsync_ok(&server, &["-aL", &from, "host:followed"]);
    rsync_ok(&server, &["-a", "--copy-unsafe-links", &from, "host:followed"]);
    rsync_ok(&server, &["-a", "-b", "--backup-dir=/nowhere", "host:tree/", &there]);
    rsync_ok(&server, &["-a", "--temp-dir=/tmp", "host:tree/", &there]);
    rsync_ok(&server, &["-a", "--log-file=/dev/null", "host:tree/", &there]);
}

#[test]
fn options_that_choose_choose_the_same_up_and_down() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let tree = make_tree(local.path());
    let names = |dir: &Path| {
        let out = Command::new("find").arg(".").current_dir(dir).output().unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        let mut names: Vec<&str> = out.lines().collect();
        names.sort();
        names.join(" ")
    };
    let table: &[(&[&str], &str)] = &[
        (&["-a", "--max-size=1K"], ". ./dir ./dir/deep ./dir/deep/small ./link"),
        (&["-a", "--min-size=1K"], ". ./dir ./dir/deep ./file ./link"),
        (&["-a", "--exclude=deep"], ". ./dir ./file ./link"),
        (
            &["-a", "--include=*/", "--include=small", "--exclude=*", "-m"],
            ". ./dir ./dir/deep ./dir/deep/small",
        ),
        (&["-a", "--filter=- /file"], ". ./dir ./dir/deep ./dir/deep/small ./link"),
        (&["-a", "--existing"], "."),
        (&["-an"], "."),
        (&["-d"], ". ./dir ./file"),
        (&["-r"], ". ./dir ./dir/deep ./dir/deep/small ./file"),
        (&["-a", "--list-only"], "."),
    ];
    for (at, (options, want)) in table.iter().enumerate() {
        let (put, got) = (format!("put-{at}"), local.path().join(format!("get-{at}")));
        fs::create_dir_all(home.join(&put)).unwrap();
        fs::create_dir(&got).unwrap();
        rsync_ok(&server, &[*options, &[&(shown(&tree) + "/"), &format!("host:{put}")]].concat());
        assert_eq!(names(&home.join(&put)), *want, "{options:?}");
        make_tree(&home);
        rsync_ok(&server, &[*options, &["host:tree/", &shown(&got)]].concat());
        assert_eq!(names(&got), *want, "{options:?}");
        fs::remove_dir_all(home.join("tree")).unwrap();
    }
    rsync_ok(&server, &["-a", "--remove-source-files", &(shown(&tree) + "/"), "host:moved"]);
    assert!(!tree.join("file").exists());
    rsync_ok(&server, &["-a", "--remove-source-files", "host:moved/", &shown(&tree)]);
    assert!(tree.join("file").exists() && !home.join("moved/file").exists());
    fs::write(home.join("single"), "x").unwrap();
    rsync_ok(&server, &["-a", "--remove-source-files", "host:single", &shown(&tree)]);
    assert!(tree.join("single").exists() && !home.join("single").exists());
}

#[test]
fn an_interrupted_upload_waits_in_the_partial_directory() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let tree = make_tree(local.path());
    // As an earlier attempt has left it.
    fs::create_dir_all(home.join("d/.rsync-partial")).unwrap();
    fs::write(home.join("d/.rsync-partial/file"), vec![1; 60_000]).unwrap();
    let file = shown(&tree.join("file"));
    let args = ["-a", "--stats", "--partial-dir=.rsync-partial", &file, "host:d/"];
    let out = rsync(&server, &args);
    assert!(out.status.success(), "{}", text(&out));
    let matched = text(&out).lines().find_map(|line| {
        let bytes = line.strip_prefix("Matched data: ")?.strip_suffix(" bytes")?;
        bytes.replace(',', "").parse::<u64>().ok()
    });
    assert!(matched.is_some_and(|bytes| bytes > 50_000), "{}", text(&out));
    assert_eq!(fs::read(home.join("d/file")).unwrap().len(), 100_000);
    assert!(!home.join("d/.rsync-partial").exists());
    // A link in its place leads nowhere.
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), home.join("d/.rsync-partial")).unwrap();
    symlink(outside.path(), home.join("d/out")).unwrap();
    fs::remove_file(home.join("d/file")).unwrap();
    for dir in [".rsync-partial", "out/deeper", "out"] {
        let option = format!("--partial-dir={dir}");
        let _ = rsync(&server, &["-a", "--delay-updates", &option, &file, "host:d/"]);
        let option = format!("--backup-dir={dir}");
        let _ = rsync(&server, &["-abI", &option, &file, "host:d/"]);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{dir}");
    }
}

#[test]
fn backups_are_made_against_earlier_ones() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"filters": {"start_directory": "/backups"}}));
    let home = server.home("alice");
    fs::create_dir_all(home.join("backups")).unwrap();
    let tree = make_tree(local.path());
    let from = shown(&tree) + "/";
    // The first has nothing before it, and says so.
    let out = rsync(&server, &["-a", "--link-dest=../sunday", &from, "host:monday"]);
    assert!(out.status.success(), "{}", text(&out));
    assert!(text(&out).contains("--link-dest does not exist: /backups/sunday"), "{}", text(&out));
    let inode = |path: &str| fs::metadata(home.join("backups").join(path)).unwrap().ino();
    for (to, option) in [
        ("tuesday", "--link-dest=../monday"),
        ("wednesday/", "--link-dest=../monday/"),
        ("new/thursday", "--link-dest=/backups/monday"),
        ("tuesday", "--link-dest=../../backups/monday"),
    ] {
        rsync_ok(&server, &["-a", "--mkpath", option, &from, &format!("host:{to}")]);
        same(&tree, &home.join("backups").join(to), &[option]);
        assert_eq!(inode(&format!("{to}/file")), inode("monday/file"), "{to}");
    }
    rsync_ok(&server, &["-a", "--copy-dest=../monday", &from, "host:copied"]);
    same(&tree, &home.join("backups/copied"), &["--copy-dest"]);
    assert_ne!(inode("copied/file"), inode("monday/file"));
    fs::write(tree.join("new"), "new").unwrap();
    rsync_ok(&server, &["-a", "--compare-dest=../monday", &from, "host:changes"]);
    assert!(home.join("backups/changes/new").exists());
    assert!(!home.join("backups/changes/file").exists());
    // Nothing of another account or of the machine.
    let outside = tempfile::tempdir().unwrap();
    run(Command::new("cp").arg("-a").arg(&tree).arg(outside.path().join("tree")));
    symlink(outside.path(), home.join("backups/out")).unwrap();
    rsync_fails(
        &server,
        &["-a", "--link-dest=../out/tree", &from, "host:stolen"],
        "permission denied",
    );
    let option = format!("--link-dest={}", shown(&outside.path().join("tree")));
    rsync_ok(&server, &["-a", &option, &from, "host:own"]);
    assert_eq!(fs::metadata(home.join("backups/own/file")).unwrap().nlink(), 1);
}

/// Whether this rsync stays below a directory by itself; an older one is refused for `args`.
fn stays_below(server: &TestServer, args: &[&str]) -> bool {
    let out = Command::new("rsync").args(["--confine-root=/", "--version"]).output().unwrap();
    if !out.status.success() {
        rsync_fails(server, args, "older than 3.5.0");
    }
    out.status.success()
}

#[test]
fn a_list_of_names_chooses_what_is_downloaded() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"filters": {"start_directory": "/tree"}}));
    let home = server.home("alice");
    make_tree(&home);
    if !stays_below(&server, &["-a", "--files-from=/dev/null", "host:", &shown(local.path())]) {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), home.join("tree/out")).unwrap();
    fs::create_dir(home.join("other")).unwrap();
    fs::write(home.join("other/name"), "x").unwrap();
    symlink("../other", home.join("tree/beside")).unwrap();
    let list = local.path().join("list");
    fs::write(&list, "dir/deep/small\nlink\n").unwrap();
    let from = format!("--files-from={}", shown(&list));
    let there = local.path().join("there");
    for source in ["host:", "host:/tree", "host:."] {
        rsync_ok(&server, &["-a", &from, source, &shown(&there)]);
        assert!(there.join("dir/deep/small").is_file() && !there.join("file").exists());
        assert_eq!(fs::read_link(there.join("link")).unwrap(), Path::new("file"));
        fs::remove_dir_all(&there).unwrap();
    }
    rsync_ok(&server, &["-a", "--no-relative", &from, "host:", &shown(&there)]);
    assert!(there.join("small").is_file());
    fs::write(&list, "file\0dir/\0").unwrap();
    rsync_ok(&server, &["-ar", "--from0", &from, "host:", &shown(&there)]);
    assert!(there.join("file").is_file() && there.join("dir/deep/small").is_file());
    fs::remove_dir_all(&there).unwrap();
    // Neither what is outside, nor what is known of it, nor what is beside the source.
    let above = format!("..{}\n", shown(outside.path()));
    let names = ["out/secret\n", "out/\n", "beside/name\n", "../other/name\n", &above];
    for name in names {
        fs::write(&list, name).unwrap();
        let out = rsync(&server, &["-ar", "--no-implied-dirs", &from, "host:", &shown(&there)]);
        let seen = Command::new("find").arg(&there).output().unwrap();
        assert!(!text(&seen).contains("secret") && !text(&seen).contains("name"), "{name}");
        assert!(!out.status.success(), "{name}: {}", text(&out));
    }
    // Upwards it is the client's alone.
    let tree = make_tree(local.path());
    fs::write(&list, "dir/deep/small\n").unwrap();
    rsync_ok(&server, &["-a", &from, &shown(&tree), "host:up"]);
    assert!(home.join("tree/up/dir/deep/small").is_file());
}

#[test]
fn directories_above_the_destination_are_made_on_request() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let tree = make_tree(local.path());
    let from = shown(&tree) + "/";
    rsync_fails(&server, &["-a", &from, "host:a/b/c"], "no such file");
    rsync_ok(&server, &["-a", "--mkpath", &from, "host:a/b/c"]);
    same(&tree, &home.join("a/b/c"), &["--mkpath"]);
    rsync_ok(&server, &["-a", "--mkpath", &shown(&tree.join("file")), "host:d/e/name"]);
    assert!(home.join("d/e/name").is_file());
    rsync_ok(&server, &["-a", "--mkpath", &shown(&tree.join("file")), "host:f/g/"]);
    assert!(home.join("f/g/file").is_file());
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), home.join("out")).unwrap();
    rsync_fails(&server, &["-a", "--mkpath", &from, "host:out/x/y"], "permission denied");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_upload_changes_no_attributes_behind_a_link() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("dir")).unwrap();
    fs::write(outside.path().join("dir/file"), "same").unwrap();
    let tree = local.path().join("tree");
    run(Command::new("cp").arg("-a").arg(outside.path()).arg(&tree));
    let modes = |at: &Path| {
        ["dir", "dir/file"].map(|name| fs::metadata(at.join(name)).unwrap().mode() & 0o777)
    };
    let before = modes(outside.path());
    run(Command::new("chmod").args(["-R", "u=rwx,go="]).arg(&tree));
    run(Command::new("mv").arg(&tree).arg(local.path().join("out")));
    for name in ["out/dir", "out/dir/file"] {
        // The earlier upload may have put a directory in its place.
        let _ = fs::remove_dir_all(home.join("out"));
        symlink(outside.path(), home.join("out")).unwrap();
        let source = format!("{}/./{name}", shown(local.path()));
        let args = ["-aR", "--no-implied-dirs", &source, "host:"];
        if stays_below(&server, &args) {
            let _ = rsync(&server, &args);
        }
        assert_eq!(modes(outside.path()), before, "{name}");
        let _ = rsync(&server, &["-aR", &source, "host:"]);
        assert_eq!(modes(outside.path()), before, "{name}");
    }
}
