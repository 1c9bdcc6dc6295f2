//! One file on its way to the client.

use std::sync::Arc;

use actors::{AbortReason, Direction, FsAction, Transfer};
use bytes::Bytes;

use super::effects::{DownloadEnd, Running, end_error};
use super::policy::Operation;
use super::session::Session;
use super::throttle::Throttle;
use crate::error::{Error, Result};
use crate::paths::VirtualPath;
use crate::storage::{Metadata, ReadHandle};

/// An open download. Ends with [`Download::finish`]; dropped before, it is aborted.
#[derive(Debug)]
pub struct Download {
    running: Arc<Running>,
    handle: Arc<dyn ReadHandle>,
    throttle: Option<Throttle>,
    /// Taken by the end.
    ending: Option<(Transfer, Box<DownloadEnd>)>,
}

impl Session {
    /// Opens `path` for reading.
    pub async fn begin_download(&self, path: &VirtualPath) -> Result<Download> {
        let place = self.enter(Operation::Download(path), path)?;
        self.origin.ask_hook(FsAction::PreDownload, path, &place).await?;
        let (storage, storage_path) = (place.mount.storage.clone(), place.path.clone());
        let (running, transfer) =
            Running::begin(&self.origin, Direction::Download, path, place).await?;
        let handle = storage.open_read(&storage_path).await?;
        let end = DownloadEnd { running: running.clone(), handle: handle.clone() };
        Ok(Download {
            running,
            handle,
            throttle: Throttle::from_kib_per_sec(self.origin.user.download_bandwidth),
            ending: Some((transfer, Box::new(end))),
        })
    }
}

impl Download {
    /// Reads at `offset` into `buf` if nothing has to be waited for: bandwidth
    /// and storage. `None` otherwise: [`Download::read_at`] waits. Less than the
    /// whole of `buf` means that the file ends there.
    pub fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
        if let Err(error) = self.running.require_sound() {
            return Some(Err(error));
        }
        if self.throttle.as_ref().is_some_and(|throttle| !throttle.try_acquire(buf.len())) {
            return None;
        }
        let read = self.handle.try_read_at(offset, buf);
        let count = match &read {
            Some(Ok(count)) => *count,
            Some(Err(_)) | None => 0,
        };
        if let Some(throttle) = &self.throttle {
            throttle.refund(buf.len().saturating_sub(count));
        }
        self.running.meter.add(count as u64);
        read.map(|read| read.map_err(|error| self.running.fail(error)))
    }

    /// Up to `len` bytes from `offset`; fewer only at the end of the file, empty past it.
    ///
    /// # Errors
    /// `Aborted` when the connection is killed meanwhile. After any error the
    /// download has failed.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.running.require_sound()?;
        let read = async {
            // First the storage: only what the file has is paid for.
            let read = self.handle.read_at(offset, len).await?;
            if let Some(throttle) = &self.throttle {
                throttle.acquire(read.len(), self.running.kill()).await?;
            }
            Ok(read)
        };
        let read = read.await.map_err(|error| self.running.fail(error))?;
        self.running.meter.add(read.len() as u64);
        Ok(read)
    }

    /// The largest read worth making of several small ones: with a bandwidth
    /// limit what passes in a tenth of a second, so that the client is served steadily.
    pub fn max_extent(&self) -> usize {
        const LEAST: u64 = 32 * 1024;
        self.throttle.as_ref().map_or(usize::MAX, |throttle| {
            usize::try_from(throttle.bytes_per_100_ms().max(LEAST)).unwrap_or(usize::MAX)
        })
    }

    pub async fn metadata(&self) -> Result<Metadata> {
        self.running.require_sound()?;
        self.handle.metadata().await
    }

    pub(super) fn handle(&self) -> &dyn ReadHandle {
        &*self.handle
    }

    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Ends the download.
    ///
    /// # Errors
    /// What made it fail before; `Aborted` when the connection was killed.
    pub async fn finish(mut self) -> Result<()> {
        let Some((transfer, end)) = self.ending.take() else {
            return Err(Error::internal("a download was ended twice"));
        };
        transfer.finish(end).await.map_err(end_error)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some((transfer, end)) = self.ending.take() {
            transfer.abort(end, AbortReason::Dropped);
        }
    }
}
