//! One SFTP request at a time, as calls on the [`Session`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::Local;

use super::engine::{Reply, Shared};
use super::handles::{self, Directory, Handle, MAX_HANDLES, Open};
use super::names;
use super::packet::{
    self, Attributes, HandleId, MAX_DATA, MAX_PACKET, Malformed, Name, OpenFlags, Request,
    StatusCode,
};
use super::prefix::{self, Named};
use super::status::to_status;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Metadata, Space};
use crate::vfs::UploadOptions;

/// Entries asked from the storage at a time, and the bytes of one NAME reply: the
/// draft promises clients no packets above 34,000 bytes.
const LIST_BATCH: usize = 256;
const NAME_REPLY_BYTES: usize = 32_000;

/// What we advertise in SSH_FXP_VERSION. Hard links are not among them and are
/// refused: they would defeat quota and per-directory permissions.
const EXTENSIONS: &[(&str, &str)] = &[
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("fsync@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("copy-data", "1"),
];

/// SSH_FXP_VERSION.
pub fn version() -> Bytes {
    packet::version_reply(EXTENSIONS)
}

/// The reply to `limits@openssh.com`.
fn limits(id: u32) -> Bytes {
    packet::extended_u64_reply(
        id,
        &[MAX_PACKET as u64, MAX_DATA as u64, MAX_DATA as u64, MAX_HANDLES as u64],
    )
}

/// The reply to REALPATH: lexical, so that it needs no file system and leaks none.
fn realpath(shared: &Shared, id: u32, raw: &[u8]) -> Bytes {
    let path = shared.resolve(raw);
    name_only(id, path.as_bytes())
}

fn name_only(id: u32, path: &[u8]) -> Bytes {
    let name = Name {
        file_name: path.to_vec(),
        long_name: path.to_vec(),
        attributes: Attributes::default(),
    };
    packet::name_reply(id, &[name])
}

/// Carries out one packet; its one reply.
pub(super) async fn answer(shared: Arc<Shared>, packet: Bytes) -> Reply {
    let shared = &*shared;
    let (id, request) = match packet::decode(&packet) {
        Ok(decoded) => decoded,
        Err(malformed) => {
            let id = match malformed {
                Malformed::Truncated { id } => id.unwrap_or(0),
                // The framer lets no such packet through.
                Malformed::Length(_) => 0,
            };
            return packet::status_reply(id, StatusCode::BadMessage, "malformed packet").into();
        }
    };
    let started = Instant::now();
    // How long data takes is up to the client and its bandwidth limit.
    let is_measured = !matches!(request, Request::Read { .. } | Request::Write { .. });
    let outcome = match request {
        Request::Write { handle, offset, data } => {
            // Shares the packet's memory instead of copying.
            let data = packet.slice_ref(data);
            write(shared, handle, offset, data).await.map(|()| ok(id).into())
        }
        Request::Read { handle, offset, len } => read(shared, id, handle, offset, len).await,
        request => carry_out(shared, id, request).await.map(Reply::from),
    };
    if is_measured {
        shared.metrics.sftp_request(started.elapsed());
    }
    outcome.unwrap_or_else(|error| refusal(shared, id, &error).into())
}

fn ok(id: u32) -> Bytes {
    packet::status_reply(id, StatusCode::Ok, "")
}

fn refusal(shared: &Shared, id: u32, error: &Error) -> Bytes {
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) {
        slog::warn!(shared.log, "sftp request failed: {error}");
    }
    let (code, text) = to_status(error);
    packet::status_reply(id, code, text)
}

