//! `webdavd`: the WebDAV server.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "bindings": [{
        "port": 0,
        "address": "",
        "enable_https": false,
        "certificate_file": "",
        "certificate_key_file": "",
        "min_tls_version": 12,
        "client_auth_type": 0,
        "tls_cipher_suites": [],
        "tls_protocols": [],
        "prefix": "",
        "proxy_mode": 0,
        "proxy_allowed": [],
        "client_ip_proxy_header": "",
        "client_ip_header_depth": 0,
        "disable_www_auth_header": false
    }],
    "certificate_file": "",
    "certificate_key_file": "",
    "ca_certificates": [],
    "ca_revocation_lists": [],
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
    "cache": {
        "users": {"expiration_time": 0, "max_size": 50},
        "mime_types": {
            "enabled": true,
            "max_size": 1000,
            "custom_mappings": [{"ext": "", "mime": ""}]
        }
    }
}"#;
