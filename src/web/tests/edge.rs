//! What is decided about a request before a handler sees it.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use super::harness::{Answer, Client, Options, ROOT, ROOT_PASSWORD, Server};
use crate::config::{CorsConfig, HttpdBinding, HttpdConfig};

async fn server(change: impl FnOnce(&mut HttpdConfig, &mut HttpdBinding)) -> Server {
    let mut httpd = HttpdConfig::default();
    let mut binding = HttpdBinding::default();
    change(&mut httpd, &mut binding);
    httpd.bindings = vec![binding];
    Server::with(Options { httpd, ..Options::default() }).await
}

/// The network of the client of the stories, which is a proxy here.
fn near() -> Vec<String> {
    vec!["192.0.2.0/24".to_owned()]
}

async fn ask(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = TestRequest::get().uri(path);
    for pair in headers {
        request = request.insert_header(*pair);
    }
    if let Some(token) = &client.token {
        request = request.insert_header(("Authorization", format!("Bearer {token}")));
    }
    client.run(request).await
}

#[actix_web::test]
async fn a_token_belongs_to_the_client_that_the_proxy_tells_of() {
    let server = server(|_, binding| {
        binding.proxy_allowed = near();
        binding.client_ip_proxy_header = "X-Forwarded-For".to_owned();
    })
    .await;
    // Issued to the proxy itself, which told of nobody.
    let root = server.root().await;
    let version = "/api/v2/version";
    assert_eq!(ask(&root, version, &[]).await.status, 200);
    let through = ask(&root, version, &[("X-Forwarded-For", "203.0.113.9")]).await;
    through.refused(401);
    let line = server.last_log_line("httpd");
    assert!(line.contains(r#""remote_addr":"203.0.113.9""#), "{line}");
    // Somebody else cannot borrow the address of the token by a header.
    let elsewhere = root.at("198.51.100.1:5");
    ask(&elsewhere, version, &[("X-Forwarded-For", "192.0.2.1")]).await.refused(401);
    let line = server.last_log_line("httpd");
    assert!(line.contains(r#""remote_addr":"198.51.100.1:5""#), "{line}");
}

#[actix_web::test]
async fn an_allow_list_of_an_administrator_is_about_the_client_and_not_the_proxy() {
    let server = server(|_, binding| {
        binding.proxy_allowed = near();
        binding.client_ip_proxy_header = "X-Real-IP".to_owned();
    })
    .await;
    let body = json!({
        "username": "far", "password": "pass phrase", "status": 1, "permissions": ["*"],
        "filters": {"allow_list": ["203.0.113.0/24"]}
    });
    assert_eq!(server.root().await.post("/api/v2/admins", body).await.status, 201);
    let basic = ("Authorization", "Basic ZmFyOnBhc3MgcGhyYXNl");
    for (told, status) in [("203.0.113.9", 200), ("198.51.100.1", 401), ("nonsense", 401)] {
        let answer = ask(&server.anonymous(), "/api/v2/token", &[basic, ("X-Real-IP", told)]).await;
        assert_eq!(answer.status, status, "{told}: {}", answer.text);
    }
}

#[actix_web::test]
async fn requests_for_other_hosts_or_without_https_reach_no_handler() {
    let server = server(|_, binding| {
        binding.proxy_allowed = near();
        binding.security.enabled = true;
        binding.security.allowed_hosts = vec!["files.test".to_owned()];
        binding.security.https_redirect = true;
        binding.security.sts_seconds = 60;
    })
    .await;
    let anonymous = server.anonymous();
    let version = "/api/v2/version";
    ask(&anonymous, version, &[("Host", "evil.test")]).await.refused(421);
    let answer = ask(&anonymous, "/api/v2/version?a=b", &[("Host", "files.test:8080")]).await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.header("Location"), "https://files.test/api/v2/version?a=b");
    assert_eq!(answer.header("X-Content-Type-Options"), "nosniff");
    assert_eq!(answer.header("Strict-Transport-Security"), "");
    let post = TestRequest::post().uri(version).insert_header(("Host", "files.test"));
    assert_eq!(anonymous.run(post).await.status, 308);

    let by_proxy = [("Host", "files.test"), ("X-Forwarded-Proto", "https")];
    let answer = ask(&anonymous, version, &by_proxy).await;
    answer.refused(401);
    assert_eq!(answer.header("Strict-Transport-Security"), "max-age=60");
    let answer = ask(&anonymous.at("198.51.100.1:5"), version, &by_proxy).await;
    assert_eq!(answer.status, 301, "only proxies are believed");
    assert_eq!(ask(&anonymous, "/healthz", &[("Host", "10.0.0.1")]).await.status, 200);
}

#[actix_web::test]
async fn pages_of_allowed_origins_may_call_and_others_may_not_read() {
    let server = server(|httpd, _| {
        httpd.cors = CorsConfig {
            enabled: true,
            allowed_origins: vec!["https://app.test".to_owned()],
            allowed_methods: vec!["GET".to_owned(), "DELETE".to_owned()],
            allowed_headers: vec!["authorization".to_owned()],
            ..CorsConfig::default()
        };
    })
    .await;
    let preflight = |origin: &'static str| {
        let request = TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/api/v2/users/alice")
            .insert_header(("Origin", origin))
            .insert_header(("Access-Control-Request-Method", "DELETE"))
            .insert_header(("Access-Control-Request-Headers", "authorization"));
        let anonymous = server.anonymous();
        async move { anonymous.run(request).await }
    };
    let allowed = preflight("https://app.test").await;
    assert_eq!((allowed.status, allowed.text.as_str()), (204, ""));
    assert_eq!(allowed.header("Access-Control-Allow-Origin"), "https://app.test");
    assert_eq!(allowed.header("Access-Control-Allow-Methods"), "DELETE");
    let refused = preflight("https://evil.test").await;
    assert_eq!(refused.header("Access-Control-Allow-Origin"), "");

    let root = server.root().await;
    let answer = ask(&root, "/api/v2/version", &[("Origin", "https://app.test")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), "https://app.test");
    let answer = ask(&root, "/api/v2/nothing", &[("Origin", "https://app.test")]).await;
    assert_eq!(answer.header("Access-Control-Allow-Origin"), "https://app.test");
    let answer = ask(&root, "/api/v2/version", &[("Origin", "https://evil.test")]).await;
    assert_eq!(answer.header("Access-Control-Allow-Origin"), "");
}

#[actix_web::test]
async fn without_cors_a_preflight_is_a_method_like_others() {
    let server = Server::start().await;
    let request = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/api/v2/users")
        .insert_header(("Origin", "https://app.test"))
        .insert_header(("Access-Control-Request-Method", "GET"));
    let answer = server.anonymous().run(request).await;
    answer.refused(405);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), "");
}

