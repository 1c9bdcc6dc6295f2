//! The pages of folders, groups, roles and admins, of quota scans and of the permission
//! tester, as a browser without script sees them.

use serde_json::{Value, json};

use super::browser::{Browser, token_of};
use super::connections::uploader;
use super::harness::{Answer, Client, ROOT, ROOT_PASSWORD, Server, eventually};
use crate::model::Folder;

async fn start() -> (Server, Client, Browser) {
    let server = Server::start().await;
    let root = server.root().await;
    let browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    (server, root, browser)
}

/// The value of a hidden field or input.
fn value_of<'a>(page: &'a Answer, name: &str) -> &'a str {
    let marker = format!("name=\"{name}\" value=\"");
    let at = page.text.find(&marker).unwrap_or_else(|| panic!("no {name} in {}", page.text));
    page.text[at + marker.len()..].split('"').next().unwrap_or_default()
}

/// Loads the form at `path` and sends it with these fields.
async fn fill_in(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let page = browser.get(path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let token = token_of(&page);
    let mut fields = fields.to_vec();
    fields.push(("_csrf", &token));
    if page.text.contains("name=\"seen\"") {
        fields.push(("seen", value_of(&page, "seen")));
    }
    browser.post(path, &fields).await
}

async fn add_user(root: &Client, username: &str, more: Value) {
    let mut user = json!({
        "username": username, "status": 1, "home_dir": format!("/srv/{username}"),
        "permissions": {"/": ["list", "download"]},
    });
    user.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    root.post("/api/v2/users", user).await.object(201);
}

#[actix_web::test]
async fn a_folder_is_made_changed_and_deleted() {
    let (_server, root, mut browser) = start().await;
    let fields = [("name", "shared"), ("mapped_path", "srv"), ("description", "for all")];
    let answer = fill_in(&mut browser, "/web/admin/new-folder", &fields).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("href=\"#mapped_path\""), "{}", answer.text);
    assert_eq!(value_of(&answer, "description"), "for all");
    assert_eq!(value_of(&answer, "mapped_path"), "srv");

    let fields = [("name", "shared"), ("mapped_path", "/srv/shared"), ("description", "for all")];
    let answer = fill_in(&mut browser, "/web/admin/new-folder", &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/folders/shared"));
    let again = fill_in(&mut browser, "/web/admin/new-folder", &fields).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains("href=\"#name\""), "{}", again.text);

    let path = "/web/admin/folders/shared";
    let answer = fill_in(&mut browser, path, &[("mapped_path", "/srv/other")]).await;
    assert_eq!((answer.status, answer.header("Location")), (303, path));
    let folder = root.get("/api/v2/folders/shared").await;
    assert_eq!(folder.json["mapped_path"], "/srv/other");

    let mount = json!({"virtual_folders": [
        {"name": "shared", "virtual_path": "/s", "quota_size": 0, "quota_files": 0}]});
    add_user(&root, "ann", mount).await;
    let list = browser.get("/web/admin/folders").await;
    assert!(list.text.contains("href=\"/web/admin/users/ann\""), "{}", list.text);
    let question = browser.get("/web/admin/folders/shared/delete").await;
    assert!(question.text.contains("data-dialog-body") && question.text.contains("ann"));
    let answer = fill_in(&mut browser, "/web/admin/folders/shared/delete", &[]).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/folders"));
    assert_eq!(root.get("/api/v2/folders/shared").await.status, 404);
    assert_eq!(browser.get(path).await.status, 404);
}

#[actix_web::test]
async fn lists_are_searched() {
    let (_server, root, mut browser) = start().await;
    for name in ["alpha", "beta"] {
        let folder = json!({"name": name, "mapped_path": format!("/srv/{name}")});
        root.post("/api/v2/folders", folder).await.object(201);
    }
    let found = browser.get("/web/admin/folders?q=BET").await;
    assert!(found.text.contains("/folders/beta\"") && !found.text.contains("/folders/alpha\""));
    let none = browser.get("/web/admin/folders?q=%3Cb%3E").await;
    assert!(none.text.contains("Nothing matches “&lt;b&gt;”"), "{}", none.text);
    let places = browser.get("/web/admin/goto?q=alph").await;
    assert!(places.text.contains("href=\"/web/admin/folders/alpha\""), "{}", places.text);
}

