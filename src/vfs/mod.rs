//! What a logged-in account sees and may do: the one place that applies
//! permissions, quota, bandwidth, hooks, log lines and metrics to files.
//!
//! A protocol holds a [`Session`] and nothing below it. Each operation is the
//! same sentence: resolve, decide, ask the hook, do it in storage, then the effects.

mod across;
mod attributes;
mod copy;
mod directories;
mod download;
mod effects;
mod explain;
mod finished_scans;
mod first_transfers;
mod ledger;
pub mod leftovers;
mod limits;
mod links;
mod listing;
mod merged;
mod mounts;
mod open;
mod options;
mod patterns;
mod policy;
mod relocate;
mod remove;
mod remove_tree;
mod rename;
pub mod scan;
pub mod scans;
mod screen;
mod session;
mod space;
mod ssh_command;
#[cfg(unix)]
mod system_command;
#[cfg(test)]
mod tests;
mod throttle;
mod upload;
mod walk;

pub use download::Download;
pub use explain::{Asked, Check, Denied, Explainer, Finding, QuotaRule, StoredAt};
pub use listing::Listing;
pub use options::{VfsOptions, VfsServices};
pub use session::{Session, SessionContext};
pub use ssh_command::Contents;
#[cfg(unix)]
pub use system_command::{Changes, NotForPrograms, SystemCommand, SystemCommandRoot};
pub use throttle::Pace;
pub use upload::{Upload, UploadOptions};
