//! Cross-origin resource sharing: what pages of other origins may do from within a browser.
//!
//! `actix-cors` cannot hand a preflight on, choose its status or match origins with `*`
//! within them, so this is our own: the decisions of the Fetch standard, as a table.

use actix_web::HttpResponse;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;

use crate::config::CorsConfig;
use crate::error::{Error, Result};
use crate::web::services::Binding;

const ASKED_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What other origins may do.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    methods: Vec<String>,
    /// In lower case; `None` for all of them.
    headers: Option<Vec<String>>,
    exposed: Option<HeaderValue>,
    allows_credentials: bool,
    max_age: Option<HeaderValue>,
    passes_preflights_on: bool,
    success: StatusCode,
    allows_private_network: bool,
}

#[derive(Debug)]
enum Origins {
    All,
    /// In lower case; what comes before and after the `*` of those that have one.
    Some(Vec<(String, Option<String>)>),
}

impl Origins {
    fn admit(&self, origin: &str) -> bool {
        let Self::Some(list) = self else { return true };
        let origin = origin.to_ascii_lowercase();
        list.iter().any(|(start, end)| match end {
            None => *start == origin,
            Some(end) => {
                origin.len() > start.len() + end.len()
                    && origin.starts_with(start)
                    && origin.ends_with(end)
            }
        })
    }
}

impl Cors {
    /// `None` if it is off.
    ///
    /// # Errors
    /// A combination that browsers refuse, or that lets everybody in by mistake.
    pub fn from_config(config: &CorsConfig) -> Result<Option<Self>> {
        if !config.enabled {
            return Ok(None);
        }
        let origins = read_origins(&config.allowed_origins)?;
        if config.allow_credentials && matches!(origins, Origins::All) {
            return Err(Error::invalid(
                "allow_credentials: not together with the origin `*`; name the origins",
            ));
        }
        let methods = match config.allowed_methods.as_slice() {
            [] => ["GET", "HEAD", "POST"].map(String::from).to_vec(),
            named => named.iter().map(|method| method.trim().to_ascii_uppercase()).collect(),
        };
        let is_method = |method: &String| Method::from_bytes(method.as_bytes()).is_ok();
        if let Some(other) = methods.iter().find(|method| !is_method(method)) {
            return Err(Error::invalid(format!("allowed_methods: {other:?} is no method")));
        }
        let headers = match config.allowed_headers.as_slice() {
            [] => Some(["accept", "content-type", "x-requested-with"].map(String::from).to_vec()),
            named if named.iter().any(|name| name.trim() == "*") => None,
            named => Some(named.iter().map(|name| name.trim().to_ascii_lowercase()).collect()),
        };
        let exposed = Some(config.exposed_headers.join(", ")).filter(|list| !list.is_empty());
        let exposed = exposed.map(HeaderValue::try_from).transpose();
        let success = match config.options_success_status {
            0 => Ok(StatusCode::NO_CONTENT),
            status => StatusCode::from_u16(status),
        };
        Ok(Some(Self {
            origins,
            methods,
            headers,
            exposed: exposed.map_err(|_| Error::invalid("exposed_headers: cannot be sent"))?,
            allows_credentials: config.allow_credentials,
            max_age: (config.max_age != 0).then(|| HeaderValue::from(config.max_age.max(0))),
            passes_preflights_on: config.options_passthrough,
            success: success.map_err(|_| Error::invalid("options_success_status: is no status"))?,
            allows_private_network: config.allow_private_network,
        }))
    }

