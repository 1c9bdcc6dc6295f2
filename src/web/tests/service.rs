use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::harness::{Options, ROOT, ROOT_PASSWORD, Server};
use crate::web::routes;

#[actix_web::test]
async fn the_version_names_what_is_running() {
    let server = Server::start().await;
    let helper = server.admin_with("helper", &["view_users"]).await;
    let answer = helper.get("/api/v2/version").await;
    let version = answer.object(200);
    assert_eq!(version["version"], json!("1.2.3"));
    assert_eq!(version["features"], json!(["+sqlite", "-s3"]));
    assert!(version["build_date"].is_string() && version["commit_hash"].is_string());
}

#[actix_web::test]
async fn the_status_tells_of_every_service() {
    let server = Server::start().await;
    let helper = server.admin_with("helper", &["view_status"]).await;
    let answer = helper.get("/api/v2/status").await;
    let status = answer.object(200);
    assert_eq!(status["ssh"]["is_active"], json!(true));
    assert_eq!(status["ssh"]["bindings"][0]["port"], json!(2022));
    assert_eq!(status["ssh"]["host_keys"][0]["fingerprint"], json!("SHA256:abc"));
    assert_eq!(status["ssh"]["ssh_commands"], json!(["md5sum"]));
    let provider = json!({"is_active": true, "driver": "memory", "error": ""});
    assert_eq!(status["data_provider"], provider);
    for service in ["ftp", "webdav", "defender", "allow_list", "rate_limiters"] {
        assert_eq!(status[service]["is_active"], json!(false), "{service}");
    }
    let other = server.admin_with("other", &["view_users"]).await;
    other.get("/api/v2/status").await.refused(403);
}

#[actix_web::test]
async fn health_is_told_to_everybody() {
    let server = Server::start().await;
    let answer = server.anonymous().get("/healthz").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "ok"));
    assert!(answer.header("Content-Type").starts_with("text/plain"));
    let answer = server.anonymous().send(Method::HEAD, "/healthz", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.anonymous().send(Method::POST, "/healthz", "").await.status, 405);
}

#[actix_web::test]
async fn without_its_store_the_server_says_so() {
    let server = Server::with(Options { store_in_file: true, ..Options::default() }).await;
    let root = server.root().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    assert_eq!(server.anonymous().get("/healthz").await.status, 200);
    for file in std::fs::read_dir(server.dir.path()).expect("listed") {
        let path = file.expect("an entry").path();
        let bytes = std::fs::metadata(&path).expect("there").len();
        let nonsense = vec![0x5a; usize::try_from(bytes).expect("small")];
        std::fs::write(&path, nonsense).expect("overwritten");
    }

    let answer = server.anonymous().get("/healthz").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.text, "the data provider does not answer", "the cause is not for everybody");
    // A page tells by which id the log tells more.
    let page = browser.get("/web/admin/users").await;
    assert!((500..=503).contains(&page.status), "{}", page.text);
    let id = page.header("X-Request-Id").to_owned();
    assert!(!id.is_empty() && page.text.contains(&id), "{}", page.text);
    assert!(
        server
            .log_lines()
            .iter()
            .any(|line| line["level"] == json!("error") && line["request_id"] == json!(id))
    );
    let refused = root.get("/api/v2/status").await;
    assert!((500..=503).contains(&refused.status), "{}", refused.text);
    refused.refused(refused.status);
    assert!(!refused.text.contains("admins"), "{}", refused.text);
    let token = server.anonymous().basic("/api/v2/token", "root", "x").await;
    assert!((500..=503).contains(&token.status), "{}", token.text);
    assert!(server.log_lines().iter().any(|line| line["level"] == json!("error")
        && line["sender"] == json!("httpd")
        && line["message"].as_str().is_some_and(|text| text.contains("/api/v2/status"))));
}

