//! Users in SQL.

use actors::ids::Direction;
use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::folders::{FolderRecord, FolderRow};
use super::groups::{GroupRow, assemble_groups};
use super::relations::{
    self, Membership, MembershipRow, MountRow, UserMount, provide_folders, relate_users,
    relations_of_users, require_groups, select_mounts, write_user_relations,
};
use super::roles::require_role;
use super::schema::{
    account_groups, folders, groups_folders, quota_usage, users, users_folders, users_groups,
};
use super::search::{contains, count, page_of, part_of_text, sorted};
use super::usage::{self, KIND_FOLDER, KIND_USER};
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::{Error, Result};
use crate::model::{GroupMapping, Password, User};
use crate::provider::{
    Account, AccountTotals, Change, Page, Permit, UserQuery, UserSort, UserState, Users,
};

/// A user as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct UserRow {
    id: i64,
    username: String,
    status: i32,
    email: String,
    description: String,
    additional_info: String,
    expiration_date: i64,
    password: String,
    public_keys: String,
    home_dir: String,
    uid: i64,
    gid: i64,
    max_sessions: i64,
    quota_size: i64,
    quota_files: i64,
    permissions: String,
    upload_bandwidth: i64,
    download_bandwidth: i64,
    filters: String,
    filesystem: String,
    last_login: i64,
    last_password_change: i64,
    first_upload: i64,
    first_download: i64,
    created_at: i64,
    updated_at: i64,
    role: String,
    upload_data_transfer: i64,
    download_data_transfer: i64,
    total_data_transfer: i64,
}

/// Used size, used files, time of the last change.
pub type Counters = (i64, i64, i64);

/// The same, and what was uploaded and downloaded.
pub type UserCounters = (i64, i64, i64, i64, i64);

impl UserRow {
    /// Without its relations.
    pub fn into_user(
        self,
        (size, files, usage_updated_at, uploaded, downloaded): UserCounters,
    ) -> Result<User> {
        let what = format!("user {:?}", self.username);
        Ok(User {
            id: self.id,
            status: self.status,
            email: self.email,
            description: self.description,
            additional_info: self.additional_info,
            expiration_date: self.expiration_date,
            has_password: !self.password.is_empty(),
            password: Password::new(self.password),
            public_keys: from_json(&what, "public_keys", &self.public_keys)?,
            home_dir: self.home_dir,
            uid: self.uid,
            gid: self.gid,
            max_sessions: self.max_sessions,
            quota_size: self.quota_size,
            quota_files: self.quota_files,
            permissions: from_json(&what, "permissions", &self.permissions)?,
            used_quota_size: size,
            used_quota_files: files,
            last_quota_update: usage_updated_at,
            upload_bandwidth: self.upload_bandwidth,
            download_bandwidth: self.download_bandwidth,
            upload_data_transfer: self.upload_data_transfer,
            download_data_transfer: self.download_data_transfer,
            total_data_transfer: self.total_data_transfer,
            used_upload_data_transfer: uploaded,
            used_download_data_transfer: downloaded,
            filters: from_json(&what, "filters", &self.filters)?,
            filesystem: from_json(&what, "filesystem", &self.filesystem)?,
            last_login: self.last_login,
            last_password_change: self.last_password_change,
            first_upload: self.first_upload,
            first_download: self.first_download,
            created_at: self.created_at,
            updated_at: self.updated_at,
            role: self.role,
            username: self.username,
            ..User::default()
        })
    }
}

/// A user as it is written. `None` leaves a column as it is.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = users)]
pub struct UserRecord<'a> {
    username: &'a str,
    status: i32,
    email: &'a str,
    description: &'a str,
    additional_info: &'a str,
    expiration_date: i64,
    password: Option<&'a str>,
    public_keys: String,
    home_dir: &'a str,
    uid: i64,
    gid: i64,
    max_sessions: i64,
    quota_size: i64,
    quota_files: i64,
    permissions: String,
    upload_bandwidth: i64,
    download_bandwidth: i64,
    filters: String,
    filesystem: String,
    last_login: Option<i64>,
    last_password_change: Option<i64>,
    first_upload: Option<i64>,
    first_download: Option<i64>,
    created_at: Option<i64>,
    updated_at: i64,
    role: &'a str,
    upload_data_transfer: i64,
    download_data_transfer: i64,
    total_data_transfer: i64,
}

