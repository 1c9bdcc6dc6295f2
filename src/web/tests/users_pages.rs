//! The pages about users, as a browser sees them.

use serde_json::{Value, json};

use super::browser::Browser;
use super::harness::{Answer, Client, ROOT, ROOT_PASSWORD, Server};

const LIST: &str = "/web/admin/users";

/// A server with these users, and the administrator in front of it.
async fn with_users(users: &[Value]) -> (Server, Client, Browser) {
    let server = Server::start().await;
    let api = server.root().await;
    for user in users {
        let mut body = json!({
            "status": 1, "password": "pass phrase", "home_dir": "/srv/x", "permissions": {"/": ["*"]},
        });
        for (key, value) in user.as_object().expect("an object") {
            body[key] = value.clone();
        }
        api.post("/api/v2/users", body).await.object(201);
    }
    let browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    (server, api, browser)
}

async fn user(api: &Client, username: &str) -> Value {
    api.get(&format!("/api/v2/users/{username}")).await.object(200).clone()
}

/// The users of the list, in its order.
fn listed(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text);
    let parts = page.text.split("class=\"pick\" type=\"checkbox\" name=\"user\" value=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap_or_default().to_owned()).collect()
}

/// The value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let at = page.text.find(&marker).unwrap_or_else(|| panic!("no {name} in {}", page.text));
    let value = page.text[at + marker.len()..].split('"').next().unwrap_or_default();
    value.replace("&amp;", "&").replace("&quot;", "\"").replace("&#x27;", "'")
}

/// Sends a tab of a user with the hidden fields of the page.
async fn save(browser: &mut Browser, username: &str, tab: &str, fields: &[(&str, &str)]) -> Answer {
    let path = format!("{LIST}/{username}");
    let page = browser.get(&format!("{path}?tab={tab}")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let (updated_at, base) = (hidden(&page, "updated_at"), hidden(&page, "base"));
    let mut fields = fields.to_vec();
    fields.extend([("tab", tab), ("updated_at", &updated_at), ("base", &base)]);
    browser.submit(&path, &path, &fields).await
}

#[actix_web::test]
async fn the_list_is_searched_sorted_and_cut_into_pages_by_its_address() {
    let users: Vec<Value> = (0..60)
        .map(|n| json!({ "username": format!("user{n:02}"), "description": format!("of {n}") }))
        .collect();
    let (_server, api, mut browser) = with_users(&users).await;
    let page = browser.get(LIST).await;
    assert!(page.text.contains("<strong>60</strong> users"), "{}", page.text);
    assert!(page.text.contains("60 never logged in"), "{}", page.text);
    assert_eq!(listed(&page).len(), 50);
    let second = browser.get(&format!("{LIST}?page=2")).await;
    assert_eq!(listed(&second).first().map(String::as_str), Some("user50"));
    assert!(second.text.contains("51–60 of 60"));
    let last_first = browser.get(&format!("{LIST}?sort=-username&per=25")).await;
    assert_eq!(listed(&last_first)[0], "user59");
    assert!(last_first.text.contains("sort=-username&amp;page=2&amp;per=25"));
    assert_eq!(listed(&browser.get(&format!("{LIST}?q=of%2041")).await), ["user41"]);
    let none = browser.get(&format!("{LIST}?q=nobody")).await;
    assert!(none.text.contains("No user is like this"));
    assert!(browser.get(&format!("{LIST}?page=9")).await.text.contains("This page is empty"));
    // What is hidden is not there.
    let few = browser.get(&format!("{LIST}?cols=email")).await;
    assert!(few.text.contains("data-label=\"E-mail\"") && !few.text.contains("Last login</a>"));
    // The filters of the first line.
    let soon = chrono::Utc::now().timestamp_millis() + 86_400_000;
    let mut body = user(&api, "user07").await;
    body["expiration_date"] = json!(soon);
    api.put("/api/v2/users/user07", body).await.done(200);
    let page = browser.get(LIST).await;
    assert!(page.text.contains("1 expires within 7 days"), "{}", page.text);
    assert_eq!(listed(&browser.get(&format!("{LIST}?status=expiring")).await), ["user07"]);
    assert_eq!(listed(&browser.get(&format!("{LIST}?status=never&q=user07")).await), ["user07"]);
    assert_eq!(browser.get(&format!("{LIST}?status=odd")).await.status, 400);
}

#[actix_web::test]
async fn no_name_of_a_user_is_another_page() {
    let names = ["new", "export", "bulk", "template", "new-user"];
    let users = names.map(|name| json!({ "username": name }));
    let (_server, _api, mut browser) = with_users(&users).await;
    for name in names {
        let page = browser.get(&format!("{LIST}/{name}")).await;
        assert_eq!(page.status, 200, "{name}");
        assert!(page.text.contains(&format!("<h1>{name}")), "{name}: {}", page.text);
    }
}

#[actix_web::test]
async fn a_role_that_is_not_there_is_told_at_the_field() {
    let (_server, api, mut browser) = with_users(&[json!({ "username": "ann" })]).await;
    api.post("/api/v2/roles", json!({ "name": "sales" })).await.object(201);
    let ask = "/web/admin/bulk/users?action=role&user=ann";
    let fields = |role| [("action", "role"), ("user", "ann"), ("to_role", role)];
    let refused = browser.submit(ask, "/web/admin/bulk/users", &fields("ghost")).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("There is no role &quot;ghost&quot;."), "{}", refused.text);
    assert!(refused.text.contains("aria-invalid"), "{}", refused.text);
    let done = browser.submit(ask, "/web/admin/bulk/users", &fields("sales")).await;
    assert_eq!(done.status, 303);
    assert_eq!(user(&api, "ann").await["role"], "sales");
}

