//! One suite for every backend: what a [`Storage`] promises, selected by its
//! capabilities. A backend's tests call [`run`] with an empty storage.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Atomicity, Ended, FileKind, FileTime, Kinds, Metadata, Partial, RenameMode, SetAttributes,
    Storage, WriteHandle, WriteMode,
};
use crate::error::{ErrorKind, Result};
use crate::paths::StoragePath;

/// Every promise, each in a directory of its own where the backend has them.
pub async fn run(storage: Arc<dyn Storage>) {
    let can = storage.capabilities();
    let storage = &*storage;
    a_file_reads_back_as_written(storage).await;
    reads_past_the_end_are_short_or_empty(storage).await;
    missing_files_are_not_found(storage).await;
    exclusive_creation_refuses_an_existing_file(storage).await;
    truncation_starts_empty_and_tells_the_old_size(storage).await;
    removing_tells_what_was_removed(storage).await;
    renaming_leaves_other_kinds_alone(storage).await;
    renaming_replaces_files_only(storage).await;
    listing_comes_in_batches_and_is_complete(storage).await;
    names_are_bytes(storage).await;
    every_end_leaves_what_it_should(storage).await;
    if can.random_write {
        writes_come_in_any_order(storage).await;
    }
    if can.resume {
        an_upload_continues_where_it_stopped(storage).await;
        appending_ignores_the_offset(storage).await;
    }
    if can.directories {
        directories_are_made_once_and_removed_empty(storage).await;
    }
    if can.attributes {
        attributes_read_back_as_set(storage).await;
    }
    if can.symlinks {
        links_lead_to_files_beneath_the_root_only(storage).await;
    }
}

/// A rename of anything, which may take the place of a file.
pub const REPLACE: RenameMode = RenameMode { replace: true, kinds: Kinds::ALL };
/// The same, onto a free name.
const KEEP: RenameMode = RenameMode { replace: false, ..REPLACE };

pub fn path(text: &str) -> StoragePath {
    StoragePath::new(text)
}

pub fn new_file(atomic: Atomicity) -> WriteMode {
    WriteMode {
        create: true,
        exclusive: false,
        truncate: true,
        append: false,
        read: false,
        atomic,
        replace_link: false,
        mode: 0o640,
        owner: None,
    }
}

pub async fn write(handle: &dyn WriteHandle, offset: u64, data: &[u8]) -> Result<()> {
    match handle.try_write_at(offset, data) {
        Some(done) => done,
        None => handle.write_at(offset, Bytes::copy_from_slice(data)).await,
    }
}

pub async fn put(storage: &dyn Storage, name: &str, content: &[u8]) -> Result<Ended> {
    let handle = storage.open_write(&path(name), new_file(Atomicity::Direct)).await?;
    write(&*handle, 0, content).await?;
    handle.commit().await
}

