//! The HTTP servers: the REST API, the web pages and telemetry.
//!
//! `routes.rs` is the map of the API; `api/` has one file per resource. `admin/` has the
//! pages for administrators, made with what is in `pages/`. The
//! server is built once in [`start`] from a [`WebContext`]; nothing here is global.

mod accounts;
mod admin;
mod api;
mod app;
mod auth;
mod body;
mod bulk;
mod client_ip;
mod cors;
mod disks;
mod edge;
mod error;
mod health;
mod htpasswd;
mod listen;
mod live;
mod object_query;
mod observe;
mod openapi;
mod pages;
mod paging;
mod permission_test;
mod qr;
mod query;
mod rate_limit;
mod reason;
mod response;
mod restore;
mod routes;
mod scope;
mod security;
mod server;
mod stream;
mod tasks;
mod telemetry;
mod tls;
mod token;
mod user_query;
mod validity;
mod versions;

#[cfg(test)]
mod tests;

pub use api::status::{
    SshBinding, SshHostCertificate, SshHostKey, SshServiceStatus, WeakAlgorithm, Weakness,
};
pub use api::version::VersionInfo;
pub use app::{ServiceFacts, Services};
pub use disks::Disks;
pub use server::{WebContext, WebHandle, start};
pub use tasks::Tasks;
pub use validity::Validity;
