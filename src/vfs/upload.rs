//! One file on its way from the client.

use std::sync::{Arc, Mutex, PoisonError};

use actors::{AbortReason, Allowance, Direction, Lease, Transfer, Want};
use bytes::Bytes;

use super::effects::{Expected, QuotaHold, Running, UploadEnd, denied, end_error};
use super::limits::{self, FileSize};
use super::mounts::{QuotaOwner, Resolved};
use super::policy::Operation;
use super::session::Session;
use super::throttle::Throttle;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Atomicity, Metadata, SetAttributes, WriteHandle, WriteMode};

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadOptions {
    /// Create the file when it is missing.
    pub create: bool,
    /// With `create`: fail with `AlreadyExists` when it is there.
    pub exclusive: bool,
    /// Start empty. Without it an existing file is continued or patched.
    pub truncate: bool,
    /// Every write goes to the end, whatever its offset.
    pub append: bool,
    /// The file is also read.
    pub read: bool,
    /// The client's wish for the mode of a new file; 0666 without one. The umask applies.
    pub mode: Option<u32>,
}

/// An open upload. Ends with [`Upload::finish`]; dropped before, it is aborted.
#[derive(Debug)]
pub struct Upload {
    running: Arc<Running>,
    handle: Arc<dyn WriteHandle>,
    throttle: Option<Throttle>,
    /// For reading back.
    read_throttle: Option<Throttle>,
    appends: bool,
    file_size: Option<FileSize>,
    allowance: Option<Allowance>,
    charge: Mutex<Charge>,
    /// Taken by the end.
    ending: Option<(Transfer, Box<UploadEnd>)>,
}

/// How much of the file's growth was taken from the lease. Rewriting a range or
/// filling a hole is no growth.
#[derive(Debug, Default)]
struct Charge {
    /// The size that is paid for: written so far, or counted for the account already.
    paid_to: u64,
    /// Paid for an append that was not written in the end.
    prepaid: u64,
}

impl Charge {
    /// What a write that ends at `end` costs; appends cost their length.
    fn growth(&self, end: u64, append: Option<u64>) -> u64 {
        match append {
            Some(len) => len.saturating_sub(self.prepaid),
            None => end.saturating_sub(self.paid_to),
        }
    }

    fn paid(&mut self, end: u64, append: Option<u64>) {
        match append {
            Some(len) => self.prepaid = self.prepaid.saturating_sub(len),
            None => self.paid_to = self.paid_to.max(end),
        }
    }
}