impl<'a> UserRecord<'a> {
    /// For an account that is not there yet.
    pub fn new(user: &'a User) -> Result<Self> {
        let what = format!("user {:?}", user.username);
        Ok(Self {
            username: &user.username,
            status: user.status,
            email: &user.email,
            description: &user.description,
            additional_info: &user.additional_info,
            expiration_date: user.expiration_date,
            password: Some(user.password.as_str()),
            public_keys: to_json(&what, "public_keys", &user.public_keys)?,
            home_dir: &user.home_dir,
            uid: user.uid,
            gid: user.gid,
            max_sessions: user.max_sessions,
            quota_size: user.quota_size,
            quota_files: user.quota_files,
            permissions: to_json(&what, "permissions", &user.permissions)?,
            upload_bandwidth: user.upload_bandwidth,
            download_bandwidth: user.download_bandwidth,
            filters: to_json(&what, "filters", &user.filters)?,
            filesystem: to_json(&what, "filesystem", &user.filesystem)?,
            last_login: Some(user.last_login),
            last_password_change: Some(user.last_password_change),
            first_upload: Some(user.first_upload),
            first_download: Some(user.first_download),
            created_at: Some(user.created_at),
            updated_at: user.updated_at,
            role: &user.role,
            upload_data_transfer: user.upload_data_transfer,
            download_data_transfer: user.download_data_transfer,
            total_data_transfer: user.total_data_transfer,
        })
    }

    /// For an account that is there: what only the server knows stays, and so
    /// does the password unless there is a new one.
    pub fn replacement(user: &'a User) -> Result<Self> {
        let has_password = !user.password.is_empty();
        let record = Self::new(user)?;
        Ok(Self {
            password: record.password.filter(|_| has_password),
            last_password_change: record.last_password_change.filter(|_| has_password),
            last_login: None,
            first_upload: None,
            first_download: None,
            created_at: None,
            ..record
        })
    }

    /// For an account that is there and whose times are given, as in a dump.
    pub fn restored(user: &'a User) -> Result<Self> {
        let has_password = !user.password.is_empty();
        let record = Self::new(user)?;
        // A dump from before the first one does not undo it.
        let known = |at: &i64| *at != 0;
        Ok(Self {
            password: record.password.filter(|_| has_password),
            first_upload: record.first_upload.filter(known),
            first_download: record.first_download.filter(known),
            ..record
        })
    }
}

/// `users` joined to their counters, whose row lives as long as the user.
macro_rules! users_with_counters {
    () => {
        users::table.inner_join(quota_usage::table.on(
            quota_usage::owner_kind.eq(KIND_USER).and(quota_usage::owner_name.eq(users::username)),
        ))
    };
}
pub(super) use users_with_counters;

/// `users` with their counters.
macro_rules! select_users {
    () => {
        users_with_counters!().select((
            UserRow::as_select(),
            (
                quota_usage::used_size,
                quota_usage::used_files,
                quota_usage::updated_at,
                quota_usage::uploaded,
                quota_usage::downloaded,
            ),
        ))
    };
}
pub(super) use select_users;

/// How long before its end an account is about to expire.
const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Whether nine tenths of a limit are used, if there is one.
macro_rules! nearly_used {
    ($limit:expr, $used:expr) => {
        $limit.gt(0).and($used.ge($limit - $limit / 10))
    };
}

/// The same for who has no limit and inherits that of the primary group.
macro_rules! nearly_used_of_group {
    ($limit:ident, $used:ident) => {
        users::$limit.eq(0).and(diesel::dsl::exists(
            users_groups::table
                .inner_join(
                    account_groups::table.on(account_groups::name.eq(users_groups::group_name)),
                )
                .filter(users_groups::username.eq(users::username))
                .filter(users_groups::kind.eq(GroupMapping::PRIMARY))
                .filter(nearly_used!(account_groups::$limit, quota_usage::$used)),
        ))
    };
}

