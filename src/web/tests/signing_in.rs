//! Signing in to the web pages, and what keeps others out.

use actix_web::test::TestRequest;
use serde_json::json;

use super::browser::token_of;
use super::harness::{Options, ROOT, ROOT_PASSWORD, Server};
use crate::model::timestamp::now_unix_secs;

const SESSION: &str = "sftpgo_admin";

#[actix_web::test]
async fn who_is_not_signed_in_is_led_to_the_form_and_back() {
    let server = Server::start().await;
    let mut browser = server.browser();
    let answer = browser.get("/web/admin/profile?x=1").await;
    assert_eq!(answer.status, 303);
    let login = answer.header("Location").to_owned();
    assert_eq!(login, "/web/admin/login?next=%2Fweb%2Fadmin%2Fprofile%3Fx%3D1");
    let page = browser.get(&login).await;
    assert!(page.text.contains(r#"name="next" value="/web/admin/profile?x=1""#), "{}", page.text);
    let fields = [("username", ROOT), ("password", ROOT_PASSWORD), ("next", "/web/admin/profile")];
    let answer = browser.submit(&login, "/web/admin/login", &fields).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/profile"));
    assert_eq!(browser.get("/web/admin/profile").await.status, 200);
    // What is fetched by a script is told with a status.
    let fetched = TestRequest::get().uri("/web/admin/session").insert_header(("X-Fetched", "1"));
    assert_eq!(server.browser().send(fetched).await.status, 401);
}

#[actix_web::test]
async fn a_wrong_password_is_told_like_a_wrong_name_and_written_down() {
    let server = Server::start().await;
    let mut told = Vec::new();
    for (username, password) in [(ROOT, "wrong"), ("nobody", "wrong")] {
        let mut browser = server.browser();
        let answer = browser.sign_in(username, password).await;
        assert_eq!(answer.status, 401);
        assert!(browser.cookie(SESSION).is_none());
        told.push(answer.text.replace(&format!("value=\"{username}\""), ""));
    }
    let without_tokens = |page: &String| {
        let at = page.find("name=\"_csrf\"").expect("a token");
        (page[..at].to_owned(), page[at + 80..].to_owned())
    };
    assert_eq!(without_tokens(&told[0]), without_tokens(&told[1]));
    let line = server.last_log_line("connection_failed");
    assert!(line.contains(r#""username":"nobody","login_type":"password","protocol":"HTTP""#));
}

#[actix_web::test]
async fn the_cookie_of_a_session_is_new_and_strict() {
    let server = Server::start().await;
    let mut browser = server.browser();
    browser.set_cookie(SESSION, "chosen by an attacker");
    let answer = browser.sign_in(ROOT, ROOT_PASSWORD).await;
    let cookie = answer.headers.get_all("set-cookie").map(|value| value.to_str().expect("ASCII"));
    let cookie = cookie.filter(|cookie| cookie.starts_with("sftpgo_admin=")).collect::<Vec<_>>();
    let [cookie] = cookie[..] else { panic!("{cookie:?}") };
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let first = browser.cookie(SESSION).expect("a session").to_owned();
    browser.sign_in(ROOT, ROOT_PASSWORD).await;
    assert_ne!(browser.cookie(SESSION), Some(first.as_str()));
    // The earlier one is over.
    let mut old = server.browser();
    old.set_cookie(SESSION, &first);
    assert_eq!(old.get("/web/admin").await.status, 303);
}

#[actix_web::test]
async fn pages_forbid_everything_they_do_not_need() {
    let server = Server::start().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = browser.get("/web/admin").await;
    let policy = page.header("Content-Security-Policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.header("Cache-Control"), "no-store");
    assert_eq!(page.header("X-Content-Type-Options"), "nosniff");
    // The assets that the page names are there, and kept.
    let marker = "href=\"/static/";
    let at = page.text.find(marker).expect("a style sheet");
    let path = page.text[at + 6..].split('"').next().expect("its path").to_owned();
    let sheet = browser.get(&path).await;
    assert_eq!(sheet.status, 200);
    assert!(sheet.header("Content-Type").starts_with("text/css"));
    assert_eq!(sheet.header("Cache-Control"), "public, max-age=31536000, immutable");
    let old = browser.get("/static/0000/css/app.css").await;
    assert_eq!((old.status, old.header("Cache-Control")), (200, "no-cache"));
    assert_eq!(browser.get("/static/0000/../../Cargo.toml").await.status, 404);
}

#[actix_web::test]
async fn forms_count_only_from_our_own_pages() {
    let server = Server::start().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let token = token_of(&browser.get("/web/admin/profile").await);
    let foreign = token_of(&server.signed_in(ROOT, ROOT_PASSWORD).await.get("/web/admin").await);
    for token in ["", "nonsense", foreign.as_str()] {
        let answer = browser.post("/web/admin/profile", &[("_csrf", token)]).await;
        assert_eq!(answer.status, 403, "{token}");
        assert!(answer.text.contains("too old"), "{}", answer.text);
    }
    let body = format!("_csrf={token}&email=x@example.com");
    for header in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")] {
        let request = TestRequest::post()
            .uri("/web/admin/profile")
            .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
            .insert_header(("Host", "files.example"))
            .insert_header(header)
            .set_payload(body.clone());
        assert_eq!(browser.send(request).await.status, 403, "{header:?}");
    }
    // Signing in by somebody else's form is refused too.
    let fields = [("username", ROOT), ("password", ROOT_PASSWORD)];
    assert_eq!(server.browser().post("/web/admin/login", &fields).await.status, 403);
    let json = TestRequest::post()
        .uri("/web/admin/profile")
        .insert_header(("Content-Type", "text/plain"))
        .set_payload(body);
    assert_eq!(browser.send(json).await.status, 415);
}

#[actix_web::test]
async fn sessions_end_with_the_account_the_address_and_by_hand() {
    let server = Server::start().await;
    let mut root = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let helper = server.admin_with("helper", &["view_users"]).await;
    let mut browser = server.signed_in("helper", "pass phrase").await;
    assert_eq!(browser.get("/web/admin").await.status, 200);
    assert_eq!(browser.at("192.0.2.99:1").get("/web/admin").await.status, 303);
    // Disabled means out, at once and for good.
    let api = server.root().await;
    let body = |status| json!({"status": status, "permissions": ["view_users"]});
    api.put("/api/v2/admins/helper", body(0)).await.done(200);
    assert_eq!(browser.get("/web/admin").await.status, 303);
    api.put("/api/v2/admins/helper", body(1)).await.done(200);
    assert_eq!(browser.get("/web/admin").await.status, 303);
    drop(helper);
    // The sign-out ends what the cookie names, not only the cookie.
    let kept = root.cookie(SESSION).expect("a session").to_owned();
    let answer = root.submit("/web/admin", "/web/admin/logout", &[]).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/web/admin/login"));
    root.set_cookie(SESSION, &kept);
    assert_eq!(root.get("/web/admin").await.status, 303);
}

#[actix_web::test]
async fn the_own_sessions_are_listed_with_their_end_and_ended_by_rest() {
    const SESSIONS: &str = "/api/v2/admin/sessions";
    let server = Server::start().await;
    let api = server.root().await;
    assert_eq!(api.get(SESSIONS).await.object(200), &json!([]));
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let helper = server.admin_with("helper", &["view_users"]).await;
    assert_eq!(helper.get(SESSIONS).await.object(200), &json!([]), "that of another");
    let listed = api.get(SESSIONS).await;
    let session = &listed.object(200)[0];
    let time = |key: &str| session[key].as_u64().expect("a time");
    assert_eq!(time("ends_at") - time("last_seen_at"), 20 * 60 * 1000, "{session}");
    let path = format!("{SESSIONS}/{}", session["id"].as_str().expect("an id"));
    helper.delete(&path).await.refused(404);
    api.delete(&path).await.done(200);
    assert_eq!(browser.get("/web/admin").await.status, 303);
    api.delete(&path).await.refused(404);
}

#[actix_web::test]
async fn a_new_password_ends_the_other_sessions() {
    let server = Server::start().await;
    let mut here = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let mut there = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = here.get("/web/admin/profile").await;
    assert_eq!(page.text.matches("This one").count(), 1);
    let change = |current, password, confirm| {
        [("current", current), ("password", password), ("confirm", confirm)]
    };
    for (fields, told) in [
        (change("wrong", "new pass phrase", "new pass phrase"), "This is not your password."),
        (change(ROOT_PASSWORD, "one", "another"), "The two new passwords differ."),
        (change(ROOT_PASSWORD, "", ""), "Must not be empty"),
    ] {
        let answer = here.submit("/web/admin/profile", "/web/admin/password", &fields).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.contains(told), "{told}: {}", answer.text);
    }
    let fields = change(ROOT_PASSWORD, "new pass phrase", "new pass phrase");
    let answer = here.submit("/web/admin/profile", "/web/admin/password", &fields).await;
    assert_eq!(answer.status, 303);
    assert!(here.get("/web/admin/profile").await.text.contains("Password changed."));
    assert!(!here.get("/web/admin/profile").await.text.contains("Password changed."), "once");
    assert_eq!(there.get("/web/admin").await.status, 303);
    server.signed_in(ROOT, "new pass phrase").await;
}

#[actix_web::test]
async fn a_second_factor_is_set_up_asked_for_and_switched_off() {
    let server = Server::start().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = "/web/admin/two-factor";
    let kind = server.services.login.one_time().kinds()[0].name.clone();
    let begun = browser.submit(page, &format!("{page}/begin"), &[("kind", &kind)]).await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    assert!(begun.text.contains("src=\"data:image/png;base64,"), "{}", begun.text);
    let marker = "name=\"secret\" value=\"";
    let at = begun.text.find(marker).expect("a secret") + marker.len();
    let secret = begun.text[at..].split('"').next().expect("its text").to_owned();
    let save =
        |code: String| vec![("kind", kind.clone()), ("secret", secret.clone()), ("code", code)];
    let as_fields = |fields: &[(&'static str, String)]| {
        fields.iter().map(|(name, value)| (*name, value.clone())).collect::<Vec<_>>()
    };
    for (code, is_right) in [("000000x".to_owned(), false), (code_of(&secret), true)] {
        let fields = as_fields(&save(code));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = browser.submit(page, &format!("{page}/save"), &fields).await;
        assert_eq!(answer.status == 200, is_right, "{}", answer.text);
        if is_right {
            assert!(answer.text.contains("Recovery codes"), "{}", answer.text);
            let marker = "<ul class=\"recovery\"><li>";
            let at = answer.text.find(marker).expect("codes") + marker.len();
            let recovery = answer.text[at..].split('<').next().expect("a code").to_owned();
            sign_in_with_codes(&server, &recovery).await;
        }
    }
    let off = browser.submit(page, &format!("{page}/off"), &[("password", "wrong")]).await;
    assert_eq!(off.status, 422);
    let off = browser.submit(page, &format!("{page}/off"), &[("password", ROOT_PASSWORD)]).await;
    assert_eq!(off.status, 303);
    server.signed_in(ROOT, ROOT_PASSWORD).await;
}

async fn sign_in_with_codes(server: &Server, recovery: &str) {
    let code_page = "/web/admin/login/code";
    for (is_first, status) in [(true, 303), (false, 401)] {
        let mut other = server.browser();
        let answer = other.sign_in(ROOT, ROOT_PASSWORD).await;
        assert!(answer.header("Location").starts_with(code_page), "{answer:?}");
        assert!(other.cookie(SESSION).is_none(), "not yet");
        assert_eq!(other.get("/web/admin").await.status, 303);
        let wrong = other.submit(code_page, code_page, &[("code", "nonsense")]).await;
        assert_eq!(wrong.status, 401);
        let answer = other.submit(code_page, code_page, &[("code", recovery)]).await;
        assert_eq!(answer.status, status, "a recovery code works once: {is_first}");
        assert_eq!(other.cookie(SESSION).is_some(), is_first);
        if !is_first {
            // Who guesses on has to begin again with the password.
            for _ in 0..3 {
                other.post(code_page, &[("code", "x"), ("_csrf", &token_of(&answer))]).await;
            }
            assert_eq!(other.get(code_page).await.status, 303);
        }
    }
}

/// The code of now (RFC 6238 with SHA-1).
fn code_of(secret: &str) -> String {
    use aws_lc_rs::hmac;
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let mac = hmac::sign(&key, &(now_unix_secs() / 30).to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().expect("four")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[actix_web::test]
async fn there_are_no_pages_where_they_are_switched_off() {
    let mut options = Options::default();
    options.httpd.templates_path.clear();
    options.httpd.static_files_path.clear();
    let server = Server::with(options).await;
    assert_eq!(server.browser().get("/web/admin").await.status, 404);
    assert_eq!(server.anonymous().get("/healthz").await.status, 200);
}
