//! The clients people use besides OpenSSH's sftp: each moves a tree up and down.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::TestServer;
use common::clients::{has, key, run, text};
use common::server::{PASSWORD, eventually};

/// A tree with a few sizes and names; equal trees have equal digests.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("sub dir/deep")).unwrap();
    let block: Vec<u8> = (0..=255u8).cycle().take(100_003).collect();
    for (name, len) in [
        ("empty", 0),
        ("one", 1),
        ("ünï", 1000),
        ("sub dir/a file", 32_768),
        ("sub dir/deep/large", 100_003),
    ] {
        fs::write(root.join(name), &block[..len]).unwrap();
    }
    let repeated = block.repeat(50);
    fs::write(root.join("five megabytes"), repeated).unwrap();
}

fn assert_same(a: &Path, b: &Path) {
    run(Command::new("diff").arg("-r").arg(a).arg(b));
}

#[test]
fn scp_in_sftp_mode() {
    if !has("scp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let port = server.sftp_port.to_string();
    let scp = |from: String, to: String| {
        let mut command = Command::new("scp");
        command.args(server.ssh_options()).args(["-s", "-r", "-p", "-P", &port, &from, &to]);
        run(&mut command);
    };
    scp(tree.display().to_string(), "alice@127.0.0.1:up".into());
    scp("alice@127.0.0.1:up".into(), local.path().join("down").display().to_string());
    assert_same(&tree, &local.path().join("down"));
}

#[test]
fn rclone_copies_checks_and_serves_both_ways() {
    if !has("rclone") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let remote = format!(
        ":sftp,host=127.0.0.1,port={},user=alice,key_file={},shell_type=none:",
        server.sftp_port,
        key().display()
    );
    let rclone = |args: &[&str]| {
        let mut command = Command::new("rclone");
        command.args(["--config", "/dev/null", "--retries", "1"]).args(args);
        run(&mut command)
    };
    let tree_arg = tree.display().to_string();
    rclone(&["copy", &tree_arg, &format!("{remote}up")]);
    assert_same(&tree, &server.home("alice").join("up"));
    rclone(&["check", "--download", &tree_arg, &format!("{remote}up")]);
    let down = local.path().join("down");
    rclone(&["copy", &format!("{remote}up"), &down.display().to_string()]);
    assert_same(&tree, &down);
    rclone(&["moveto", &format!("{remote}up"), &format!("{remote}moved")]);
    rclone(&["purge", &format!("{remote}moved")]);
    assert_eq!(fs::read_dir(server.home("alice")).unwrap().count(), 0);
}

#[test]
fn lftp_mirrors_both_ways() {
    if !has("lftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let connect = format!("ssh -a -x {}", server.ssh_options().join(" "));
    let script = format!(
        "set sftp:connect-program \"{connect}\"; set net:max-retries 1; set cmd:fail-exit yes; \
         open -u alice, -p {} sftp://127.0.0.1; \
         mirror -R --parallel=3 {} up; mirror --parallel=3 up {}/down; ls up",
        server.sftp_port,
        tree.display(),
        local.path().display(),
    );
    let out = run(Command::new("lftp").args(["--norc", "-c", &script]));
    assert!(out.contains("five megabytes"), "{out}");
    assert_same(&tree, &server.home("alice").join("up"));
    assert_same(&tree, &local.path().join("down"));
}

/// The account's root as a directory, through sshfs.
struct Mount {
    child: std::process::Child,
    at: std::path::PathBuf,
}

impl Mount {
    fn new(server: &TestServer, at: &Path) -> Self {
        let child = Command::new("sshfs")
            .args(["-f", "-p", &server.sftp_port.to_string()])
            .args(["-o", "StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,LogLevel=ERROR"])
            .args(["-o", &format!("IdentitiesOnly=yes,IdentityFile={}", key().display())])
            .args(["alice@127.0.0.1:/", &at.display().to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let shown = at.display().to_string();
        eventually("the mount", || fs::read_to_string("/proc/mounts").unwrap().contains(&shown));
        Self { child, at: at.to_owned() }
    }

    fn unmount(mut self) {
        run(Command::new("fusermount3").arg("-u").arg(&self.at));
        self.child.wait().unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Only a failing test comes here with the mount in place.
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.at).status();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[test]
fn sshfs_mounts_read_and_write() {
    if !has("sshfs") || !Path::new("/dev/fuse").exists() {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let mount = local.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let mounted = Mount::new(&server, &mount);
    run(Command::new("cp").arg("-r").arg(&tree).arg(mount.join("up")));
    assert_same(&tree, &mount.join("up"));
    // In the middle of a file, appended to, truncated, and renamed over.
    let file = mount.join("up/one");
    let edit = "import sys\nf=open(sys.argv[1],'r+b')\nf.truncate(10)\nf.seek(4)\nf.write(b'mid')\nf.close()\nf=open(sys.argv[1],'ab')\nf.write(b'end')\nf.close()";
    run(Command::new("python3").args(["-c", edit]).arg(&file));
    let expected = fs::read(&file).unwrap();
    assert_eq!(&expected[4..], b"mid\0\0\0end");
    fs::rename(&file, mount.join("up/empty")).unwrap();
    mounted.unmount();
    assert_eq!(fs::read(server.home("alice").join("up/empty")).unwrap(), expected);
}

#[test]
fn psftp_and_pscp_of_putty() {
    if !has("psftp") || !has("pscp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let fingerprint =
        run(Command::new("ssh-keygen").args(["-l", "-f"]).arg(server.dir().join("id_ed25519.pub")));
    let fingerprint = fingerprint.split_whitespace().nth(1).unwrap().to_owned();
    let common = |command: &mut Command| {
        command
            .env("HOME", local.path())
            .args(["-batch", "-P", &server.sftp_port.to_string(), "-pw", PASSWORD])
            .args(["-hostkey", &fingerprint]);
    };
    let batch = local.path().join("batch");
    fs::write(
        &batch,
        format!(
            "put -r {} up\nls up\nget -r up {}/down\nquit\n",
            tree.display(),
            local.path().display()
        ),
    )
    .unwrap();
    let mut psftp = Command::new("psftp");
    common(&mut psftp);
    run(psftp.arg("-b").arg(&batch).arg("alice@127.0.0.1"));
    assert_same(&tree, &local.path().join("down"));
    let mut pscp = Command::new("pscp");
    common(&mut pscp);
    run(pscp.args(["-sftp", "-r", "-p"]).arg(&tree).arg("alice@127.0.0.1:."));
    assert_same(&tree, &server.home("alice").join("tree"));
}

#[test]
fn paramiko_with_prefetch_and_asyncssh() {
    let server = TestServer::start();
    server.add_user("alice", serde_json::json!({}));
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    for script in ["paramiko_tree.py", "asyncssh_tree.py"] {
        let down = local.path().join(script);
        let Some(out) = server.python_client(script, "alice", [&tree, &down]) else { return };
        assert!(out.status.success(), "{script}: {}", text(&out));
        assert_same(&tree, &down);
    }
}

#[test]
fn winscp_habits_leave_the_right_file() {
    // A temporary name, times set through the open handle and by path, then a rename.
    let server = TestServer::start();
    server.add_user("alice", serde_json::json!({}));
    let Some(out) = server.python_client("winscp_habits.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
}

#[test]
fn restic_backs_up_and_restores() {
    if !has("restic") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    make_tree(&tree);
    let ssh = format!(
        "ssh {} -p {} alice@127.0.0.1 -s sftp",
        server.ssh_options().join(" "),
        server.sftp_port
    );
    let restic = |args: &[&str]| {
        let mut command = Command::new("restic");
        command
            .env("RESTIC_PASSWORD", "test")
            .env("HOME", local.path())
            .args(["-o", &format!("sftp.command={ssh}"), "-r", "sftp:alice@127.0.0.1:/repo"])
            .args(args);
        run(&mut command)
    };
    restic(&["init"]);
    restic(&["backup", &tree.display().to_string()]);
    restic(&["check", "--read-data"]);
    let target = local.path().join("restored");
    restic(&["restore", "latest", "--target", &target.display().to_string()]);
    let below = tree.strip_prefix("/").unwrap();
    assert_same(&tree, &target.join(below));
}

#[test]
fn git_annex_stores_and_fetches_through_its_sftp_mount() {
    if !has("git-annex") || !has("sshfs") || !Path::new("/dev/fuse").exists() {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let (mount, repo) = (local.path().join("mount"), local.path().join("repo"));
    fs::create_dir(&mount).unwrap();
    fs::create_dir(&repo).unwrap();
    let mounted = Mount::new(&server, &mount);
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(&repo)
            .env("HOME", local.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args);
        run(&mut command)
    };
    git(&["init", "-q"]);
    git(&["annex", "init", "test"]);
    let block: Vec<u8> = (0..=255u8).cycle().take(3_000_000).collect();
    fs::write(repo.join("data.bin"), &block).unwrap();
    git(&["annex", "add", "data.bin"]);
    git(&["commit", "-q", "-m", "data"]);
    let directory = format!("directory={}", mount.display());
    git(&["annex", "initremote", "store", "type=directory", &directory, "encryption=none"]);
    git(&["annex", "move", "data.bin", "--to", "store"]);
    assert!(fs::read(repo.join("data.bin")).is_err(), "the content has moved away");
    git(&["annex", "fsck", "data.bin", "--from", "store"]);
    git(&["annex", "get", "data.bin"]);
    assert_eq!(fs::read(repo.join("data.bin")).unwrap(), block);
    mounted.unmount();
}
