//! The web pages for administrators: every route on one screen, one file per page or
//! resource. Who may see a page stands in the signature of its handler, and what a form
//! does is done by the same functions that the REST API calls.

mod admins;
mod checkup;
mod connections;
mod event_words;
mod events;
mod exports;
mod folders;
mod goto;
mod groups;
mod live;
mod login;
mod maintenance;
mod objects;
mod overview;
mod profile;
mod restore;
mod roles;
mod scans;
mod setup;
mod status;
mod tasks;
mod tester;
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
            .route("/folders", get().to(folders::list))
            .route("/new-folder", get().to(folders::new))
            .route("/new-folder", post().to(folders::create))
            .route("/folders/{name}", get().to(folders::edit))
            .route("/folders/{name}", post().to(folders::save))
            .route("/folders/{name}/delete", get().to(folders::ask_delete))
            .route("/folders/{name}/delete", post().to(folders::delete))
            .route("/groups", get().to(groups::list))
            .route("/new-group", get().to(groups::new))
            .route("/new-group", post().to(groups::create))
            .route("/groups/{name}", get().to(groups::edit))
            .route("/groups/{name}", post().to(groups::save))
            .route("/groups/{name}/delete", get().to(groups::ask_delete))
            .route("/groups/{name}/delete", post().to(groups::delete))
            .route("/export/folders", get().to(exports::folders))
            .route("/export/groups", get().to(exports::groups))
            .route("/export/roles", get().to(exports::roles))
            .route("/export/admins", get().to(exports::admins))
            .route("/export/connections", get().to(exports::sessions))
            .route("/roles", get().to(roles::list))
            .route("/new-role", get().to(roles::new))
            .route("/new-role", post().to(roles::create))
            .route("/roles/{name}", get().to(roles::edit))
            .route("/roles/{name}", post().to(roles::save))
            .route("/roles/{name}/delete", get().to(roles::ask_delete))
            .route("/roles/{name}/delete", post().to(roles::delete))
            .route("/admins", get().to(admins::list))
            .route("/new-admin", get().to(admins::new))
            .route("/new-admin", post().to(admins::create))
            .route("/admins/{name}", get().to(admins::edit))
            .route("/admins/{name}", post().to(admins::save))
            .route("/admins/{name}/delete", get().to(admins::ask_delete))
            .route("/admins/{name}/delete", post().to(admins::delete))
            .route("/admins/{name}/second-factor", get().to(admins::ask_second_factor))
            .route("/admins/{name}/second-factor", post().to(admins::forget_second_factor))
            .route("/tester", get().to(tester::page))
            .route("/status", get().to(status::page))
            .route("/tasks", get().to(tasks::list))
            .route("/tasks/{id}", get().to(tasks::page))
            .route("/tasks/{id}/cancel", post().to(tasks::cancel))
            .route("/maintenance", get().to(maintenance::page))
            .route("/maintenance/download", get().to(maintenance::download))
            .route("/maintenance/backup", post().to(maintenance::save))
            .route("/maintenance/upload", post().to(maintenance::upload))
            .route("/maintenance/file", post().to(maintenance::choose))
            .route("/maintenance/restore/{id}", get().to(restore::page))
            .route("/maintenance/restore/{id}", post().to(restore::apply))
            .route("/maintenance/restore/{id}/discard", post().to(restore::discard))
            .route("/scans", get().to(scans::page))
            .route("/scans", post().to(scans::start))
            .default_service(web::to(overview::nothing_here)),
    );
}
