//! How much and how fast a session may transfer, from where its client is.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::{AccountId, Allowance, Direction, Quota, TransferLimits};

use super::effects::over_quota;
use super::session::Session;
use crate::config::TrackQuota;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Bandwidth, User};

/// The limits of one session.
#[derive(Debug)]
pub(super) struct SessionLimits {
    pub(super) bandwidth: Bandwidth,
    /// The largest file that an upload may make, in bytes.
    pub(super) file_size: Option<u64>,
    account: AccountId,
    /// `None` where nobody counts what is transferred.
    transfer: Option<TransferLimits>,
    /// What counts where nothing is limited: asked for once.
    unlimited: OnceLock<Allowance>,
}

impl SessionLimits {
    pub(super) fn of(user: &User, client: IpAddr, track: TrackQuota) -> Self {
        let is_counted = match track {
            TrackQuota::Off => false,
            TrackQuota::Always => true,
            TrackQuota::WithLimits => user.has_transfer_limits(),
        };
        Self {
            bandwidth: user.bandwidth_from(client),
            file_size: user.upload_size_limit(),
            account: AccountId::user(user.username.as_str()),
            transfer: is_counted.then(|| user.transfer_limits_from(client)),
            unlimited: OnceLock::new(),
        }
    }

    /// What a transfer that begins counts its bytes with; `None` where nobody counts.
    ///
    /// # Errors
    /// When not a byte is left; `Unavailable` when that cannot be found out.
    pub(super) async fn allowance(
        &self,
        quota: &Quota,
        direction: Direction,
    ) -> Result<Option<Allowance>> {
        let Some(limits) = self.transfer else { return Ok(None) };
        if let Some(allowance) = self.unlimited.get() {
            return Ok(Some(allowance.clone()));
        }
        let asked = quota.allowance(self.account.clone(), limits).await;
        let allowance = asked.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "check the data transfer limit", error)
        })?;
        if limits == TransferLimits::default() {
            return Ok(Some(self.unlimited.get_or_init(|| allowance).clone()));
        }
        if allowance.is_used_up(direction) {
            return Err(used_up(direction));
        }
        Ok(Some(allowance))
    }

    /// Fails for a file that is made larger than an upload may make it.
    pub(super) fn check_file_size(&self, size: u64) -> Result<()> {
        if self.file_size.is_some_and(|limit| size > limit) { Err(over_quota()) } else { Ok(()) }
    }
}

impl Session {
    /// Bytes per second that one upload may bring, if that is limited: who receives them
    /// need not take them faster.
    pub fn upload_rate(&self) -> Option<u64> {
        let limit = self.origin.limits.bandwidth.upload;
        u64::try_from(limit).ok().filter(|limit| *limit > 0).map(|kib| kib.saturating_mul(1024))
    }
}

/// A transfer beyond the limit on transferred data.
fn used_up(direction: Direction) -> Error {
    match direction {
        Direction::Upload => Error::new(
            ErrorKind::QuotaExceeded,
            "failure: denying write due to the data transfer limit",
        ),
        Direction::Download => Error::new(
            ErrorKind::DownloadQuotaExceeded,
            "failure: denying read due to the data transfer limit",
        ),
    }
}

/// Counts bytes that move, if anybody counts them.
pub(super) fn take(
    allowance: Option<&Allowance>,
    direction: Direction,
    bytes: usize,
) -> Result<()> {
    match allowance {
        Some(allowance) if !allowance.take(direction, bytes as u64) => Err(used_up(direction)),
        _ => Ok(()),
    }
}

/// Of bytes that are tried again.
pub(super) fn give_back(allowance: Option<&Allowance>, direction: Direction, bytes: usize) {
    if let Some(allowance) = allowance {
        allowance.give_back(direction, bytes as u64);
    }
}

/// Keeps the file of one upload below the largest size.
#[derive(Debug)]
pub(super) struct FileSize {
    limit: u64,
    /// Where the next append begins, as far as this upload knows.
    end: AtomicU64,
}

impl FileSize {
    pub(super) fn new(limit: u64, end: u64) -> Self {
        Self { limit, end: AtomicU64::new(end) }
    }

    /// Whether a write fits that ends at `end`, or appends `append` bytes.
    pub(super) fn take(&self, end: u64, append: Option<u64>) -> Result<()> {
        let fits = match append {
            None => end <= self.limit,
            Some(len) => {
                let add = |end: u64| end.checked_add(len).filter(|end| *end <= self.limit);
                self.end.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
            }
        };
        if fits { Ok(()) } else { Err(over_quota()) }
    }

    /// Of an append that is tried again.
    pub(super) fn give_back(&self, append: Option<u64>) {
        self.end.fetch_sub(append.unwrap_or(0), Ordering::Relaxed);
    }

    /// The file was made this long.
    pub(super) fn resized(&self, size: u64) {
        self.end.store(size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_become_as_large_as_the_limit_and_no_larger() {
        let size = FileSize::new(100, 90);
        assert!(size.take(100, None).is_ok());
        assert!(size.take(101, None).is_err());
        assert!(size.take(0, Some(10)).is_ok());
        assert!(size.take(0, Some(1)).is_err());
        size.give_back(Some(10));
        assert!(size.take(0, Some(11)).is_err());
        assert!(size.take(0, Some(4)).is_ok());
        size.resized(0);
        assert!(size.take(0, Some(100)).is_ok());
        assert!(size.take(u64::MAX, Some(u64::MAX)).is_err());
    }
}