#[actix_web::test]
async fn users_expire_as_their_primary_group_says() {
    let (_server, api, mut browser) =
        with_users(&[json!({ "username": "ann" }), json!({ "username": "ben" })]).await;
    let group = json!({ "name": "guests", "user_settings": { "expires_in": 3 } });
    api.post("/api/v2/groups", group).await.object(201);
    let mut body = user(&api, "ann").await;
    body["groups"] = json!([{ "name": "guests", "type": 1 }]);
    api.put("/api/v2/users/ann", body).await.done(200);
    let page = browser.get(&format!("{LIST}?status=expiring&cols=expires")).await;
    assert_eq!(listed(&page), ["ann"]);
    assert!(page.text.contains("by guests"), "{}", page.text);
    assert!(browser.get(LIST).await.text.contains("1 expires within 7 days"));
    let summary = api.get("/api/v2/summary/users").await.object(200).clone();
    let ends = &summary["expiring_next"][0];
    let created = user(&api, "ann").await["created_at"].as_i64().expect("a time");
    let three_days = 3 * 24 * 60 * 60 * 1000;
    assert_eq!(*ends, json!({ "username": "ann", "expiration_date": created + three_days }));
}

#[actix_web::test]
async fn users_near_their_quota_are_found() {
    let users = [
        json!({ "username": "full", "quota_size": 1000 }),
        json!({ "username": "roomy", "quota_size": 1000 }),
        json!({ "username": "free" }),
        json!({ "username": "many", "quota_files": 10 }),
    ];
    let (_server, api, mut browser) = with_users(&users).await;
    for (name, size, files) in
        [("full", 960, 1), ("roomy", 899, 1), ("free", 99_999, 9), ("many", 1, 9)]
    {
        let body = json!({ "used_quota_size": size, "used_quota_files": files });
        let path = format!("/api/v2/quotas/users/{name}/usage?mode=reset");
        let answer = api.put(&path, body).await;
        assert!(matches!(answer.status, 200 | 403), "{}", answer.text);
    }
    let page = browser.get(&format!("{LIST}?status=quota")).await;
    assert_eq!(listed(&page), ["full", "many"]);
    assert!(page.text.contains("96%") && page.text.contains("class=\"meter bad\""));
}

