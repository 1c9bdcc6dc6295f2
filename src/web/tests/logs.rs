use serde_json::json;

use super::harness::Server;

const TAIL: &str = "/api/v2/logs/tail";

#[actix_web::test]
async fn the_newest_lines_are_shown_and_followed() {
    let server = Server::start().await;
    let root = server.root().await;
    server.anonymous().basic("/api/v2/token", "root", "wrong").await.refused(401);
    server.log_lines();
    let answer = root.get(&format!("{TAIL}?failures=1")).await;
    let failed = answer.object(200);
    assert_eq!(failed["lines"].as_array().map(Vec::len), Some(1), "{failed}");
    let line = &failed["lines"][0];
    assert_eq!(line["sender"], json!("connection_failed"));
    assert_eq!(line["username"], json!("root"));

    let last = failed["last_id"].as_u64().expect("an id");
    slog::warn!(server.services.log, "something odd");
    server.log_lines();
    let answer = root.get(&format!("{TAIL}?after={last}&level=warn")).await;
    let page = answer.object(200);
    assert_eq!(page["lines"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(page["lines"][0]["message"], json!("something odd"));
    assert!(page["last_id"].as_u64() > Some(last));
    assert_eq!(page["has_gap"], json!(false));
}

#[actix_web::test]
async fn who_follows_the_log_is_woken_by_a_line() {
    let server = Server::start().await;
    let control = server.services.log_control.clone().expect("a log");
    let mut newest = control.tail().newest();
    let before = *newest.borrow_and_update();
    slog::info!(server.services.log, "a line");
    newest.changed().await.expect("a log");
    assert!(*newest.borrow() > before);
}

#[actix_web::test]
async fn the_log_needs_its_permission_and_refuses_wrong_parameters() {
    let server = Server::start().await;
    let viewer = server.admin_with("viewer", &["view_status", "view_conns"]).await;
    viewer.get(TAIL).await.refused(403);
    let reader = server.admin_with("reader", &["view_events"]).await;
    reader.get(TAIL).await.object(200);
    for wrong in [
        "after=x",
        "after=-1",
        "level=loud",
        "failures=2",
        "hide_requests=x",
        "limit=0",
        "limit=501",
    ] {
        let name = wrong.split('=').next().expect("a name");
        let answer = reader.get(&format!("{TAIL}?{wrong}")).await;
        assert!(answer.refused(400).starts_with(name), "{wrong}: {}", answer.text);
    }
}
