//! What administrators can see and do, apart from how it is asked: the REST API and the
//! pages both come here.

pub mod accounts;
pub mod backups;
pub mod bulk;
pub mod disks;
pub mod export;
pub mod group_changes;
pub mod live;
pub mod object_query;
pub mod permission_test;
pub mod reason;
pub mod restore;
pub mod scope;
pub mod status;
pub mod tasks;
pub mod user_changes;
pub mod user_query;
pub mod versions;