pub async fn get(storage: &dyn Storage, name: &str) -> Result<Vec<u8>> {
    let handle = storage.open_read(&path(name)).await?;
    let size = handle.metadata().await?.size;
    let mut out = Vec::new();
    while (out.len() as u64) < size {
        let piece = handle.read_at(out.len() as u64, 64 * 1024).await?;
        if piece.is_empty() {
            break;
        }
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

pub async fn names(storage: &dyn Storage, dir: &str) -> Vec<Vec<u8>> {
    let mut stream = storage.list(&path(dir)).await.unwrap();
    let mut names = Vec::new();
    loop {
        let batch = stream.next_batch(7).await.unwrap();
        if batch.is_empty() {
            names.sort();
            return names;
        }
        assert!(batch.len() <= 7);
        names.extend(batch.into_iter().map(|entry| entry.name));
    }
}

fn size_of(metadata: Option<Metadata>) -> Option<u64> {
    metadata.map(|metadata| metadata.size)
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn fresh_dir(storage: &dyn Storage, name: &str) {
    if storage.capabilities().directories {
        storage.create_dir(&path(name), 0o755, None).await.unwrap();
    }
}

async fn a_file_reads_back_as_written(storage: &dyn Storage) {
    fresh_dir(storage, "read").await;
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let ended = put(storage, "read/a", &content).await.unwrap();
    assert_eq!(ended.replaced, None);
    assert_eq!(ended.stored.unwrap().size, content.len() as u64);
    assert_eq!(get(storage, "read/a").await.unwrap(), content);
    assert_eq!(put(storage, "read/empty", b"").await.unwrap().stored.unwrap().size, 0);
    assert_eq!(get(storage, "read/empty").await.unwrap(), b"");

    let handle = storage.open_read(&path("read/a")).await.unwrap();
    let mut buf = vec![0; 1000];
    if let Some(read) = handle.try_read_at(123_456, &mut buf) {
        assert_eq!(read.unwrap(), 1000);
        assert_eq!(buf, content[123_456..124_456]);
    }
    assert_eq!(handle.read_at(123_456, 1000).await.unwrap(), content[123_456..124_456]);
}

async fn reads_past_the_end_are_short_or_empty(storage: &dyn Storage) {
    fresh_dir(storage, "short").await;
    put(storage, "short/a", b"0123456789").await.unwrap();
    let handle = storage.open_read(&path("short/a")).await.unwrap();
    for (offset, want) in [(0, 10), (7, 3), (10, 0), (11, 0), (1 << 40, 0), (u64::MAX, 0)] {
        let mut buf = [0; 64];
        if let Some(read) = handle.try_read_at(offset, &mut buf) {
            assert_eq!(read.unwrap(), want, "try_read_at({offset})");
        }
        assert_eq!(handle.read_at(offset, 64).await.unwrap().len(), want, "read_at({offset})");
    }
    // The caller's idea of the length costs no memory.
    assert_eq!(handle.read_at(0, usize::MAX).await.unwrap().len(), 10);
}

async fn missing_files_are_not_found(storage: &dyn Storage) {
    for name in ["none", "none/none"] {
        let missing = path(name);
        assert_eq!(kind_of(storage.stat(&missing).await), ErrorKind::NotFound);
        assert_eq!(kind_of(storage.lstat(&missing).await), ErrorKind::NotFound);
        assert_eq!(kind_of(storage.open_read(&missing).await), ErrorKind::NotFound);
        assert_eq!(kind_of(storage.remove_file(&missing).await), ErrorKind::NotFound);
        assert_eq!(
            kind_of(storage.rename(&missing, &path("x"), REPLACE).await),
            ErrorKind::NotFound
        );
        for atomic in [Atomicity::Direct, Atomicity::Atomic] {
            let how = WriteMode { create: false, ..new_file(atomic) };
            assert_eq!(kind_of(storage.open_write(&missing, how).await), ErrorKind::NotFound);
        }
    }
}

async fn exclusive_creation_refuses_an_existing_file(storage: &dyn Storage) {
    fresh_dir(storage, "excl").await;
    for atomic in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
        let how = WriteMode { exclusive: true, ..new_file(atomic) };
        let handle = storage.open_write(&path("excl/a"), how).await.unwrap();
        handle.commit().await.unwrap();
        assert_eq!(
            kind_of(storage.open_write(&path("excl/a"), how).await),
            ErrorKind::AlreadyExists
        );
        storage.remove_file(&path("excl/a")).await.unwrap();
    }
}

async fn truncation_starts_empty_and_tells_the_old_size(storage: &dyn Storage) {
    fresh_dir(storage, "trunc").await;
    for atomic in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
        put(storage, "trunc/a", b"a longer text").await.unwrap();
        let handle = storage.open_write(&path("trunc/a"), new_file(atomic)).await.unwrap();
        assert_eq!(handle.replaced_size(), Some(13));
        assert_eq!(handle.metadata().await.unwrap().size, 0);
        write(&*handle, 0, b"short").await.unwrap();
        let ended = handle.commit().await.unwrap();
        assert_eq!((size_of(ended.replaced), size_of(ended.stored)), (Some(13), Some(5)));
        assert_eq!(get(storage, "trunc/a").await.unwrap(), b"short");
    }
}

async fn removing_tells_what_was_removed(storage: &dyn Storage) {
    fresh_dir(storage, "remove").await;
    put(storage, "remove/a", b"12345").await.unwrap();
    assert_eq!(storage.remove_file(&path("remove/a")).await.unwrap().size, 5);
    assert_eq!(kind_of(storage.stat(&path("remove/a")).await), ErrorKind::NotFound);
}

async fn renaming_replaces_files_only(storage: &dyn Storage) {
    fresh_dir(storage, "rename").await;
    put(storage, "rename/a", b"first").await.unwrap();
    put(storage, "rename/b", b"second one").await.unwrap();
    let replaced = storage.rename(&path("rename/a"), &path("rename/b"), REPLACE).await.unwrap();
    assert_eq!(replaced.unwrap().size, 10);
    assert_eq!(get(storage, "rename/b").await.unwrap(), b"first");
    assert_eq!(kind_of(storage.stat(&path("rename/a")).await), ErrorKind::NotFound);
    assert_eq!(storage.rename(&path("rename/b"), &path("rename/c"), REPLACE).await.unwrap(), None);
    put(storage, "rename/taken", b"x").await.unwrap();
    let refused = storage.rename(&path("rename/c"), &path("rename/taken"), KEEP).await;
    assert_eq!(kind_of(refused), ErrorKind::AlreadyExists);
    storage.rename(&path("rename/c"), &path("rename/free"), KEEP).await.unwrap();
    storage.rename(&path("rename/free"), &path("rename/c"), KEEP).await.unwrap();
    // A name in its own place stays there.
    assert_eq!(storage.rename(&path("rename/c"), &path("rename/c"), REPLACE).await.unwrap(), None);
    if storage.capabilities().directories {
        storage.create_dir(&path("rename/dir"), 0o755, None).await.unwrap();
        let refused = storage.rename(&path("rename/c"), &path("rename/dir"), REPLACE).await;
        assert_eq!(kind_of(refused), ErrorKind::IsADirectory);
        storage.create_dir(&path("rename/other"), 0o755, None).await.unwrap();
        let refused = storage.rename(&path("rename/other"), &path("rename/dir"), REPLACE).await;
        assert_eq!(kind_of(refused), ErrorKind::IsADirectory);
        storage.rename(&path("rename/other"), &path("rename/moved"), REPLACE).await.unwrap();
        assert_eq!(get(storage, "rename/c").await.unwrap(), b"first");
        for (from, to) in [("", "rename/x"), ("rename/c", "")] {
            let refused = storage.rename(&path(from), &path(to), REPLACE).await;
            assert_eq!(kind_of(refused), ErrorKind::PermissionDenied, "{from} -> {to}");
        }
    }
}

async fn renaming_leaves_other_kinds_alone(storage: &dyn Storage) {
    fresh_dir(storage, "kinds").await;
    put(storage, "kinds/file", b"x").await.unwrap();
    let (file, dir, to) = (path("kinds/file"), path("kinds/dir"), path("kinds/to"));
    let only = |kinds| RenameMode { kinds, ..KEEP };
    let none = Kinds { files: false, links: false, directories: false };
    let files = only(Kinds { files: true, ..none });
    let refused = storage.rename(&file, &to, only(Kinds::DIRECTORIES)).await;
    assert_eq!(kind_of(refused), ErrorKind::PermissionDenied);
    storage.rename(&file, &to, files).await.unwrap();
    storage.rename(&to, &file, RenameMode { replace: true, ..files }).await.unwrap();
    if storage.capabilities().directories {
        storage.create_dir(&dir, 0o755, None).await.unwrap();
        storage.create_dir(&path("kinds/dir/inside"), 0o755, None).await.unwrap();
        let refused = storage.rename(&dir, &to, files).await;
        assert_eq!(kind_of(refused), ErrorKind::PermissionDenied);
        storage.rename(&dir, &to, only(Kinds::DIRECTORIES)).await.unwrap();
        assert!(storage.lstat(&path("kinds/to/inside")).await.is_ok());
    }
}

async fn listing_comes_in_batches_and_is_complete(storage: &dyn Storage) {
    fresh_dir(storage, "list").await;
    let mut want = Vec::new();
    for n in 0..50 {
        let name = format!("file-{n:03}");
        put(storage, &format!("list/{name}"), name.as_bytes()).await.unwrap();
        want.push(name.into_bytes());
    }
    assert_eq!(names(storage, "list").await, want);
    let mut stream = storage.list(&path("list")).await.unwrap();
    let batch = stream.next_batch(3).await.unwrap();
    assert!(batch.iter().all(|entry| entry.metadata.kind == FileKind::File));
    assert!(batch.iter().all(|entry| entry.metadata.size == 8));
    if storage.capabilities().directories {
        assert_eq!(kind_of(storage.list(&path("list/file-001")).await.map(drop)), {
            ErrorKind::NotADirectory
        });
        assert_eq!(kind_of(storage.list(&path("nowhere")).await.map(drop)), ErrorKind::NotFound);
    }
}

async fn names_are_bytes(storage: &dyn Storage) {
    fresh_dir(storage, "names").await;
    for name in [&b"caf\xc3\xa9"[..], b"caf\xe9", b" lead", b"trail ", b"new\nline", b"-rf", b"..."]
    {
        let full = path("names").join(name);
        let handle = storage.open_write(&full, new_file(Atomicity::Atomic)).await.unwrap();
        write(&*handle, 0, name).await.unwrap();
        handle.commit().await.unwrap();
        assert_eq!(storage.stat(&full).await.unwrap().size, name.len() as u64);
        assert!(names(storage, "names").await.contains(&name.to_vec()));
    }
    let nul = path("names").join(b"a\0b");
    assert_eq!(kind_of(storage.stat(&nul).await), ErrorKind::InvalidPath);
    assert_eq!(
        kind_of(storage.open_write(&nul, new_file(Atomicity::Direct)).await),
        ErrorKind::InvalidPath
    );
    let long = path("names").join(&[b'x'; 256]);
    assert_eq!(kind_of(storage.stat(&long).await), ErrorKind::InvalidPath);
}

async fn every_end_leaves_what_it_should(storage: &dyn Storage) {
    fresh_dir(storage, "ends").await;
    use Atomicity::{Atomic, AtomicResumable, Direct};
    use Partial::{Discard, Keep};
    // (mode, a target exists, end, content of the target afterwards)
    let old = Some(&b"old content"[..]);
    let new = Some(&b"new"[..]);
    let table = [
        (Direct, false, None, new),
        (Direct, false, Some(Keep), new),
        (Direct, false, Some(Discard), None),
        (Direct, true, None, new),
        (Direct, true, Some(Keep), new),
        (Direct, true, Some(Discard), new),
        (Atomic, false, None, new),
        (Atomic, false, Some(Keep), None),
        (Atomic, false, Some(Discard), None),
        (Atomic, true, None, new),
        (Atomic, true, Some(Keep), old),
        (Atomic, true, Some(Discard), old),
        (AtomicResumable, false, None, new),
        (AtomicResumable, false, Some(Keep), new),
        (AtomicResumable, false, Some(Discard), None),
        (AtomicResumable, true, None, new),
        (AtomicResumable, true, Some(Keep), new),
        (AtomicResumable, true, Some(Discard), old),
    ];
    for (n, (atomic, exists, end, want)) in table.into_iter().enumerate() {
        let case = format!("{atomic:?}, target exists: {exists}, end: {end:?}");
        let name = format!("ends/{n}");
        if exists {
            put(storage, &name, b"old content").await.unwrap();
        }
        let handle = storage.open_write(&path(&name), new_file(atomic)).await.unwrap();
        write(&*handle, 0, b"new").await.unwrap();
        if atomic != Direct {
            let during = if exists { old } else { None };
            assert_eq!(get(storage, &name).await.ok().as_deref(), during, "{case}, before");
        }
        let ended = match end {
            None => handle.commit().await.unwrap(),
            Some(partial) => handle.abort(partial).await.unwrap(),
        };
        let content = get(storage, &name).await.ok();
        assert_eq!(content.as_deref(), want, "{case}");
        assert_eq!(size_of(ended.replaced), exists.then_some(11), "{case}");
        assert_eq!(ended.stored.map(|stored| stored.size), new.filter(|_| want == new).map(|_| 3));
        assert!(handle.commit().await.is_err(), "{case}: ended twice");
    }
    let expected = table.iter().filter(|(.., want)| want.is_some()).count();
    assert_eq!(names(storage, "ends").await.len(), expected, "temporary files were left");
    // A handle that is only dropped leaves no temporary file either.
    let handle = storage.open_write(&path("ends/dropped"), new_file(Atomic)).await.unwrap();
    drop(handle);
    assert_eq!(names(storage, "ends").await.len(), expected);
}

async fn writes_come_in_any_order(storage: &dyn Storage) {
    fresh_dir(storage, "order").await;
    let handle = storage.open_write(&path("order/a"), new_file(Atomicity::Direct)).await.unwrap();
    for (offset, data) in [(6, &b"world"[..]), (0, b"hello"), (5, b" "), (0, b"H")] {
        write(&*handle, offset, data).await.unwrap();
    }
    assert!(write(&*handle, u64::MAX - 1, b"xyz").await.is_err());
    assert!(write(&*handle, i64::MAX as u64, b"xyz").await.is_err());
    let how = WriteMode { truncate: false, read: true, ..new_file(Atomicity::Direct) };
    let both = storage.open_write(&path("order/a"), how).await.unwrap();
    write(&*both, 11, b"!").await.unwrap();
    assert_eq!(both.read_at(0, 100).await.unwrap(), &b"Hello world!"[..]);
    let mut buf = [0; 5];
    if let Some(read) = both.try_read_at(6, &mut buf) {
        assert_eq!((read.unwrap(), &buf), (5, b"world"));
    }
    assert_eq!(kind_of(handle.read_at(0, 1).await), ErrorKind::PermissionDenied);
    handle.commit().await.unwrap();
    both.sync().await.unwrap();
    both.commit().await.unwrap();
    assert_eq!(get(storage, "order/a").await.unwrap(), b"Hello world!");
}

async fn an_upload_continues_where_it_stopped(storage: &dyn Storage) {
    fresh_dir(storage, "resume").await;
    for (n, atomic) in
        [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable].into_iter().enumerate()
    {
        let name = format!("resume/{n}");
        put(storage, &name, b"first half, ").await.unwrap();
        let how = WriteMode { truncate: false, ..new_file(atomic) };
        let handle = storage.open_write(&path(&name), how).await.unwrap();
        assert_eq!(handle.replaced_size(), Some(12));
        assert_eq!(handle.metadata().await.unwrap().size, 12);
        write(&*handle, 12, b"second half").await.unwrap();
        let ended = handle.commit().await.unwrap();
        assert_eq!((size_of(ended.replaced), size_of(ended.stored)), (Some(12), Some(23)));
        assert_eq!(get(storage, &name).await.unwrap(), b"first half, second half");
    }
}

async fn appending_ignores_the_offset(storage: &dyn Storage) {
    fresh_dir(storage, "append").await;
    for (n, atomic) in [Atomicity::Direct, Atomicity::Atomic].into_iter().enumerate() {
        let name = format!("append/{n}");
        put(storage, &name, b"log: ").await.unwrap();
        let how = WriteMode { truncate: false, append: true, ..new_file(atomic) };
        let handle = storage.open_write(&path(&name), how).await.unwrap();
        write(&*handle, 0, b"one ").await.unwrap();
        write(&*handle, 0, b"two").await.unwrap();
        handle.commit().await.unwrap();
        assert_eq!(get(storage, &name).await.unwrap(), b"log: one two");
    }
}

async fn directories_are_made_once_and_removed_empty(storage: &dyn Storage) {
    let dir = path("dirs");
    storage.create_dir(&dir, 0o750, None).await.unwrap();
    assert_eq!(storage.stat(&dir).await.unwrap().kind, FileKind::Directory);
    let again = storage.create_dir(&dir, 0o750, None).await;
    assert_eq!(kind_of(again), ErrorKind::AlreadyExists);
    assert_eq!(kind_of(storage.create_dir(&path(""), 0o750, None).await), ErrorKind::AlreadyExists);
    assert_eq!(
        kind_of(storage.create_dir(&path("no/parent"), 0o750, None).await),
        ErrorKind::NotFound
    );
    put(storage, "dirs/a", b"x").await.unwrap();
    assert_eq!(kind_of(storage.remove_dir(&dir).await), ErrorKind::NotEmpty);
    assert_eq!(kind_of(storage.remove_dir(&path("dirs/a")).await), ErrorKind::NotADirectory);
    assert_eq!(kind_of(storage.remove_file(&dir).await), ErrorKind::IsADirectory);
    assert_eq!(kind_of(storage.open_read(&dir).await), ErrorKind::IsADirectory);
    for atomic in [Atomicity::Direct, Atomicity::Atomic] {
        let refused = storage.open_write(&dir, new_file(atomic)).await;
        assert_eq!(kind_of(refused), ErrorKind::IsADirectory);
    }
    assert_eq!(kind_of(storage.stat(&path("dirs/a/b")).await), ErrorKind::NotADirectory);
    storage.remove_file(&path("dirs/a")).await.unwrap();
    storage.remove_dir(&dir).await.unwrap();
    assert_eq!(kind_of(storage.stat(&dir).await), ErrorKind::NotFound);
    assert!(storage.remove_dir(&path("")).await.is_err());
    assert_eq!(storage.stat(&path("")).await.unwrap().kind, FileKind::Directory);
}

async fn attributes_read_back_as_set(storage: &dyn Storage) {
    fresh_dir(storage, "attr").await;
    put(storage, "attr/a", b"0123456789").await.unwrap();
    let a = path("attr/a");
    assert_eq!(storage.stat(&a).await.unwrap().mode, 0o640, "the mode of a new file is exact");
    let times = (
        FileTime { secs: 1_000_000_000, nanos: 123_456_789 },
        FileTime { secs: 1_600_000_000, nanos: 987_654_321 },
    );
    let all = SetAttributes { size: Some(4), mode: Some(0o400), owner: None, times: Some(times) };
    assert_eq!(storage.set_attributes(&a, all).await.unwrap().size, 10);
    let found = storage.stat(&a).await.unwrap();
    assert_eq!((found.size, found.mode), (4, 0o400));
    assert_eq!((found.accessed, found.modified), times);

    // A file that nobody may read can be given back its mode.
    let mode = |mode| SetAttributes { mode: Some(mode), ..Default::default() };
    storage.set_attributes(&a, mode(0)).await.unwrap();
    storage.set_attributes(&a, mode(0o600)).await.unwrap();
    assert_eq!(storage.stat(&a).await.unwrap().mode, 0o600);
    let size = |size| SetAttributes { size: Some(size), ..Default::default() };
    storage.set_attributes(&a, size(20)).await.unwrap();
    assert_eq!(get(storage, "attr/a").await.unwrap()[4..], [0; 16]);
    assert!(storage.set_attributes(&a, size(u64::MAX)).await.is_err());
    let dir = path("attr");
    assert_eq!(kind_of(storage.set_attributes(&dir, size(0)).await), ErrorKind::IsADirectory);
    storage.set_attributes(&dir, mode(0o700)).await.unwrap();
    assert_eq!(storage.stat(&dir).await.unwrap().mode, 0o700);

    let handle = storage.open_read(&a).await.unwrap();
    handle.set_attributes(mode(0o644)).await.unwrap();
    assert_eq!(kind_of(handle.set_attributes(size(1)).await), ErrorKind::PermissionDenied);
    // What is set on an upload is what the target has in the end.
    for atomic in [Atomicity::Direct, Atomicity::Atomic] {
        let handle = storage.open_write(&a, new_file(atomic)).await.unwrap();
        write(&*handle, 0, b"text").await.unwrap();
        let modified = SetAttributes { times: Some(times), ..Default::default() };
        handle.set_attributes(modified).await.unwrap();
        let stored = handle.commit().await.unwrap().stored.unwrap();
        assert_eq!(stored.modified, times.1);
        assert_eq!(storage.stat(&a).await.unwrap().mode, 0o644, "overwriting keeps the mode");
    }
    let space = storage.space(&a).await.unwrap();
    assert!(space.blocks > 0 && space.fragment_size > 0 && space.name_max > 0);
}

async fn links_lead_to_files_beneath_the_root_only(storage: &dyn Storage) {
    fresh_dir(storage, "links").await;
    fresh_dir(storage, "links/dir").await;
    put(storage, "links/dir/a", b"inside").await.unwrap();
    let link = |target: &'static [u8], name: &str| {
        let name = path(name);
        async move { storage.symlink(target, &name).await }
    };
    link(b"dir/a", "links/good").await.unwrap();
    link(b"../links/dir", "links/good-dir").await.unwrap();
    link(b"good-dir/../dir/./a", "links/winding").await.unwrap();
    link(b"dir/later", "links/dangling").await.unwrap();
    link(b"../../links/dir/a", "links/above").await.unwrap();
    link(b"/etc/passwd", "links/absolute").await.unwrap();
    link(b"loop", "links/loop").await.unwrap();
    assert_eq!(kind_of(link(b"x", "links/good").await), ErrorKind::AlreadyExists);
    assert_eq!(kind_of(link(b"", "links/empty").await), ErrorKind::InvalidPath);

    assert_eq!(storage.read_link(&path("links/good")).await.unwrap(), b"dir/a");
    assert!(storage.read_link(&path("links/dir/a")).await.is_err());
    for name in ["links/good", "links/good-dir/a", "links/winding"] {
        assert_eq!(get(storage, name).await.unwrap(), b"inside", "{name}");
        assert_eq!(storage.stat(&path(name)).await.unwrap().kind, FileKind::File);
    }
    assert_eq!(storage.lstat(&path("links/good")).await.unwrap().kind, FileKind::Symlink);
    assert_eq!(names(storage, "links/good-dir").await, [b"a".to_vec()]);
    for name in ["links/above", "links/absolute", "links/loop"] {
        let path = path(name);
        assert_eq!(kind_of(storage.stat(&path).await), ErrorKind::PermissionDenied, "{name}");
        assert_eq!(kind_of(storage.open_read(&path).await), ErrorKind::PermissionDenied);
        for atomic in [Atomicity::Direct, Atomicity::Atomic] {
            let refused = storage.open_write(&path, new_file(atomic)).await;
            assert_eq!(kind_of(refused), ErrorKind::PermissionDenied, "{name}");
        }
        let mode = SetAttributes { mode: Some(0o600), ..Default::default() };
        let refused = storage.set_attributes(&path, mode).await;
        assert_eq!(kind_of(refused), ErrorKind::PermissionDenied);
        assert_eq!(storage.lstat(&path).await.unwrap().kind, FileKind::Symlink);
    }
    // Writing to a link writes to what it names, in every mode, also when that is new.
    for (n, atomic) in [Atomicity::Direct, Atomicity::Atomic].into_iter().enumerate() {
        let text = format!("written {n}");
        for (name, target) in [("links/dangling", "links/dir/later"), ("links/good", "links/dir/a")]
        {
            let handle = storage.open_write(&path(name), new_file(atomic)).await.unwrap();
            write(&*handle, 0, text.as_bytes()).await.unwrap();
            handle.commit().await.unwrap();
            assert_eq!(get(storage, target).await.unwrap(), text.as_bytes());
            assert_eq!(storage.lstat(&path(name)).await.unwrap().kind, FileKind::Symlink);
        }
        storage.remove_file(&path("links/dir/later")).await.unwrap();
        let exclusive = WriteMode { exclusive: true, ..new_file(atomic) };
        let refused = storage.open_write(&path("links/dangling"), exclusive).await;
        assert_eq!(kind_of(refused), ErrorKind::AlreadyExists);
    }
    let handle =
        storage.open_write(&path("links/dangling"), new_file(Atomicity::Direct)).await.unwrap();
    handle.abort(Partial::Discard).await.unwrap();
    assert_eq!(kind_of(storage.stat(&path("links/dir/later")).await), ErrorKind::NotFound);
    // Unless the link itself shall go: then what it names stays as it is.
    for (name, text) in [("links/winding", b"new"), ("links/dangling", b"too")] {
        let how = WriteMode { replace_link: true, ..new_file(Atomicity::Atomic) };
        let handle = storage.open_write(&path(name), how).await.unwrap();
        write(&*handle, 0, text).await.unwrap();
        let ended = handle.commit().await.unwrap();
        assert_eq!(ended.replaced.map(|link| link.kind), Some(FileKind::Symlink), "{name}");
        assert_eq!(storage.lstat(&path(name)).await.unwrap().kind, FileKind::File, "{name}");
        assert_eq!(get(storage, name).await.unwrap(), text);
        storage.remove_file(&path(name)).await.unwrap();
    }
    assert_eq!(get(storage, "links/dir/a").await.unwrap(), b"written 1");
    assert_eq!(kind_of(storage.stat(&path("links/dir/later")).await), ErrorKind::NotFound);
    // Removing and renaming act on the link.
    storage.rename(&path("links/good"), &path("links/renamed"), REPLACE).await.unwrap();
    assert_eq!(storage.remove_file(&path("links/renamed")).await.unwrap().kind, FileKind::Symlink);
    assert!(storage.stat(&path("links/dir/a")).await.is_ok());
    storage.remove_file(&path("links/good-dir")).await.unwrap();
    assert!(storage.remove_dir(&path("links/winding")).await.is_err());
}
