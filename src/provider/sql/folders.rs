//! Folders in SQL.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::relations::{self, ByOwner, relations_of_folders, require_private_mounts};
use super::schema::{folders, groups_folders, quota_usage, users, users_folders};
use super::search::{contains, count, page_of, part_of_text, related_to_users, sorted};
use super::usage::{self, KIND_FOLDER};
use super::users::Counters;
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::Result;
use crate::model::Folder;
use crate::provider::{Change, FolderQuery, FolderSort, FolderState, Folders, Page, Permit};

/// A folder as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = folders)]
pub struct FolderRow {
    id: i64,
    name: String,
    mapped_path: String,
    description: String,
    filesystem: String,
}

impl FolderRow {
    /// Without its relations.
    pub fn into_folder(self, (size, files, usage_updated_at): Counters) -> Result<Folder> {
        let what = format!("folder {:?}", self.name);
        Ok(Folder {
            id: self.id,
            mapped_path: self.mapped_path,
            description: self.description,
            used_quota_size: size,
            used_quota_files: files,
            last_quota_update: usage_updated_at,
            filesystem: from_json(&what, "filesystem", &self.filesystem)?,
            name: self.name,
            ..Folder::default()
        })
    }
}

/// A folder as it is written.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = folders)]
pub struct FolderRecord<'a> {
    name: &'a str,
    mapped_path: &'a str,
    description: &'a str,
    filesystem: String,
}

impl<'a> FolderRecord<'a> {
    pub fn new(folder: &'a Folder) -> Result<Self> {
        Ok(Self {
            name: &folder.name,
            mapped_path: &folder.mapped_path,
            description: &folder.description,
            filesystem: to_json(
                &format!("folder {:?}", folder.name),
                "filesystem",
                &folder.filesystem,
            )?,
        })
    }
}

/// `folders` with their counters; the counters' row lives as long as the folder.
macro_rules! select_folders {
    () => {
        folders::table
            .inner_join(
                quota_usage::table.on(quota_usage::owner_kind
                    .eq(KIND_FOLDER)
                    .and(quota_usage::owner_name.eq(folders::name))),
            )
            .select((
                FolderRow::as_select(),
                (quota_usage::used_size, quota_usage::used_files, quota_usage::updated_at),
            ))
    };
}
pub(super) use select_folders;

/// Pairs of folder and user, and of folder and group.
type Relations = (Vec<(String, String)>, Vec<(String, String)>);

/// Folders with their relations.
pub fn assemble_folders(
    rows: Vec<(FolderRow, Counters)>,
    (users, groups): Relations,
) -> Result<Vec<Folder>> {
    let (mut users, mut groups) = (ByOwner::new(users), ByOwner::new(groups));
    let related = |(row, counters): (FolderRow, Counters)| {
        let mut folder = row.into_folder(counters)?;
        folder.users = users.take(&folder.name);
        folder.groups = groups.take(&folder.name);
        Ok(folder)
    };
    rows.into_iter().map(related).collect()
}

/// One folder with its relations, as it is read.
macro_rules! find_folder {
    ($conn:expr, $name:expr) => {{
        let rows: Vec<(FolderRow, Counters)> =
            select_folders!().filter(folders::name.eq($name)).load($conn)?;
        (rows, relations_of_folders!($conn, eq, $name))
    }};
}

/// The boxed query with the conditions of a [`FolderQuery`].
macro_rules! matching {
    ($query:expr, $wanted:expr, $part:expr) => {{
        let mut query = $query;
        if let Some(part) = &$part {
            query = query.filter(
                contains!(folders::name, part)
                    .or(contains!(folders::mapped_path, part))
                    .or(contains!(folders::description, part)),
            );
        }
        let by_groups = groups_folders::table.select(groups_folders::folder_name);
        query = match $wanted.state {
            None => query,
            Some(FolderState::Mounted) => related_to_users!(users_folders, folder_name, $wanted.role, by_users => query.filter(
                folders::name.eq_any(by_users).or(folders::name.eq_any(by_groups)),
            )),
            Some(FolderState::Unmounted) => related_to_users!(users_folders, folder_name, $wanted.role, by_users => query.filter(
                folders::name.ne_all(by_users).and(folders::name.ne_all(by_groups)),
            )),
        };
        if let Some(user) = &$wanted.user {
            query = related_to_users!(users_folders, folder_name, $wanted.role, by_users => query.filter(
                folders::name.eq_any(by_users.filter(users_folders::username.eq(user))),
            ));
        }
        if let Some(group) = &$wanted.group {
            let by_group = by_groups.filter(groups_folders::group_name.eq(group));
            query = query.filter(folders::name.eq_any(by_group));
        }
        query
    }};
}