#[actix_web::test]
async fn names_never_become_markup() {
    let hostile = "<script>alert(1)</script>";
    let bidi = "a\u{202e}gpj.exe";
    let users = [
        json!({ "username": "plain", "description": hostile, "email": "" }),
        json!({ "username": "other", "description": bidi, "additional_info": hostile }),
    ];
    let (_server, _api, mut browser) = with_users(&users).await;
    let mut pages = vec![browser.get(LIST).await, browser.get(&format!("{LIST}/other")).await];
    pages.push(browser.get(&format!("{LIST}?q=%3Cscript%3Ealert(1)%3C/script%3E")).await);
    pages.push(browser.get(&format!("{LIST}/plain?find=%3Cscript%3Ealert(1)")).await);
    let ask = "/web/admin/bulk/users?action=delete&user=%3Cscript%3Ealert(1)".to_owned();
    pages.push(browser.get(&ask).await);
    for page in &pages {
        assert_eq!(page.status, 200);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
    }
    assert!(pages[0].text.contains("a⟨U+202E⟩gpj.exe"), "{}", pages[0].text);
}

#[actix_web::test]
async fn a_new_user_is_made_and_mistakes_are_told_at_their_fields() {
    let (_server, api, mut browser) = with_users(&[json!({ "username": "taken" })]).await;
    let new = "/web/admin/new-user".to_owned();
    let fields = [
        ("username", "ann"),
        ("password", "a new pass phrase"),
        ("email", "not an address"),
        ("home_dir", "/srv/ann"),
        ("preset", "read"),
        ("quota_size", "1.5 GiB"),
        ("quota_size_unit", "GB"),
        ("expiration_date", "2030-01-02T03:04"),
    ];
    let refused = browser.submit(&new, &new, &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("href=\"#email\""), "{}", refused.text);
    assert!(refused.text.contains("value=\"not an address\""));
    assert!(!refused.text.contains("a new pass phrase"), "a password is never shown");
    let mut fields = fields.to_vec();
    fields[2].1 = "ann@example.org";
    let done = browser.submit(&new, &new, &fields).await;
    assert_eq!((done.status, done.header("Location")), (303, "/web/admin/users/ann"));
    let ann = user(&api, "ann").await;
    assert_eq!(ann["quota_size"], 1_610_612_736_i64);
    assert_eq!(ann["expiration_date"], 1_893_553_440_000_i64);
    assert_eq!(ann["permissions"], json!({ "/": ["list", "download"] }));
    assert_eq!(ann["has_password"], true);
    fields[0].1 = "taken";
    let refused = browser.submit(&new, &new, &fields).await;
    assert!(refused.status == 422 && refused.text.contains("This name is taken."));
}

#[actix_web::test]
async fn a_tab_changes_its_own_fields_and_nothing_else() {
    let bob = json!({
        "username": "bob", "email": "bob@example.org", "quota_files": 7,
        "permissions": {"/": ["*"], "/a": ["delete"]},
        "filters": {"allowed_ip": ["10.0.0.0/8"], "denied_login_methods": ["TLSCertificate"]},
    });
    let (_server, api, mut browser) = with_users(&[bob]).await;
    let before = user(&api, "bob").await;
    let fields = [("quota_size", "10"), ("quota_size_unit", "GB"), ("quota_files", "8")];
    let answer = save(&mut browser, "bob", "limits", &fields).await;
    assert_eq!(answer.header("Location"), "/web/admin/users/bob?tab=limits", "{}", answer.text);
    let mut after = user(&api, "bob").await;
    assert_eq!(
        (&after["quota_size"], &after["quota_files"]),
        (&json!(10_000_000_000_i64), &json!(8))
    );
    for key in ["quota_size", "quota_files", "updated_at", "last_password_change"] {
        after[key] = before[key].clone();
    }
    assert_eq!(after, before);
    // The password is still the one that was set.
    let rows = [
        ("permissions.0.dir", "/"),
        ("permissions.0.preset", "full"),
        ("permissions.0.allow", "list"),
        ("permissions.1.dir", ""),
        ("permissions.1.preset", "full"),
        ("permissions.2.dir", "/new"),
        ("permissions.2.allow", "list"),
    ];
    let answer = save(&mut browser, "bob", "permissions", &rows).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let after = user(&api, "bob").await;
    // The preset is as it was and the ticks are not: they decide.
    assert_eq!(after["permissions"], json!({ "/": ["list"], "/new": ["list"] }));
    assert_eq!(after["has_password"], true);
    assert_eq!(after["filters"]["denied_login_methods"], json!(["TLSCertificate"]));
}

