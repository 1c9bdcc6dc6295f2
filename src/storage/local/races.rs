//! Somebody with a shell swaps directories for links while we work.
//!
//! Threads exchange `swap` (a directory) and `swap/file` with links that lead
//! outside, as fast as they can, while every operation runs on paths through
//! them. Whatever an operation answers, the canary outside must stay unread,
//! unlisted and unchanged.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::{RenameFlags, renameat_with};

use super::beneath::{ComponentWise, NameWise};
use super::*;
use crate::storage::conformance::{REPLACE, new_file, path, write};
use crate::storage::{FileTime, Partial};

const ROUNDS: usize = 1000;
const CANARY: &[u8] = b"the canary is singing outside";

struct Arena {
    _temp: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

fn arena() -> Arena {
    let temp = tempfile::tempdir().unwrap();
    let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
    for dir in ["swap/sub", "spare/sub", "elsewhere"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    for dir in ["swap", "spare"] {
        std::fs::write(root.join(dir).join("file"), "inside").unwrap();
    }
    for name in ["file", "canary"] {
        std::fs::write(outside.join(name), CANARY).unwrap();
        std::fs::set_permissions(outside.join(name), PermissionsExt::from_mode(0o604)).unwrap();
    }
    symlink(&outside, root.join("absolute")).unwrap();
    symlink("../outside", root.join("relative")).unwrap();
    symlink("../../outside/file", root.join("elsewhere/file")).unwrap();
    symlink(outside.join("file"), root.join("elsewhere/absolute")).unwrap();
    Arena { _temp: temp, root, outside }
}

/// Everything about the outside that an operation could change.
fn fingerprint(outside: &Path) -> Vec<(PathBuf, Vec<u8>, u32, u32, i64, i64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(outside).unwrap() {
        let path = entry.unwrap().path();
        let stat = std::fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path, content, stat.mode(), stat.uid(), stat.mtime(), stat.mtime_nsec()));
    }
    found.sort();
    found
}

/// A name in a directory held open, so that the hostile threads do not follow
/// each other's links and carry the canary inside themselves.
type Name = (Arc<OwnedFd>, &'static str);

fn swapper(pairs: Vec<(Name, Name)>, stop: Arc<AtomicBool>) -> impl FnOnce() {
    move || {
        while !stop.load(Ordering::Relaxed) {
            for ((dir, one), (other_dir, other)) in &pairs {
                let _ = renameat_with(dir, *one, other_dir, *other, RenameFlags::EXCHANGE);
            }
        }
    }
}

/// Ends the hostile threads, also when the test fails.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn held(dir: PathBuf) -> Arc<OwnedFd> {
    Arc::new(openat(CWD, &dir, DIRECTORY, Mode::empty()).unwrap())
}

