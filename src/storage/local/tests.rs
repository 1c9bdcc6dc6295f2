use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use super::beneath::{ComponentWise, NameWise};
use super::*;
use crate::storage::Partial;
use crate::storage::conformance::{self, get, names, new_file, path, put, write};

fn by_kernel(root: &Path) -> LocalStorage {
    LocalStorage::open(root, None).unwrap()
}

fn by_hand(root: &Path) -> LocalStorage {
    LocalStorage::open_with(root, None, |_| Box::new(ComponentWise)).unwrap()
}

#[tokio::test]
async fn local_storage_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(Arc::new(by_kernel(dir.path()))).await;
}

#[tokio::test]
async fn local_storage_without_openat2_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(Arc::new(by_hand(dir.path()))).await;
}

#[tokio::test]
async fn local_storage_with_a_temp_path_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(dir.path(), Some(temp.path())).unwrap();
    conformance::run(Arc::new(storage)).await;
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

/// tmpfs and the file system of the temporary directory are different ones.
#[tokio::test]
async fn a_temp_path_on_another_file_system_still_works() {
    let dir = tempfile::tempdir().unwrap();
    let Ok(temp) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let storage = LocalStorage::open(dir.path(), Some(temp.path())).unwrap();
    conformance::run(Arc::new(storage)).await;
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn files_on_tmpfs_are_read_without_waiting() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let storage = by_kernel(dir.path());
    put(&storage, "a", b"0123456789").await.unwrap();
    let handle = storage.open_read(&path("a")).await.unwrap();
    let mut buf = [0; 4];
    assert_eq!(handle.try_read_at(2, &mut buf).unwrap().unwrap(), 4);
    assert_eq!(&buf, b"2345");
    conformance::run(Arc::new(storage)).await;
}

/// A reader or writer that waited for the other end would hang for ever here.
#[tokio::test]
async fn pipes_and_devices_are_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    for storage in [by_kernel(dir.path()), by_hand(dir.path())] {
        for name in ["pipe", "socket"] {
            let path = path(name);
            assert_eq!(storage.lstat(&path).await.unwrap().kind, FileKind::Other);
            let refused = storage.open_read(&path).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{name}");
            for atomic in [Atomicity::Direct, Atomicity::Atomic] {
                let refused = storage.open_write(&path, new_file(atomic)).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{name}, {atomic:?}");
            }
            let mode = SetAttributes { mode: Some(0o640), ..Default::default() };
            storage.set_attributes(&path, mode).await.unwrap();
        }
    }
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    by_kernel(dir.path()).remove_file(&path("pipe")).await.unwrap();
}

