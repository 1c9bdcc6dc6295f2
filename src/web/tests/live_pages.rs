//! The pages that move: connections, overview, events.

use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::test::{TestRequest, init_service};
use actors::{KillReason, RegistryConfig};
use serde_json::{Value, json};

use super::browser::{Browser, token_of};
use super::connections::uploader;
use super::harness::{Answer, HERE, ROOT, ROOT_PASSWORD, Server, eventually};
use crate::web::app;

const CONNECTIONS: &str = "/web/admin/connections";

/// An open stream of events.
struct Events {
    body: Pin<Box<dyn MessageBody<Error = Box<dyn std::error::Error>>>>,
}

impl Events {
    /// Opens the stream as a browser does.
    async fn open(server: &Server, browser: &Browser, path: &str) -> Result<Self, u16> {
        let app = init_service(app::app(server.binding.clone())).await;
        let request = TestRequest::get()
            .uri(path)
            .peer_addr(HERE.parse().expect("an address"))
            .insert_header(("Cookie", browser.cookies()))
            .insert_header(("Accept-Encoding", "gzip"))
            .insert_header(("X-Fetched", "1"))
            .insert_header(("Accept", "text/event-stream"));
        let response = actix_web::test::call_service(&app, request.to_request()).await;
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        let header = |name: &str| {
            let value = response.headers().get(name).map(|value| value.to_str().expect("ASCII"));
            value.unwrap_or_default().to_owned()
        };
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("content-encoding"), "identity");
        assert_eq!(header("x-accel-buffering"), "no");
        assert_eq!(header("cache-control"), "no-store");
        Ok(Self { body: Box::pin(response.into_body().boxed()) })
    }

    /// The next event: its name and data; `None` after the last.
    async fn next(&mut self) -> Option<(String, Value)> {
        let patience = std::time::Duration::from_secs(30);
        let body = &mut self.body;
        let chunk = std::future::poll_fn(|context| body.as_mut().poll_next(context));
        let chunk = tokio::time::timeout(patience, chunk).await.expect("an event in time")?;
        let text = String::from_utf8(chunk.expect("no failure").to_vec()).expect("UTF-8");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        assert!(text.ends_with("\n\n") && !field("id: ").is_empty(), "{text}");
        Some((field("event: "), serde_json::from_str(&field("data: ")).expect("JSON")))
    }

    /// The first event from now on that `is_wanted`; with its data.
    async fn until(&mut self, is_wanted: impl Fn(&str, &Value) -> bool) -> Value {
        for _ in 0..60 {
            let (name, data) = self.next().await.expect("the stream goes on");
            if is_wanted(&name, &data) {
                return data;
            }
        }
        panic!("no such event");
    }
}

async fn root(server: &Server) -> Browser {
    server.signed_in(ROOT, ROOT_PASSWORD).await
}

/// Somebody with these permissions, signed in.
async fn browser_with(server: &Server, username: &str, permissions: &[&str]) -> Browser {
    server.admin_with(username, permissions).await;
    server.signed_in(username, "pass phrase").await
}

#[actix_web::test]
async fn the_page_of_connections_shows_who_does_what() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let page = browser.get(CONNECTIONS).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Nobody is connected"), "{}", page.text);
    assert!(page.text.contains("http-equiv=\"refresh\" content=\"5\""), "{}", page.text);

    let alice = uploader(&server, "alice").await;
    let bob = uploader(&server, "bob<b>").await;
    alice.session.set_command("scp -t 'a<b>'".to_owned());
    let page = browser.get(CONNECTIONS).await;
    for shown in [
        "2 sessions",
        "2 users",
        "2 transfers",
        "198.51.100.9:5000",
        "OpenSSH_9.9",
        "/in/</span><b>big.bin</b>",
        "bob&lt;b&gt;",
        "a&lt;b&gt;",
        "1–2 of 2",
        alice.session.id(),
        bob.session.id(),
    ] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let filtered = browser.get(&format!("{CONNECTIONS}?q=ALICE")).await;
    assert!(filtered.text.contains(alice.session.id()) && !filtered.text.contains("bob&lt;"));
    let filtered = browser.get(&format!("{CONNECTIONS}?q=SCP")).await;
    assert!(filtered.text.contains(alice.session.id()) && !filtered.text.contains("bob&lt;"));
    let nobody = browser.get(&format!("{CONNECTIONS}?protocol=FTP")).await;
    assert!(nobody.text.contains("No session fits"), "{}", nobody.text);
}

