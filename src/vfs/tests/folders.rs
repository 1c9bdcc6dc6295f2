//! Sessions with virtual folders.

use serde_json::Value;

use super::super::relocate::Purpose;
use super::super::scan::scan_folder;
use super::*;
use crate::model::Folder;
use crate::storage::Entry;

impl World {
    /// The directory that folder `name` is mapped to.
    fn mapped(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self, name: &str, at: &str, (size, files): (i64, i64)) -> Value {
        json!({
            "name": name, "mapped_path": self.mapped(name), "virtual_path": at,
            "quota_size": size, "quota_files": files,
        })
    }

    async fn usage_of(&self, account: AccountId) -> (u64, u64) {
        let usage = self.actors.quota.usage(account).await.unwrap();
        (usage.size, usage.files)
    }

    async fn folder_usage(&self, name: &str) -> (u64, u64) {
        self.usage_of(AccountId::folder(name)).await
    }

    fn logged(&self, part: &str) -> bool {
        self.logging.control().flush();
        self.captured.lines().iter().any(|line| line.contains(part))
    }
}

const PRIVATE: (i64, i64) = (-1, -1);
const UNLIMITED: (i64, i64) = (0, 0);

async fn entries(session: &Session, dir: &str, batch: usize) -> Result<Vec<Entry>> {
    let mut listing = session.list(&path(dir)).await?;
    let mut entries = Vec::new();
    loop {
        let next = listing.next_batch(batch).await?;
        assert!(next.len() <= batch);
        if next.is_empty() {
            entries.sort_by(|a: &Entry, b| a.name.cmp(&b.name));
            return Ok(entries);
        }
        entries.extend(next);
    }
}

/// Names in order; those of directories end with `/`.
async fn names(session: &Session, dir: &str) -> Vec<String> {
    let entries = entries(session, dir, 2).await.unwrap();
    let shown = entries.into_iter().map(|entry| {
        let slash = if entry.metadata.kind == FileKind::Directory { "/" } else { "" };
        format!("{}{slash}", String::from_utf8(entry.name).unwrap())
    });
    shown.collect()
}

