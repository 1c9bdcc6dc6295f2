//! The same with virtual folders: swapped is what the disks have at and above the mount
//! points, inside the folders, and inside trees that are walked through.
//!
//! Only the path that a folder is mapped to is the administrator's, as that of a home:
//! links on it are followed when it is opened, and not looked at any more after that.

use rustix::fs::{mkdirat, symlinkat};

use super::*;
use crate::model::Folder;
use crate::vfs::scan::{scan_folder, scan_user};

/// Where folders are mounted; the third is beneath the second, and above the last are
/// directories that only lead to it.
const POINTS: [(&str, &str, i64); 4] =
    [("mine", "/mine", -1), ("one", "/m", 0), ("nested", "/m/in", 0), ("two", "/deep/er/n", 0)];
const LEADING: [&str; 2] = ["/deep", "/deep/er"];

fn with_folders(world: &World) -> serde_json::Value {
    let folders = POINTS.map(|(name, at, quota)| {
        json!({
            "name": name, "mapped_path": world.dir.path().join(name), "virtual_path": at,
            "quota_size": quota, "quota_files": quota,
        })
    });
    json!({"virtual_folders": folders})
}

fn held(dir: &Path) -> Arc<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Arc::new(openat(CWD, dir, flags, Mode::empty()).unwrap())
}

/// Exchanges what the disk has under the names of mount points, and of the directories
/// that lead to one, for links to the guarded directory.
fn attack_points(world: &World, guarded: &Path) -> Attack {
    let mut pairs = Vec::new();
    for (dir, name, link) in [
        (world.home(), "mine", "link-mine"),
        (world.home(), "m", "link-m"),
        (world.home(), "deep", "link-deep"),
        (world.home().join("deep"), "er", "link-er"),
        (world.home().join("deep/er"), "n", "link-n"),
        (world.dir.path().join("one"), "in", "link-in"),
    ] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        symlink(guarded, dir.join(link)).unwrap();
        let dir = held(&dir);
        pairs.push(((dir.clone(), name), (dir, link)));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || exchange(&pairs, &stopped));
    Attack { stop, threads: vec![thread] }
}

/// Makes a tree `walk` in `dir` again and again, and exchanges directories in it for
/// links to the guarded directory while somebody walks through it.
fn attack_walks(dir: &Path, guarded: &Path) -> Attack {
    let (dir, guarded) = (held(dir), guarded.to_owned());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // Step by step beneath open directories: not even we follow the links.
            let _ = grow(&dir, &guarded);
            std::thread::sleep(Duration::from_micros(50));
        }
    });
    Attack { stop, threads: vec![thread] }
}

fn grow(dir: &OwnedFd, guarded: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let _ = mkdirat(dir, "walk", Mode::RWXU);
    let mut walk = openat(dir, "walk", flags, Mode::empty())?;
    for name in ["a", "sub", "z"] {
        let _ = symlinkat(guarded, &walk, "link");
        let _ = mkdirat(&walk, name, Mode::RWXU);
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inside = openat(&walk, name, flags, Mode::empty());
        if let Ok(inside) = &inside {
            for file in ["file", "canary"] {
                let _ = openat(inside, file, new, Mode::RUSR | Mode::WUSR);
            }
        }
        for _ in 0..8 {
            let _ = renameat_with(&walk, name, &walk, "link", RenameFlags::EXCHANGE);
        }
        walk = inside?;
    }
    Ok(())
}

/// What a client may try to get rid of a mount point, or into its place. Whatever the
/// disk has there at the moment, it is refused.
async fn tamper(client: &Client) {
    let denied = |what: &str, at: &str, result: Result<()>| {
        let kind = result.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PermissionDenied), "{what} {at}");
    };
    let points = POINTS.map(|(_, at, _)| at);
    let (file, dir) = (path("/a-file"), path("/a-dir"));
    for at in points.into_iter().chain(LEADING) {
        let point = path(at);
        denied("remove", at, client.remove_file(&point).await);
        denied("rmdir", at, client.remove_dir(&point).await);
        denied("remove tree", at, client.remove_tree(&point).await);
        denied("rename away", at, client.rename(&point, &path("/away")).await);
        denied("rename into", at, client.rename(&point, &path("/mine/away")).await);
        denied("rename file over", at, client.rename(&file, &point).await);
        denied("rename directory over", at, client.rename(&dir, &point).await);
        denied("copy over", at, client.copy(&file, &point).await);
        denied("copy tree over", at, client.copy(&dir, &point).await);
        denied("symlink", at, client.symlink(b"a-file", &point).await);
        denied("upload", at, client.begin_upload(&point, NEW).await.map(drop));
        denied("append", at, client.begin_upload(&point, RESUME).await.map(drop));
        let size = SetAttributes { size: Some(0), ..SetAttributes::default() };
        denied("truncate", at, client.set_attributes(&point, size).await);
        if points.contains(&at) {
            denied("mkdir", at, client.create_dir(&point, None).await);
            let mode = SetAttributes { mode: Some(0), ..SetAttributes::default() };
            denied("chmod", at, client.set_attributes(&point, mode).await);
            let owner = Some((1, 1));
            let owner = SetAttributes { owner, ..SetAttributes::default() };
            denied("chown", at, client.set_attributes(&point, owner).await);
        }
    }
}

