use actors::{AccountId, UsageDelta};
use serde_json::{Value, json};

use super::harness::{Client, Options, Server, eventually};
use crate::config::TrackQuota;

async fn add_alice_and_archive(root: &Client) {
    let user = json!({
        "username": "alice", "status": 1, "home_dir": "/srv/alice", "permissions": {"/": ["*"]},
        "quota_files": 10,
    });
    root.post("/api/v2/users", user).await.object(201);
    let folder = json!({"name": "archive", "mapped_path": "/srv/archive"});
    root.post("/api/v2/folders", folder).await.object(201);
}

/// What `object` has used: bytes and files.
async fn used(root: &Client, object: &str) -> (i64, i64) {
    let answer = root.get(&format!("/api/v2/{object}")).await;
    let object = answer.object(200);
    let number = |field: &str| object[field].as_i64().expect("a number");
    (number("used_quota_size"), number("used_quota_files"))
}

fn usage(size: i64, files: i64) -> Value {
    json!({"used_quota_size": size, "used_quota_files": files})
}

/// A kind of account: its plural in paths, its name field, and an account of this kind.
const KINDS: [(&str, &str, &str); 2] =
    [("users", "username", "alice"), ("folders", "name", "archive")];

#[actix_web::test]
async fn a_scan_runs_once_at_a_time_and_stores_what_it_counted() {
    for (plural, key, name) in KINDS {
        let server = Server::start().await;
        let root = server.root().await;
        add_alice_and_archive(&root).await;
        let scans = format!("/api/v2/quotas/{plural}/scans");
        let scan = format!("/api/v2/quotas/{plural}/{name}/scan");
        let usage_path = format!("/api/v2/quotas/{plural}/{name}/usage");
        assert_eq!(root.get(&scans).await.object(200), &json!([]));

        assert_eq!(root.post(&scan, json!(null)).await.done(202), "Scan started");
        let answer = root.get(&scans).await;
        let [running] = answer.object(200).as_array().expect("a list").as_slice() else {
            panic!("one scan: {}", answer.text);
        };
        assert_eq!(running[key], json!(name));
        assert!(running["start_time"].as_i64().is_some_and(|time| time > 0));
        eventually("the progress", async || {
            let running = root.get(&scans).await.json;
            (&running[0]["files"], &running[0]["size"]) == (&json!(3), &json!(4000))
        })
        .await;
        assert_eq!(root.post(&scan, json!(null)).await.refused(409), "a scan is running");
        assert_eq!(root.put(&usage_path, usage(1, 1)).await.refused(409), "a scan is running");

        server.scanner.count(3, 5000);
        eventually("the scan ends", async || root.get(&scans).await.json == json!([])).await;
        assert_eq!(used(&root, &format!("{plural}/{name}")).await, (5000, 3));
        let finished = "/api/v2/quotas/scans/finished";
        eventually("the result", async || root.get(finished).await.json != json!([])).await;
        let result = &root.get(finished).await.json[0];
        assert_eq!((&result["name"], &result["size"]), (&json!(name), &json!(5000)));
        assert_eq!((&result["files"], &result["error"]), (&json!(3), &json!("")));
        assert_eq!(format!("{}s", result["kind"].as_str().expect("text")), plural);
        root.post(&scan, json!(null)).await.done(202);
    }
}

#[actix_web::test]
async fn a_failed_scan_leaves_the_usage_alone() {
    let server = Server::start().await;
    let root = server.root().await;
    add_alice_and_archive(&root).await;
    root.put("/api/v2/quotas/users/alice/usage", usage(100, 1)).await.done(200);
    root.post("/api/v2/quotas/users/alice/scan", json!(null)).await.done(202);
    server.scanner.fail();
    let scans = "/api/v2/quotas/users/scans";
    eventually("the scan ends", async || root.get(scans).await.json == json!([])).await;
    assert_eq!(used(&root, "users/alice").await, (100, 1));
    let line = server.last_log_line("quota");
    assert!(line.contains("\"level\":\"error\"") && line.contains("the disk is gone"), "{line}");
    let finished = root.get("/api/v2/quotas/scans/finished").await;
    assert_eq!(finished.object(200)[0]["error"], json!("the disk is gone"));
    let other = server.admin_with("other", &["view_users"]).await;
    other.get("/api/v2/quotas/scans/finished").await.refused(403);
}

#[actix_web::test]
async fn usage_is_set_or_added_to() {
    for (plural, _, name) in KINDS {
        let server = Server::start().await;
        let root = server.root().await;
        add_alice_and_archive(&root).await;
        let object = format!("{plural}/{name}");
        let path = format!("/api/v2/quotas/{object}/usage");
        let put = async |query: &str, body: Value| {
            root.put(&format!("{path}{query}"), body).await.done(200);
            used(&root, &object).await
        };
        assert_eq!(put("", usage(1000, 5)).await, (1000, 5));
        assert_eq!(put("?mode=add", usage(10, 1)).await, (1010, 6));
        assert_eq!(put("?mode=reset", usage(7, 2)).await, (7, 2));
        assert_eq!(put("", json!({"used_quota_size": 9})).await, (9, 0), "missing is 0");
        for (query, body, field) in [
            ("?mode=double", usage(1, 1), "mode"),
            ("", usage(-1, 1), "used_quota_size"),
            ("", usage(1, -1), "used_quota_files"),
            ("", json!({"used_quota_size": "big"}), "used_quota_size"),
        ] {
            let answer = root.put(&format!("{path}{query}"), body).await;
            assert!(answer.refused(400).starts_with(field), "{}", answer.text);
        }
        assert_eq!(used(&root, &object).await, (9, 0));
    }
}

