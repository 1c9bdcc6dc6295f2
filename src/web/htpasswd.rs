//! The htpasswd file that guards the metrics: `name:hash` per line.

use std::collections::HashMap;
use std::path::Path;

use crate::auth::hash::{CostLimits, Scheme, StoredHash};
use crate::error::{Error, Result};

/// Who may read, by name.
pub struct Htpasswd {
    hash_by_name: HashMap<String, StoredHash>,
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
        let mut hash_by_name = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, hash)) = line.split_once(':') else {
                return Err(Error::invalid(format!("line {}: is not name:hash", index + 1)));
            };
            let refused = |why: String| Error::invalid(format!("line {}: {why}", index + 1));
            let hash = StoredHash::parse(hash, &CostLimits::default())
                .map_err(|error| refused(error.to_string()))?;
            match hash.scheme() {
                Scheme::Bcrypt | Scheme::Md5Crypt => {}
                Scheme::Argon2id | Scheme::Pbkdf2 | Scheme::ShaCrypt | Scheme::Digest => {
                    return Err(refused("the hash is neither bcrypt nor Apache MD5".to_owned()));
                }
            }
            hash_by_name.insert(name.to_owned(), hash);
        }
        Ok(Self { hash_by_name })
    }

    /// Whether the password is right. Slow by design: call it off the async threads.
    pub fn verify(&self, name: &str, password: &str) -> bool {
        match self.hash_by_name.get(name) {
            Some(hash) => hash.matches(password.as_bytes()),
            None => {
                // The same work for a name that is not there, so that time does not tell.
                if let Some(hash) = self.hash_by_name.values().next() {
                    hash.matches(password.as_bytes());
                }
                false
            }
        }
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

    #[test]
    fn both_formats_of_the_tool_are_verified() {
        let file = Htpasswd::parse(FILE).expect("valid");
        assert!(file.verify("prometheus", "secret"));
        assert!(file.verify("grafana", "secret"));
        for (name, password) in
            [("prometheus", "Secret"), ("grafana", ""), ("nobody", "secret"), ("", "secret")]
        {
            assert!(!file.verify(name, password), "{name}");
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
