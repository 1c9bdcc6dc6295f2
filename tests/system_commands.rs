//! rsync and git over SSH: with their own clients, and with everything that must not work.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::TestServer;
use common::clients::{has, public_key, run, text};
use common::programs::{ready, rsync, rsync_fails, rsync_ok, shown, ssh_command};
use common::server::eventually;
use serde_json::json;

/// A command line as a hostile client writes it.
fn ssh(server: &TestServer, line: &str, input: &[u8]) -> Output {
    let mut child = Command::new("ssh")
        .args(server.ssh_options())
        .args(["-T", "-p", &server.sftp_port.to_string(), "alice@127.0.0.1", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn make_tree(at: &Path) {
    fs::create_dir_all(at.join("a/b/c")).unwrap();
    fs::create_dir_all(at.join("empty")).unwrap();
    for (name, len) in [("a/1", 10), ("a/b/two words", 200_000), ("a/b/c/ü", 0), ("-x", 5)] {
        fs::write(at.join(name), vec![7; len]).unwrap();
    }
    fs::set_permissions(at.join("a/1"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("a/1", at.join("inside")).unwrap();
}

fn same(one: &Path, other: &Path) {
    run(Command::new("diff").args(["-r", "--no-dereference"]).arg(one).arg(other));
}

#[test]
fn rsync_mirrors_a_tree_both_ways() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let tree = local.path().join("tree");
    make_tree(&tree);
    // Into a directory that is not there yet, again, and with what is gone removed.
    let from = shown(&tree) + "/";
    rsync_ok(&server, &["-a", "--delete", &from, "host:mirror"]);
    same(&tree, &home.join("mirror"));
    fs::remove_file(tree.join("a/1")).unwrap();
    fs::write(tree.join("a/b/two words"), vec![8; 250_000]).unwrap();
    rsync_ok(&server, &["-az", "--delete", &from, "host:mirror/"]);
    same(&tree, &home.join("mirror"));
    rsync_ok(&server, &["-a", "--delete", "-v", "--stats", &from, "host:/mirror"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode();
    assert_eq!(mode(&tree.join("-x")), mode(&home.join("mirror/-x")));
    // But no program that runs as another.
    fs::set_permissions(tree.join("-x"), fs::Permissions::from_mode(0o6755)).unwrap();
    rsync_ok(&server, &["-a", &from, "host:mirror"]);
    assert_eq!(mode(&home.join("mirror/-x")) & 0o7777, 0o755);
    fs::set_permissions(tree.join("-x"), fs::Permissions::from_mode(0o755)).unwrap();

    // Back: the contents, the directory itself, one file, several.
    let back = local.path().join("back");
    rsync_ok(&server, &["-a", "host:mirror/", &shown(&back)]);
    same(&tree, &back);
    rsync_ok(&server, &["-aHAX", "host:mirror", &(shown(&back) + "/")]);
    same(&tree, &back.join("mirror"));
    rsync_ok(&server, &["-a", "host:mirror/a/b/two words", &shown(&local.path().join("one"))]);
    assert_eq!(fs::read(local.path().join("one")).unwrap(), vec![8; 250_000]);
    let several = local.path().join("several");
    fs::create_dir(&several).unwrap();
    rsync_ok(&server, &["-a", "host:mirror/-x", "host:mirror/a/b", &shown(&several)]);
    assert!(several.join("-x").is_file() && several.join("b/c").is_dir());
    rsync_ok(&server, &["-aR", "host:mirror/a/b", &shown(&several)]);
    assert!(several.join("mirror/a/b/c").is_dir());
    // One file, under a name.
    rsync_ok(&server, &[&(shown(&tree) + "/-x"), "host:named"]);
    assert_eq!(fs::read(home.join("named")).unwrap(), [7; 5]);
    rsync_ok(&server, &["-a", "--inplace", "--append", &(shown(&tree) + "/-x"), "host:named"]);

    let line = server.wait_for_log("the command", |line| line["sender"] == "SSHCommand");
    assert!(line["ssh_command"].as_str().unwrap().starts_with("rsync --server"), "{line}");
}

#[test]
fn rsync_says_what_is_wrong_and_passes_its_status_on() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let there = shown(local.path());
    let out = rsync(&server, &["-a", "host:missing", &there]);
    assert!(!out.status.success() && text(&out).contains("no such file"), "{}", text(&out));
    rsync_fails(&server, &["-aL", "host:", &there], "-L is not allowed: it follows links");
    rsync_fails(&server, &["-a", "--temp-dir=/tmp", &there, "host:"], "--temp-dir is not allowed");
    rsync_fails(&server, &["-a", "-M--log-file=/tmp/x", &there, "host:"], "--log-file is not");
    rsync_fails(&server, &["-a", &there, "host:no/such/dir"], "no such file");
    // rsync's own messages, and its own status: some files could not be stored.
    let home = server.home("alice");
    fs::create_dir_all(home.join("tree/name")).unwrap();
    fs::write(home.join("tree/name/in-the-way"), "x").unwrap();
    fs::write(local.path().join("name"), "a file where a directory is").unwrap();
    let out = rsync(&server, &["-a", &(there + "/"), "host:tree/"]);
    assert_eq!(out.status.code(), Some(23), "{}", text(&out));
    assert!(text(&out).contains("rsync"), "{}", text(&out));
}

#[test]
fn rsync_does_not_leave_the_home() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let home = server.home("alice");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), home.join("out")).unwrap();
    let into = local.path().join("into");
    let there = shown(&into);
    // Whatever a client calls it, it is a path of the account.
    rsync_fails(&server, &["-a", "host:/etc/passwd", &there], "no such file");
    rsync_fails(&server, &["-a", "host:../../../etc/passwd", &there], "no such file");
    rsync_fails(&server, &["-a", "host:out/", &there], "permission denied");
    rsync_fails(&server, &["-a", "host:out/secret", &there], "permission denied");
    let file = local.path().join("file");
    fs::write(&file, "x").unwrap();
    rsync_fails(&server, &["-a", &shown(&file), "host:out/"], "permission denied");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // A link is a link, and those that lead out of what is copied are left out.
    let tree = local.path().join("tree");
    fs::create_dir(&tree).unwrap();
    symlink("/etc/passwd", tree.join("absolute")).unwrap();
    symlink("../../..", tree.join("above")).unwrap();
    symlink("file", tree.join("good")).unwrap();
    rsync_ok(&server, &["-a", &(shown(&tree) + "/"), "host:links"]);
    let names: Vec<_> =
        fs::read_dir(home.join("links")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["good"]);
    // Rules that name files of the machine read nothing: the kernel refuses.
    let rule = format!("--filter=dir-merge {}", shown(&outside.path().join("secret")));
    let out = rsync(&server, &["-a", &rule, "host:links/", &there]);
    assert!(!text(&out).contains("rule: `secret"), "{}", text(&out));
}

#[test]
fn without_the_right_to_make_links_they_become_unusable() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let some = ["list", "download", "upload", "create_dirs", "overwrite", "delete"];
    let (server, local) = ready(json!({"permissions": {"/": some}}));
    let tree = local.path().join("tree");
    make_tree(&tree);
    rsync_ok(&server, &["-a", &(shown(&tree) + "/"), "host:"]);
    let stored = fs::read_link(server.home("alice").join("inside")).unwrap();
    assert!(shown(&stored).starts_with("/rsyncd-munged/"), "{}", stored.display());
}

#[test]
fn programs_need_all_permissions_and_nothing_special() {
    if !has("rsync") || !has("ssh") || !has("git") {
        return;
    }
    let (server, local) = ready(json!({
        "permissions": {
            "/": ["*"],
            "/d/lacks": ["list", "download", "upload", "create_dirs", "overwrite"],
            "/fine": ["list", "download", "upload", "create_dirs", "overwrite", "delete"],
        },
    }));
    let home = server.home("alice");
    for dir in ["d/lacks", "fine", "d/other"] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    let there = shown(local.path());
    for place in ["host:d/lacks", "host:d", "host:"] {
        rsync_fails(&server, &["-a", &there, place], "permission denied");
        rsync_fails(&server, &["-a", place, &there], "permission denied");
    }
    rsync_ok(&server, &["-a", &there, "host:fine"]);
    rsync_ok(&server, &["-a", &there, "host:d/other"]);
    let out = ssh(&server, "git-upload-pack d", b"");
    assert!(text(&out).contains("git-upload-pack: /d: permission denied"), "{}", text(&out));
}

#[test]
fn programs_keep_away_from_virtual_folders_and_filters() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__ENABLED_SSH_COMMANDS", "*")]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("precious"), "x").unwrap();
    let made = json!({"name": "shared", "mapped_path": folder.path()});
    assert_eq!(server.api().post("/folders", &made).0, 201);
    let mounted =
        json!([{"name": "shared", "virtual_path": "/d/vf", "quota_size": 0, "quota_files": 0}]);
    server.add_user("alice", json!({"public_keys": [public_key()], "virtual_folders": mounted}));
    let home = server.home("alice");
    fs::create_dir_all(home.join("d/other")).unwrap();
    symlink("d", home.join("link")).unwrap();
    let local = tempfile::tempdir().unwrap();
    let there = shown(local.path());
    for place in ["host:", "host:d", "host:d/vf", "host:link/"] {
        rsync_fails(&server, &["-a", &there, place], "cannot work here");
        rsync_fails(&server, &["-a", place, &there], "cannot work here");
    }
    rsync_ok(&server, &["-a", &there, "host:d/other"]);
    for path in ["d", "d/vf", "/"] {
        let out = ssh(&server, &format!("sftpgo-remove {path}"), b"");
        assert!(text(&out).contains("permission denied"), "{path}: {}", text(&out));
    }
    assert!(folder.path().join("precious").exists() && home.join("d/other").exists());

    let filters = json!({"file_patterns": [{"path": "/x", "denied_patterns": ["*.exe"]}]});
    let changes = json!({"filters": filters, "virtual_folders": []});
    let mut user = server.api().get("/users/alice").1;
    for (key, value) in changes.as_object().unwrap() {
        user[key] = value.clone();
    }
    assert_eq!(server.api().put("/users/alice", &user).0, 200);
    let why = "cannot work here: the account has filters on names";
    rsync_fails(&server, &["-a", &there, "host:d/other"], why);
}