#[actix_web::test]
async fn what_cannot_be_saved_is_kept_in_the_form() {
    let (_server, api, mut browser) = with_users(&[json!({ "username": "bob" })]).await;
    let before = user(&api, "bob").await;
    for (tab, field, typed, shown) in [
        ("limits", "quota_size", "ten", "Enter a size"),
        ("network", "allowed_ip", "10.0.0.0/99", "href=\"#allowed_ip\""),
        ("sign-in", "public_keys.0.line", "ssh-rsa broken", "href=\"#public_keys\""),
        ("permissions", "permissions.0.dir", "relative", "Enter a directory"),
        ("storage", "virtual_folders.0.name", "absent", "Enter where it is mounted"),
        ("profile", "expiration_date", "someday", "Enter a date and time"),
    ] {
        let answer = save(&mut browser, "bob", tab, &[(field, typed)]).await;
        assert_eq!(answer.status, 422, "{tab}: {}", answer.text);
        assert!(answer.text.contains(typed) && answer.text.contains(shown), "{}", answer.text);
    }
    assert_eq!(user(&api, "bob").await, before);
    // More rows are a page, not a change.
    let more = [("groups.0.name", "typed"), ("more", "groups")];
    let answer = save(&mut browser, "bob", "profile", &more).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("value=\"typed\"") && answer.text.contains("groups.3.name"));
    assert_eq!(user(&api, "bob").await, before);
}

#[actix_web::test]
async fn two_people_who_change_the_same_are_told() {
    let (_server, api, mut browser) = with_users(&[json!({ "username": "bob" })]).await;
    let path = format!("{LIST}/bob");
    let page = browser.get(&format!("{path}?tab=profile")).await;
    let (updated_at, base) = (hidden(&page, "updated_at"), hidden(&page, "base"));
    let token = hidden(&page, "_csrf");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let mut body = user(&api, "bob").await;
    body["description"] = json!("of somebody else");
    body["email"] = json!("new@example.org");
    api.put("/api/v2/users/bob", body).await.done(200);
    let fields = |description| {
        [
            ("_csrf", token.as_str()),
            ("tab", "profile"),
            ("updated_at", updated_at.as_str()),
            ("base", base.as_str()),
            ("status", "1"),
            ("description", description),
        ]
    };
    let clash = browser.post(&path, &fields("mine")).await;
    assert_eq!(clash.status, 409, "{}", clash.text);
    assert!(clash.text.contains("<td>of somebody else</td><td>mine</td>"), "{}", clash.text);
    // What only the other has changed is in the form now.
    assert!(clash.text.contains("value=\"new@example.org\""));
    assert_eq!(user(&api, "bob").await["description"], "of somebody else");
    // The form that came back saves.
    let answer = {
        let (updated_at, base) = (hidden(&clash, "updated_at"), hidden(&clash, "base"));
        let mut fields = fields("mine").to_vec();
        fields[2].1 = &updated_at;
        fields[3].1 = &base;
        fields.push(("email", "new@example.org"));
        browser.post(&path, &fields).await
    };
    assert_eq!(answer.status, 303, "{}", answer.text);
    let bob = user(&api, "bob").await;
    assert_eq!((&bob["description"], &bob["email"]), (&json!("mine"), &json!("new@example.org")));
    // Another tab is not in the way.
    let token = hidden(&page, "_csrf");
    let limits = [
        ("_csrf", token.as_str()),
        ("tab", "limits"),
        ("updated_at", updated_at.as_str()),
        ("base", "quota_size=&quota_size_unit=GB&max_upload_file_size_unit=GB"),
        ("max_sessions", "2"),
    ];
    assert_eq!(browser.post(&path, &limits).await.status, 303);
    assert_eq!(user(&api, "bob").await["max_sessions"], 2);
}

