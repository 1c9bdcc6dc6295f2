//! What an administrator has to do before anything else.

use serde_json::{Value, json};

use super::harness::{Client, Server};

async fn admin_who_must(server: &Server, filters: Value) {
    let admin = json!({
        "username": "helper", "password": "pass phrase", "status": 1, "permissions": ["*"],
        "filters": filters,
    });
    server.root().await.post("/api/v2/admins", admin).await.object(201);
}

/// Whether anything but the own account is served; the reason, if not.
async fn is_held_back(client: &Client) -> Option<String> {
    for path in ["/api/v2/admin/profile", "/api/v2/admin/sessions"] {
        client.get(path).await.object(200);
    }
    let answer = client.get("/api/v2/users").await;
    (answer.status == 403).then(|| answer.error().to_owned())
}

#[actix_web::test]
async fn a_password_that_has_to_be_changed_comes_before_everything_else() {
    let server = Server::start().await;
    admin_who_must(&server, json!({"require_password_change": true})).await;
    let helper = server.login("helper", "pass phrase").await;
    assert_eq!(is_held_back(&helper).await.as_deref(), Some("change your password first"));
    let mut browser = server.signed_in("helper", "pass phrase").await;
    for path in ["/web/admin", "/web/admin/users", "/web/admin/new-user"] {
        let answer = browser.get(path).await;
        let led = (answer.status, answer.header("Location"));
        assert_eq!(led, (303, "/web/admin/profile#new-password"), "{path}");
    }
    let profile = browser.get("/web/admin/profile").await;
    assert!(profile.text.contains("Change your password."), "{}", profile.text);
    let fields = [("current", "pass phrase"), ("password", "a new one"), ("confirm", "a new one")];
    let changed = browser.submit("/web/admin/profile", "/web/admin/password", &fields).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let mut browser = server.signed_in("helper", "a new one").await;
    assert_eq!(browser.get("/web/admin/users").await.status, 200);
    let helper = server.login("helper", "a new one").await;
    assert_eq!(is_held_back(&helper).await, None);
    let stored = helper.get("/api/v2/admins/helper").await;
    assert!(stored.object(200)["filters"].get("require_password_change").is_none());
}

#[actix_web::test]
async fn a_second_factor_that_is_required_comes_first_and_stays() {
    let server = Server::start().await;
    admin_who_must(&server, json!({"require_two_factor": true})).await;
    let helper = server.login("helper", "pass phrase").await;
    assert_eq!(is_held_back(&helper).await.as_deref(), Some("set up a second factor first"));
    let mut browser = server.signed_in("helper", "pass phrase").await;
    let answer = browser.get("/web/admin").await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/two-factor"));
    assert!(browser.get("/web/admin/two-factor").await.text.contains("needs one before"));

    let kinds = helper.get("/api/v2/admin/totp/configs").await;
    let kind = kinds.object(200)[0]["name"].clone();
    let generate = json!({"config_name": kind});
    let new = helper.post("/api/v2/admin/totp/generate", generate).await;
    let secret = new.object(200)["secret"].clone();
    let config = |enabled| {
        json!({
            "enabled": enabled, "config_name": kind,
            "secret": {"status": "Plain", "payload": secret},
        })
    };
    helper.post("/api/v2/admin/totp/save", config(true)).await.done(200);
    let mut off = config(false);
    off["secret"] = json!({});
    let answer = helper.post("/api/v2/admin/totp/save", off).await;
    assert!(answer.refused(400).contains("needs a second factor"), "{}", answer.text);
    assert_eq!(is_held_back(&helper).await, None);
    let stored = helper.get("/api/v2/admins/helper").await;
    assert_eq!(stored.object(200)["filters"]["totp_config"]["enabled"], true);
}