#[test]
fn git_works_where_no_filter_on_names_counts() {
    if !has("git") || !has("ssh") {
        return;
    }
    let filters = json!({
        "file_patterns": [
            {"path": "/photos", "denied_patterns": ["*.exe"]},
            {"path": "/below/it/deep", "denied_patterns": ["*"], "deny_policy": 1},
        ],
        "file_extensions": [{"path": "/texts", "denied_extensions": [".md"]}],
    });
    let (server, local) = ready(json!({"filters": filters}));
    let home = server.home("alice");
    let (bare, work) = repository(&server, local.path());
    assert!(bare.join("refs/heads/master").exists());
    git_ok(&server, &work, &["ls-remote", "URL/repo.git"]);
    for dir in ["photos/2026", "texts", "below/it/deep"] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    symlink("photos", home.join("link")).unwrap();
    for place in ["", "photos", "photos/2026", "texts", "below", "below/it", "link/2026"] {
        let out = git(&server, &work, &["ls-remote", &format!("URL/{place}")]);
        assert!(!out.status.success(), "{place}: {}", text(&out));
        let why = "cannot work here: filters on names count there";
        assert!(text(&out).contains(why), "{place}: {}", text(&out));
    }
    let beside = home.join("below/other.git");
    run(Command::new("git").args(["clone", "-q", "--bare"]).args([&bare, &beside]));
    git_ok(&server, &work, &["ls-remote", "URL/below/other.git"]);
}

