use actix_web::test::TestRequest;
use serde_json::json;

use super::harness::{Options, ROOT, ROOT_PASSWORD, Server};

const TOKEN: &str = "/api/v2/token";
const VERSION: &str = "/api/v2/version";

#[actix_web::test]
async fn a_token_opens_the_api_until_it_is_logged_out() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    assert_eq!(anonymous.get(VERSION).await.refused(401), "an access token is needed");

    let answer = anonymous.basic(TOKEN, ROOT, ROOT_PASSWORD).await;
    let token = answer.object(200);
    let expires_at = token["expires_at"].as_str().expect("a time");
    let expires_at = chrono::DateTime::parse_from_rfc3339(expires_at).expect("RFC 3339");
    let minutes = (expires_at.to_utc() - chrono::Utc::now()).num_minutes();
    assert!((18..=20).contains(&minutes), "{minutes}");

    let root = server.root().await;
    let other = server.root().await;
    root.get(VERSION).await.object(200);
    root.get("/api/v2/logout").await.done(200);
    root.get(VERSION).await.refused(401);
    root.get("/api/v2/logout").await.refused(401);
    other.get(VERSION).await.object(200);
}

#[actix_web::test]
async fn wrong_credentials_are_refused_and_logged_for_fail2ban() {
    let server = Server::start().await;
    for (username, password) in
        [(ROOT, "wrong"), (ROOT, ""), ("nobody", ROOT_PASSWORD), ("", ""), ("ro\"ot\n", "x")]
    {
        let answer = server.anonymous().basic(TOKEN, username, password).await;
        assert_eq!(answer.refused(401), "invalid credentials", "{username:?}");
        assert!(answer.header("WWW-Authenticate").starts_with("Basic "));
    }
    let line = server.last_log_line("connection_failed");
    let start = r#""sender":"connection_failed","client_ip":"192.0.2.1","username":"ro\"ot\n","#;
    assert!(line.contains(start), "{line}");
    assert!(line.contains(r#""login_type":"password","protocol":"HTTP","error":""#), "{line}");
    assert!(!line.contains(ROOT_PASSWORD));
}

#[actix_web::test]
async fn without_basic_credentials_there_is_no_token() {
    let server = Server::start().await;
    for value in ["", "Basic", "Basic !!!", "Bearer abc", "Basic bm9jb2xvbg=="] {
        let request = TestRequest::get().uri(TOKEN).insert_header(("Authorization", value));
        server.anonymous().run(request).await.refused(401);
    }
}

#[actix_web::test]
async fn a_disabled_admin_and_one_at_the_wrong_address_get_no_token() {
    let server = Server::start().await;
    let root = server.root().await;
    for (username, status, allow_list) in
        [("off", 0, json!([])), ("elsewhere", 1, json!(["198.51.100.0/24"]))]
    {
        let body = json!({
            "username": username, "password": "pass phrase", "status": status,
            "permissions": ["*"], "filters": {"allow_list": allow_list},
        });
        root.post("/api/v2/admins", body).await.object(201);
        let answer = server.anonymous().basic(TOKEN, username, "pass phrase").await;
        assert_eq!(answer.refused(401), "invalid credentials", "{username}");
    }
    let there = server.anonymous().at("198.51.100.7:1");
    there.basic(TOKEN, "elsewhere", "pass phrase").await.object(200);
}

#[actix_web::test]
async fn a_token_is_tied_to_its_address_unless_configured_otherwise() {
    let server = Server::start().await;
    let root = server.root().await;
    root.at("192.0.2.1:9").get(VERSION).await.object(200);
    let told = root.at("192.0.2.2:4000").get(VERSION).await;
    assert_eq!(told.refused(401), "the access token was issued to another address");

    let server = Server::with(Options { token_validation: 1, ..Options::default() }).await;
    server.root().await.at("192.0.2.2:4000").get(VERSION).await.object(200);
}

#[actix_web::test]
async fn a_token_of_another_binding_is_refused() {
    let server = Server::start().await;
    let root = server.root().await;
    root.through(server.second_binding()).get(VERSION).await.refused(401);
    root.get(VERSION).await.object(200);
}

#[actix_web::test]
async fn nonsense_in_place_of_a_token_is_refused() {
    let server = Server::start().await;
    for value in ["Bearer", "Bearer ", "Bearer a.b.c", "bearer ..", "Token x", "\u{1}"] {
        let request = TestRequest::get().uri(VERSION);
        let Ok(value) = actix_web::http::header::HeaderValue::from_str(value) else { continue };
        let request = request.insert_header(("Authorization", value));
        let answer = server.anonymous().run(request).await;
        answer.refused(401);
        assert_eq!(answer.header("WWW-Authenticate"), "Bearer");
    }
}

#[actix_web::test]
async fn what_is_taken_from_an_account_is_gone_at_once() {
    let server = Server::start().await;
    let root = server.root().await;
    let helper = server.admin_with("helper", &["view_conns", "view_status"]).await;
    helper.get("/api/v2/status").await.object(200);

    let path = "/api/v2/admins/helper";
    root.put(path, json!({"status": 1, "permissions": ["view_conns"]})).await.done(200);
    helper.get("/api/v2/status").await.refused(403);
    helper.get("/api/v2/connections").await.object(200);

    root.put(path, json!({"status": 0, "permissions": ["view_conns"]})).await.done(200);
    helper.get("/api/v2/connections").await.refused(401);

    root.put(path, json!({"status": 1, "permissions": ["view_conns"]})).await.done(200);
    helper.get("/api/v2/connections").await.object(200);
    root.delete(path).await.done(200);
    helper.get("/api/v2/connections").await.refused(401);
}

#[actix_web::test]
async fn an_edit_of_the_account_ends_its_tokens_where_configured() {
    let server = Server::with(Options { token_validation: 2, ..Options::default() }).await;
    let helper = server.admin_with("helper", &["view_conns"]).await;
    helper.get("/api/v2/connections").await.object(200);
    let body = json!({"status": 1, "permissions": ["view_conns"], "description": "new"});
    // The clock of `updated_at` counts milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    server.root().await.put("/api/v2/admins/helper", body).await.done(200);
    let told = helper.get("/api/v2/connections").await;
    assert_eq!(told.refused(401), "the account of this token was changed");
}