#[actix_web::test]
async fn the_page_of_connections_is_cut_after_fifty() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let no_limits = RegistryConfig { max_per_host_connections: 0, ..RegistryConfig::default() };
    server.services.registry.reconfigure(no_limits).await;
    let mut all = Vec::new();
    for number in 0..51 {
        all.push(uploader(&server, &format!("user{number}")).await);
    }
    let rows = |page: &Answer| page.text.matches("class=\"session\"").count();
    let first = browser.get(CONNECTIONS).await;
    assert_eq!(rows(&first), 50);
    assert!(first.text.contains("1–50 of 51") && first.text.contains("page=2"));
    let second = browser.get(&format!("{CONNECTIONS}?page=2")).await;
    assert_eq!(rows(&second), 1);
    assert!(second.text.contains("51–51 of 51") && second.text.contains("page=1"));
    let beyond = browser.get(&format!("{CONNECTIONS}?page=99999999999")).await;
    assert_eq!(beyond.status, 200);
}

#[actix_web::test]
async fn a_session_is_killed_from_the_page_with_a_reason() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let (alice, bob) = (uploader(&server, "alice").await, uploader(&server, "bob").await);
    let ask = format!("{CONNECTIONS}/kill?id={}", alice.session.id());
    let page = browser.get(&ask).await;
    for shown in ["Kill 1 session", "alice", "uploading big.bin", "Reason", "data-dialog-body"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    assert!(!alice.connection.kill_switch().is_fired(), "looking kills nobody");

    let action = format!("{CONNECTIONS}/kill");
    let fields = [("id", alice.session.id()), ("reason", "ticket 8812")];
    assert_eq!(browser.post(&action, &fields).await.status, 403, "a form without its token");
    let too_long = "x".repeat(201);
    let fields = [("id", alice.session.id()), ("reason", too_long.as_str())];
    let refused = browser.submit(&ask, &action, &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("Must have at most 200 characters"), "{}", refused.text);
    assert!(refused.text.contains(&too_long), "what was typed is kept");
    assert!(!alice.connection.kill_switch().is_fired());

    let fields = [("id", alice.session.id()), ("reason", "ticket 8812")];
    let done = browser.submit(&ask, &action, &fields).await;
    assert_eq!((done.status, done.header("location")), (303, CONNECTIONS));
    let because = Some("ticket 8812".to_owned());
    let reason = Some(KillReason::Admin { by: ROOT.into(), because });
    assert_eq!(alice.connection.kill_switch().reason(), reason);
    assert!(!bob.connection.kill_switch().is_fired());
    // A page that loads itself does not take the notice from whoever sent the form.
    let background = TestRequest::get().uri(CONNECTIONS).insert_header(("X-Background", "1"));
    assert!(!browser.send(background).await.text.contains("1 session killed."));
    assert!(browser.get(CONNECTIONS).await.text.contains("1 session killed."));
}

#[actix_web::test]
async fn several_sessions_or_all_of_a_user_are_killed_at_once() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let user = json!({
        "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]}
    });
    server.root().await.post("/api/v2/users", user).await.object(201);
    let (one, two) = (uploader(&server, "alice").await, uploader(&server, "alice").await);
    let (bob, carol) = (uploader(&server, "bob").await, uploader(&server, "carol").await);
    let action = format!("{CONNECTIONS}/kill");
    let ask = format!("{action}?id={}", one.session.id());
    let page = browser.get(&ask).await;
    assert!(page.text.contains("Kill all 2 sessions of alice"), "{}", page.text);

    let done = browser.submit(&format!("{action}?user=alice"), &action, &[("user", "alice")]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    for ended in [&one, &two] {
        assert!(ended.connection.kill_switch().is_fired());
    }
    let ids = format!("{action}?id={}&id={}", bob.session.id(), carol.session.id());
    let page = browser.get(&ids).await;
    assert!(page.text.contains("Kill 2 sessions"), "{}", page.text);
    let fields = [("id", bob.session.id()), ("id", carol.session.id()), ("id", "gone")];
    browser.submit(&ids, &action, &fields).await;
    assert!(bob.connection.kill_switch().is_fired() && carol.connection.kill_switch().is_fired());
    let notice = browser.get(CONNECTIONS).await;
    assert!(notice.text.contains("2 killed, 1 had ended already."), "{}", notice.text);
    assert_eq!(browser.get(&action).await.status, 400, "nothing is selected");
}

