use actix_web::http::Method;
use serde_json::{Value, json};

use super::connections::uploader;
use super::harness::{Client, Options, Server};
use crate::web::request::token::VALIDATION_ACCOUNT_UNCHANGED;
use crate::web::routes::TABLE;
use crate::web::url::API;

/// All that an administrator with a role may hold.
const EVERYTHING_OF_A_ROLE: [&str; 17] = [
    "add_users",
    "edit_users",
    "del_users",
    "view_users",
    "view_conns",
    "close_conns",
    "view_status",
    "manage_folders",
    "manage_groups",
    "manage_apikeys",
    "quota_scans",
    "manage_defender",
    "view_defender",
    "retention_checks",
    "metadata_checks",
    "manage_ip_lists",
    "disable_mfa",
];

fn user(username: &str, role: &str) -> Value {
    json!({
        "username": username, "password": "pass phrase", "status": 1,
        "home_dir": format!("/srv/{username}"), "permissions": {"/": ["*"]}, "role": role,
    })
}

fn admin(username: &str, role: &str, permissions: &[&str]) -> Value {
    json!({
        "username": username, "password": "pass phrase", "status": 1,
        "permissions": permissions, "role": role,
    })
}

/// Two roles: ann and alice have `sales`, bob has `it`, carol has none; and sam, an
/// administrator of `sales` with everything that a role allows.
async fn two_roles(server: &Server) -> (Client, Client) {
    let root = server.root().await;
    for role in ["sales", "it"] {
        root.post("/api/v2/roles", json!({"name": role})).await.object(201);
    }
    for (name, role) in [("ann", "sales"), ("alice", "sales"), ("bob", "it"), ("carol", "")] {
        root.post("/api/v2/users", user(name, role)).await.object(201);
    }
    root.post("/api/v2/admins", admin("sam", "sales", &EVERYTHING_OF_A_ROLE)).await.object(201);
    let sam = server.login("sam", "pass phrase").await;
    (root, sam)
}

/// The values of `key` in a list.
async fn listed(client: &Client, path: &str, key: &str) -> Vec<String> {
    let answer = client.get(path).await;
    let list = answer.object(200).as_array().expect("a list");
    list.iter().map(|object| object[key].as_str().expect("a name").to_owned()).collect()
}

#[actix_web::test]
async fn the_life_of_a_role() {
    let server = Server::start().await;
    let root = server.root().await;
    let body = json!({"name": "sales", "description": "d", "users": ["ghost"], "id": 99});
    let answer = root.post("/api/v2/roles", body).await;
    let created = answer.object(201);
    assert_eq!(answer.header("Location"), "/api/v2/roles/sales");
    assert_eq!(created["description"], json!("d"));
    assert!(created["created_at"].as_i64().is_some_and(|time| time > 0));
    assert_eq!(created.get("users"), None, "who has it is not the caller's to say");
    root.post("/api/v2/roles", json!({"name": "sales"})).await.refused(409);
    let refused = root.post("/api/v2/roles", json!({"name": ""})).await;
    assert!(refused.refused(400).contains("name"), "{}", refused.text);

    root.post("/api/v2/users", user("ann", "sales")).await.object(201);
    root.post("/api/v2/admins", admin("sam", "sales", &["view_users"])).await.object(201);
    root.put("/api/v2/roles/sales", json!({"name": "x", "description": "new"})).await.done(200);
    let answer = root.get("/api/v2/roles/sales").await;
    let role = answer.object(200);
    assert_eq!(
        (&role["description"], &role["users"], &role["admins"]),
        (&json!("new"), &json!(["ann"]), &json!(["sam"]))
    );
    assert_eq!((&role["id"], &role["created_at"]), (&created["id"], &created["created_at"]));
    assert_eq!(listed(&root, "/api/v2/roles", "name").await, ["sales"]);

    let answer = root.delete("/api/v2/roles/sales").await;
    assert!(answer.refused(409).contains("\"sam\""), "{}", answer.text);
    root.delete("/api/v2/admins/sam").await.done(200);
    root.delete("/api/v2/roles/sales").await.done(200);
    assert_eq!(root.get("/api/v2/users/ann").await.object(200).get("role"), None);
    root.get("/api/v2/roles/sales").await.refused(404);
    root.put("/api/v2/roles/sales", json!({})).await.refused(404);
    root.delete("/api/v2/roles/sales").await.refused(404);
}

