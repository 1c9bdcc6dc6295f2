use serde_json::{Value, json};

use super::harness::Server;

fn ann() -> Value {
    json!({
        "username": "ann", "status": 1, "home_dir": "/srv/ann",
        "permissions": {"/": ["*"], "/out": ["list", "download"]},
        "filters": {"allowed_ip": ["192.0.2.0/24"], "denied_protocols": ["FTP"]},
        "quota_files": 1,
    })
}

#[actix_web::test]
async fn the_rule_that_decides_is_told_and_later_steps_are_not_reached() {
    let server = Server::start().await;
    let root = server.root().await;
    root.post("/api/v2/users", ann()).await.object(201);
    let base = "/api/v2/users/ann/permission-test";
    let table = [
        ("operation=download&path=/out/x", None),
        ("operation=upload&path=/out/x", Some("permissions")),
        ("operation=upload&path=/x&ip=192.0.2.9", None),
        ("operation=upload&path=/x&ip=198.51.100.9", Some("ip_filters")),
        ("operation=upload&path=/out/x&protocol=FTP", Some("denied_protocols")),
        ("operation=rename_file&path=/x&target=/out/x", Some("permissions")),
        ("operation=delete_dir&path=/", Some("permissions")),
    ];
    for (query, decided_by) in table {
        let answer = root.get(&format!("{base}?{query}")).await;
        let test = answer.object(200);
        assert_eq!(test["allowed"], json!(decided_by.is_none()), "{query}: {test}");
        assert_eq!(test.get("decided_by"), decided_by.map(|step| json!(step)).as_ref(), "{query}");
        let steps = test["steps"].as_array().expect("steps");
        let denied = steps.iter().position(|step| step["outcome"] == json!("denied"));
        assert_eq!(denied.is_some(), decided_by.is_some());
        for step in denied.map_or(&[][..], |at| &steps[at + 1..]) {
            assert_eq!(step["outcome"], json!("not_reached"), "{query}");
        }
        let operations = test["operations"].as_array().expect("operations");
        let needs_target =
            ["rename_file", "rename_dir", "rename_symlink", "copy", "create_symlink"];
        let has_them =
            operations.iter().any(|one| needs_target.iter().any(|n| one["operation"] == *n));
        assert_eq!(
            (operations.len(), has_them),
            if query.contains("target") { (19, true) } else { (14, false) }
        );
    }
    let usage = json!({"used_quota_size": 5, "used_quota_files": 1});
    root.put("/api/v2/quotas/users/ann/usage", usage).await.done(200);
    let answer = root.get(&format!("{base}?operation=upload&path=/x")).await;
    assert_eq!(answer.object(200)["decided_by"], json!("quota"), "{}", answer.text);
    let answer = root.get(&format!("{base}?operation=overwrite&path=/x")).await;
    assert_eq!(answer.object(200)["allowed"], json!(true), "{}", answer.text);
}

#[actix_web::test]
async fn what_a_group_gives_counts() {
    let server = Server::start().await;
    let root = server.root().await;
    let staff = json!({"name": "staff", "user_settings": {"permissions": {"/in": ["list"]}}});
    root.post("/api/v2/groups", staff).await.object(201);
    let mut user = ann();
    user["groups"] = json!([{"name": "staff", "type": 2}]);
    root.post("/api/v2/users", user).await.object(201);
    let path = "/api/v2/users/ann/permission-test?operation=upload&path=/in/x";
    let answer = root.get(path).await;
    assert_eq!(answer.object(200)["decided_by"], json!("permissions"));
}

#[actix_web::test]
async fn wrong_questions_are_refused_and_strangers_learn_nothing() {
    let server = Server::start().await;
    let root = server.root().await;
    root.post("/api/v2/users", ann()).await.object(201);
    let base = "/api/v2/users/ann/permission-test";
    for (query, name) in [
        ("path=/x", "operation"),
        ("operation=fly&path=/x", "operation"),
        ("operation=list", "path"),
        ("operation=list&path=x", "path"),
        ("operation=copy&path=/x&target=y", "target"),
        ("operation=rename_file&path=/x", "target"),
        ("operation=create_symlink&path=/x&target=", "target"),
        ("operation=list&path=/x&ip=here", "ip"),
        ("operation=list&path=/x&protocol=GOPHER", "protocol"),
        ("operation=list&path=/x&method=shouting", "method"),
    ] {
        let answer = root.get(&format!("{base}?{query}")).await;
        assert!(answer.refused(400).starts_with(name), "{query}: {}", answer.text);
    }
    let query = "operation=list&path=/";
    root.get(&format!("/api/v2/users/bob/permission-test?{query}")).await.refused(404);
    let viewer = server.admin_with("viewer", &["view_status"]).await;
    viewer.get(&format!("{base}?{query}")).await.refused(403);
    root.post("/api/v2/roles", json!({"name": "sales"})).await.object(201);
    let sam = json!({
        "username": "sam", "password": "pass phrase", "status": 1, "role": "sales",
        "permissions": ["view_users"],
    });
    root.post("/api/v2/admins", sam).await.object(201);
    let sam = server.login("sam", "pass phrase").await;
    sam.get(&format!("{base}?{query}")).await.refused(404);
}
