//! All objects at once, out and in, each in one transaction.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::admins::{AdminRecord, AdminRow};
use super::connection::{Engine, with_engine};
use super::folders::{FolderRecord, FolderRow, select_folders};
use super::schema::{admins, folders, quota_usage, users};
use super::usage::{self, KIND_FOLDER, KIND_USER};
use super::users::{Counters, UserCounters, UserRecord, UserRow, select_users};
use super::{SqlProvider, query_failed};
use crate::error::{Error, Result};
use crate::provider::{Backup, Objects, Restored};

impl Backup for SqlProvider {
    fn snapshot(&self) -> Result<Objects> {
        type Rows = (Vec<(FolderRow, Counters)>, Vec<(UserRow, UserCounters)>, Vec<AdminRow>);
        let (folders, users, admins): Rows = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                Ok::<_, DieselError>((
                    select_folders!().order(folders::name.asc()).load(conn)?,
                    select_users!().order(users::username.asc()).load(conn)?,
                    admins::table
                        .select(AdminRow::as_select())
                        .order(admins::username.asc())
                        .load(conn)?,
                ))
            })
        })
        .map_err(|error| query_failed("snapshot", error))?;
        Ok(Objects {
            folders: folders
                .into_iter()
                .map(|(row, counters)| row.into_folder(counters))
                .collect::<Result<_>>()?,
            users: users
                .into_iter()
                .map(|(row, counters)| row.into_user(counters))
                .collect::<Result<_>>()?,
            admins: admins.into_iter().map(AdminRow::into_admin).collect::<Result<_>>()?,
        })
    }

    fn restore(&self, objects: &Objects, add_only: bool) -> Result<Restored> {
        with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            let mut done = Restored::default();
            for folder in &objects.folders {
                let failed = |error| Failed(query_failed(&format!("folder {:?}", folder.name), error));
                let existing = folders::table.filter(folders::name.eq(&folder.name));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                let record = FolderRecord::new(folder)?;
                if !exists {
                    diesel::insert_into(folders::table)
                        .values(&record)
                        .execute(conn)
                        .map_err(failed)?;
                    diesel::insert_into(quota_usage::table)
                        .values(usage::nothing(KIND_FOLDER, &folder.name))
                        .execute(conn)
                        .map_err(failed)?;
                    done.added += 1;
                } else if add_only {
                    done.skipped += 1;
                } else {
                    diesel::update(existing).set(&record).execute(conn).map_err(failed)?;
                    done.updated += 1;
                }
            }
            for user in &objects.users {
                let failed = |error| Failed(query_failed(&format!("user {:?}", user.username), error));
                let existing = users::table.filter(users::username.eq(&user.username));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                if !exists {
                    diesel::insert_into(users::table)
                        .values(&UserRecord::new(user)?)
                        .execute(conn)
                        .map_err(failed)?;
                    diesel::insert_into(quota_usage::table)
                        .values(usage::nothing(KIND_USER, &user.username))
                        .execute(conn)
                        .map_err(failed)?;
                    done.added += 1;
                } else if add_only {
                    done.skipped += 1;
                } else {
                    diesel::update(existing)
                        .set(&UserRecord::restored(user)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.updated += 1;
                    done.updated_users.push(user.username.clone());
                }
            }
            for admin in &objects.admins {
                let failed =
                    |error| Failed(query_failed(&format!("admin {:?}", admin.username), error));
                let existing = admins::table.filter(admins::username.eq(&admin.username));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                if !exists {
                    if admin.password.is_empty() {
                        return Err(Failed(Error::invalid(format!(
                            "admin {:?}: password: is required for an admin that does not exist yet",
                            admin.username
                        ))));
                    }
                    diesel::insert_into(admins::table)
                        .values(&AdminRecord::new(admin)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.added += 1;
                } else if add_only {
                    done.skipped += 1;
                } else {
                    diesel::update(existing)
                        .set(&AdminRecord::restored(admin)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.updated += 1;
                }
            }
            Ok(done)
        }))
        .map_err(|Failed(error)| error)
    }
}

/// Carries our error, which names the object, through the transaction.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<DieselError> for Failed {
    fn from(error: DieselError) -> Self {
        Self(query_failed("restore", error))
    }
}
