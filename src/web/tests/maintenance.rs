use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::browser::{Browser, token_of};
use super::harness::{Answer, ROOT_PASSWORD, Server};

const PAGE: &str = "/web/admin/maintenance";

fn user(name: &str) -> Value {
    json!({
        "username": name, "status": 1, "home_dir": format!("/srv/{name}"), "email": "",
        "permissions": {"/": ["*"]},
    })
}

/// Sends a file as the browser does.
async fn upload(browser: &mut Browser, name: &str, content: &str) -> Answer {
    let token = token_of(&browser.get(PAGE).await);
    upload_with(browser, &token, name, content).await
}

async fn upload_with(browser: &mut Browser, token: &str, name: &str, content: &str) -> Answer {
    let field = "Content-Disposition: form-data; name=\"_csrf\"";
    let file = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
    let body =
        format!("--x\r\n{field}\r\n\r\n{token}\r\n--x\r\n{file}\r\n\r\n{content}\r\n--x--\r\n");
    let request = TestRequest::post().uri(&format!("{PAGE}/upload"));
    let kind = ("Content-Type", "multipart/form-data; boundary=x");
    browser.send(request.insert_header(kind).set_payload(body)).await
}

/// The task that an answer leads to, once it has ended.
async fn ended(server: &Server, browser: &mut Browser, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let path = answer.header("Location").to_owned();
    let id = path.rsplit('/').next().expect("a name");
    server.services.tasks.wait(id, std::time::Duration::from_secs(60)).await;
    browser.get(&path).await
}

