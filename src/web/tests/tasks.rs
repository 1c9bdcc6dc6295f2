use serde_json::{Value, json};

use super::harness::{Answer, Client, Server};

async fn users(root: &Client, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("user{number:03}")).collect();
    let users: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "username": name, "status": 1, "home_dir": format!("/srv/{name}"),
                "permissions": {"/": ["*"]},
            })
        })
        .collect();
    root.post("/api/v2/loaddata", json!({"version": 17, "users": users})).await.done(200);
    names
}

async fn start(client: &Client, body: Value) -> Answer {
    client.post("/api/v2/bulk/users?background=1", body).await
}

/// The task once it has ended.
async fn ended(server: &Server, client: &Client, started: &Answer) -> Value {
    let id = started.object(202)["id"].as_str().expect("a name").to_owned();
    assert_eq!(started.header("Location"), format!("/api/v2/tasks/{id}"));
    server.services.tasks.wait(&id, std::time::Duration::from_secs(60)).await;
    client.get(&format!("/api/v2/tasks/{id}")).await.object(200).clone()
}

#[actix_web::test]
async fn a_bulk_request_in_the_background_is_a_task_that_tells_what_failed() {
    let server = Server::start().await;
    let root = server.root().await;
    let mut names = users(&root, 3).await;
    names.push("nobody".to_owned());
    let started = start(&root, json!({"action": "disable", "usernames": names})).await;
    let task = ended(&server, &root, &started).await;
    for (field, want) in [
        ("kind", json!("bulk_users")),
        ("title", json!("Disable 4 users")),
        ("started_by", json!("root")),
        ("status", json!("done")),
        ("total", json!(4)),
        ("processed", json!(4)),
        ("failed", json!(1)),
        (
            "failures",
            json!([{"name": "nobody", "status": 404, "error": "user \"nobody\" does not exist"}]),
        ),
    ] {
        assert_eq!(task[field], want, "{field} of {task}");
    }
    assert!(task["ended_at"].as_i64() >= task["started_at"].as_i64());
    assert_eq!(root.get("/api/v2/users/user002").await.object(200)["status"], json!(0));

    // Nothing is started that would be refused.
    start(&root, json!({"action": "disable"})).await.refused(400);
    start(&root, json!({"action": "set_expiration", "usernames": []})).await.refused(400);
    root.post("/api/v2/bulk/users?background=yes", json!({})).await.refused(400);
    assert_eq!(root.get("/api/v2/tasks").await.object(200).as_array().map(Vec::len), Some(1));
    let id = task["id"].as_str().expect("a name");
    root.post(&format!("/api/v2/tasks/{id}/cancel"), Value::Null).await.refused(409);
    root.get("/api/v2/tasks/none").await.refused(404);
    server.anonymous().get("/api/v2/tasks").await.refused(401);
}

#[actix_web::test]
async fn a_task_is_for_who_has_started_it_and_for_who_may_do_everything() {
    let server = Server::start().await;
    let root = server.root().await;
    let names = users(&root, 1).await;
    let editor = server.admin_with("editor", &["edit_users", "view_users"]).await;
    let viewer = server.admin_with("viewer", &["view_users", "edit_users"]).await;
    let body = json!({"action": "disable", "usernames": names});
    let started = start(&editor, body.clone()).await;
    let task = ended(&server, &editor, &started).await;
    let path = format!("/api/v2/tasks/{}", task["id"].as_str().expect("a name"));
    root.get(&path).await.object(200);
    viewer.get(&path).await.refused(404);
    viewer.post(&format!("{path}/cancel"), Value::Null).await.refused(404);
    assert_eq!(viewer.get("/api/v2/tasks").await.object(200), &json!([]));
    start(&editor, json!({"action": "delete", "usernames": names})).await.refused(403);
}

#[actix_web::test]
async fn a_task_ends_when_who_asked_for_it_may_not_any_more() {
    let server = Server::start().await;
    let root = server.root().await;
    let names = users(&root, 1000).await;
    let editor = server.admin_with("editor", &["edit_users"]).await;
    let started = start(&editor, json!({"action": "disable", "usernames": names})).await;
    let editor = json!({
        "username": "editor", "password": "pass phrase", "status": 0, "permissions": ["edit_users"]
    });
    root.put("/api/v2/admins/editor", editor).await.done(200);
    let task = ended(&server, &root, &started).await;
    assert_eq!(task["status"], json!("failed"), "{task}");
    let told = task["message"].as_str().expect("a reason");
    assert!(told.contains("may not log in"), "{told}");
    assert!(task["processed"].as_u64() < Some(1000), "{task}");
}

#[actix_web::test]
async fn the_pages_show_tasks_and_what_came_of_them() {
    let server = Server::start().await;
    let root = server.root().await;
    users(&root, 2).await;
    let body = json!({"action": "disable", "usernames": ["user000", "<b>nobody"]});
    let task = ended(&server, &root, &start(&root, body).await).await;
    let mut browser = server.signed_in("root", super::harness::ROOT_PASSWORD).await;
    let list = browser.get("/web/admin/tasks").await;
    assert_eq!(list.status, 200, "{}", list.text);
    let path = format!("/web/admin/tasks/{}", task["id"].as_str().expect("a name"));
    assert!(list.text.contains(&path), "{}", list.text);
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for part in ["Disable 2 users", "1 of 2 are done. 1 failed.", "&lt;b&gt;nobody"] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let cancel = format!("{path}/cancel");
    let answer = browser.submit("/web/admin/new-user", &cancel, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(browser.get(&path).await.text.contains("It had ended already."));
    assert_eq!(browser.get("/web/admin/tasks/none").await.status, 404);
}
