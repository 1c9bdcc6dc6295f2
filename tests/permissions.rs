//! What an account may do, as a client on the wire sees it: every operation with every
//! set of permissions and every filter on names. What is refused has its status, and
//! changes nothing on the disk.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::TestServer;
use common::raw_sftp::{
    APPEND, Attributes, CREATE, EXCLUSIVE, FAILURE, NO_SUCH_FILE, OK, OP_UNSUPPORTED,
    PERMISSION_DENIED, READ, RawSftp, Reply, TRUNCATE, WRITE,
};
use serde_json::{Value, json};

const ALL: [&str; 16] = [
    "list",
    "download",
    "upload",
    "overwrite",
    "delete",
    "delete_files",
    "delete_dirs",
    "rename",
    "rename_files",
    "rename_dirs",
    "create_dirs",
    "create_symlinks",
    "chmod",
    "chown",
    "chtimes",
    "copy",
];

/// What a test account begins with, below its home.
fn make_tree(home: &Path) {
    for dir in ["d", "e"] {
        let _ = fs::remove_dir_all(home.join(dir));
    }
    for dir in ["d/dir", "d/full", "e/dir"] {
        fs::create_dir_all(home.join(dir)).unwrap();
        fs::set_permissions(home.join(dir), PermissionsExt::from_mode(0o755)).unwrap();
    }
    for file in ["d/file", "d/other", "d/full/file", "e/file", "e/other"] {
        fs::write(home.join(file), file).unwrap();
        fs::set_permissions(home.join(file), PermissionsExt::from_mode(0o644)).unwrap();
    }
    for link in ["d/link", "e/link"] {
        symlink("file", home.join(link)).unwrap();
    }
}

/// Everything there is to know of a tree, but the times of reading.
fn snapshot(home: &Path) -> BTreeMap<PathBuf, (Vec<u8>, [i64; 9])> {
    let mut found = BTreeMap::new();
    let mut todo = vec![home.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = match stat.file_type() {
            kind if kind.is_dir() => {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                Vec::new()
            }
            kind if kind.is_symlink() => {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            }
            _ => fs::read(&path).unwrap(),
        };
        let numbers = [
            i64::from(stat.mode()),
            i64::from(stat.uid()),
            i64::from(stat.gid()),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            stat.ino() as i64,
            stat.nlink() as i64,
        ];
        found.insert(path, (content, numbers));
    }
    found
}