impl Session {
    /// Opens `path` for writing.
    ///
    /// # Errors
    /// `PermissionDenied` also when the file exists and may not be overwritten;
    /// `QuotaExceeded` when the account has no room for a byte or a file more, or may
    /// not transfer a byte more.
    pub async fn begin_upload(&self, path: &VirtualPath, options: UploadOptions) -> Result<Upload> {
        let place = self.enter(Operation::CreateFile(path), path)?;
        let may_overwrite = self.may(Operation::OverwriteFile(path));
        if !options.create {
            self.decide(Operation::OverwriteFile(path))?;
        }
        if options.read {
            self.decide(Operation::Download(path))?;
        }
        let (limits, quota) = (&self.origin.limits, &self.origin.services.quota);
        let allowance = limits.allowance(quota, Direction::Upload).await?;
        self.origin.ask_hook(actors::FsAction::PreUpload, path, &place).await?;

        let atomic = self.origin.services.options().upload_mode;
        let mut how = WriteMode {
            create: options.create,
            // Who may not overwrite can only create; that is decided with the
            // opening itself, so nothing can come in between.
            exclusive: options.exclusive || !may_overwrite,
            truncate: options.truncate,
            append: options.append,
            read: options.read,
            atomic,
            replace_link: false,
            mode: self.mode_of_new(path, 0o666, options.mode),
            owner: self.owner_of_new(),
        };
        let mut reserved = match &place.mount.quota {
            None => None,
            Some(owner) => Some(self.reserve(owner, &place, &mut how).await?),
        };
        let must_exist = options.create && !how.create;
        // In place, a counted file is emptied only when the ledger knows of it.
        let empty_later = reserved.is_some() && atomic == Atomicity::Direct && how.truncate;
        how.truncate &= !empty_later;

        let storage = place.mount.storage.clone();
        let storage_path = place.path.clone();
        let quota_owner = place.mount.quota.clone();
        let (running, transfer) =
            Running::begin(&self.origin, Direction::Upload, path, place).await?;
        // Until a file that is written in place is in the ledger.
        let turn = match &reserved {
            Some(_) if atomic == Atomicity::Direct => {
                self.origin.services.ledger.turns(&[&running.place]).await
            }
            _ => Vec::new(),
        };
        let opened = match (storage.open_write(&storage_path, how).await, &quota_owner) {
            // Removed since we looked: a new file after all.
            (Err(error), Some(owner)) if must_exist && error.kind() == ErrorKind::NotFound => {
                reserved = Some(self.origin.reserve(owner, Want { bytes: 0, files: 1 }).await?);
                how.create = true;
                storage.open_write(&storage_path, how).await
            }
            (opened, _) => opened,
        };
        let handle = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists if !options.exclusive => Error::new(
                ErrorKind::PermissionDenied,
                format!("permission overwrite is missing for {path}"),
            ),
            _ => error,
        })?;

        let replaced = handle.replaced_size();
        let (quota, paid_to) = match (reserved, quota_owner) {
            (Some(lease), Some(owner)) => {
                let (hold, paid_to) = self.hold(&owner, lease, &*handle, &how, &options).await?;
                (Some(hold), paid_to)
            }
            _ => (None, 0),
        };
        drop(turn);
        let end = UploadEnd { running: running.clone(), handle: handle.clone(), quota };
        let mut upload = Upload {
            running,
            handle,
            throttle: Throttle::from_kib_per_sec(limits.bandwidth.upload),
            read_throttle: Throttle::from_kib_per_sec(limits.bandwidth.download),
            appends: options.append,
            file_size: None,
            allowance,
            charge: Mutex::new(Charge { paid_to, prepaid: 0 }),
            ending: Some((transfer, Box::new(end))),
        };
        if empty_later && replaced.is_some_and(|size| size > 0) {
            let empty = SetAttributes { size: Some(0), ..SetAttributes::default() };
            // On an error the upload is dropped, and so aborted.
            upload.handle.set_attributes(empty).await?;
        }
        if let Some(limit) = limits.file_size {
            let end = if options.append { upload.handle.metadata().await?.size } else { 0 };
            upload.file_size = Some(FileSize::new(limit, end));
        }
        Ok(upload)
    }

    /// Reserves for a file that may be new. One that exists is not reserved as
    /// another: that could deny a new file which fits.
    async fn reserve(
        &self,
        owner: &QuotaOwner,
        place: &Resolved,
        how: &mut WriteMode,
    ) -> Result<Lease> {
        if how.create && !how.exclusive && owner.limits.files.is_some() {
            how.create = place.mount.storage.stat(&place.path).await.is_err();
        }
        self.origin.reserve(owner, Want { bytes: 0, files: u64::from(how.create) }).await
    }

    /// What an opened upload holds of the quota, and up to which size the file
    /// is paid for.
    async fn hold(
        &self,
        owner: &QuotaOwner,
        lease: Lease,
        handle: &dyn WriteHandle,
        how: &WriteMode,
        options: &UploadOptions,
    ) -> Result<(QuotaHold, u64)> {
        let replaced = handle.replaced_size();
        if how.atomic != Atomicity::Direct {
            // The old file stays until the rename and is credited only then;
            // continuing it costs what is added.
            let paid_to = if options.truncate { 0 } else { replaced.unwrap_or(0) };
            let expected = Expected { bytes: paid_to, is_no_new_file: !how.create };
            return Ok((QuotaHold { lease, entry: None, expected: Some(expected) }, paid_to));
        }
        // The size now, not when it was opened: another upload may have ended since.
        let found = handle.metadata().await?;
        let before = replaced.map(|_| found.size);
        let entry = self.origin.services.ledger.enter(&owner.account, found.id, before);
        let paid_to = entry.counted().unwrap_or(0);
        Ok((QuotaHold { lease, entry: Some(entry), expected: None }, paid_to))
    }
}

impl Upload {
    /// Notes how many bytes the client announced; they are shown, and not relied on.
    pub fn expect(&self, bytes: u64) {
        self.running.meter.expect(bytes);
    }

