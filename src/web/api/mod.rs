//! The resources of `/api/v2`, one file each. A handler does: who may call
//! (its first argument), parse, one call down, reply.

pub mod admins;
pub mod aliases;
pub mod backups;
pub mod bulk;
pub mod connections;
pub mod dumps;
pub mod exports;
pub mod folders;
pub mod groups;
pub mod logs;
pub mod permission_test;
pub mod profile;
pub mod quotas;
pub mod roles;
pub mod second_factor;
pub mod status;
pub mod summary;
pub mod tasks;
pub mod tokens;
pub mod users;
pub mod version;
pub mod web_sessions;
