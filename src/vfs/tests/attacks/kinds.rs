//! Who may rename files but not directories, or the other way round, while what has the
//! name is exchanged between the look-up and the rename.

use super::*;
use crate::storage::local::selective::is_kernel_checked;

/// Exchanges a file, a directory and a link for each other, all called `x` in turn.
fn swap_kinds(dir: &Path) -> Attack {
    std::fs::write(dir.join("x"), "a file").unwrap();
    std::fs::create_dir_all(dir.join("other/inside")).unwrap();
    symlink("nowhere", dir.join("third")).unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = Arc::new(openat(CWD, dir, flags, Mode::empty()).unwrap());
    let pair = |other| ((dir.clone(), "x"), (dir.clone(), other));
    let pairs = [pair("other"), pair("third")];
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || exchange(&pairs, &stopped));
    Attack { stop, threads: vec![thread] }
}

fn kind_at(path: &Path) -> Option<FileKind> {
    let found = std::fs::symlink_metadata(path).ok()?.file_type();
    Some(match (found.is_dir(), found.is_symlink()) {
        (true, _) => FileKind::Directory,
        (_, true) => FileKind::Symlink,
        _ => FileKind::File,
    })
}

#[test]
fn no_swap_gets_another_kind_renamed_than_may_be() {
    if !is_kernel_checked() {
        assert!(std::env::var_os("CI").is_none(), "this kernel has no Landlock");
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let (file, link, dir) = (FileKind::File, FileKind::Symlink, FileKind::Directory);
    let table: &[(&[&str], &[FileKind])] = &[
        (&["rename_files"], &[file, link]),
        (&["rename_dirs"], &[dir]),
        (&["delete_files", "upload"], &[file]),
        (&["delete_files", "create_symlinks"], &[link]),
        (&["delete", "upload", "create_dirs"], &[file, dir]),
    ];
    for (permissions, wanted) in table {
        for target in ["/y", "/sub/y", "/m/y"] {
            run(rename_while_swapped(permissions, wanted, target));
        }
    }
}

async fn rename_while_swapped(permissions: &[&str], wanted: &[FileKind], target: &str) {
    let world = world(Atomicity::Direct);
    let folder = world.dir.path().join("one");
    std::fs::create_dir(world.home().join("sub")).unwrap();
    let client = world
        .login(json!({
            "permissions": {"/": permissions},
            "virtual_folders": [{
                "name": "one", "mapped_path": folder, "virtual_path": "/m",
                "quota_size": 0, "quota_files": 0,
            }],
        }))
        .await;
    let (name, stored) = (
        world.home().join("x"),
        match target.strip_prefix("/m/") {
            Some(name) => folder.join(name),
            None => world.home().join(&target[1..]),
        },
    );
    // A rename to another storage leaves links alone.
    let can_work = target != "/m/y" || *wanted != [FileKind::Symlink];
    let attack = swap_kinds(&world.home());
    let (mut worked, mut refused) = (0, 0);
    // The right kind may be there seldom, but it is.
    let mut round = 0;
    while round < rounds() || refused == 0 || (can_work && worked == 0) {
        round += 1;
        assert!(round < 10_000 + rounds(), "{permissions:?} {target}: {worked} worked");
        let renamed = client.rename(&path("/x"), &path(target)).await;
        match (renamed, kind_at(&stored)) {
            (Ok(()), Some(kind)) if wanted.contains(&kind) => worked += 1,
            (Err(_), None) => refused += 1,
            // A copy of what was exchanged before it could be removed.
            (Err(error), Some(kind))
                if error.kind() == ErrorKind::Conflict && wanted.contains(&kind) =>
            {
                refused += 1;
                match kind {
                    FileKind::Directory => std::fs::remove_dir_all(&stored).unwrap(),
                    _ => std::fs::remove_file(&stored).unwrap(),
                }
            }
            (result, found) => panic!("{permissions:?} {target}: {result:?} left {found:?}"),
        }
        if stored.symlink_metadata().is_ok() {
            std::fs::rename(&stored, &name).unwrap();
        }
        world.hooks.events.lock().unwrap().clear();
    }
    drop(attack);
}
