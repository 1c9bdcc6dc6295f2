//! All objects at once, out and in, each in one transaction.

use std::sync::atomic::Ordering;

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::admins::{AdminRecord, AdminRow, assemble_admins};
use super::connection::{Engine, with_engine};
use super::folders::{FolderRecord, FolderRow, assemble_folders, select_folders};
use super::groups::{GroupRecord, GroupRow, assemble_groups};
use super::relations::{
    self, AdminMembership, GroupMount, Membership, MembershipRow, MountRow, UserMount,
    provide_folders, relate_users, relations_of_admins, relations_of_folders, relations_of_groups,
    relations_of_users, require_groups, require_private_mounts, select_mounts,
    write_admin_relations, write_group_relations, write_user_relations,
};
use super::roles::{RoleRecord, RoleRow, require_role};
use super::schema::{
    account_groups, admins, admins_groups, folders, groups_folders, quota_usage, roles, users,
    users_folders, users_groups,
};
use super::usage::{self, KIND_FOLDER, KIND_USER, UsageRow};
use super::users::{
    Counters, UserCounters, UserRecord, UserRow, select_users, users_with_counters,
};
use super::{Aborted, SqlProvider, query_failed};
use crate::error::{Error, Result};
use crate::provider::{Backup, Objects, RestoreMode, RestoreRun, Restored};

/// Less than every name, for relations of all.
const BEFORE_ALL: &str = "";

/// What only the server knows of objects that are about to be replaced.
struct Earlier {
    usage: Vec<UsageRow>,
    /// Name, last login, first upload, first download.
    user_times: Vec<(String, i64, i64, i64)>,
    admin_logins: Vec<(String, i64)>,
    /// The groups of administrators who stay.
    memberships: Vec<MembershipRow>,
}

/// Removes everything, but for administrators if `$keep_admins`; an [`Earlier`].
macro_rules! take_all {
    ($conn:expr, $keep_admins:expr) => {{
        let keep_admins: bool = $keep_admins;
        let earlier = Earlier {
            usage: quota_usage::table
                .order((quota_usage::owner_kind, quota_usage::owner_name))
                .load($conn)?,
            user_times: users::table
                .select((
                    users::username,
                    users::last_login,
                    users::first_upload,
                    users::first_download,
                ))
                .load($conn)?,
            admin_logins: admins::table
                .select((admins::username, admins::last_login))
                .load($conn)?,
            memberships: if keep_admins { admins_groups::table.load($conn)? } else { Vec::new() },
        };
        // With their relations; users first, as their groups cannot go before them.
        diesel::delete(users::table).execute($conn)?;
        if !keep_admins {
            diesel::delete(admins::table).execute($conn)?;
        }
        diesel::delete(account_groups::table).execute($conn)?;
        diesel::delete(folders::table).execute($conn)?;
        diesel::delete(roles::table).execute($conn)?;
        diesel::delete(quota_usage::table).execute($conn)?;
        earlier
    }};
}

/// Gives an [`Earlier`] to those that are there again; the accounts that are not.
macro_rules! give_back {
    ($conn:expr, $earlier:expr) => {{
        let Earlier { usage, user_times, admin_logins, memberships } = $earlier;
        let mut gone = Vec::new();
        for row in usage {
            if diesel::update(&row).set(&row).execute($conn)? == 0 {
                gone.push(row.account());
            }
        }
        for (name, login, upload, download) in user_times {
            let user = users::table.filter(users::username.eq(name));
            diesel::update(user.clone().filter(users::last_login.lt(login)))
                .set(users::last_login.eq(login))
                .execute($conn)?;
            if upload != 0 {
                diesel::update(user.clone().filter(users::first_upload.eq(0)))
                    .set(users::first_upload.eq(upload))
                    .execute($conn)?;
            }
            if download != 0 {
                diesel::update(user.filter(users::first_download.eq(0)))
                    .set(users::first_download.eq(download))
                    .execute($conn)?;
            }
        }
        for (name, at) in admin_logins {
            let older =
                admins::table.filter(admins::username.eq(name).and(admins::last_login.lt(at)));
            diesel::update(older).set(admins::last_login.eq(at)).execute($conn)?;
        }
        for (admin, group, kind) in memberships {
            let existing = account_groups::table.filter(account_groups::name.eq(&group));
            if diesel::select(diesel::dsl::exists(existing)).get_result::<bool>($conn)? {
                diesel::insert_into(admins_groups::table)
                    .values((
                        admins_groups::username.eq(admin),
                        admins_groups::group_name.eq(group),
                        admins_groups::kind.eq(kind),
                    ))
                    .execute($conn)?;
            }
        }
        gone
    }};
}

