//! The web pages for administrators: every route on one screen, one file per page or
//! resource. Who may see a page stands in the signature of its handler, and what a form
//! does is done by the same functions that the REST API calls.

mod checkup;
mod connections;
mod events;
mod goto;
mod live;
mod login;
mod overview;
mod profile;
mod setup;
mod two_factor;
mod users;

use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{self, ServiceConfig, get, post};

use crate::web::edge::Edge;
use crate::web::pages::page::ROOT;
use crate::web::pages::{assets, error};

/// Adds the pages to a server.
pub fn configure(config: &mut ServiceConfig, edge: &Edge) {
    assets::configure(config, edge);
    for start in ["/", "/web"] {
        let start = web::resource(edge.link(start));
        config.service(start.route(get().to(overview::elsewhere)));
    }
    config.service(
        web::scope(&edge.link(ROOT))
            .wrap(from_fn(error::shown))
            .wrap(Compress::default())
            .route("", get().to(overview::page))
            .route("/connections", get().to(connections::page))
            .route("/connections/kill", get().to(connections::kill_page))
            .route("/connections/kill", post().to(connections::kill))
            .route("/live/overview", get().to(live::overview))
            .route("/live/connections", get().to(live::connections))
            .route("/events", get().to(events::page))
            .route("/live/events", get().to(live::events))
            .route("/goto", get().to(goto::page))
            .route("/setup", get().to(setup::page))
            .route("/setup", post().to(setup::create))
            .route("/login", get().to(login::page))
            .route("/login", post().to(login::password))
            .route("/login/code", get().to(login::code_page))
            .route("/login/code", post().to(login::code))
            .route("/logout", post().to(login::logout))
            .route("/session", get().to(profile::session))
            .route("/theme", post().to(profile::theme))
            .route("/profile", get().to(profile::page))
            .route("/profile", post().to(profile::save))
            .route("/password", post().to(profile::password))
            .route("/sessions/end", post().to(profile::end_session))
            .route("/two-factor", get().to(two_factor::page))
            .route("/two-factor/begin", post().to(two_factor::begin))
            .route("/two-factor/save", post().to(two_factor::save))
            .route("/two-factor/codes", post().to(two_factor::codes))
            .route("/two-factor/off", post().to(two_factor::off))
            .configure(users::configure)
            .default_service(web::to(overview::nothing_here)),
    );
}
