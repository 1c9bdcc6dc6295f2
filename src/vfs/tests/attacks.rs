//! Somebody with a shell, or with a second session, swaps directories for links while a
//! client does everything that can be done.
//!
//! Whatever the session answers, the canary must stay unread, unlisted and unchanged:
//! a directory outside the root; and for an account with filters on names a file inside
//! that they deny, which no link may rename. `SFTPGO_ATTACK_ROUNDS` is the number of
//! rounds of each of the tests; each round tries every operation.

mod kinds;
mod leftovers;
mod mount_points;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with};

use super::*;
use crate::storage::Entry;

const CANARY: &[u8] = b"the canary is singing outside";

fn rounds() -> usize {
    std::env::var("SFTPGO_ATTACK_ROUNDS").map_or(150, |rounds| rounds.parse().unwrap())
}

type Print = Vec<(PathBuf, Vec<u8>, [i64; 6])>;

/// Everything about a tree that an operation could change.
fn fingerprint(dir: &Path) -> Print {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = std::fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        if stat.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let [mode, uid, gid] = [stat.mode(), stat.uid(), stat.gid()].map(i64::from);
        let links = i64::try_from(stat.nlink()).unwrap();
        let numbers = [mode, uid, gid, stat.mtime(), stat.mtime_nsec(), links];
        found.push((path, content, numbers));
    }
    found.sort();
    found
}

/// `swap` is what the hostile threads exchange with links; `canary` is what no link may
/// lead to, below `guarded`.
struct Arena {
    root: PathBuf,
    guarded: PathBuf,
}