#[actix_web::test]
async fn who_may_only_look_has_nothing_to_kill_with() {
    let server = Server::start().await;
    let alice = uploader(&server, "alice").await;
    let mut viewer = browser_with(&server, "viewer", &["view_conns"]).await;
    let page = viewer.get(CONNECTIONS).await;
    assert!(page.text.contains(alice.session.id()) && !page.text.contains("/kill"));
    let ask = format!("{CONNECTIONS}/kill?id={}", alice.session.id());
    assert_eq!(viewer.get(&ask).await.status, 403);
    let token = token_of(&viewer.get("/web/admin/profile").await);
    let fields = [("id", alice.session.id()), ("_csrf", token.as_str())];
    assert_eq!(viewer.post(&format!("{CONNECTIONS}/kill"), &fields).await.status, 403);
    assert!(!alice.connection.kill_switch().is_fired());

    let mut other = browser_with(&server, "other", &["view_users"]).await;
    assert_eq!(other.get(CONNECTIONS).await.status, 403);
    let start = other.get("/web/admin").await;
    assert!(!start.text.contains(CONNECTIONS), "{}", start.text);
    let refused = Events::open(&server, &other, "/web/admin/live/connections").await;
    assert_eq!(refused.err(), Some(403));
}

#[actix_web::test]
async fn administrators_with_a_role_see_and_kill_sessions_of_their_users_only() {
    let server = Server::start().await;
    let api = server.root().await;
    api.post("/api/v2/roles", json!({"name": "emea"})).await.object(201);
    for (name, role) in [("alice", "emea"), ("bob", "")] {
        let user = json!({
            "username": name, "role": role, "status": 1, "home_dir": "/srv/x",
            "permissions": {"/": ["*"]}
        });
        api.post("/api/v2/users", user).await.object(201);
    }
    let admin = json!({
        "username": "eva", "password": "pass phrase", "status": 1, "role": "emea",
        "permissions": ["view_conns", "close_conns"]
    });
    api.post("/api/v2/admins", admin).await.object(201);
    let (alice, bob) = (uploader(&server, "alice").await, uploader(&server, "bob").await);
    let mut eva = server.signed_in("eva", "pass phrase").await;
    let page = eva.get(CONNECTIONS).await;
    assert!(page.text.contains(alice.session.id()) && !page.text.contains(bob.session.id()));
    assert!(page.text.contains("data-count=\"connections\">1<"), "{}", page.text);

    let action = format!("{CONNECTIONS}/kill");
    let ask = format!("{action}?id={}", bob.session.id());
    let shown = eva.get(&ask).await;
    assert!(!shown.text.contains("uploading"), "{}", shown.text);
    eva.submit(&ask, &action, &[("id", bob.session.id())]).await;
    assert!(!bob.connection.kill_switch().is_fired());

    let mut events =
        Events::open(&server, &eva, "/web/admin/live/connections").await.expect("open");
    let (name, first) = events.next().await.expect("a snapshot");
    assert_eq!(name, "snapshot");
    assert!(!first.to_string().contains(bob.session.id()), "{first}");
    assert!(first.to_string().contains(alice.session.id()), "{first}");
    assert_eq!(first["cells"][""]["sessions"], json!("1 session"));
}

