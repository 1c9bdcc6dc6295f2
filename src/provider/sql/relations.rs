//! What refers to what: folders mounted by users and groups, members of groups.
//!
//! Objects are read with their relations in a fixed number of queries, however many
//! objects there are: each macro asks for the relations of all of them at once.
//! `$op` and `$names` are the condition on the owner's name, such as `eq` and a
//! name, or `eq_any` and many.

use std::collections::HashMap;

use diesel::prelude::*;

use super::folders::FolderRow;
use super::schema::{admins_groups, groups_folders, users_folders, users_groups};
use super::users::Counters;
use crate::error::{Error, Result};
use crate::model::{
    Admin, AdminGroupMapping, AdminGroupMappingOptions, Folder, GroupMapping, User, VirtualFolder,
};

/// Owner, mount point, limits, and the folder with its counters.
pub type MountRow = (String, (String, i64, i64), FolderRow, Counters);

/// Owner, group, kind of membership.
pub type MembershipRow = (String, String, i32);

/// Mounts of users or groups with their folders.
macro_rules! select_mounts {
    ($mounts:ident, $owner:ident) => {
        $mounts::table
            .inner_join(folders::table.on(folders::name.eq($mounts::folder_name)))
            .inner_join(
                quota_usage::table.on(quota_usage::owner_kind
                    .eq($crate::provider::sql::usage::KIND_FOLDER)
                    .and(quota_usage::owner_name.eq(folders::name))),
            )
            .select((
                $mounts::$owner,
                ($mounts::virtual_path, $mounts::quota_size, $mounts::quota_files),
                $crate::provider::sql::folders::FolderRow::as_select(),
                (quota_usage::used_size, quota_usage::used_files, quota_usage::updated_at),
            ))
            .order(($mounts::$owner.asc(), $mounts::virtual_path.asc()))
    };
}
pub(super) use select_mounts;

/// Mounts and memberships of users: `(Vec<MountRow>, Vec<MembershipRow>)`.
macro_rules! relations_of_users {
    ($conn:expr, $op:ident, $names:expr) => {
        (
            select_mounts!(users_folders, username)
                .filter(users_folders::username.$op($names))
                .load::<MountRow>($conn)?,
            users_groups::table
                .filter(users_groups::username.$op($names))
                .order((users_groups::username.asc(), users_groups::group_name.asc()))
                .load::<MembershipRow>($conn)?,
        )
    };
}
pub(super) use relations_of_users;

/// The users and the groups that mount folders: two lists of folder and name.
macro_rules! relations_of_folders {
    ($conn:expr, $op:ident, $names:expr) => {
        (
            users_folders::table
                .filter(users_folders::folder_name.$op($names))
                .select((users_folders::folder_name, users_folders::username))
                .distinct()
                .order((users_folders::folder_name.asc(), users_folders::username.asc()))
                .load::<(String, String)>($conn)?,
            groups_folders::table
                .filter(groups_folders::folder_name.$op($names))
                .select((groups_folders::folder_name, groups_folders::group_name))
                .distinct()
                .order((groups_folders::folder_name.asc(), groups_folders::group_name.asc()))
                .load::<(String, String)>($conn)?,
        )
    };
}
pub(super) use relations_of_folders;

/// Mounts, users and admins of groups.
macro_rules! relations_of_groups {
    ($conn:expr, $op:ident, $names:expr) => {
        (
            select_mounts!(groups_folders, group_name)
                .filter(groups_folders::group_name.$op($names))
                .load::<MountRow>($conn)?,
            users_groups::table
                .filter(users_groups::group_name.$op($names))
                .select((users_groups::group_name, users_groups::username))
                .order((users_groups::group_name.asc(), users_groups::username.asc()))
                .load::<(String, String)>($conn)?,
            admins_groups::table
                .filter(admins_groups::group_name.$op($names))
                .select((admins_groups::group_name, admins_groups::username))
                .order((admins_groups::group_name.asc(), admins_groups::username.asc()))
                .load::<(String, String)>($conn)?,
        )
    };
}
pub(super) use relations_of_groups;

/// The groups that the users of admins join.
macro_rules! relations_of_admins {
    ($conn:expr, $op:ident, $names:expr) => {
        admins_groups::table
            .filter(admins_groups::username.$op($names))
            .order((admins_groups::username.asc(), admins_groups::group_name.asc()))
            .load::<MembershipRow>($conn)?
    };
}
pub(super) use relations_of_admins;

/// Things by the name of who has them, in the order of the rows.
pub struct ByOwner<T>(HashMap<String, Vec<T>>);

impl<T> ByOwner<T> {
    pub fn new(rows: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut all: HashMap<String, Vec<T>> = HashMap::new();
        for (owner, thing) in rows {
            all.entry(owner).or_default().push(thing);
        }
        Self(all)
    }

    /// What `owner` has, which is asked for once.
    pub fn take(&mut self, owner: &str) -> Vec<T> {
        self.0.remove(owner).unwrap_or_default()
    }
}

