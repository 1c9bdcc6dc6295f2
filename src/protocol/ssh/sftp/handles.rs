//! The open files and directories of one SFTP channel.

use std::sync::{Arc, Mutex, PoisonError};

use super::packet::{HandleId, Name};
use super::prefix::Named;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{Download, Listing, Upload};

/// Open handles a channel may have at a time, as advertised in
/// `limits@openssh.com`. Each is at least one file descriptor.
pub const MAX_HANDLES: usize = 1024;

/// What a handle stands for.
#[derive(Debug)]
pub enum Open {
    Upload(Upload),
    Download(Download),
    Directory(Box<tokio::sync::Mutex<Directory>>),
}

/// A directory being read.
#[derive(Debug)]
pub struct Directory {
    /// `None` for a directory above the account's root, all of which is ready.
    pub listing: Option<Listing>,
    /// Read from the listing and not sent yet, in reverse order.
    pub ready: Vec<Name>,
    pub at_end: bool,
}

/// An open file or directory with the path it was opened by.
#[derive(Debug)]
pub struct Handle {
    pub path: Named,
    pub open: Open,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    handle: Option<Arc<Handle>>,
}

/// The handle table; bounded by [`MAX_HANDLES`].
#[derive(Debug, Default)]
pub struct Handles(Mutex<Slots>);

impl Handles {
    fn with<T>(&self, work: impl FnOnce(&mut Slots) -> T) -> T {
        // Nothing below can panic halfway, so a poisoned table is still sound.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True when another handle would be refused; asked before the file is opened,
    /// so that a refused OPEN creates nothing.
    pub fn is_full(&self) -> bool {
        self.with(|slots| slots.free.is_empty() && slots.slots.len() >= MAX_HANDLES)
    }

    /// Issues a handle. The channel's worker is the only one to insert, so a table
    /// that was not full before the open is not full now.
    pub fn insert(&self, handle: Handle) -> Result<HandleId> {
        self.with(|slots| {
            let slot = match slots.free.pop() {
                Some(slot) => slot,
                None if slots.slots.len() < MAX_HANDLES => {
                    slots.slots.push(Slot::default());
                    u32::try_from(slots.slots.len() - 1).unwrap_or(u32::MAX)
                }
                None => return Err(too_many()),
            };
            let entry = slots
                .slots
                .get_mut(slot as usize)
                .ok_or_else(|| Error::internal("handle slot out of range"))?;
            entry.generation = entry.generation.wrapping_add(1);
            entry.handle = Some(Arc::new(handle));
            Ok(HandleId { slot, generation: entry.generation })
        })
    }

    /// The handle, or the error a client gets for one that is not open.
    pub fn get(&self, id: Option<HandleId>) -> Result<Arc<Handle>> {
        self.find(id).ok_or_else(not_open)
    }

    /// As [`Handles::get`] without building an error.
    pub fn find(&self, id: Option<HandleId>) -> Option<Arc<Handle>> {
        let id = id?;
        self.with(|slots| {
            let slot = slots.slots.get(id.slot as usize)?;
            (slot.generation == id.generation).then(|| slot.handle.clone())?
        })
    }

    /// Takes the handle out; its number is never valid again.
    pub fn remove(&self, id: Option<HandleId>) -> Result<Handle> {
        let found = id.and_then(|id| {
            self.with(|slots| {
                let slot = slots.slots.get_mut(id.slot as usize)?;
                if slot.generation != id.generation {
                    return None;
                }
                let handle = slot.handle.take()?;
                slots.free.push(id.slot);
                Some(handle)
            })
        });
        let handle = found.ok_or_else(not_open)?;
        Arc::try_unwrap(handle).map_err(|_| Error::internal("handle closed while it is in use"))
    }

    /// Takes out every handle, ending what is open without a clean close.
    pub fn clear(&self) {
        let all = self.with(std::mem::take);
        drop(all);
    }
}

/// The error of an OPEN beyond the limit.
pub fn too_many() -> Error {
    Error::new(ErrorKind::Conflict, format!("more than {MAX_HANDLES} open handles"))
}

fn not_open() -> Error {
    Error::new(ErrorKind::Conflict, "handle is not open")
}
