//! A client asks for everything, over the wire, while somebody on the machine swaps
//! directories and files for links that lead out of the root.
//!
//! Whatever is answered, what lies outside must stay unread, unlisted and unchanged.
//! `SFTPGO_ATTACK_ROUNDS` is the number of rounds for each upload mode.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::TestServer;
use common::raw_sftp::{
    APPEND, Attributes, CREATE, EXCLUSIVE, NO_SUCH_FILE, OK, OP_UNSUPPORTED, PERMISSION_DENIED,
    READ, RawSftp, Reply, TRUNCATE, WRITE,
};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with};
use serde_json::json;

const CANARY: &[u8] = b"the canary is singing outside";

fn rounds() -> usize {
    std::env::var("SFTPGO_ATTACK_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap())
}

/// A home with a directory to swap, and what lies outside.
fn make_arena(home: &Path, outside: &Path) {
    for dir in ["swap/sub", "spare/sub", "elsewhere"] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    for dir in ["swap", "spare"] {
        fs::write(home.join(dir).join("file"), "inside").unwrap();
    }
    fs::create_dir_all(outside.join("sub")).unwrap();
    for name in ["file", "canary", "unlisted"] {
        fs::write(outside.join(name), CANARY).unwrap();
        fs::set_permissions(outside.join(name), PermissionsExt::from_mode(0o604)).unwrap();
    }
    symlink(outside, home.join("absolute")).unwrap();
    symlink("../../outside", home.join("relative")).unwrap();
    symlink("../../../outside/file", home.join("elsewhere/relative")).unwrap();
    symlink(outside.join("file"), home.join("elsewhere/absolute")).unwrap();
}

type Print = Vec<(PathBuf, Vec<u8>, [i64; 8])>;

/// Everything about the outside that an operation could change.
fn fingerprint(outside: &Path) -> Print {
    let mut found = Vec::new();
    let mut todo = vec![outside.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let numbers = [
            i64::from(stat.mode()),
            i64::from(stat.uid()),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            stat.nlink() as i64,
            stat.ino() as i64,
        ];
        found.push((path, content, numbers));
    }
    found.sort();
    found
}

/// Swaps until it is dropped.
struct Attack {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Attack {
    fn on(home: &Path) -> Self {
        let at = |dir: &str| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Arc::new(openat(CWD, home.join(dir), flags, Mode::empty()).unwrap())
        };
        // Held open, so that the hostile threads do not follow each other's links.
        let (root, swap, elsewhere) = (at("."), at("swap"), at("elsewhere"));
        let directories = ["absolute", "relative", "spare"]
            .map(|other| ((root.clone(), "swap"), (root.clone(), other)))
            .to_vec();
        let files = ["absolute", "relative"]
            .map(|other| ((swap.clone(), "file"), (elsewhere.clone(), other)))
            .to_vec();
        let stop = Arc::new(AtomicBool::new(false));
        let threads = [directories, files].map(|pairs| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..8 {
                        for ((dir, one), (other_dir, other)) in &pairs {
                            let swap = RenameFlags::EXCHANGE;
                            let _ = renameat_with(dir, *one, other_dir, *other, swap);
                        }
                    }
                    // A moment in which the client gets something done.
                    std::thread::sleep(Duration::from_micros(100));
                }
            })
        });
        Self { stop, threads: threads.into() }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// How often something worked, and how often it was refused.
#[derive(Default)]
struct Outcome {
    worked: usize,
    refused: usize,
}

impl Outcome {
    fn count(&mut self, reply: Reply) -> Option<Vec<u8>> {
        match reply {
            Reply::Handle(handle) => {
                self.worked += 1;
                return Some(handle);
            }
            Reply::Status(code) if code != OK => self.refused += 1,
            _ => self.worked += 1,
        }
        None
    }
}

fn no_canary(reply: &Reply, what: &str) {
    if let Reply::Data(data) = reply {
        assert_ne!(data, CANARY, "{what}");
    }
}