async fn carry_out(shared: &Shared, id: u32, request: Request<'_>) -> Result<Bytes> {
    let session = &shared.session;
    let path = |raw: &[u8]| shared.named(raw)?.in_account();
    match request {
        Request::Init { .. } => return Ok(version()),
        Request::Open { path: raw, flags, attributes } => {
            return open(shared, id, path(raw)?, flags, attributes).await;
        }
        Request::Close { handle } => close(shared, handle).await?,
        // Taken by `answer`, which has the packet's memory, and whose replies have a pace.
        Request::Read { .. } | Request::Write { .. } => {
            return Err(Error::internal("data reached the wrong place"));
        }
        Request::Lstat { path: raw } => {
            let metadata = match shared.named(raw)? {
                Named::Account(path) => session.lstat(&path).await?,
                Named::Ancestor(_) => prefix::metadata(),
            };
            return Ok(packet::attributes_reply(id, &names::attributes(&metadata)));
        }
        Request::Stat { path: raw } => {
            let metadata = stat(shared, &shared.named(raw)?).await?;
            return Ok(packet::attributes_reply(id, &names::attributes(&metadata)));
        }
        Request::Fstat { handle } => {
            let handle = shared.handles.get(handle)?;
            let metadata = match &handle.open {
                Open::Upload(upload) => upload.metadata().await?,
                Open::Download(download) => download.metadata().await?,
                Open::Directory(_) => stat(shared, &handle.path).await?,
            };
            return Ok(packet::attributes_reply(id, &names::attributes(&metadata)));
        }
        Request::Setstat { path: raw, attributes } => {
            session.set_attributes(&path(raw)?, attributes.to_change()).await?;
        }
        Request::Fsetstat { handle, attributes } => {
            let handle = shared.handles.get(handle)?;
            let change = attributes.to_change();
            match &handle.open {
                Open::Upload(upload) => upload.set_attributes(change).await?,
                Open::Download(download) => download.set_attributes(change).await?,
                Open::Directory(_) => {
                    let path = handle.path.clone().in_account()?;
                    session.set_attributes(&path, change).await?;
                }
            }
        }
        Request::Opendir { path: raw } => {
            let path = shared.named(raw)?;
            if shared.handles.is_full() {
                return Err(handles::too_many());
            }
            let directory = match &path {
                Named::Account(path) => {
                    let listing = Some(session.list(path).await?);
                    Directory { listing, ready: Vec::new(), at_end: false }
                }
                Named::Ancestor(child) => {
                    let only = names::name(prefix::entry(child), Local::now());
                    Directory { listing: None, ready: vec![only], at_end: true }
                }
            };
            let open = Open::Directory(Box::new(tokio::sync::Mutex::new(directory)));
            let handle = shared.handles.insert(Handle { path, open })?;
            return Ok(packet::handle_reply(id, handle));
        }
        Request::Readdir { handle } => return read_dir(shared, id, handle).await,
        Request::Remove { path: raw } => session.remove_file(&path(raw)?).await?,
        Request::Mkdir { path: raw, attributes } => {
            let mode = attributes.permissions.map(|mode| mode & 0o7777);
            session.create_dir(&path(raw)?, mode).await?;
        }
        Request::Rmdir { path: raw } => session.remove_dir(&path(raw)?).await?,
        Request::Realpath { path: raw } => return Ok(realpath(shared, id, raw)),
        // Both overwrite, as the peer does and clients have come to expect.
        Request::Rename { from, to } | Request::PosixRename { from, to } => {
            session.rename(&path(from)?, &path(to)?).await?;
        }
        Request::Readlink { path: raw } => {
            let target = session.read_link(&path(raw)?).await?;
            return Ok(name_only(id, shared.shown(&target).as_bytes()));
        }
        Request::Symlink { target, link } => {
            let link = path(link)?;
            if target.starts_with(b"/") {
                session.symlink(path(target)?.as_bytes(), &link).await?;
            } else {
                session.symlink(target, &link).await?;
            }
        }
        Request::Statvfs { path: raw } => {
            return Ok(space_reply(id, &space(shared, &shared.named(raw)?).await?));
        }
        Request::Fstatvfs { handle } => {
            let handle = shared.handles.get(handle)?;
            return Ok(space_reply(id, &space(shared, &handle.path).await?));
        }
        Request::Fsync { handle } => {
            let handle = shared.handles.get(handle)?;
            match &handle.open {
                Open::Upload(upload) => upload.sync().await?,
                Open::Download(_) | Open::Directory(_) => {}
            }
        }
        Request::Limits => return Ok(limits(id)),
        Request::CopyData { source, source_offset, len, target, target_offset } => {
            copy_data(shared, (source, source_offset), len, (target, target_offset)).await?;
        }
        Request::Hardlink { .. } => {
            return Err(Error::new(ErrorKind::Unsupported, "hard links are not supported"));
        }
        Request::Unsupported => {
            return Err(Error::new(ErrorKind::Unsupported, "unknown sftp request"));
        }
    }
    Ok(ok(id))
}