#[actix_web::test]
async fn many_users_are_changed_after_a_question() {
    let users: Vec<Value> = (0..12).map(|n| json!({ "username": format!("user{n:02}") })).collect();
    let (_server, api, mut browser) = with_users(&users).await;
    let bulk = "/web/admin/bulk/users".to_owned();
    let ask = format!("{bulk}?action=disable&user=user00&user=user01");
    let question = browser.get(&ask).await;
    assert!(question.text.contains("Disable 2 users"), "{}", question.text);
    assert!(question.text.contains("<li>user00</li>"));
    assert_eq!(user(&api, "user00").await["status"], 1, "a question changes nothing");
    let fields = [("action", "disable"), ("user", "user00"), ("user", "user01")];
    let answer = browser.submit(&ask, &bulk, &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, LIST));
    assert!(browser.get(LIST).await.text.contains("2 users were disabled."));
    assert_eq!(user(&api, "user01").await["status"], 0);
    let filtered = [("action", "enable"), ("all", "1"), ("status", "disabled")];
    browser.submit(&ask, &bulk, &filtered).await;
    assert_eq!(user(&api, "user01").await["status"], 1);
    let expiry = [("action", "expire"), ("user", "user02"), ("expiration_date", "2030-01-01")];
    browser.submit(&ask, &bulk, &expiry).await;
    assert_eq!(user(&api, "user02").await["expiration_date"], 1_893_542_399_000_i64);
    let wrong = [("action", "expire"), ("user", "user02"), ("expiration_date", "soon")];
    assert_eq!(browser.submit(&ask, &bulk, &wrong).await.status, 422);
    let gone = [("action", "group"), ("user", "user02"), ("to_group", "absent")];
    browser.submit(&ask, &bulk, &gone).await;
    assert!(browser.get(LIST).await.text.contains("0 of 1 user added to the group."));
    // More than ten are deleted only by who has typed how many.
    let all = format!("{bulk}?action=delete&all=1");
    let question = browser.get(&all).await;
    assert!(question.text.contains("Type 12 to go on"), "{}", question.text);
    let delete = [("action", "delete"), ("all", "1"), ("typed", "11")];
    assert_eq!(browser.submit(&all, &bulk, &delete).await.status, 422);
    assert_eq!(listed(&browser.get(LIST).await).len(), 12);
    let delete = [("action", "delete"), ("all", "1"), ("typed", "12")];
    assert_eq!(browser.submit(&all, &bulk, &delete).await.status, 303);
    assert!(browser.get(LIST).await.text.contains("There are no users yet"));
    assert_eq!(browser.get(&format!("{bulk}?action=explode&user=x")).await.status, 400);
    assert_eq!(browser.get(&format!("{bulk}?action=delete")).await.status, 303);
}

