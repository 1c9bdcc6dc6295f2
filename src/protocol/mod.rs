//! The network protocols. Each turns wire requests into calls on one
//! [`crate::vfs::Session`]; policy lives there, not here.

pub mod listener;
pub mod ssh;
