//! Which requests are served at all, and the headers that keep browsers from doing harm
//! with an answer.
//!
//! Safe headers are on whatever the configuration says. A value of the configuration
//! takes the place of the default; a handler that has set a header knows better than both.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpResponse, ResponseError};
use regex_lite::{Regex, RegexBuilder};

use crate::config::HttpdSecurity;
use crate::error::{Error, Result};
use crate::web::error::ApiError;
use crate::web::request::peer::header_name;
use crate::web::services::Binding;
use crate::web::url;

/// For pages: nothing but our own scripts, styles, images and calls.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";
/// For everything else: never run, whatever a browser takes it for.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");

/// The rules of one server.
#[derive(Debug)]
pub struct Security {
    /// `None` admits every host name.
    hosts: Option<Hosts>,
    hosts_proxy_headers: Vec<HeaderName>,
    redirects_to_https: bool,
    /// `None` is the host name that was asked for.
    https_host: Option<String>,
    /// Empty for `X-Forwarded-Proto: https`.
    https_proxy_headers: Vec<(HeaderName, String)>,
    strict_transport: Option<HeaderValue>,
    page_policy: HeaderValue,
    /// Sent with everything.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            hosts: None,
            hosts_proxy_headers: Vec::new(),
            redirects_to_https: false,
            https_host: None,
            https_proxy_headers: Vec::new(),
            strict_transport: None,
            page_policy: HeaderValue::from_static(PAGE_POLICY),
            headers: vec![
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
                (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
                (OPENER_POLICY, HeaderValue::from_static("same-origin")),
                (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
            ],
        }
    }
}

impl Security {
    /// # Errors
    /// A regular expression or a header that is none; it is named.
    pub fn from_config(config: &HttpdSecurity) -> Result<Self> {
        let mut security = Self::default();
        if !config.enabled {
            return Ok(security);
        }
        security.hosts = Hosts::from_config(&config.allowed_hosts, config.allowed_hosts_are_regex)?;
        for name in config.hosts_proxy_headers.iter().filter(|name| !name.is_empty()) {
            security.hosts_proxy_headers.push(header_name(name)?);
        }
        security.redirects_to_https = config.https_redirect;
        security.https_host = Some(config.https_host.clone()).filter(|host| !host.is_empty());
        for pair in config.https_proxy_headers.iter().filter(|pair| !pair.key.is_empty()) {
            security.https_proxy_headers.push((header_name(&pair.key)?, pair.value.clone()));
        }
        security.strict_transport = strict_transport(config)?;
        if !config.content_security_policy.is_empty() {
            security.page_policy = value(&config.content_security_policy)?;
        }
        for (name, text) in [
            (PERMISSIONS_POLICY, &config.permissions_policy),
            (OPENER_POLICY, &config.cross_origin_opener_policy),
            (RESOURCE_POLICY, &config.cross_origin_resource_policy),
            (EMBEDDER_POLICY, &config.cross_origin_embedder_policy),
            (header::REFERRER_POLICY, &config.referrer_policy),
            (header::CACHE_CONTROL, &config.cache_control),
        ] {
            if !text.is_empty() {
                security.headers.retain(|(known, _)| *known != name);
                security.headers.push((name, value(text)?));
            }
        }
        Ok(security)
    }

    /// Whether these headers, of a trusted proxy, say that the client came with HTTPS.
    pub fn is_https_by_proxy(&self, headers: &HeaderMap) -> bool {
        let says = |name: &HeaderName, wanted: &str| {
            let told = headers.get(name).and_then(|told| told.to_str().ok());
            told.is_some_and(|told| told.trim().eq_ignore_ascii_case(wanted))
        };
        match self.https_proxy_headers.as_slice() {
            [] => says(&X_FORWARDED_PROTO, "https"),
            known => known.iter().any(|(name, wanted)| says(name, wanted)),
        }
    }

