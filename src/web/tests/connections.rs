use std::net::SocketAddr;

use actors::{Admission, Connection, Direction, KillReason, KillSwitch, Login, Meter, Protocol};
use actors::{SessionHandle, Transfer, TransferSpec};
use serde_json::json;

use super::harness::Server;

const CONNECTIONS: &str = "/api/v2/connections";

/// An SFTP session of `username` that is uploading.
pub(super) struct Uploader {
    pub(super) connection: Connection,
    pub(super) session: SessionHandle,
    meter: Meter,
    _transfer: Transfer,
}

impl Uploader {
    pub(super) fn move_bytes(&self, bytes: u64) {
        self.meter.add(bytes);
    }
}

pub(super) async fn uploader(server: &Server, username: &str) -> Uploader {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let admission = Admission {
        peer: address("198.51.100.9:5000"),
        local: address("192.0.2.200:2022"),
        protocol: Protocol::Ssh,
        kill: KillSwitch::new(),
    };
    let registry = &server.actors.registry;
    let connection = registry.admit(admission).await.expect("admitted");
    let login = Login {
        username: username.into(),
        max_sessions: 0,
        client_version: "SSH-2.0-OpenSSH_9.9".to_owned(),
        end: None,
    };
    registry.logged_in(connection.id(), login).await.expect("logged in");
    let session = connection.open_session(Protocol::Sftp).await.expect("a session");
    let meter = Meter::new();
    let spec = TransferSpec {
        direction: Direction::Upload,
        virtual_path: "/in/big.bin".to_owned(),
        meter: meter.clone(),
    };
    let transfer = connection.begin_transfer(session.id(), spec).await.expect("a transfer");
    Uploader { connection, session, meter, _transfer: transfer }
}

#[actix_web::test]
async fn the_list_shows_sessions_with_their_live_transfers() {
    let server = Server::start().await;
    let root = server.root().await;
    assert_eq!(root.get(CONNECTIONS).await.object(200), &json!([]));

    let alice = uploader(&server, "alice").await;
    alice.meter.add(4096);
    alice.session.set_command("scp -t /in".to_owned());
    let answer = root.get(CONNECTIONS).await;
    let [session] = answer.object(200).as_array().expect("a list").as_slice() else {
        panic!("one session: {}", answer.text);
    };
    assert_eq!(session["username"], json!("alice"));
    assert_eq!(session["connection_id"], json!(alice.session.id()));
    assert_eq!(session["client_version"], json!("SSH-2.0-OpenSSH_9.9"));
    assert_eq!(session["remote_address"], json!("198.51.100.9:5000"));
    assert_eq!(session["protocol"], json!("SFTP"));
    assert_eq!(session["command"], json!("scp -t /in"));
    let began = session["connection_time"].as_i64().expect("a time");
    assert!((began - chrono::Utc::now().timestamp_millis()).abs() < 60_000);
    assert!(session["last_activity"].as_i64().expect("a time") >= began);
    let [transfer] = session["active_transfers"].as_array().expect("a list").as_slice() else {
        panic!("one transfer: {session}");
    };
    assert_eq!(transfer["operation_type"], json!("upload"));
    assert_eq!(transfer["path"], json!("/in/big.bin"));
    assert_eq!(transfer["size"], json!(4096));
    assert!(transfer["start_time"].as_i64().expect("a time") >= began);
}