#[actix_web::test]
async fn roles_are_for_who_may_manage_them() {
    let server = Server::start().await;
    let (_, sam) = two_roles(&server).await;
    let keeper = server.admin_with("keeper", &["manage_roles"]).await;
    keeper.get("/api/v2/roles/it").await.object(200);
    keeper.get("/api/v2/users").await.refused(403);
    for other in [sam, server.admin_with("other", &["manage_admins", "view_users"]).await] {
        other.get("/api/v2/roles").await.refused(403);
        other.get("/api/v2/roles/it").await.refused(403);
        other.post("/api/v2/roles", json!({"name": "x"})).await.refused(403);
        other.put("/api/v2/roles/it", json!({})).await.refused(403);
        other.delete("/api/v2/roles/it").await.refused(403);
    }
}

#[actix_web::test]
async fn a_user_of_another_role_is_like_one_that_does_not_exist() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    let before = root.get("/api/v2/users").await.json;
    let mut tried = 0;
    for (path, methods) in TABLE {
        if !path.contains("{username}") || path.starts_with("/admins") {
            continue;
        }
        for method in *methods {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let call = async |name: &str| {
                let path = format!("{API}{}", path.replace("{username}", name));
                let body = user(name, "").to_string();
                let answer = sam.send(method.clone(), &path, &body).await;
                (answer.status, answer.text.replace(name, "?"))
            };
            let missing = call("nobody").await;
            assert_eq!(missing.0, 404, "{method} {path}: {}", missing.1);
            for other in ["bob", "carol"] {
                assert_eq!(call(other).await, missing, "{method} {path} of {other}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 5, "only {tried} calls were tried");
    // Their older names carry the user in the body.
    for (method, path) in [(Method::POST, "quota-scans"), (Method::PUT, "quota-update")] {
        for name in ["nobody", "bob", "carol"] {
            let body = json!({"username": name, "used_quota_size": 1}).to_string();
            let answer = sam.send(method.clone(), &format!("{API}/{path}"), &body).await;
            assert_eq!(answer.refused(404), format!("user \"{name}\" does not exist"));
        }
    }
    assert_eq!(root.get("/api/v2/users").await.json, before);
    assert_eq!(listed(&root, "/api/v2/quotas/users/scans", "username").await, [""; 0]);
}

#[actix_web::test]
async fn an_administrator_with_a_role_manages_its_users() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    assert_eq!(listed(&sam, "/api/v2/users", "username").await, ["alice", "ann"]);
    assert_eq!(listed(&sam, "/api/v2/users?limit=1&offset=1", "username").await, ["ann"]);
    assert_eq!(listed(&root, "/api/v2/users", "username").await, ["alice", "ann", "bob", "carol"]);
    sam.get("/api/v2/users/ann").await.object(200);

    // New users inherit the role, changed ones keep it, whether it is given or not.
    for (name, role) in [("eve", ""), ("eva", "sales")] {
        let answer = sam.post("/api/v2/users", user(name, role)).await;
        assert_eq!(answer.object(201)["role"], json!("sales"));
        sam.put(&format!("/api/v2/users/{name}"), user(name, role)).await.done(200);
        let answer = root.get(&format!("/api/v2/users/{name}")).await;
        assert_eq!(answer.object(200)["role"], json!("sales"));
    }
    sam.post("/api/v2/quotas/users/eve/scan", json!(null)).await.done(202);
    assert_eq!(listed(&sam, "/api/v2/quotas/users/scans", "username").await, ["eve"]);
    sam.put("/api/v2/quotas/users/eva/usage", json!({"used_quota_size": 5})).await.done(200);
    sam.delete("/api/v2/users/eva").await.done(200);
    root.get("/api/v2/users/eva").await.refused(404);
}

#[actix_web::test]
async fn an_administrator_with_a_role_cannot_get_out_of_it() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    let before = root.get("/api/v2/dumpdata?output-data=1").await.json;
    let all = &["*"];
    let dump = json!({"admins": [admin("sam", "", all)], "users": [user("bob", "sales")]});
    for (what, answer, status) in [
        ("create for another", sam.post("/api/v2/users", user("eve", "it")).await, 403),
        ("create for a ghost", sam.post("/api/v2/users", user("eve", "ghost")).await, 403),
        ("take over", sam.post("/api/v2/users", user("bob", "sales")).await, 409),
        ("give away", sam.put("/api/v2/users/ann", user("ann", "it")).await, 403),
        ("rename over", sam.put("/api/v2/users/bob", user("ann", "sales")).await, 404),
        ("promote itself", sam.put("/api/v2/admins/sam", admin("sam", "", all)).await, 403),
        ("read itself", sam.get("/api/v2/admins/sam").await, 403),
        ("read the others", sam.get("/api/v2/admins").await, 403),
        ("make a puppet", sam.post("/api/v2/admins", admin("puppet", "", all)).await, 403),
        ("unmake root", sam.delete("/api/v2/admins/root").await, 403),
        ("free itself", sam.delete("/api/v2/roles/sales").await, 403),
        ("dump", sam.get("/api/v2/dumpdata?output-data=1").await, 403),
        ("dump to a file", sam.get("/api/v2/dumpdata?output-file=x.json").await, 403),
        ("load", sam.post("/api/v2/loaddata", dump).await, 403),
        ("load a file", sam.get("/api/v2/loaddata?input-file=/etc/passwd").await, 403),
    ] {
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
    }
    assert_eq!(root.get("/api/v2/dumpdata?output-data=1").await.json, before);
    // Whether a role exists is not told either.
    let told = sam.post("/api/v2/users", user("eve", "it")).await.error().to_owned();
    assert_eq!(sam.post("/api/v2/users", user("eve", "ghost")).await.error(), told);
}

#[actix_web::test]
async fn a_role_excludes_what_reaches_beyond_it() {
    let server = Server::start().await;
    let (root, _) = two_roles(&server).await;
    for permission in
        ["*", "manage_admins", "manage_system", "manage_event_rules", "manage_roles", "view_events"]
    {
        let body = admin("max", "it", &["view_users", permission]);
        let answer = root.post("/api/v2/admins", body.clone()).await;
        let told = answer.refused(400);
        assert!(told.contains(&format!("permissions: \"{permission}\"")), "{told}");
        root.put("/api/v2/admins/sam", body.clone()).await.refused(400);
        let dump = json!({"admins": [body]});
        assert!(root.post("/api/v2/loaddata", dump).await.refused(400).contains(permission));
    }
    for (body, path) in
        [(admin("max", "ghost", &["view_users"]), "admins"), (user("max", "ghost"), "users")]
    {
        let answer = root.post(&format!("/api/v2/{path}"), body).await;
        assert!(
            answer.refused(400).contains("role: there is no role \"ghost\""),
            "{}",
            answer.text
        );
    }
}

#[actix_web::test]
async fn a_new_role_narrows_a_token_at_once() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    let max = server.admin_with("max", &["view_users", "edit_users"]).await;
    assert_eq!(listed(&max, "/api/v2/users", "username").await.len(), 4);
    max.put("/api/v2/users/carol", user("carol", "it")).await.done(200);

    let narrowed = admin("max", "sales", &["view_users", "edit_users"]);
    root.put("/api/v2/admins/max", narrowed).await.done(200);
    assert_eq!(listed(&max, "/api/v2/users", "username").await, ["alice", "ann"]);
    max.put("/api/v2/users/carol", user("carol", "")).await.refused(404);

    // Moving a user takes it out of reach and puts it in the reach of others.
    root.put("/api/v2/users/ann", user("ann", "it")).await.done(200);
    for gone in [&max, &sam] {
        gone.get("/api/v2/users/ann").await.refused(404);
    }
    root.put("/api/v2/admins/sam", admin("sam", "it", &["view_users"])).await.done(200);
    assert_eq!(listed(&sam, "/api/v2/users", "username").await, ["ann", "bob", "carol"]);
}