/// A request, or the few that belong together; the first refusal ends it.
#[derive(Debug, Clone, Copy)]
enum Do {
    List(&'static str),
    Stat(&'static str),
    Lstat(&'static str),
    ReadLink(&'static str),
    RealPath(&'static str),
    Space(&'static str),
    Open(&'static str, u32),
    Set(&'static str, Attributes),
    /// FSETSTAT of a file opened for reading.
    SetRead(&'static str, Attributes),
    Remove(&'static str),
    RemoveDir(&'static str),
    MakeDir(&'static str),
    Rename(&'static str, &'static str),
    PosixRename(&'static str, &'static str),
    /// Target, link.
    Symlink(&'static str, &'static str),
    HardLink(&'static str, &'static str),
    CopyData(&'static str, &'static str),
}

async fn perform(client: &mut RawSftp, what: Do) -> u32 {
    let reply = match what {
        Do::List(path) => match client.list(path).await {
            Ok(_) => return OK,
            Err(code) => return code,
        },
        Do::Stat(path) => client.stat(path).await,
        Do::Lstat(path) => client.lstat(path).await,
        Do::ReadLink(path) => client.read_link(path).await,
        Do::RealPath(path) => client.real_path(path).await,
        Do::Space(path) => client.space(path).await,
        Do::Open(path, flags) => match client.open(path, flags).await {
            Reply::Handle(handle) => {
                if flags & WRITE != 0 {
                    assert_eq!(client.write(&handle, b"written").await.code(), OK, "{what:?}");
                }
                if flags & READ != 0 {
                    assert!(matches!(client.read(&handle).await, Reply::Data(_)), "{what:?}");
                }
                client.close(&handle).await
            }
            refusal => refusal,
        },
        Do::Set(path, wanted) => client.set_attributes(path, wanted).await,
        Do::SetRead(path, wanted) => match client.open(path, READ).await {
            Reply::Handle(handle) => {
                let reply = client.set_attributes_of(&handle, wanted).await;
                client.close(&handle).await;
                reply
            }
            refusal => refusal,
        },
        Do::Remove(path) => client.remove(path).await,
        Do::RemoveDir(path) => client.remove_dir(path).await,
        Do::MakeDir(path) => client.make_dir(path).await,
        Do::Rename(from, to) => client.rename(from, to).await,
        Do::PosixRename(from, to) => client.posix_rename(from, to).await,
        Do::Symlink(target, link) => client.symlink(target, link).await,
        Do::HardLink(from, to) => client.hard_link(from, to).await,
        Do::CopyData(from, to) => {
            let source = match client.open(from, READ).await {
                Reply::Handle(handle) => handle,
                refusal => return refusal.code(),
            };
            let reply = match client.open(to, WRITE | CREATE | TRUNCATE).await {
                Reply::Handle(target) => {
                    let copied = client.copy_data(&source, &target).await;
                    client.close(&target).await;
                    copied
                }
                refusal => refusal,
            };
            client.close(&source).await;
            reply
        }
    };
    reply.code()
}

const NOTHING: Attributes = Attributes { size: None, owner: None, mode: None, times: None };
const MODE: Attributes = Attributes { mode: Some(0o600), ..NOTHING };
const TIMES: Attributes = Attributes { times: Some((1, 2)), ..NOTHING };
const SIZE: Attributes = Attributes { size: Some(2), ..NOTHING };

/// Every operation on `/d`, and the lists of permissions there of which each is enough.
/// What it needs elsewhere, it has.
fn operations() -> Vec<(Do, Vec<Vec<&'static str>>)> {
    // To one's own account: what nobody need be root for.
    let own = fs::metadata("/proc/self").map(|stat| (stat.uid(), stat.gid())).unwrap();
    let owner = Attributes { owner: Some(own), ..NOTHING };
    let new = WRITE | CREATE;
    let always: &[&[&str]] = &[&[]];
    let list: &[&[&str]] = &[&["list"]];
    let overwrite: &[&[&str]] = &[&["upload", "overwrite"]];
    let delete_file: &[&[&str]] = &[&["delete"], &["delete_files"]];
    let delete_dir: &[&[&str]] = &[&["delete"], &["delete_dirs"]];
    let rename_file: &[&[&str]] =
        &[&["rename"], &["rename_files"], &["delete", "upload"], &["delete_files", "upload"]];
    let replace_file: &[&[&str]] = &[
        &["rename", "overwrite"],
        &["rename_files", "overwrite"],
        &["delete", "upload", "overwrite"],
        &["delete_files", "upload", "overwrite"],
    ];
    let rename_link: &[&[&str]] = &[
        &["rename"],
        &["rename_files"],
        &["delete", "create_symlinks"],
        &["delete_files", "create_symlinks"],
    ];
    let rename_dir: &[&[&str]] = &[
        &["rename"],
        &["rename_dirs"],
        &["delete", "create_dirs"],
        &["delete_dirs", "create_dirs"],
    ];
    // Half of a rename: the other directory grants everything.
    let file_out: &[&[&str]] = &[&["rename"], &["rename_files"], &["delete"], &["delete_files"]];
    let file_in: &[&[&str]] = &[&["rename"], &["rename_files"], &["upload"]];
    let dir_out: &[&[&str]] = &[&["rename"], &["rename_dirs"], &["delete"], &["delete_dirs"]];
    let dir_in: &[&[&str]] = &[&["rename"], &["rename_dirs"], &["create_dirs"]];
    let link_in: &[&[&str]] = &[&["rename"], &["rename_files"], &["create_symlinks"]];
    let replace_in: &[&[&str]] =
        &[&["rename", "overwrite"], &["rename_files", "overwrite"], &["upload", "overwrite"]];
    let symlink: &[&[&str]] = &[&["create_symlinks"]];
    let table: Vec<(Do, &[&[&str]])> = vec![
        (Do::List("/d"), list),
        (Do::List("/d/full"), list),
        (Do::Space("/d"), list),
        (Do::Stat("/d"), always),
        (Do::Lstat("/d"), always),
        (Do::Stat("/"), always),
        (Do::RealPath("/d/../d/file"), always),
        (Do::Stat("/d/file"), list),
        (Do::Stat("/d/link"), list),
        (Do::Lstat("/d/link"), list),
        (Do::ReadLink("/d/link"), list),
        (Do::Open("/d/file", READ), &[&["download"]]),
        (Do::Open("/d/link", READ), &[&["download"]]),
        (Do::Open("/d/new", new), &[&["upload"]]),
        (Do::Open("/d/new", new | TRUNCATE), &[&["upload"]]),
        (Do::Open("/d/new", new | EXCLUSIVE), &[&["upload"]]),
        (Do::Open("/d/new", new | READ), &[&["upload", "download"]]),
        (Do::Open("/d/file", new | TRUNCATE), overwrite),
        (Do::Open("/d/file", new), overwrite),
        (Do::Open("/d/file", WRITE), overwrite),
        (Do::Open("/d/file", WRITE | APPEND), overwrite),
        (Do::Open("/d/link", new | TRUNCATE), overwrite),
        (Do::Open("/d/file", WRITE | READ), &[&["upload", "overwrite", "download"]]),
        (Do::CopyData("/d/file", "/d/new"), &[&["download", "upload"]]),
        (Do::CopyData("/d/file", "/e/other"), &[&["download"]]),
        (Do::CopyData("/e/file", "/d/other"), overwrite),
        (Do::Set("/d/file", SIZE), &[&["overwrite"]]),
        (Do::Set("/d/file", MODE), &[&["chmod"]]),
        (Do::Set("/d/dir", MODE), &[&["chmod"]]),
        (Do::Set("/d/file", owner), &[&["chown"]]),
        (Do::Set("/d/file", TIMES), &[&["chtimes"]]),
        (Do::Set("/d/file", Attributes { mode: Some(0o600), ..TIMES }), &[&["chmod", "chtimes"]]),
        (Do::Set("/d/file", Attributes { mode: Some(0o600), ..SIZE }), &[&["chmod", "overwrite"]]),
        (Do::SetRead("/d/file", MODE), &[&["download", "chmod"]]),
        (Do::Remove("/d/file"), delete_file),
        (Do::Remove("/d/link"), delete_file),
        (Do::RemoveDir("/d/dir"), delete_dir),
        (Do::MakeDir("/d/new"), &[&["create_dirs"]]),
        (Do::Rename("/d/file", "/d/new"), rename_file),
        (Do::PosixRename("/d/file", "/d/new"), rename_file),
        (Do::Rename("/d/file", "/d/other"), replace_file),
        (Do::PosixRename("/d/file", "/d/other"), replace_file),
        (Do::Rename("/d/link", "/d/new"), rename_link),
        (Do::Rename("/d/full", "/d/new"), rename_dir),
        (Do::Rename("/d/file", "/e/new"), file_out),
        (Do::Rename("/d/file", "/e/other"), file_out),
        (Do::Rename("/e/file", "/d/new"), file_in),
        (Do::Rename("/e/file", "/d/other"), replace_in),
        (Do::Rename("/d/full", "/e/new"), dir_out),
        (Do::Rename("/e/dir", "/d/new"), dir_in),
        (Do::Rename("/d/link", "/e/new"), file_out),
        (Do::Rename("/e/link", "/d/new"), link_in),
        (Do::Symlink("file", "/d/new"), symlink),
        (Do::Symlink("/d/file", "/e/new"), symlink),
        (Do::Symlink("/e/file", "/d/new"), symlink),
    ];
    let owned = |enough: &[&[&'static str]]| enough.iter().map(|all| all.to_vec()).collect();
    table.into_iter().map(|(what, enough)| (what, owned(enough))).collect()
}

/// Nothing, everything, each permission alone, all but one, and what belongs together.
fn sets() -> Vec<Vec<&'static str>> {
    let mut sets = vec![vec![], vec!["*"]];
    sets.extend(ALL.map(|one| vec![one]));
    sets.extend(ALL.map(|one| ALL.into_iter().filter(|other| *other != one).collect()));
    for text in [
        "upload overwrite",
        "download upload",
        "download upload overwrite",
        "download chmod",
        "chmod chtimes",
        "chmod overwrite",
        "rename overwrite",
        "rename_files overwrite",
        "rename_dirs overwrite",
        "rename_files rename_dirs",
        "delete upload",
        "delete upload overwrite",
        "delete_files upload",
        "delete_dirs upload",
        "delete create_dirs",
        "delete_dirs create_dirs",
        "delete_files create_dirs",
        "delete create_symlinks",
        "delete_files create_symlinks",
        "delete_files delete_dirs",
    ] {
        sets.push(text.split(' ').collect());
    }
    sets
}

fn add_user(
    server: &TestServer,
    api: &common::api::Api,
    name: &str,
    permissions: &Value,
    filters: &Value,
) {
    let user = json!({
        "username": name, "password": common::server::PASSWORD, "status": 1,
        "home_dir": server.home(name), "permissions": permissions, "filters": filters,
    });
    let (status, body) = api.post("/users", &user);
    assert_eq!(status, 201, "{body}");
}

fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn every_operation_needs_its_permissions_and_a_refused_one_changes_nothing() {
    let server = TestServer::start();
    let api = server.api();
    let accounts: Vec<_> = sets()
        .into_iter()
        .enumerate()
        .map(|(number, set)| {
            let name = format!("u{number}");
            add_user(&server, &api, &name, &json!({"/": ["*"], "/d": set}), &json!({}));
            (name, set)
        })
        .collect();
    run(async {
        let (port, homes) = (server.sftp_port, server.homes());
        // A few accounts at a time: most of it is waiting.
        let mut workers = tokio::task::JoinSet::new();
        for part in 0..4 {
            let accounts: Vec<_> = accounts.iter().skip(part).step_by(4).cloned().collect();
            let homes = homes.clone();
            workers.spawn(async move {
                for (name, set) in accounts {
                    try_everything(port, &name, &homes.join(&name), &set).await;
                }
            });
        }
        while let Some(done) = workers.join_next().await {
            done.unwrap();
        }
    });
}

async fn try_everything(port: u16, name: &str, home: &Path, set: &[&str]) {
    let mut client = RawSftp::login(port, name).await;
    make_tree(home);
    let mut before = snapshot(home);
    for (what, enough) in operations() {
        let has = |one: &&str| set.contains(one) || set.contains(&"*");
        let may = enough.iter().any(|all| all.iter().all(has));
        let code = perform(&mut client, what).await;
        assert_eq!(code, if may { OK } else { PERMISSION_DENIED }, "{what:?} with {set:?}");
        let after = snapshot(home);
        if !may {
            assert!(after == before, "{what:?} with {set:?} was refused and changed something");
        }
        if after != before {
            make_tree(home);
            before = snapshot(home);
        }
    }
    // No permission is enough for these.
    for (what, want) in [
        (Do::HardLink("/d/file", "/d/hard"), OP_UNSUPPORTED),
        (Do::Remove("/"), PERMISSION_DENIED),
        (Do::RemoveDir("/"), PERMISSION_DENIED),
        (Do::Rename("/", "/new"), PERMISSION_DENIED),
        (Do::Rename("/e/file", "/"), PERMISSION_DENIED),
        (Do::Symlink("../../outside", "/e/new"), PERMISSION_DENIED),
    ] {
        assert_eq!(perform(&mut client, what).await, want, "{what:?} with {set:?}");
    }
    // What is wrong with the object itself is told only to whom it is allowed.
    let everything = set.contains(&"*");
    for (what, want) in [
        (Do::Remove("/d/dir"), FAILURE),
        (Do::RemoveDir("/d/file"), FAILURE),
        (Do::RemoveDir("/d/full"), FAILURE),
        (Do::Rename("/d/file", "/d/dir"), FAILURE),
        (Do::MakeDir("/d/dir"), FAILURE),
        (Do::Open("/d/file", WRITE | CREATE | EXCLUSIVE), FAILURE),
        (Do::Open("/d/none", READ), NO_SUCH_FILE),
        (Do::Open("/d/none", WRITE), NO_SUCH_FILE),
        (Do::Rename("/d/none", "/d/new"), NO_SUCH_FILE),
        (Do::Remove("/d/none"), NO_SUCH_FILE),
        (Do::Stat("/d/none"), NO_SUCH_FILE),
        (Do::List("/d/none"), NO_SUCH_FILE),
    ] {
        let code = perform(&mut client, what).await;
        if everything {
            assert_eq!(code, want, "{what:?} with {set:?}");
        } else if set.is_empty() {
            assert_eq!(code, PERMISSION_DENIED, "{what:?} with {set:?}");
        } else {
            assert!(code == want || code == PERMISSION_DENIED, "{what:?} with {set:?}: {code}");
        }
    }
    assert!(snapshot(home) == before, "something was changed with {set:?}");
}

#[test]
fn the_entry_of_the_deepest_directory_counts_alone() {
    let server = TestServer::start();
    let api = server.api();
    let permissions = json!({
        "/": ["*"], "/in": ["list", "upload"], "/in/closed": [], "/in/closed/open": ["download"],
        "/out": ["list", "download"],
    });
    add_user(&server, &api, "alice", &permissions, &json!({}));
    run(async {
        let mut client = RawSftp::login(server.sftp_port, "alice").await;
        let home = server.home("alice");
        for dir in ["in/closed/open", "in/deep", "out", "free/sub"] {
            fs::create_dir_all(home.join(dir)).unwrap();
        }
        for file in ["in/a", "in/deep/a", "in/closed/a", "in/closed/open/a", "out/a", "free/a"] {
            fs::write(home.join(file), file).unwrap();
        }
        let new = WRITE | CREATE | TRUNCATE;
        for (what, want) in [
            (Do::List("/in"), OK),
            (Do::List("/in/deep"), OK),
            (Do::Open("/in/deep/a", READ), PERMISSION_DENIED),
            (Do::Open("/in/deep/new", new), OK),
            (Do::Open("/in/deep/new", new), PERMISSION_DENIED),
            // An empty list allows nothing, not even a look; the directory itself is seen.
            (Do::List("/in/closed"), PERMISSION_DENIED),
            (Do::Stat("/in/closed"), OK),
            (Do::Stat("/in/closed/a"), PERMISSION_DENIED),
            (Do::Open("/in/closed/a", READ), PERMISSION_DENIED),
            (Do::Open("/in/closed/new", new), PERMISSION_DENIED),
            (Do::Space("/in/closed"), PERMISSION_DENIED),
            // What is above does not take away either.
            (Do::Open("/in/closed/open/a", READ), OK),
            (Do::Open("/in/closed/../closed/open/a", READ), OK),
            (Do::Open("/in/closed/open/new", new), PERMISSION_DENIED),
            (Do::Open("/out/a", READ), OK),
            (Do::Open("/out/a", WRITE), PERMISSION_DENIED),
            (Do::Remove("/out/a"), PERMISSION_DENIED),
            (Do::Rename("/out/a", "/free/b"), PERMISSION_DENIED),
            (Do::Rename("/free/a", "/out/b"), PERMISSION_DENIED),
            (Do::Rename("/free/a", "/in/b"), OK),
            (Do::Rename("/in/b", "/free/a"), PERMISSION_DENIED),
            // Entries cannot be shed, and nothing is brought under those of others.
            (Do::Rename("/in", "/gone"), PERMISSION_DENIED),
            (Do::Rename("/out", "/free/out"), PERMISSION_DENIED),
            (Do::Rename("/in/closed", "/free/closed"), PERMISSION_DENIED),
            (Do::Symlink("/in", "/free/in"), PERMISSION_DENIED),
            (Do::Symlink("/out", "/free/out"), PERMISSION_DENIED),
            (Do::Symlink("/", "/free/all"), PERMISSION_DENIED),
            (Do::Symlink("/free/sub", "/free/link"), OK),
            (Do::Rename("/free/sub", "/free/other"), OK),
        ] {
            assert_eq!(perform(&mut client, what).await, want, "{what:?}");
        }
        fs::remove_dir_all(home.join("out")).unwrap();
        assert_eq!(perform(&mut client, Do::Rename("/free", "/out")).await, PERMISSION_DENIED);
    });
}

#[test]
fn denied_names_are_refused_and_hidden_ones_do_not_exist() {
    let server = TestServer::start();
    let api = server.api();
    let filters = json!({
        "file_patterns": [
            {"path": "/seen", "denied_patterns": ["no*"]},
            {"path": "/dark", "denied_patterns": ["no*"], "deny_policy": 1},
            {"path": "/only", "allowed_patterns": ["*.JPG", "[a-c]?"]},
        ],
        "file_extensions": [{"path": "/", "denied_extensions": [".exe"]}],
    });
    add_user(&server, &api, "alice", &json!({"/": ["*"]}), &filters);
    run(async {
        let mut client = RawSftp::login(server.sftp_port, "alice").await;
        let home = server.home("alice");
        for dir in ["seen/nodir", "dark/nodir/sub", "only", "free/dir"] {
            fs::create_dir_all(home.join(dir)).unwrap();
        }
        for file in [
            "seen/no",
            "seen/NO",
            "seen/yes",
            "dark/no",
            "dark/yes",
            "dark/nodir/file",
            "dark/nodir/sub/file",
            "only/a.jpg",
            "only/a.png",
            "free/file",
            "free/a.EXE",
        ] {
            fs::write(home.join(file), file).unwrap();
        }
        for (link, target) in [
            ("seen/nolink", "yes"),
            ("dark/nolink", "yes"),
            ("free/seen", "../seen/no"),
            ("free/dark", "../dark/no"),
            ("free/darkdir", "../dark"),
        ] {
            symlink(target, home.join(link)).unwrap();
        }
        let before = snapshot(&home);
        let new = WRITE | CREATE;
        // (the operation on a denied name that is seen, and on a hidden one)
        let table = [
            (Do::List("/seen/nodir"), Do::List("/dark/nodir"), OK),
            (Do::Stat("/seen/no"), Do::Stat("/dark/no"), OK),
            (Do::Stat("/seen/NO"), Do::Stat("/dark/NO"), OK),
            (Do::Lstat("/seen/nolink"), Do::Lstat("/dark/nolink"), OK),
            (Do::ReadLink("/seen/nolink"), Do::ReadLink("/dark/nolink"), OK),
            (Do::Space("/seen/nodir"), Do::Space("/dark/nodir"), OK),
            (Do::Open("/seen/no", READ), Do::Open("/dark/no", READ), 3),
            (Do::Open("/seen/NO", READ), Do::Open("/dark/nO", READ), 3),
            (Do::Open("/seen/nolink", READ), Do::Open("/dark/nolink", READ), 3),
            (Do::Open("/free/seen", READ), Do::Open("/free/dark", READ), 3),
            (Do::Open("/free/seen", WRITE), Do::Open("/free/darkdir/no", READ), 3),
            (Do::Open("/seen/nonew", new), Do::Open("/dark/nonew", new), 3),
            (Do::Open("/seen/no", new | TRUNCATE), Do::Open("/dark/no", new | TRUNCATE), 3),
            (Do::Open("/seen/no", WRITE | APPEND), Do::Open("/dark/no", WRITE | APPEND), 3),
            (Do::Open("/seen/no", new | EXCLUSIVE), Do::Open("/dark/no", new | EXCLUSIVE), 3),
            (Do::Open("/seen/no", WRITE | READ), Do::Open("/dark/no", WRITE | READ), 3),
            (Do::CopyData("/seen/yes", "/seen/nonew"), Do::CopyData("/dark/yes", "/dark/nonew"), 3),
            (Do::CopyData("/seen/no", "/seen/yesnew"), Do::CopyData("/dark/no", "/dark/yesnew"), 3),
            (Do::Remove("/seen/no"), Do::Remove("/dark/no"), 3),
            (Do::RemoveDir("/seen/nodir"), Do::RemoveDir("/dark/nodir"), 3),
            (Do::MakeDir("/seen/nonew"), Do::MakeDir("/dark/nonew"), 3),
            (Do::Rename("/seen/no", "/seen/yesnew"), Do::Rename("/dark/no", "/dark/yesnew"), 3),
            (Do::Rename("/seen/yes", "/seen/nonew"), Do::Rename("/dark/yes", "/dark/nonew"), 3),
            (Do::Rename("/free/file", "/seen/no"), Do::Rename("/free/file", "/dark/no"), 3),
            (
                Do::PosixRename("/seen/no", "/free/new"),
                Do::PosixRename("/free/darkdir/no", "/free/new"),
                3,
            ),
            (Do::Symlink("no", "/seen/yeslink"), Do::Symlink("no", "/dark/yeslink"), 3),
            (Do::Symlink("yes", "/seen/nonew"), Do::Symlink("yes", "/dark/nonew"), 3),
            (Do::Set("/seen/no", MODE), Do::Set("/dark/no", MODE), 3),
            (Do::Set("/seen/no", TIMES), Do::Set("/dark/no", TIMES), 3),
            (Do::Set("/seen/no", SIZE), Do::Set("/dark/no", SIZE), 3),
        ];
        for (seen, dark, want) in table {
            assert_eq!(perform(&mut client, seen).await, want, "{seen:?}");
            assert_eq!(perform(&mut client, dark).await, NO_SUCH_FILE, "{dark:?}");
        }
        // Nothing exists below a hidden directory.
        for below in [
            Do::Stat("/dark/nodir/file"),
            Do::Open("/dark/nodir/file", READ),
            Do::Open("/dark/nodir/new", new),
            Do::List("/dark/nodir/sub"),
            Do::Open("/dark/nodir/sub/file", READ),
            Do::MakeDir("/dark/nodir/new"),
            Do::Remove("/dark/nodir/file"),
            Do::RemoveDir("/dark/nodir/sub"),
            Do::Rename("/dark/nodir/file", "/free/new"),
            Do::Rename("/free/file", "/dark/nodir/new"),
            Do::Set("/dark/nodir/file", MODE),
            Do::Symlink("/dark/nodir/file", "/free/new"),
        ] {
            assert_eq!(perform(&mut client, below).await, NO_SUCH_FILE, "{below:?}");
        }
        // Directories would take names along; other ways in and out are closed as well.
        for (what, want) in [
            (Do::Rename("/seen", "/free/new"), 3),
            (Do::Rename("/free/dir", "/seen/dir"), 3),
            (Do::Rename("/dark", "/free/new"), 3),
            (Do::Open("/only/a.png", READ), 3),
            (Do::Open("/only/b.gif", new), 3),
            (Do::MakeDir("/only/sub"), 3),
            (Do::Open("/free/a.EXE", READ), 3),
            (Do::Rename("/free/file", "/free/file.Exe"), 3),
        ] {
            assert_eq!(perform(&mut client, what).await, want, "{what:?}");
        }
        assert_eq!(client.list("/seen").await.unwrap(), ["NO", "no", "nodir", "nolink", "yes"]);
        assert_eq!(client.list("/dark").await.unwrap(), ["yes"]);
        assert_eq!(client.list("/free/darkdir").await.unwrap(), ["yes"]);
        assert!(snapshot(&home) == before, "something was changed");
        for what in [
            Do::Open("/seen/yes", READ),
            Do::Open("/dark/yes", READ | WRITE),
            Do::Open("/only/a.jpg", READ),
            Do::Open("/only/B.jpg", new),
            Do::MakeDir("/only/C1"),
            Do::MakeDir("/free/dir.exe"),
            Do::Rename("/free/file", "/only/c.jpg"),
            Do::Rename("/seen/yes", "/seen/yes2"),
            Do::Remove("/dark/yes"),
        ] {
            assert_eq!(perform(&mut client, what).await, OK, "{what:?}");
        }
    });
}

#[test]
fn filters_on_names_are_kept_in_one_form_and_wrong_ones_refused() {
    let server = TestServer::start();
    let api = server.api();
    let filters = json!({
        "file_patterns": [{"path": "/a/../b/", "denied_patterns": ["*.KEY", "*.key"], "deny_policy": 1}],
        "file_extensions": [{"path": "/", "allowed_extensions": [".TXT"]}],
    });
    add_user(&server, &api, "alice", &json!({"/": ["*"]}), &filters);
    let (_, body) = api.get("/users/alice");
    assert_eq!(
        body["filters"]["file_patterns"],
        json!([{"path": "/b", "allowed_patterns": [], "denied_patterns": ["*.key"], "deny_policy": 1}])
    );
    assert_eq!(
        body["filters"]["file_extensions"],
        json!([{"path": "/", "allowed_extensions": [".txt"], "denied_extensions": []}])
    );
    let mut user = body.clone();
    for (patterns, named) in [
        (json!([{"path": "b", "denied_patterns": ["x"]}]), "path"),
        (json!([{"path": "/b", "denied_patterns": ["[x"]}]), "denied_patterns"),
        (json!([{"path": "/b", "denied_patterns": ["x"], "deny_policy": 5}]), "deny_policy"),
    ] {
        user["filters"]["file_patterns"] = patterns;
        let (status, answer) = api.put("/users/alice", &user);
        let text = answer.to_string();
        assert!(status == 400 && text.contains("file_patterns") && text.contains(named), "{text}");
    }
    assert_eq!(api.get("/users/alice").1["filters"], body["filters"]);
}