    /// Adds what the handler has not set.
    pub fn protect(&self, is_secure: bool, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            set_default(headers, name, value);
        }
        let is_page = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"));
        let data_policy = HeaderValue::from_static(DATA_POLICY);
        let policy = if is_page { &self.page_policy } else { &data_policy };
        set_default(headers, &header::CONTENT_SECURITY_POLICY, policy);
        if let (true, Some(strict)) = (is_secure, &self.strict_transport) {
            set_default(headers, &header::STRICT_TRANSPORT_SECURITY, strict);
        }
    }

    /// The host name that the client asked for, of a proxy if it is trusted.
    fn host<'a>(&self, head: &'a RequestHead, is_trusted: bool) -> &'a str {
        let of = |name: &HeaderName| {
            head.headers().get(name).and_then(|host| host.to_str().ok()).map(str::trim)
        };
        let told = is_trusted.then(|| self.hosts_proxy_headers.iter().find_map(of)).flatten();
        // The target counts more than the header (RFC 9112, section 3.2.2).
        let target = head.uri.authority().map(|authority| authority.as_str());
        told.or(target).or_else(|| of(&header::HOST)).unwrap_or_default()
    }

    /// What keeps the request from being served.
    fn verdict(&self, head: &RequestHead, is_secure: bool, is_trusted: bool) -> Verdict {
        // Load balancers and orchestrators ask by address, without HTTPS.
        if head.uri.path() == url::HEALTH {
            return Verdict::Serve;
        }
        let host = self.host(head, is_trusted);
        if self.hosts.as_ref().is_some_and(|hosts| !hosts.admit(host)) {
            return Verdict::Misdirected;
        }
        if is_secure || !self.redirects_to_https {
            return Verdict::Serve;
        }
        // A port of ours that speaks HTTP does not speak HTTPS: the usual one is meant.
        let host = self.https_host.as_deref().unwrap_or_else(|| without_port(host));
        if !is_host(host) {
            return Verdict::Misdirected;
        }
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        Verdict::Redirect(format!("https://{host}{target}"))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Serve,
    Misdirected,
    Redirect(String),
}

