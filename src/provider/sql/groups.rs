//! Groups in SQL.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::folders::{FolderRecord, FolderRow};
use super::relations::{
    self, ByOwner, GroupMount, MountRow, provide_folders, relations_of_groups, select_mounts,
    write_group_relations,
};
use super::schema::{
    account_groups, admins_groups, folders, groups_folders, quota_usage, users, users_groups,
};
use super::search::{contains, count, page_of, part_of_text, related_to_users, sorted};
use super::usage::{self, KIND_FOLDER};
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Group, InheritedLimits};
use crate::provider::{Change, GroupQuery, GroupSort, GroupState, Groups, Page, Permit};

/// A group as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = account_groups)]
pub struct GroupRow {
    id: i64,
    name: String,
    description: String,
    user_settings: String,
    created_at: i64,
    updated_at: i64,
}

impl GroupRow {
    /// Without its relations.
    pub fn into_group(self) -> Result<Group> {
        let what = format!("group {:?}", self.name);
        Ok(Group {
            id: self.id,
            description: self.description,
            user_settings: from_json(&what, "user_settings", &self.user_settings)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
            name: self.name,
            ..Group::default()
        })
    }
}

/// A group as it is written. `None` leaves a column as it is.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = account_groups)]
pub struct GroupRecord<'a> {
    name: &'a str,
    description: &'a str,
    user_settings: String,
    created_at: Option<i64>,
    updated_at: i64,
    /// Of the settings, once more for queries that compare it.
    quota_size: i64,
    quota_files: i64,
    expires_in: i64,
}

impl<'a> GroupRecord<'a> {
    /// For a group that is not there yet, or whose times are given, as in a dump.
    pub fn new(group: &'a Group) -> Result<Self> {
        let what = format!("group {:?}", group.name);
        Ok(Self {
            name: &group.name,
            description: &group.description,
            user_settings: to_json(&what, "user_settings", &group.user_settings)?,
            created_at: Some(group.created_at),
            updated_at: group.updated_at,
            quota_size: group.user_settings.quota_size,
            quota_files: group.user_settings.quota_files,
            expires_in: group.user_settings.expires_in,
        })
    }

    /// For a group that is there.
    fn replacement(group: &'a Group) -> Result<Self> {
        Ok(Self { created_at: None, ..Self::new(group)? })
    }
}

/// Mounts, then pairs of group and user, and of group and admin.
type Relations = (Vec<MountRow>, Vec<(String, String)>, Vec<(String, String)>);

/// Groups with their relations.
pub fn assemble_groups(
    rows: Vec<GroupRow>,
    (mounts, users, admins): Relations,
) -> Result<Vec<Group>> {
    let mut mounts = relations::mounts_by_owner(mounts)?;
    let (mut users, mut admins) = (ByOwner::new(users), ByOwner::new(admins));
    let related = |row: GroupRow| {
        let mut group = row.into_group()?;
        group.virtual_folders = mounts.take(&group.name);
        group.users = users.take(&group.name);
        group.admins = admins.take(&group.name);
        Ok(group)
    };
    rows.into_iter().map(related).collect()
}

/// One group with its relations, as it is read.
macro_rules! find_group {
    ($conn:expr, $name:expr) => {{
        let rows: Vec<GroupRow> = account_groups::table
            .filter(account_groups::name.eq($name))
            .select(GroupRow::as_select())
            .load($conn)?;
        (rows, relations_of_groups!($conn, eq, $name))
    }};
}

/// The boxed query with the conditions of a [`GroupQuery`].
macro_rules! matching {
    ($query:expr, $wanted:expr, $part:expr) => {{
        let mut query = $query;
        if let Some(part) = &$part {
            query = query.filter(
                contains!(account_groups::name, part)
                    .or(contains!(account_groups::description, part)),
            );
        }
        query = match $wanted.state {
            None => query,
            Some(GroupState::WithUsers) => related_to_users!(users_groups, group_name, $wanted.role, members => {
                query.filter(account_groups::name.eq_any(members))
            }),
            Some(GroupState::WithoutUsers) => related_to_users!(users_groups, group_name, $wanted.role, members => {
                query.filter(account_groups::name.ne_all(members))
            }),
        };
        if let Some(user) = &$wanted.user {
            query = related_to_users!(users_groups, group_name, $wanted.role, members => query.filter(
                account_groups::name.eq_any(members.filter(users_groups::username.eq(user))),
            ));
        }
        if let Some(folder) = &$wanted.folder {
            let mounting = groups_folders::table
                .filter(groups_folders::folder_name.eq(folder))
                .select(groups_folders::group_name);
            query = query.filter(account_groups::name.eq_any(mounting));
        }
        query
    }};
}

