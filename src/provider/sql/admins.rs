//! Admins in SQL.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::relations::{
    self, AdminMembership, MembershipRow, relations_of_admins, require_groups,
    write_admin_relations,
};
use super::roles::require_role;
use super::schema::{account_groups, admins, admins_groups};
use super::search::{contains, count, page_of, part_of_text, sorted};
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::{Error, Result};
use crate::model::{Admin, Password};
use crate::provider::{AdminQuery, AdminSort, AdminState, Admins, Change, Page, Permit};

/// An admin as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = admins)]
pub struct AdminRow {
    id: i64,
    username: String,
    status: i32,
    email: String,
    description: String,
    additional_info: String,
    password: String,
    permissions: String,
    filters: String,
    last_login: i64,
    created_at: i64,
    updated_at: i64,
    role: String,
}

impl AdminRow {
    /// Without its relations.
    pub fn into_admin(self) -> Result<Admin> {
        let what = format!("admin {:?}", self.username);
        Ok(Admin {
            id: self.id,
            status: self.status,
            email: self.email,
            description: self.description,
            additional_info: self.additional_info,
            password: Password::new(self.password),
            permissions: from_json(&what, "permissions", &self.permissions)?,
            filters: from_json(&what, "filters", &self.filters)?,
            last_login: self.last_login,
            created_at: self.created_at,
            updated_at: self.updated_at,
            role: self.role,
            username: self.username,
            ..Admin::default()
        })
    }
}

/// An admin as it is written. `None` leaves a column as it is.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = admins)]
pub struct AdminRecord<'a> {
    username: &'a str,
    status: i32,
    email: &'a str,
    description: &'a str,
    additional_info: &'a str,
    password: Option<&'a str>,
    permissions: String,
    filters: String,
    last_login: Option<i64>,
    created_at: Option<i64>,
    updated_at: i64,
    role: &'a str,
}

impl<'a> AdminRecord<'a> {
    /// For an admin that is not there yet.
    pub fn new(admin: &'a Admin) -> Result<Self> {
        let what = format!("admin {:?}", admin.username);
        Ok(Self {
            username: &admin.username,
            status: admin.status,
            email: &admin.email,
            description: &admin.description,
            additional_info: &admin.additional_info,
            password: Some(admin.password.as_str()),
            permissions: to_json(&what, "permissions", &admin.permissions)?,
            filters: to_json(&what, "filters", &admin.filters)?,
            last_login: Some(admin.last_login),
            created_at: Some(admin.created_at),
            updated_at: admin.updated_at,
            role: &admin.role,
        })
    }

    /// For an admin that is there: what only the server knows stays, and so does
    /// the password unless there is a new one.
    pub fn replacement(admin: &'a Admin) -> Result<Self> {
        Ok(Self { last_login: None, created_at: None, ..Self::restored(admin)? })
    }

    /// For an admin that is there and whose times are given, as in a dump.
    pub fn restored(admin: &'a Admin) -> Result<Self> {
        let has_password = !admin.password.is_empty();
        let record = Self::new(admin)?;
        Ok(Self { password: record.password.filter(|_| has_password), ..record })
    }
}

/// Admins with their groups.
pub fn assemble_admins(rows: Vec<AdminRow>, groups: Vec<MembershipRow>) -> Result<Vec<Admin>> {
    let mut groups = relations::groups_by_admin(groups);
    let related = |row: AdminRow| {
        let mut admin = row.into_admin()?;
        admin.groups = groups.take(&admin.username);
        Ok(admin)
    };
    rows.into_iter().map(related).collect()
}

/// One admin with the groups, as it is read.
macro_rules! find_admin {
    ($conn:expr, $username:expr) => {{
        let rows: Vec<AdminRow> = admins::table
            .filter(admins::username.eq($username))
            .select(AdminRow::as_select())
            .load($conn)?;
        (rows, relations_of_admins!($conn, eq, $username))
    }};
}

/// How the column `filters` begins to say that one-time passwords are on. No text in it can
/// look like that: quotes within it are escaped.
const WITH_SECOND_FACTOR: &str = r#""totp_config":{"enabled":true"#;

/// The boxed query with the conditions of an [`AdminQuery`].
macro_rules! matching {
    ($query:expr, $wanted:expr, $part:expr, $with_second_factor:expr) => {{
        let mut query = $query;
        if let Some(part) = &$part {
            query = query.filter(
                contains!(admins::username, part)
                    .or(contains!(admins::email, part))
                    .or(contains!(admins::description, part))
                    .or(contains!(admins::role, part)),
            );
        }
        query = match $wanted.state {
            None => query,
            Some(AdminState::Enabled) => query.filter(admins::status.eq(1)),
            Some(AdminState::Disabled) => query.filter(admins::status.ne(1)),
            Some(AdminState::NoSecondFactor) => query
                .filter(admins::status.eq(1))
                .filter(diesel::dsl::not(contains!(admins::filters, &$with_second_factor))),
            Some(AdminState::NeverLoggedIn) => query.filter(admins::last_login.eq(0)),
        };
        if let Some(group) = &$wanted.group {
            let joining = admins_groups::table
                .filter(admins_groups::group_name.eq(group))
                .select(admins_groups::username);
            query = query.filter(admins::username.eq_any(joining));
        }
        if let Some(role) = &$wanted.role {
            query = query.filter(admins::role.eq(role));
        }
        query
    }};
}

