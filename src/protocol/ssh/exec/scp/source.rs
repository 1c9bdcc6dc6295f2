//! `scp -f`: files on their way to the client.

use super::message::{announce, times};
use super::{Stop, Talk};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Entry, FileKind, Metadata};
use crate::vfs::{Download, Listing, Pace};

/// Read and sent at a time.
const CHUNK: usize = 256 * 1024;

/// Entries asked from a directory at a time.
const LIST_BATCH: usize = 256;

/// A directory that is being sent.
struct Level {
    path: VirtualPath,
    listing: Listing,
    /// Of the last batch, in reverse.
    ready: Vec<Entry>,
}

impl Talk<'_> {
    pub(super) async fn send_all(&mut self, paths: &[Vec<u8>]) -> Result<(), Stop> {
        // The client says when it is ready.
        self.answer().await?;
        let mut buffer = Vec::new();
        for raw in paths {
            let path = self.resolve(raw);
            match self.session.stat(&path).await {
                // A client that may only download knows what it asks for.
                Err(error) if error.kind() != ErrorKind::PermissionDenied => {
                    self.report(raw, &error).await?;
                }
                Ok(Metadata { kind: FileKind::Directory, .. }) => {
                    if self.arguments.is_recursive {
                        self.send_tree(path, &mut buffer).await?;
                    } else {
                        self.report_text(raw, "not a regular file").await?;
                    }
                }
                Ok(_) | Err(_) => self.send_file(&path, &mut buffer).await?,
            }
        }
        Ok(())
    }

    /// Sends a directory and all below it. Links and special files are skipped.
    async fn send_tree(&mut self, root: VirtualPath, buffer: &mut Vec<u8>) -> Result<(), Stop> {
        let mut levels: Vec<Level> = Vec::new();
        let mut entering = Some(root);
        loop {
            if let Some(path) = entering.take()
                && let Some(level) = self.enter(path).await?
            {
                levels.push(level);
            }
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let Some(Entry { name, metadata }) = level.ready.pop() else {
                match level.listing.next_batch(LIST_BATCH).await {
                    Ok(mut batch) if !batch.is_empty() => {
                        batch.reverse();
                        level.ready = batch;
                    }
                    ended => {
                        let path = level.path.clone();
                        levels.pop();
                        if let Err(error) = ended {
                            self.report(path.as_bytes(), &error).await?;
                        }
                        self.io.stdout.write(b"E\n").await?;
                        self.answer().await?;
                    }
                }
                continue;
            };
            let path = level.path.join(&name);
            match metadata.kind {
                FileKind::Directory => entering = Some(path),
                FileKind::File => self.send_file(&path, buffer).await?,
                FileKind::Symlink | FileKind::Other => {
                    slog::debug!(self.io.log, "scp skips {path}, which is no regular file");
                }
            }
        }
    }

    /// Announces a directory; `None` when it cannot be listed or the client declines it.
    async fn enter(&mut self, path: VirtualPath) -> Result<Option<Level>, Stop> {
        let Some(name) = self.name(&path).await? else { return Ok(None) };
        let opened = async {
            let metadata = self.session.stat(&path).await?;
            Ok((metadata, self.session.list(&path).await?))
        };
        let (metadata, listing) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                self.report(path.as_bytes(), &error).await?;
                return Ok(None);
            }
        };
        if !self.announce(b'D', &metadata, 0, &name).await? {
            return Ok(None);
        }
        Ok(Some(Level { path, listing, ready: Vec::new() }))
    }

    /// Times if they were asked for, then the line itself. False when the client declines.
    async fn announce(
        &mut self,
        kind: u8,
        metadata: &Metadata,
        size: u64,
        name: &[u8],
    ) -> Result<bool, Stop> {
        if self.arguments.keeps_times {
            let line = times(metadata.modified.secs, metadata.accessed.secs);
            self.io.stdout.write(&line).await?;
            if !self.answer().await? {
                return Ok(false);
            }
        }
        self.io.stdout.write(&announce(kind, metadata.mode, size, name)).await?;
        self.answer().await
    }

    /// The name that the client is given: the last one of the path. The protocol cannot
    /// carry one with a newline.
    async fn name(&mut self, path: &VirtualPath) -> Result<Option<Vec<u8>>, Stop> {
        let name = match path.file_name() {
            // The root has no name of its own, and clients refuse `.` for one.
            b"" => self.session.user().username.replace('/', "_").into_bytes(),
            name => name.to_vec(),
        };
        if name.contains(&b'\n') {
            self.report_text(path.as_bytes(), "a name with a newline cannot be sent").await?;
            return Ok(None);
        }
        Ok(Some(name))
    }

    async fn send_file(&mut self, path: &VirtualPath, buffer: &mut Vec<u8>) -> Result<(), Stop> {
        let Some(name) = self.name(path).await? else { return Ok(()) };
        let opened = async {
            let download = self.session.begin_download(path).await?;
            let metadata = download.metadata().await?;
            Ok((download, metadata))
        };
        let (download, metadata) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return self.report(path.as_bytes(), &error).await,
        };
        if !self.announce(b'C', &metadata, metadata.size, &name).await? {
            return Ok(());
        }
        let sent = self.send_bytes(&download, metadata.size, buffer).await?;
        let ended = match sent {
            Ok(()) => download.finish().await,
            // Dropped, it is an aborted download with this reason.
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => self.acknowledge().await?,
            Err(error) => self.report(path.as_bytes(), &error).await?,
        }
        self.answer().await?;
        Ok(())
    }

    /// Exactly the announced number of bytes, as the client counts them. What a file that
    /// shrinks meanwhile lacks is filled with zeros, and the client told afterwards.
    async fn send_bytes(
        &mut self,
        download: &Download,
        size: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Result<()>, Stop> {
        buffer.resize(CHUNK, 0);
        let mut outcome = Ok(());
        let mut offset = 0;
        while offset < size {
            let want = usize::try_from(size - offset).unwrap_or(usize::MAX).min(CHUNK);
            let room = buffer.get_mut(..want).unwrap_or_default();
            let read = match &outcome {
                Err(_) => None,
                Ok(()) => match download.try_read_at(offset, room) {
                    Some(read) => Some(read),
                    None => match download.read_paced(offset, want).await {
                        Err(error) => Some(Err(error)),
                        Ok((data, _)) if data.is_empty() => Some(Ok(0)),
                        Ok((data, pace)) => {
                            self.send_paced(&data, pace).await?;
                            offset += data.len() as u64;
                            continue;
                        }
                    },
                },
            };
            let len = match read {
                Some(Ok(len)) if len > 0 => len,
                read => {
                    if let Some(Err(error)) = read {
                        outcome = Err(error);
                    } else if outcome.is_ok() {
                        outcome = Err(Error::internal("the file became shorter while it was sent"));
                    }
                    room.fill(0);
                    want
                }
            };
            self.io.stdout.write(buffer.get(..len).unwrap_or_default()).await?;
            offset += len as u64;
            tokio::task::coop::consume_budget().await;
        }
        Ok(outcome)
    }

    /// In pieces, each at its moment, where the bandwidth is limited.
    async fn send_paced(&mut self, data: &[u8], pace: Option<Pace>) -> Result<(), Stop> {
        let Some(mut pace) = pace else { return Ok(self.io.stdout.write(data).await?) };
        let mut left = data;
        while !left.is_empty() {
            let len = pace.next(data.len() - left.len(), left.len()).await.min(left.len());
            let (piece, rest) = left.split_at_checked(len).unwrap_or((left, &[]));
            self.io.stdout.write(piece).await?;
            left = rest;
        }
        Ok(())
    }
}
