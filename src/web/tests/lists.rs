//! Searching, filtering, sorting and counting folders, groups, roles and administrators.

use serde_json::{Value, json};

use super::harness::{Answer, Client, Server};

async fn office(server: &Server) -> Client {
    let root = server.root().await;
    for name in ["sales", "it"] {
        let role = json!({"name": name, "description": "Who is in 100% of it"});
        root.post("/api/v2/roles", role).await.object(201);
    }
    for name in ["alpha", "beta", "gamma"] {
        let folder = json!({"name": name, "mapped_path": format!("/srv/{name}")});
        root.post("/api/v2/folders", folder).await.object(201);
    }
    let usage = json!({"used_quota_size": 5, "used_quota_files": 1});
    root.put("/api/v2/quotas/folders/beta/usage", usage).await.done(200);
    let mounts = |name: &str| json!([{"name": name, "virtual_path": "/x"}]);
    let staff = json!({"name": "staff", "virtual_folders": mounts("beta"), "description": "Us"});
    root.post("/api/v2/groups", staff).await.object(201);
    root.post("/api/v2/groups", json!({"name": "nobody"})).await.object(201);
    let user = json!({
        "username": "ann", "status": 1, "home_dir": "/srv/ann", "permissions": {"/": ["*"]},
        "virtual_folders": mounts("alpha"), "groups": [{"name": "staff", "type": 1}],
        "role": "it",
    });
    root.post("/api/v2/users", user).await.object(201);
    for (name, role, permissions, status) in [
        ("sam", "sales", json!(["manage_folders", "manage_groups", "view_users"]), 1),
        ("ivy", "it", json!(["manage_folders", "manage_groups", "view_users"]), 1),
        ("off", "", json!(["*"]), 0),
    ] {
        let admin = json!({"username": name, "password": "pass phrase", "role": role,
            "permissions": permissions, "status": status, "email": format!("{name}@Example.com")});
        root.post("/api/v2/admins", admin).await.object(201);
    }
    root
}

/// The names of a list in one text, and the number of all.
fn told(answer: &Answer) -> (String, String) {
    let objects = answer.object(200).as_array().expect("a list").iter();
    let name = |object: &Value| {
        let name = object.get("name").or_else(|| object.get("username"));
        name.and_then(Value::as_str).expect("a name").to_owned()
    };
    let names: Vec<String> = objects.map(name).collect();
    (names.join(" "), answer.header("X-Total-Count").to_owned())
}

#[actix_web::test]
async fn objects_are_found_counted_and_sorted_by_the_store() {
    let server = Server::start().await;
    let root = office(&server).await;
    let table = [
        ("folders", "alpha beta gamma", "3"),
        ("folders?limit=1&offset=1", "beta", "3"),
        ("folders?q=ETA", "beta", "1"),
        ("folders?q=srv&limit=2&order=DESC", "gamma beta", "3"),
        ("folders?q=%25", "", "0"),
        ("folders?status=mounted", "alpha beta", "2"),
        ("folders?status=unmounted", "gamma", "1"),
        ("folders?user=ann", "alpha", "1"),
        ("folders?group=staff", "beta", "1"),
        ("folders?user=ann&group=staff", "", "0"),
        ("folders?sort=used_quota_size&order=DESC&limit=1", "beta", "3"),
        ("groups", "nobody staff", "2"),
        ("groups?q=uS", "staff", "1"),
        ("groups?status=with_users", "staff", "1"),
        ("groups?status=without_users", "nobody", "1"),
        ("groups?user=ann", "staff", "1"),
        ("groups?folder=beta", "staff", "1"),
        ("groups?folder=alpha", "", "0"),
        ("groups?sort=created_at", "staff nobody", "2"),
        ("roles", "it sales", "2"),
        ("roles?q=SAL", "sales", "1"),
        ("roles?q=100%25+of", "it sales", "2"),
        ("roles?sort=created_at&limit=1", "sales", "2"),
        ("admins", "ivy off root sam", "4"),
        ("admins?q=example.COM&limit=2", "ivy off", "3"),
        ("admins?q=sales", "sam", "1"),
        ("admins?role=it", "ivy", "1"),
        ("admins?status=disabled", "off", "1"),
        ("admins?status=no_second_factor", "ivy root sam", "3"),
        ("admins?status=never&order=DESC", "sam off ivy", "3"),
        ("admins?sort=last_login&order=DESC&limit=1", "root", "4"),
    ];
    for (path, names, total) in table {
        let answer = root.get(&format!("/api/v2/{path}")).await;
        assert_eq!(told(&answer), (names.to_owned(), total.to_owned()), "{path}");
    }
    let long = "x".repeat(1025);
    for kind in ["folders", "groups", "roles", "admins", "users"] {
        for (parameter, wrong) in
            [("sort", "password"), ("q", long.as_str()), ("q", "%00"), ("order", "UP")]
        {
            let answer = root.get(&format!("/api/v2/{kind}?{parameter}={wrong}")).await;
            assert!(answer.refused(400).starts_with(parameter), "{kind}: {}", answer.text);
        }
        if kind != "roles" {
            let answer = root.get(&format!("/api/v2/{kind}?status=odd")).await;
            assert!(answer.refused(400).starts_with("status"), "{}", answer.text);
        }
    }
}

#[actix_web::test]
async fn a_filter_tells_nothing_of_users_of_other_roles() {
    let server = Server::start().await;
    office(&server).await;
    let (sam, ivy) =
        (server.login("sam", "pass phrase").await, server.login("ivy", "pass phrase").await);
    for (path, for_sam, for_ivy) in [
        ("folders", "alpha beta gamma", "alpha beta gamma"),
        ("folders?user=ann", "", "alpha"),
        ("folders?status=mounted", "beta", "alpha beta"),
        ("folders?status=unmounted", "alpha gamma", "gamma"),
        ("groups?user=ann", "", "staff"),
        ("groups?status=with_users", "", "staff"),
        ("groups?status=without_users", "nobody staff", "nobody"),
    ] {
        let path = format!("/api/v2/{path}");
        assert_eq!(told(&sam.get(&path).await).0, for_sam, "{path}");
        assert_eq!(told(&ivy.get(&path).await).0, for_ivy, "{path}");
    }
}