impl Admins for SqlProvider {
    fn admin(&self, username: &str) -> Result<Option<Admin>> {
        let (rows, groups) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| Ok::<_, DieselError>(find_admin!(conn, username)))
        })
        .map_err(|error| query_failed(&format!("admin {username:?}"), error))?;
        Ok(assemble_admins(rows, groups)?.pop())
    }

    fn find_admins(&self, query: &AdminQuery, page: Page) -> Result<(Vec<Admin>, u64)> {
        let part = query.text.as_deref().map(part_of_text);
        let second = part_of_text(WITH_SECOND_FACTOR);
        let (rows, total, groups) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = admins::table.select(diesel::dsl::count_star()).into_boxed();
                let total: i64 = matching!(counted, query, part, second).first(conn)?;
                let found = admins::table.select(AdminRow::as_select()).into_boxed();
                let found = matching!(found, query, part, second);
                let found = match query.sort {
                    AdminSort::Username => found,
                    AdminSort::LastLogin => sorted!(found, admins::last_login, page),
                    AdminSort::CreatedAt => sorted!(found, admins::created_at, page),
                    AdminSort::UpdatedAt => sorted!(found, admins::updated_at, page),
                };
                let rows: Vec<AdminRow> = page_of!(found, admins::username, page).load(conn)?;
                let names: Vec<&str> = rows.iter().map(|row| row.username.as_str()).collect();
                let groups = relations_of_admins!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, total, groups))
            })
        })
        .map_err(|error| query_failed("admins", error))?;
        Ok((assemble_admins(rows, groups)?, count(total)))
    }

    fn add_admin(&self, admin: &Admin) -> Result<()> {
        let what = format!("admin {:?}", admin.username);
        let record = AdminRecord::new(admin)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            require_role!(conn, what, &admin.role);
            diesel::insert_into(admins::table)
                .values(&record)
                .execute(conn)?;
            write_admin_relations!(conn, &what, admin);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn add_first_admin(&self, admin: &Admin) -> Result<bool> {
        let what = format!("admin {:?}", admin.username);
        let record = AdminRecord::new(admin)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let existing: i64 = admins::table.count().get_result(conn)?;
            if existing == 0 {
                diesel::insert_into(admins::table).values(&record).execute(conn)?;
                write_admin_relations!(conn, &what, admin);
            }
            Ok(existing == 0)
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn change_admin(&self, username: &str, change: Change<'_, Admin>) -> Result<()> {
        let what = format!("admin {username:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, groups) = find_admin!(conn, username);
            let found = assemble_admins(rows, groups)?.pop();
            let mut admin = found.ok_or_else(|| not_found(&what))?;
            change(&mut admin)?;
            username.clone_into(&mut admin.username);
            require_role!(conn, what, &admin.role);
            diesel::update(admins::table.filter(admins::username.eq(username)))
                .set(&AdminRecord::replacement(&admin)?)
                .execute(conn)?;
            write_admin_relations!(conn, &what, &admin);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_admin_if(&self, username: &str, permit: Permit<'_, Admin>) -> Result<()> {
        let what = format!("admin {username:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let (rows, groups) = find_admin!(conn, username);
            let found = assemble_admins(rows, groups)?.pop();
            permit(&found.ok_or_else(|| not_found(&what))?)?;
            diesel::delete(admins::table.filter(admins::username.eq(username))).execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn touch_admin_login(
        &self,
        username: &str,
        now_unix_ms: i64,
        older_than_unix_ms: i64,
    ) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => {
            let due: Result<Option<i64>, _> = admins::table
                .filter(admins::username.eq(username))
                .filter(admins::last_login.lt(older_than_unix_ms))
                .select(admins::id)
                .first(conn)
                .optional();
            // Read first: most logins need no write lock.
            match due {
                Ok(Some(id)) => diesel::update(admins::table.find(id))
                    .set(admins::last_login.eq(now_unix_ms))
                    .execute(conn)
                    .map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .map_err(|error| query_failed(&format!("admin {username:?}"), error))
    }

    fn swap_admin_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let swapped = with_engine!(&mut self.connection()?, conn => {
            diesel::update(
                admins::table
                    .filter(admins::username.eq(username))
                    .filter(admins::password.eq(old)),
            )
            .set(admins::password.eq(new))
            .execute(conn)
        })
        .map_err(|error| query_failed(&format!("admin {username:?}"), error))?;
        Ok(swapped > 0)
    }
}
