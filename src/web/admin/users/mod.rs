//! The pages about users: the list and what is done with many, one user in tabs, and new
//! users one by one or from a template.

mod acts;
mod bulk;
mod conflict;
mod create;
mod effective;
mod form;
mod list;
mod rows;
mod tabs;
mod template;
mod times;

use actix_web::HttpRequest;
use actix_web::web::{ServiceConfig, get, post};

use crate::web::pages::page::admin_root;
use crate::web::url::segment;

/// The routes of these pages, below those of administrators.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/users", get().to(list::page))
        .route("/export/users", get().to(bulk::export))
        .route("/bulk/users", get().to(bulk::question))
        .route("/bulk/users", post().to(bulk::act))
        .route("/new-user", get().to(create::page))
        .route("/new-user", post().to(create::save))
        .route("/new-users", get().to(template::page))
        .route("/new-users", post().to(template::act))
        .route("/users/{username}", get().to(form::page))
        .route("/users/{username}", post().to(form::save))
        .route("/users/{username}/status", post().to(acts::status))
        .route("/users/{username}/two-factor", get().to(acts::two_factor_question))
        .route("/users/{username}/two-factor", post().to(acts::two_factor_off));
}

/// Where the list is.
fn list_path(request: &HttpRequest) -> String {
    format!("{}/users", admin_root(request))
}

/// Where the page of a user is.
fn path_of(request: &HttpRequest, username: &str) -> String {
    format!("{}/{}", list_path(request), segment(username))
}
