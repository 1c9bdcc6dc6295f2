//! The HTTP servers: the REST API, the web pages and telemetry.
//!
//! A request comes in by `listen`, passes the rules of `edge` and is taken apart by
//! `request`. `routes.rs` is the map of the API, and `api/` has one file per resource;
//! `admin/` has the pages for administrators, made with what is in `pages/`. What both
//! can do is in `operations/`. The server is built once in [`start`] from a
//! [`WebContext`]; nothing here is global.

mod admin;
mod api;
mod app;
mod edge;
mod error;
mod facts;
mod fallback;
mod health;
mod listen;
mod openapi;
mod operations;
mod pages;
mod qr;
mod request;
mod response;
mod routes;
mod server;
mod services;
mod telemetry;
mod url;

#[cfg(test)]
mod tests;

pub use facts::{
    ServiceFacts, SshBinding, SshHostCertificate, SshHostKey, SshServiceStatus, VersionInfo,
    WeakAlgorithm, Weakness,
};
pub use listen::validity::Validity;
pub use operations::disks::Disks;
pub use operations::tasks::Tasks;
pub use server::{WebContext, WebHandle, start};
pub use services::Services;
