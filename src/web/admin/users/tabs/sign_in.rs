//! By what a user proves who it is.

use serde_json::{Value, json};

use super::Fields;
use crate::model::{LoginMethod, Password, User, public_key};
use crate::web::admin::users::rows::{Filling, Row, Section};
use crate::web::pages::form::Form;
use crate::web::pages::text;

/// A key that is stored is a row that can be ticked to remove it, others are typed.
const KEYS: Section =
    Section { name: "public_keys", texts: &["line"], choices: &[], many: &["remove"] };

/// RSA keys with fewer bits are told to be weak, as those of the host are.
const STRONG_RSA_BITS: u32 = 3_072;

pub const FIELDS: Fields = Fields {
    single: &["password"],
    many: &["denied_login_methods", "two_factor_protocols"],
    sections: &[KEYS],
};

/// The methods that can be chosen here. Others that are stored stay.
pub const METHODS: [(LoginMethod, &str); 6] = [
    (LoginMethod::PublicKey, "Public key"),
    (LoginMethod::Password, "Password"),
    (LoginMethod::PasswordOverSsh, "Password over SSH only"),
    (LoginMethod::KeyboardInteractive, "Keyboard-interactive"),
    (LoginMethod::PublicKeyAndPassword, "Public key, then password"),
    (LoginMethod::PublicKeyAndKeyboardInteractive, "Public key, then keyboard-interactive"),
];

/// The protocols over which a second factor can be required. Others that are stored stay.
pub const FACTOR_PROTOCOLS: [(&str, &str); 2] = [("SSH", "SSH"), ("HTTP", "Web and REST API")];

pub fn fields(user: &User) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (method, _) in METHODS {
        if user.filters.denied_login_methods.contains(&method) {
            fields.push(("denied_login_methods".to_owned(), method.as_str().to_owned()));
        }
    }
    for (protocol, _) in FACTOR_PROTOCOLS {
        if user.filters.two_factor_protocols.iter().any(|name| name == protocol) {
            fields.push(("two_factor_protocols".to_owned(), protocol.to_owned()));
        }
    }
    let mut rows = Filling::of(&KEYS, &mut fields);
    for line in &user.public_keys {
        rows.row(&[("line", line.clone())]);
    }
    fields
}

pub fn apply(form: &Form, user: &mut User) {
    // Empty keeps the stored one.
    user.password = Password::from(form.get("password"));
    let rows = KEYS.rows(form);
    let kept = rows.iter().filter(|row| row.all("remove").is_empty());
    user.public_keys = kept.map(|row| row.get("line").to_owned()).collect();
    let filters = &mut user.filters;
    keep_or_take(&mut filters.denied_login_methods, &METHODS.map(|(method, _)| method), |method| {
        form.all("denied_login_methods").any(|name| name == method.as_str())
    });
    keep_or_take(
        &mut filters.two_factor_protocols,
        &FACTOR_PROTOCOLS.map(|(name, _)| name.to_owned()),
        |protocol| form.all("two_factor_protocols").any(|name| name == protocol.as_str()),
    );
}

/// Makes `list` hold those of `offered` that are ticked; what is not offered stays, and so
/// does the order.
pub fn keep_or_take<T: PartialEq + Clone>(
    list: &mut Vec<T>,
    offered: &[T],
    is_ticked: impl Fn(&T) -> bool,
) {
    list.retain(|item| !offered.contains(item) || is_ticked(item));
    for item in offered {
        if is_ticked(item) && !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// What is known of the keys in a form: for each its type, comment and fingerprint, or what
/// is wrong with it. Those that `user` has are not typed again.
pub fn keys_view(form: &Form, user: &User) -> Value {
    let describe = |line: &str| match public_key::parse(line) {
        Ok(key) => json!({
            "line": line,
            "kind": key.algorithm().as_str(),
            "bits": public_key::rsa_bits(&key),
            "is_weak": public_key::rsa_bits(&key).is_some_and(|bits| bits < STRONG_RSA_BITS),
            "comment": text::visible(key.comment().as_ref()),
            "fingerprint": key.fingerprint(russh::keys::HashAlg::Sha256).to_string(),
            "wrong": "",
        }),
        Err(error) => json!({
            "line": line,
            "kind": "",
            "bits": null,
            "is_weak": false,
            "comment": "",
            "fingerprint": "",
            "wrong": crate::web::pages::error::sentence(error.context()),
        }),
    };
    let rows = KEYS.rows(form);
    let view = |row: &Row| {
        let line = row.get("line");
        let mut key = describe(line);
        key["is_stored"] = json!(user.public_keys.iter().any(|stored| stored.trim() == line));
        key["is_removed"] = json!(!row.all("remove").is_empty());
        key
    };
    rows.iter().map(view).collect()
}