/// Every request of the protocol, on paths through what is swapped.
async fn one_round(client: &mut RawSftp, round: usize, outcome: &mut Outcome) {
    let new = format!("/swap/new-{round}");
    let (file, canary) = ("/swap/file", "/swap/canary");
    for path in [file, canary, "/swap", "/swap/../swap/./file"] {
        outcome.count(client.stat(path).await);
        outcome.count(client.lstat(path).await);
        outcome.count(client.space(path).await);
        outcome.count(client.read_link(path).await);
    }
    let ways = [
        WRITE | CREATE | TRUNCATE,
        WRITE | CREATE,
        WRITE | APPEND,
        WRITE | READ | CREATE,
        WRITE | TRUNCATE,
        WRITE | CREATE | EXCLUSIVE,
    ];
    let way = ways[round % ways.len()];
    let all = Attributes { size: None, owner: None, mode: Some(0o666), times: Some((1, 1)) };
    for path in [file, canary, &new] {
        let source = outcome.count(client.open(path, READ).await);
        if let Some(source) = &source {
            no_canary(&client.read(source).await, "read");
            outcome.count(client.set_attributes_of(source, all).await);
        }
        if let Some(target) = outcome.count(client.open(&new, WRITE | READ | CREATE).await) {
            if let Some(source) = &source {
                outcome.count(client.copy_data(source, &target).await);
                no_canary(&client.read(&target).await, "copy");
            }
            outcome.count(client.close(&target).await);
        }
        if let Some(source) = source {
            outcome.count(client.close(&source).await);
        }
        if let Some(target) = outcome.count(client.open(path, way).await) {
            if way & READ != 0 {
                no_canary(&client.read(&target).await, "read back");
            }
            outcome.count(client.write(&target, b"inside").await);
            let sized = Attributes { size: Some(3), ..all };
            outcome.count(client.set_attributes_of(&target, sized).await);
            outcome.count(client.close(&target).await);
        }
        for size in [None, Some(2)] {
            outcome.count(client.set_attributes(path, Attributes { size, ..all }).await);
        }
    }
    if let Ok(names) = client.list("/swap").await {
        assert!(!names.iter().any(|name| name == "unlisted"), "list: {names:?}");
    }
    for path in ["/swap/sub", &format!("/swap/dir-{round}")] {
        outcome.count(client.remove_dir(path).await);
        outcome.count(client.make_dir(path).await);
    }
    outcome.count(client.remove_dir(&format!("/swap/dir-{round}")).await);
    let link = format!("/swap/link-{round}");
    for target in ["file", "/swap/canary", "../absolute/canary"] {
        outcome.count(client.symlink(target, &link).await);
        if let Some(handle) = outcome.count(client.open(&link, READ).await) {
            no_canary(&client.read(&handle).await, "by a link of our own");
            outcome.count(client.close(&handle).await);
        }
        outcome.count(client.remove(&link).await);
    }
    for (from, to) in [(canary, "/stolen"), (file, "/swap/renamed"), (&new, canary)] {
        outcome.count(client.rename(from, to).await);
        if let Some(handle) = outcome.count(client.open(to, READ).await) {
            no_canary(&client.read(&handle).await, "renamed");
            outcome.count(client.close(&handle).await);
        }
        outcome.count(client.posix_rename(to, from).await);
    }
    outcome.count(client.remove(canary).await);
    outcome.count(client.remove(&new).await);
    if round.is_multiple_of(20)
        && let Some(handle) = outcome.count(client.open(file, WRITE | CREATE | TRUNCATE).await)
    {
        outcome.count(client.write(&handle, b"inside").await);
        outcome.count(client.close(&handle).await);
    }
}

#[test]
fn nothing_outside_is_reached_while_links_are_swapped() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for mode in ["0", "1", "2"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode)]);
        server.add_user("alice", json!({}));
        // The same through the screen that filters on names put before the storage.
        let filters = json!({"file_patterns": [{"path": "/", "denied_patterns": ["*.exe"]}]});
        let home = server.home("alice");
        server.add_user("bob", json!({"home_dir": home, "filters": filters}));
        let outside = server.dir().join("outside");
        make_arena(&home, &outside);
        let before = fingerprint(&outside);
        let attack = Attack::on(&home);
        let mut outcome = Outcome::default();
        runtime.block_on(async {
            let mut clients = [
                RawSftp::login(server.sftp_port, "alice").await,
                RawSftp::login(server.sftp_port, "bob").await,
            ];
            for round in 0..rounds() {
                one_round(&mut clients[round % 2], round, &mut outcome).await;
            }
        });
        drop(attack);
        assert!(fingerprint(&outside) == before, "the outside was changed in upload mode {mode}");
        // Otherwise nothing was tried: both the good and the hostile state were met.
        let Outcome { worked, refused } = outcome;
        assert!(worked > rounds() && refused > rounds(), "{worked} worked, {refused} refused");
        eprintln!("mode {mode}: {} rounds, {worked} worked, {refused} refused", rounds());
    }
}