/// Trees through, into and out of folders, while they change.
async fn trees(client: &Client, world: &World, swap: &str, round: usize, outcome: &mut Outcome) {
    let walk = path("/m/walk");
    let copy_name = format!("copy-{round}");
    let (at_home, in_folder) =
        (path(&format!("/{copy_name}")), path(&format!("/mine/{copy_name}")));
    for (copy, stored) in [
        (&at_home, world.home().join(&copy_name)),
        (&in_folder, world.dir.path().join("mine").join(&copy_name)),
    ] {
        if outcome.count("copy", client.copy(&walk, copy).await).is_some() {
            for (path, content, _) in fingerprint(&stored) {
                assert_ne!(content, CANARY, "copied to {}", path.display());
            }
        }
        let _ = client.remove_tree(copy).await;
    }
    // Out of the folder, and on into another.
    let (moved, again) =
        (path(&format!("/moved-{round}")), path(&format!("/deep/er/n/moved-{round}")));
    outcome.count("rename tree", client.rename(&walk, &moved).await);
    outcome.count("rename tree", client.rename(&moved, &again).await);
    for tree in [&moved, &again, &walk] {
        outcome.count("remove tree", client.remove_tree(tree).await);
    }
    let (file, back) = (path(&format!("{swap}/file")), path(&format!("{swap}/back")));
    for to in ["/taken", "/mine/taken", "/m/in/taken", "/m/taken", "/deep/er/n/taken"] {
        let to = path(to);
        outcome.count("copy file", client.copy(&file, &to).await);
        if let Ok(download) = client.begin_download(&to).await {
            assert_ne!(read(&download).await, CANARY, "copied to {to}");
        }
        outcome.count("rename file", client.rename(&to, &back).await);
        let _ = client.remove_file(&back).await;
        let _ = client.remove_file(&to).await;
    }
}

/// What the mount points look like: always directories, never the guarded one.
async fn look(client: &Client, guarded: u64, outcome: &mut Outcome) {
    let points = POINTS.map(|(_, at, _)| at);
    for at in points.into_iter().chain(LEADING) {
        for found in [client.stat(&path(at)).await, client.lstat(&path(at)).await] {
            let found = found.unwrap();
            assert_eq!(found.kind, FileKind::Directory, "{at}");
            assert_ne!(found.id.map(|id| id.number), Some(guarded), "{at}");
        }
        if let Some(mut listing) = outcome.count("list point", client.list(&path(at)).await) {
            while let Ok(batch) = listing.next_batch(10).await
                && !batch.is_empty()
            {
                assert!(batch.iter().all(|entry| entry.name != b"unlisted"), "{at}");
            }
        }
        outcome.count("space", client.space(&path(at)).await);
        outcome.count("readlink", client.read_link(&path(at)).await);
        let times = Some((FileTime { secs: 1, nanos: 0 }, FileTime { secs: 1, nanos: 0 }));
        let touch = SetAttributes { times, ..SetAttributes::default() };
        outcome.count("touch", client.set_attributes(&path(at), touch).await);
    }
    for at in LEADING {
        outcome.count("mkdir", client.create_dir(&path(at), None).await);
        let open = SetAttributes { mode: Some(0o755), ..SetAttributes::default() };
        outcome.count("chmod", client.set_attributes(&path(at), open).await);
        let new = format!("{at}/new");
        outcome.count("put", put(client, &new, b"inside").await);
        outcome.count("remove", client.remove_file(&path(&new)).await);
    }
}

async fn scans(client: &Client, world: &World, outcome: &mut Outcome) {
    let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
    // Everything that looks abandoned is removed.
    let started = i64::MAX;
    let scan = scan_user(client.user(), &world.services, started, &progress, &cancel).await;
    outcome.count("scan", scan);
    for folder in &client.user().virtual_folders {
        let folder = Folder::clone(&folder.folder);
        let scan = scan_folder(&folder, &world.services, started, &progress, &cancel).await;
        outcome.count("scan", scan);
    }
}

