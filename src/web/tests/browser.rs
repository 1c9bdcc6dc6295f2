//! A browser without a screen: keeps cookies, fills in forms.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::test::TestRequest;

use super::harness::{Answer, Client, Server};

/// Somebody in front of the web pages.
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Server {
    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser { client: self.anonymous(), cookies: BTreeMap::new() }
    }

    /// A browser in which an administrator has signed in.
    pub async fn signed_in(&self, username: &str, password: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(username, password).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }
}

impl Browser {
    /// The same browser at another address.
    pub fn at(&self, peer: &str) -> Self {
        Self { client: self.client.at(peer), cookies: self.cookies.clone() }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// All of them, as they are sent.
    pub fn cookies(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(TestRequest::get().uri(path)).await
    }

    /// Loads `path`, fills its form in and sends it to `action`.
    pub async fn submit(&mut self, path: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(path).await;
        let token = token_of(&page);
        let mut fields = fields.to_vec();
        fields.push(("_csrf", &token));
        self.post(action, &fields).await
    }

    /// Sends a form with these fields and nothing else.
    pub async fn post(&mut self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("a form");
        let request = TestRequest::default().method(Method::POST).uri(action);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.insert_header(kind).set_payload(body)).await
    }

    pub async fn sign_in(&mut self, username: &str, password: &str) -> Answer {
        let fields = [("username", username), ("password", password)];
        self.submit("/web/admin/login", "/web/admin/login", &fields).await
    }

    pub async fn send(&mut self, request: TestRequest) -> Answer {
        let cookies = self.cookies();
        let mut answer = self.client.run(request.insert_header(("Cookie", cookies))).await;
        // The templates escape slashes too.
        answer.text = answer.text.replace("&#x2f;", "/");
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII");
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// The token in the forms of a page.
pub fn token_of(page: &Answer) -> String {
    let marker = "name=\"_csrf\" value=\"";
    let at = page.text.find(marker).unwrap_or_else(|| panic!("no form in {}", page.text));
    page.text[at + marker.len()..].split('"').next().unwrap_or_default().to_owned()
}