#[actix_web::test]
async fn lists_are_filtered_and_sorted_by_links() {
    let (server, root, mut browser) = start().await;
    for number in 0..51 {
        let name = format!("f{number:02}");
        let mapped_path = format!("/srv/{name}");
        let folder = Folder { name, mapped_path, ..Folder::default() };
        server.services.store.add_folder(folder).await.expect("added");
    }
    let mount = json!({"virtual_folders": [{"name": "f07", "virtual_path": "/s"}]});
    add_user(&root, "ann", mount).await;
    let first = browser.get("/web/admin/folders").await;
    for part in [
        "<strong>51 folders</strong>",
        "href=\"/web/admin/folders?status=unmounted\">50 are mounted by nobody</a>",
        "href=\"/web/admin/folders?order=DESC\"",
        "href=\"/web/admin/folders?sort=used_quota_size&amp;order=DESC\"",
        "rel=\"next\" href=\"/web/admin/folders?page=2\"",
        "/folders/f49\"",
    ] {
        assert!(first.text.contains(part), "{part}: {}", first.text);
    }
    assert!(!first.text.contains("/folders/f50\"") && !first.text.contains("rel=\"prev\""));
    let last = browser.get("/web/admin/folders?page=2").await;
    assert!(last.text.contains("/folders/f50\"") && !last.text.contains("/folders/f49\""));
    assert!(last.text.contains("rel=\"prev\" href=\"/web/admin/folders\""), "{}", last.text);
    let mounted = browser.get("/web/admin/folders?status=mounted&q=F0&order=DESC").await;
    for part in [
        "/folders/f07\"",
        "aria-sort=\"descending\"",
        "name=\"status\" value=\"mounted\"",
        "name=\"order\" value=\"DESC\"",
    ] {
        assert!(mounted.text.contains(part), "{part}: {}", mounted.text);
    }
    assert!(!mounted.text.contains("/folders/f08\""));
    assert_eq!(browser.get("/web/admin/folders?status=odd").await.status, 400);
    for path in [
        "/web/admin/groups?status=without_users&sort=updated_at",
        "/web/admin/roles?sort=updated_at&order=DESC",
        "/web/admin/admins?status=no_second_factor&sort=last_login",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text.contains("aria-sort="), "{path}: {}", page.text);
    }
}

#[actix_web::test]
async fn nothing_is_deleted_that_is_another_than_was_asked_about() {
    let (_server, root, mut browser) = start().await;
    let folder = json!({"name": "x", "mapped_path": "/srv/x"});
    root.post("/api/v2/folders", folder).await.object(201);
    root.post("/api/v2/groups", json!({"name": "x"})).await.object(201);
    root.post("/api/v2/roles", json!({"name": "x"})).await.object(201);
    let admin = json!({"username": "x", "password": "pass phrase", "status": 1,
        "permissions": ["view_users"]});
    root.post("/api/v2/admins", admin.clone()).await.object(201);
    let kinds = ["folders", "groups", "roles", "admins"];
    let mut asked = Vec::new();
    for kind in kinds {
        let page = browser.get(&format!("/web/admin/{kind}/x/delete")).await;
        asked.push((token_of(&page), value_of(&page, "seen").to_owned()));
    }
    let more = json!({"role": "x", "virtual_folders": [{"name": "x", "virtual_path": "/s"}]});
    add_user(&root, "ann", more).await;
    root.put("/api/v2/groups/x", json!({"description": "other"})).await.done(200);
    root.put("/api/v2/admins/x", admin).await.done(200);
    for (kind, (token, seen)) in kinds.into_iter().zip(&asked) {
        let path = format!("/web/admin/{kind}/x/delete");
        let answer = browser.post(&path, &[("_csrf", token), ("seen", seen)]).await;
        assert_eq!(answer.status, 409, "{kind}: {}", answer.text);
        assert!(answer.text.contains("Somebody has changed this"), "{kind}: {}", answer.text);
        assert_eq!(root.get(&format!("/api/v2/{kind}/x")).await.status, 200, "{kind}");
        let seen = value_of(&answer, "seen").to_owned();
        let answer = browser.post(&path, &[("_csrf", token), ("seen", &seen)]).await;
        assert_eq!(answer.status, 303, "{kind}: {}", answer.text);
        assert_eq!(root.get(&format!("/api/v2/{kind}/x")).await.status, 404, "{kind}");
    }
}

