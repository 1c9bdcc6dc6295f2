//! The status, the summary of users, and what tells of quotas.

use serde_json::{Value, json};

use super::harness::{ROOT, ROOT_PASSWORD, Server};
use crate::web::listen::tls::{Tls, TlsSettings};
use crate::web::services::{HttpListener, Serves};

const STATUS: &str = "/web/admin/status";

#[actix_web::test]
async fn the_status_page_says_in_words_what_is_weak_and_why() {
    let server = Server::start().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = browser.get(STATUS).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for shown in [
        "1 weak host key",
        "1 weak algorithm<",
        "RSA, 2048 bits",
        "Weak</span>",
        "<code>hmac-sha1</code> is broken: it relies on SHA-1.",
        "Change it with <code>sftpd.macs</code>.",
        "hmac-sha1<span class=\"sr\"> (broken)</span>",
        "aes128-ctr</code>",
        "host certificates",
        "files.example.com",
        "Renew it now",
        "Backups",
        "Open files",
        "md5sum",
    ] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let overview = browser.get("/web/admin").await;
    for shown in ["SSH offers what is broken: hmac-sha1.", "RSA, 2048 bits", "expires in", "Disks"]
    {
        assert!(overview.text.contains(shown), "{shown} in {}", overview.text);
    }
}

#[actix_web::test]
async fn the_status_has_what_the_page_shows() {
    let server = Server::start().await;
    let answer = server.root().await.get("/api/v2/status").await;
    let status = answer.object(200);
    let weak = json!([{
        "purpose": "mac", "name": "hmac-sha1", "grade": "broken", "reason": "it relies on SHA-1"
    }]);
    assert_eq!(status["ssh"]["weak_algorithms"], weak);
    let keys = &status["ssh"]["host_keys"];
    assert_eq!(keys[0].get("weakness"), None, "nothing is known against it");
    assert_eq!(keys[1]["rsa_bits"], json!(2048));
    assert_eq!(keys[1]["weakness"]["grade"], json!("weak"));
    assert_eq!(keys[1]["modified_at"], json!(1_000));
    let certificate = &status["ssh"]["host_certificates"][0];
    assert_eq!(certificate["state"], json!("expires_very_soon"));
    assert_eq!(certificate["principals"], json!(["files.example.com"]));
    let disk = &status["disks"][0];
    assert_eq!(disk["places"][0]["setting"], json!("data_provider.backups_path"));
    assert!(disk["total"].as_u64() > disk["free"].as_u64(), "{disk}");
    assert!(status["process"]["uptime_secs"].is_u64());
    assert_eq!(status["http"], json!({"is_active": false, "bindings": []}));
}

