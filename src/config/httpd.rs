//! `httpd`: the HTTP server for the REST API and the web pages.

use super::setting::{Secret, section};
use super::tls::MinTlsVersion;

section! {
    /// The HTTP server for the REST API and the web pages.
    pub struct HttpdConfig {
        /// Where to listen. Every element is one listener.
        pub bindings: Vec<HttpdBinding> =
            vec![HttpdBinding { address: "127.0.0.1".to_owned(), ..HttpdBinding::default() }];

        /// Path below which the web pages, their assets and the OpenAPI description are, such as
        /// `/files` behind a proxy that serves other things too. It begins with `/`. The REST API
        /// and `/healthz` stay where they are. Empty for the root.
        pub web_root: String = String::new(), check check_web_root;

        /// Certificate chain of bindings that name none, in PEM format.
        pub certificate_file: String = String::new();

        /// Private key of that certificate, in PEM format.
        pub certificate_key_file: String = String::new();

        /// Files with the authorities whose certificates clients may show, in PEM format; for
        /// bindings with `client_auth_type`.
        pub ca_certificates: Vec<String> = Vec::new();

        /// Files with the revocation lists of these authorities, in PEM or DER format. Read again
        /// on SIGHUP.
        pub ca_revocation_lists: Vec<String> = Vec::new();

        /// Secret from which the keys that sign tokens are derived. Empty for a random one, so
        /// that tokens end with the process.
        pub signing_passphrase: Secret = Secret::default();

        /// File with that secret; wins over `signing_passphrase`.
        pub signing_passphrase_file: String = String::new();

        /// What is not required of a token, or required in addition, as a sum: 1 accepts it from
        /// another IP address than it was issued to, 2 rejects it once its account was changed.
        pub token_validation: u8 = 0, range 0..=3;

        /// Folder with files that replace the templates of the web pages, by the same names;
        /// below the configuration directory if relative. It need not exist. With this and
        /// `static_files_path` empty there are no web pages.
        pub templates_path: String = "templates".to_owned();

        /// Folder with files that replace style sheets, scripts and icons, likewise.
        pub static_files_path: String = "static".to_owned();

        /// File in the format of `htpasswd` (bcrypt or Apache MD5), below the configuration
        /// directory if relative: only who is in it sees the web pages and the OpenAPI
        /// description, and signs in there besides. Neither the REST API, which has tokens,
        /// nor `/healthz` asks. Read again on SIGHUP. Empty lets everybody.
        pub auth_user_file: String = String::new();

        /// Setting up the first administrator.
        pub setup: SetupConfig = SetupConfig::default();

        /// Minutes without a request after which a session of the web pages ends.
        pub cookie_lifetime: u32 = 20, range 1..=720;

        /// Minutes for which a REST token is valid.
        pub jwt_lifetime: u32 = 20, range 1..=720;

        /// Largest file in bytes that can be uploaded through HTTP. 0 sets no limit.
        pub max_upload_file_size: u64 = 0;

        /// Which pages of other origins may use the REST API from within a browser (CORS).
        pub cors: CorsConfig = CorsConfig::default();
    }
}

