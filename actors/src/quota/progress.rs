//! How far a scan is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by whoever scans, read by whoever watches.
#[derive(Debug, Default)]
pub struct ScanProgress {
    files: AtomicU64,
    bytes: AtomicU64,
    directories: AtomicU64,
}

impl ScanProgress {
    /// What was counted so far, all together.
    pub fn counted(&self, files: u64, bytes: u64) {
        self.files.store(files, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// One more directory.
    pub fn entered_directory(&self) {
        self.directories.fetch_add(1, Ordering::Relaxed);
    }

    /// Regular files counted so far.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Directories entered so far.
    pub fn directories(&self) -> u64 {
        self.directories.load(Ordering::Relaxed)
    }
}
