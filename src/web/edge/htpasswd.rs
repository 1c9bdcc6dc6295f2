//! Files in the format of `htpasswd`, `name:hash` per line, and the doors they guard.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, ResponseError};

use crate::auth::VerifiedPasswords;
use crate::auth::hash::{CostLimits, Scheme, StoredHash};
use crate::error::{Error, Result};
use crate::web::edge::is_below;
use crate::web::error::ApiError;
use crate::web::request::auth::BasicCredentials;
use crate::web::services::Binding;
use crate::web::url;

/// Lets in who is in a file (HTTP Basic, RFC 7617).
pub struct Door {
    /// The key that names the file, for messages.
    key: &'static str,
    path: PathBuf,
    users: RwLock<Arc<Htpasswd>>,
    /// A browser sends the password with every request, and the hashes are slow.
    verified: VerifiedPasswords,
}

impl Door {
    /// Reads the file at `path`, which is below `config_dir` if relative; `None` if empty.
    ///
    /// # Errors
    /// As those of [`Htpasswd::read`], naming `key`.
    pub fn from_config(
        key: &'static str,
        config_dir: &Path,
        path: &str,
    ) -> Result<Option<Arc<Self>>> {
        if path.is_empty() {
            return Ok(None);
        }
        let path = config_dir.join(path);
        let users = Htpasswd::read(&path).map_err(|error| error.wrap(key))?;
        let users = RwLock::new(Arc::new(users));
        Ok(Some(Arc::new(Self { key, path, users, verified: VerifiedPasswords::new()? })))
    }

    /// Reads the file again. After an error it stays as it was.
    ///
    /// # Errors
    /// As those of [`Htpasswd::read`], naming the key.
    pub fn reload(&self) -> Result<()> {
        let read = Htpasswd::read(&self.path).map_err(|error| error.wrap(self.key))?;
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// Lets a request pass, or not.
    ///
    /// # Errors
    /// 401, which makes a browser ask for name and password.
    pub async fn admit(self: &Arc<Self>, request: &HttpRequest) -> Result<(), ApiError> {
        let refused = || ApiError::bad_credentials("a user name and a password are needed");
        let basic = BasicCredentials::of(request).ok_or_else(refused)?;
        let door = self.clone();
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_known = users.is_remembered(&basic, &door.verified)
            || web::block(move || users.verify(&basic, &door.verified))
                .await
                .map_err(|_| Error::internal("the password check was given up"))?;
        if is_known { Ok(()) } else { Err(ApiError::bad_credentials("invalid credentials")) }
    }
}

/// Middleware of the API's server: `httpd.auth_user_file` guards everything but the REST
/// API, whose tokens travel in the same header, and the health check.
pub async fn httpd<B: MessageBody>(
    binding: Data<Binding>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if let Some(door) = binding.door.as_ref().filter(|_| is_guarded(request.path()))
        && let Err(error) = door.admit(request.request()).await
    {
        return Ok(request.into_response(error.error_response()).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

fn is_guarded(path: &str) -> bool {
    !is_below(path, url::API) && path != url::HEALTH
}

/// Who may pass, by name.
pub struct Htpasswd {
    user_by_name: HashMap<String, User>,
}

struct User {
    hash: StoredHash,
    /// As it stands in the file.
    stored: String,
}

impl Htpasswd {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is neither empty, a comment nor a name with
    /// a hash in a known format; the line is named, its content is not.
    pub fn read(path: &Path) -> Result<Self> {
        let context = || path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::from_io(context(), error))?;
        Self::parse(&text).map_err(|error| error.wrap(context()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut user_by_name = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, stored)) = line.split_once(':') else {
                return Err(Error::invalid(format!("line {}: is not name:hash", index + 1)));
            };
            let refused = |why: String| Error::invalid(format!("line {}: {why}", index + 1));
            let hash = StoredHash::parse(stored, &CostLimits::default())
                .map_err(|error| refused(error.to_string()))?;
            match hash.scheme() {
                Scheme::Bcrypt | Scheme::Md5Crypt => {}
                Scheme::Argon2id | Scheme::Pbkdf2 | Scheme::ShaCrypt | Scheme::Digest => {
                    return Err(refused("the hash is neither bcrypt nor Apache MD5".to_owned()));
                }
            }
            user_by_name.insert(name.to_owned(), User { hash, stored: stored.to_owned() });
        }
        Ok(Self { user_by_name })
    }

    /// Whether the password was found right before.
    fn is_remembered(&self, basic: &BasicCredentials, verified: &VerifiedPasswords) -> bool {
        let user = self.user_by_name.get(&basic.username);
        user.is_some_and(|user| verified.contains(&user.stored, &basic.password))
    }

    /// Whether the password is right. Slow by design: call it off the async threads.
    fn verify(&self, basic: &BasicCredentials, verified: &VerifiedPasswords) -> bool {
        let Some(user) = self.user_by_name.get(&basic.username) else {
            // The same work for a name that is not there, so that time does not tell.
            if let Some(user) = self.user_by_name.values().next() {
                user.hash.matches(basic.password.as_bytes());
            }
            return false;
        };
        let is_right = user.hash.matches(basic.password.as_bytes());
        if is_right {
            verified.insert(&user.stored, &basic.password);
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Both are "secret".
    const FILE: &str = "# readers\n\
        prometheus:$2y$04$5UTgKK5LV/Ge8wsftRqpvOJxV9jjRE4Ah92l/HhBLaCsRI0S.gY.2\n\
        \n\
        grafana:$apr1$lyaEGNXz$Ncv10UukNA2lus3E3jfsb.\n";

    fn basic(username: &str, password: &str) -> BasicCredentials {
        BasicCredentials { username: username.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn both_formats_of_the_tool_are_verified_and_only_what_is_right_is_remembered() {
        let file = Htpasswd::parse(FILE).expect("valid");
        let verified = VerifiedPasswords::new().expect("random numbers");
        for (name, password, is_right) in [
            ("prometheus", "secret", true),
            ("grafana", "secret", true),
            ("prometheus", "Secret", false),
            ("grafana", "", false),
            ("nobody", "secret", false),
            ("", "secret", false),
        ] {
            let basic = basic(name, password);
            assert!(!file.is_remembered(&basic, &verified), "{name}");
            assert_eq!(file.verify(&basic, &verified), is_right, "{name}");
            assert_eq!(file.is_remembered(&basic, &verified), is_right, "{name}");
        }
        // A new hash has to be verified anew.
        let changed = Htpasswd::parse(&FILE.replace("$2y$04$5U", "$2y$04$6U")).expect("valid");
        assert!(!changed.is_remembered(&basic("prometheus", "secret"), &verified));
        assert!(changed.is_remembered(&basic("grafana", "secret"), &verified));
    }

    #[test]
    fn everything_but_the_api_and_the_health_check_is_guarded() {
        for (path, expected) in [
            ("/", true),
            ("/web/admin/login", true),
            ("/static/abc/app.js", true),
            ("/openapi/openapi.yaml", true),
            ("/api/v2", true),
            ("/api/v2x/users", true),
            ("/healthz/", true),
            ("/healthz", false),
            ("/api/v2/users", false),
        ] {
            assert_eq!(is_guarded(path), expected, "{path}");
        }
    }

    #[test]
    fn a_bad_line_is_named_without_its_content() {
        for text in ["\nprometheus", "\nprometheus:plaintext", "\na:{SHA}plaintext"] {
            let error = Htpasswd::parse(text).err().expect("must be refused").to_string();
            assert!(error.starts_with("line 2:"), "{error}");
            assert!(!error.contains("plaintext"), "{error}");
        }
    }
}
