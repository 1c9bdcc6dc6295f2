//! The objects of the product as data: users, groups, folders, admins and their parts.
//!
//! Field names are the wire names of the REST API and of dumps. Every aggregate
//! has one `normalise` that validates it and brings it to the one form that is
//! stored; REST input, loaded dumps and hook answers all pass through it.
//! What an account may not yet use is listed in [`unavailable`], nowhere else.

mod access_time;
mod admin;
mod by_source;
mod dump;
mod effective;
mod filesystem;
mod filters;
mod folder;
pub mod glob;
mod group;
mod limits;
pub mod network;
mod password;
mod permissions;
mod placeholders;
pub mod public_key;
mod quota;
mod role;
mod rules;
mod secret;
pub mod secretbox;
pub mod text;
pub mod timestamp;
pub mod unavailable;
mod user;
mod virtual_folder;
mod wire;

pub use access_time::Clock;
pub use admin::{
    Admin, AdminFilters, AdminGroupMapping, AdminGroupMappingOptions, AdminPermission,
    AdminPreferences, Duty,
};
pub use by_source::Bandwidth;
pub use dump::{BackupData, DUMP_VERSION};
pub use effective::{Effective, effective};
pub use filesystem::{
    AzureBlobFsConfig, CryptFsConfig, FilesystemConfig, FilesystemProvider, GcsConfig,
    HttpFsConfig, OsFsConfig, S3Config, SftpFsConfig,
};
pub use filters::{
    BandwidthLimit, DataTransferLimit, ExtensionsFilter, HooksFilter, LoginMethod, LoginProtocol,
    PatternsFilter, RecoveryCode, TimePeriod, TotpConfig, UserFilters, UserTotpConfig,
};
pub use folder::Folder;
pub use group::{Group, GroupMapping, GroupUserSettings};
pub use limits::{EffectiveLimits, InheritedLimits};
pub use password::Password;
pub use permissions::{Permission, PermissionSet, Permissions};
pub use quota::{QuotaUsage, TransferQuotaUsage};
pub use role::Role;
pub use rules::{NamingRules, Rules};
pub use secret::{Secret, SecretStatus};
pub use user::User;
pub use virtual_folder::{VirtualFolder, name_for_path};