/// Mounted folders by user or group.
pub fn mounts_by_owner(rows: Vec<MountRow>) -> Result<ByOwner<VirtualFolder>> {
    let mut mounts = Vec::with_capacity(rows.len());
    for (owner, (virtual_path, quota_size, quota_files), folder, counters) in rows {
        let folder = folder.into_folder(counters)?;
        mounts.push((owner, VirtualFolder { folder, virtual_path, quota_size, quota_files }));
    }
    Ok(ByOwner::new(mounts))
}

/// Memberships by user.
pub fn groups_by_user(rows: Vec<MembershipRow>) -> ByOwner<GroupMapping> {
    ByOwner::new(rows.into_iter().map(|(user, name, kind)| (user, GroupMapping { name, kind })))
}

/// Groups by admin.
pub fn groups_by_admin(rows: Vec<MembershipRow>) -> ByOwner<AdminGroupMapping> {
    ByOwner::new(rows.into_iter().map(|(admin, name, add_to_users_as)| {
        (admin, AdminGroupMapping { name, options: AdminGroupMappingOptions { add_to_users_as } })
    }))
}

/// Puts the relations into the users they belong to.
pub fn relate_users(
    users: &mut [User],
    (mounts, groups): (Vec<MountRow>, Vec<MembershipRow>),
) -> Result<()> {
    let (mut mounts, mut groups) = (mounts_by_owner(mounts)?, groups_by_user(groups));
    for user in users {
        user.virtual_folders = mounts.take(&user.username);
        user.groups = groups.take(&user.username);
    }
    Ok(())
}

/// A folder in an account, as it is written.
#[derive(Insertable)]
#[diesel(table_name = users_folders)]
pub struct UserMount<'a> {
    username: &'a str,
    virtual_path: &'a str,
    folder_name: &'a str,
    quota_size: i64,
    quota_files: i64,
}

impl<'a> UserMount<'a> {
    pub fn all(user: &'a User) -> Vec<Self> {
        let of_user = |mount: &'a VirtualFolder| Self {
            username: &user.username,
            virtual_path: &mount.virtual_path,
            folder_name: &mount.folder.name,
            quota_size: mount.quota_size,
            quota_files: mount.quota_files,
        };
        user.virtual_folders.iter().map(of_user).collect()
    }
}

/// A folder in a group, as it is written.
#[derive(Insertable)]
#[diesel(table_name = groups_folders)]
pub struct GroupMount<'a> {
    group_name: &'a str,
    virtual_path: &'a str,
    folder_name: &'a str,
    quota_size: i64,
    quota_files: i64,
}

impl<'a> GroupMount<'a> {
    pub fn all(group_name: &'a str, mounts: &'a [VirtualFolder]) -> Vec<Self> {
        let of_group = |mount: &'a VirtualFolder| Self {
            group_name,
            virtual_path: &mount.virtual_path,
            folder_name: &mount.folder.name,
            quota_size: mount.quota_size,
            quota_files: mount.quota_files,
        };
        mounts.iter().map(of_group).collect()
    }
}

/// A user in a group, as it is written.
#[derive(Insertable)]
#[diesel(table_name = users_groups)]
pub struct Membership<'a> {
    username: &'a str,
    group_name: &'a str,
    kind: i32,
}

impl<'a> Membership<'a> {
    pub fn all(user: &'a User) -> Vec<Self> {
        let of_user = |group: &'a GroupMapping| Self {
            username: &user.username,
            group_name: &group.name,
            kind: group.kind,
        };
        user.groups.iter().map(of_user).collect()
    }
}

/// A group of an admin, as it is written.
#[derive(Insertable)]
#[diesel(table_name = admins_groups)]
pub struct AdminMembership<'a> {
    username: &'a str,
    group_name: &'a str,
    kind: i32,
}

impl<'a> AdminMembership<'a> {
    pub fn all(admin: &'a Admin) -> Vec<Self> {
        let of_admin = |group: &'a AdminGroupMapping| Self {
            username: &admin.username,
            group_name: &group.name,
            kind: group.options.add_to_users_as,
        };
        admin.groups.iter().map(of_admin).collect()
    }
}

/// Makes the folders of `$mounts` that are defined there and do not exist, and fails
/// with our error if one is missing or must count in the user's quota and does not.
macro_rules! provide_folders {
    ($conn:expr, $what:expr, $mounts:expr) => {{
        let names: Vec<&str> = $mounts.iter().map(|mount| mount.folder.name.as_str()).collect();
        let found: Vec<FolderRow> = if names.is_empty() {
            Vec::new()
        } else {
            folders::table
                .filter(folders::name.eq_any(&names))
                .select(FolderRow::as_select())
                .load($conn)?
        };
        for folder in relations::missing_folders($what, $mounts, found)? {
            diesel::insert_into(folders::table)
                .values(&FolderRecord::new(folder)?)
                .execute($conn)?;
            diesel::insert_into(quota_usage::table)
                .values(usage::nothing(KIND_FOLDER, &folder.name))
                .execute($conn)?;
        }
    }};
}
pub(super) use provide_folders;

