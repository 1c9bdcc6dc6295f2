//! One file on its way to the client.

use std::sync::Arc;

use actors::{AbortReason, Allowance, Direction, FsAction, Transfer};
use bytes::Bytes;

use super::effects::{DownloadEnd, Running, end_error};
use super::limits;
use super::policy::Operation;
use super::session::Session;
use super::throttle::{Pace, Throttle};
use crate::error::{Error, Result};
use crate::paths::VirtualPath;
use crate::storage::{Metadata, ReadHandle};

/// An open download. Ends with [`Download::finish`]; dropped before, it is aborted.
#[derive(Debug)]
pub struct Download {
    running: Arc<Running>,
    handle: Arc<dyn ReadHandle>,
    throttle: Option<Arc<Throttle>>,
    allowance: Option<Allowance>,
    /// Taken by the end.
    ending: Option<(Transfer, Box<DownloadEnd>)>,
}

impl Session {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// `DownloadQuotaExceeded` when the account may not transfer a byte more.
    pub async fn begin_download(&self, path: &VirtualPath) -> Result<Download> {
        let place = self.enter(Operation::Download(path), path)?;
        let (limits, quota) = (&self.origin.limits, &self.origin.services.quota);
        let allowance = limits.allowance(quota, Direction::Download).await?;
        self.origin.ask_hook(FsAction::PreDownload, path, &place).await?;
        let (storage, storage_path) = (place.mount.storage.clone(), place.path.clone());
        let (running, transfer) =
            Running::begin(&self.origin, Direction::Download, path, place).await?;
        let handle = storage.open_read(&storage_path).await?;
        // Only shown: how much there is to come. What cannot say it is read all the same.
        if let Ok(found) = handle.metadata().await {
            running.meter.expect(found.size);
        }
        let end = DownloadEnd { running: running.clone(), handle: handle.clone() };
        Ok(Download {
            running,
            handle,
            throttle: Throttle::from_kib_per_sec(limits.bandwidth.download).map(Arc::new),
            allowance,
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
        Some(read?.and_then(|count| self.count(count)).map_err(|error| self.running.fail(error)))
    }

    /// Counts bytes that were read for the client.
    fn count(&self, bytes: usize) -> Result<usize> {
        limits::take(self.allowance.as_ref(), Direction::Download, bytes)?;
        self.running.meter.add(bytes as u64);
        Ok(bytes)
    }

    /// Up to `len` bytes from `offset`; fewer only at the end of the file, empty past it.
    ///
    /// # Errors
    /// `Aborted` when the connection is killed meanwhile; `DownloadQuotaExceeded` when
    /// the account may not transfer that much more. After any error the download has
    /// failed.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let read = self.read_unpaced(offset, len).await?;
        if let Some(throttle) = &self.throttle {
            let acquired =
                throttle.acquire(read.len(), self.running.kill(), &self.running.meter).await;
            acquired.map_err(|error| self.running.fail(error))?;
        }
        Ok(read)
    }

    /// The same without waiting for the bandwidth limit: whoever sends the bytes lets
    /// them leave at the pace, if there is one. Fewer bytes at a time would be no way to
    /// slow a client down: to some, a short read is the end of the file.
    pub async fn read_paced(&self, offset: u64, len: usize) -> Result<(Bytes, Option<Pace>)> {
        let read = self.read_unpaced(offset, len).await?;
        let throttle = self.throttle.as_ref().filter(|_| !read.is_empty());
        let pace = throttle.map(|throttle| throttle.pace(read.len(), &self.running.meter));
        Ok((read, pace))
    }

    async fn read_unpaced(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.running.require_sound()?;
        let read = self.handle.read_at(offset, len).await;
        let read = read.and_then(|read| self.count(read.len()).map(|_| read));
        read.map_err(|error| self.running.fail(error))
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