fn files_below(dir: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                let relative = entry.path().strip_prefix(dir).unwrap().to_owned();
                found.push(relative.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn folders_are_made_at_login_and_shown_once_where_they_are_mounted() {
    run(async {
        let world = World::new(options());
        std::fs::create_dir_all(world.home().join("m/hidden")).unwrap();
        std::fs::write(world.home().join("file"), "x").unwrap();
        let folders = [
            world.folder("one", "/m", UNLIMITED),
            world.folder("two", "/deep/er/n", UNLIMITED),
            world.folder("three", "/deep/o", UNLIMITED),
        ];
        let client = world.login(json!({"virtual_folders": folders})).await;
        for name in ["one", "two", "three", "home/deep/er"] {
            assert!(world.mapped(name).is_dir(), "{name}");
        }
        assert!(!world.home().join("deep/er/n").exists());
        assert_eq!(names(&client, "/").await, ["deep/", "file", "m/"]);
        assert_eq!(names(&client, "/m").await, [""; 0], "what the disk has is hidden");
        assert_eq!(names(&client, "/deep").await, ["er/", "o/"]);
        assert_eq!(names(&client, "/deep/er").await, ["n/"]);

        put(&client, "/m/a", b"one").await.unwrap();
        put(&client, "/deep/er/n/b", b"two!").await.unwrap();
        put(&client, "/deep/c", b"home").await.unwrap();
        assert_eq!(std::fs::read(world.mapped("one").join("a")).unwrap(), b"one");
        assert_eq!(std::fs::read(world.mapped("two").join("b")).unwrap(), b"two!");
        assert_eq!(std::fs::read(world.home().join("deep/c")).unwrap(), b"home");
        assert_eq!(names(&client, "/deep").await, ["c", "er/", "o/"]);
        assert_eq!(client.stat(&path("/deep/er/n/b")).await.unwrap().size, 4);
        let download = client.begin_download(&path("/m/a")).await.unwrap();
        assert_eq!(&download.read_at(0, 10).await.unwrap()[..], b"one");
        // The folder's own metadata, in listings and by name.
        std::fs::set_permissions(
            world.mapped("one"),
            std::os::unix::fs::PermissionsExt::from_mode(0o711),
        )
        .unwrap();
        let listed = entries(&client, "/", 100).await.unwrap();
        let listed = listed.iter().find(|entry| entry.name == b"m").unwrap();
        for found in [
            client.stat(&path("/m")).await.unwrap(),
            client.lstat(&path("/m")).await.unwrap(),
            listed.metadata.clone(),
        ] {
            assert_eq!((found.kind, found.mode), (FileKind::Directory, 0o711));
        }
        let upload = &world.lines("Upload")[0];
        assert_eq!(upload["file_path"], world.mapped("one").join("a").to_str().unwrap());
        assert_eq!(upload["virtual_path"], "/m/a");
    });
}

#[test]
fn what_no_disk_has_is_shown_all_the_same_and_works_once_it_is_there() {
    run(async {
        let world = World::new(options());
        std::fs::create_dir(world.home()).unwrap();
        std::fs::write(world.home().join("file"), "in the way").unwrap();
        let folders =
            [world.folder("one", "/a/b/m", UNLIMITED), world.folder("two", "/file/n", UNLIMITED)];
        let unchecked = json!({
            "virtual_folders": folders, "filters": {"disable_fs_checks": true},
        });
        let client = world.login(unchecked).await;
        assert_eq!(world.on_disk(), ["file"]);
        assert!(!world.mapped("one").exists());
        assert_eq!(names(&client, "/").await, ["a/", "file/"]);
        assert_eq!(names(&client, "/a").await, ["b/"]);
        assert_eq!(names(&client, "/a/b").await, ["m/"]);
        assert_eq!(names(&client, "/file").await, ["n/"]);
        for dir in ["/a", "/a/b", "/a/b/m", "/file", "/file/n"] {
            let found = client.stat(&path(dir)).await.unwrap();
            assert_eq!((found.kind, found.mode), (FileKind::Directory, 0o755), "{dir}");
            assert_eq!(client.lstat(&path(dir)).await.unwrap(), found);
            assert!(found.modified.secs > 0);
        }
        client.space(&path("/a/b")).await.unwrap();
        assert_eq!(kind(client.stat(&path("/a/other")).await), ErrorKind::NotFound);
        assert_eq!(kind(entries(&client, "/a/b/m", 10).await), ErrorKind::NotFound);
        assert_eq!(kind(put(&client, "/a/b/m/x", b"").await), ErrorKind::NotFound);
        assert_eq!(kind(put(&client, "/a/x", b"").await), ErrorKind::NotFound);

        std::fs::create_dir(world.mapped("one")).unwrap();
        put(&client, "/a/b/m/x", b"late").await.unwrap();
        client.create_dir(&path("/a"), None).await.unwrap();
        put(&client, "/a/x", b"").await.unwrap();
        assert_eq!(names(&client, "/a").await, ["b/", "x"]);
        assert_eq!(names(&client, "/a/b/m").await, ["x"]);
    });
}

#[test]
fn a_home_that_cannot_be_used_does_not_keep_its_user_from_the_folders() {
    run(async {
        for at in ["/", "/one"] {
            for checks in [true, false] {
                let world = World::new(options());
                std::fs::write(world.home(), "a file").unwrap();
                let folders = [world.folder("one", at, UNLIMITED)];
                std::fs::create_dir_all(world.mapped("one")).unwrap();
                let client = world
                    .login(json!({
                        "virtual_folders": folders, "filters": {"disable_fs_checks": !checks},
                    }))
                    .await;
                assert!(world.logged("home of user alice cannot be used"), "{at}");
                put(&client, &format!("{at}/a"), b"x").await.unwrap();
                assert_eq!(files_below(&world.mapped("one")), ["a"]);
                if at != "/" {
                    assert_eq!(kind(put(&client, "/a", b"x").await), ErrorKind::NotADirectory);
                    assert_eq!(kind(client.stat(&path("/a")).await), ErrorKind::NotADirectory);
                }
            }
        }
    });
}

#[test]
fn a_folder_that_cannot_be_used_does_not_keep_its_user_out() {
    run(async {
        let world = World::new(options());
        std::fs::write(world.mapped("broken"), "a file").unwrap();
        let folders = [
            world.folder("broken", "/broken", UNLIMITED),
            world.folder("good", "/good", UNLIMITED),
        ];
        let client = world.login(json!({"virtual_folders": folders})).await;
        assert!(world.logged("virtual folder broken of user alice cannot be used"));
        assert!(!world.logged("virtual folder good"));
        put(&client, "/home", b"x").await.unwrap();
        put(&client, "/good/a", b"x").await.unwrap();
        assert_eq!(names(&client, "/").await, ["broken/", "good/", "home"]);
        let inside = path("/broken/x");
        for failed in [
            kind(entries(&client, "/broken", 10).await),
            kind(put(&client, "/broken/x", b"x").await),
            kind(client.stat(&inside).await),
            kind(client.create_dir(&inside, None).await),
            kind(client.remove_file(&inside).await),
            kind(client.rename(&path("/home"), &inside).await),
            kind(client.rename(&inside, &path("/x")).await),
        ] {
            assert_eq!(failed, ErrorKind::NotADirectory);
        }
        assert_eq!(world.on_disk(), ["home"]);
    });
}

#[test]
fn a_folder_at_the_root_hides_the_home() {
    run(async {
        let world = World::new(options());
        let folders = [world.folder("one", "/", UNLIMITED), world.folder("two", "/d/m", UNLIMITED)];
        let client = world.login(json!({"virtual_folders": folders})).await;
        std::fs::write(world.home().join("hidden"), "x").unwrap();
        put(&client, "/a", b"12").await.unwrap();
        put(&client, "/d/m/b", b"345").await.unwrap();
        assert_eq!(names(&client, "/").await, ["a", "d/"]);
        assert_eq!(files_below(&world.mapped("one")), ["a"]);
        assert_eq!(files_below(&world.mapped("two")), ["b"]);
        assert!(world.mapped("one").join("d").is_dir());
        assert_eq!(world.usage().await, (0, 0));
        assert_eq!(world.folder_usage("one").await, (2, 1));
        assert_eq!(world.folder_usage("two").await, (3, 1));
        let mode = SetAttributes { mode: Some(0), ..Default::default() };
        let denied = client.set_attributes(&path("/"), mode).await;
        assert_eq!(kind(denied), ErrorKind::PermissionDenied);
    });
}

#[test]
fn mount_points_cannot_be_removed_replaced_or_carried_away() {
    run(async {
        let world = World::new(options());
        let folders = [world.folder("one", "/d/m", UNLIMITED)];
        let client = world.login(json!({"virtual_folders": folders})).await;
        put(&client, "/a", b"x").await.unwrap();
        put(&client, "/d/m/f", b"x").await.unwrap();
        client.create_dir(&path("/dir"), None).await.unwrap();
        let (point, above, file, dir) = (path("/d/m"), path("/d"), path("/a"), path("/dir"));
        let (mode, times) = (
            SetAttributes { mode: Some(0o700), ..Default::default() },
            SetAttributes {
                times: Some((FileTime::default(), FileTime::default())),
                ..Default::default()
            },
        );
        for fixed in [&point, &above] {
            for denied in [
                kind(client.remove_dir(fixed).await),
                kind(client.remove_file(fixed).await),
                kind(client.rename(fixed, &path("/x")).await),
                kind(client.rename(&file, fixed).await),
                kind(client.rename(&dir, fixed).await),
                kind(client.copy(&file, fixed).await),
                kind(client.symlink(b"a", fixed).await),
                kind(client.begin_upload(fixed, NEW).await),
                kind(client.begin_upload(fixed, RESUME).await),
            ] {
                assert_eq!(denied, ErrorKind::PermissionDenied, "{fixed}");
            }
            client.set_attributes(fixed, times).await.unwrap();
        }
        assert_eq!(kind(client.create_dir(&point, None).await), ErrorKind::PermissionDenied);
        assert_eq!(kind(client.create_dir(&above, None).await), ErrorKind::AlreadyExists);
        let denied = client.set_attributes(&point, mode).await;
        assert_eq!(kind(denied), ErrorKind::PermissionDenied);
        client.set_attributes(&above, mode).await.unwrap();
        assert_eq!(world.on_disk(), ["a", "d", "dir"]);
        assert_eq!(files_below(&world.mapped("one")), ["f"]);
        // What is in it is the user's to change.
        client.rename(&path("/d/m/f"), &path("/d/m/g")).await.unwrap();
        client.remove_file(&path("/d/m/g")).await.unwrap();
    });
}

#[test]
fn each_folder_counts_for_its_owner() {
    run(async {
        for (track, of_user) in [(TrackQuota::Always, true), (TrackQuota::WithLimits, false)] {
            let world = World::new(VfsOptions { track_quota: track, ..options() });
            let folders = [
                world.folder("mine", "/mine", PRIVATE),
                world.folder("free", "/free", UNLIMITED),
                world.folder("tight", "/tight", (1000, 2)),
            ];
            let client = world.login(json!({"virtual_folders": folders})).await;
            put(&client, "/a", &[1; 100]).await.unwrap();
            put(&client, "/mine/a", &[1; 200]).await.unwrap();
            put(&client, "/free/a", &[1; 5000]).await.unwrap();
            put(&client, "/tight/a", &[1; 900]).await.unwrap();
            let over = ErrorKind::QuotaExceeded;
            assert_eq!(kind(put(&client, "/tight/b", &[1; 200]).await), over);
            put(&client, "/tight/b", &[1; 50]).await.unwrap();
            assert_eq!(kind(put(&client, "/tight/c", b"").await), over);
            assert_eq!(world.usage().await, if of_user { (300, 2) } else { (0, 0) });
            assert_eq!(world.folder_usage("mine").await, (0, 0));
            assert_eq!(world.folder_usage("free").await, (5000, 1));
            assert_eq!(world.folder_usage("tight").await, (950, 2));
            let room = client.space(&path("/tight")).await.unwrap();
            assert_eq!((room.files, room.files_available), (2, 0));
            assert!(client.space(&path("/free")).await.unwrap().blocks > room.blocks);
            client.remove_file(&path("/tight/a")).await.unwrap();
            client.remove_file(&path("/mine/a")).await.unwrap();
            assert_eq!(world.folder_usage("tight").await, (50, 1));
            assert_eq!(world.usage().await, if of_user { (100, 1) } else { (0, 0) });
        }
        // Home and private folders share the user's limit, and its leases.
        let world = World::new(options());
        let folders = [world.folder("mine", "/mine", PRIVATE)];
        let client = world.login(json!({"virtual_folders": folders, "quota_size": 1000})).await;
        let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
        write(&upload, 0, &[1; 600]).await.unwrap();
        assert_eq!(kind(put(&client, "/mine/a", &[1; 600]).await), ErrorKind::QuotaExceeded);
        put(&client, "/mine/a", &[1; 400]).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(world.usage().await, (1000, 2));
        let world = World::new(VfsOptions { track_quota: TrackQuota::Off, ..options() });
        let folders = [world.folder("tight", "/tight", (10, 1))];
        let client = world.login(json!({"virtual_folders": folders})).await;
        put(&client, "/tight/a", &[1; 100]).await.unwrap();
        assert_eq!(world.folder_usage("tight").await, (0, 0));
    });
}

#[test]
fn two_users_of_a_folder_keep_its_counters_exact_and_have_their_own_limits() {
    run(async {
        let world = World::new(options());
        let shared = |at, quota| json!([world.folder("shared", at, quota)]);
        let alice = json!({"virtual_folders": shared("/s", UNLIMITED)});
        let bob = json!({
            "username": "bob", "home_dir": world.dir.path().join("bob"),
            "virtual_folders": shared("/deep/down", (10_000, 0)),
        });
        let (alice, bob) = (world.login(alice).await, world.login(bob).await);
        put(&alice, "/s/big", &[1; 20_000]).await.unwrap();
        assert_eq!(kind(put(&bob, "/deep/down/x", b"x").await), ErrorKind::QuotaExceeded);
        bob.remove_file(&path("/deep/down/big")).await.unwrap();
        put(&bob, "/deep/down/x", b"x").await.unwrap();
        alice.remove_file(&path("/s/x")).await.unwrap();
        assert_eq!(world.folder_usage("shared").await, (0, 0));

        // Both upload, remove and move the same names, also while they are written.
        let alice = Arc::new(alice);
        let bob = Arc::new(bob);
        let tasks = (0..8).map(|task| {
            let (client, dir) = if task % 2 == 0 { (&alice, "/s") } else { (&bob, "/deep/down") };
            let (client, dir) = (client.clone(), path(dir));
            tokio::spawn(async move {
                for round in 0..40_usize {
                    let name = |n: usize| dir.join(format!("f{}", n % 3).as_bytes());
                    let file = name(round + task);
                    if let Ok(upload) = client.begin_upload(&file, NEW).await {
                        let _ = write(&upload, 0, &vec![1; 10 * (round + task)]).await;
                        let _ = upload.finish().await;
                    }
                    match (round + task) % 4 {
                        0 => drop(client.remove_file(&name(round)).await),
                        1 => drop(client.rename(&file, &dir.join(b"moved")).await),
                        2 => drop(client.rename(&file, &path("/out")).await),
                        _ => drop(client.remove_file(&file).await),
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let folder = Folder {
            name: "shared".into(),
            mapped_path: world.mapped("shared").to_str().unwrap().into(),
            ..Folder::default()
        };
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let scan = scan_folder(&folder, &world.services, 0, &progress, &cancel).await.unwrap();
        assert_eq!(world.folder_usage("shared").await, (scan.size, scan.files));
    });
}

/// A tree of 3 files with 60 bytes, a link, and a directory that is empty.
fn make_tree(dir: &std::path::Path) {
    std::fs::create_dir_all(dir.join("sub/empty")).unwrap();
    std::fs::write(dir.join("a"), [1; 10]).unwrap();
    std::fs::write(dir.join("sub/b"), [2; 20]).unwrap();
    std::fs::write(dir.join("sub/c"), [3; 30]).unwrap();
}

fn set_time(file: &std::path::Path, secs: u64) {
    let time = std::time::UNIX_EPOCH + Duration::new(secs, 123_456_789);
    std::fs::File::open(file).unwrap().set_modified(time).unwrap();
}

fn time_of(file: &std::path::Path) -> std::time::SystemTime {
    std::fs::metadata(file).unwrap().modified().unwrap()
}

impl World {
    /// Makes the usage what a scan finds.
    async fn count(&self, client: &Client) {
        let user = client.user();
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let usage = scan_user(user, &self.services, 0, &progress, &cancel).await.unwrap();
        let account = AccountId::user(user.username.as_str());
        let set = self.actors.quota.set_usage(account, usage, actors::SetMode::Reset);
        set.await.unwrap();
    }
}

/// Renames at once, as on one file system, or by copying, as between two.
async fn move_by(client: &Session, copies: bool, from: &str, to: &str) -> Result<()> {
    if !copies {
        return client.rename(&path(from), &path(to)).await;
    }
    let work = client.examine(&path(from), &path(to), Purpose::Move).await?;
    client.relocate(work).await.map(drop)
}

#[test]
fn a_rename_between_owners_moves_what_is_counted() {
    run(async {
        // At once, as on one file system, and by copying, as between two.
        for copies in [false, true] {
            let world = World::new(options());
            let folders = [
                world.folder("mine", "/mine", PRIVATE),
                world.folder("other", "/other", (1000, 10)),
            ];
            let client = world.login(json!({"virtual_folders": folders, "quota_size": 100})).await;
            make_tree(&world.home().join("tree"));
            std::fs::write(world.home().join("file"), [0; 5]).unwrap();
            std::os::unix::fs::symlink("a", world.home().join("tree/link")).unwrap();
            set_time(&world.home().join("tree/sub/b"), 1_000_000);
            set_time(&world.home().join("tree/sub"), 2_000_000);
            world.count(&client).await;
            assert_eq!(world.usage().await, (65, 4));
            let rename = async |from: &str, to: &str| move_by(&client, copies, from, to).await;
            rename("/file", "/other/file").await.unwrap();
            assert_eq!(world.usage().await, (60, 3), "copies {copies}");
            assert_eq!(world.folder_usage("other").await, (5, 1));
            rename("/tree", "/other/tree").await.unwrap();
            assert_eq!(world.usage().await, (0, 0), "copies {copies}");
            assert_eq!(world.folder_usage("other").await, (65, 4));
            let (here, there) = (world.home(), world.mapped("other"));
            let moved = there.join("tree/sub");
            assert_eq!(time_of(&moved.join("b")), {
                std::time::UNIX_EPOCH + Duration::new(1_000_000, 123_456_789)
            });
            assert!(moved.join("empty").is_dir());
            if copies {
                let time = std::time::UNIX_EPOCH + Duration::new(2_000_000, 123_456_789);
                assert_eq!(time_of(&moved), time, "of a directory");
                assert_eq!(files_below(&here), ["tree/link"], "links stay");
                assert_eq!(files_below(&there), ["file", "tree/a", "tree/sub/b", "tree/sub/c"]);
                assert!(world.logged("1 links, special files or unfinished uploads stay"));
                std::fs::remove_dir_all(here.join("tree")).unwrap();
            } else {
                assert_eq!(world.on_disk(), [""; 0]);
                assert!(there.join("tree/link").is_symlink());
                std::fs::remove_file(there.join("tree/link")).unwrap();
                assert_eq!(world.lines("Rename").len(), 2);
            }
            // Replacing a file.
            put(&client, "/old", &[1; 7]).await.unwrap();
            rename("/other/tree/sub/c", "/old").await.unwrap();
            assert_eq!(world.usage().await, (30, 1));
            assert_eq!(world.folder_usage("other").await, (35, 3));
            // Within one quota there is always room.
            put(&client, "/more", &[1; 70]).await.unwrap();
            rename("/more", "/mine/more").await.unwrap();
            assert_eq!(world.usage().await, (100, 2), "copies {copies}");
            assert_eq!(files_below(&world.mapped("mine")), ["more"]);
            // And none in another that is full; nothing is changed then.
            for (from, to) in [("/other/file", "/file"), ("/other/tree", "/tree")] {
                assert_eq!(kind(rename(from, to).await), ErrorKind::QuotaExceeded, "{from}");
            }
            assert_eq!(files_below(&here), ["old"]);
            assert_eq!(files_below(&there), ["file", "tree/a", "tree/sub/b"]);
            assert_eq!(world.usage().await, (100, 2), "copies {copies}");
            assert_eq!(world.folder_usage("other").await, (35, 3));
            assert!(!here.join("tree").exists(), "copies {copies}");
            // What cannot take the other's place.
            let over_dir = rename("/old", "/other/tree").await;
            assert_eq!(kind(over_dir), ErrorKind::IsADirectory);
            let over_file = rename("/other/tree", "/old").await;
            assert_eq!(kind(over_file), ErrorKind::NotADirectory);
            client.symlink(b"old", &path("/link")).await.unwrap();
            assert_eq!(kind(rename("/link", "/other/link").await), ErrorKind::Unsupported);
            assert_eq!(kind(rename("/none", "/other/none").await), ErrorKind::NotFound);
        }
    });
}

#[test]
fn a_rename_replaces_a_link_and_needs_no_room_for_a_file_that_it_replaces() {
    run(async {
        for copies in [false, true] {
            let world = World::new(options());
            let folders = [world.folder("other", "/other", (1000, 1))];
            let client = world.login(json!({"virtual_folders": folders})).await;
            let rename = async |from: &str, to: &str| move_by(&client, copies, from, to).await;
            put(&client, "/other/real", b"precious").await.unwrap();
            put(&client, "/new", b"new").await.unwrap();
            let link = |target: &str, name: &str| {
                let name = world.mapped("other").join(name);
                std::os::unix::fs::symlink(target, name).unwrap();
            };
            link("real", "link");
            link("nothing", "dangling");
            // Another file than the one that is there.
            for name in ["/other/link", "/other/dangling"] {
                assert_eq!(kind(rename("/new", name).await), ErrorKind::QuotaExceeded, "{name}");
                assert!(client.lstat(&path(name)).await.unwrap().kind == FileKind::Symlink);
            }
            rename("/new", "/other/real").await.unwrap();
            assert_eq!(world.folder_usage("other").await, (3, 1), "copies {copies}");
            std::fs::write(world.mapped("other").join("real"), b"precious").unwrap();

            let folders = [world.folder("other", "/other", UNLIMITED)];
            let client = world.login(json!({"virtual_folders": folders})).await;
            let rename = async |from: &str, to: &str| move_by(&client, copies, from, to).await;
            for name in ["/other/link", "/other/dangling"] {
                put(&client, "/new", b"new").await.unwrap();
                rename("/new", name).await.unwrap();
                let found = client.lstat(&path(name)).await.unwrap();
                assert_eq!((found.kind, found.size), (FileKind::File, 3), "copies {copies}");
            }
            let there = world.mapped("other");
            assert_eq!(files_below(&there), ["dangling", "link", "real"], "copies {copies}");
            assert_eq!(std::fs::read(there.join("real")).unwrap(), b"precious");
            assert_eq!(world.folder_usage("other").await, (9, 3), "copies {copies}");
            assert_eq!(world.usage().await, (0, 0), "copies {copies}");
        }
    });
}

#[test]
fn a_file_that_is_still_uploaded_is_counted_where_it_ends() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let folders = [world.folder("other", "/other", UNLIMITED)];
            let client = world.login(json!({"virtual_folders": folders})).await;
            client.create_dir(&path("/d"), None).await.unwrap();
            put(&client, "/d/a", &[1; 10]).await.unwrap();
            let upload = client.begin_upload(&path("/d/b"), NEW).await.unwrap();
            write(&upload, 0, &[1; 20]).await.unwrap();
            client.rename(&path("/d"), &path("/other/d")).await.unwrap();
            write(&upload, 20, &[1; 30]).await.unwrap();
            upload.finish().await.unwrap();
            let mut stored = 0;
            for dir in [world.home(), world.mapped("other")] {
                for file in files_below(&dir) {
                    stored += std::fs::metadata(dir.join(file)).unwrap().len();
                }
            }
            assert_eq!(stored, 60, "{mode:?}");
            assert_eq!(world.usage().await, (50, 1), "{mode:?}");
            assert_eq!(world.folder_usage("other").await, (10, 1), "{mode:?}");
        }
    });
}

#[test]
fn a_copy_that_is_given_up_leaves_nothing_and_the_source_whole() {
    run(async {
        let world = World::new(options());
        let folders = [world.folder("other", "/other", UNLIMITED)];
        let client = world.login(json!({"virtual_folders": folders})).await;
        let count = 1500;
        for n in 0..count {
            let dir = world.home().join(format!("tree/d{}", n % 10));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(n.to_string()), [1; 10]).unwrap();
        }
        world.count(&client).await;
        let before = world.usage().await;
        assert_eq!(before, (count * 10, count));
        for kills in [false, true] {
            let work =
                client.examine(&path("/tree"), &path("/other/tree"), Purpose::Move).await.unwrap();
            let mut moving = Box::pin(client.relocate(work));
            let target = world.mapped("other").join("tree");
            let has_begun = || target.exists() && !files_below(&target).is_empty();
            while !has_begun() {
                let moved = tokio::time::timeout(Duration::from_millis(1), &mut moving).await;
                assert!(moved.is_err(), "it was too quick to be stopped");
            }
            let transfers = world.actors.registry.list().await;
            let transfer = transfers.iter().flat_map(|connection| &connection.transfers).next();
            assert_eq!(transfer.unwrap().virtual_path, "/other/tree");
            if kills {
                client
                    .connection
                    .kill_switch()
                    .fire(KillReason::Admin { by: "root".into(), because: None });
                assert_eq!(kind(moving.await), ErrorKind::Aborted);
            } else {
                drop(moving);
            }
            wait_until(async || !target.exists()).await;
            wait_until(async || world.folder_usage("other").await == (0, 0)).await;
            assert_eq!(files_below(&world.home()).len() as u64, count, "kills {kills}");
            assert_eq!(world.usage().await, before);
        }
    });
}

#[test]
fn copies_are_complete_counted_and_keep_to_the_permissions() {
    run(async {
        let world = World::new(options());
        let folders =
            [world.folder("one", "/tree/m", UNLIMITED), world.folder("two", "/two", (150, 0))];
        let client = world.login(json!({"virtual_folders": folders})).await;
        make_tree(&world.home().join("tree"));
        std::os::unix::fs::symlink("a", world.home().join("tree/link")).unwrap();
        put(&client, "/tree/m/d", &[4; 40]).await.unwrap();
        world.count(&client).await;
        set_time(&world.home().join("tree/a"), 1_000_000);
        let copy = async |from: &str, to: &str| client.copy(&path(from), &path(to)).await;

        copy("/tree", "/two/copy").await.unwrap();
        let two = world.mapped("two");
        assert_eq!(files_below(&two), ["copy/a", "copy/m/d", "copy/sub/b", "copy/sub/c"]);
        assert_eq!(std::fs::read(two.join("copy/sub/c")).unwrap(), [3; 30]);
        assert!(two.join("copy/sub/empty").is_dir());
        let time = std::time::UNIX_EPOCH + Duration::new(1_000_000, 123_456_789);
        assert_eq!(time_of(&two.join("copy/a")), time);
        assert_eq!(world.folder_usage("two").await, (100, 4));
        assert_eq!((world.usage().await, world.folder_usage("one").await), ((60, 3), (40, 1)));
        copy("/tree/sub", "/sub").await.unwrap();
        assert_eq!(world.usage().await, (110, 5));
        // A file, over another one.
        copy("/tree/a", "/sub/b").await.unwrap();
        assert_eq!(world.usage().await, (100, 5));
        assert_eq!(std::fs::read(world.home().join("sub/b")).unwrap(), [1; 10]);
        let copied = world.event(FsAction::Copy).await;
        assert_eq!(copied.virtual_path, b"/tree");
        assert_eq!(copied.virtual_target_path.as_deref(), Some(&b"/two/copy"[..]));
        assert_eq!(copied.file_size, Some(100));
        assert_eq!(world.lines("Copy").len(), 3);

        assert_eq!(kind(copy("/tree", "/two/again").await), ErrorKind::QuotaExceeded);
        assert!(!two.join("again").exists());
        assert_eq!(world.folder_usage("two").await, (100, 4));
        for (from, to, want) in [
            ("/tree", "/tree/sub/x", ErrorKind::InvalidInput),
            ("/tree/a", "/tree/a", ErrorKind::InvalidInput),
            ("/sub", "/sub", ErrorKind::IsADirectory),
            ("/tree", "/sub", ErrorKind::IsADirectory),
            ("/tree/a", "/sub", ErrorKind::IsADirectory),
            ("/tree", "/sub/b", ErrorKind::NotADirectory),
            ("/", "/two/x", ErrorKind::InvalidInput),
            ("/tree/link", "/x", ErrorKind::Unsupported),
            ("/none", "/x", ErrorKind::NotFound),
            ("/tree/a", "/none/x", ErrorKind::NotFound),
        ] {
            assert_eq!(kind(copy(from, to).await), want, "{from} {to}");
        }

        let rules = json!({"permissions": {"/": ["list", "copy"], "/tree/sub": ["list"]}});
        let client = world.login(rules).await;
        let denied = ErrorKind::PermissionDenied;
        let copy = async |from: &str, to: &str| client.copy(&path(from), &path(to)).await;
        assert_eq!(kind(copy("/tree/a", "/sub/b").await), denied, "overwrite");
        assert_eq!(kind(copy("/tree/sub/b", "/x").await), denied);
        assert_eq!(kind(copy("/tree", "/x").await), denied, "something in it");
        assert!(!world.home().join("x").exists());
        copy("/tree/a", "/x").await.unwrap();
    });
}

#[test]
fn no_copy_is_larger_than_the_largest_file_and_moves_keep_what_is_there() {
    run(async {
        let world = World::new(options());
        let folders = [world.folder("one", "/m", UNLIMITED)];
        let filters = json!({"max_upload_file_size": 100});
        let client = world.login(json!({"virtual_folders": folders, "filters": filters})).await;
        // Put there by others, or before there was a limit.
        std::fs::create_dir(world.home().join("d")).unwrap();
        std::fs::write(world.home().join("d/fits"), [1; 100]).unwrap();
        std::fs::write(world.home().join("d/over"), [1; 101]).unwrap();
        world.count(&client).await;
        for target in ["/copy", "/m/copy"] {
            let copy = async |from: &str| client.copy(&path(from), &path(target)).await;
            for from in ["/d/over", "/d"] {
                assert_eq!(kind(copy(from).await), ErrorKind::QuotaExceeded, "{from} {target}");
                assert_eq!(kind(client.lstat(&path(target)).await), ErrorKind::NotFound);
            }
            copy("/d/fits").await.unwrap();
        }
        assert_eq!(kind(client.copy(&path("/d/over"), &path("/copy")).await), {
            ErrorKind::QuotaExceeded
        });
        assert_eq!(std::fs::read(world.home().join("copy")).unwrap(), [1; 100]);
        assert_eq!((world.usage().await, world.folder_usage("one").await), ((301, 3), (100, 1)));

        // In both ways in which a rename from one mount to another is done.
        client.rename(&path("/d/over"), &path("/m/over")).await.unwrap();
        let back = client.examine(&path("/m/over"), &path("/over"), Purpose::Move).await.unwrap();
        client.relocate(back).await.unwrap();
        assert_eq!(files_below(&world.home()), ["copy", "d/fits", "over"]);
        assert_eq!(world.usage().await, (301, 3));
    });
}

/// Two folders can be one directory, or one inside the other.
#[test]
fn folders_that_overlap_cost_no_data() {
    run(async {
        let world = World::new(options());
        let mut inside = world.folder("inside", "/inside", UNLIMITED);
        inside["mapped_path"] = json!(world.home().join("d"));
        let mut same = world.folder("same", "/same", UNLIMITED);
        same["mapped_path"] = json!(world.home());
        let client = world.login(json!({"virtual_folders": [inside, same]})).await;
        put(&client, "/d/f", b"text").await.unwrap();
        client.rename(&path("/d/f"), &path("/inside/f")).await.unwrap();
        assert_eq!(kind(client.copy(&path("/d/f"), &path("/same/d/f")).await), {
            ErrorKind::InvalidInput
        });
        let work = client.examine(&path("/d"), &path("/inside/x"), Purpose::Move).await.unwrap();
        let into_itself = client.relocate(work).await;
        assert_eq!(kind(into_itself), ErrorKind::InvalidInput);
        assert!(client.rename(&path("/d"), &path("/inside/x")).await.is_err());
        assert!(client.rename(&path("/d"), &path("/same/d")).await.is_err());
        assert_eq!(files_below(&world.home()), ["d/f"]);
        assert_eq!(std::fs::read(world.home().join("d/f")).unwrap(), b"text");
    });
}

#[test]
fn links_stay_in_their_storage() {
    run(async {
        let world = World::new(options());
        let folders = [world.folder("one", "/m", UNLIMITED)];
        let client = world.login(json!({"virtual_folders": folders})).await;
        put(&client, "/home", b"home").await.unwrap();
        put(&client, "/m/a", b"folder").await.unwrap();
        let unsupported = ErrorKind::Unsupported;
        assert_eq!(kind(client.symlink(b"/m/a", &path("/l")).await), unsupported);
        assert_eq!(kind(client.symlink(b"../home", &path("/m/l")).await), unsupported);
        client.create_dir(&path("/m/d"), None).await.unwrap();
        client.symlink(b"/m/a", &path("/m/d/l")).await.unwrap();
        assert_eq!(client.read_link(&path("/m/d/l")).await.unwrap(), path("/m/a"));
        assert_eq!(client.stat(&path("/m/d/l")).await.unwrap().size, 6);
        // Made by others, who can make any.
        let link = |target: &str, link: PathBuf| std::os::unix::fs::symlink(target, link).unwrap();
        link("../home/home", world.mapped("one").join("out"));
        link("m/a", world.home().join("into"));
        for name in ["/m/out", "/into"] {
            let denied = client.read_link(&path(name)).await;
            assert_eq!(kind(denied), ErrorKind::PermissionDenied, "{name}");
            assert!(client.begin_download(&path(name)).await.is_err(), "{name}");
        }
    });
}

#[test]
fn a_scan_counts_the_home_and_private_folders_once() {
    run(async {
        let world = World::new(options());
        let mut nested = world.folder("nested", "/nested", PRIVATE);
        nested["mapped_path"] = json!(world.home().join("inside"));
        let folders = [
            world.folder("mine", "/mine", PRIVATE),
            world.folder("other", "/other", UNLIMITED),
            nested,
        ];
        let client = world.login(json!({"virtual_folders": folders})).await;
        for (name, size) in [("/a", 1), ("/mine/a", 10), ("/other/a", 100), ("/nested/a", 1000)] {
            put(&client, name, &vec![1; size]).await.unwrap();
        }
        // Hidden beneath a mount point, but on the disk of the home.
        std::fs::create_dir(world.home().join("mine")).unwrap();
        std::fs::write(world.home().join("mine/hidden"), [1; 10_000]).unwrap();
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let scan = scan_user(client.user(), &world.services, 0, &progress, &cancel).await.unwrap();
        assert_eq!((scan.size, scan.files), (11_011, 4));
        assert_eq!(world.usage().await, (1011, 3));
        assert_eq!(world.folder_usage("other").await, (100, 1));
    });
}

/// A client can make paths longer than the system takes, by moving trees.
#[test]
fn a_scan_that_cannot_read_everything_has_no_result() {
    run(async {
        use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
        let world = World::new(options());
        let client = world.login(json!({})).await;
        put(&client, "/a", b"x").await.unwrap();
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = "d".repeat(200);
        let mut dir = open(world.home(), flags, Mode::empty()).unwrap();
        for _ in 0..30 {
            mkdirat(&dir, &*name, Mode::RWXU).unwrap();
            dir = openat(&dir, &*name, flags, Mode::empty()).unwrap();
        }
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let scan = async || scan_user(client.user(), &world.services, 0, &progress, &cancel).await;
        let error = scan().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
        assert!(error.context().starts_with("list /ddd"), "{error}");
        assert!(progress.directories() > 15, "{}", progress.directories());
        std::fs::rename(world.home().join(&name).join(&name), world.dir.path().join("away"))
            .unwrap();
        let found = scan().await.unwrap();
        assert_eq!((found.size, found.files), (1, 1));
    });
}