#[actix_web::test]
async fn a_binding_can_refuse_to_issue_tokens() {
    let server = server(|_, binding| binding.disabled_login_methods = 16).await;
    let anonymous = server.anonymous();
    anonymous.basic("/api/v2/token", ROOT, ROOT_PASSWORD).await.refused(403);
    anonymous.basic("/api/v2/user/token", "nobody", "x").await.refused(401);
    let server = self::server(|_, binding| binding.disabled_login_methods = 32).await;
    let anonymous = server.anonymous();
    anonymous.basic("/api/v2/user/token", "nobody", "x").await.refused(403);
    assert_eq!(anonymous.basic("/api/v2/token", ROOT, ROOT_PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn the_description_is_below_the_web_root_and_the_api_is_not() {
    let server = server(|httpd, _| httpd.web_root = "/files".to_owned()).await;
    let anonymous = server.anonymous();
    anonymous.get("/files/openapi").await.object(200);
    anonymous.get("/openapi").await.refused(404);
    anonymous.get("/api/v2/version").await.refused(401);
    assert_eq!(anonymous.get("/healthz").await.status, 200);
}

#[actix_web::test]
async fn pages_are_below_the_web_root_with_all_their_links() {
    let server = server(|httpd, _| httpd.web_root = "/files".to_owned()).await;
    let anonymous = server.anonymous();
    anonymous.get("/web/admin/login").await.refused(404);
    assert_eq!(anonymous.get("/files/").await.header("Location"), "/files/web/admin");
    let page = anonymous.get("/files/web/admin/login").await;
    assert_eq!(page.status, 200);
    assert!(page.header("Content-Security-Policy").contains("script-src 'self'"));
    let text = page.text.replace("&#x2f;", "/");
    let links: Vec<&str> = ["href=\"", "src=\"", "action=\""]
        .iter()
        .flat_map(|start| text.split(start).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with('/'))
        .collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        assert!(link.starts_with("/files/"), "{link}");
        if link.contains("/static/") {
            assert_eq!(anonymous.get(link).await.status, 200, "{link}");
        }
    }
}

#[actix_web::test]
async fn cookies_are_for_https_only_if_the_browser_came_by_it() {
    let server = server(|_, binding| binding.proxy_allowed = near()).await;
    let login = "/web/admin/login";
    let https = [("X-Forwarded-Proto", "https")];
    let anonymous = server.anonymous();
    let cookie = |answer: &Answer| answer.header("Set-Cookie").to_owned();
    let secure = cookie(&ask(&anonymous, login, &https).await);
    assert!(secure.starts_with("__Host-") && secure.contains("; Secure"), "{secure}");
    for plain in [
        ask(&anonymous, login, &[]).await,
        ask(&anonymous.at("198.51.100.1:5"), login, &https).await,
    ] {
        let plain = cookie(&plain);
        assert!(!plain.is_empty() && !plain.contains("Secure"), "{plain}");
    }
}

#[actix_web::test]
async fn the_form_of_administrators_can_be_switched_off() {
    let server = server(|_, binding| binding.disabled_login_methods = 4).await;
    let page = server.anonymous().get("/web/admin/login").await;
    assert_eq!(page.status, 403);
    assert!(!page.text.contains("type=\"password\""), "{}", page.text);
    assert_eq!(server.anonymous().basic("/api/v2/token", ROOT, ROOT_PASSWORD).await.status, 200);
}