async fn stat(shared: &Shared, path: &Named) -> Result<Metadata> {
    match path {
        Named::Account(path) => shared.session.stat(path).await,
        Named::Ancestor(_) => Ok(prefix::metadata()),
    }
}

/// Above the account's root there is as much room as there.
async fn space(shared: &Shared, path: &Named) -> Result<Space> {
    match path {
        Named::Account(path) => shared.session.space(path).await,
        Named::Ancestor(_) => shared.session.space(&VirtualPath::root()).await,
    }
}

async fn open(
    shared: &Shared,
    id: u32,
    path: VirtualPath,
    flags: OpenFlags,
    attributes: Attributes,
) -> Result<Bytes> {
    if shared.handles.is_full() {
        return Err(handles::too_many());
    }
    let changes = OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let open = if flags.has(changes) {
        let options = UploadOptions {
            create: flags.has(OpenFlags::CREATE),
            exclusive: flags.has(OpenFlags::EXCLUSIVE),
            truncate: flags.has(OpenFlags::TRUNCATE),
            append: flags.has(OpenFlags::APPEND),
            read: flags.has(OpenFlags::READ),
            mode: attributes.permissions.map(|mode| mode & 0o7777),
        };
        Open::Upload(shared.session.begin_upload(&path, options).await?)
    } else {
        Open::Download(shared.session.begin_download(&path).await?)
    };
    let handle = shared.handles.insert(Handle { path: Named::Account(path), open })?;
    Ok(packet::handle_reply(id, handle))
}

async fn close(shared: &Shared, handle: Option<HandleId>) -> Result<()> {
    match shared.handles.remove(handle)?.open {
        Open::Upload(upload) => upload.finish().await,
        Open::Download(download) => download.finish().await,
        Open::Directory(_) => Ok(()),
    }
}

async fn read(
    shared: &Shared,
    id: u32,
    handle: Option<HandleId>,
    offset: u64,
    len: u32,
) -> Result<Reply> {
    let handle = shared.handles.get(handle)?;
    let len = (len as usize).min(MAX_DATA);
    // Cached data costs no change of threads here either.
    if let Some(reply) = read_now(&handle, id, offset, len)? {
        return Ok(reply.into());
    }
    let (data, pace) = match &handle.open {
        Open::Download(download) => download.read_paced(offset, len).await?,
        Open::Upload(_) | Open::Directory(_) => (read_at(&handle, offset, len).await?, None),
    };
    if data.is_empty() {
        return Ok(end_of_file(id).into());
    }
    Ok(Reply { bytes: packet::data_reply(id, &data), pace })
}

/// The reply to a READ that needs no waiting.
pub(super) fn read_now(handle: &Handle, id: u32, offset: u64, len: usize) -> Result<Option<Bytes>> {
    enum Not {
        Now,
        Ever(Error),
    }
    let reply = packet::data_reply_with(id, len, |room| {
        let read = match &handle.open {
            Open::Download(download) => download.try_read_at(offset, room),
            Open::Upload(upload) => upload.try_read_at(offset, room),
            Open::Directory(_) => None,
        };
        match read {
            None => Err(Not::Now),
            Some(read) => read.map_err(Not::Ever),
        }
    });
    match reply {
        Ok(Some(reply)) => Ok(Some(reply)),
        Ok(None) => Ok(Some(end_of_file(id))),
        Err(Not::Now) => Ok(None),
        Err(Not::Ever(error)) => Err(error),
    }
}

fn end_of_file(id: u32) -> Bytes {
    packet::status_reply(id, StatusCode::Eof, "end of file")
}

