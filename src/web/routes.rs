//! Every route of the REST API on one screen.
//!
//! The table is the single source: the server is built from it, and so is the
//! OpenAPI document. Who may call a handler stands in its signature.

use actix_web::Scope;
use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

use crate::web::api::*;
use crate::web::fallback::{method_not_allowed, not_found};
use crate::web::openapi::DocumentFrame;
use crate::web::url::API;

macro_rules! routes {
    ($($path:literal { $($method:ident: $module:ident::$handler:ident),+ $(,)? })+) => {
        /// Path below [`API`] and the methods that it has, in lower case.
        #[cfg(test)]
        pub const TABLE: &[(&str, &[&str])] = &[$(($path, &[$(stringify!($method)),+])),+];

        fn resources(scope: Scope) -> Scope {
            scope$(
                .service(
                    web::resource($path)
                        $(.route(web::$method().to($module::$handler)))+
                        .default_service(web::to(async || {
                            method_not_allowed(&[$(stringify!($method)),+])
                        })),
                )
            )+
        }

        #[derive(OpenApi)]
        #[openapi(paths($($($module::$handler,)+)+), modifiers(&DocumentFrame))]
        pub(super) struct Document;
    };
}

routes! {
    "/token" { get: tokens::issue }
    "/logout" { get: tokens::logout }
    "/user/token" { get: tokens::issue_to_user }
    "/user/logout" { get: tokens::logout_user }
    "/version" { get: version::get }
    "/status" { get: status::get }

    "/connections" { get: connections::list }
    "/bulk/users" { post: bulk::users }
    "/summary/users" { get: summary::users }
    "/export/users" { get: exports::users }
    "/export/folders" { get: exports::folders }
    "/export/groups" { get: exports::groups }
    "/export/roles" { get: exports::roles }
    "/export/admins" { get: exports::admins }
    "/export/connections" { get: exports::connections }
    "/bulk/connections" { post: connections::bulk }
    "/tasks" { get: tasks::list }
    "/tasks/{id}" { get: tasks::get }
    "/tasks/{id}/cancel" { post: tasks::cancel }
    "/connections/{connection_id}" { delete: connections::delete }

    "/users/{username}/permission-test" { get: permission_test::test }
    "/users/{username}/connections" { delete: connections::delete_of_user }
    "/logs/tail" { get: logs::tail }
    "/throughput" { get: connections::throughput }

    "/users" { get: users::list, post: users::create }
    "/users/{username}" { get: users::get, put: users::update, delete: users::delete }
    "/folders" { get: folders::list, post: folders::create }
    "/folders/{name}" { get: folders::get, put: folders::update, delete: folders::delete }
    "/groups" { get: groups::list, post: groups::create }
    "/groups/{name}" { get: groups::get, put: groups::update, delete: groups::delete }
    "/admins" { get: admins::list, post: admins::create }
    "/admins/{username}" { get: admins::get, put: admins::update, delete: admins::delete }
    "/admin/profile" { get: profile::get, put: profile::update }
    "/admin/sessions" { get: web_sessions::list_sessions }
    "/admin/sessions/{id}" { delete: web_sessions::end_session }
    "/admin/changepwd" { put: admins::change_password }
    "/roles" { get: roles::list, post: roles::create }
    "/roles/{name}" { get: roles::get, put: roles::update, delete: roles::delete }

    "/admin/totp/configs" { get: second_factor::admin_kinds }
    "/admin/totp/generate" { post: second_factor::admin_generate }
    "/admin/totp/validate" { post: second_factor::admin_validate }
    "/admin/totp/save" { post: second_factor::admin_save }
    "/admin/2fa/recoverycodes" {
        get: second_factor::admin_recovery_codes, post: second_factor::admin_new_recovery_codes
    }
    "/admins/{username}/2fa/disable" { put: second_factor::disable_for_admin }
    "/users/{username}/2fa/disable" { put: second_factor::disable_for_user }
    "/user/totp/configs" { get: second_factor::user_kinds }
    "/user/totp/generate" { post: second_factor::user_generate }
    "/user/totp/validate" { post: second_factor::user_validate }
    "/user/totp/save" { post: second_factor::user_save }
    "/user/2fa/recoverycodes" {
        get: second_factor::user_recovery_codes, post: second_factor::user_new_recovery_codes
    }

    "/quotas/users" { get: quotas::list_user_quotas }
    "/quotas/users/scans" { get: quotas::list_user_scans }
    "/quotas/users/{username}/scan" { post: quotas::start_user_scan }
    "/quotas/users/{username}/usage" { put: quotas::set_user_usage }
    "/quotas/users/{username}/transfer-usage" { put: quotas::set_transfer_usage }
    "/quotas/folders/scans" { get: quotas::list_folder_scans }
    "/quotas/folders/{name}/scan" { post: quotas::start_folder_scan }
    "/quotas/folders/{name}/usage" { put: quotas::set_folder_usage }

    "/quotas/scans/finished" { get: quotas::list_finished_scans }

    "/backups" { get: backups::list_backups }
    "/dumpdata" { get: dumps::dump }
    "/loaddata" { get: dumps::load_file, post: dumps::load_body }

    // Older names of the above, for scripts written against them.
    "/changepwd/admin" { put: aliases::change_password }
    "/quota-scans" { get: aliases::list_user_scans, post: aliases::start_user_scan }
    "/quota-update" { put: aliases::set_user_usage }
    "/folder-quota-scans" { get: aliases::list_folder_scans, post: aliases::start_folder_scan }
    "/folder-quota-update" { put: aliases::set_folder_usage }
}

/// Adds the API to a server.
pub fn configure(config: &mut ServiceConfig) {
    config.service(resources(web::scope(API)).default_service(web::to(not_found)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_and_the_table_have_the_same_routes() {
        let document = serde_json::to_value(Document::openapi()).expect("serialisable");
        let mut documented: Vec<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().expect("methods").keys();
                methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
            })
            .collect();
        let mut routed: Vec<(String, String)> = TABLE
            .iter()
            .flat_map(|(path, methods)| {
                methods.iter().map(move |method| (format!("{API}{path}"), (*method).to_owned()))
            })
            .collect();
        documented.sort();
        routed.sort();
        assert_eq!(documented, routed);
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        fn references<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
            match value {
                serde_json::Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(serde_json::Value::as_str));
                    fields.values().for_each(|value| references(value, found));
                }
                serde_json::Value::Array(items) => {
                    items.iter().for_each(|value| references(value, found));
                }
                _ => {}
            }
        }
        let document = serde_json::to_value(Document::openapi()).expect("serialisable");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference} is missing");
        }
    }

    #[test]
    fn every_operation_says_what_it_does_and_what_it_answers() {
        let document = serde_json::to_value(Document::openapi()).expect("serialisable");
        let mut ids = std::collections::HashSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                let id = operation["operationId"].as_str().unwrap_or_default();
                assert!(ids.insert(id.to_owned()), "{method} {path}: {id:?} is not unique");
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path} has no summary");
                let responses = operation["responses"].as_object().expect("responses");
                assert!(
                    responses.keys().any(|status| status.starts_with('2')),
                    "{method} {path} has no success"
                );
                for parameter in path.split(['{', '}']).skip(1).step_by(2) {
                    let listed = operation["parameters"].as_array().is_some_and(|parameters| {
                        parameters
                            .iter()
                            .any(|known| known["in"] == "path" && known["name"] == parameter)
                    });
                    assert!(listed, "{method} {path} does not document {parameter}");
                }
            }
        }
    }
}