#[actix_web::test]
async fn a_scan_is_started_watched_and_its_result_shown() {
    let (server, root, mut browser) = start().await;
    let folder = json!({"name": "shared", "mapped_path": "/srv/shared"});
    root.post("/api/v2/folders", folder).await.object(201);
    add_user(&root, "ann", json!({})).await;
    let scans = "/web/admin/scans";
    for (kind, name) in [("folder", "shared"), ("user", "ann")] {
        let answer = fill_in(&mut browser, scans, &[("kind", kind), ("name", name)]).await;
        assert_eq!((answer.status, answer.header("Location")), (303, scans));
        eventually("the progress", async || {
            let page = server.signed_in(ROOT, ROOT_PASSWORD).await.get(scans).await;
            page.text.contains("4.00 KB") && page.text.contains("http-equiv=\"refresh\"")
        })
        .await;
        let again = fill_in(&mut browser, scans, &[("kind", kind), ("name", name)]).await;
        assert_eq!(again.status, 409);
        assert!(again.text.contains("A scan is running."), "{}", again.text);
        server.scanner.count(7, 5_000);
        eventually("the result", async || {
            let page = server.signed_in(ROOT, ROOT_PASSWORD).await.get(scans).await;
            page.text.contains("7 files, 5.00 KB") && page.text.contains("No scan is running.")
        })
        .await;
    }
    let answer = fill_in(&mut browser, scans, &[("kind", "user"), ("name", "nobody")]).await;
    assert_eq!(answer.status, 404);
    assert_eq!(value_of(&answer, "name"), "nobody");
}

#[actix_web::test]
async fn a_group_is_made_changed_and_deleted() {
    let (_server, root, mut browser) = start().await;
    let wrong = [
        ("name", "staff"),
        ("home_dir", "/srv/%username%"),
        ("quota_size", "much"),
        ("permissions.path", "/in"),
        ("permissions.preset", ""),
        ("permissions.list", "list, fly"),
    ];
    let answer = fill_in(&mut browser, "/web/admin/new-group", &wrong).await;
    assert_eq!(answer.status, 422);
    for kept in ["href=\"#quota_size\"", "href=\"#permissions\"", "value=\"list, fly\"", "\"much\""]
    {
        assert!(answer.text.contains(kept), "{kept}: {}", answer.text);
    }
    // What only the model can refuse is told at its field too.
    let refused = [("name", "staff"), ("denied_ip", "somewhere")];
    let answer = fill_in(&mut browser, "/web/admin/new-group", &refused).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("href=\"#denied_ip\""), "{}", answer.text);

    let fields = [
        ("name", "staff"),
        ("home_dir", "/srv/%username%"),
        ("quota_size", "10 GB"),
        ("denied_protocols", "HTTP"),
        ("permissions.path", "/in"),
        ("permissions.preset", "list, upload, create_dirs"),
        ("permissions.list", ""),
        ("permissions.path", ""),
        ("permissions.preset", ""),
        ("permissions.list", ""),
    ];
    let answer = fill_in(&mut browser, "/web/admin/new-group", &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/groups/staff"));
    let group = root.get("/api/v2/groups/staff").await.json["user_settings"].clone();
    assert_eq!(group["quota_size"], 10_000_000_000i64);
    assert_eq!(group["permissions"], json!({"/in": ["list", "upload", "create_dirs"]}));
    assert_eq!(group["filters"]["denied_protocols"], json!(["HTTP"]));

    let path = "/web/admin/groups/staff";
    let more =
        fill_in(&mut browser, path, &[("quota_size", "typed"), ("more", "permissions")]).await;
    assert_eq!(more.status, 200);
    assert_eq!(more.text.matches("name=\"permissions.path\"").count(), 4, "{}", more.text);
    assert_eq!(value_of(&more, "quota_size"), "typed");

    add_user(&root, "ann", json!({"groups": [{"name": "staff", "type": 1}]})).await;
    let answer = browser.get("/web/admin/groups/staff/delete").await;
    assert_eq!(answer.status, 409);
    assert!(answer.text.contains("ann") && !answer.text.contains("button final"));
    let page = browser.get(path).await;
    let token = token_of(&page);
    let answer = browser.post("/web/admin/groups/staff/delete", &[("_csrf", &token)]).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text.contains("Users are in it."), "{}", answer.text);
    root.delete("/api/v2/users/ann").await.done(200);
    let answer = fill_in(&mut browser, "/web/admin/groups/staff/delete", &[]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(root.get("/api/v2/groups/staff").await.status, 404);
}

