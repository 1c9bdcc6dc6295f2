//! The streams behind the pages that move; see `pages::live`.

use actix_web::HttpResponse;
use actix_web::web::Query;

use super::connections::{Sessions, Wanted};
use super::events::Following;
use super::overview::Overview;
use crate::web::api::logs::TailQuery;
use crate::web::pages::error::PageError;
use crate::web::pages::live::stream;
use crate::web::pages::signed::Signed;
use crate::web::request::auth::{Anything, ViewConnections, ViewEvents};

/// What the start page shows to this administrator.
pub async fn overview(signed: Signed<Anything>) -> Result<HttpResponse, PageError> {
    let overview = Overview::seen_by(&signed).await?;
    stream(signed, overview).await
}

/// What `connections` shows with the same query.
pub async fn connections(
    signed: Signed<ViewConnections>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    let sessions = Sessions::seen_by(&signed, wanted.into_inner()).await?;
    stream(signed, sessions).await
}

/// The lines of the log that follow those of `events` with the same query.
pub async fn events(
    signed: Signed<ViewEvents>,
    asked: Query<TailQuery>,
) -> Result<HttpResponse, PageError> {
    // Refused now, if it names what there is not.
    asked.filter()?;
    let control = signed.services().log_control.as_ref();
    let newest = control.map_or(0, |control| *control.tail().newest().borrow());
    let returned = signed.request.headers().get("last-event-id");
    let returned = returned.and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let following = Following::new(asked.into_inner(), returned, newest);
    stream(signed, following).await
}