#[actix_web::test]
async fn a_backup_is_uploaded_looked_at_and_restored() {
    let server = Server::start().await;
    let root = server.root().await;
    for name in ["ann", "bob"] {
        root.post("/api/v2/users", user(name)).await.object(201);
    }
    let mut dump = root.get("/api/v2/dumpdata?output-data=1").await.object(200).clone();
    dump["users"][0]["quota_files"] = json!(7);
    dump["users"][1]["username"] = json!("<b>new");
    let mut browser = server.signed_in("root", ROOT_PASSWORD).await;
    let answer = upload(&mut browser, "<i>.json", &dump.to_string()).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let report = answer.header("Location").to_owned();
    let page = browser.get(&report).await;
    for part in [
        "Nothing has been written yet. 2 objects would change",
        "quota_files",
        "<ins>7</ins>",
        "&lt;b&gt;new",
        "&lt;i&gt;.json",
        "Apply 2 changes",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert_eq!(root.get("/api/v2/users/ann").await.object(200)["quota_files"], json!(0));
    let added = browser.get(&format!("{report}?show=add")).await;
    assert!(!added.text.contains("quota_files") && added.text.contains("&lt;b&gt;new"));
    let add_only = browser.get(&format!("{report}?mode=1")).await;
    assert!(add_only.text.contains("1 would be left alone"), "{}", add_only.text);

    let fields = [("mode", "0"), ("newer", "replace"), ("scan", "0"), ("saves_first", "1")];
    let answer = browser.submit(&report, &report, &fields).await;
    let task = ended(&server, &mut browser, &answer).await;
    let told = "Data restored: 1 added, 2 updated, 0 skipped. What was there before is in backup_";
    assert!(task.text.contains(told), "{}", task.text);
    assert_eq!(root.get("/api/v2/users/ann").await.object(200)["quota_files"], json!(7));

    // What was there before can be taken back from the server.
    let list = browser.get(PAGE).await;
    let at = list.text.find("backup_").expect("a backup");
    let name: String = list.text[at..].chars().take_while(|c| *c != '<').collect();
    let backups = root.get("/api/v2/backups").await;
    assert_eq!(backups.object(200)[0]["name"], json!(name));
    assert!(backups.json[0]["size"].as_u64().is_some_and(|size| size > 0), "{}", backups.text);
    let file = format!("{PAGE}/file");
    let answer = browser.submit(PAGE, &file, &[("file", &name)]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let report = answer.header("Location").to_owned();
    let answer = browser.submit(&report, &report, &[("mode", "0"), ("newer", "replace")]).await;
    ended(&server, &mut browser, &answer).await;
    assert_eq!(root.get("/api/v2/users/ann").await.object(200)["quota_files"], json!(0));
}

#[actix_web::test]
async fn a_backup_that_cannot_be_restored_changes_nothing_and_says_why() {
    let server = Server::start().await;
    let root = server.root().await;
    let mut browser = server.signed_in("root", ROOT_PASSWORD).await;
    for (content, told) in [
        ("nonsense", "dump.json is not a JSON object"),
        (r#"{"users": [{"username": "x", "home_dir": "relative"}]}"#, "home_dir"),
    ] {
        let answer = upload(&mut browser, "dump.json", content).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert!(answer.text.contains(told), "{told} in {}", answer.text);
    }
    let mut stray = user("ann");
    stray["role"] = json!("nowhere");
    let answer = upload(&mut browser, "x", &json!({"users": [stray]}).to_string()).await;
    let report = answer.header("Location").to_owned();
    let page = browser.get(&report).await;
    assert!(page.text.contains("It cannot be restored like this"), "{}", page.text);
    assert_eq!(browser.submit(&report, &report, &[("mode", "0")]).await.status, 422);
    root.get("/api/v2/users/ann").await.refused(404);

    let gone = browser.submit(&report, &format!("{report}/discard"), &[]).await;
    assert_eq!(gone.status, 303);
    assert_eq!(browser.get(&report).await.status, 404);
    let file = format!("{PAGE}/file");
    for name in ["../../etc/passwd", "/etc/passwd"] {
        assert_eq!(browser.submit(PAGE, &file, &[("file", name)]).await.status, 400, "{name}");
    }
    let missing = browser.submit(PAGE, &file, &[("file", "missing.json")]).await;
    assert_eq!(missing.status, 422, "{}", missing.text);
}

#[actix_web::test]
async fn replacing_many_has_to_be_typed() {
    let server = Server::start().await;
    let root = server.root().await;
    let names: Vec<String> = (0..12).map(|number| format!("user{number:02}")).collect();
    let users: Vec<Value> = names.iter().map(|name| user(name)).collect();
    root.post("/api/v2/loaddata", json!({"users": users})).await.done(200);
    let mut changed = users.clone();
    changed.iter_mut().for_each(|user| user["quota_files"] = json!(3));
    let mut browser = server.signed_in("root", ROOT_PASSWORD).await;
    let dump = json!({"users": changed}).to_string();
    let report = upload(&mut browser, "x", &dump).await.header("Location").to_owned();
    let refused = browser.submit(&report, &report, &[("mode", "0"), ("typed", "11")]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("Type 12 to go on."), "{}", refused.text);
    let answer = browser.submit(&report, &report, &[("mode", "0"), ("typed", "12")]).await;
    ended(&server, &mut browser, &answer).await;
    assert_eq!(root.get("/api/v2/users/user11").await.object(200)["quota_files"], json!(3));
}

#[actix_web::test]
async fn maintenance_is_only_for_who_may_do_everything() {
    let server = Server::start().await;
    server.admin_with("helper", &["view_users", "edit_users", "manage_admins"]).await;
    let mut root = server.signed_in("root", ROOT_PASSWORD).await;
    let mut helper = server.signed_in("helper", "pass phrase").await;
    let dump = json!({"users": [user("ann")]}).to_string();
    let report = upload(&mut root, "x", &dump).await.header("Location").to_owned();
    let token = token_of(&helper.get("/web/admin/profile").await);
    for path in [PAGE, &format!("{PAGE}/download"), &report] {
        assert_eq!(helper.get(path).await.status, 403, "{path}");
    }
    for path in ["backup", "file"] {
        let answer = helper.post(&format!("{PAGE}/{path}"), &[("_csrf", &token)]).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(upload_with(&mut helper, &token, "x", &dump).await.status, 403);
    assert_eq!(helper.post(&report, &[("_csrf", &token)]).await.status, 403);
    assert!(!helper.get("/web/admin").await.text.contains(PAGE));
    // Nor without the token of the session.
    assert_eq!(upload_with(&mut root, "wrong", "x", &dump).await.status, 403);
    let stranger = upload_with(&mut server.browser(), "", "x", &dump).await;
    assert!(stranger.header("Location").starts_with("/web/admin/login"), "{}", stranger.status);
    let downloaded = root.get(&format!("{PAGE}/download")).await;
    assert!(downloaded.header("Content-Disposition").contains("sftpgo-backup.json"));
    assert!(downloaded.json["admins"].is_array());
    // One administrator does not see what another one has uploaded.
    let other = json!({
        "username": "other", "password": "pass phrase", "status": 1, "permissions": ["*"]
    });
    server.root().await.post("/api/v2/admins", other).await.object(201);
    assert_eq!(server.signed_in("other", "pass phrase").await.get(&report).await.status, 404);
}