/// The folders of `mounts` that are not among `found` and so have to be made. Fails
/// if that is not possible, naming the folder.
pub fn missing_folders<'a>(
    what: &str,
    mounts: &'a [VirtualFolder],
    found: Vec<FolderRow>,
) -> Result<Vec<&'a Folder>> {
    let mut existing: HashMap<String, Folder> = HashMap::new();
    for row in found {
        let folder = row.into_folder(Counters::default())?;
        existing.insert(folder.name.clone(), folder);
    }
    let mut missing: Vec<&Folder> = Vec::new();
    for mount in mounts {
        let name = &mount.folder.name;
        let made = missing.iter().find(|folder| folder.name == *name).copied();
        let folder = match existing.get(name).or(made) {
            Some(folder) => folder,
            None if mount.folder.is_defined() => {
                missing.push(&mount.folder);
                &mount.folder
            }
            None => {
                return Err(Error::invalid(format!(
                    "{what}: virtual_folders: folder {name:?} does not exist"
                )));
            }
        };
        if folder.is_per_user() && !mount.is_private() {
            return Err(not_private(&format!("{what}: virtual_folders"), name));
        }
    }
    Ok(missing)
}

/// A folder with a place for every user cannot have one quota for all.
pub fn not_private(where_: &str, folder: &str) -> Error {
    Error::invalid(format!(
        "{where_}: folder {folder:?} is stored in a place of each user, so its quota_size and quota_files must be -1 wherever it is mounted"
    ))
}

/// Fails with our error if one of the groups `$names` does not exist.
macro_rules! require_groups {
    ($conn:expr, $what:expr, $names:expr) => {{
        let names: Vec<&str> = $names;
        if !names.is_empty() {
            let found: Vec<String> = account_groups::table
                .filter(account_groups::name.eq_any(&names))
                .select(account_groups::name)
                .load($conn)?;
            if let Some(missing) = names.iter().find(|name| !found.iter().any(|f| f == *name)) {
                return Err(Aborted::from(Error::invalid(format!(
                    "{}: groups: group {missing:?} does not exist",
                    $what
                ))));
            }
        }
    }};
}
pub(super) use require_groups;

/// Replaces the mounts and memberships of a user that exists.
macro_rules! write_user_relations {
    ($conn:expr, $what:expr, $user:expr) => {{
        let user = $user;
        provide_folders!($conn, $what, &user.virtual_folders);
        let groups = user.groups.iter().map(|group| group.name.as_str()).collect();
        require_groups!($conn, $what, groups);
        diesel::delete(users_folders::table.filter(users_folders::username.eq(&user.username)))
            .execute($conn)?;
        diesel::insert_into(users_folders::table).values(&UserMount::all(user)).execute($conn)?;
        diesel::delete(users_groups::table.filter(users_groups::username.eq(&user.username)))
            .execute($conn)?;
        diesel::insert_into(users_groups::table).values(&Membership::all(user)).execute($conn)?;
    }};
}
pub(super) use write_user_relations;

/// Replaces the groups of an admin that exists.
macro_rules! write_admin_relations {
    ($conn:expr, $what:expr, $admin:expr) => {{
        let admin = $admin;
        let groups = admin.groups.iter().map(|group| group.name.as_str()).collect();
        require_groups!($conn, $what, groups);
        diesel::delete(admins_groups::table.filter(admins_groups::username.eq(&admin.username)))
            .execute($conn)?;
        diesel::insert_into(admins_groups::table)
            .values(&AdminMembership::all(admin))
            .execute($conn)?;
    }};
}
pub(super) use write_admin_relations;

/// Replaces the mounts of a group that exists.
macro_rules! write_group_relations {
    ($conn:expr, $what:expr, $group:expr) => {{
        let group = $group;
        provide_folders!($conn, $what, &group.virtual_folders);
        diesel::delete(groups_folders::table.filter(groups_folders::group_name.eq(&group.name)))
            .execute($conn)?;
        diesel::insert_into(groups_folders::table)
            .values(&GroupMount::all(&group.name, &group.virtual_folders))
            .execute($conn)?;
    }};
}
pub(super) use write_group_relations;

/// Fails with our error if `$folder` has a place for every user and is mounted
/// somewhere with a quota of its own.
macro_rules! require_private_mounts {
    ($conn:expr, $folder:expr) => {{
        let folder = $folder;
        if folder.is_per_user() {
            let by_users: i64 = users_folders::table
                .filter(users_folders::folder_name.eq(&folder.name))
                .filter(users_folders::quota_size.ne(-1))
                .count()
                .get_result($conn)?;
            let by_groups: i64 = groups_folders::table
                .filter(groups_folders::folder_name.eq(&folder.name))
                .filter(groups_folders::quota_size.ne(-1))
                .count()
                .get_result($conn)?;
            if by_users + by_groups > 0 {
                return Err(Aborted::from(relations::not_private("folder", &folder.name)));
            }
        }
    }};
}
pub(super) use require_private_mounts;
