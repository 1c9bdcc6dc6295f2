//! `httpd.auth_user_file`, which guards the pages before anybody signs in.

use std::path::Path;

use super::harness::{Options, ROOT, ROOT_PASSWORD, Server};
use crate::config::HttpdConfig;

// "secret"
const USERS: &str = "reader:$apr1$lyaEGNXz$Ncv10UukNA2lus3E3jfsb.\n";

async fn guarded(file: &Path) -> Server {
    let auth_user_file = file.to_str().expect("UTF-8").to_owned();
    let httpd = HttpdConfig { auth_user_file, ..HttpdConfig::default() };
    Server::with(Options { httpd, ..Options::default() }).await
}

#[actix_web::test]
async fn pages_are_for_those_in_the_file_and_the_api_for_those_with_tokens() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("htpasswd");
    std::fs::write(&file, USERS).expect("written");
    let server = guarded(&file).await;
    let anybody = server.anonymous();
    for path in ["/", "/web/admin", "/web/admin/login", "/openapi/openapi.yaml", "/nothing"] {
        let answer = anybody.get(path).await;
        answer.refused(401);
        assert!(answer.header("WWW-Authenticate").starts_with("Basic "), "{path}");
    }
    for (username, password) in [("reader", "wrong"), ("nobody", "secret"), (ROOT, ROOT_PASSWORD)] {
        anybody.basic("/web/admin/login", username, password).await.refused(401);
    }
    // The second time from memory.
    for _ in 0..2 {
        let login = anybody.basic("/web/admin/login", "reader", "secret").await;
        assert_eq!(login.status, 200);
        assert!(login.text.contains("Password"), "{}", login.text);
    }
    // It opens the door, and no account.
    let inside = anybody.basic("/web/admin/users", "reader", "secret").await;
    assert_eq!(inside.status, 303);
    assert_eq!(anybody.get("/healthz").await.status, 200);
    let root = server.root().await;
    assert_eq!(root.get("/api/v2/version").await.status, 200);
    anybody.basic("/api/v2/token", "reader", "secret").await.refused(401);
}

#[actix_web::test]
async fn the_file_is_read_again_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("htpasswd");
    std::fs::write(&file, USERS).expect("written");
    let server = guarded(&file).await;
    let door = server.binding.door.clone().expect("a door");
    let anybody = server.anonymous();
    let status = async |name: &str| anybody.basic("/web/admin/login", name, "secret").await.status;

    std::fs::write(&file, format!("{USERS}broken")).expect("written");
    let told = door.reload().expect_err("a bad line").to_string();
    assert!(told.starts_with("httpd.auth_user_file: /"), "{told}");
    assert!(told.ends_with("htpasswd: line 2: is not name:hash"), "{told}");
    assert_eq!(status("reader").await, 200);

    std::fs::write(&file, USERS.replace("reader", "writer")).expect("written");
    door.reload().expect("valid");
    assert_eq!((status("reader").await, status("writer").await), (401, 200));
}
