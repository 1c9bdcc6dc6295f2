//! New users, one by one and from a template, as a browser makes them.

use serde_json::{Value, json};

use super::browser::Browser;
use super::harness::{Client, ROOT, ROOT_PASSWORD, Server};

const NEW: &str = "/web/admin/new-user";
const TEMPLATE: &str = "/web/admin/new-users";

/// A server with these groups, and the administrator in front of it.
async fn with_groups(groups: &[&str]) -> (Server, Client, Browser) {
    let server = Server::start().await;
    let api = server.root().await;
    for name in groups {
        api.post("/api/v2/groups", json!({ "name": name })).await.object(201);
    }
    let browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    (server, api, browser)
}

async fn groups_of(api: &Client, username: &str) -> Value {
    api.get(&format!("/api/v2/users/{username}")).await.object(200)["groups"].clone()
}

#[actix_web::test]
async fn new_users_join_the_groups_of_who_makes_them() {
    let (server, api, _) = with_groups(&["first", "second", "third"]).await;
    let admin = json!({
        "username": "helper", "password": "pass phrase", "status": 1, "permissions": ["add_users"],
        "groups": [
            {"name": "first", "options": {"add_to_users_as": 1}},
            {"name": "second", "options": {"add_to_users_as": 2}},
            {"name": "third", "options": {"add_to_users_as": 0}},
        ],
    });
    api.post("/api/v2/admins", admin).await.object(201);
    let mut browser = server.signed_in("helper", "pass phrase").await;
    for path in [NEW, TEMPLATE] {
        let page = browser.get(path).await;
        let rows: Vec<&str> = page.text.split("<td data-label=\"Membership\">").collect();
        for (at, (name, kind)) in
            [("first", "1"), ("second", "2"), ("third", "3")].iter().enumerate()
        {
            assert!(rows[at].contains(&format!("value=\"{name}\"")), "{path}: {}", page.text);
            let chosen = format!("<option value=\"{kind}\" selected>");
            assert!(rows[at + 1].contains(&chosen), "{path}: {}", page.text);
        }
    }
}

#[actix_web::test]
async fn any_group_can_be_chosen_whatever_its_name() {
    let (_server, api, mut browser) = with_groups(&["one, two", "with space", "plain"]).await;
    let groups = [
        ("groups.0.name", "one, two"),
        ("groups.0.type", "2"),
        ("groups.1.name", "with space"),
        ("groups.1.type", "3"),
        ("groups.2.name", "plain"),
        ("groups.2.type", "1"),
    ];
    let mut fields = vec![
        ("username", "ann"),
        ("password", "x y z"),
        ("home_dir", "/srv/a"),
        ("preset", "full"),
    ];
    fields.extend(groups);
    let done = browser.submit(NEW, NEW, &fields).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let mut fields = vec![("lines", "bob,x y z"), ("home_dir", "/srv/b"), ("preset", "full")];
    fields.extend(groups);
    fields.push(("create", "1"));
    browser.submit(TEMPLATE, TEMPLATE, &fields).await;
    let joined = json!([{"name": "one, two", "type": 2}, {"name": "plain", "type": 1},
        {"name": "with space", "type": 3}]);
    for username in ["ann", "bob"] {
        assert_eq!(groups_of(&api, username).await, joined, "{username}");
    }
}

#[actix_web::test]
async fn a_page_with_more_rows_keeps_what_was_typed_but_the_password() {
    let (_server, api, mut browser) = with_groups(&[]).await;
    let fields = [
        ("username", "ann"),
        ("password", "x y z"),
        ("groups.0.name", "typed"),
        ("groups.0.type", "3"),
        ("more", "groups"),
    ];
    let page = browser.submit(NEW, NEW, &fields).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("value=\"typed\"") && page.text.contains("groups.3.name"));
    assert!(page.text.contains("Type the password again."), "{}", page.text);
    assert_eq!(api.get("/api/v2/users/ann").await.status, 404);
}

#[actix_web::test]
async fn all_that_is_wrong_with_a_new_user_is_told_at_once() {
    let (_server, api, mut browser) = with_groups(&[]).await;
    let taken = json!({ "username": "taken", "status": 1, "password": "x y z",
        "home_dir": "/srv/x", "permissions": {"/": ["*"]} });
    api.post("/api/v2/users", taken).await.object(201);
    let fields = |username, password| {
        [
            ("username", username),
            ("password", password),
            ("email", "no address"),
            ("home_dir", "/srv/x"),
            ("preset", "full"),
            ("quota_size", "much"),
        ]
    };
    let refused = browser.submit(NEW, NEW, &fields(" taken ", "pass phrase")).await;
    assert_eq!(refused.status, 422);
    for told in
        ["This name is taken.", "Type the password again.", "Enter a size", "href=\"#email\""]
    {
        assert!(refused.text.contains(told), "{told}: {}", refused.text);
    }
    let refused = browser.submit(NEW, NEW, &fields("", "")).await;
    for told in ["Enter a name.", "Has neither a password nor a public key.", "Enter a size"] {
        assert!(refused.text.contains(told), "{told}: {}", refused.text);
    }
    assert!(!refused.text.contains("Type the password again."));
}

#[actix_web::test]
async fn nobody_is_made_who_cannot_sign_in() {
    let (_server, api, mut browser) = with_groups(&[]).await;
    let fields = [("username", "ann"), ("home_dir", "/srv/x"), ("preset", "full")];
    let refused = browser.submit(NEW, NEW, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("id=\"password-error\""), "{}", refused.text);
    assert_eq!(api.get("/api/v2/users/ann").await.status, 404);
}