    /// What a preflight, a browser's question for permission, is answered.
    fn preflight(&self, asked: &HeaderMap) -> HeaderMap {
        let mut answer = self.vary(&[
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
        ]);
        let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
        let (Some(origin), Some(method)) =
            (self.allowed_origin(asked), text(header::ACCESS_CONTROL_REQUEST_METHOD))
        else {
            return answer;
        };
        // Methods are case-sensitive.
        if !self.methods.iter().any(|known| known == method) {
            return answer;
        }
        let headers = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let mut names = headers.split(',').map(str::trim).filter(|name| !name.is_empty());
        if !names.all(|name| self.allows_header(name)) {
            return answer;
        }
        self.admit(origin, &mut answer);
        // Only what was asked for is allowed: `*` would not cover `Authorization`.
        if let Ok(method) = HeaderValue::from_str(method) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        if let Some(headers) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        if let Some(max_age) = &self.max_age {
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        if self.allows_private_network && text(ASKED_PRIVATE) == Some("true") {
            answer.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
        }
        answer
    }

    /// What is added to the answer of a request proper.
    fn actual(&self, asked: &HeaderMap) -> HeaderMap {
        let mut answer = self.vary(&["Origin"]);
        if let Some(origin) = self.allowed_origin(asked) {
            self.admit(origin, &mut answer);
            if let Some(exposed) = &self.exposed {
                answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
        answer
    }

    fn allowed_origin(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = asked.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        match &self.origins {
            Origins::All => Some(HeaderValue::from_static("*")),
            some => some.admit(text).then(|| origin.clone()),
        }
    }

    fn admit(&self, origin: HeaderValue, answer: &mut HeaderMap) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.allows_credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    fn allows_header(&self, name: &str) -> bool {
        let Some(known) = &self.headers else { return true };
        known.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// What the answer depends on, for caches.
    fn vary(&self, names: &[&'static str]) -> HeaderMap {
        let mut answer = HeaderMap::new();
        for name in names {
            answer.append(header::VARY, HeaderValue::from_static(name));
        }
        answer
    }
}

fn read_origins(list: &[String]) -> Result<Origins> {
    let list: Vec<&str> =
        list.iter().map(|origin| origin.trim()).filter(|o| !o.is_empty()).collect();
    if list.contains(&"*") {
        return Ok(Origins::All);
    }
    if list.is_empty() {
        let problem = "allowed_origins: is empty; name the origins, or `*` for all of them";
        return Err(Error::invalid(problem));
    }
    let read = |origin: &&str| {
        let origin = origin.to_ascii_lowercase();
        let has_path = origin.split_once("://").is_none_or(|(_, host)| host.contains('/'));
        if has_path || origin.matches('*').count() > 1 {
            return Err(Error::invalid(format!(
                "allowed_origins: {origin:?} is no origin such as \"https://app.example.com\", \
                 with at most one `*`"
            )));
        }
        Ok(match origin.split_once('*') {
            Some((start, end)) => (start.to_owned(), Some(end.to_owned())),
            None => (origin, None),
        })
    };
    Ok(Origins::Some(list.iter().map(read).collect::<Result<_>>()?))
}

/// Middleware of the API's server.
pub async fn httpd<B: MessageBody>(
    binding: Data<Binding>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let Some(cors) = &binding.edge.cors else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let asked = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && asked.contains_key(header::ORIGIN)
        && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let added = if is_preflight { cors.preflight(asked) } else { cors.actual(asked) };
    let mut response = if is_preflight && !cors.passes_preflights_on {
        request.into_response(HttpResponse::new(cors.success)).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    for (name, value) in added {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn config() -> CorsConfig {
        CorsConfig {
            enabled: true,
            allowed_origins: list(&["https://app.test", "https://*.example.com"]),
            ..CorsConfig::default()
        }
    }

    fn cors(change: impl FnOnce(&mut CorsConfig)) -> Cors {
        let mut config = config();
        change(&mut config);
        Cors::from_config(&config).expect("valid").expect("on")
    }

    fn asked(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a value");
            map.append(HeaderName::from_static(name), value);
        }
        map
    }

    fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    #[test]
    fn origins_match_as_a_whole() {
        let table = [
            ("https://app.test", true),
            ("https://APP.test", true),
            ("http://app.test", false),
            ("https://app.test:8443", false),
            ("https://app.test.evil", false),
            ("https://a.example.com", true),
            ("https://a.b.example.com", true),
            ("https://.example.com", false),
            ("https://example.com", false),
            ("https://a.example.com.evil", false),
            ("null", false),
            ("", false),
        ];
        let cors = cors(|_| {});
        for (origin, is_allowed) in table {
            let answer = cors.actual(&asked(&[("origin", origin)]));
            let told = get(&answer, "access-control-allow-origin");
            assert_eq!(told, is_allowed.then_some(origin), "{origin}");
            assert_eq!(get(&answer, "vary"), Some("Origin"));
        }
    }

    #[test]
    fn a_preflight_is_allowed_only_as_a_whole() {
        let cors = cors(|config| {
            config.allowed_methods = list(&["get", "PUT"]);
            config.allowed_headers = list(&["Authorization", "X-SFTPGO-OTP"]);
        });
        let table = [
            ("https://app.test", "PUT", "authorization, x-sftpgo-otp", true),
            ("https://app.test", "GET", "", true),
            ("https://app.test", "put", "", false),
            ("https://app.test", "DELETE", "", false),
            ("https://app.test", "PUT", "x-other", false),
            ("https://app.test", "PUT", "authorization, x-other", false),
            ("https://evil.test", "PUT", "authorization", false),
        ];
        for (origin, method, headers, is_allowed) in table {
            let answer = cors.preflight(&asked(&[
                ("origin", origin),
                ("access-control-request-method", method),
                ("access-control-request-headers", headers),
            ]));
            let shown = format!("{origin} {method} {headers}");
            assert_eq!(
                get(&answer, "access-control-allow-origin"),
                is_allowed.then_some(origin),
                "{shown}"
            );
            let allowed = get(&answer, "access-control-allow-methods");
            assert_eq!(allowed, is_allowed.then_some(method), "{shown}");
            assert_eq!(
                get(&answer, "access-control-allow-headers"),
                is_allowed.then_some(headers),
                "{shown}"
            );
        }
    }

    #[test]
    fn options_of_the_answer_are_told() {
        let question = [("origin", "https://app.test"), ("access-control-request-method", "GET")];
        let private = ("access-control-request-private-network", "true");
        let usual = cors(|_| {}).preflight(&asked(&[question[0], question[1], private]));
        for name in [
            "access-control-max-age",
            "access-control-allow-credentials",
            "access-control-allow-private-network",
        ] {
            assert_eq!(get(&usual, name), None, "{name}");
        }
        for (max_age, told) in [(600, "600"), (-1, "0")] {
            let answer = cors(|config| config.max_age = max_age).preflight(&asked(&question));
            assert_eq!(get(&answer, "access-control-max-age"), Some(told));
        }
        let open = cors(|config| {
            config.allow_credentials = true;
            config.allow_private_network = true;
            config.exposed_headers = list(&["X-Request-Id", "Location"]);
        });
        let answer = open.preflight(&asked(&[question[0], question[1], private]));
        assert_eq!(get(&answer, "access-control-allow-credentials"), Some("true"));
        assert_eq!(get(&answer, "access-control-allow-private-network"), Some("true"));
        let answer = open.actual(&asked(&question[..1]));
        let exposed = get(&answer, "access-control-expose-headers");
        assert_eq!(exposed, Some("X-Request-Id, Location"));
        assert_eq!(get(&answer, "access-control-allow-credentials"), Some("true"));
    }

    #[test]
    fn every_origin_gets_a_star_and_no_credentials() {
        let cors = cors(|config| config.allowed_origins = list(&["*"]));
        let answer = cors.actual(&asked(&[("origin", "https://anything")]));
        assert_eq!(get(&answer, "access-control-allow-origin"), Some("*"));
        assert_eq!(get(&answer, "access-control-allow-credentials"), None);
    }

    #[test]
    fn what_cannot_work_or_is_a_mistake_names_its_key() {
        type Change = fn(&mut CorsConfig);
        let table: [(Change, &str); 6] = [
            (|config| config.allowed_origins.clear(), "allowed_origins"),
            (|config| config.allowed_origins = list(&["example.com"]), "allowed_origins"),
            (|config| config.allowed_origins = list(&["https://a/b"]), "allowed_origins"),
            (|config| config.allowed_origins = list(&["https://*.*.a"]), "allowed_origins"),
            (|config| config.allowed_methods = list(&["A B"]), "allowed_methods"),
            (
                |config| {
                    config.allowed_origins = list(&["https://a", "*"]);
                    config.allow_credentials = true;
                },
                "allow_credentials",
            ),
        ];
        for (change, key) in table {
            let mut config = config();
            change(&mut config);
            let error = Cors::from_config(&config).expect_err(key).to_string();
            assert!(error.contains(key), "{error}");
        }
        assert!(Cors::from_config(&CorsConfig::default()).expect("valid").is_none());
    }
}