#[actix_web::test]
async fn every_route_asks_for_a_token_but_those_that_give_one() {
    let server = Server::start().await;
    for (path, methods) in routes::TABLE {
        let path = path.replace(['{', '}'], "");
        for method in *methods {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let uri = format!("/api/v2{path}");
            let answer = server.anonymous().send(method.clone(), &uri, "{}").await;
            let challenge = if path.ends_with("/token") { "Basic" } else { "Bearer" };
            answer.refused(401);
            assert!(answer.header("WWW-Authenticate").starts_with(challenge), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_form() {
    let server = Server::start().await;
    let root = server.root().await;
    for path in ["/api/v2/nothing", "/api/v2", "/api/v2/", "/api", "/api/v1/user", "/api/v2/users/"]
    {
        root.get(path).await.refused(404);
        server.anonymous().get(path).await.refused(404);
    }
    for (path, allowed) in [
        ("/api/v2/users", "GET, POST"),
        ("/api/v2/users/alice", "GET, PUT, DELETE"),
        ("/api/v2/token", "GET"),
    ] {
        let answer = root.send(Method::PATCH, path, "").await;
        answer.refused(405);
        assert_eq!(answer.header("Allow"), allowed);
    }
}

#[actix_web::test]
async fn answers_are_neither_cached_nor_framed_nor_guessed_at() {
    let server = Server::start().await;
    let root = server.root().await;
    for path in ["/api/v2/version", "/api/v2/users/nobody", "/nothing", "/healthz", "/openapi"] {
        let answer = root.get(path).await;
        assert_eq!(answer.header("Cache-Control"), "no-store", "{path}");
        assert_eq!(answer.header("X-Content-Type-Options"), "nosniff", "{path}");
        assert_eq!(answer.header("X-Frame-Options"), "DENY", "{path}");
        assert!(answer.header("Content-Security-Policy").contains("default-src 'none'"), "{path}");
    }
}

#[actix_web::test]
async fn every_request_leaves_one_line_with_its_fields_in_order() {
    let server = Server::start().await;
    let root = server.root().await;
    let request = TestRequest::get()
        .uri("/api/v2/users/nobody?a=b&password=hidden")
        .insert_header(("User-Agent", "story/1.0 \"quoted\""))
        .insert_header(("X-Request-Id", "forged"))
        .insert_header(("Authorization", format!("Bearer {}", root.token.as_ref().expect("set"))));
    let answer = server.anonymous().run(request).await;
    answer.refused(404);

    let line = server.last_log_line("httpd");
    let fields: serde_json::Map<String, Value> = serde_json::from_str(&line).expect("JSON");
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "level",
            "time",
            "sender",
            "local_addr",
            "method",
            "proto",
            "remote_addr",
            "request_id",
            "uri",
            "user_agent",
            "resp_status",
            "resp_size",
            "elapsed_ms",
        ]
    );
    assert_eq!(fields["level"], json!("info"));
    assert_eq!(fields["local_addr"], json!("127.0.0.1:8080"));
    assert_eq!(fields["remote_addr"], json!("192.0.2.1:4000"));
    assert_eq!(fields["proto"], json!("HTTP/1.1"));
    assert_eq!(fields["uri"], json!("/api/v2/users/nobody?a=b&password=***"));
    assert_eq!(fields["user_agent"], json!("story/1.0 \"quoted\""));
    assert_eq!(fields["resp_status"], json!(404));
    assert_eq!(fields["resp_size"], json!(answer.text.len()));
    assert_eq!(fields["request_id"], json!(answer.header("X-Request-Id")));
    assert_ne!(fields["request_id"], json!("forged"));
}

#[actix_web::test]
async fn requests_are_counted_by_their_outcome() {
    let server = Server::start().await;
    let root = server.root().await;
    root.get("/api/v2/users/nobody").await.refused(404);
    let metrics = server.services.metrics.render().expect("metrics");
    for line in [
        "sftpgo_http_req_total 2",
        "sftpgo_http_req_ok_total 1",
        "sftpgo_http_client_errors_total 1",
        "sftpgo_http_server_errors_total 0",
        // These count what users do; an administrator's token is not among it.
        "sftpgo_login_attempts_total 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
    }
}

#[actix_web::test]
async fn the_document_is_served_where_it_is_switched_on() {
    let server = Server::start().await;
    for path in ["/openapi", "/openapi/openapi.json"] {
        let answer = server.anonymous().get(path).await;
        let document = answer.object(200);
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
        assert!(document["paths"]["/api/v2/users"]["post"].is_object());
        let user = &document["components"]["schemas"]["User"]["properties"];
        assert!(user["home_dir"].is_object());
        assert_eq!(user["password"]["writeOnly"], json!(true));
        assert_eq!(document["components"]["securitySchemes"]["BearerAuth"]["scheme"], "bearer");
    }
    let server = Server::with(Options { has_openapi: false, ..Options::default() }).await;
    server.anonymous().get("/openapi").await.refused(404);
    server.root().await.get("/api/v2/version").await.object(200);
}

#[actix_web::test]
async fn a_binding_without_the_api_tells_its_health_only() {
    let server = Server::with(Options { has_api: false, ..Options::default() }).await;
    let anonymous = server.anonymous();
    anonymous.get("/api/v2/version").await.refused(404);
    anonymous.basic("/api/v2/token", "root", "x").await.refused(404);
    anonymous.get("/openapi").await.refused(404);
    assert_eq!(anonymous.get("/healthz").await.status, 200);
}
