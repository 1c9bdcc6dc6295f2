//! Folders in SQL.

use diesel::prelude::*;

use super::connection::{Engine, with_engine};
use super::schema::{folders, quota_usage};
use super::usage::{self, KIND_FOLDER};
use super::users::Counters;
use super::{SqlProvider, from_json, not_found, query_failed, to_json};
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
    pub fn into_folder(self, (size, files, usage_updated_at): Counters) -> Result<Folder> {
        let what = format!("folder {:?}", self.name);
        Ok(Folder {
            id: self.id,
            mapped_path: self.mapped_path,
            description: self.description,
            used_quota_size: size,
            used_quota_files: files,
            last_quota_update: usage_updated_at,
            users: Vec::new(),
            filesystem: from_json(&what, "filesystem", &self.filesystem)?,
            name: self.name,
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

impl Folders for SqlProvider {
    fn folder(&self, name: &str) -> Result<Option<Folder>> {
        let found: Option<(FolderRow, Counters)> = with_engine!(&mut self.connection()?, conn => {
            select_folders!().filter(folders::name.eq(name)).first(conn).optional()
        })
        .map_err(|error| query_failed(&format!("folder {name:?}"), error))?;
        found.map(|(row, counters)| row.into_folder(counters)).transpose()
    }

    fn folders(&self, page: Page) -> Result<Vec<Folder>> {
        let rows: Vec<(FolderRow, Counters)> = with_engine!(&mut self.connection()?, conn => {
            let query = select_folders!().offset(page.offset.into()).limit(page.limit.into());
            if page.descending {
                query.order(folders::name.desc()).load(conn)
            } else {
                query.order(folders::name.asc()).load(conn)
            }
        })
        .map_err(|error| query_failed("folders", error))?;
        rows.into_iter().map(|(row, counters)| row.into_folder(counters)).collect()
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
        let updated = with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            diesel::update(folders::table.filter(folders::name.eq(&folder.name)))
                .set(&record)
                .execute(conn)
        }))
        .map_err(|error| query_failed(&what, error))?;
        if updated == 0 { Err(not_found(&what)) } else { Ok(()) }
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
