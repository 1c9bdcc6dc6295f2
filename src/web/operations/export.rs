//! Lists as files: a table for spreadsheets, or the objects.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::model::{self, Folder, Group, GroupMapping, Role, User};
use crate::provider::Page;
use crate::web::error::ApiError;
use crate::web::operations::live::ConnectionStatus;
use crate::web::operations::user_query::UserListQuery;
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    #[default]
    Csv,
    Json,
}

/// How a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    #[serde(default)]
    #[param(inline)]
    pub format: ExportFormat,
}

/// A column: its heading, and what an object has there.
type Column<T> = (&'static str, fn(&T) -> Cell);

/// An object that can be a line of a table.
pub trait Tabular: Sized + 'static {
    const COLUMNS: &'static [Column<Self>];
}

/// What stands in a cell.
pub enum Cell {
    Text(String),
    Number(i128),
}

impl Cell {
    /// A quoted text, or a number. What a spreadsheet would take for a formula gets an
    /// apostrophe.
    fn quoted(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => {
                let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
                let guard = if is_formula { "'" } else { "" };
                format!("\"{guard}{}\"", text.replace('"', "\"\""))
            }
        }
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Cell {
    let names: Vec<T> = names.into_iter().collect();
    Cell::Text(names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "))
}

fn number(number: impl Into<i128>) -> Cell {
    Cell::Number(number.into())
}

impl Tabular for User {
    const COLUMNS: &'static [Column<Self>] = &[
        ("username", |it| text(&it.username)),
        ("status", |it| number(it.status)),
        ("email", |it| text(&it.email)),
        ("description", |it| text(&it.description)),
        ("role", |it| text(&it.role)),
        ("groups", |it| names(it.groups.iter().map(|group: &GroupMapping| &group.name))),
        ("home_dir", |it| text(&it.home_dir)),
        ("quota_size", |it| number(it.quota_size)),
        ("quota_files", |it| number(it.quota_files)),
        ("used_quota_size", |it| number(it.used_quota_size)),
        ("used_quota_files", |it| number(it.used_quota_files)),
        ("expiration_date", |it| number(it.expiration_date)),
        ("last_login", |it| number(it.last_login)),
        ("created_at", |it| number(it.created_at)),
        ("updated_at", |it| number(it.updated_at)),
    ];
}

impl Tabular for Folder {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |it| text(&it.name)),
        ("mapped_path", |it| text(&it.mapped_path)),
        ("description", |it| text(&it.description)),
        ("users", |it| names(&it.users)),
        ("groups", |it| names(&it.groups)),
        ("used_quota_size", |it| number(it.used_quota_size)),
        ("used_quota_files", |it| number(it.used_quota_files)),
        ("last_quota_update", |it| number(it.last_quota_update)),
    ];
}

impl Tabular for Group {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |it| text(&it.name)),
        ("description", |it| text(&it.description)),
        ("users", |it| names(&it.users)),
        ("admins", |it| names(&it.admins)),
        ("virtual_folders", |it| names(it.virtual_folders.iter().map(|mount| &mount.folder.name))),
        ("created_at", |it| number(it.created_at)),
        ("updated_at", |it| number(it.updated_at)),
    ];
}

impl Tabular for Role {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |it| text(&it.name)),
        ("description", |it| text(&it.description)),
        ("users", |it| names(&it.users)),
        ("admins", |it| names(&it.admins)),
        ("created_at", |it| number(it.created_at)),
        ("updated_at", |it| number(it.updated_at)),
    ];
}

impl Tabular for model::Admin {
    const COLUMNS: &'static [Column<Self>] = &[
        ("username", |it| text(&it.username)),
        ("status", |it| number(it.status)),
        ("email", |it| text(&it.email)),
        ("description", |it| text(&it.description)),
        ("role", |it| text(&it.role)),
        ("permissions", |it| names(it.permissions.iter().map(|permission| permission.as_str()))),
        ("groups", |it| names(it.groups.iter().map(|group| &group.name))),
        ("last_login", |it| number(it.last_login)),
        ("created_at", |it| number(it.created_at)),
        ("updated_at", |it| number(it.updated_at)),
    ];
}

impl Tabular for ConnectionStatus {
    const COLUMNS: &'static [Column<Self>] = &[
        ("username", |it| text(&it.username)),
        ("connection_id", |it| text(&it.connection_id)),
        ("protocol", |it| text(&it.protocol)),
        ("client_version", |it| text(&it.client_version)),
        ("remote_address", |it| text(&it.remote_address)),
        ("connection_time", |it| number(it.connection_time)),
        ("last_activity", |it| number(it.last_activity)),
        ("command", |it| text(&it.command)),
        ("transfers", |it| number(u32::try_from(it.active_transfers.len()).unwrap_or(u32::MAX))),
        ("rate", |it| {
            number(it.active_transfers.iter().map(|transfer| transfer.rate).sum::<u64>())
        }),
    ];
}

/// One line per object (RFC 4180).
fn csv<T: Tabular>(objects: &[T]) -> String {
    let headings: Vec<&str> = T::COLUMNS.iter().map(|(heading, _)| *heading).collect();
    let mut csv = headings.join(",") + "\r\n";
    for object in objects {
        let cells: Vec<String> = T::COLUMNS.iter().map(|(_, cell)| cell(object).quoted()).collect();
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    }
    csv
}

/// The answer with a file for the reader to keep; `name` is without its extension.
pub fn file<T: Tabular + Serialize>(
    name: &str,
    format: ExportFormat,
    objects: &[T],
) -> HttpResponse {
    let attachment = |extension: &str| {
        let value = format!("attachment; filename=\"{name}.{extension}\"");
        (header::CONTENT_DISPOSITION, value)
    };
    match format {
        ExportFormat::Csv => HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header(attachment("csv"))
            .body(csv(objects)),
        ExportFormat::Json => HttpResponse::Ok().insert_header(attachment("json")).json(objects),
    }
}

/// Every object that `find` has, page by page.
pub async fn all<T>(
    find: impl AsyncFn(Page) -> Result<(Vec<T>, u64), ApiError>,
) -> Result<Vec<T>, ApiError> {
    let mut page = Page { limit: Page::MAX_LIMIT, ..Page::default() };
    let mut all = Vec::new();
    loop {
        let (found, total) = find(page).await?;
        let is_last = found.len() < Page::MAX_LIMIT as usize;
        all.extend(found);
        if is_last || all.len() as u64 >= total {
            return Ok(all);
        }
        page.offset += page.limit;
    }
}

impl Services {
    /// Every user that a query finds, without confidential parts.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub async fn all_users<R: Right>(
        &self,
        admin: &Admin<R>,
        query: &UserListQuery,
    ) -> Result<Vec<User>, ApiError> {
        let query = query.checked()?;
        self.store_settled_usage().await;
        let users = self.users_of(admin);
        let mut found = all(async |page| users.find(query.clone(), page).await).await?;
        found.iter_mut().for_each(User::hide_confidential);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_becomes_a_formula_or_leaves_its_quotes() {
        let table = [
            ("ann", "\"ann\""),
            ("", "\"\""),
            ("a,\"b\"\nc", "\"a,\"\"b\"\"\nc\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("\tx", "\"'\tx\""),
            ("\rx", "\"'\rx\""),
            ("x=1", "\"x=1\""),
        ];
        for (text, want) in table {
            assert_eq!(Cell::Text(text.to_owned()).quoted(), want);
        }
    }
}