#[actix_web::test]
async fn a_change_that_somebody_else_made_is_not_overwritten_unseen() {
    let (_server, root, mut browser) = start().await;
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
    root.post("/api/v2/roles", json!({"name": "emea"})).await.object(201);
    let admin = json!({"username": "eve", "password": "pass phrase", "status": 1,
        "permissions": ["view_users"]});
    root.post("/api/v2/admins", admin).await.object(201);
    let folder = json!({"name": "shared", "mapped_path": "/srv/shared"});
    root.post("/api/v2/folders", folder).await.object(201);
    for (path, object) in [
        ("/web/admin/folders/shared", "/api/v2/folders/shared"),
        ("/web/admin/groups/staff", "/api/v2/groups/staff"),
        ("/web/admin/roles/emea", "/api/v2/roles/emea"),
        ("/web/admin/admins/eve", "/api/v2/admins/eve"),
    ] {
        let page = browser.get(path).await;
        let (token, old) = (token_of(&page), "1");
        let fields = [
            ("_csrf", token.as_str()),
            ("seen", old),
            ("description", "mine"),
            ("mapped_path", "/srv/shared"),
            ("permissions", "view_users"),
            ("enabled", "1"),
        ];
        let answer = browser.post(path, &fields).await;
        assert_eq!(answer.status, 409, "{path}");
        assert_eq!(value_of(&answer, "description"), "mine");
        assert_eq!(root.get(object).await.json["description"], Value::Null, "{path}");
        // The form that comes back has the new time; sending it again overwrites.
        let fields = [
            ("_csrf", token.as_str()),
            ("seen", value_of(&answer, "seen")),
            ("description", "mine"),
            ("mapped_path", "/srv/shared"),
            ("permissions", "view_users"),
            ("enabled", "1"),
        ];
        assert_eq!(browser.post(path, &fields).await.status, 303, "{path}");
        assert_eq!(root.get(object).await.json["description"], "mine");
    }
}