/// Middleware of the API's server.
pub async fn httpd<B: MessageBody>(
    binding: Data<Binding>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let edge = &binding.edge;
    let is_secure = edge.is_secure(request.head());
    let is_trusted = edge.proxies.trusts(request.head());
    let refused = match edge.security.verdict(request.head(), is_secure, is_trusted) {
        Verdict::Serve => None,
        Verdict::Misdirected => {
            let told = "this server does not answer for that host name";
            Some(ApiError::new(StatusCode::MISDIRECTED_REQUEST, told).error_response())
        }
        Verdict::Redirect(location) => Some(redirect(request.method(), location)),
    };
    let mut response = match refused {
        Some(response) => request.into_response(response).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    edge.security.protect(is_secure, response.headers_mut());
    Ok(response)
}

/// For good, and with 308 so that the method stays what it is; 301 is what old clients know.
fn redirect(method: &Method, location: String) -> HttpResponse {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let status =
        if is_read { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    HttpResponse::build(status).insert_header((header::LOCATION, location)).finish()
}

fn set_default(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    if !headers.contains_key(name) {
        headers.insert(name.clone(), value.clone());
    }
}

fn strict_transport(config: &HttpdSecurity) -> Result<Option<HeaderValue>> {
    if config.sts_seconds == 0 {
        return Ok(None);
    }
    let subdomains = if config.sts_include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if config.sts_preload { "; preload" } else { "" };
    value(&format!("max-age={}{subdomains}{preload}", config.sts_seconds)).map(Some)
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::invalid(format!("{text:?} cannot be sent as a header")))
}

/// The host names that are served.
#[derive(Debug)]
enum Hosts {
    /// In lower case.
    Names(Vec<String>),
    Patterns(Vec<Regex>),
}

impl Hosts {
    fn from_config(list: &[String], are_patterns: bool) -> Result<Option<Self>> {
        let list: Vec<&str> =
            list.iter().map(|host| host.trim()).filter(|h| !h.is_empty()).collect();
        if list.is_empty() {
            return Ok(None);
        }
        if !are_patterns {
            return Ok(Some(Self::Names(
                list.iter().map(|host| host.to_ascii_lowercase()).collect(),
            )));
        }
        let compile = |pattern: &&str| {
            RegexBuilder::new(&format!("^(?:{pattern})$")).case_insensitive(true).build().map_err(
                |error| {
                    Error::invalid(format!(
                        "allowed_hosts: {pattern:?} is no regular expression: {error}"
                    ))
                },
            )
        };
        Ok(Some(Self::Patterns(list.iter().map(compile).collect::<Result<_>>()?)))
    }

    /// Whether `host`, with or without its port, is one of them.
    fn admit(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = without_port(&host);
        match self {
            Self::Names(names) => names.iter().any(|name| *name == host || name == bare),
            Self::Patterns(patterns) => {
                patterns.iter().any(|pattern| pattern.is_match(&host) || pattern.is_match(bare))
            }
        }
    }
}

/// `[::1]:80`: `[::1]`; `example.com:80`: `example.com`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Whether it can stand in an address without changing what comes after it.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::config::HttpsProxyHeader;

    fn security(change: impl FnOnce(&mut HttpdSecurity)) -> Security {
        let mut config = HttpdSecurity { enabled: true, ..HttpdSecurity::default() };
        change(&mut config);
        Security::from_config(&config).expect("valid")
    }

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> actix_web::HttpRequest {
        let request = TestRequest::get().uri(uri);
        headers.iter().fold(request, |request, pair| request.insert_header(*pair)).to_http_request()
    }

    #[test]
    fn only_allowed_hosts_are_admitted() {
        let table: &[(&[&str], bool, &str, bool)] = &[
            (&[], false, "anything", true),
            (&["example.com"], false, "example.com", true),
            (&["example.com"], false, "EXAMPLE.com:8080", true),
            (&["example.com:8443"], false, "example.com:8443", true),
            (&["example.com:8443"], false, "example.com", false),
            (&["example.com"], false, "evil.com", false),
            (&["example.com"], false, "example.com.evil.com", false),
            (&["example.com"], false, "", false),
            (&["[::1]"], false, "[::1]:80", true),
            (&["exampleXcom"], false, "example.com", false),
            (&[r"example\.com", r".*\.test"], true, "a.TEST:80", true),
            (&[r"example\.com"], true, "example.com.evil.com", false),
            (&[r"a|b"], true, "xb", false),
        ];
        for (allowed, are_patterns, host, admitted) in table {
            let security = security(|config| {
                config.allowed_hosts = list(allowed);
                config.allowed_hosts_are_regex = *are_patterns;
            });
            let request = request("/x", &[("Host", host)]);
            let verdict = security.verdict(request.head(), false, false);
            assert_eq!(verdict == Verdict::Serve, *admitted, "{allowed:?} {host:?}");
            let health = self::request("/healthz", &[("Host", host)]);
            assert_eq!(security.verdict(health.head(), false, false), Verdict::Serve);
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let config = HttpdSecurity {
            enabled: true,
            allowed_hosts: list(&["("]),
            allowed_hosts_are_regex: true,
            ..HttpdSecurity::default()
        };
        let error = Security::from_config(&config).expect_err("refused").to_string();
        assert!(error.contains("allowed_hosts"), "{error}");
    }

    #[test]
    fn the_host_of_a_proxy_counts_only_if_it_is_trusted() {
        let security = security(|config| {
            config.allowed_hosts = list(&["files.example.com"]);
            config.hosts_proxy_headers = list(&["X-Forwarded-Host"]);
        });
        let request =
            request("/", &[("Host", "10.0.0.1"), ("X-Forwarded-Host", "files.example.com")]);
        assert_eq!(security.verdict(request.head(), false, true), Verdict::Serve);
        assert_eq!(security.verdict(request.head(), false, false), Verdict::Misdirected);
    }

    #[test]
    fn who_comes_without_https_is_sent_to_it() {
        let to = |host: &str, asked: &str, uri: &str, is_secure| {
            let security = security(|config| {
                config.https_redirect = true;
                config.https_host = host.to_owned();
            });
            security.verdict(request(uri, &[("Host", asked)]).head(), is_secure, false)
        };
        let redirect = |location: &str| Verdict::Redirect(location.to_owned());
        assert_eq!(
            to("", "example.com:8080", "/a?b=c", false),
            redirect("https://example.com/a?b=c")
        );
        assert_eq!(to("x:8443", "example.com", "/a", false), redirect("https://x:8443/a"));
        assert_eq!(to("", "[::1]:8080", "/", false), redirect("https://[::1]/"));
        assert_eq!(to("", "example.com", "/a", true), Verdict::Serve);
        assert_eq!(to("", "example.com", "/healthz", false), Verdict::Serve);
        for host in ["", "a/b", "a@b", "a b", "a?b"] {
            assert_eq!(to("", host, "/", false), Verdict::Misdirected, "{host:?}");
        }
    }

    #[test]
    fn proxies_tell_https_in_the_configured_way() {
        let usual = Security::default();
        let own = security(|config| {
            let (key, value) = ("X-Https".to_owned(), "On".to_owned());
            config.https_proxy_headers =
                vec![HttpsProxyHeader::default(), HttpsProxyHeader { key, value }];
        });
        let table = [
            (&usual, ("X-Forwarded-Proto", "https"), true),
            (&usual, ("X-Forwarded-Proto", "HTTPS"), true),
            (&usual, ("X-Forwarded-Proto", "http"), false),
            (&usual, ("X-Https", "on"), false),
            (&own, ("X-Https", "on"), true),
            (&own, ("X-Https", "off"), false),
            (&own, ("X-Forwarded-Proto", "https"), false),
        ];
        for (security, pair, is_https) in table {
            let request = request("/", &[pair]);
            assert_eq!(security.is_https_by_proxy(request.headers()), is_https, "{pair:?}");
        }
    }

    #[test]
    fn safe_headers_are_sent_and_those_of_handlers_kept() {
        let protected = |security: &Security, is_secure, set: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in set {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            security.protect(is_secure, &mut headers);
            move |name: &str| {
                headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned())
            }
        };
        let data = protected(&Security::default(), true, &[]);
        for (name, value) in [
            ("x-content-type-options", Some("nosniff")),
            ("referrer-policy", Some("no-referrer")),
            ("x-frame-options", Some("DENY")),
            ("cross-origin-opener-policy", Some("same-origin")),
            ("cross-origin-resource-policy", Some("same-origin")),
            ("cache-control", Some("no-store")),
            ("content-security-policy", Some(DATA_POLICY)),
            ("strict-transport-security", None),
            ("permissions-policy", None),
        ] {
            assert_eq!(data(name).as_deref(), value, "{name}");
        }
        let page = ("content-type", "Text/HTML; charset=utf-8");
        let policy = |security: &Security, set: &[_]| {
            protected(security, false, set)("content-security-policy").expect("set")
        };
        assert_eq!(policy(&Security::default(), &[page]), PAGE_POLICY);
        assert_eq!(policy(&Security::default(), &[page, ("content-security-policy", "x")]), "x");
        let own = security(|config| {
            config.content_security_policy = "default-src 'self'".to_owned();
            config.permissions_policy = "camera=()".to_owned();
            config.cache_control = "private".to_owned();
            config.sts_seconds = 60;
            config.sts_include_subdomains = true;
            config.sts_preload = true;
        });
        assert_eq!(policy(&own, &[page]), "default-src 'self'");
        assert_eq!(policy(&own, &[]), DATA_POLICY, "data never becomes a page");
        let asset = protected(&own, true, &[("cache-control", "public, immutable")]);
        assert_eq!(asset("cache-control").as_deref(), Some("public, immutable"));
        assert_eq!(asset("permissions-policy").as_deref(), Some("camera=()"));
        let strict = "max-age=60; includeSubDomains; preload";
        assert_eq!(asset("strict-transport-security").as_deref(), Some(strict));
        assert_eq!(protected(&own, false, &[])("cache-control").as_deref(), Some("private"));
        assert_eq!(protected(&own, false, &[])("strict-transport-security"), None);
    }

    #[test]
    fn a_block_that_is_off_changes_nothing() {
        let config = HttpdSecurity {
            allowed_hosts: list(&["a"]),
            https_redirect: true,
            sts_seconds: 9,
            ..HttpdSecurity::default()
        };
        let security = Security::from_config(&config).expect("valid");
        let request = request("/", &[("Host", "b")]);
        assert_eq!(security.verdict(request.head(), false, false), Verdict::Serve);
        assert!(security.strict_transport.is_none());
    }
}
