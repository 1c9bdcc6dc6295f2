//! Folders in SQL.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::relations::{self, ByOwner, relations_of_folders, require_private_mounts};
use super::schema::{folders, groups_folders, quota_usage, users_folders};
use super::usage::{self, KIND_FOLDER};
use super::users::Counters;
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::Result;
use crate::model::Folder;
use crate::provider::{Folders, Page};

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

impl Folders for SqlProvider {
    fn folder(&self, name: &str) -> Result<Option<Folder>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let rows: Vec<(FolderRow, Counters)> =
                    select_folders!().filter(folders::name.eq(name)).load(conn)?;
                Ok::<_, DieselError>((rows, relations_of_folders!(conn, eq, name)))
            })
        })
        .map_err(|error| query_failed(&format!("folder {name:?}"), error))?;
        Ok(assemble_folders(rows, relations)?.pop())
    }

    fn folders(&self, page: Page) -> Result<Vec<Folder>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let query = select_folders!().offset(page.offset.into()).limit(page.limit.into());
                let rows: Vec<(FolderRow, Counters)> = if page.descending {
                    query.order(folders::name.desc()).load(conn)?
                } else {
                    query.order(folders::name.asc()).load(conn)?
                };
                let names: Vec<&str> = rows.iter().map(|(row, _)| row.name.as_str()).collect();
                let relations = relations_of_folders!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, relations))
            })
        })
        .map_err(|error| query_failed("folders", error))?;
        assemble_folders(rows, relations)
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

    fn update_folder(&self, folder: &Folder) -> Result<()> {
        let what = format!("folder {:?}", folder.name);
        let record = FolderRecord::new(folder)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let existing = folders::table.filter(folders::name.eq(&folder.name));
            if diesel::update(existing).set(&record).execute(conn)? == 0 {
                return Err(Aborted::from(not_found(&what)));
            }
            require_private_mounts!(conn, folder);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_folder(&self, name: &str) -> Result<()> {
        let what = format!("folder {name:?}");
        let deleted = with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            diesel::delete(quota_usage::table.find((KIND_FOLDER, name))).execute(conn)?;
            diesel::delete(folders::table.filter(folders::name.eq(name))).execute(conn)
        }))
        .map_err(|error| query_failed(&what, error))?;
        if deleted == 0 { Err(not_found(&what)) } else { Ok(()) }
    }
}
