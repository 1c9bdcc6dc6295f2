//! The newest lines of the log, as a browser sees them.

use super::harness::{ROOT, ROOT_PASSWORD, Server};

const EVENTS: &str = "/web/admin/events";

#[actix_web::test]
async fn requests_are_shown_to_who_asks_and_files_of_pages_to_nobody() {
    let server = Server::start().await;
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let overview = browser.get("/web/admin").await;
    let at = overview.text.find("/static/").expect("a style sheet");
    let sheet = overview.text[at..].split('"').next().expect("an address").to_owned();
    assert_eq!(browser.get(&sheet).await.status, 200);
    slog::info!(server.services.log, "a line of the server");
    server.log_lines();
    let page = browser.get(EVENTS).await;
    assert!(page.text.contains("a line of the server"), "{}", page.text);
    assert!(!page.text.contains("was answered with"), "{}", page.text);
    for query in ["hide_requests=0", "sender=httpd"] {
        let page = browser.get(&format!("{EVENTS}?{query}")).await;
        assert!(page.text.contains("GET /web/admin was answered with 200"), "{}", page.text);
        assert!(!page.text.contains("GET /static"), "{}", page.text);
        // What follows is as what is there.
        assert!(page.text.contains("hide_requests=0&amp;"), "{}", page.text);
    }
    let written = server.log_lines();
    assert!(written.iter().any(|line| line["uri"].as_str() == Some(sheet.as_str())));
}

#[actix_web::test]
async fn a_failed_sign_in_of_an_admin_leads_to_the_admin_or_to_the_log() {
    let server = Server::start().await;
    for name in [ROOT, "stranger"] {
        server.anonymous().basic("/api/v2/token", name, "wrong").await.refused(401);
    }
    server.log_lines();
    let mut browser = server.signed_in(ROOT, ROOT_PASSWORD).await;
    let page = browser.get(EVENTS).await;
    for link in ["/web/admin/admins/root", "/web/admin/events?username=stranger"] {
        assert!(page.text.contains(&format!("href=\"{link}\"")), "{link}: {}", page.text);
        assert_eq!(browser.get(link).await.status, 200);
    }
    server.admin_with("reader", &["view_events", "view_users"]).await;
    let page = server.signed_in("reader", "pass phrase").await.get(EVENTS).await;
    assert!(page.text.contains("href=\"/web/admin/events?username=root\""), "{}", page.text);
    assert!(!page.text.contains("/users/root"), "{}", page.text);
}