#[actix_web::test]
async fn an_export_has_those_who_are_asked_for_and_no_formula() {
    let users = [
        json!({ "username": "ann", "description": "=HYPERLINK(\"x\")" }),
        json!({ "username": "bob", "password": "pass phrase" }),
    ];
    let (_server, _api, mut browser) = with_users(&users).await;
    let csv = browser.get("/web/admin/export/users?format=csv").await;
    assert!(csv.header("Content-Disposition").contains("attachment"));
    assert!(csv.text.contains("\"'=HYPERLINK("), "{}", csv.text);
    assert_eq!(csv.text.lines().count(), 3);
    let one = browser.get("/web/admin/export/users?format=json&user=bob").await;
    assert_eq!(one.json.as_array().map(Vec::len), Some(1));
    assert!(!one.text.contains("\"password\""));
    assert_eq!(browser.get("/web/admin/export/users?q=ann").await.text.lines().count(), 2);
}

#[actix_web::test]
async fn who_has_a_role_sees_only_its_own_users() {
    let server = Server::start().await;
    let api = server.root().await;
    for role in ["north", "south"] {
        api.post("/api/v2/roles", json!({ "name": role })).await.object(201);
        let body = json!({ "username": format!("{role}er"), "status": 1, "role": role,
            "home_dir": "/srv/x", "permissions": {"/": ["*"]} });
        api.post("/api/v2/users", body).await.object(201);
    }
    let admin = json!({ "username": "helper", "password": "pass phrase", "status": 1, "role": "north",
        "permissions": ["view_users", "edit_users", "del_users"] });
    api.post("/api/v2/admins", admin).await.object(201);
    let mut browser = server.signed_in("helper", "pass phrase").await;
    assert_eq!(listed(&browser.get(LIST).await), ["norther"]);
    assert_eq!(browser.get(&format!("{LIST}/souther")).await.status, 404);
    let export = browser.get("/web/admin/export/users?role=south").await;
    assert!(!export.text.contains("souther"), "{}", export.text);
    let ask = "/web/admin/bulk/users?action=delete&user=norther".to_owned();
    let fields = [("action", "delete"), ("user", "souther")];
    browser.submit(&ask, "/web/admin/bulk/users", &fields).await;
    assert!(browser.get(LIST).await.text.contains("0 of 1 user deleted."));
    assert_eq!(user(&api, "souther").await["username"], "souther");
    let page = browser.get(&format!("{LIST}/norther")).await;
    assert!(page.text.contains("type=\"hidden\" name=\"role\" value=\"north\""));
}

