//! Finding a place by its name.

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::web::auth::Anything;
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
    let places: Vec<Place> = signed
        .places()
        .filter(|(label, _)| label.to_lowercase().contains(&wanted))
        .map(|(label, path)| Place { label: label.to_owned(), path: path.to_owned(), kind: "Page" })
        .collect();
    let content = json!({ "q": query.q, "places": places });
    signed.page("admin/goto.html", "", "Go to", content).await
}
