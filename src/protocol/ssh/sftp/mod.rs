//! SFTP version 3 over an SSH channel: codec, pipelined engine, status mapping.
//!
//! [`packet`] is sans-IO; [`engine`] decouples reading, file work and replying with
//! a byte budget on each side; [`dispatch`] turns one request into calls on the
//! [`crate::vfs::Session`]. None of them knows the SSH library: the engine replies
//! through the traits in [`engine`], which `ssh/handler.rs` implements.

pub mod dispatch;
pub mod engine;
pub mod handles;
pub mod names;
pub mod packet;
pub mod prefix;
pub mod status;
pub mod stdio;

pub use engine::{Channel, ChannelError, Inline, Outlet};
pub use prefix::Prefix;