#[actix_web::test]
async fn a_role_is_made_and_deleted_once_no_admin_has_it() {
    let (_server, root, mut browser) = start().await;
    let answer = fill_in(&mut browser, "/web/admin/new-role", &[("name", "a/b")]).await;
    assert_eq!(answer.status, 422);
    assert_eq!(value_of(&answer, "name"), "a/b");
    let fields = [("name", "emea"), ("description", "Europe")];
    let answer = fill_in(&mut browser, "/web/admin/new-role", &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/roles/emea"));
    let fields = [
        ("username", "eve"),
        ("password", "a pass phrase"),
        ("confirm", "a pass phrase"),
        ("enabled", "1"),
        ("permissions", "view_users"),
        ("role", "emea"),
    ];
    assert_eq!(fill_in(&mut browser, "/web/admin/new-admin", &fields).await.status, 303);
    let answer = browser.get("/web/admin/roles/emea/delete").await;
    assert_eq!(answer.status, 409);
    assert!(answer.text.contains("eve"), "{}", answer.text);
    root.delete("/api/v2/admins/eve").await.done(200);
    assert_eq!(fill_in(&mut browser, "/web/admin/roles/emea/delete", &[]).await.status, 303);
    assert_eq!(root.get("/api/v2/roles/emea").await.status, 404);
}

#[actix_web::test]
async fn an_admin_is_made_changed_and_deleted() {
    let (server, root, mut browser) = start().await;
    let wrong =
        [("username", "eve"), ("password", "one"), ("confirm", "two"), ("email", "eve@x.y")];
    let answer = fill_in(&mut browser, "/web/admin/new-admin", &wrong).await;
    assert_eq!(answer.status, 422);
    for part in ["href=\"#confirm\"", "href=\"#permissions\"", "value=\"eve@x.y\""] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    assert!(!answer.text.contains("value=\"one\""), "a password never comes back");
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
    let mut fields = vec![
        ("username", "eve"),
        ("password", "a pass phrase"),
        ("confirm", "a pass phrase"),
        ("enabled", "1"),
        ("permissions", "view_users"),
        ("permissions", "quota_scans"),
        ("allow_list", "192.0.2.0/24\n\n10.0.0.1"),
        ("groups.name", "staff"),
        ("groups.kind", "2"),
        ("groups.name", ""),
        ("groups.kind", "0"),
    ];
    let answer = fill_in(&mut browser, "/web/admin/new-admin", &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/admins/eve"));
    let eve = root.get("/api/v2/admins/eve").await.json;
    assert_eq!(eve["permissions"], json!(["view_users", "quota_scans"]));
    assert_eq!(eve["filters"]["allow_list"], json!(["192.0.2.0/24", "10.0.0.1/32"]));
    assert_eq!(eve["groups"][0], json!({"name": "staff", "options": {"add_to_users_as": 2}}));

    // Without a new password the old one stays.
    fields[1].1 = "";
    fields[2].1 = "";
    fields[6].1 = "";
    assert_eq!(fill_in(&mut browser, "/web/admin/admins/eve", &fields).await.status, 303);
    let mut eve = server.signed_in("eve", "a pass phrase").await;
    assert_eq!(eve.get("/web/admin/profile").await.status, 200);
    // A new one ends the sessions.
    fields[1].1 = "another phrase";
    fields[2].1 = "another phrase";
    assert_eq!(fill_in(&mut browser, "/web/admin/admins/eve", &fields).await.status, 303);
    assert_eq!(eve.get("/web/admin/profile").await.status, 303);
    server.signed_in("eve", "another phrase").await;

    assert_eq!(fill_in(&mut browser, "/web/admin/admins/eve/delete", &[]).await.status, 303);
    assert_eq!(root.get("/api/v2/admins/eve").await.status, 404);
}

#[actix_web::test]
async fn nobody_gives_changes_or_takes_away_more_than_they_hold() {
    let (server, root, mut browser) = start().await;
    let own = fill_in(&mut browser, "/web/admin/admins/root", &[("permissions", "*")]).await;
    assert_eq!(own.status, 422, "nobody disables oneself");
    assert!(own.text.contains("You cannot disable yourself"), "{}", own.text);
    let page = browser.get("/web/admin/admins/root").await;
    let answer =
        browser.post("/web/admin/admins/root/delete", &[("_csrf", &token_of(&page))]).await;
    assert_eq!(answer.status, 409);

    server.admin_with("limited", &["manage_admins", "view_users"]).await;
    let mut limited = server.signed_in("limited", "pass phrase").await;
    let page = limited.get("/web/admin/admins/root").await;
    assert!(page.text.contains("<fieldset disabled>"), "{}", page.text);
    let token = token_of(&page);
    let fields = [("_csrf", token.as_str()), ("seen", value_of(&page, "seen"))];
    assert_eq!(limited.post("/web/admin/admins/root", &fields).await.status, 403);
    assert_eq!(limited.post("/web/admin/admins/root/delete", &fields).await.status, 409);
    let path = "/web/admin/admins/root/second-factor";
    assert_eq!(limited.post(path, &fields).await.status, 403);
    let fields = [
        ("username", "mallory"),
        ("password", "a pass phrase"),
        ("confirm", "a pass phrase"),
        ("enabled", "1"),
        ("permissions", "del_users"),
    ];
    let answer = fill_in(&mut limited, "/web/admin/new-admin", &fields).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("href=\"#permissions\""), "{}", answer.text);
    assert_eq!(root.get("/api/v2/admins/mallory").await.status, 404);
}

#[actix_web::test]
async fn the_tester_tells_the_rule_and_keeps_a_wrong_question() {
    let (_server, root, mut browser) = start().await;
    add_user(
        &root,
        "ann",
        json!({"filters": {"file_patterns": [
        {"path": "/", "denied_patterns": ["*.exe"]}]}}),
    )
    .await;
    let ask = "/web/admin/tester?user=ann&protocol=SSH&operation=download&path=";
    let page = browser.get(&format!("{ask}/a.txt")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("<h2>Allowed</h2>"), "{}", page.text);
    let page = browser.get(&format!("{ask}/a.exe")).await;
    assert!(page.text.contains("Denied by: filters on names"), "{}", page.text);
    assert!(page.text.contains("not reached"), "{}", page.text);
    assert!(page.text.contains("ann may not download"), "{}", page.text);
    // Who cannot sign in could not do the rest either.
    assert!(!page.text.contains("if the client could sign in"), "{}", page.text);
    add_user(&root, "off", json!({"status": 0})).await;
    let page = browser.get("/web/admin/tester?user=off&operation=delete_dir&path=/a").await;
    for part in ["off may not delete the directory", "if the client could sign in"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let page = browser.get("/web/admin/tester?user=ann&operation=upload&path=a&ip=x").await;
    assert_eq!(page.status, 422);
    assert!(page.text.contains("id=\"ip-error\"") || page.text.contains("id=\"path-error\""));
    let page = browser.get("/web/admin/tester?user=nobody&operation=list&path=/").await;
    assert_eq!(page.status, 404);
    assert_eq!(value_of(&page, "user"), "nobody");
    assert!(!page.text.contains("Nothing was saved"), "there is nothing to save");
    let page = browser.get("/web/admin/tester?user=ann&operation=rename_file&path=/a").await;
    assert_eq!(page.status, 422);
    assert!(page.text.contains("id=\"target-error\""), "{}", page.text);
    assert_eq!(browser.get("/web/admin/tester").await.status, 200);
}

#[actix_web::test]
async fn status_shows_services_and_fingerprints() {
    let (_server, _root, mut browser) = start().await;
    let page = browser.get("/web/admin/status").await;
    assert_eq!(page.status, 200, "{}", page.text);
    for part in ["127.0.0.1:2022", "data-copy=\"SHA256:abc\"", "md5sum", "1.2.3", "sqlite"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

/// Path and the permission without which it is not there.
const PAGES: [(&str, &str); 7] = [
    ("/web/admin/folders", "manage_folders"),
    ("/web/admin/groups", "manage_groups"),
    ("/web/admin/roles", "manage_roles"),
    ("/web/admin/admins", "manage_admins"),
    ("/web/admin/tester", "view_users"),
    ("/web/admin/status", "view_status"),
    ("/web/admin/scans", "quota_scans"),
];

#[actix_web::test]
async fn a_page_needs_its_permission_and_has_no_entry_without() {
    let server = Server::start().await;
    for (path, permission) in PAGES {
        let username = permission.replace('_', "-");
        server.admin_with(&username, &[permission]).await;
        let mut browser = server.signed_in(&username, "pass phrase").await;
        for (other, _) in PAGES {
            let page = browser.get(other).await;
            assert_eq!(page.status, if other == path { 200 } else { 403 }, "{username} {other}");
        }
        let start = browser.get("/web/admin").await;
        for (other, _) in PAGES {
            let entry = format!("<a href=\"{other}\"");
            assert_eq!(start.text.contains(&entry), other == path, "{username} {other}");
        }
        let token = token_of(&start);
        for (other, _) in PAGES.iter().filter(|(other, _)| *other != path) {
            let one = other.trim_end_matches('s').replace("/admin/", "/admin/new-");
            for act in [format!("{other}/x"), format!("{other}/x/delete"), one] {
                let answer = browser.post(&act, &[("_csrf", &token)]).await;
                assert!(matches!(answer.status, 403 | 404), "{username} {act}: {}", answer.status);
            }
        }
    }
}

#[actix_web::test]
async fn hostile_names_are_never_markup() {
    let (_server, root, mut browser) = start().await;
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let hidden = "\u{202e}cod.exe";
    let folder = json!({"name": "evil", "mapped_path": format!("/srv/{evil}{hidden}"),
        "description": evil});
    root.post("/api/v2/folders", folder).await.object(201);
    let group = json!({"name": "evil", "description": evil,
        "user_settings": {"home_dir": format!("/srv/{evil}")}});
    root.post("/api/v2/groups", group).await.object(201);
    root.post("/api/v2/roles", json!({"name": "evil", "description": evil})).await.object(201);
    let admin = json!({"username": "evil", "password": "pass phrase", "status": 1,
        "permissions": ["view_users"], "description": evil, "additional_info": evil});
    root.post("/api/v2/admins", admin).await.object(201);
    add_user(&root, "evil", json!({"description": evil})).await;
    let query = "%3Cimg%20src=x%20onerror=alert(1)%3E%22";
    for path in [
        "/web/admin/folders".to_owned(),
        format!("/web/admin/folders?q={query}"),
        "/web/admin/folders/evil".to_owned(),
        "/web/admin/folders/evil/delete".to_owned(),
        "/web/admin/groups".to_owned(),
        "/web/admin/groups/evil".to_owned(),
        "/web/admin/roles".to_owned(),
        "/web/admin/roles/evil".to_owned(),
        "/web/admin/admins".to_owned(),
        "/web/admin/admins/evil".to_owned(),
        format!("/web/admin/tester?user=evil&operation=list&path=/{query}"),
        format!("/web/admin/tester?user={query}&operation=list&path=/"),
        format!("/web/admin/goto?q={query}"),
    ] {
        let page = browser.get(&path).await;
        assert!(!page.text.contains("<img src=x"), "{path}: {}", page.text);
        assert!(!page.text.contains(">\"'&"), "{path}");
    }
    let list = browser.get("/web/admin/folders").await;
    assert!(list.text.contains("⟨U+202E⟩cod.exe") && !list.text.contains('\u{202e}'));
}

#[actix_web::test]
async fn every_list_is_had_as_a_file() {
    let (server, root, mut browser) = start().await;
    for name in ["docs", "=cmd"] {
        let folder = json!({"name": name, "mapped_path": "/srv/f", "description": "a \"b\", c"});
        root.post("/api/v2/folders", folder).await.object(201);
    }
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
    root.post("/api/v2/roles", json!({"name": "sales"})).await.object(201);
    add_user(&root, "ann", json!({"groups": [{"name": "staff", "type": 1}], "role": "sales"}))
        .await;
    let session = uploader(&server, "ann").await;
    session.move_bytes(10);
    let table = [
        (
            "folders?q=docs",
            "name,mapped_path,",
            "\"docs\",\"/srv/f\",\"a \"\"b\"\", c\",\"\",\"\",0,0,0",
        ),
        ("folders?q=cmd", "name,mapped_path,", "\"'=cmd\",\"/srv/f\","),
        (
            "groups?status=with_users",
            "name,description,users,",
            "\"staff\",\"\",\"ann\",\"\",\"\",",
        ),
        ("roles?", "name,description,users,", "\"sales\",\"\",\"ann\",\"\","),
        ("admins?status=enabled", "username,status,", "\"root\",1,\"\",\"\",\"\",\"*\",\"\","),
        ("connections?q=ann&sort=rate", "username,connection_id,protocol,", "\"ann\",\""),
        (
            "users?q=ann",
            "username,status,",
            "\"ann\",1,\"\",\"\",\"sales\",\"staff\",\"/srv/ann\",",
        ),
    ];
    for (query, headings, line) in table {
        for answer in [
            browser.get(&format!("/web/admin/export/{query}&format=csv")).await,
            root.get(&format!("/api/v2/export/{query}&format=csv")).await,
        ] {
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
            let lines: Vec<&str> = answer.text.split("\r\n").collect();
            assert_eq!(lines.len(), 3, "{query}: {}", answer.text);
            assert!(lines[0].starts_with(headings), "{query}: {}", answer.text);
            assert!(lines[1].starts_with(line), "{query}: {}", answer.text);
            assert_eq!(
                lines[0].split(',').count(),
                csv_cells(lines[1]),
                "{query}: {}",
                answer.text
            );
            let disposition = answer.header("Content-Disposition");
            assert!(disposition.ends_with(".csv\""), "{disposition}");
        }
        let objects = root.get(&format!("/api/v2/export/{query}&format=json")).await;
        assert_eq!(objects.object(200).as_array().map(Vec::len), Some(1), "{query}");
    }
    let none = browser.get("/web/admin/export/connections?q=nobody").await;
    assert_eq!(none.text.lines().count(), 1, "the filter of the page counts");
    let viewer = server.admin_with("viewer", &["view_status"]).await;
    for (query, ..) in table {
        viewer.get(&format!("/api/v2/export/{query}")).await.refused(403);
    }
}

/// How many cells a line has.
fn csv_cells(line: &str) -> usize {
    let mut is_quoted = false;
    let commas = line.chars().filter(|character| {
        is_quoted ^= *character == '"';
        *character == ',' && !is_quoted
    });
    commas.count() + 1
}