#[test]
fn no_path_or_link_leads_outside() {
    let server = TestServer::start();
    server.add_user("alice", json!({}));
    let (home, outside) = (server.home("alice"), server.dir().join("outside"));
    make_arena(&home, &outside);
    let before = fingerprint(&outside);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = RawSftp::login(server.sftp_port, "alice").await;
        let absolute = outside.join("canary").display().to_string();
        let new = WRITE | CREATE | TRUNCATE;
        // `..` stays at the root, so these are names below it that do not exist.
        for path in [
            "../outside/canary",
            "/../../outside/canary",
            "/swap/../../../outside/canary",
            "....//outside/canary",
            "/swap/..\\..\\outside",
            &absolute,
        ] {
            for flags in [READ, WRITE, WRITE | TRUNCATE] {
                assert_eq!(client.open(path, flags).await.code(), NO_SUCH_FILE, "{path}");
            }
            assert_eq!(client.stat(path).await.code(), NO_SUCH_FILE, "{path}");
            assert_eq!(client.remove(path).await.code(), NO_SUCH_FILE, "{path}");
            assert_eq!(client.rename(path, "/stolen").await.code(), NO_SUCH_FILE, "{path}");
        }
        // Links that lead out can be seen, renamed and removed, but not followed.
        for link in ["/absolute", "/relative"] {
            let inside = format!("{link}/canary");
            assert_eq!(client.lstat(link).await.code(), OK, "{link}");
            for (what, reply) in [
                ("stat", client.stat(link).await),
                ("stat inside", client.stat(&inside).await),
                ("lstat inside", client.lstat(&inside).await),
                ("readlink", client.read_link(link).await),
                ("opendir", client.open_dir(link).await),
                ("open", client.open(&inside, READ).await),
                ("create", client.open(&format!("{link}/new"), new).await),
                ("write", client.open(&inside, WRITE).await),
                ("mkdir", client.make_dir(&format!("{link}/new")).await),
                ("rmdir", client.remove_dir(&format!("{link}/sub")).await),
                ("remove", client.remove(&inside).await),
                ("rename out of", client.rename(&inside, "/stolen").await),
                ("rename into", client.rename("/swap/file", &inside).await),
                ("symlink", client.symlink("/swap", &format!("{link}/new")).await),
                (
                    "setstat",
                    client
                        .set_attributes(
                            &inside,
                            Attributes { mode: Some(0o777), ..Attributes::default() },
                        )
                        .await,
                ),
                ("statvfs", client.space(link).await),
            ] {
                assert_eq!(reply.code(), PERMISSION_DENIED, "{what} {link}");
            }
        }
        for link in ["/elsewhere/absolute", "/elsewhere/relative"] {
            for flags in [READ, WRITE, new, WRITE | APPEND, WRITE | READ] {
                assert_eq!(client.open(link, flags).await.code(), PERMISSION_DENIED, "{link}");
            }
            let size = Attributes { size: Some(0), ..Attributes::default() };
            assert_eq!(client.set_attributes(link, size).await.code(), PERMISSION_DENIED, "{link}");
        }
        // Links of our own: what is absolute is so below the root.
        assert_eq!(client.symlink("../../outside", "/out").await.code(), PERMISSION_DENIED);
        assert_eq!(client.symlink(&absolute, "/own").await.code(), OK);
        assert_eq!(client.open("/own", READ).await.code(), NO_SUCH_FILE);
        // One that would lead out once it is moved up, which is followed only inside.
        assert_eq!(client.make_dir("/elsewhere/deep").await.code(), OK);
        assert_eq!(client.symlink("/outside/canary", "/elsewhere/deep/link").await.code(), OK);
        assert_eq!(client.rename("/elsewhere/deep/link", "/link").await.code(), OK);
        assert_eq!(client.open("/link", READ).await.code(), PERMISSION_DENIED);
        assert_eq!(client.hard_link("/relative/canary", "/hard").await.code(), OP_UNSUPPORTED);
        assert_eq!(client.hard_link("/swap/file", "/hard").await.code(), OP_UNSUPPORTED);
    });
    assert!(fingerprint(&outside) == before, "the outside was changed");
    let on_disk = fs::read_link(home.join("own")).unwrap();
    assert!(on_disk.is_relative(), "{on_disk:?}");
}