impl Arena {
    fn new(root: PathBuf, guarded: PathBuf) -> Self {
        for dir in ["swap/sub", "spare/sub", "elsewhere"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for dir in ["swap", "spare"] {
            std::fs::write(root.join(dir).join("file"), "inside").unwrap();
        }
        std::fs::create_dir_all(guarded.join("sub")).unwrap();
        for name in ["file", "canary"] {
            std::fs::write(guarded.join(name), CANARY).unwrap();
            let mode = PermissionsExt::from_mode(0o604);
            std::fs::set_permissions(guarded.join(name), mode).unwrap();
        }
        Self { root, guarded }
    }

    /// Starts the hostile threads: `links` are other names of the guarded directory.
    fn attack(&self, links: &[(&'static str, PathBuf)]) -> Attack {
        let at = |dir: PathBuf| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Arc::new(openat(CWD, &dir, flags, Mode::empty()).unwrap())
        };
        let (root, swap, elsewhere) =
            (at(self.root.clone()), at(self.root.join("swap")), at(self.root.join("elsewhere")));
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        for (name, target) in links {
            symlink(target, self.root.join(name)).unwrap();
            directories.push(((root.clone(), "swap"), (root.clone(), *name)));
            let inside =
                if target.is_absolute() { target.clone() } else { Path::new("..").join(target) };
            symlink(inside.join("file"), self.root.join("elsewhere").join(name)).unwrap();
            files.push(((swap.clone(), "file"), (elsewhere.clone(), *name)));
        }
        directories.push(((root.clone(), "swap"), (root, "spare")));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = [directories, files].map(|pairs| {
            let stop = stop.clone();
            std::thread::spawn(move || exchange(&pairs, &stop))
        });
        Attack { stop, threads: threads.into() }
    }
}

type Name = (Arc<OwnedFd>, &'static str);

fn exchange(pairs: &[(Name, Name)], stop: &AtomicBool) {
    for turn in 0_u32.. {
        for ((dir, one), (other_dir, other)) in pairs {
            let _ = renameat_with(dir, *one, other_dir, *other, RenameFlags::EXCHANGE);
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // Bursts, and moments in which a client gets something done.
        if turn % 8 == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Ends the hostile threads, also when the test fails.
struct Attack {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What is tried, and how often it worked.
#[derive(Default)]
struct Outcome(HashMap<&'static str, (usize, usize)>);

impl Outcome {
    fn count<T>(&mut self, what: &'static str, result: Result<T>) -> Option<T> {
        let (worked, refused) = self.0.entry(what).or_default();
        match result {
            Ok(value) => {
                *worked += 1;
                Some(value)
            }
            Err(_) => {
                *refused += 1;
                None
            }
        }
    }
}

/// A world that remembers nothing, so that it can last.
fn world(upload_mode: Atomicity) -> World {
    let mut world = World::new(VfsOptions { upload_mode, ..options() });
    world.services.logger = slog::Logger::root(slog::Discard, slog::o!());
    std::fs::create_dir(world.home()).unwrap();
    world
}

async fn run_rounds(
    world: &World,
    client: &Client,
    arena: &Arena,
    links: &[(&'static str, PathBuf)],
) {
    let before = fingerprint(&arena.guarded);
    let attack = arena.attack(links);
    let mut outcome = Outcome::default();
    for round in 0..rounds() {
        one_round(client, "/swap", round, &mut outcome).await;
        world.hooks.events.lock().unwrap().clear();
        leftovers::clear(round, &[&arena.root], &arena.guarded);
        if round % 1000 == 0 {
            assert_eq!(fingerprint(&arena.guarded), before, "round {round}");
        }
    }
    drop(attack);
    assert_eq!(fingerprint(&arena.guarded), before);
    // Otherwise nothing was tried: both the good and the hostile state were met.
    for what in ["read", "list", "create", "mkdir", "remove", "rename", "setstat", "stat"] {
        let (worked, refused) = outcome.0.get(what).copied().unwrap_or_default();
        assert!(worked > 0 && refused > 0, "{what}: {worked} worked, {refused} were refused");
    }
    let sum = outcome.0.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    eprintln!("{} rounds, {} operations worked, {} refused", rounds(), sum.0, sum.1);
}

/// Every operation on paths through `swap`, which is swapped.
async fn one_round(client: &Client, swap: &str, round: usize, outcome: &mut Outcome) {
    let inside = |name: &str| path(&format!("{swap}/{name}"));
    let (file, dir, sub) = (inside("file"), path(swap), inside("sub"));
    let new = inside(&format!("new-{round}"));

    // Also by a name that only the canary's directory has, unless we make it.
    let canary = inside("canary");
    for target in [&file, &canary] {
        for look in [client.stat(target).await, client.lstat(target).await] {
            if let Some(found) = outcome.count("stat", look) {
                assert_ne!(found.size, CANARY.len() as u64, "stat");
            }
        }
    }
    if let Some(download) = outcome.count("read", client.begin_download(&file).await) {
        assert_ne!(read(&download).await, CANARY, "read");
        // What copy-data does: from one open handle into another.
        if let Some(upload) = outcome.count("create", client.begin_upload(&new, NEW).await) {
            let data = download.read_at(0, 1000).await.unwrap();
            assert_ne!(data, CANARY, "copy");
            let _ = write(&upload, 0, &data).await;
            outcome.count("commit", upload.finish().await);
        }
        outcome.count("end", download.finish().await);
    }
    if let Some(mut listing) = outcome.count("list", client.list(&dir).await) {
        while let Ok(batch) = listing.next_batch(10).await
            && !batch.is_empty()
        {
            let is_canary = |entry: &Entry| entry.metadata.size == CANARY.len() as u64;
            assert!(!batch.iter().any(is_canary), "list");
        }
    }
    let ways = [
        NEW,
        RESUME,
        UploadOptions { append: true, ..RESUME },
        UploadOptions { read: true, ..RESUME },
        UploadOptions { create: false, ..NEW },
        UploadOptions { exclusive: true, ..NEW },
    ];
    let way = ways[round % ways.len()];
    for target in [&file, &canary, &new] {
        let Some(upload) = outcome.count("write", client.begin_upload(target, way).await) else {
            continue;
        };
        if way.read {
            assert_ne!(upload.read_at(0, 1000).await.unwrap_or_default(), CANARY, "read back");
        }
        let _ = write(&upload, 0, b"inside").await;
        let mode = SetAttributes { mode: Some(0o666), size: Some(3), ..Default::default() };
        outcome.count("fsetstat", upload.set_attributes(mode).await);
        // Every third client vanishes.
        if !round.is_multiple_of(3) {
            outcome.count("commit", upload.finish().await);
        }
    }
    let time = FileTime { secs: 1, nanos: 0 };
    let everything = SetAttributes {
        size: round.is_multiple_of(2).then_some(3),
        mode: Some(0o666),
        owner: None,
        times: Some((time, time)),
    };
    for target in [&file, &canary, &dir] {
        let wanted = match target == &dir {
            true => SetAttributes { size: None, mode: Some(0o755), ..everything },
            false => everything,
        };
        outcome.count("setstat", client.set_attributes(target, wanted).await);
    }
    let made = inside(&format!("dir-{round}"));
    outcome.count("mkdir", client.create_dir(&made, None).await);
    outcome.count("rmdir", client.remove_dir(&made).await);
    outcome.count("rmdir", client.remove_dir(&sub).await);
    outcome.count("mkdir", client.create_dir(&sub, None).await);
    let link = inside(&format!("link-{round}"));
    for target in [&b"file"[..], b"../swap/canary", file.as_bytes()] {
        outcome.count("symlink", client.symlink(target, &link).await);
        outcome.count("readlink", client.read_link(&link).await);
        if let Some(download) = outcome.count("read link", client.begin_download(&link).await) {
            assert_ne!(read(&download).await, CANARY, "read by a link of our own");
        }
        outcome.count("remove", client.remove_file(&link).await);
    }
    outcome.count("space", client.space(&file).await);
    outcome.count("remove", client.remove_file(&canary).await);
    for (from, to) in [(&canary, path("/stolen")), (&file, inside("renamed"))] {
        outcome.count("rename", client.rename(from, &to).await);
        if let Ok(download) = client.begin_download(&to).await {
            assert_ne!(read(&download).await, CANARY, "renamed");
        }
        outcome.count("rename", client.rename(&to, from).await);
    }
    outcome.count("remove", client.remove_file(&new).await);
    for name in ["/../../outside/canary", "/../../../../../outside/canary", "/./../swap/canary"] {
        let climbing = path(&format!("{swap}{name}"));
        if let Ok(download) = client.begin_download(&climbing).await {
            assert_ne!(read(&download).await, CANARY, "{climbing}");
        }
    }
    // The hostile exchange or a rename of ours may have taken it away.
    if round.is_multiple_of(50) {
        let _ = put(client, &format!("{swap}/file"), b"inside").await;
    }
}

async fn read(download: &crate::vfs::Download) -> Vec<u8> {
    download.read_at(0, 1000).await.unwrap().to_vec()
}

fn outside(world: &World) -> (Arena, Vec<(&'static str, PathBuf)>) {
    let guarded = world.dir.path().join("outside");
    let links = vec![("absolute", guarded.clone()), ("relative", PathBuf::from("../outside"))];
    (Arena::new(world.home(), guarded), links)
}

#[test]
fn swapped_links_lead_nowhere_in_any_upload_mode() {
    for mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
        run(async move {
            let world = world(mode);
            let (arena, links) = outside(&world);
            let client = world.login(json!({})).await;
            run_rounds(&world, &client, &arena, &links).await;
        });
    }
}

#[test]
fn swapped_links_lead_nowhere_for_an_account_with_filters() {
    run(async {
        let world = world(Atomicity::Direct);
        let (arena, links) = outside(&world);
        let filters = json!({"file_patterns": [{"path": "/", "denied_patterns": ["*.exe"]}]});
        let client = world.login(json!({"filters": filters})).await;
        run_rounds(&world, &client, &arena, &links).await;
    });
}

#[test]
fn no_swapped_link_gives_a_denied_name_the_slip() {
    for policy in [0, 1] {
        run(async move {
            let world = world(Atomicity::Direct);
            let guarded = world.home().join("guarded");
            let links = [("relative", PathBuf::from("guarded"))];
            let arena = Arena::new(world.home(), guarded);
            // Either what is inside is denied, or the directory itself is hidden.
            let filters = match policy {
                0 => json!({"path": "/guarded", "denied_patterns": ["*"]}),
                _ => json!({"path": "/", "denied_patterns": ["guarded"], "deny_policy": 1}),
            };
            let filters = json!({"file_patterns": [filters]});
            let client = world.login(json!({"filters": filters})).await;
            if policy == 1 {
                run_rounds(&world, &client, &arena, &links).await;
                return;
            }
            // Denied names may be seen, so only their content and place are looked at.
            let before = fingerprint(&arena.guarded);
            let attack = arena.attack(&links);
            let file = path("/swap/file");
            let (mut worked, mut refused) = (0, 0);
            for round in 0..rounds() {
                match client.begin_download(&file).await {
                    Ok(download) => {
                        assert_ne!(read(&download).await, CANARY);
                        worked += 1;
                    }
                    Err(_) => refused += 1,
                }
                let _ = put(&client, "/swap/file", b"inside").await;
                let _ = put(&client, &format!("/swap/{round}"), b"inside").await;
                let _ = client.remove_file(&path(&format!("/swap/{round}"))).await;
                let _ = client.remove_dir(&path("/swap/sub")).await;
                let _ = client.create_dir(&path("/swap/sub"), None).await;
                let _ = client.rename(&path("/swap/canary"), &path("/stolen")).await;
                assert!(client.lstat(&path("/stolen")).await.is_err());
                let mode = SetAttributes { mode: Some(0o666), ..Default::default() };
                let _ = client.set_attributes(&path("/swap/canary"), mode).await;
                world.hooks.events.lock().unwrap().clear();
                leftovers::clear(round, &[&arena.root], &arena.guarded);
            }
            drop(attack);
            assert_eq!(fingerprint(&arena.guarded), before);
            assert!(worked > 0 && refused > 0, "{worked} worked, {refused} were refused");
        });
    }
}

#[test]
fn names_cannot_be_made_that_lead_anywhere_else() {
    run(async {
        let world = world(Atomicity::Direct);
        let (arena, _) = outside(&world);
        let client = world.login(json!({})).await;
        let before = fingerprint(&arena.guarded);
        for name in
            [&b"a\0b"[..], b"\0", b"../outside/canary\0", b"/proc/self/root", b"...", b"\\..\\.."]
        {
            let target = VirtualPath::new(name);
            let _ = put_at(&client, &target).await;
            assert!(
                client.begin_download(&target).await.is_err()
                    || arena
                        .root
                        .join(OsStr::from_bytes(target.as_bytes().strip_prefix(b"/").unwrap()))
                        .exists()
            );
        }
        assert_eq!(fingerprint(&arena.guarded), before);
    });
}

async fn put_at(client: &Client, target: &VirtualPath) -> Result<()> {
    let upload = client.begin_upload(target, NEW).await?;
    write(&upload, 0, b"inside").await?;
    upload.finish().await
}

#[test]
fn no_client_makes_a_program_that_runs_as_somebody_else() {
    run(async {
        let world = world(Atomicity::Direct);
        let client = world.login(json!({})).await;
        let mode = SetAttributes { mode: Some(0o6755), ..Default::default() };
        let wish = UploadOptions { mode: Some(0o6755), ..NEW };
        let upload = client.begin_upload(&path("/open"), wish).await.unwrap();
        upload.set_attributes(mode).await.unwrap();
        upload.finish().await.unwrap();
        put(&client, "/file", b"#!/bin/sh").await.unwrap();
        client.create_dir(&path("/dir"), Some(0o7755)).await.unwrap();
        for name in ["/file", "/dir"] {
            client.set_attributes(&path(name), mode).await.unwrap();
        }
        let download = client.begin_download(&path("/file")).await.unwrap();
        download.set_attributes(mode).await.unwrap();
        for name in ["open", "file", "dir"] {
            let stored = std::fs::metadata(world.home().join(name)).unwrap();
            assert_eq!(stored.mode() & 0o7777, 0o755, "{name}");
        }
    });
}

#[test]
fn new_content_does_not_run_as_the_owner_of_the_old() {
    for upload_mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
        run(async move {
            let world = world(upload_mode);
            let client = world.login(json!({})).await;
            for (name, way) in [("new", NEW), ("more", RESUME)] {
                let stored = world.home().join(name);
                std::fs::write(&stored, "a program of the administrator").unwrap();
                std::fs::set_permissions(&stored, PermissionsExt::from_mode(0o6755)).unwrap();
                let upload = client.begin_upload(&path(name), way).await.unwrap();
                write(&upload, 0, b"one of the client").await.unwrap();
                upload.finish().await.unwrap();
                let mode = std::fs::metadata(&stored).unwrap().mode() & 0o7777;
                assert_eq!(mode, 0o755, "{name} with {upload_mode:?}");
            }
        });
    }
}
