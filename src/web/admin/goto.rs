//! Finding a place by its name.

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::model::AdminPermission;
use crate::provider::{Page, UserQuery};
use crate::web::api::segment;
use crate::web::auth::Anything;
use crate::web::error::ApiError;
use crate::web::pages::error::PageError;
use crate::web::pages::signed::Signed;

/// What is looked for.
#[derive(Debug, Deserialize)]
pub struct GotoQuery {
    #[serde(default)]
    q: String,
}

#[derive(Debug, Serialize)]
struct Place {
    label: String,
    path: String,
    kind: &'static str,
}

pub async fn page(
    signed: Signed<Anything>,
    query: Query<GotoQuery>,
) -> Result<HttpResponse, PageError> {
    let wanted = query.q.trim().to_lowercase();
    let mut places: Vec<Place> = signed
        .places()
        .filter(|(label, _)| label.to_lowercase().contains(&wanted))
        .map(|(label, path)| Place { label: label.to_owned(), path: path.to_owned(), kind: "Page" })
        .collect();
    if !wanted.is_empty() {
        find_objects(&signed, &wanted, &mut places).await?;
    }
    let content = json!({ "q": query.q, "places": places });
    signed.page("admin/goto.html", "", "Go to", content).await
}

/// The most of each kind that are shown.
const MOST_OF_A_KIND: u32 = 8;

/// Users, folders and groups that have `wanted` in their name, as far as they are for
/// this administrator.
async fn find_objects(
    signed: &Signed<Anything>,
    wanted: &str,
    places: &mut Vec<Place>,
) -> Result<(), PageError> {
    let (services, admin) = (signed.services(), &signed.admin);
    if admin.may(AdminPermission::ViewUsers) {
        let users = services.users_of(admin);
        let query = UserQuery { text: Some(wanted.to_owned()), ..UserQuery::default() };
        let page = Page { limit: MOST_OF_A_KIND, ..Page::default() };
        let (found, _) = users.find(query, page).await?;
        add(places, "User", "/users", found.into_iter().map(|user| user.username).collect());
    }
    if admin.may(AdminPermission::ManageFolders) {
        let names = find(wanted, async |page| {
            let folders = services.store.folders(page).await?;
            Ok(folders.into_iter().map(|folder| folder.name).collect())
        });
        add(places, "Folder", "/folders", names.await?);
    }
    if admin.may(AdminPermission::ManageGroups) {
        let names = find(wanted, async |page| {
            let groups = services.store.groups(page).await?;
            Ok(groups.into_iter().map(|group| group.name).collect())
        });
        add(places, "Group", "/groups", names.await?);
    }
    Ok(())
}

/// The first names that have `wanted` in them.
async fn find(
    wanted: &str,
    names: impl AsyncFn(Page) -> Result<Vec<String>, ApiError>,
) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let page = Page { offset, limit: Page::MAX_LIMIT, descending: false };
        let names = names(page).await?;
        let is_last = names.len() < Page::MAX_LIMIT as usize;
        found.extend(names.into_iter().filter(|name| name.to_lowercase().contains(wanted)));
        if is_last || found.len() >= MOST_OF_A_KIND as usize {
            found.truncate(MOST_OF_A_KIND as usize);
            return Ok(found);
        }
        offset = offset.saturating_add(Page::MAX_LIMIT);
    }
}

fn add(places: &mut Vec<Place>, kind: &'static str, path: &str, names: Vec<String>) {
    places.extend(names.into_iter().map(|name| Place {
        path: format!("{path}/{}", segment(&name)),
        label: name,
        kind,
    }));
}