#[actix_web::test]
async fn the_stream_tells_what_moves_who_comes_and_who_goes() {
    let server = Server::start().await;
    let browser = root(&server).await;
    let alice = uploader(&server, "alice").await;
    let path = "/web/admin/live/connections";
    let mut events = Events::open(&server, &browser, path).await.expect("open");
    let (name, snapshot) = events.next().await.expect("a snapshot");
    assert_eq!(name, "snapshot");
    let id = alice.session.id().to_owned();
    assert!(snapshot["keys"].as_array().expect("keys").contains(&json!(id)), "{snapshot}");
    assert!(snapshot["cells"][&id]["since"].is_string(), "{snapshot}");

    alice.move_bytes(4096);
    let transfer = format!("{id} 1");
    let moved = events.until(|_, data| data["cells"][&transfer]["bytes"].is_string()).await;
    assert_eq!(moved["cells"][&transfer]["bytes"], json!("4.10 KB, size unknown"));
    assert!(moved["cells"][&id].get("label").is_some(), "{moved}");

    let bob = uploader(&server, "bob").await;
    let has = |data: &Value, id: &str| {
        data["keys"].as_array().is_some_and(|keys| keys.contains(&json!(id)))
    };
    let came = events.until(|_, data| has(data, bob.session.id())).await;
    assert!(has(&came, &id), "{came}");
    drop(alice);
    events.until(|_, data| data["keys"].is_array() && !has(data, &id)).await;
}

#[actix_web::test]
async fn a_stream_ends_with_the_session_and_does_not_prolong_it() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let path = "/web/admin/live/connections";
    let mut events = Events::open(&server, &browser, path).await.expect("open");
    events.next().await.expect("a snapshot");
    browser.submit("/web/admin/profile", "/web/admin/logout", &[]).await;
    let end = events.until(|name, _| name == "end").await;
    assert_eq!(end["status"], json!(401));
    assert!(events.next().await.is_none(), "nothing follows");
    let refused = Events::open(&server, &browser, path).await.err().expect("refused");
    assert_eq!(refused, 401, "no way to sign in is fetched by a script");
}

#[actix_web::test]
async fn a_stream_ends_when_the_right_is_taken_away() {
    let server = Server::start().await;
    let viewer = browser_with(&server, "viewer", &["view_conns"]).await;
    let path = "/web/admin/live/connections";
    let mut events = Events::open(&server, &viewer, path).await.expect("open");
    events.next().await.expect("a snapshot");
    let less = json!({"username": "viewer", "status": 1, "permissions": ["view_users"]});
    server.root().await.put("/api/v2/admins/viewer", less).await.done(200);
    let end = events.until(|name, _| name == "end").await;
    assert_eq!(end["status"], json!(403));
}

#[actix_web::test]
async fn streams_are_bounded_and_end_with_the_server() {
    let server = Server::start().await;
    let browser = root(&server).await;
    let path = "/web/admin/live/connections";
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::open(&server, &browser, path).await.expect("open"));
    }
    let refused = Events::open(&server, &browser, path).await.err().expect("refused");
    assert_eq!(refused, 429);
    open.truncate(1);
    Events::open(&server, &browser, path).await.expect("there is room again");

    let mut last = open.pop().expect("one");
    last.next().await.expect("a snapshot");
    let pages = server.binding.pages.as_ref().expect("pages");
    pages.live.stop.cancel();
    last.until(|name, _| name == "end").await;
    assert!(last.next().await.is_none());
}

#[actix_web::test]
async fn events_show_and_follow_the_log_and_nothing_in_it_is_markup() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    slog::warn!(server.services.log, "<script>alert(1)</script>\u{202e}");
    server.log_lines();
    let page = browser.get("/web/admin/events?level=warn").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩"), "{}", page.text);
    assert!(!page.text.contains("<script>alert"));
    let none = browser.get("/web/admin/events?q=nothing-has-this").await;
    assert!(none.text.contains("No line fits"), "{}", none.text);
    assert_eq!(browser.get("/web/admin/events?level=loud").await.status, 400);

    let path = "/web/admin/live/events?level=warn";
    let mut events = Events::open(&server, &browser, path).await.expect("open");
    events.next().await.expect("a snapshot");
    slog::info!(server.services.log, "not severe enough");
    slog::warn!(server.services.log, "a hostile\n\ndata: line");
    let data = events.until(|_, data| data["lines"].is_array()).await;
    let lines = data["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 1, "{data}");
    assert_eq!(lines[0]["cells"]["told"], json!("a hostile⟨U+000A⟩⟨U+000A⟩data: line"));

    let viewer = browser_with(&server, "viewer", &["view_conns"]).await;
    let refused = Events::open(&server, &viewer, path).await.err().expect("refused");
    assert_eq!(refused, 403);
}

