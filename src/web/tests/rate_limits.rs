//! Clients that ask too often.

use actix_web::test::TestRequest;
use serde_json::json;

use super::harness::{Options, Server};
use crate::config::{CorsConfig, HttpdConfig, RateLimiterConfig};
use crate::model::LoginProtocol;

/// Two requests of each address, and then hardly any more.
async fn limited() -> Server {
    let limiter =
        RateLimiterConfig { average: 1, period: 86_400_000, burst: 2, ..Default::default() };
    let cors = CorsConfig {
        enabled: true,
        allowed_origins: vec!["https://app.example.com".to_owned()],
        ..CorsConfig::default()
    };
    Server::with(Options {
        httpd: HttpdConfig { cors, ..HttpdConfig::default() },
        rate_limiters: vec![
            limiter,
            // Not for us.
            RateLimiterConfig {
                average: 1,
                protocols: vec![LoginProtocol::Ssh],
                ..Default::default()
            },
        ],
        ..Options::default()
    })
    .await
}

#[actix_web::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let server = limited().await;
    let anonymous = server.anonymous();
    for _ in 0..2 {
        assert_eq!(anonymous.get("/api/v2/version").await.status, 401);
    }
    let answer = anonymous.get("/api/v2/version").await;
    assert!(answer.refused(429).starts_with("too many requests, try again in "));
    let secs: u32 = answer.header("Retry-After").parse().expect("seconds");
    assert!((80_000..=86_400).contains(&secs), "{secs}");
    assert_eq!(answer.header("X-Content-Type-Options"), "nosniff");

    let page = anonymous.get("/web/admin/login").await;
    assert_eq!(page.status, 429);
    assert!(!page.header("Retry-After").is_empty());
    assert!(page.header("Content-Type").starts_with("text/html"), "{}", page.text);
    assert!(page.text.contains("Too many requests"), "{}", page.text);

    assert_eq!(anonymous.get("/healthz").await.status, 200);
    assert_eq!(anonymous.get("/static/any/thing.css").await.status, 404, "not counted");
    let other = anonymous.at("192.0.2.99:1");
    assert_eq!(other.get("/api/v2/version").await.status, 401);
}

#[actix_web::test]
async fn pages_of_other_origins_can_read_the_refusal() {
    let server = limited().await;
    let client = server.anonymous();
    let from_app = |request: TestRequest| {
        request.uri("/api/v2/version").insert_header(("Origin", "https://app.example.com"))
    };
    for _ in 0..5 {
        let asked = from_app(TestRequest::with_uri("/").method(actix_web::http::Method::OPTIONS))
            .insert_header(("Access-Control-Request-Method", "GET"));
        assert_eq!(client.run(asked).await.status, 204, "asking for permission is free");
    }
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = client.run(from_app(TestRequest::get())).await;
        statuses.push(answer.status);
        assert_eq!(
            answer.header("Access-Control-Allow-Origin"),
            "https://app.example.com",
            "{}",
            answer.status
        );
    }
    assert_eq!(statuses, [401, 401, 429]);
}

#[actix_web::test]
async fn the_status_tells_what_is_limited() {
    let server = limited().await;
    let status = server.root().await.get("/api/v2/status").await;
    let limits = &status.object(200)["rate_limiters"];
    let protocols = json!(["SSH", "FTP", "DAV", "HTTP"]);
    assert_eq!(*limits, json!({"is_active": true, "protocols": protocols}));
}
