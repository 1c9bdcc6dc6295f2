//! Roles in SQL.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::connection::{Engine, with_engine};
use super::schema::{admins, roles, users};
use super::search::{contains, count, page_of, part_of_text, sorted};
use super::{Aborted, SqlProvider, not_found, query_failed};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Role;
use crate::provider::{Change, Page, Permit, RoleQuery, RoleSort, Roles};

/// Most names that a refusal lists.
const MAX_NAMES: usize = 5;

/// A role as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = roles)]
pub struct RoleRow {
    id: i64,
    name: String,
    description: String,
    created_at: i64,
    updated_at: i64,
}

impl RoleRow {
    /// Without the accounts that have it.
    pub fn into_role(self) -> Role {
        Role {
            id: self.id,
            name: self.name,
            description: self.description,
            created_at: self.created_at,
            updated_at: self.updated_at,
            ..Role::default()
        }
    }
}

/// A role as it is written. `None` leaves a column as it is.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = roles)]
pub struct RoleRecord<'a> {
    name: &'a str,
    description: &'a str,
    created_at: Option<i64>,
    updated_at: i64,
}

impl<'a> RoleRecord<'a> {
    /// For a role that is not there yet, or whose times are given, as in a dump.
    pub fn new(role: &'a Role) -> Self {
        Self {
            name: &role.name,
            description: &role.description,
            created_at: Some(role.created_at),
            updated_at: role.updated_at,
        }
    }

    /// For a role that is there.
    fn replacement(role: &'a Role) -> Self {
        Self { created_at: None, ..Self::new(role) }
    }
}

/// Leaves the surrounding transaction with an error unless the account `$what` has
/// no role or one that is there.
macro_rules! require_role {
    ($conn:expr, $what:expr, $role:expr) => {
        if !$role.is_empty() {
            let named = $crate::provider::sql::schema::roles::table
                .filter($crate::provider::sql::schema::roles::name.eq($role));
            if !diesel::select(diesel::dsl::exists(named)).get_result::<bool>($conn)? {
                return Err($crate::error::Error::invalid(format!(
                    "{}: role: there is no role {:?}",
                    $what, $role
                ))
                .into());
            }
        }
    };
}
pub(super) use require_role;

/// Who has a role, as (name of the role, name of the account).
type Holders = Vec<(String, String)>;

/// The roles with the accounts that have them.
fn with_holders(rows: Vec<RoleRow>, users: Holders, admins: Holders) -> Vec<Role> {
    let by_role = |holders: Holders| {
        let mut by_role: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (role, name) in holders {
            by_role.entry(role).or_default().push(name);
        }
        by_role
    };
    let (mut users, mut admins) = (by_role(users), by_role(admins));
    rows.into_iter()
        .map(|row| Role {
            users: users.remove(&row.name).unwrap_or_default(),
            admins: admins.remove(&row.name).unwrap_or_default(),
            ..row.into_role()
        })
        .collect()
}

/// Reads who has the roles of `$rows`, sorted by name.
macro_rules! holders {
    ($conn:expr, $rows:expr) => {{
        let names: Vec<&str> = $rows.iter().map(|row: &RoleRow| row.name.as_str()).collect();
        let users: Holders = users::table
            .filter(users::role.eq_any(&names))
            .select((users::role, users::username))
            .order(users::username.asc())
            .load($conn)?;
        let admins: Holders = admins::table
            .filter(admins::role.eq_any(&names))
            .select((admins::role, admins::username))
            .order(admins::username.asc())
            .load($conn)?;
        (users, admins)
    }};
}

/// One role with who has it.
macro_rules! find_role {
    ($conn:expr, $name:expr) => {{
        let rows: Vec<RoleRow> =
            roles::table.filter(roles::name.eq($name)).select(RoleRow::as_select()).load($conn)?;
        let (users, admins) = holders!($conn, rows);
        with_holders(rows, users, admins).pop()
    }};
}

/// The boxed query with the conditions of a [`RoleQuery`].
macro_rules! matching {
    ($query:expr, $part:expr) => {{
        let mut query = $query;
        if let Some(part) = &$part {
            query =
                query.filter(contains!(roles::name, part).or(contains!(roles::description, part)));
        }
        query
    }};
}