async fn run(resolver: fn(rustix::fd::BorrowedFd<'_>) -> Box<dyn beneath::Resolve>) {
    let arena = arena();
    let storage = LocalStorage::open_with(&arena.root, None, resolver).unwrap();
    let before = fingerprint(&arena.outside);
    let stop = Stop::default();
    let root = held(arena.root.clone());
    let (swap, elsewhere) = (held(arena.root.join("swap")), held(arena.root.join("elsewhere")));
    let hostile = [
        // The directory on the path becomes a link, absolute or relative.
        ["absolute", "relative", "spare"]
            .map(|other| ((root.clone(), "swap"), (root.clone(), other)))
            .to_vec(),
        // The last name becomes a link.
        ["file", "absolute"]
            .map(|other| ((swap.clone(), "file"), (elsewhere.clone(), other)))
            .to_vec(),
    ]
    .map(|pairs| std::thread::spawn(swapper(pairs, stop.0.clone())));

    let (mut inside, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let outcome = one_round(&storage, round).await;
        inside += outcome.0;
        refused += outcome.1;
    }
    drop(stop);
    for thread in hostile {
        thread.join().unwrap();
    }
    assert_eq!(fingerprint(&arena.outside), before);
    assert_eq!(std::fs::read_dir(arena.outside.join("sub")).unwrap().count(), 0);
    // Otherwise nothing was tried: both the good and the hostile state were met.
    assert!(inside > 0 && refused > 0, "{inside} worked, {refused} were refused");
}

/// Every operation once. How many worked, how many failed.
async fn one_round(storage: &LocalStorage, round: usize) -> (usize, usize) {
    let (file, dir) = (path("swap/file"), path("swap"));
    let mut outcome = (0, 0);
    let mut count = |worked: bool| if worked { outcome.0 += 1 } else { outcome.1 += 1 };

    if let Ok(handle) = storage.open_read(&file).await {
        let content = handle.read_at(0, 100).await.unwrap();
        assert_ne!(content, CANARY, "read");
        count(true);
    } else {
        count(false);
    }
    if let Ok(stat) = storage.stat(&file).await {
        assert_ne!(stat.size, CANARY.len() as u64, "stat");
    }
    if let Ok(mut stream) = storage.list(&dir).await {
        while let Ok(batch) = stream.next_batch(10).await
            && !batch.is_empty()
        {
            assert!(batch.iter().all(|entry| entry.name != b"canary"), "list");
        }
    }
    let atomic = [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable][round % 3];
    for target in [&file, &path(&format!("swap/new-{round}"))] {
        match storage.open_write(target, new_file(atomic)).await {
            Ok(handle) => {
                write(&*handle, 0, b"inside").await.unwrap();
                let _ = match round % 4 {
                    0 => handle.abort(Partial::Keep).await,
                    1 => handle.abort(Partial::Discard).await,
                    _ => handle.commit().await,
                };
                count(true);
            }
            Err(_) => count(false),
        }
    }
    let resume = WriteMode { truncate: false, read: true, ..new_file(atomic) };
    if let Ok(handle) = storage.open_write(&file, resume).await {
        assert_ne!(handle.read_at(0, 100).await.unwrap(), CANARY, "resume");
        let _ = handle.commit().await;
    }
    let time = FileTime { secs: 1, nanos: 0 };
    let all = SetAttributes {
        size: round.is_multiple_of(2).then_some(3),
        mode: Some(0o666),
        owner: None,
        times: Some((time, time)),
    };
    count(storage.set_attributes(&file, all).await.is_ok());
    let made = path(&format!("swap/dir-{round}"));
    count(storage.create_dir(&made, 0o777, None).await.is_ok());
    let _ = storage.remove_dir(&made).await;
    let link = path(&format!("swap/link-{round}"));
    let _ = storage.symlink(b"file", &link).await;
    let _ = storage.read_link(&link).await;
    let _ = storage.remove_file(&link).await;
    let _ = storage.remove_dir(&path("swap/sub")).await;
    let _ = storage.create_dir(&path("swap/sub"), 0o755, None).await;
    // The canary's name is tried only where a confined server can never find it.
    count(storage.rename(&path("swap/canary"), &path("stolen"), REPLACE).await.is_ok());
    assert!(storage.lstat(&path("stolen")).await.is_err(), "rename out of the canary's directory");
    let _ = storage.remove_file(&path("swap/canary")).await;
    let _ =
        storage.rename(&path(&format!("swap/new-{round}")), &path("swap/renamed"), REPLACE).await;
    let _ = storage.remove_file(&path("swap/renamed")).await;
    let _ = storage.remove_file(&path(&format!("swap/new-{round}"))).await;
    outcome
}

#[tokio::test]
async fn swapped_links_lead_nowhere() {
    run(beneath::best).await;
}

#[tokio::test]
async fn swapped_links_lead_nowhere_without_openat2() {
    run(|_| Box::new(ComponentWise)).await;
}

#[tokio::test]
async fn swapped_links_lead_nowhere_where_none_is_followed() {
    run(beneath::best_without_links).await;
}

#[tokio::test]
async fn swapped_links_lead_nowhere_where_none_is_followed_without_openat2() {
    run(|_| Box::new(NameWise)).await;
}

/// What a server without confinement does: follow whatever is there.
#[derive(Debug)]
struct Unconfined;

impl beneath::Resolve for Unconfined {
    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        openat(root, path, flags, mode)
    }
}

#[tokio::test]
#[should_panic]
async fn a_resolver_that_follows_everything_is_noticed() {
    run(|_| Box::new(Unconfined)).await;
}