    /// Writes all of `data` at `offset` if nothing has to be waited for: quota,
    /// bandwidth and storage. `None` otherwise, and then nothing was written:
    /// [`Upload::write_at`] waits. After an error the upload has failed and can
    /// only be ended.
    pub fn try_write_at(&self, offset: u64, data: &[u8]) -> Option<Result<()>> {
        if let Err(error) = self.running.require_sound() {
            return Some(Err(error));
        }
        if self.throttle.as_ref().is_some_and(|throttle| !throttle.try_acquire(data.len())) {
            return None;
        }
        let written = match self.take_limits(offset, data.len()) {
            Err(error) => Some(Err(error)),
            Ok(()) => self.try_write_paid(offset, data),
        };
        if written.is_none()
            && let Some(throttle) = &self.throttle
        {
            throttle.refund(data.len());
        }
        Some(self.written(written?, data.len()))
    }

    /// Pays from the lease and writes; `None` when either has to wait, and then what
    /// was taken for it is back.
    fn try_write_paid(&self, offset: u64, data: &[u8]) -> Option<Result<()>> {
        let lease = self.limited_lease();
        let paid = lease.is_none_or(|lease| self.try_pay(lease, offset, data.len()).is_ok());
        if paid {
            if let Some(written) = self.handle.try_write_at(offset, data) {
                return Some(written);
            }
            self.unpay_append(lease, data.len());
        }
        limits::give_back(self.allowance.as_ref(), Direction::Upload, data.len());
        if let Some(file_size) = &self.file_size {
            file_size.give_back(self.append_len(data.len()));
        }
        None
    }

    /// The largest file, and what the account may transfer.
    fn take_limits(&self, offset: u64, len: usize) -> Result<()> {
        if let Some(file_size) = &self.file_size {
            file_size.take(offset.saturating_add(len as u64), self.append_len(len))?;
        }
        limits::take(self.allowance.as_ref(), Direction::Upload, len)
    }