impl Folders for SqlProvider {
    fn folder(&self, name: &str) -> Result<Option<Folder>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| Ok::<_, DieselError>(find_folder!(conn, name)))
        })
        .map_err(|error| query_failed(&format!("folder {name:?}"), error))?;
        Ok(assemble_folders(rows, relations)?.pop())
    }

    fn find_folders(&self, query: &FolderQuery, page: Page) -> Result<(Vec<Folder>, u64)> {
        let part = query.text.as_deref().map(part_of_text);
        let (rows, total, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = folders::table.select(diesel::dsl::count_star()).into_boxed();
                let total: i64 = matching!(counted, query, part).first(conn)?;
                let found = matching!(select_folders!().into_boxed(), query, part);
                let found = match query.sort {
                    FolderSort::Name => found,
                    FolderSort::UsedSize => sorted!(found, quota_usage::used_size, page),
                    FolderSort::LastQuotaUpdate => sorted!(found, quota_usage::updated_at, page),
                };
                let rows: Vec<(FolderRow, Counters)> =
                    page_of!(found, folders::name, page).load(conn)?;
                let names: Vec<&str> = rows.iter().map(|(row, _)| row.name.as_str()).collect();
                let relations = relations_of_folders!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, total, relations))
            })
        })
        .map_err(|error| query_failed("folders", error))?;
        Ok((assemble_folders(rows, relations)?, count(total)))
    }

    fn folder_names(&self, limit: u32) -> Result<Vec<String>> {
        with_engine!(&mut self.connection()?, conn => {
            folders::table
                .select(folders::name)
                .order(folders::name.asc())
                .limit(limit.into())
                .load(conn)
        })
        .map_err(|error| query_failed("folders", error))
    }

    fn size_of_folders(&self) -> Result<u64> {
        let sums: usage::Sums = with_engine!(&mut self.connection()?, conn => {
            quota_usage::table
                .filter(quota_usage::owner_kind.eq(KIND_FOLDER))
                .select(usage::sums_of_used_size(conn))
                .first(conn)
        })
        .map_err(|error| query_failed("folders", error))?;
        Ok(usage::bytes_of(sums))
    }

    fn existing_folders(&self, names: &[String]) -> Result<Vec<String>> {
        // Statements have a limited number of parameters.
        const AT_ONCE: usize = 1000;
        let mut existing = Vec::new();
        with_engine!(&mut self.connection()?, conn => {
            names.chunks(AT_ONCE).try_for_each(|names| {
                let found: Vec<String> = folders::table
                    .filter(folders::name.eq_any(names))
                    .select(folders::name)
                    .load(conn)?;
                existing.extend(found);
                Ok(())
            })
        })
        .map_err(|error| query_failed("folders", error))?;
        Ok(existing)
    }

    fn add_folder(&self, folder: &Folder) -> Result<()> {
        let record = FolderRecord::new(folder)?;
        with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            diesel::insert_into(folders::table).values(&record).execute(conn)?;
            diesel::insert_into(quota_usage::table)
                .values(usage::nothing(KIND_FOLDER, &folder.name))
                .execute(conn)
        }))
        .map_err(|error| query_failed(&format!("folder {:?}", folder.name), error))?;
        Ok(())
    }

    fn change_folder(&self, name: &str, change: Change<'_, Folder>) -> Result<()> {
        let what = format!("folder {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, relations) = find_folder!(conn, name);
            let found = assemble_folders(rows, relations)?.pop();
            let mut folder = found.ok_or_else(|| not_found(&what))?;
            change(&mut folder)?;
            name.clone_into(&mut folder.name);
            diesel::update(folders::table.filter(folders::name.eq(name)))
                .set(&FolderRecord::new(&folder)?)
                .execute(conn)?;
            require_private_mounts!(conn, &folder);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_folder_if(&self, name: &str, permit: Permit<'_, Folder>) -> Result<()> {
        let what = format!("folder {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, relations) = find_folder!(conn, name);
            let found = assemble_folders(rows, relations)?.pop();
            permit(&found.ok_or_else(|| not_found(&what))?)?;
            diesel::delete(quota_usage::table.find((KIND_FOLDER, name))).execute(conn)?;
            diesel::delete(folders::table.filter(folders::name.eq(name))).execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }
}