section! {
    /// One listener of the HTTP server.
    pub struct HttpdBinding {
        /// TCP port. 0 disables the binding, unless the address is a Unix socket.
        pub port: u16 = 8080;

        /// IP address to listen on; empty for all of them; an absolute path for a Unix socket.
        /// An element without an address listens on all of them.
        pub address: String = String::new();

        /// Serve the pages for administrators.
        pub enable_web_admin: bool = true;

        /// Serve the pages for users, once there are any.
        pub enable_web_client: bool = true;

        /// Serve the REST API.
        pub enable_rest_api: bool = true;

        /// Serve the OpenAPI description of the REST API.
        pub render_openapi: bool = true;

        /// Which logins the pages offer, as a sum: 1 OpenID Connect (which this version lacks),
        /// 2 the form. 0 for all. Kept for older configurations: prefer `disabled_login_methods`.
        pub enabled_login_methods: u8 = 0, range 0..=3;

        /// Ways to log in that are off here, as a sum: 4 form of administrators, 8 form of users,
        /// 16 access tokens of administrators, 32 access tokens of users. 1 and 2 (OpenID
        /// Connect), 64 and 128 (API keys) are about what this version does not offer anyway.
        pub disabled_login_methods: u8 = 0;

        /// Speak HTTPS instead of HTTP.
        pub enable_https: bool = false;

        /// File with the certificate chain, in PEM format, the certificate first. Empty for that
        /// of the section. Read again on SIGHUP, and every eight hours.
        pub certificate_file: String = String::new();

        /// File with the private key of the certificate, in PEM format.
        pub certificate_key_file: String = String::new();

        /// Oldest version of TLS that clients may use: 12 or 13.
        pub min_tls_version: MinTlsVersion = MinTlsVersion::Tls12;

        /// Cipher suites for TLS 1.2, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`. Empty for
        /// all that are supported, which are all secure. Those of TLS 1.3 are always on.
        pub tls_cipher_suites: Vec<String> = Vec::new();

        /// Protocols to negotiate (ALPN): only `http/1.1`, as this version has no HTTP/2.
        pub tls_protocols: Vec<String> = Vec::new(), check super::tls::check_protocols;

        /// 1 requires that clients show a certificate of `httpd.ca_certificates`, in addition to
        /// the login; 0 does not ask for one.
        pub client_auth_type: u8 = 0, range 0..=1;

        /// 1 applies the PROXY protocol settings of `common`; 0 expects no such header.
        pub proxy_mode: u8 = 0, range 0..=1;

        /// IP addresses and networks of the proxies in front: only their `X-Forwarded-Proto`,
        /// `client_ip_proxy_header`, `security.hosts_proxy_headers` and
        /// `security.https_proxy_headers` are believed. What comes through a Unix socket counts
        /// as 127.0.0.1.
        pub proxy_allowed: Vec<String> = Vec::new(), check super::common::check_networks;

        /// Header in which a proxy tells the address of the client, such as `X-Forwarded-For` or
        /// `X-Real-IP`. The proxy must set it itself, never pass on that of the client. Empty:
        /// whoever connects is the client.
        pub client_ip_proxy_header: String = String::new(), check check_header;

        /// Which address of that header is the client's if there are several: 0 the last one, 1
        /// the one before and so on, for that many more proxies in front; -1 the first one, which
        /// clients can make up unless the outermost proxy removes theirs.
        pub client_ip_header_depth: i32 = 0, range -1..=64;

        /// Which requests are served, and what browsers are told about the answers.
        pub security: HttpdSecurity = HttpdSecurity::default();
    }
}

section! {
    /// Setting up the first administrator in the web pages.
    pub struct SetupConfig {
        /// Code that has to be typed to create the first administrator. Empty for none.
        pub installation_code: Secret = Secret::default();

        /// What the field for the code is called.
        pub installation_code_hint: String = "Installation code".to_owned();
    }
}

section! {
    /// Which requests are served, and what browsers are told about the answers. Safe headers
    /// are sent in any case; what is set here takes their place.
    pub struct HttpdSecurity {
        /// Apply what follows.
        pub enabled: bool = false;

        /// Host names that requests may be for; others are refused with status 421. A name
        /// without a port stands for every port. `/healthz` never asks. Empty for all of them.
        pub allowed_hosts: Vec<String> = Vec::new();

        /// The names are regular expressions, for the whole name in any case.
        pub allowed_hosts_are_regex: bool = false;

        /// Headers in which proxies tell the host name that the client asked for.
        pub hosts_proxy_headers: Vec<String> = Vec::new(), check check_headers;

        /// Send who comes without HTTPS to the same address with it.
        pub https_redirect: bool = false;

        /// Host name, with the port if it is not 443, to send them to. Empty for the one that
        /// they asked for.
        pub https_host: String = String::new(), check check_host;

        /// Headers with which proxies tell that the client came with HTTPS. Empty for
        /// `X-Forwarded-Proto` with the value `https`.
        pub https_proxy_headers: Vec<HttpsProxyHeader> = Vec::new();

        /// Seconds for which browsers use HTTPS only (`Strict-Transport-Security`), told to those
        /// that come with HTTPS. 0 does not tell them.
        pub sts_seconds: u64 = 0;

        /// That is for subdomains as well.
        pub sts_include_subdomains: bool = false;

        /// The name may be put into the lists that browsers ship with.
        pub sts_preload: bool = false;

        /// Kept for older configurations: `X-Content-Type-Options: nosniff` is always sent.
        pub content_type_nosniff: bool = false;

        /// `Content-Security-Policy` of pages. Empty for one that allows only what the pages need.
        pub content_security_policy: String = String::new(), check check_value;

        /// `Permissions-Policy`. Empty for none.
        pub permissions_policy: String = String::new(), check check_value;

        /// `Cross-Origin-Opener-Policy`. Empty for `same-origin`.
        pub cross_origin_opener_policy: String = String::new(), check check_value;

        /// `Cross-Origin-Resource-Policy`. Empty for `same-origin`.
        pub cross_origin_resource_policy: String = String::new(), check check_value;

        /// `Cross-Origin-Embedder-Policy`. Empty for none.
        pub cross_origin_embedder_policy: String = String::new(), check check_value;

        /// `Referrer-Policy`. Empty for `no-referrer`.
        pub referrer_policy: String = String::new(), check check_value;

        /// `Cache-Control` of everything that is not made for caching. Empty for `no-store`.
        pub cache_control: String = String::new(), check check_value;
    }
}

