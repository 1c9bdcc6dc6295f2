//! `scp -t`: files on their way from the client.

use super::message::{Lines, Message, parse};
use super::{Stop, Talk};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{FileKind, FileTime, SetAttributes};
use crate::vfs::{Upload, UploadOptions};

type Times = (FileTime, FileTime);

/// A directory that is being received.
struct Level {
    path: VirtualPath,
    /// Set when it is complete: what comes into it changes them again.
    times: Option<Times>,
}

/// Where the first file or directory goes.
enum Target {
    /// Into this directory, under the name that the client sends.
    Into(VirtualPath),
    /// Under this very name.
    Named(VirtualPath),
}

impl Talk<'_> {
    pub(super) async fn receive_all(
        &mut self,
        raw: &[u8],
        needs_directory: bool,
    ) -> Result<(), Stop> {
        let target = match self.target(raw, needs_directory).await {
            Ok(target) => target,
            Err(error) => {
                self.report(raw, &error).await?;
                return Ok(());
            }
        };
        self.acknowledge().await?;
        let mut levels: Vec<Level> = Vec::new();
        let mut times: Option<Times> = None;
        while let Some(line) = self.line().await? {
            match parse(&line)? {
                Message::Times { modified, accessed } => {
                    let at = |secs| FileTime { secs, nanos: 0 };
                    times = Some((at(accessed), at(modified)));
                    self.acknowledge().await?;
                }
                Message::File { mode, size, name } => {
                    let path = place(&target, &levels, &name);
                    self.receive_file(&path, mode, size, times.take()).await?;
                }
                Message::Directory { mode, name } => {
                    if !self.arguments.is_recursive {
                        let text = "protocol error: directory without -r".to_owned();
                        return Err(Stop::Protocol(text));
                    }
                    let path = place(&target, &levels, &name);
                    let times = times.take();
                    match self.make_directory(&path, mode).await {
                        Ok(()) => {
                            levels.push(Level { path, times });
                            self.acknowledge().await?;
                        }
                        // The client then leaves out all of it, and its end.
                        Err(error) => self.report(path.as_bytes(), &error).await?,
                    }
                }
                Message::EndDirectory => {
                    let Some(Level { path, times }) = levels.pop() else {
                        let text = "protocol error: end of a directory that never began";
                        return Err(Stop::Protocol(text.to_owned()));
                    };
                    let set = match times {
                        None => Ok(()),
                        times => {
                            let wanted = SetAttributes { times, ..SetAttributes::default() };
                            self.session.set_attributes(&path, wanted).await
                        }
                    };
                    match set {
                        Ok(()) => self.acknowledge().await?,
                        Err(error) => self.report(path.as_bytes(), &error).await?,
                    }
                }
                Message::Warning(text) => self.note_warning(&text),
                Message::Fatal(text) => return Err(Stop::ClientFailed(text)),
            }
        }
        Ok(())
    }

    /// The next line; `None` when the client has sent everything.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        let mut lines = Lines::default();
        let mut has_begun = false;
        loop {
            let Some(byte) = self.io.input.take(1).await else {
                return if has_begun { Err(Stop::Gone) } else { Ok(None) };
            };
            has_begun = true;
            // A byte at a time: what follows the line is not ours to take.
            let mut byte = byte;
            if let Some(line) = lines.next(&mut byte)? {
                return Ok(Some(line));
            }
        }
    }

    async fn target(&self, raw: &[u8], needs_directory: bool) -> Result<Target> {
        let path = self.resolve(raw);
        let is_directory = match self.session.stat(&path).await {
            Ok(found) => Some(found.kind == FileKind::Directory),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => None,
                // Who may only upload is not told what is there. A path that says so
                // is a directory, any other the name of a file.
                ErrorKind::PermissionDenied => {
                    let last = raw.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                    Some(needs_directory || matches!(last, b"" | b"." | b".."))
                }
                _ => return Err(error),
            },
        };
        match is_directory {
            Some(true) => Ok(Target::Into(path)),
            Some(false) if needs_directory || raw.ends_with(b"/") => {
                Err(Error::new(ErrorKind::NotADirectory, "the target is no directory"))
            }
            None if needs_directory => {
                Err(Error::new(ErrorKind::NotFound, "the target directory does not exist"))
            }
            // `scp -r dir host:new/` makes it, a file needs it.
            None if raw.ends_with(b"/") && !self.arguments.is_recursive => {
                Err(Error::new(ErrorKind::NotFound, "the target directory does not exist"))
            }
            Some(false) | None => Ok(Target::Named(path)),
        }
    }

    async fn make_directory(&self, path: &VirtualPath, mode: u32) -> Result<()> {
        match self.session.create_dir(path, Some(mode)).await {
            Ok(()) => Ok(()),
            Err(error) => match error.kind() {
                // Into one that is there goes whoever may put files there.
                ErrorKind::AlreadyExists | ErrorKind::PermissionDenied => {
                    match self.session.stat(path).await {
                        Ok(found) if found.kind == FileKind::Directory => Ok(()),
                        Ok(_) if error.kind() == ErrorKind::AlreadyExists => {
                            Err(Error::new(ErrorKind::NotADirectory, "a file has this name"))
                        }
                        _ => Err(error),
                    }
                }
                _ => Err(error),
            },
        }
    }

    async fn receive_file(
        &mut self,
        path: &VirtualPath,
        mode: u32,
        size: u64,
        times: Option<Times>,
    ) -> Result<(), Stop> {
        let options = UploadOptions {
            create: true,
            truncate: true,
            mode: Some(mode),
            ..UploadOptions::default()
        };
        let upload = match self.session.begin_upload(path, options).await {
            Ok(upload) => upload,
            // The client then keeps the bytes to itself.
            Err(error) => return self.report(path.as_bytes(), &error).await,
        };
        upload.expect(size);
        self.acknowledge().await?;
        let written = self.receive_bytes(&upload, size).await?;
        let client_is_well = self.answer().await?;
        let outcome = match written {
            // The client knows that what it sent is not the file: it is not kept.
            Ok(()) if !client_is_well => {
                drop(upload);
                return self.acknowledge().await;
            }
            Ok(()) => keep(upload, times).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => self.acknowledge().await,
            Err(error) => self.report(path.as_bytes(), &error).await,
        }
    }

    /// All bytes that the client has announced. After a failure the rest is dropped, as
    /// the client only then listens.
    async fn receive_bytes(&mut self, upload: &Upload, size: u64) -> Result<Result<()>, Stop> {
        let mut outcome = Ok(());
        let mut offset = 0;
        while offset < size {
            let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
            let data = self.io.input.take(left).await.ok_or(Stop::Gone)?;
            let len = data.len() as u64;
            if outcome.is_ok() {
                outcome = match upload.try_write_at(offset, &data) {
                    Some(written) => written,
                    None => upload.write_at(offset, data).await,
                };
            }
            offset += len;
        }
        Ok(outcome)
    }
}

/// Ends an upload whose bytes are all there. Its times are part of it where possible;
/// that they may not be set does not cost the file.
async fn keep(upload: Upload, times: Option<Times>) -> Result<()> {
    let set = match times {
        None => Ok(()),
        times => upload.set_attributes(SetAttributes { times, ..SetAttributes::default() }).await,
    };
    upload.finish().await?;
    set
}

fn place(target: &Target, levels: &[Level], name: &[u8]) -> VirtualPath {
    match (levels.last(), target) {
        (Some(level), _) => level.path.join(name),
        (None, Target::Into(directory)) => directory.join(name),
        (None, Target::Named(path)) => path.clone(),
    }
}