/// When a user expires, as `User::limits_with` has it; 0 for never. The bound keeps the sum
/// in range, and is some 280 million years away.
const END: &str = "(CASE WHEN users.expiration_date <> 0 \
     OR users.created_at NOT BETWEEN 1 AND 9000000000000000000 \
     THEN users.expiration_date \
     ELSE COALESCE((SELECT MIN(users.created_at + account_groups.expires_in * 86400000) \
     FROM users_groups JOIN account_groups ON account_groups.name = users_groups.group_name \
     WHERE users_groups.username = users.username AND users_groups.kind = 1 \
     AND account_groups.expires_in > 0), 0) END)";

/// [`END`] as an expression.
macro_rules! end {
    () => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>(END)
    };
}

/// The used part of a limit, which may be that of the primary group; 0 without one. The
/// factor makes it a fraction on every engine.
macro_rules! used_part {
    ($limit:literal, $used:literal) => {
        concat!(
            "COALESCE(quota_usage.",
            $used,
            " * 1.0 / COALESCE(NULLIF(users.",
            $limit,
            ", 0), (SELECT MAX(account_groups.",
            $limit,
            ") FROM users_groups \
             JOIN account_groups ON account_groups.name = users_groups.group_name \
             WHERE users_groups.username = users.username AND users_groups.kind = 1 \
             AND account_groups.",
            $limit,
            " > 0)), 0)"
        )
    };
}

/// The greater of two expressions, as engines have different functions for it.
macro_rules! greater_of {
    ($one:expr, $other:expr) => {
        concat!("(CASE WHEN ", $one, " > ", $other, " THEN ", $one, " ELSE ", $other, " END)")
    };
}

/// How full the quota of a user is.
macro_rules! fullness {
    () => {
        diesel::dsl::sql::<diesel::sql_types::Double>(greater_of!(
            used_part!("quota_size", "used_size"),
            used_part!("quota_files", "used_files")
        ))
    };
}

/// The boxed query with the conditions of a [`UserQuery`].
macro_rules! matching {
    ($query:expr, $wanted:expr, $part:expr, $now:expr) => {{
        let mut query = $query;
        if let Some(part) = &$part {
            query = query.filter(
                contains!(users::username, part)
                    .or(contains!(users::email, part))
                    .or(contains!(users::description, part)),
            );
        }
        query = match $wanted.state {
            None => query,
            Some(UserState::Enabled) => query.filter(users::status.eq(1)),
            Some(UserState::Disabled) => query.filter(users::status.ne(1)),
            Some(UserState::Expired) => query.filter(end!().gt(0)).filter(end!().le($now)),
            Some(UserState::Expiring) => {
                let week = i64::saturating_add($now, WEEK_MS);
                query.filter(users::status.eq(1)).filter(end!().gt($now)).filter(end!().le(week))
            }
            // Nine tenths by division, as a product could overflow.
            Some(UserState::NearQuota) => query.filter(users::status.eq(1)).filter(
                nearly_used!(users::quota_size, quota_usage::used_size)
                    .or(nearly_used!(users::quota_files, quota_usage::used_files))
                    .or(nearly_used_of_group!(quota_size, used_size))
                    .or(nearly_used_of_group!(quota_files, used_files)),
            ),
            Some(UserState::NeverLoggedIn) => query.filter(users::last_login.eq(0)),
        };
        if let Some(group) = &$wanted.group {
            let members = users_groups::table
                .filter(users_groups::group_name.eq(group))
                .select(users_groups::username);
            query = query.filter(users::username.eq_any(members));
        }
        if let Some(role) = &$wanted.role {
            query = query.filter(users::role.eq(role));
        }
        query
    }};
}

/// One user with its relations, as it is read: [`assemble_user`] puts it together.
macro_rules! find_user {
    ($conn:expr, $username:expr) => {{
        let found: Option<(UserRow, UserCounters)> =
            select_users!().filter(users::username.eq($username)).first($conn).optional()?;
        (found, relations_of_users!($conn, eq, $username))
    }};
}

type Relations = (Vec<MountRow>, Vec<MembershipRow>);

