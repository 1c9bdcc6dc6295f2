//! sftpgo in Rust: a secure file-transfer server on an actor core.
//!
//! `docs/architecture.md` is the map: the layers, the actors, and one story
//! walked from accept to hook. `scripts/check-layers` enforces the layers.

pub mod auth;
pub mod cli;
pub mod config;
pub mod error;
pub mod hooks;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod paths;
pub mod protocol;
pub mod provider;
pub mod server;
pub mod storage;
pub mod version;
pub mod vfs;
pub mod web;