#[actix_web::test]
async fn a_new_role_ends_tokens_that_are_bound_to_the_account() {
    let options = Options { token_validation: VALIDATION_ACCOUNT_UNCHANGED, ..Options::default() };
    let server = Server::with(options).await;
    let (root, sam) = two_roles(&server).await;
    sam.get("/api/v2/users").await.object(200);
    // The time of the change has milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    root.put("/api/v2/admins/sam", admin("sam", "it", &["view_users"])).await.done(200);
    sam.get("/api/v2/users").await.refused(401);
}

#[actix_web::test]
async fn sessions_of_other_roles_are_neither_seen_nor_closed() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    let ann = uploader(&server, "ann").await;
    let bob = uploader(&server, "bob").await;
    let ghost = uploader(&server, "gone").await;
    assert_eq!(listed(&root, "/api/v2/connections", "username").await.len(), 3);
    assert_eq!(listed(&sam, "/api/v2/connections", "username").await, ["ann"]);

    let missing = sam.delete("/api/v2/connections/SFTP_00_1").await;
    for id in [
        bob.session.id().to_string(),
        bob.connection.id().to_string(),
        ghost.session.id().to_string(),
        ghost.connection.id().to_string(),
    ] {
        let answer = sam.delete(&format!("/api/v2/connections/{id}")).await;
        assert_eq!(answer.refused(404), missing.error().replace("SFTP_00_1", &id));
    }
    let ids = json!([bob.session.id(), ghost.session.id(), bob.connection.id().to_string()]);
    let body = json!({"action": "close", "connection_ids": ids});
    let answer = sam.post("/api/v2/bulk/connections", body).await;
    let results = answer.object(200).as_array().expect("a list");
    assert!(results.iter().all(|result| result["status"] == json!(404)), "{results:?}");
    sam.delete("/api/v2/users/bob/connections").await.refused(404);
    sam.get("/api/v2/throughput").await.refused(403);
    assert!(!bob.connection.kill_switch().is_fired());
    assert!(!ghost.connection.kill_switch().is_fired());
    sam.delete(&format!("/api/v2/connections/{}", ann.session.id())).await.done(200);
    assert!(ann.connection.kill_switch().is_fired());
}