fn assemble_user(
    (found, relations): (Option<(UserRow, UserCounters)>, Relations),
) -> Result<Option<User>> {
    let Some((row, counters)) = found else { return Ok(None) };
    let mut user = row.into_user(counters)?;
    relate_users(std::slice::from_mut(&mut user), relations)?;
    Ok(Some(user))
}

impl Users for SqlProvider {
    fn user(&self, username: &str) -> Result<Option<User>> {
        let found = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| Ok::<_, DieselError>(find_user!(conn, username)))
        })
        .map_err(|error| query_failed(&format!("user {username:?}"), error))?;
        assemble_user(found)
    }

    fn account(&self, username: &str) -> Result<Option<Account>> {
        let (found, relations, groups) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let (found, relations) = find_user!(conn, username);
                // Most users have no group, and their logins ask no further.
                let names: Vec<&str> =
                    relations.1.iter().map(|(_, group, _)| group.as_str()).collect();
                let groups = if names.is_empty() {
                    (Vec::new(), Vec::new())
                } else {
                    let rows: Vec<GroupRow> = account_groups::table
                        .filter(account_groups::name.eq_any(&names))
                        .select(GroupRow::as_select())
                        .order(account_groups::name.asc())
                        .load(conn)?;
                    let mounts: Vec<MountRow> = select_mounts!(groups_folders, group_name)
                        .filter(groups_folders::group_name.eq_any(&names))
                        .load(conn)?;
                    (rows, mounts)
                };
                Ok::<_, DieselError>((found, relations, groups))
            })
        })
        .map_err(|error| query_failed(&format!("user {username:?}"), error))?;
        let Some(user) = assemble_user((found, relations))? else { return Ok(None) };
        let (rows, mounts) = groups;
        let groups = assemble_groups(rows, (mounts, Vec::new(), Vec::new()))?;
        Ok(Some(Account { user, groups }))
    }

    fn users(&self, page: Page, role: Option<&str>) -> Result<Vec<User>> {
        let (rows, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let mut query = select_users!()
                    .offset(page.offset.into())
                    .limit(page.limit.into())
                    .into_boxed();
                if let Some(role) = role {
                    query = query.filter(users::role.eq(role));
                }
                let rows: Vec<(UserRow, UserCounters)> = if page.descending {
                    query.order(users::username.desc()).load(conn)?
                } else {
                    query.order(users::username.asc()).load(conn)?
                };
                let names: Vec<&str> =
                    rows.iter().map(|(row, _)| row.username.as_str()).collect();
                let relations = relations_of_users!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, relations))
            })
        })
        .map_err(|error| query_failed("users", error))?;
        let mut users: Vec<User> = rows
            .into_iter()
            .map(|(row, counters)| row.into_user(counters))
            .collect::<Result<_>>()?;
        relate_users(&mut users, relations)?;
        Ok(users)
    }

    fn find_users(
        &self,
        query: &UserQuery,
        page: Page,
        now_unix_ms: i64,
    ) -> Result<(Vec<User>, u64)> {
        let part = query.text.as_deref().map(part_of_text);
        let (rows, total, relations) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = users_with_counters!().select(diesel::dsl::count_star()).into_boxed();
                let total: i64 =
                    matching!(counted, query, part, now_unix_ms).first(conn)?;
                let found = matching!(select_users!().into_boxed(), query, part, now_unix_ms);
                let found = match query.sort {
                    UserSort::Username => found,
                    UserSort::LastLogin => sorted!(found, users::last_login, page),
                    UserSort::CreatedAt => sorted!(found, users::created_at, page),
                    UserSort::ExpirationDate => sorted!(found, end!(), page),
                    UserSort::UsedSize => sorted!(found, quota_usage::used_size, page),
                    UserSort::Fullness => sorted!(found, fullness!(), page),
                };
                let rows: Vec<(UserRow, UserCounters)> =
                    page_of!(found, users::username, page).load(conn)?;
                let names: Vec<&str> =
                    rows.iter().map(|(row, _)| row.username.as_str()).collect();
                let relations = relations_of_users!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, total, relations))
            })
        })
        .map_err(|error| query_failed("users", error))?;
        let mut users: Vec<User> = rows
            .into_iter()
            .map(|(row, counters)| row.into_user(counters))
            .collect::<Result<_>>()?;
        relate_users(&mut users, relations)?;
        Ok((users, count(total)))
    }

    fn account_totals(&self, role: Option<&str>) -> Result<AccountTotals> {
        let (users, disabled, sums) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = || users::table.select(diesel::dsl::count_star()).into_boxed();
                let (mut all, mut disabled) = (counted(), counted().filter(users::status.ne(1)));
                let mut used = users_with_counters!()
                    .select(usage::sums_of_used_size(conn))
                    .into_boxed();
                if let Some(role) = role {
                    all = all.filter(users::role.eq(role));
                    disabled = disabled.filter(users::role.eq(role));
                    used = used.filter(users::role.eq(role));
                }
                let sums: usage::Sums = used.first(conn)?;
                Ok::<(i64, i64, _), DieselError>((all.first(conn)?, disabled.first(conn)?, sums))
            })
        })
        .map_err(|error| query_failed("users", error))?;
        Ok(AccountTotals {
            users: count(users),
            disabled: count(disabled),
            used_size: usage::bytes_of(sums),
        })
    }

    fn add_user(&self, user: &User) -> Result<()> {
        let what = format!("user {:?}", user.username);
        let record = UserRecord::new(user)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            require_role!(conn, what, &user.role);
            diesel::insert_into(users::table)
                .values(&record)
                .execute(conn)?;
            diesel::insert_into(quota_usage::table)
                .values(usage::nothing(KIND_USER, &user.username))
                .execute(conn)?;
            write_user_relations!(conn, &what, user);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn change_user(&self, username: &str, change: Change<'_, User>) -> Result<()> {
        let what = format!("user {username:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let found = assemble_user(find_user!(conn, username))?;
            let mut user = found.ok_or_else(|| not_found(&what))?;
            change(&mut user)?;
            username.clone_into(&mut user.username);
            require_role!(conn, what, &user.role);
            diesel::update(users::table.filter(users::username.eq(username)))
                .set(&UserRecord::replacement(&user)?)
                .execute(conn)?;
            write_user_relations!(conn, &what, &user);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_user_if(&self, username: &str, permit: Permit<'_, User>) -> Result<()> {
        let what = format!("user {username:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let found = assemble_user(find_user!(conn, username))?;
            permit(&found.ok_or_else(|| not_found(&what))?)?;
            diesel::delete(quota_usage::table.find((KIND_USER, username))).execute(conn)?;
            diesel::delete(users::table.filter(users::username.eq(username))).execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn touch_user_login(
        &self,
        username: &str,
        now_unix_ms: i64,
        older_than_unix_ms: i64,
    ) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => {
            let due: Result<Option<i64>, _> = users::table
                .filter(users::username.eq(username))
                .filter(users::last_login.lt(older_than_unix_ms))
                .select(users::id)
                .first(conn)
                .optional();
            // Read first: most logins need no write lock.
            match due {
                Ok(Some(id)) => diesel::update(users::table.find(id))
                    .set(users::last_login.eq(now_unix_ms))
                    .execute(conn)
                    .map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .map_err(|error| query_failed(&format!("user {username:?}"), error))
    }

    fn note_first_transfer(
        &self,
        username: &str,
        direction: Direction,
        now_unix_ms: i64,
    ) -> Result<()> {
        let user = users::table.filter(users::username.eq(username));
        with_engine!(&mut self.connection()?, conn => match direction {
            Direction::Upload => diesel::update(user.filter(users::first_upload.eq(0)))
                .set(users::first_upload.eq(now_unix_ms))
                .execute(conn),
            Direction::Download => diesel::update(user.filter(users::first_download.eq(0)))
                .set(users::first_download.eq(now_unix_ms))
                .execute(conn),
        })
        .map(drop)
        .map_err(|error| query_failed(&format!("user {username:?}"), error))
    }

    fn swap_user_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let swapped = with_engine!(&mut self.connection()?, conn => {
            diesel::update(
                users::table.filter(users::username.eq(username)).filter(users::password.eq(old)),
            )
            .set(users::password.eq(new))
            .execute(conn)
        })
        .map_err(|error| query_failed(&format!("user {username:?}"), error))?;
        Ok(swapped > 0)
    }
}