    /// Writes all of `data` at `offset`, waiting for quota, bandwidth and storage.
    ///
    /// # Errors
    /// `QuotaExceeded` when the account has no room for it, may not transfer it, or may
    /// not store files this large; `Aborted` when the connection is killed meanwhile.
    /// After any error the upload has failed.
    pub async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.write_telling(offset, data, |_| ()).await
    }

    /// As [`Upload::write_at`]; `passed` hears how many more bytes have been written each
    /// time that it goes on.
    ///
    /// # Errors
    /// As those of [`Upload::write_at`].
    pub async fn write_telling(
        &self,
        mut offset: u64,
        mut data: Bytes,
        mut passed: impl FnMut(usize),
    ) -> Result<()> {
        self.running.require_sound()?;
        let len = data.len();
        self.take_limits(offset, len).map_err(|error| self.running.fail(error))?;
        if let Some(lease) = self.limited_lease() {
            let paid = self.pay(lease, offset.saturating_add(len as u64), self.append_len(len));
            paid.await.map_err(|error| self.running.fail(error))?;
        }
        let Some(throttle) = &self.throttle else {
            let written = self.handle.write_at(offset, data).await;
            return self.written(written, len);
        };
        // In steps, so that the file grows steadily. Not what is appended: others may
        // append in between.
        let piece = if self.appends { len } else { throttle.piece() };
        loop {
            let now = data.split_to(piece.min(data.len()));
            let (running, len) = (&self.running, now.len());
            let acquired = throttle.acquire(len, running.kill(), &running.meter).await;
            acquired.map_err(|error| running.fail(error))?;
            self.written(self.handle.write_at(offset, now).await, len)?;
            passed(len);
            offset = offset.saturating_add(len as u64);
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    fn written(&self, written: Result<()>, len: usize) -> Result<()> {
        match written {
            Ok(()) => {
                self.running.meter.add(len as u64);
                Ok(())
            }
            Err(error) => Err(self.running.fail(error)),
        }
    }

    /// Reads back, if opened with `read`: `None` when that needs waiting; less
    /// than all of `buf` means that the file ends there.
    pub fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
        if let Err(error) = self.running.require_sound() {
            return Some(Err(error));
        }
        if self.read_throttle.as_ref().is_some_and(|throttle| !throttle.try_acquire(buf.len())) {
            return None;
        }
        let read = self.handle.try_read_at(offset, buf);
        if let Some(throttle) = &self.read_throttle {
            let used = read.as_ref().and_then(|read| read.as_ref().ok()).copied().unwrap_or(0);
            throttle.refund(buf.len().saturating_sub(used));
        }
        Some(read?.and_then(|count| {
            limits::take(self.allowance.as_ref(), Direction::Download, count).map(|()| count)
        }))
    }

    /// Up to `len` bytes from `offset`, if opened with `read`; fewer only at the end.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.running.require_sound()?;
        let read = self.handle.read_at(offset, len).await?;
        limits::take(self.allowance.as_ref(), Direction::Download, read.len())?;
        if let Some(throttle) = &self.read_throttle {
            throttle.acquire(read.len(), self.running.kill(), &self.running.meter).await?;
        }
        Ok(read)
    }

    /// Of what is written so far.
    pub async fn metadata(&self) -> Result<Metadata> {
        self.running.require_sound()?;
        self.handle.metadata().await
    }

    /// Makes what is written durable.
    pub async fn sync(&self) -> Result<()> {
        self.running.require_sound()?;
        self.handle.sync().await
    }

    pub(super) fn handle(&self) -> &dyn WriteHandle {
        &*self.handle
    }

    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Pays for a file that is made `size` bytes long.
    pub(super) async fn pay_up_to(&self, size: u64) -> Result<()> {
        if let Err(too_large) = self.running.origin.limits.check_file_size(size)
            && size > self.handle.metadata().await?.size
        {
            return Err(too_large);
        }
        match self.limited_lease() {
            None => Ok(()),
            Some(lease) => self.pay(lease, size, None).await,
        }
    }

    /// The file was made `size` bytes long.
    pub(super) fn resized(&self, size: u64) {
        if let Some(file_size) = &self.file_size {
            file_size.resized(size);
        }
    }

    /// Ends the upload: the file is complete under its name when this returns
    /// without an error. It goes on to its end also when the caller does not wait.
    ///
    /// # Errors
    /// What made the upload fail before; what failed at the end; `Aborted` when
    /// the connection was killed.
    pub async fn finish(mut self) -> Result<()> {
        let Some((transfer, end)) = self.ending.take() else {
            return Err(Error::internal("an upload was ended twice"));
        };
        transfer.finish(end).await.map_err(end_error)
    }

    /// The lease, if bytes are limited at all.
    fn limited_lease(&self) -> Option<&Lease> {
        let (_, end) = self.ending.as_ref()?;
        end.quota.as_ref().map(|hold| &hold.lease).filter(|lease| lease.is_limited())
    }

    fn append_len(&self, len: usize) -> Option<u64> {
        self.appends.then_some(len as u64)
    }

    /// Pays for a write from the lease; `Err` has what the lease lacks.
    fn try_pay(&self, lease: &Lease, offset: u64, len: usize) -> Result<(), u64> {
        self.try_pay_up_to(lease, offset.saturating_add(len as u64), self.append_len(len))
    }

    fn try_pay_up_to(&self, lease: &Lease, end: u64, append: Option<u64>) -> Result<(), u64> {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        let growth = charge.growth(end, append);
        if growth > 0 && !lease.take(growth) {
            return Err(growth);
        }
        charge.paid(end, append);
        Ok(())
    }

    async fn pay(&self, lease: &Lease, end: u64, append: Option<u64>) -> Result<()> {
        // Another write of this upload may take what was renewed: then again.
        while let Err(missing) = self.try_pay_up_to(lease, end, append) {
            self.running.require_sound()?;
            lease.renew(missing).await.map_err(denied)?;
        }
        Ok(())
    }

    /// An append that is tried again must not be paid twice.
    fn unpay_append(&self, lease: Option<&Lease>, len: usize) {
        if lease.is_some() && self.appends {
            let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
            charge.prepaid = charge.prepaid.saturating_add(len as u64);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some((transfer, end)) = self.ending.take() {
            transfer.abort(end, AbortReason::Dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_is_charged() {
        let mut charge = Charge { paid_to: 100, prepaid: 0 };
        let mut pay = |end| {
            let growth = charge.growth(end, None);
            charge.paid(end, None);
            growth
        };
        assert_eq!([50, 100, 150, 120, 150, 1000, 500, 1001].map(&mut pay), {
            [0, 0, 50, 0, 0, 850, 0, 1]
        });
    }

    #[test]
    fn an_append_that_was_paid_and_not_written_is_not_paid_again() {
        let mut charge = Charge::default();
        assert_eq!(charge.growth(0, Some(10)), 10);
        charge.paid(0, Some(10));
        charge.prepaid += 10;
        assert_eq!(charge.growth(0, Some(10)), 0);
        charge.paid(0, Some(10));
        assert_eq!(charge.growth(0, Some(10)), 10);
    }
}