#[actix_web::test]
async fn without_the_permission_there_is_no_button_and_no_act() {
    let (server, api, mut root) = with_users(&[json!({ "username": "bob" })]).await;
    server.admin_with("viewer", &["view_users"]).await;
    server.admin_with("nobody", &["view_conns"]).await;
    let mut viewer = server.signed_in("viewer", "pass phrase").await;
    let list = viewer.get(LIST).await;
    for absent in ["Add user", "Delete…", "Disable…", "Kill sessions"] {
        assert!(!list.text.contains(absent), "{absent}");
    }
    let page = viewer.get(&format!("{LIST}/bob")).await;
    assert!(page.text.contains("<fieldset disabled>") && !page.text.contains("Save changes"));
    for path in
        ["new-user", "new-users", "bulk/users?action=delete&user=bob", "users/bob/two-factor"]
    {
        assert_eq!(viewer.get(&format!("/web/admin/{path}")).await.status, 403, "{path}");
    }
    let token = hidden(&page, "_csrf");
    for path in ["users/bob", "users/bob/status", "new-user", "new-users", "users/bob/two-factor"] {
        let fields = [("_csrf", token.as_str()), ("tab", "profile"), ("status", "0")];
        let answer = viewer.post(&format!("/web/admin/{path}"), &fields).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    for action in ["enable", "disable", "expire", "group", "role", "kill", "delete"] {
        let fields = [("_csrf", token.as_str()), ("action", action), ("user", "bob")];
        assert_eq!(viewer.post("/web/admin/bulk/users", &fields).await.status, 403, "{action}");
    }
    let mut nobody = server.signed_in("nobody", "pass phrase").await;
    assert_eq!(nobody.get(LIST).await.status, 403);
    assert!(!nobody.get("/web/admin").await.text.contains(">Users<"));
    // Nor does a form without the token of the session do anything.
    let forged = root.post(&format!("{LIST}/bob/status"), &[("status", "0")]).await;
    assert_eq!(forged.status, 403);
    assert_eq!(user(&api, "bob").await["status"], 1);
}

#[actix_web::test]
async fn a_template_is_shown_before_it_makes_users() {
    let (_server, api, mut browser) = with_users(&[json!({ "username": "taken" })]).await;
    let path = "/web/admin/new-users".to_owned();
    let lines = "ann,ann's own\r\nbob\r\ntaken,x y z\r\nann,again\r\ncid,,ssh-rsa broken\r\na/b,pw";
    let mut fields = vec![
        ("lines", lines),
        ("password_pattern", "%password%"),
        ("home_dir", "/srv/%username%"),
        ("email", "%username%@example.org"),
        ("preset", "drop"),
        ("quota_size", "1"),
        ("quota_size_unit", "GB"),
    ];
    let preview = browser.submit(&path, &path, &fields).await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    for told in [
        "Create 1 user<",
        "Has neither a password nor a public key.",
        "This name is taken.",
        "Is listed twice.",
        "Public key: ",
    ] {
        assert!(preview.text.contains(told), "{told}: {}", preview.text);
    }
    assert_eq!(api.get("/api/v2/users/ann").await.status, 404, "a preview changes nothing");
    fields.push(("create", "1"));
    let results = browser.submit(&path, &path, &fields).await;
    assert!(
        results.text.contains("<strong>1</strong> of 6 users were created."),
        "{}",
        results.text
    );
    assert!(!results.text.contains("ann&#x27;s own"), "passwords are not shown again");
    let ann = user(&api, "ann").await;
    assert_eq!((&ann["home_dir"], &ann["email"]), (&json!("/srv/ann"), &json!("ann@example.org")));
    assert_eq!(ann["permissions"], json!({ "/": ["list", "upload", "create_dirs"] }));
    fields[2].1 = "/srv/all";
    assert_eq!(browser.submit(&path, &path, &fields).await.status, 422);
    fields[2].1 = "/srv/%username%";
    fields[3].1 = "%password%@example.org";
    assert_eq!(browser.submit(&path, &path, &fields).await.status, 422);
}

#[actix_web::test]
async fn settings_are_found_and_those_of_groups_named() {
    let server = Server::start().await;
    let api = server.root().await;
    let group = json!({ "name": "design", "user_settings": { "quota_size": 5_000_000_000_i64,
        "permissions": {"/brand": ["list"]} } });
    api.post("/api/v2/groups", group).await.object(201);
    let bob = json!({ "username": "bob", "status": 1, "home_dir": "/srv/bob",
        "permissions": {"/": ["*"]}, "groups": [{"name": "design", "type": 1}] });
    api.post("/api/v2/users", bob).await.object(201);
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let path = format!("{LIST}/bob");
    let found = browser.get(&format!("{path}?find=largest")).await;
    assert_eq!(found.header("Location"), "/web/admin/users/bob?tab=limits#max_upload_file_size");
    let several = browser.get(&format!("{path}?find=quota")).await;
    assert!(several.text.contains("?tab=limits#quota_files"), "{}", several.text);
    let limits = browser.get(&format!("{path}?tab=limits")).await;
    assert!(limits.text.contains("from group design: 5 GB"), "{}", limits.text);
    let permissions = browser.get(&format!("{path}?tab=permissions")).await;
    assert!(permissions.text.contains("Custom, from group design"), "{}", permissions.text);
    let effective = browser.get(&format!("{path}?tab=effective")).await;
    assert!(effective.text.contains("<td class=\"mono wrap\">/brand: list</td>"));
    // What the group gives is not written into the user.
    let answer = save(&mut browser, "bob", "limits", &[("quota_files", "3")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(user(&api, "bob").await["quota_size"], 0);
}