#[actix_web::test]
async fn a_page_of_events_that_was_cut_off_gets_what_it_missed() {
    let server = Server::start().await;
    let browser = root(&server).await;
    let control = server.services.log_control.clone().expect("a log");
    server.log_lines();
    let before = *control.tail().newest().borrow();
    slog::warn!(server.services.log, "meanwhile");
    server.log_lines();
    eventually("the line is there", async || *control.tail().newest().borrow() > before).await;
    let path = format!("/web/admin/live/events?q=meanwhile&after={before}");
    let mut events = Events::open(&server, &browser, &path).await.expect("open");
    let (_, first) = events.next().await.expect("a snapshot");
    assert_eq!(first["lines"].as_array().map(Vec::len), Some(1), "{first}");
}

#[actix_web::test]
async fn the_overview_begins_with_first_steps_and_what_wants_a_look() {
    let server = Server::start().await;
    let mut browser = root(&server).await;
    let page = browser.get("/web/admin").await;
    assert_eq!(page.status, 200);
    for shown in ["Getting started", "First user", "sftp -P 2022", "no second factor"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let user = json!({
        "username": "full", "status": 1, "home_dir": "/srv/full",
        "permissions": {"/": ["*"]}, "quota_size": 1000,
        "expiration_date": chrono::Utc::now().timestamp_millis() + 86_400_000,
    });
    let api = server.root().await;
    api.post("/api/v2/users", user).await.object(201);
    let usage = json!({"used_quota_size": 970, "used_quota_files": 1});
    api.put("/api/v2/quotas/users/full/usage?mode=reset", usage).await.done(200);
    api.basic("/api/v2/token", "nobody", "wrong").await.refused(401);
    server.log_lines();
    let page = browser.get("/web/admin").await;
    for shown in [
        "User full has used 97% of 1.00 KB.",
        "User full expires in",
        "Recent failures",
        "<strong>nobody</strong>",
        "970 B",
        "Throughput",
        "SHA256:abc",
        "Nobody is connected.",
    ] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    assert!(!page.text.contains("Getting started"));
}

#[actix_web::test]
async fn the_overview_tells_everybody_only_what_the_own_rights_show() {
    let server = Server::start().await;
    let _alice = uploader(&server, "alice").await;
    let mut viewer = browser_with(&server, "viewer", &["view_users"]).await;
    let page = viewer.get("/web/admin").await;
    assert_eq!(page.status, 200);
    for hidden in
        ["alice", "Throughput", "Recent failures", "SHA256:", "127.0.0.1:8080", "session<"]
    {
        assert!(!page.text.contains(hidden), "{hidden} in {}", page.text);
    }
    let mut events =
        Events::open(&server, &viewer, "/web/admin/live/overview").await.expect("open");
    let (_, first) = events.next().await.expect("a snapshot");
    let whole = first["cells"][""].as_object().expect("cells");
    assert!(whole.contains_key("state") && !whole.contains_key("sessions"), "{first}");
    assert!(!whole.contains_key("upload_path") && !first.to_string().contains("alice"), "{first}");
}

#[actix_web::test]
async fn the_overview_moves() {
    let server = Server::start().await;
    let browser = root(&server).await;
    let mut events =
        Events::open(&server, &browser, "/web/admin/live/overview").await.expect("open");
    let (_, first) = events.next().await.expect("a snapshot");
    assert_eq!(first["cells"][""]["sessions"], json!("0 sessions"));
    let alice = uploader(&server, "alice").await;
    events.until(|_, data| data["cells"][""]["sessions"] == json!("1 session")).await;
    alice.move_bytes(1 << 20);
    let data = events.until(|_, data| data["cells"]["busy alice"].is_object()).await;
    assert_eq!(data["cells"]["busy alice"]["tone"], json!("up"));
    server.anonymous().basic("/api/v2/token", "nobody", "wrong").await.refused(401);
    let has_failure = |data: &Value| {
        data["keys"].as_array().is_some_and(|keys| {
            keys.iter().any(|key| key.as_str().is_some_and(|key| key.starts_with("failure ")))
        })
    };
    events.until(|_, data| has_failure(data)).await;
}