impl Groups for SqlProvider {
    fn group(&self, name: &str) -> Result<Option<Group>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| Ok::<_, DieselError>(find_group!(conn, name)))
        })
        .map_err(|error| query_failed(&format!("group {name:?}"), error))?;
        Ok(assemble_groups(rows, relations)?.pop())
    }

    fn find_groups(&self, query: &GroupQuery, page: Page) -> Result<(Vec<Group>, u64)> {
        let part = query.text.as_deref().map(part_of_text);
        let (rows, total, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = account_groups::table.select(diesel::dsl::count_star()).into_boxed();
                let total: i64 = matching!(counted, query, part).first(conn)?;
                let found = account_groups::table.select(GroupRow::as_select()).into_boxed();
                let found = matching!(found, query, part);
                let found = match query.sort {
                    GroupSort::Name => found,
                    GroupSort::CreatedAt => sorted!(found, account_groups::created_at, page),
                    GroupSort::UpdatedAt => sorted!(found, account_groups::updated_at, page),
                };
                let rows: Vec<GroupRow> =
                    page_of!(found, account_groups::name, page).load(conn)?;
                let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
                let relations = relations_of_groups!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, total, relations))
            })
        })
        .map_err(|error| query_failed("groups", error))?;
        Ok((assemble_groups(rows, relations)?, count(total)))
    }

    fn group_names(&self, limit: u32) -> Result<Vec<String>> {
        with_engine!(&mut self.connection()?, conn => {
            account_groups::table
                .select(account_groups::name)
                .order(account_groups::name.asc())
                .limit(limit.into())
                .load(conn)
        })
        .map_err(|error| query_failed("groups", error))
    }

    fn group_limits(&self, names: &[String]) -> Result<Vec<(String, InheritedLimits)>> {
        let rows: Vec<(String, (i64, i64, i64))> = with_engine!(&mut self.connection()?, conn => {
            account_groups::table
                .filter(account_groups::name.eq_any(names))
                .select((
                    account_groups::name,
                    (
                        account_groups::quota_size,
                        account_groups::quota_files,
                        account_groups::expires_in,
                    ),
                ))
                .load(conn)
        })
        .map_err(|error| query_failed("limits of groups", error))?;
        let limits = |(name, (quota_size, quota_files, expires_in))| {
            (name, InheritedLimits { quota_size, quota_files, expires_in })
        };
        Ok(rows.into_iter().map(limits).collect())
    }

    fn add_group(&self, group: &Group) -> Result<()> {
        let what = format!("group {:?}", group.name);
        let record = GroupRecord::new(group)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            diesel::insert_into(account_groups::table)
                .values(&record)
                .execute(conn)?;
            write_group_relations!(conn, &what, group);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn change_group(&self, name: &str, change: Change<'_, Group>) -> Result<()> {
        let what = format!("group {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, relations) = find_group!(conn, name);
            let found = assemble_groups(rows, relations)?.pop();
            let mut group = found.ok_or_else(|| not_found(&what))?;
            change(&mut group)?;
            name.clone_into(&mut group.name);
            diesel::update(account_groups::table.filter(account_groups::name.eq(name)))
                .set(&GroupRecord::replacement(&group)?)
                .execute(conn)?;
            write_group_relations!(conn, &what, &group);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_group_if(&self, name: &str, permit: Permit<'_, Group>) -> Result<()> {
        /// As many as an error message names.
        const SHOWN: usize = 5;
        let what = format!("group {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, relations) = find_group!(conn, name);
            let found = assemble_groups(rows, relations)?.pop();
            let group = found.ok_or_else(|| not_found(&what))?;
            permit(&group)?;
            if !group.users.is_empty() {
                let and_more = if group.users.len() > SHOWN { " and more" } else { "" };
                let shown: Vec<&str> =
                    group.users.iter().take(SHOWN).map(String::as_str).collect();
                return Err(Aborted::from(Error::new(
                    ErrorKind::Conflict,
                    format!("{what}: is the group of {}{and_more}", shown.join(", ")),
                )));
            }
            diesel::delete(account_groups::table.filter(account_groups::name.eq(name)))
                .execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }
}