#[actix_web::test]
async fn folders_and_groups_name_only_users_of_the_role() {
    let server = Server::start().await;
    let (root, sam) = two_roles(&server).await;
    let folder = json!({"name": "shared", "mapped_path": "/srv/shared"});
    root.post("/api/v2/folders", folder).await.object(201);
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
    for (name, role) in [("ann", "sales"), ("bob", "it")] {
        let mut member = user(name, role);
        member["virtual_folders"] = json!([{"name": "shared", "virtual_path": "/shared"}]);
        member["groups"] = json!([{"name": "staff", "type": 2}]);
        root.put(&format!("/api/v2/users/{name}"), member).await.done(200);
    }
    let mut keeper = admin("keeper", "", &["view_users"]);
    keeper["groups"] = json!([{"name": "staff", "options": {}}]);
    root.post("/api/v2/admins", keeper).await.object(201);

    for (path, all) in
        [("/api/v2/folders", json!(["ann", "bob"])), ("/api/v2/groups", json!(["ann", "bob"]))]
    {
        let name = if path.ends_with("folders") { "shared" } else { "staff" };
        for (client, users) in [(&root, &all), (&sam, &json!(["ann"]))] {
            let list = client.get(path).await;
            let one = client.get(&format!("{path}/{name}")).await;
            for object in [&list.object(200)[0], one.object(200)] {
                assert_eq!(&object["users"], users, "{object}");
            }
            assert_eq!(one.text.contains("keeper"), client.token == root.token && name == "staff");
            assert_eq!(list.text.contains("keeper"), client.token == root.token && name == "staff");
        }
    }
    let answer = sam.get("/api/v2/users/ann").await;
    assert!(!answer.object(200).to_string().contains("bob"), "{}", answer.text);

    // Nor does a refusal.
    let told = sam.delete("/api/v2/groups/staff").await;
    assert_eq!(told.refused(409), "group \"staff\": users are in it");
    assert!(root.delete("/api/v2/groups/staff").await.refused(409).contains("bob"));
}

#[actix_web::test]
async fn dumps_carry_roles() {
    let server = Server::start().await;
    let (root, _) = two_roles(&server).await;
    let dump = root.get("/api/v2/dumpdata?output-data=1").await.json;
    let names: Vec<&Value> =
        dump["roles"].as_array().expect("roles").iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["it", "sales"]);
    let users_only = root.get("/api/v2/dumpdata?output-data=1&scopes=users").await.json;
    assert_eq!(users_only["roles"], json!([]));
    let refused = root.post("/api/v2/loaddata", users_only.clone()).await;
    refused.done(200);

    let fresh = Server::start().await;
    let root = fresh.root().await;
    let answer = root.post("/api/v2/loaddata", users_only).await;
    assert!(answer.refused(400).contains("there is no role"), "{}", answer.text);
    root.post("/api/v2/loaddata", dump).await.done(200);
    let sam = fresh.login("sam", "pass phrase").await;
    assert_eq!(listed(&sam, "/api/v2/users", "username").await, ["alice", "ann"]);
}