#[tokio::test]
async fn the_umask_of_the_process_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    for (n, mode) in [0o666, 0o777, 0o600, 0o000].into_iter().enumerate() {
        for atomic in [Atomicity::Direct, Atomicity::Atomic] {
            let name = format!("{n}-{atomic:?}");
            let how = WriteMode { mode, ..new_file(atomic) };
            storage.open_write(&path(&name), how).await.unwrap().commit().await.unwrap();
            let found = std::fs::metadata(dir.path().join(&name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
        }
    }
    storage.create_dir(&path("d"), 0o777, None).await.unwrap();
    let found = std::fs::metadata(dir.path().join("d")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o777);
}

#[tokio::test]
async fn root_gives_new_objects_their_owner_and_overwriting_keeps_it() {
    if !attributes::is_root() {
        println!("skipped: not root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    let owner = |name: &str| {
        let found = std::fs::metadata(dir.path().join(name)).unwrap();
        (found.uid(), found.gid())
    };
    for atomic in [Atomicity::Direct, Atomicity::Atomic] {
        let how = |owner| WriteMode { owner: Some(owner), ..new_file(atomic) };
        let name = format!("{atomic:?}");
        let open = async |owner| storage.open_write(&path(&name), how(owner)).await.unwrap();
        open((1234, 5678)).await.commit().await.unwrap();
        assert_eq!(owner(&name), (1234, 5678));
        open((1, 1)).await.commit().await.unwrap();
        assert_eq!(owner(&name), (1234, 5678), "{atomic:?}");
    }
    let unchanged = crate::storage::OWNER_UNCHANGED;
    storage.create_dir(&path("d"), 0o755, Some((unchanged, 77))).await.unwrap();
    assert_eq!(owner("d"), (0, 77));
    let change = SetAttributes { owner: Some((55, unchanged)), ..Default::default() };
    storage.set_attributes(&path("d"), change).await.unwrap();
    assert_eq!(owner("d"), (55, 77));
}

#[tokio::test]
async fn the_root_is_made_with_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("a/b/home");
    assert!(LocalStorage::create_root(&home, 0o751, None).unwrap());
    assert!(!LocalStorage::create_root(&home, 0o700, None).unwrap());
    for made in [&home, home.parent().unwrap()] {
        assert_eq!(std::fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o751);
    }
    assert!(LocalStorage::open(&dir.path().join("none"), None).is_err());
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(LocalStorage::open(&dir.path().join("file"), None).is_err());
}

#[tokio::test]
async fn the_old_bytes_survive_a_temporary_file_that_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    // More than one step of copying.
    let old: Vec<u8> = (0..40_000_000_u32).map(|n| (n % 253) as u8).collect();
    std::fs::write(dir.path().join("a"), &old).unwrap();
    let how = WriteMode { truncate: false, ..new_file(Atomicity::Atomic) };
    let handle = storage.open_write(&path("a"), how).await.unwrap();
    write(&*handle, 10, b"changed").await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), old);
    let temporary = names(&storage, "").await.into_iter().find(|name| name != b"a").unwrap();
    assert!(storage.is_temporary(&temporary));
    handle.commit().await.unwrap();
    let new = std::fs::read(dir.path().join("a")).unwrap();
    assert_eq!(&new[..20], &[&old[..10], b"changed", &old[17..20]].concat()[..]);
    assert!(new[20..] == old[20..]);
    assert_eq!(names(&storage, "").await.len(), 1);
}

#[tokio::test]
async fn of_two_uploads_to_one_name_one_replaces_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    for round in 0..50 {
        let name = path(&format!("{round}"));
        let (a, b) = tokio::join!(
            storage.open_write(&name, new_file(Atomicity::Atomic)),
            storage.open_write(&name, new_file(Atomicity::Atomic))
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        let (a, b) = tokio::join!(
            tokio::spawn(async move { a.commit().await.unwrap() }),
            tokio::spawn(async move { b.commit().await.unwrap() })
        );
        let replaced = [a.unwrap(), b.unwrap()].map(|ended| ended.replaced.is_some());
        assert!(replaced[0] != replaced[1], "{replaced:?}");
    }
    assert_eq!(names(&storage, "").await.len(), 50);
}

#[tokio::test]
async fn long_names_can_be_uploaded_atomically() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    let name = "n".repeat(255);
    let handle = storage.open_write(&path(&name), new_file(Atomicity::Atomic)).await.unwrap();
    write(&*handle, 0, b"x").await.unwrap();
    handle.commit().await.unwrap();
    assert_eq!(get(&storage, &name).await.unwrap(), b"x");
}

#[tokio::test]
async fn only_temporary_files_without_a_server_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    let far_future = i64::MAX;
    let live = storage.open_write(&path("live"), new_file(Atomicity::Atomic)).await.unwrap();
    let live_name = names(&storage, "").await.remove(0);
    assert!(!storage.remove_abandoned(&path("").join(&live_name), far_future).await.unwrap());

    let dead = ".sftpgo-upload.0123456789abcdef0123456789abcdef.report.pdf";
    std::fs::write(dir.path().join(dead), "partial").unwrap();
    std::fs::write(dir.path().join("mine.txt"), "whole").unwrap();
    assert!(!storage.remove_abandoned(&path(dead), 1_000_000).await.unwrap(), "too young");
    assert!(storage.remove_abandoned(&path(dead), far_future).await.unwrap());
    assert!(!storage.remove_abandoned(&path("mine.txt"), far_future).await.unwrap());
    live.commit().await.unwrap();
    assert_eq!(names(&storage, "").await, [b"live".to_vec(), b"mine.txt".to_vec()]);
}

#[tokio::test]
async fn a_directory_that_changes_while_it_is_listed_is_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for n in 0..2000 {
        std::fs::write(dir.path().join(format!("d/{n:05}")), "").unwrap();
    }
    let storage = by_kernel(dir.path());
    let mut stream = storage.list(&path("d")).await.unwrap();
    assert_eq!(stream.next_batch(100).await.unwrap().len(), 100);
    std::fs::remove_dir_all(dir.path().join("d")).unwrap();
    // What the system had already read may be missing now; nothing is invented.
    for _ in 0..30 {
        assert!(stream.next_batch(100).await.unwrap().is_empty());
    }
}

