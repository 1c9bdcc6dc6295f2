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
    account_groups, admins_groups, folders, groups_folders, quota_usage, users_groups,
};
use super::usage::{self, KIND_FOLDER};
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Group;
use crate::provider::{GroupQuota, Groups, Page};

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

impl Groups for SqlProvider {
    fn group(&self, name: &str) -> Result<Option<Group>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let rows: Vec<GroupRow> = account_groups::table
                    .filter(account_groups::name.eq(name))
                    .select(GroupRow::as_select())
                    .load(conn)?;
                Ok::<_, DieselError>((rows, relations_of_groups!(conn, eq, name)))
            })
        })
        .map_err(|error| query_failed(&format!("group {name:?}"), error))?;
        Ok(assemble_groups(rows, relations)?.pop())
    }

    fn groups(&self, page: Page) -> Result<Vec<Group>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let query = account_groups::table
                    .select(GroupRow::as_select())
                    .offset(page.offset.into())
                    .limit(page.limit.into());
                let rows: Vec<GroupRow> = if page.descending {
                    query.order(account_groups::name.desc()).load(conn)?
                } else {
                    query.order(account_groups::name.asc()).load(conn)?
                };
                let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
                let relations = relations_of_groups!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, relations))
            })
        })
        .map_err(|error| query_failed("groups", error))?;
        assemble_groups(rows, relations)
    }

    fn group_quotas(&self, names: &[String]) -> Result<Vec<GroupQuota>> {
        let rows: Vec<(String, i64, i64)> = with_engine!(&mut self.connection()?, conn => {
            account_groups::table
                .filter(account_groups::name.eq_any(names))
                .select((
                    account_groups::name,
                    account_groups::quota_size,
                    account_groups::quota_files,
                ))
                .load(conn)
        })
        .map_err(|error| query_failed("quotas of groups", error))?;
        let quota = |(name, quota_size, quota_files)| GroupQuota { name, quota_size, quota_files };
        Ok(rows.into_iter().map(quota).collect())
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

    fn update_group(&self, group: &Group) -> Result<()> {
        let what = format!("group {:?}", group.name);
        let record = GroupRecord::replacement(group)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let existing = account_groups::table.filter(account_groups::name.eq(&group.name));
            if diesel::update(existing).set(&record).execute(conn)? == 0 {
                return Err(Aborted::from(not_found(&what)));
            }
            write_group_relations!(conn, &what, group);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_group(&self, name: &str) -> Result<()> {
        /// As many as an error message names.
        const SHOWN: usize = 5;
        let what = format!("group {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let mut users: Vec<String> = users_groups::table
                .filter(users_groups::group_name.eq(name))
                .select(users_groups::username)
                .order(users_groups::username.asc())
                .limit(SHOWN as i64 + 1)
                .load(conn)?;
            if !users.is_empty() {
                let and_more = if users.len() > SHOWN { " and more" } else { "" };
                users.truncate(SHOWN);
                return Err(Aborted::from(Error::new(
                    ErrorKind::Conflict,
                    format!("{what}: is the group of {}{and_more}", users.join(", ")),
                )));
            }
            let existing = account_groups::table.filter(account_groups::name.eq(name));
            match diesel::delete(existing).execute(conn)? {
                0 => Err(Aborted::from(not_found(&what))),
                _ => Ok(()),
            }
        }))
        .map_err(|aborted| aborted.during(&what))
    }
}
