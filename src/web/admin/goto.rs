//! Finding a place by its name.

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::model::AdminPermission;
use crate::provider::{FolderQuery, GroupQuery, Page, UserQuery};
use crate::web::api::{folders, groups};
use crate::web::pages::error::PageError;
use crate::web::pages::signed::Signed;
use crate::web::request::auth::Anything;
use crate::web::request::query::search_text;
use crate::web::url::segment;

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
    if let Some(wanted) = search_text(Some(&wanted))? {
        find_objects(&signed, &wanted, &mut places).await?;
    }
    let content = json!({ "q": query.q, "places": places });
    signed.page("admin/goto.html", "", "Go to", content).await
}

/// The most of each kind that are shown.
const MOST_OF_A_KIND: u32 = 8;

/// Users, folders and groups that their lists find for `wanted`, as far as they are for
/// this administrator.
async fn find_objects(
    signed: &Signed<Anything>,
    wanted: &str,
    places: &mut Vec<Place>,
) -> Result<(), PageError> {
    let (services, admin) = (signed.services(), &signed.admin);
    let page = Page { limit: MOST_OF_A_KIND, ..Page::default() };
    let text = Some(wanted.to_owned());
    if admin.may(AdminPermission::ViewUsers) {
        let query = UserQuery { text: text.clone(), ..UserQuery::default() };
        let (found, _) = services.users_of(admin).find(query, page).await?;
        add(places, "User", "/users", found.into_iter().map(|user| user.username));
    }
    if admin.may(AdminPermission::ManageFolders) {
        let query = FolderQuery { text: text.clone(), ..FolderQuery::default() };
        let (found, _) = folders::list_for(services, admin, query, page).await?;
        add(places, "Folder", "/folders", found.into_iter().map(|folder| folder.name));
    }
    if admin.may(AdminPermission::ManageGroups) {
        let query = GroupQuery { text, ..GroupQuery::default() };
        let (found, _) = groups::list_for(services, admin, query, page).await?;
        add(places, "Group", "/groups", found.into_iter().map(|group| group.name));
    }
    Ok(())
}

fn add(
    places: &mut Vec<Place>,
    kind: &'static str,
    path: &str,
    names: impl Iterator<Item = String>,
) {
    places.extend(names.map(|name| Place {
        path: format!("{path}/{}", segment(&name)),
        label: name,
        kind,
    }));
}