#[test]
fn hostile_command_lines_are_refused_and_logged() {
    if !has("ssh") {
        return;
    }
    let (server, _local) = ready(json!({}));
    let marker = server.dir().join("marker");
    let touch = format!("touch {}", marker.display());
    let table = [
        ("rsync --daemon --config=/etc/passwd".to_owned(), "server side"),
        (format!("rsync --server -e '{touch}' . x"), "-e is not allowed"),
        (format!("rsync --server --rsh='{touch}' . x"), "--rsh is not allowed: it runs a program"),
        (format!("rsync --server -ltr --log-file={} . x", marker.display()), "--log-file"),
        ("rsync --server --sender -ltr --files-from=/etc/passwd . .".to_owned(), "--files-from"),
        ("rsync --server -ltr . x --super".to_owned(), "--super"),
        (format!("git-upload-pack --upload-pack='{touch}' x"), "--upload-pack=touch"),
        ("git-upload-pack x y".to_owned(), "exactly one repository"),
        ("git-receive-pack --http-backend-info-refs x".to_owned(), "not allowed"),
        ("git-upload-archive --exec=x".to_owned(), "not allowed"),
        (format!("git-upload-pack \"$({touch})\""), "no such file"),
        (format!("git-upload-pack '; {touch}'"), "no such file"),
        ("git-upload-pack ../../../../".to_owned(), "repository"),
    ];
    for (line, said) in table {
        let out = ssh(&server, &line, b"");
        assert!(!out.status.success(), "{line}: {}", text(&out));
        assert!(text(&out).contains(said), "{line}: {}", text(&out));
    }
    assert!(!marker.exists());
    server.wait_for_log("a refused option", |line| {
        line.to_string().contains("refused: option --rsh is not allowed")
    });
    let log = server.log_text();
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn the_quota_ends_rsync_and_is_measured_afterwards() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"quota_size": 1_000_000, "quota_files": 10}));
    let usage = || {
        let user = server.api().get("/users/alice").1;
        (
            user["used_quota_size"].as_u64().unwrap_or(0),
            user["used_quota_files"].as_u64().unwrap_or(0),
        )
    };
    let tree = local.path().join("tree");
    make_tree(&tree);
    rsync_ok(&server, &["-a", &(shown(&tree) + "/"), "host:tree"]);
    assert_eq!(usage(), (200_015, 4));
    fs::remove_file(tree.join("a/b/two words")).unwrap();
    rsync_ok(&server, &["-a", "--delete", &(shown(&tree) + "/"), "host:tree"]);
    assert_eq!(usage(), (15, 3));
    // Bytes that cannot be compressed.
    let noise: Vec<u8> =
        (0..3_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(tree.join("big"), noise).unwrap();
    rsync_fails(&server, &["-a", &(shown(&tree) + "/"), "host:tree"], "space limit");
    // It takes its time over removing what it had begun, under a name of its own.
    let stored = server.home("alice").join("tree");
    eventually("rsync has cleaned up", || {
        let mut names = fs::read_dir(&stored).unwrap().map(|entry| entry.unwrap().file_name());
        !names.any(|name| name.to_string_lossy().contains("big"))
    });
    eventually("the usage is measured", || usage() == (15, 3));
    fs::remove_file(tree.join("big")).unwrap();
    for at in 0..8 {
        fs::write(tree.join(format!("more-{at}")), "x").unwrap();
    }
    rsync_ok(&server, &["-a", &(shown(&tree) + "/"), "host:tree"]);
    assert_eq!(usage().1, 11);
    rsync_fails(&server, &["-a", &(shown(&tree) + "/"), "host:tree"], "space limit");
    // Reading is not writing.
    rsync_ok(&server, &["-a", "host:tree", &shown(&local.path().join("back"))]);
}

