//! What the black-box tests share: the real binary in its own directory, on free
//! ports, with its log printed when a test fails.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

pub mod api;
pub mod clients;
pub mod programs;
pub mod raw_sftp;
pub mod server;

pub use server::TestServer;