section! {
    /// A header with which proxies tell that the client came with HTTPS.
    pub struct HttpsProxyHeader {
        /// Name of the header. Empty: the element is left out.
        pub key: String = String::new(), check check_header;

        /// The value that says so, in any case.
        pub value: String = String::new();
    }
}

section! {
    /// Which pages of other origins may use the REST API from within a browser (CORS).
    pub struct CorsConfig {
        /// Answer other origins at all.
        pub enabled: bool = false;

        /// Origins such as `https://app.example.com`; one `*` in an origin stands for anything,
        /// as in `https://*.example.com`, and `*` alone for every origin.
        pub allowed_origins: Vec<String> = Vec::new();

        /// Methods that they may use. Empty for GET, HEAD and POST.
        pub allowed_methods: Vec<String> = Vec::new();

        /// Headers that they may send; `*` for all of them. Empty for `Accept`, `Content-Type`
        /// and `X-Requested-With`; the API also needs `Authorization`.
        pub allowed_headers: Vec<String> = Vec::new();

        /// Headers of answers that they may read, besides the usual ones.
        pub exposed_headers: Vec<String> = Vec::new(), check check_headers;

        /// They may send cookies and client certificates. Not together with the origin `*`.
        pub allow_credentials: bool = false;

        /// Seconds for which browsers may remember the permission. 0 leaves it to them, a
        /// negative number forbids it.
        pub max_age: i32 = 0;

        /// Hand the browser's question for permission on to whatever has the path.
        pub options_passthrough: bool = false;

        /// Status of the answer to that question. 0 for 204.
        pub options_success_status: u16 = 0, check check_success;

        /// Pages from public addresses may ask even if this server has a private one.
        pub allow_private_network: bool = false;
    }
}

fn check_web_root(root: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let is_usual = root.is_empty()
        || (root.starts_with('/')
            && root.bytes().all(is_plain)
            && !root.split('/').any(|part| matches!(part, "." | ".."))
            && !root.contains("//"));
    let problem = "must begin with \"/\" and have only letters, digits and -._~ between slashes";
    is_usual.then_some(()).ok_or_else(|| problem.to_owned())
}

/// RFC 9110, section 5.1: a token.
fn check_header(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match name.bytes().all(is_token) {
        true => Ok(()),
        false => Err(format!("{name:?} is no name of a header")),
    }
}

fn check_headers(names: &[String]) -> Result<(), String> {
    names.iter().try_for_each(|name| check_header(name))
}

fn check_value(value: &str) -> Result<(), String> {
    let is_printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_printable.then_some(()).ok_or_else(|| "must be printable US-ASCII".to_owned())
}

fn check_host(host: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_host = host.bytes().all(is_plain);
    is_host.then_some(()).ok_or_else(|| "must be a host name, with or without a port".to_owned())
}

fn check_success(status: &u16) -> Result<(), String> {
    let is_success = *status == 0 || (200..300).contains(status);
    is_success.then_some(()).ok_or_else(|| "must be 0 or between 200 and 299".to_owned())
}

impl HttpdBinding {
    /// Whether it listens at all.
    pub fn is_enabled(&self) -> bool {
        self.port != 0 || std::path::Path::new(&self.address).is_absolute()
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "bindings": [{
        "hide_login_url": 0,
        "web_client_integrations": [],
        "base_url": "",
        "languages": ["en"],
        "oidc": {
            "client_id": "",
            "client_secret": "",
            "client_secret_file": "",
            "config_url": "",
            "redirect_base_url": "",
            "scopes": ["openid", "profile", "email"],
            "username_field": "",
            "role_field": "",
            "implicit_roles": false,
            "custom_fields": [],
            "query_userinfo": false,
            "insecure_skip_signature_check": false,
            "debug": false
        },
        "branding": {
            "web_admin": {
                "name": "",
                "short_name": "",
                "favicon_path": "",
                "logo_path": "",
                "disclaimer_name": "",
                "disclaimer_path": "",
                "default_css": [],
                "extra_css": []
            },
            "web_client": {
                "name": "",
                "short_name": "",
                "favicon_path": "",
                "logo_path": "",
                "disclaimer_name": "",
                "disclaimer_path": "",
                "default_css": [],
                "extra_css": []
            }
        }
    }],
    "share_cookie_lifetime": 120,
    "hide_support_link": false
}"#;
