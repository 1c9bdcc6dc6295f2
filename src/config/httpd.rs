//! `httpd`: the HTTP server for the REST API and the web pages.

use super::setting::{Secret, section};

section! {
    /// The HTTP server for the REST API and the web pages.
    pub struct HttpdConfig {
        /// Where to listen. Every element is one listener.
        pub bindings: Vec<HttpdBinding> =
            vec![HttpdBinding { address: "127.0.0.1".to_owned(), ..HttpdBinding::default() }];

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

        /// Setting up the first administrator.
        pub setup: SetupConfig = SetupConfig::default();

        /// Minutes without a request after which a session of the web pages ends.
        pub cookie_lifetime: u32 = 20, range 1..=720;

        /// Minutes for which a REST token is valid.
        pub jwt_lifetime: u32 = 20, range 1..=720;

        /// Largest file in bytes that can be uploaded through HTTP. 0 sets no limit.
        pub max_upload_file_size: u64 = 0;
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

impl HttpdBinding {
    /// Whether it listens at all.
    pub fn is_enabled(&self) -> bool {
        self.port != 0 || std::path::Path::new(&self.address).is_absolute()
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "bindings": [{
        "enabled_login_methods": 0,
        "disabled_login_methods": 0,
        "enable_https": false,
        "certificate_file": "",
        "certificate_key_file": "",
        "min_tls_version": 12,
        "client_auth_type": 0,
        "tls_cipher_suites": [],
        "tls_protocols": [],
        "proxy_mode": 0,
        "proxy_allowed": [],
        "client_ip_proxy_header": "",
        "client_ip_header_depth": 0,
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
        "security": {
            "enabled": false,
            "allowed_hosts": [],
            "allowed_hosts_are_regex": false,
            "hosts_proxy_headers": [],
            "https_redirect": false,
            "https_host": "",
            "https_proxy_headers": [{"key": "", "value": ""}],
            "sts_seconds": 0,
            "sts_include_subdomains": false,
            "sts_preload": false,
            "content_type_nosniff": false,
            "content_security_policy": "",
            "permissions_policy": "",
            "cross_origin_opener_policy": "",
            "cross_origin_resource_policy": "",
            "cross_origin_embedder_policy": "",
            "referrer_policy": "",
            "cache_control": ""
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
    "web_root": "",
    "auth_user_file": "",
    "certificate_file": "",
    "certificate_key_file": "",
    "ca_certificates": [],
    "ca_revocation_lists": [],
    "share_cookie_lifetime": 120,
    "cors": {
        "enabled": false,
        "allowed_origins": [],
        "allowed_methods": [],
        "allowed_headers": [],
        "exposed_headers": [],
        "allow_credentials": false,
        "max_age": 0,
        "options_passthrough": false,
        "options_success_status": 0,
        "allow_private_network": false
    },
    "hide_support_link": false
}"#;