#[actix_web::test]
async fn a_killed_connection_is_gone_and_knows_by_whom() {
    let server = Server::start().await;
    let root = server.root().await;
    let alice = uploader(&server, "alice").await;
    let bob = uploader(&server, "bob").await;

    let path = format!("{CONNECTIONS}/{}", alice.session.id());
    assert_eq!(root.delete(&path).await.done(200), "Connection closed");
    let reason = alice.connection.kill_switch().reason();
    assert_eq!(reason, Some(KillReason::Admin { by: "root".into(), because: None }));
    assert!(!bob.connection.kill_switch().is_fired());

    drop(alice);
    super::harness::eventually("the connection leaves", async || {
        root.delete(&path).await.status == 404
    })
    .await;
    let answer = root.get(CONNECTIONS).await;
    assert_eq!(answer.object(200).as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn what_is_not_connected_cannot_be_killed() {
    let server = Server::start().await;
    let root = server.root().await;
    for id in ["SFTP_00c0ffee00c0ffee_1", "x", "%2e%2e", "..."] {
        root.delete(&format!("{CONNECTIONS}/{id}")).await.refused(404);
    }
}

#[actix_web::test]
async fn an_update_closes_the_users_sessions_only_when_asked() {
    let server = Server::start().await;
    let root = server.root().await;
    let user = json!({
        "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]}
    });
    root.post("/api/v2/users", user.clone()).await.object(201);
    let alice = uploader(&server, "alice").await;
    let switch = alice.connection.kill_switch().clone();

    root.put("/api/v2/users/alice?disconnect=2", user.clone()).await.refused(400);
    root.put("/api/v2/users/alice", user.clone()).await.done(200);
    root.put("/api/v2/users/alice?disconnect=0", user.clone()).await.done(200);
    assert!(!switch.is_fired());
    root.put("/api/v2/users/alice?disconnect=1", user).await.done(200);
    assert_eq!(switch.reason(), Some(KillReason::AccountChanged));
}

#[actix_web::test]
async fn deleting_a_user_closes_its_sessions() {
    let server = Server::start().await;
    let root = server.root().await;
    let user = json!({
        "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]}
    });
    root.post("/api/v2/users", user).await.object(201);
    let alice = uploader(&server, "alice").await;
    root.delete("/api/v2/users/alice").await.done(200);
    assert_eq!(alice.connection.kill_switch().reason(), Some(KillReason::AccountDeleted));
}

#[actix_web::test]
async fn a_user_who_may_not_be_connected_any_more_loses_its_sessions_unasked() {
    let weekday = chrono::Utc::now().format("%w").to_string().parse::<i32>().expect("a day");
    let past = json!([{"day_of_week": (weekday + 3) % 7, "from": "00:00", "to": "23:59"}]);
    let table = [
        (json!({"status": 0}), KillReason::AccountDisabled),
        (json!({"expiration_date": 1000}), KillReason::AccountExpired),
        (json!({"filters": {"access_time": past}}), KillReason::AccessTimeOver),
    ];
    for (changes, reason) in table {
        let server = Server::start().await;
        let root = server.root().await;
        let mut user = json!({
            "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]}
        });
        root.post("/api/v2/users", user.clone()).await.object(201);
        let alice = uploader(&server, "alice").await;
        for (key, value) in changes.as_object().expect("changes") {
            user[key] = value.clone();
        }
        root.put("/api/v2/users/alice", user).await.done(200);
        assert_eq!(alice.connection.kill_switch().reason(), Some(reason));
    }
}

#[actix_web::test]
async fn seeing_and_closing_connections_are_two_permissions() {
    let server = Server::start().await;
    let alice = uploader(&server, "alice").await;
    let path = format!("{CONNECTIONS}/{}", alice.session.id());
    let viewer = server.admin_with("viewer", &["view_conns"]).await;
    let closer = server.admin_with("closer", &["close_conns"]).await;
    viewer.get(CONNECTIONS).await.object(200);
    viewer.delete(&path).await.refused(403);
    assert!(!alice.connection.kill_switch().is_fired());
    closer.get(CONNECTIONS).await.refused(403);
    closer.delete(&path).await.done(200);
    assert!(alice.connection.kill_switch().is_fired());
}

#[actix_web::test]
async fn a_transfer_shows_how_fast_it_is_and_what_is_left() {
    let server = Server::start().await;
    let root = server.root().await;
    let alice = uploader(&server, "alice").await;
    alice.meter.expect(1 << 40);
    alice.meter.add(1 << 20);
    let transfer = async |query: &str| {
        let answer = root.get(&format!("{CONNECTIONS}{query}")).await;
        answer.object(200)[0]["active_transfers"][0].clone()
    };
    super::harness::eventually("a sample is taken", async || {
        transfer("").await["rate"].as_u64().is_some_and(|rate| rate > 0)
    })
    .await;
    let shown = transfer("?recent_rates=1").await;
    assert_eq!(shown["total_size"], json!(1u64 << 40));
    assert!(shown["secs_left"].as_u64().is_some_and(|secs| secs > 0), "{shown}");
    assert!(shown["recent_rates"].as_array().is_some_and(|rates| !rates.is_empty()), "{shown}");
    assert_eq!(transfer("").await.get("recent_rates"), None);
    root.get(&format!("{CONNECTIONS}?recent_rates=yes")).await.refused(400);

    let throughput = root.get("/api/v2/throughput").await;
    let throughput = throughput.object(200);
    assert_eq!(throughput["uploaded"], json!(1 << 20));
    assert!(throughput["upload_rate"].as_u64().is_some_and(|rate| rate > 0), "{throughput}");
    let viewer = server.admin_with("viewer", &["view_conns"]).await;
    viewer.get("/api/v2/throughput").await.refused(403);
}

#[actix_web::test]
async fn the_reason_of_a_kill_is_kept_with_who_gave_it() {
    let server = Server::start().await;
    let root = server.root().await;
    let alice = uploader(&server, "alice").await;
    let path = format!("{CONNECTIONS}/{}", alice.session.id());
    for wrong in ["x".repeat(201), "a%0Ab".to_owned(), "a%E2%80%AEb".to_owned()] {
        root.delete(&format!("{path}?reason={wrong}")).await.refused(400);
    }
    assert!(!alice.connection.kill_switch().is_fired());
    root.delete(&format!("{path}?reason=uses%20up%20the%20line")).await.done(200);
    let because = Some("uses up the line".to_owned());
    let reason = Some(KillReason::Admin { by: "root".into(), because });
    assert_eq!(alice.connection.kill_switch().reason(), reason);
}

#[actix_web::test]
async fn several_connections_are_closed_at_once_and_each_is_accounted_for() {
    let server = Server::start().await;
    let root = server.root().await;
    let (alice, bob) = (uploader(&server, "alice").await, uploader(&server, "bob").await);
    let carol = uploader(&server, "carol").await;
    let body = json!({
        "action": "close", "connection_ids": [alice.session.id(), "gone", bob.session.id()],
        "reason": "maintenance",
    });
    let answer = root.post("/api/v2/bulk/connections", body).await;
    let statuses: Vec<_> = answer.object(200).as_array().expect("a list").iter().collect();
    assert_eq!(statuses[0], &json!({"name": alice.session.id(), "status": 200, "error": ""}));
    assert_eq!(statuses[1]["status"], json!(404));
    assert_eq!(statuses[2]["status"], json!(200));
    for closed in [&alice, &bob] {
        let because = Some("maintenance".to_owned());
        let reason = Some(KillReason::Admin { by: "root".into(), because });
        assert_eq!(closed.connection.kill_switch().reason(), reason);
    }
    assert!(!carol.connection.kill_switch().is_fired());
    for wrong in [json!({"action": "open", "connection_ids": []}), json!({"action": "close"})] {
        root.post("/api/v2/bulk/connections", wrong).await.refused(400);
    }
}

#[actix_web::test]
async fn all_connections_of_a_user_are_closed_at_once() {
    let server = Server::start().await;
    let root = server.root().await;
    let user = json!({
        "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]}
    });
    root.post("/api/v2/users", user).await.object(201);
    let (one, two) = (uploader(&server, "alice").await, uploader(&server, "alice").await);
    let bob = uploader(&server, "bob").await;
    let path = "/api/v2/users/alice/connections";
    let viewer = server.admin_with("viewer", &["view_conns"]).await;
    viewer.delete(path).await.refused(403);
    root.delete("/api/v2/users/nobody/connections").await.refused(404);
    let answer = root.delete(&format!("{path}?reason=audit")).await;
    assert_eq!(answer.object(200), &json!({"closed": 2}));
    for closed in [&one, &two] {
        let reason = closed.connection.kill_switch().reason().expect("killed").to_string();
        assert_eq!(reason, "closed by administrator \"root\": audit");
    }
    assert!(!bob.connection.kill_switch().is_fired());
}