#[actix_web::test]
async fn https_certificates_are_told_with_their_end() {
    let server = Server::start().await;
    let file = server.dir.path().join("c.pem");
    std::fs::write(&file, include_str!("certificate.pem")).expect("written");
    let key = server.dir.path().join("k.pem");
    std::fs::write(&key, include_str!("certificate_key.pem")).expect("written");
    let tls = Tls::new(TlsSettings {
        certificate: file.clone(),
        key,
        min_version: crate::config::MinTlsVersion::Tls12,
        cipher_suites: &[],
        clients: None,
    });
    let certificate = Some(tls.expect("usable").certificate());
    let serves = Serves::Web { has_api: true, has_pages: false };
    let address = "2001:db8::1".to_owned();
    *server.services.http.write().expect("a lock") =
        vec![HttpListener { address, port: 8443, certificate, serves }];
    let answer = server.root().await.get("/api/v2/status").await;
    let binding = &answer.object(200)["http"]["bindings"][0];
    assert_eq!(binding["enable_https"], json!(true));
    assert_eq!(binding["enable_web_admin"], json!(false));
    let told = &binding["certificate"];
    assert_eq!(told["path"], json!(file.to_str().expect("UTF-8")));
    assert_eq!(told["valid_until"], json!(2_695_968_550_000_u64));
    assert_eq!(told["state"], json!("ok"));
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = browser.get(STATUS).await;
    for shown in ["[2001:db8::1]:8443", "HTTPS</span>", "Certificate ends", "REST API"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
}

/// A server with users in a group with a quota, and one of another role.
async fn with_inherited_quotas() -> Server {
    let server = Server::start().await;
    let api = server.root().await;
    api.post("/api/v2/roles", json!({"name": "emea"})).await.object(201);
    let group = json!({"name": "small", "user_settings": {"quota_size": 1000}});
    api.post("/api/v2/groups", group).await.object(201);
    for (name, role, quota, used) in
        [("ann", "", 0, 950), ("bob", "emea", 0, 940), ("cleo", "", 5000, 960)]
    {
        let user = json!({
            "username": name, "status": 1, "home_dir": "/srv/x", "permissions": {"/": ["*"]},
            "role": role, "quota_size": quota, "groups": [{"name": "small", "type": 1}],
        });
        api.post("/api/v2/users", user).await.object(201);
        let usage = json!({"used_quota_size": used, "used_quota_files": 1});
        api.put(&format!("/api/v2/quotas/users/{name}/usage?mode=reset"), usage).await.done(200);
    }
    server
}

#[actix_web::test]
async fn quotas_that_a_group_gives_count_in_list_overview_and_rest() {
    let server = with_inherited_quotas().await;
    let api = server.root().await;
    let summary = api.get("/api/v2/summary/users").await;
    let summary = summary.object(200);
    assert_eq!((&summary["users"], &summary["near_quota"]), (&json!(3), &json!(2)));
    assert_eq!(summary["used_size"], json!(2_850));
    let full = json!({
        "username": "ann", "quota_size": 1000, "quota_files": 0,
        "used_quota_size": 950, "used_quota_files": 1,
    });
    assert_eq!(summary["nearly_full"][0], full);
    assert_eq!(summary["largest"][0]["username"], json!("cleo"));

    let answer = api.get("/api/v2/quotas/users?status=quota").await;
    assert_eq!((answer.status, answer.header("X-Total-Count")), (200, "2"));
    let names: Vec<&Value> =
        answer.json.as_array().expect("a list").iter().map(|quota| &quota["username"]).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert_eq!(answer.json[0]["quota_size"], json!(1000));

    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let overview = browser.get("/web/admin").await;
    for shown in ["User ann has used 95% of 1.00 KB.", "2 users</a> above 90%", "Most storage"] {
        assert!(overview.text.contains(shown), "{shown} in {}", overview.text);
    }
    let list = browser.get("/web/admin/users?status=quota").await;
    for shown in ["95%", "94%", "of group small", "2 are above 90% of the quota"] {
        assert!(list.text.contains(shown), "{shown} in {}", list.text);
    }
    let user = browser.get("/web/admin/users/ann?tab=limits").await;
    assert!(user.text.contains("95% of the quota"), "{}", user.text);
}

#[actix_web::test]
async fn the_summary_is_about_the_users_that_one_may_see() {
    let server = with_inherited_quotas().await;
    let admin = json!({
        "username": "eva", "password": "pass phrase", "status": 1, "role": "emea",
        "permissions": ["view_users"],
    });
    server.root().await.post("/api/v2/admins", admin).await.object(201);
    let eva = server.login("eva", "pass phrase").await;
    let summary = eva.get("/api/v2/summary/users").await;
    let summary = summary.object(200);
    assert_eq!((&summary["users"], &summary["used_size"]), (&json!(1), &json!(940)));
    assert!(!summary.to_string().contains("ann"), "{summary}");
    let quotas = eva.get("/api/v2/quotas/users").await;
    assert_eq!(quotas.header("X-Total-Count"), "1");
    let other = server.admin_with("other", &["view_conns"]).await;
    other.get("/api/v2/summary/users").await.refused(403);
    other.get("/api/v2/quotas/users").await.refused(403);
}