impl Roles for SqlProvider {
    fn role(&self, name: &str) -> Result<Option<Role>> {
        with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| Ok::<_, DieselError>(find_role!(conn, name)))
        })
        .map_err(|error| query_failed(&format!("role {name:?}"), error))
    }

    fn find_roles(&self, query: &RoleQuery, page: Page) -> Result<(Vec<Role>, u64)> {
        let part = query.text.as_deref().map(part_of_text);
        let read = with_engine!(&mut self.connection()?, conn => {
            conn.transaction(|conn| {
                let counted = roles::table.select(diesel::dsl::count_star()).into_boxed();
                let total: i64 = matching!(counted, part).first(conn)?;
                let found =
                    matching!(roles::table.select(RoleRow::as_select()).into_boxed(), part);
                let found = match query.sort {
                    RoleSort::Name => found,
                    RoleSort::CreatedAt => sorted!(found, roles::created_at, page),
                    RoleSort::UpdatedAt => sorted!(found, roles::updated_at, page),
                };
                let rows: Vec<RoleRow> = page_of!(found, roles::name, page).load(conn)?;
                let (users, admins) = holders!(conn, rows);
                Ok::<_, DieselError>((with_holders(rows, users, admins), count(total)))
            })
        });
        read.map_err(|error| query_failed("roles", error))
    }

    fn role_names(&self, limit: u32) -> Result<Vec<String>> {
        with_engine!(&mut self.connection()?, conn => {
            roles::table
                .select(roles::name)
                .order(roles::name.asc())
                .limit(limit.into())
                .load(conn)
        })
        .map_err(|error| query_failed("roles", error))
    }

    fn add_role(&self, role: &Role) -> Result<()> {
        let record = RoleRecord::new(role);
        with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            diesel::insert_into(roles::table).values(&record).execute(conn)
        }))
        .map_err(|error| query_failed(&format!("role {:?}", role.name), error))?;
        Ok(())
    }

    fn change_role(&self, name: &str, change: Change<'_, Role>) -> Result<()> {
        let what = format!("role {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let mut role = find_role!(conn, name).ok_or_else(|| not_found(&what))?;
            change(&mut role)?;
            name.clone_into(&mut role.name);
            diesel::update(roles::table.filter(roles::name.eq(name)))
                .set(&RoleRecord::replacement(&role))
                .execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn delete_role_if(&self, name: &str, now_unix_ms: i64, permit: Permit<'_, Role>) -> Result<()> {
        let what = format!("role {name:?}");
        with_engine!(&mut self.connection()?, conn => conn.write::<_, Aborted, _>(|conn| {
            let role = find_role!(conn, name).ok_or_else(|| not_found(&what))?;
            permit(&role)?;
            if !role.admins.is_empty() {
                return Err(still_held(&what, &role.admins).into());
            }
            diesel::update(users::table.filter(users::role.eq(name)))
                .set((users::role.eq(""), users::updated_at.eq(now_unix_ms)))
                .execute(conn)?;
            diesel::delete(roles::table.filter(roles::name.eq(name))).execute(conn)?;
            Ok(())
        }))
        .map_err(|aborted| aborted.during(&what))
    }

    fn usernames_of_role(&self, role: &str) -> Result<Vec<String>> {
        with_engine!(&mut self.connection()?, conn => {
            users::table
                .filter(users::role.eq(role))
                .select(users::username)
                .order(users::username.asc())
                .load(conn)
        })
        .map_err(|error| query_failed("users of a role", error))
    }
}

/// Without its role an admin would see everybody's users.
fn still_held(what: &str, admins: &[String]) -> Error {
    let shown: Vec<String> =
        admins.iter().take(MAX_NAMES).map(|name| format!("{name:?}")).collect();
    let more = match admins.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::new(
        ErrorKind::Conflict,
        format!(
            "{what}: is the role of the admins {}{more}; change or delete them first",
            shown.join(", ")
        ),
    )
}