#[test]
fn what_rsync_brings_counts_also_where_nothing_can_be_measured() {
    if !has("rsync") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"quota_size": 1_000_000}));
    // Deeper than a path can be long, as a client can make it by moving directories.
    let home = server.home("alice");
    let deep = vec!["d".repeat(200); 12].join("/");
    for dir in ["a", "b"] {
        fs::create_dir_all(home.join(dir).join(&deep)).unwrap();
    }
    fs::rename(home.join("b"), home.join("a").join(&deep).join("b")).unwrap();
    let noise: Vec<u8> =
        (0..400_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(local.path().join("noise"), noise).unwrap();
    for name in ["one", "two"] {
        rsync_ok(&server, &[&shown(&local.path().join("noise")), &format!("host:{name}")]);
    }
    eventually("the usage", || {
        let user = server.api().get("/users/alice").1;
        user["used_quota_size"].as_u64().is_some_and(|size| size >= 800_000)
    });
    rsync_fails(&server, &[&shown(&local.path().join("noise")), "host:three"], "space limit");
}

#[test]
fn programs_run_as_the_account() {
    if !has("rsync") || !has("ssh") || !has("git") {
        return;
    }
    let local = tempfile::tempdir().unwrap();
    if fs::metadata(local.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can change users");
        return;
    }
    let (server, _local) = ready(json!({"uid": 12345, "gid": 23456}));
    for dir in [server.dir().to_owned(), server.homes()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let home = server.home("alice");
    std::os::unix::fs::chown(&home, Some(12345), Some(23456)).unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    rsync_ok(&server, &["-a", &(shown(&tree) + "/"), "host:tree"]);
    let owner = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!(owner(&home.join("tree/a/1")), (12345, 23456));
    // What is not the account's stays so.
    fs::write(home.join("tree/foreign"), "secret").unwrap();
    fs::set_permissions(home.join("tree/foreign"), fs::Permissions::from_mode(0o600)).unwrap();
    let back = local.path().join("back");
    let out = rsync(&server, &["-a", "host:tree/", &shown(&back)]);
    assert_eq!(out.status.code(), Some(23), "{}", text(&out));
    assert!(!back.join("foreign").exists() && back.join("a/1").exists());
    // A repository of somebody else can be read, and one of the account written.
    let (bare, work) = {
        git_ok(&server, &home, &["init", "-q", "--bare", "repo.git"]);
        run(Command::new("chown").args(["-R", "12345:23456"]).arg(home.join("repo.git")));
        git_ok(&server, local.path(), &["clone", "-q", "URL/repo.git", "work"]);
        (home.join("repo.git"), local.path().join("work"))
    };
    fs::write(work.join("file"), "content").unwrap();
    git_ok(&server, &work, &["add", "."]);
    git_ok(&server, &work, &["commit", "-q", "-m", "first"]);
    git_ok(&server, &work, &["push", "-q", "origin", "HEAD:master"]);
    assert_eq!(owner(&bare.join("refs/heads/master")), (12345, 23456));
    run(Command::new("chown").args(["-R", "0:0"]).arg(&bare));
    git_ok(&server, local.path(), &["clone", "-q", "URL/repo.git", "again"]);
    fs::write(work.join("file"), "changed").unwrap();
    git_ok(&server, &work, &["commit", "-q", "-a", "-m", "second"]);
    assert!(!git(&server, &work, &["push", "origin", "HEAD:master"]).status.success());
}

/// The processes that the server has started.
fn children(server: &TestServer) -> Vec<String> {
    let out = Command::new("ps")
        .args(["-o", "pid=,stat=,args=", "--ppid", &server.pid().to_string()])
        .output();
    String::from_utf8_lossy(&out.unwrap().stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_program_ends_with_its_session_and_leaves_no_zombie() {
    if !has("rsync") || !has("ssh") || !has("ps") {
        return;
    }
    let (server, local) = ready(json!({"upload_bandwidth": 64}));
    fs::File::create(local.path().join("big")).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let api = server.api();
    for end in ["kill", "leave"] {
        let mut client = Command::new("rsync")
            .args(["-a", "-e", &ssh_command(&server)])
            .arg(local.path().join("big"))
            .arg("alice@127.0.0.1:")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = || children(&server).iter().any(|line| line.contains("rsync --server"));
        eventually("rsync runs", running);
        eventually("it is listed", || {
            api.connections().iter().any(|session| {
                session["protocol"] == "SSH"
                    && session["active_transfers"].as_array().is_some_and(|all| !all.is_empty())
            })
        });
        let id = api.connections()[0]["connection_id"].as_str().unwrap().to_owned();
        if end == "kill" {
            assert_eq!(api.delete(&format!("/connections/{id}")).0, 200);
        } else {
            // Its ssh too: alone, that would send what it has first.
            let ssh =
                Command::new("pgrep").args(["-P", &client.id().to_string()]).output().unwrap();
            let ssh = String::from_utf8(ssh.stdout).unwrap();
            run(Command::new("kill").arg("-9").args(ssh.split_whitespace()));
        }
        eventually("no process is left", || children(&server).is_empty());
        eventually("no session is left", || api.connections().is_empty());
        let _ = client.kill();
        client.wait().unwrap();
    }
}

fn git(server: &TestServer, dir: &Path, args: &[&str]) -> Output {
    let url = format!("ssh://alice@127.0.0.1:{}", server.sftp_port);
    let mut command = Command::new("git");
    command.current_dir(dir).env("GIT_SSH_COMMAND", ssh_command(server));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for (key, value) in [("NAME", "Test"), ("EMAIL", "test@example.com")] {
        command.env(format!("GIT_AUTHOR_{key}"), value).env(format!("GIT_COMMITTER_{key}"), value);
    }
    command.args(args.iter().map(|arg| arg.replace("URL", &url)));
    command.stdin(Stdio::null()).output().unwrap()
}

fn git_ok(server: &TestServer, dir: &Path, args: &[&str]) -> Output {
    let out = git(server, dir, args);
    assert!(out.status.success(), "git {args:?}: {}\n{}", text(&out), server.output());
    out
}

/// A bare repository of the account, and a clone of it with one commit pushed.
fn repository(server: &TestServer, local: &Path) -> (PathBuf, PathBuf) {
    let bare = server.home("alice").join("repo.git");
    git_ok(server, local, &["init", "-q", "--bare", bare.to_str().unwrap()]);
    git_ok(server, local, &["clone", "-q", "URL/repo.git", "work"]);
    let work = local.join("work");
    fs::write(work.join("file"), "content").unwrap();
    git_ok(server, &work, &["add", "."]);
    git_ok(server, &work, &["commit", "-q", "-m", "first"]);
    git_ok(server, &work, &["push", "-q", "origin", "HEAD:master"]);
    (bare, work)
}

#[test]
fn git_clones_pushes_fetches_and_archives() {
    if !has("git") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({"quota_files": 1000}));
    let (bare, work) = repository(&server, local.path());
    assert!(bare.join("refs/heads/master").exists());
    // The suffix may be left out, and `work` learns what another clone pushes.
    git_ok(&server, local.path(), &["clone", "-q", "URL/repo", "other"]);
    let other = local.path().join("other");
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "content");
    fs::write(other.join("file"), "changed").unwrap();
    git_ok(&server, &other, &["commit", "-q", "-a", "-m", "second"]);
    git_ok(&server, &other, &["push", "-q", "origin", "HEAD:master"]);
    git_ok(&server, &work, &["fetch", "-q", "origin"]);
    let log = git_ok(&server, &work, &["log", "--oneline", "origin/master"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout).lines().count(), 2);
    let archive = git_ok(&server, local.path(), &["archive", "--remote=URL/repo.git", "master"]);
    assert!(archive.stdout.windows(7).any(|part| part == b"changed"));
    let user = server.api().get("/users/alice").1;
    assert!(user["used_quota_files"].as_u64().unwrap() > 5, "{user}");
    // What is no repository says so, by git's own words and status.
    fs::create_dir(server.home("alice").join("plain")).unwrap();
    let out = git(&server, local.path(), &["clone", "URL/plain", "x"]);
    assert!(
        !out.status.success() && text(&out).contains("not appear to be a git"),
        "{}",
        text(&out)
    );
    for sender in ["git-upload-pack", "git-receive-pack", "git-upload-archive"] {
        server.wait_for_log(sender, |line| {
            line["sender"] == "SSHCommand"
                && line["ssh_command"].as_str().is_some_and(|command| command.starts_with(sender))
                && line["file_path"].as_str().is_some_and(|path| path.contains("repo"))
        });
    }
}

#[test]
fn a_hostile_repository_runs_nothing() {
    if !has("git") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let (bare, work) = repository(&server, local.path());
    let home = server.home("alice");
    fs::write(work.join(".gitattributes"), "file filter=evil\nother filter=evil2\n").unwrap();
    fs::write(work.join("other"), "other").unwrap();
    git_ok(&server, &work, &["add", "."]);
    git_ok(&server, &work, &["commit", "-q", "-m", "attributes"]);
    git_ok(&server, &work, &["push", "-q", "origin", "HEAD:master"]);
    // Anything that runs leaves a mark where it could.
    let marks = home.join("marks");
    fs::create_dir(&marks).unwrap();
    fs::set_permissions(&marks, fs::Permissions::from_mode(0o777)).unwrap();
    let script = |name: &str| {
        let path = home.join(format!("{name}.sh"));
        fs::write(&path, format!("#!/bin/sh\n: > {}/{name}\n", marks.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        shown(&path)
    };
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "proc-receive",
        "push-to-checkout",
        "pre-auto-gc",
        "post-checkout",
        "pre-push",
    ] {
        let path = bare.join("hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\n: > {}/{hook}\n", marks.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let filter = format!(": > {}/filter; cat", marks.display());
    let settings = [
        ("core.fsmonitor", script("fsmonitor")),
        ("core.sshCommand", script("sshcommand")),
        ("core.gitProxy", script("gitproxy")),
        ("core.alternateRefsCommand", script("alternaterefs")),
        ("core.pager", script("pager")),
        ("core.editor", script("editor")),
        ("core.hooksPath", shown(&bare.join("hooks"))),
        ("uploadpack.packObjectsHook", script("packobjectshook")),
        ("uploadpack.allowFilter", "true".to_owned()),
        ("receive.denyCurrentBranch", "updateInstead".to_owned()),
        ("receive.procReceiveRefs", "refs".to_owned()),
        ("receive.certNonceSeed", "seed".to_owned()),
        ("receive.autogc", "true".to_owned()),
        ("gc.auto", "1".to_owned()),
        ("gpg.program", script("gpg")),
        ("credential.helper", script("credential")),
        ("filter.evil.smudge", filter.clone()),
        ("filter.evil.clean", filter.clone()),
        ("filter.evil.process", script("filterprocess")),
        ("filter.evil2.smudge", script("filterdirect")),
        ("tar.tgz.command", format!(": > {}/tgz; cat", marks.display())),
        ("tar.evil.command", format!(": > {}/tarevil; cat", marks.display())),
        ("tar.evil.remote", "true".to_owned()),
        ("remote.evil.url", format!("ext::sh -c :>{}/ext", marks.display())),
        ("remote.evil.promisor", "true".to_owned()),
        ("remote.evil.uploadpack", script("uploadpack")),
        ("extensions.partialClone", "evil".to_owned()),
        ("protocol.ext.allow", "always".to_owned()),
        ("core.repositoryformatversion", "1".to_owned()),
        ("safe.directory", "*".to_owned()),
    ];
    for (key, value) in &settings {
        let config = shown(&bare.join("config"));
        git_ok(&server, local.path(), &["config", "--file", &config, key, value]);
    }
    // Objects of a repository elsewhere are no objects of this one.
    let elsewhere = tempfile::tempdir().unwrap();
    git_ok(&server, elsewhere.path(), &["init", "-q", "--bare", "x.git"]);
    fs::write(
        bare.join("objects/info/alternates"),
        format!("{}\n", shown(&elsewhere.path().join("x.git/objects"))),
    )
    .unwrap();

    fs::write(work.join("more"), "more").unwrap();
    git_ok(&server, &work, &["add", "."]);
    git_ok(&server, &work, &["commit", "-q", "-m", "more"]);
    // Without the server in between it does run all that.
    let ran = || -> Vec<_> {
        fs::read_dir(&marks).unwrap().map(|mark| mark.unwrap().file_name()).collect()
    };
    let direct = shown(&bare);
    let _ = git(&server, &work, &["push", &direct, "HEAD:refs/heads/control"]);
    let remote = format!("--remote={direct}");
    let _ = git(&server, &work, &["archive", "--format=evil", &remote, "master"]);
    for mark in ["pre-receive", "alternaterefs", "filterprocess", "tarevil"] {
        assert!(ran().iter().any(|name| name == mark), "{mark} is no danger: {:?}", ran());
    }
    fs::remove_dir_all(&marks).unwrap();
    fs::create_dir(&marks).unwrap();
    fs::set_permissions(&marks, fs::Permissions::from_mode(0o777)).unwrap();

    let _ = git(&server, &work, &["push", "origin", "HEAD:master"]);
    let _ = git(&server, &work, &["push", "origin", "HEAD:refs/for/x"]);
    let _ = git(&server, local.path(), &["clone", "URL/repo.git", "again"]);
    let _ = git(&server, local.path(), &["clone", "--filter=blob:none", "URL/repo.git", "partial"]);
    for format in ["tar", "tgz", "evil", "zip"] {
        let format = format!("--format={format}");
        let _ =
            git(&server, local.path(), &["archive", &format, "--remote=URL/repo.git", "master"]);
    }
    // An object that is missing would be fetched from the promisor.
    let _ = fs::remove_dir_all(bare.join("objects/pack"));
    let _ = git(&server, local.path(), &["clone", "URL/repo.git", "missing"]);
    assert!(ran().is_empty(), "these ran: {:?}", ran());
}

#[test]
fn a_repository_that_points_elsewhere_gives_nothing_away() {
    if !has("git") || !has("ssh") {
        return;
    }
    let (server, local) = ready(json!({}));
    let (_, work) = repository(&server, local.path());
    // A repository outside of every home, readable by everybody.
    let outside = tempfile::tempdir().unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
    git_ok(
        &server,
        outside.path(),
        &["clone", "-q", "--bare", work.to_str().unwrap(), "secret.git"],
    );
    let secret = shown(&outside.path().join("secret.git"));
    let home = server.home("alice");
    fs::create_dir(home.join("file")).unwrap();
    fs::write(home.join("file/.git"), format!("gitdir: {secret}\n")).unwrap();
    symlink(&secret, home.join("link.git")).unwrap();
    for path in ["file", "link.git", "link"] {
        let out = git(&server, local.path(), &["clone", &format!("URL/{path}"), "stolen"]);
        assert!(!out.status.success(), "{path}: {}", text(&out));
    }
    assert!(!local.path().join("stolen/file").exists());
}