async fn read_at(handle: &Handle, offset: u64, len: usize) -> Result<Bytes> {
    match &handle.open {
        Open::Download(download) => download.read_at(offset, len).await,
        Open::Upload(upload) => upload.read_at(offset, len).await,
        Open::Directory(_) => Err(Error::new(ErrorKind::IsADirectory, "read of a directory")),
    }
}

async fn write(shared: &Shared, handle: Option<HandleId>, offset: u64, data: Bytes) -> Result<()> {
    let handle = shared.handles.get(handle)?;
    match &handle.open {
        Open::Upload(upload) => match upload.try_write_at(offset, &data) {
            Some(written) => written,
            None => upload.write_telling(offset, data, |bytes| shared.progressed(bytes)).await,
        },
        Open::Download(_) => {
            Err(Error::new(ErrorKind::PermissionDenied, "write to a file opened for reading"))
        }
        Open::Directory(_) => Err(Error::new(ErrorKind::IsADirectory, "write to a directory")),
    }
}

async fn read_dir(shared: &Shared, id: u32, handle: Option<HandleId>) -> Result<Bytes> {
    let handle = shared.handles.get(handle)?;
    let Open::Directory(directory) = &handle.open else {
        return Err(Error::new(ErrorKind::NotADirectory, "read of entries from a file"));
    };
    let mut directory = directory.lock().await;
    if directory.ready.is_empty()
        && !directory.at_end
        && let Some(listing) = &mut directory.listing
    {
        let batch = listing.next_batch(LIST_BATCH).await?;
        directory.at_end = batch.is_empty();
        let now = Local::now();
        directory.ready = batch.into_iter().rev().map(|entry| names::name(entry, now)).collect();
    }
    let mut names = Vec::new();
    let mut bytes = 0;
    while let Some(name) = directory.ready.pop() {
        bytes += name.file_name.len() + name.long_name.len() + 48;
        names.push(name);
        if bytes >= NAME_REPLY_BYTES {
            break;
        }
    }
    if names.is_empty() {
        return Ok(packet::status_reply(id, StatusCode::Eof, "end of directory"));
    }
    Ok(packet::name_reply(id, &names))
}

fn space_reply(id: u32, space: &Space) -> Bytes {
    const ST_RDONLY: u64 = 1;
    const ST_NOSUID: u64 = 2;
    let flags = ST_NOSUID | if space.read_only { ST_RDONLY } else { 0 };
    packet::extended_u64_reply(
        id,
        &[
            space.block_size,
            space.fragment_size,
            space.blocks,
            space.blocks_free,
            space.blocks_available,
            space.files,
            space.files_free,
            space.files_available,
            space.filesystem_id,
            flags,
            space.name_max,
        ],
    )
}

/// `copy-data`: from one open handle to another, without the client in between.
async fn copy_data(
    shared: &Shared,
    (source, mut from): (Option<HandleId>, u64),
    len: u64,
    (target, mut to): (Option<HandleId>, u64),
) -> Result<()> {
    let same = source == target;
    let source = shared.handles.get(source)?;
    let target = shared.handles.get(target)?;
    let Open::Upload(upload) = &target.open else {
        return Err(Error::new(ErrorKind::PermissionDenied, "copy into a handle not writable"));
    };
    // What the source holds now: it may be the target by another handle, and grow.
    let mut left = match &source.open {
        _ if len > 0 => len,
        Open::Download(download) => download.metadata().await?.size.saturating_sub(from),
        Open::Upload(upload) => upload.metadata().await?.size.saturating_sub(from),
        Open::Directory(_) => 0,
    };
    let overlaps = same && from < to.saturating_add(left) && to < from.saturating_add(left);
    if overlaps {
        return Err(Error::invalid("copy within one file with overlapping ranges"));
    }
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(MAX_DATA);
        let data = read_at(&source, from, want).await?;
        if data.is_empty() {
            // A copy until the end is done; a copy of a stated length fell short.
            return if len == 0 {
                Ok(())
            } else {
                Err(Error::invalid("copy reaches beyond the end of the source"))
            };
        }
        let n = data.len() as u64;
        upload.write_at(to, data).await?;
        from = from.saturating_add(n);
        to = to.saturating_add(n);
        left -= n.min(left);
    }
    Ok(())
}