/// The path below the root may be moved while an upload runs: the bytes go with it.
#[tokio::test]
async fn a_discarded_upload_removes_only_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let storage = by_kernel(dir.path());
    let handle = storage.open_write(&path("a"), new_file(Atomicity::Direct)).await.unwrap();
    write(&*handle, 0, b"partial").await.unwrap();
    std::fs::rename(dir.path().join("a"), dir.path().join("moved")).unwrap();
    std::fs::write(dir.path().join("a"), "another file").unwrap();
    let ended = handle.abort(Partial::Discard).await.unwrap();
    assert_eq!(ended.stored.unwrap().size, 0);
    assert_eq!(get(&storage, "a").await.unwrap(), b"another file");
    assert_eq!(get(&storage, "moved").await.unwrap(), b"");
}

#[tokio::test]
async fn both_resolvers_agree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("a/b/c")).unwrap();
    std::fs::create_dir(dir.path().join("outside")).unwrap();
    std::fs::write(root.join("a/file"), "x").unwrap();
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.join(name));
    for (target, name) in [
        ("a/b", "to-dir"),
        ("a/b/", "to-dir-slash"),
        ("to-dir", "to-link"),
        ("to-dir/../file", "up-in-middle"),
        ("a/b/c/../../../a/file", "up-and-down"),
        ("..", "parent"),
        ("../outside", "outside"),
        ("../root/a", "out-and-in"),
        ("/", "absolute"),
        (".", "self"),
        ("self/self/self/a", "selves"),
        ("a/b/..", "ends-up"),
        ("one", "two"),
        ("two", "one"),
        ("missing/x", "dangling"),
        ("a/file/x", "through-file"),
        ("/proc/self/root", "magic"),
    ] {
        link(target, name).unwrap();
    }
    // 41 links in a row are one too many.
    link("a", "chain-0").unwrap();
    for n in 1..45 {
        link(&format!("chain-{}", n - 1), &format!("chain-{n}")).unwrap();
    }
    let (kernel, hand) = (by_kernel(&root), by_hand(&root));
    let by_name = LocalStorage::open_with(&root, None, |_| Box::new(NameWise)).unwrap();
    let unfollowing =
        [kernel.root.without_links().unwrap(), Arc::into_inner(by_name.root).unwrap()];
    let mut paths: Vec<String> = vec![String::new(), "a".into(), "a/file".into(), "a/no".into()];
    for entry in std::fs::read_dir(&root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for below in ["", "/b", "/c", "/file", "/file/x"] {
            paths.push(format!("{name}{below}"));
        }
    }
    let flags =
        [OFlags::RDONLY | CAREFULLY, OFlags::PATH, DIRECTORY, OFlags::PATH | OFlags::NOFOLLOW];
    for text in paths {
        for flags in flags {
            let open = |storage: &LocalStorage| {
                let fd = storage.root.open(&path(&text), flags, Mode::empty())?;
                fstat(&fd).map(|stat| (stat.st_dev, stat.st_ino))
            };
            assert_eq!(open(&hand), open(&kernel), "{text} with {flags:?}");
            // Where the links are known, the same is reached without following any.
            let follow_last = !flags.contains(OFlags::NOFOLLOW);
            let followed = kernel.root.real_path(&path(&text), follow_last).and_then(|real| {
                let [kernel, hand] = unfollowing.each_ref().map(|root| {
                    let fd = root.open(&real, flags, Mode::empty())?;
                    fstat(&fd).map(|stat| (stat.st_dev, stat.st_ino))
                });
                assert_eq!(kernel, hand, "{text} as {real} with {flags:?}");
                kernel
            });
            assert_eq!(followed.ok(), open(&kernel).ok(), "{text} with {flags:?}");
        }
        // And a link that is met is refused.
        let has_link = kernel.root.real_path(&path(&text), true).ok() != Some(path(&text));
        for root in &unfollowing {
            let opened = root.open(&path(&text), OFlags::PATH, Mode::empty());
            assert!(!has_link || opened.is_err(), "{text}");
        }
    }
}
