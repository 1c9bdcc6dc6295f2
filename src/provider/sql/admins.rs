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
use super::{Aborted, SqlProvider, from_json, not_found, query_failed, to_json};
use crate::error::{Error, Result};
use crate::model::{Admin, Password};
use crate::provider::{Admins, Page};

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

impl Admins for SqlProvider {
    fn admin(&self, username: &str) -> Result<Option<Admin>> {
        let (rows, groups) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let rows: Vec<AdminRow> = admins::table
                    .filter(admins::username.eq(username))
                    .select(AdminRow::as_select())
                    .load(conn)?;
                Ok::<_, DieselError>((rows, relations_of_admins!(conn, eq, username)))
            })
        })
        .map_err(|error| query_failed(&format!("admin {username:?}"), error))?;
        Ok(assemble_admins(rows, groups)?.pop())
    }

    fn admins(&self, page: Page) -> Result<Vec<Admin>> {
        let (rows, groups) = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let query = admins::table
                    .select(AdminRow::as_select())
                    .offset(page.offset.into())
                    .limit(page.limit.into());
                let rows: Vec<AdminRow> = if page.descending {
                    query.order(admins::username.desc()).load(conn)?
                } else {
                    query.order(admins::username.asc()).load(conn)?
                };
                let names: Vec<&str> = rows.iter().map(|row| row.username.as_str()).collect();
                let groups = relations_of_admins!(conn, eq_any, &names);
                Ok::<_, DieselError>((rows, groups))
            })
        })
        .map_err(|error| query_failed("admins", error))?;
        assemble_admins(rows, groups)
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

    fn update_admin(&self, admin: &Admin) -> Result<()> {
        let what = format!("admin {:?}", admin.username);
        let record = AdminRecord::replacement(admin)?;
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            require_role!(conn, what, &admin.role);
            let existing = admins::table.filter(admins::username.eq(&admin.username));
            if diesel::update(existing).set(&record).execute(conn)? == 0 {
                return Err(Aborted::from(not_found(&what)));
            }
            write_admin_relations!(conn, &what, admin);
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_admin(&self, username: &str) -> Result<()> {
        let what = format!("admin {username:?}");
        let deleted = with_engine!(&mut self.connection()?, conn => {
            diesel::delete(admins::table.filter(admins::username.eq(username))).execute(conn)
        })
        .map_err(|error| query_failed(&what, error))?;
        if deleted == 0 { Err(not_found(&what)) } else { Ok(()) }
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
