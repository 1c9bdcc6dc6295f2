use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Data;
use base64::Engine;

use super::harness::{Answer, HERE, Server, answer};
use crate::web::edge::htpasswd::Door;
use crate::web::telemetry::{self, Telemetry};

async fn call(server: &Server, readers: Option<&Arc<Door>>, request: TestRequest) -> Answer {
    let telemetry = Data::new(Telemetry {
        services: server.services.clone(),
        readers: readers.cloned(),
        local: "127.0.0.1:10000".to_owned(),
    });
    let app = init_service(telemetry::app(telemetry)).await;
    let request = request.peer_addr(HERE.parse().expect("an address")).to_request();
    answer(call_service(&app, request).await).await
}

fn basic(username: &str, password: &str) -> TestRequest {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    TestRequest::get().uri("/metrics").insert_header(("Authorization", format!("Basic {pair}")))
}

#[actix_web::test]
async fn metrics_are_up_to_date_when_they_are_read() {
    let server = Server::start().await;
    let answer = call(&server, None, TestRequest::get().uri("/metrics")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("Content-Type").starts_with("text/plain; version=0.0.4"));
    for line in ["sftpgo_dataprovider_availability 1", "sftpgo_active_connections 0"] {
        assert!(answer.text.lines().any(|known| known == line), "{line} in {}", answer.text);
    }
    assert!(answer.text.contains("actor=\"QuotaTracker\""), "{}", answer.text);
}

#[actix_web::test]
async fn the_password_file_guards_metrics_but_not_health() {
    let server = Server::start().await;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    // "secret"
    writeln!(file, "prometheus:$apr1$lyaEGNXz$Ncv10UukNA2lus3E3jfsb.").expect("write");
    let path = file.path().to_str().expect("UTF-8");
    let readers = Door::from_config("telemetry.auth_user_file", Path::new("/"), path);
    let readers = readers.expect("valid").expect("a file");

    let without = TestRequest::get().uri("/metrics");
    for request in [without, basic("prometheus", "wrong"), basic("nobody", "secret")] {
        let answer = call(&server, Some(&readers), request).await;
        answer.refused(401);
        assert!(answer.header("WWW-Authenticate").starts_with("Basic "));
        assert!(!answer.text.contains("sftpgo_"));
    }
    let answer = call(&server, Some(&readers), basic("prometheus", "secret")).await;
    assert_eq!(answer.status, 200);
    let answer = call(&server, Some(&readers), TestRequest::get().uri("/healthz")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "ok"));
}

#[actix_web::test]
async fn there_is_nothing_but_metrics_and_health() {
    let server = Server::start().await;
    for path in ["/", "/api/v2/version", "/debug/pprof/", "/openapi"] {
        call(&server, None, TestRequest::get().uri(path)).await.refused(404);
    }
    let post = TestRequest::default().method(Method::POST).uri("/metrics");
    call(&server, None, post).await.refused(405);
}

#[actix_web::test]
async fn its_log_lines_have_their_own_sender_and_no_request_id() {
    let server = Server::start().await;
    call(&server, None, TestRequest::get().uri("/healthz")).await;
    let line = server.last_log_line("telemetry");
    assert!(line.contains(r#""sender":"telemetry","local_addr":"127.0.0.1:10000""#), "{line}");
    assert!(line.contains(r#""remote_addr":"192.0.2.1:4000","uri":"/healthz""#), "{line}");
}