impl Backup for SqlProvider {
    fn snapshot(&self) -> Result<Objects> {
        let (roles, folders, groups, users, admins) =
            with_engine!(&mut self.connection()?, conn => {
                conn.transaction(|conn| {
                    let folders: Vec<(FolderRow, Counters)> =
                        select_folders!().order(folders::name.asc()).load(conn)?;
                    let groups: Vec<GroupRow> = account_groups::table
                        .select(GroupRow::as_select())
                        .order(account_groups::name.asc())
                        .load(conn)?;
                    let users: Vec<(UserRow, UserCounters)> =
                        select_users!().order(users::username.asc()).load(conn)?;
                    let admins: Vec<AdminRow> = admins::table
                        .select(AdminRow::as_select())
                        .order(admins::username.asc())
                        .load(conn)?;
                    Ok::<_, DieselError>((
                        roles::table
                            .select(RoleRow::as_select())
                            .order(roles::name.asc())
                            .load::<RoleRow>(conn)?,
                        (folders, relations_of_folders!(conn, gt, BEFORE_ALL)),
                        (groups, relations_of_groups!(conn, gt, BEFORE_ALL)),
                        (users, relations_of_users!(conn, gt, BEFORE_ALL)),
                        (admins, relations_of_admins!(conn, gt, BEFORE_ALL)),
                    ))
                })
            })
            .map_err(|error| query_failed("snapshot", error))?;
        let (rows, relations) = users;
        let mut users = rows
            .into_iter()
            .map(|(row, counters)| row.into_user(counters))
            .collect::<Result<Vec<_>>>()?;
        relate_users(&mut users, relations)?;
        Ok(Objects {
            roles: roles.into_iter().map(RoleRow::into_role).collect(),
            folders: assemble_folders(folders.0, folders.1)?,
            groups: assemble_groups(groups.0, groups.1)?,
            users,
            admins: assemble_admins(admins.0, admins.1)?,
        })
    }

    fn run_restore(
        &self,
        objects: &Objects,
        mode: RestoreMode,
        run: &RestoreRun,
    ) -> Result<Restored> {
        let add_only = mode == RestoreMode::AddOnly;
        let mut rehearsed = None;
        let restored = with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let mut done = Restored::default();
            let earlier = match mode {
                RestoreMode::ReplaceAll => Some(take_all!(conn, objects.admins.is_empty())),
                RestoreMode::AddOnly | RestoreMode::AddOrUpdate => None,
            };
            // First: users and admins name them.
            for role in &objects.roles {
                run.processed.fetch_add(1, Ordering::Relaxed);
                let what = format!("role {:?}", role.name);
                let failed = |error| Aborted::from(query_failed(&what, error));
                let existing = roles::table.filter(roles::name.eq(&role.name));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                let record = RoleRecord::new(role);
                if !exists {
                    diesel::insert_into(roles::table)
                        .values(&record)
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
            for folder in &objects.folders {
                run.processed.fetch_add(1, Ordering::Relaxed);
                let what = format!("folder {:?}", folder.name);
                let failed = |error| Aborted::from(query_failed(&what, error));
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
            for group in &objects.groups {
                run.processed.fetch_add(1, Ordering::Relaxed);
                let what = format!("group {:?}", group.name);
                let failed = |error| Aborted::from(query_failed(&what, error));
                let existing = account_groups::table.filter(account_groups::name.eq(&group.name));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                let record = GroupRecord::new(group)?;
                if !exists {
                    diesel::insert_into(account_groups::table)
                        .values(&record)
                        .execute(conn)
                        .map_err(failed)?;
                    done.added += 1;
                } else if add_only {
                    done.skipped += 1;
                    continue;
                } else {
                    diesel::update(existing).set(&record).execute(conn).map_err(failed)?;
                    done.updated += 1;
                }
                write_group_relations!(conn, &what, group);
            }
            for user in &objects.users {
                run.processed.fetch_add(1, Ordering::Relaxed);
                let what = format!("user {:?}", user.username);
                let failed = |error| Aborted::from(query_failed(&what, error));
                let existing = users::table.filter(users::username.eq(&user.username));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                if !exists || !add_only {
                    require_role!(conn, what, &user.role);
                }
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
                    continue;
                } else {
                    diesel::update(existing)
                        .set(&UserRecord::restored(user)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.updated += 1;
                    done.updated_users.push(user.username.clone());
                }
                write_user_relations!(conn, &what, user);
            }
            for admin in &objects.admins {
                run.processed.fetch_add(1, Ordering::Relaxed);
                let what = format!("admin {:?}", admin.username);
                let failed = |error| Aborted::from(query_failed(&what, error));
                let existing = admins::table.filter(admins::username.eq(&admin.username));
                let exists = diesel::select(diesel::dsl::exists(existing))
                    .get_result::<bool>(conn)
                    .map_err(failed)?;
                if !exists || !add_only {
                    require_role!(conn, what, &admin.role);
                }
                if !exists {
                    if admin.password.is_empty() {
                        return Err(Aborted::from(Error::invalid(format!(
                            "{what}: password: is required for an admin that does not exist yet"
                        ))));
                    }
                    diesel::insert_into(admins::table)
                        .values(&AdminRecord::new(admin)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.added += 1;
                } else if add_only {
                    done.skipped += 1;
                    continue;
                } else {
                    diesel::update(existing)
                        .set(&AdminRecord::restored(admin)?)
                        .execute(conn)
                        .map_err(failed)?;
                    done.updated += 1;
                }
                write_admin_relations!(conn, &what, admin);
            }
            // Only now: the dump may have changed a folder and its mounts.
            for folder in &objects.folders {
                require_private_mounts!(conn, folder);
            }
            if let Some(earlier) = earlier {
                done.gone = give_back!(conn, earlier);
            }
            if run.is_rehearsal {
                // What ends a transaction early takes everything back.
                rehearsed = Some(done);
                return Err(Aborted::Query(DieselError::RollbackTransaction));
            }
            Ok(done)
        }));
        match rehearsed {
            Some(done) => Ok(done),
            None => restored.map_err(|aborted| aborted.during("restore")),
        }
    }
}