#[test]
fn swapped_mount_points_lead_nowhere() {
    for mode in [Atomicity::Direct, Atomicity::Atomic] {
        run(async move {
            let world = world(mode);
            let guarded = world.dir.path().join("outside");
            let links = [("absolute", guarded.clone()), ("relative", PathBuf::from("../outside"))];
            let [one, two] = ["one", "two"].map(|name| {
                let root = world.dir.path().join(name);
                std::fs::create_dir(&root).unwrap();
                Arena::new(root, guarded.clone())
            });
            std::fs::write(guarded.join("unlisted"), CANARY).unwrap();
            let abandoned = format!(".sftpgo-upload.{}.x", "0".repeat(32));
            std::fs::write(guarded.join(abandoned), CANARY).unwrap();
            let mut client = world.login(with_folders(&world)).await;
            put(&client, "/a-file", b"inside").await.unwrap();
            client.create_dir(&path("/a-dir"), None).await.unwrap();
            let before = fingerprint(&guarded);
            let number = std::fs::metadata(&guarded).unwrap().ino();

            // In one folder at a time, so that the machine gets round to the client.
            let (arena, swap) = match mode {
                Atomicity::Direct => (&one, "/m/swap"),
                _ => (&two, "/deep/er/n/swap"),
            };
            let attacks = [
                arena.attack(&links),
                attack_points(&world, &guarded),
                attack_walks(&world.dir.path().join("one"), &guarded),
            ];
            let (home, mine) = (world.home(), world.dir.path().join("mine"));
            let roots = [one.root.as_path(), &two.root, &home, &mine];
            let mut outcome = Outcome::default();
            for round in 0..rounds() {
                one_round(&client, swap, round, &mut outcome).await;
                if round.is_multiple_of(4) {
                    tamper(&client).await;
                }
                look(&client, number, &mut outcome).await;
                trees(&client, &world, swap, round, &mut outcome).await;
                world.hooks.events.lock().unwrap().clear();
                leftovers::clear(round, &roots, &guarded);
                if round.is_multiple_of(16) {
                    scans(&client, &world, &mut outcome).await;
                    // A login makes what is missing at and above mount points.
                    client = world.login(with_folders(&world)).await;
                }
                if round.is_multiple_of(1000) {
                    assert_eq!(fingerprint(&guarded), before, "round {round}");
                }
            }
            drop(attacks);
            assert_eq!(fingerprint(&guarded), before);
            for what in [
                "read",
                "list",
                "create",
                "mkdir",
                "remove",
                "rename",
                "setstat",
                "stat",
                "copy",
                "rename tree",
                "remove tree",
                "copy file",
                "rename file",
                "list point",
                "put",
            ] {
                let (worked, refused) = outcome.0.get(what).copied().unwrap_or_default();
                assert!(
                    worked > 0 && refused > 0,
                    "{what}: {worked} worked, {refused} were refused"
                );
            }
            assert!(outcome.0["scan"].0 > 0);
            let sum = outcome.0.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            eprintln!("{} rounds, {} operations worked, {} refused", rounds(), sum.0, sum.1);
        });
    }
}

/// A session that has used a folder has it open: exchanging the very directory, or one
/// above it, leads the session nowhere else.
#[test]
fn a_folder_that_is_swapped_while_it_is_used_stays_the_same() {
    run(async {
        let world = world(Atomicity::Direct);
        let guarded = world.dir.path().join("outside");
        let above = world.dir.path().join("one");
        std::fs::create_dir_all(above.join("mapped")).unwrap();
        let arena = Arena::new(above.join("mapped"), guarded.clone());
        let mut account = with_folders(&world);
        account["virtual_folders"][1]["mapped_path"] = json!(arena.root);
        let client = world.login(account).await;
        put(&client, "/m/swap/file", b"inside").await.unwrap();
        let before = fingerprint(&guarded);
        let mut pairs = Vec::new();
        for (dir, name) in [(world.dir.path(), "one"), (&above, "mapped")] {
            symlink(&guarded, dir.join("link")).unwrap();
            let dir = held(dir);
            pairs.push(((dir.clone(), name), (dir, "link")));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || exchange(&pairs, &stopped));
        let attack = Attack { stop, threads: vec![thread] };
        let mut outcome = Outcome::default();
        for round in 0..rounds() {
            one_round(&client, "/m/swap", round, &mut outcome).await;
            world.hooks.events.lock().unwrap().clear();
            leftovers::clear(round, &[&arena.root], &guarded);
        }
        drop(attack);
        assert_eq!(fingerprint(&guarded), before);
        // Nothing inside is swapped, so nothing is in the way.
        for what in ["read", "list", "create", "mkdir", "rename"] {
            let (worked, _) = outcome.0.get(what).copied().unwrap_or_default();
            assert!(worked > 0, "{what}");
        }
    });
}