#[actix_web::test]
async fn transferred_data_is_set_or_added_to() {
    let server = Server::start().await;
    let root = server.root().await;
    add_alice_and_archive(&root).await;
    let path = "/api/v2/quotas/users/alice/transfer-usage";
    let given = |uploaded: i64, downloaded: i64| json!({"used_upload_data_transfer": uploaded, "used_download_data_transfer": downloaded});
    let transferred = async || {
        let answer = root.get("/api/v2/users/alice").await;
        let number = |field: &str| answer.object(200)[field].as_i64().unwrap_or(0);
        (number("used_upload_data_transfer"), number("used_download_data_transfer"))
    };
    let table = [
        ("", given(1000, 5), (1000, 5)),
        ("?mode=add", given(10, 1), (1010, 6)),
        ("?mode=reset", given(7, 2), (7, 2)),
        ("", json!({"used_download_data_transfer": 9}), (0, 9)),
    ];
    for (query, body, want) in table {
        root.put(&format!("{path}{query}"), body).await.done(200);
        assert_eq!(transferred().await, want, "{query}");
    }
    let wrong = [
        ("?mode=double", given(1, 1), "mode"),
        ("", given(-1, 1), "used_upload_data_transfer"),
        ("", given(1, -1), "used_download_data_transfer"),
    ];
    for (query, body, field) in wrong {
        let answer = root.put(&format!("{path}{query}"), body).await;
        assert!(answer.refused(400).starts_with(field), "{}", answer.text);
    }
    assert_eq!(transferred().await, (0, 9));
    root.put("/api/v2/quotas/users/nobody/transfer-usage", given(1, 1)).await.refused(404);
    let clerk = server.admin_with("clerk", &["view_users", "edit_users"]).await;
    clerk.put(path, given(1, 1)).await.refused(403);

    let options = Options { track_quota: TrackQuota::Off, ..Options::default() };
    let server = Server::with(options).await;
    let root = server.root().await;
    add_alice_and_archive(&root).await;
    root.put(path, given(1, 1)).await.refused(403);
}

#[actix_web::test]
async fn a_read_shows_what_was_just_uploaded() {
    let server = Server::start().await;
    let root = server.root().await;
    add_alice_and_archive(&root).await;
    let delta = UsageDelta { bytes: 4096, files: 1 };
    server.actors.quota.adjust(AccountId::user("alice"), delta.bytes, delta.files).await;
    assert_eq!(used(&root, "users/alice").await, (4096, 1));
    let answer = root.get("/api/v2/users").await;
    assert_eq!(answer.object(200)[0]["used_quota_size"], json!(4096));
}

#[actix_web::test]
async fn what_does_not_exist_cannot_be_scanned() {
    let server = Server::start().await;
    let root = server.root().await;
    for (plural, _, name) in KINDS {
        let path = format!("/api/v2/quotas/{plural}/{name}");
        root.post(&format!("{path}/scan"), json!(null)).await.refused(404);
        root.put(&format!("{path}/usage"), usage(1, 1)).await.refused(404);
    }
}

#[actix_web::test]
async fn where_usage_is_not_tracked_it_cannot_be_changed() {
    let server = Server::with(Options { track_quota: TrackQuota::Off, ..Options::default() }).await;
    let root = server.root().await;
    add_alice_and_archive(&root).await;
    for (plural, _, name) in KINDS {
        let path = format!("/api/v2/quotas/{plural}/{name}");
        let told = root.post(&format!("{path}/scan"), json!(null)).await;
        assert!(told.refused(403).contains("track_quota"));
        root.put(&format!("{path}/usage"), usage(1, 1)).await.refused(403);
    }
}

#[actix_web::test]
async fn quotas_need_their_permission() {
    let server = Server::start().await;
    add_alice_and_archive(&server.root().await).await;
    let other = server.admin_with("other", &["view_users", "edit_users"]).await;
    let scanner = server.admin_with("scanner", &["quota_scans"]).await;
    for (plural, _, name) in KINDS {
        let path = format!("/api/v2/quotas/{plural}/{name}");
        other.get(&format!("/api/v2/quotas/{plural}/scans")).await.refused(403);
        other.post(&format!("{path}/scan"), json!(null)).await.refused(403);
        other.put(&format!("{path}/usage"), usage(1, 1)).await.refused(403);
        scanner.put(&format!("{path}/usage"), usage(1, 1)).await.done(200);
        scanner.post(&format!("{path}/scan"), json!(null)).await.done(202);
    }
}

#[actix_web::test]
async fn the_older_names_do_the_same() {
    for (path, plural, key, name) in [
        ("/api/v2/quota", "users", "username", "alice"),
        ("/api/v2/folder-quota", "folders", "name", "archive"),
    ] {
        let server = Server::start().await;
        let root = server.root().await;
        add_alice_and_archive(&root).await;
        let object = format!("{plural}/{name}");

        let body = json!({key: name, "used_quota_size": 10, "used_quota_files": 2, "id": 1});
        root.put(&format!("{path}-update"), body.clone()).await.done(200);
        root.put(&format!("{path}-update?mode=add"), body.clone()).await.done(200);
        assert_eq!(used(&root, &object).await, (20, 4));

        root.post(&format!("{path}-scans"), body.clone()).await.done(202);
        let answer = root.get(&format!("{path}-scans")).await;
        assert_eq!(answer.object(200)[0][key], json!(name));
        root.post(&format!("{path}-scans"), body).await.refused(409);
        root.post(&format!("{path}-scans"), json!({key: "nobody"})).await.refused(404);
        root.post(&format!("{path}-scans"), json!({})).await.refused(400);
        server.scanner.count(1, 1);
        eventually("the scan ends", async || {
            root.get(&format!("{path}-scans")).await.json == json!([])
        })
        .await;
        assert_eq!(used(&root, &object).await, (1, 1));
    }
}
