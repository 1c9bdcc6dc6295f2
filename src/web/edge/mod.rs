//! What stands between the network and the handlers of one binding.

pub mod cors;
pub mod htpasswd;
pub mod observe;
pub mod rate_limit;
pub mod security;

use actix_web::dev::RequestHead;

use crate::config::{HttpdBinding, HttpdConfig};
use crate::error::Result;
use crate::web::edge::cors::Cors;
use crate::web::edge::security::Security;
use crate::web::request::peer::Proxies;

/// How requests of one binding are taken before a handler sees them.
#[derive(Debug, Default)]
pub struct Edge {
    /// Who may tell who the client is.
    pub proxies: Proxies,
    /// Which requests are served, and the headers of answers.
    pub security: Security,
    /// What pages of other origins may do; `None` is nothing.
    pub cors: Option<Cors>,
    /// Which logins are on.
    pub logins: Logins,
    /// Whether the binding itself speaks HTTPS.
    is_https: bool,
    /// Path before that of every page; empty, or with a slash in front and none behind.
    web_root: String,
}

impl Edge {
    /// # Errors
    /// A setting that cannot work; it is named.
    pub fn from_config(httpd: &HttpdConfig, binding: &HttpdBinding) -> Result<Self> {
        Ok(Self {
            proxies: Proxies::from_config(binding)?,
            security: Security::from_config(&binding.security)
                .map_err(|error| error.wrap("security"))?,
            cors: Cors::from_config(&httpd.cors).map_err(|error| error.wrap("httpd.cors"))?,
            logins: Logins::from_config(binding),
            is_https: binding.enable_https,
            web_root: httpd.web_root.trim_end_matches('/').to_owned(),
        })
    }

    /// The link to a page, and where its route is: `path` begins with a slash.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.web_root)
    }

    /// Whether the client came with HTTPS, to us or to a trusted proxy; cookies are
    /// `Secure` then.
    pub fn is_secure(&self, head: &RequestHead) -> bool {
        self.is_https
            || (self.proxies.trusts(head) && self.security.is_https_by_proxy(head.headers()))
    }
}

/// Whether the path of a request is one of those below `root`, and not `root` itself.
pub fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// A way to log in that a binding can switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginWay {
    /// The form of the pages for administrators.
    AdminForm,
    /// The form of the pages for users.
    UserForm,
    /// `/api/v2/token`.
    AdminToken,
    /// `/api/v2/user/token`.
    UserToken,
}

impl LoginWay {
    /// Its bit in `disabled_login_methods`.
    fn bit(self) -> u8 {
        match self {
            Self::AdminForm => 4,
            Self::UserForm => 8,
            Self::AdminToken => 16,
            Self::UserToken => 32,
        }
    }
}

/// The ways to log in that are on.
#[derive(Debug, Default)]
pub struct Logins {
    disabled: u8,
}

impl Logins {
    /// The bit of forms in `enabled_login_methods`.
    const ENABLED_FORM: u8 = 2;

    fn from_config(binding: &HttpdBinding) -> Self {
        let has_forms = binding.enabled_login_methods == 0
            || binding.enabled_login_methods & Self::ENABLED_FORM != 0;
        let forms = LoginWay::AdminForm.bit() | LoginWay::UserForm.bit();
        Self { disabled: binding.disabled_login_methods | if has_forms { 0 } else { forms } }
    }

    /// Whether one may log in this way.
    pub fn offer(&self, way: LoginWay) -> bool {
        self.disabled & way.bit() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_switch_off_what_they_are_documented_for() {
        use LoginWay::{AdminForm, AdminToken, UserForm, UserToken};
        let table = [
            (0, 0, &[AdminForm, UserForm, AdminToken, UserToken][..]),
            (0, 4, &[UserForm, AdminToken, UserToken]),
            (0, 8, &[AdminForm, AdminToken, UserToken]),
            (0, 16, &[AdminForm, UserForm, UserToken]),
            (0, 32, &[AdminForm, UserForm, AdminToken]),
            (0, 1 | 2 | 64 | 128, &[AdminForm, UserForm, AdminToken, UserToken]),
            (0, 255, &[]),
            (1, 0, &[AdminToken, UserToken]),
            (2, 0, &[AdminForm, UserForm, AdminToken, UserToken]),
            (3, 8, &[AdminForm, AdminToken, UserToken]),
        ];
        for (enabled, disabled, offered) in table {
            let logins = Logins::from_config(&HttpdBinding {
                enabled_login_methods: enabled,
                disabled_login_methods: disabled,
                ..HttpdBinding::default()
            });
            for way in [AdminForm, UserForm, AdminToken, UserToken] {
                assert_eq!(
                    logins.offer(way),
                    offered.contains(&way),
                    "{enabled} {disabled} {way:?}"
                );
            }
        }
    }

    #[test]
    fn links_are_below_the_web_root() {
        for (root, link) in [
            ("", "/web/admin"),
            ("/", "/web/admin"),
            ("/a", "/a/web/admin"),
            ("/a/b/", "/a/b/web/admin"),
        ] {
            let httpd = HttpdConfig { web_root: root.to_owned(), ..HttpdConfig::default() };
            let edge = Edge::from_config(&httpd, &HttpdBinding::default()).expect("valid");
            assert_eq!(edge.link("/web/admin"), link, "{root:?}");
        }
    }
}
