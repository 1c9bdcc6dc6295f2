//! SSH: transport and authentication by russh, everything above by us.
//!
//! `server`, `handler`, `authentication` and `kill` are the only files that know russh;
//! `sftp` and `exec` sit on the narrow traits in `sftp::engine` and `exec::stream`.

pub mod algorithms;
pub mod authentication;
pub mod exec;
pub mod half_open;
pub mod handler;
pub mod host_keys;
pub mod kill;
pub mod server;
pub mod sftp;
pub mod weaknesses;
