//! Many users from a template: one line each, what they have in common once.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::{create, path_of, tabs};
use crate::model::{Password, User, public_key};
use crate::web::admin::tasks::ended_soon;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::AddUsers;

/// Most users of one template: every password is hashed, which takes its time.
const MOST: usize = 500;

const USERNAME: &str = "%username%";
const PASSWORD: &str = "%password%";

/// One line: who is to be made of the template.
struct Line {
    username: String,
    password: String,
    key: String,
}

impl Line {
    /// Reads `username[,password[,public key]]`; a key has no comma in front of its comment.
    fn of(text: &str) -> Self {
        let mut parts = text.splitn(3, ',').map(|part| part.trim().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        Self { username: next(), password: next(), key: next() }
    }

    /// What is wrong with it by itself.
    fn complaint(&self, has_password: bool) -> Option<String> {
        if self.username.is_empty() {
            return Some("Has no username.".to_owned());
        }
        if !self.key.is_empty()
            && let Err(error) = public_key::parse(&self.key)
        {
            return Some(format!("Public key: {}", sentence(error.context())));
        }
        if !has_password && self.key.is_empty() {
            return Some(create::NO_CREDENTIALS.to_owned());
        }
        None
    }

    /// The password, from its pattern.
    fn password(&self, pattern: &str) -> String {
        // Who has no password of its own gets none that only the pattern makes.
        if pattern.contains(PASSWORD) && self.password.is_empty() {
            return String::new();
        }
        // In one pass: what is put in is not looked at again.
        let parts = pattern.split(PASSWORD).map(|part| part.replace(USERNAME, &self.username));
        parts.collect::<Vec<_>>().join(&self.password)
    }

    fn user(&self, template: &User, pattern: &str) -> User {
        let put = |text: &str| text.replace(USERNAME, &self.username);
        let mut user = template.clone();
        user.username.clone_from(&self.username);
        user.description = put(&template.description);
        user.email = put(&template.email);
        user.home_dir = put(&template.home_dir);
        user.password = Password::from(self.password(pattern).as_str());
        if !self.key.is_empty() {
            user.public_keys.push(self.key.clone());
        }
        user
    }
}

fn lines(form: &Form) -> Vec<Line> {
    let lines = form.get("lines").lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).take(MOST + 1).map(Line::of).collect()
}

fn pattern(form: &Form) -> &str {
    if form.has("password_pattern") { form.trimmed("password_pattern") } else { PASSWORD }
}

pub async fn page(signed: Signed<AddUsers>) -> Result<HttpResponse, PageError> {
    let form = create::at_first(&signed);
    show(&signed, StatusCode::OK, &form, &FieldErrors::default(), Value::Null, Value::Null).await
}

async fn show(
    signed: &Signed<AddUsers>,
    status: StatusCode,
    form: &Form,
    errors: &FieldErrors,
    preview: Value,
    results: Value,
) -> Result<HttpResponse, PageError> {
    let ready = preview.as_array().map(|rows| {
        rows.iter().filter(|row| row["wrong"].as_str().is_some_and(str::is_empty)).count()
    });
    let done = results.as_array().map(|rows| {
        rows.iter().filter(|row| row["wrong"].as_str().is_some_and(str::is_empty)).count()
    });
    let content = json!({
        "f": create::view(form),
        "lines": form.get("lines"),
        "password_pattern": pattern(form),
        "common": create::common(signed).await?,
        "more": form.get("more"),
        "errors": errors,
        "error_labels": errors.labels(tabs::label_of_field),
        "preview": preview,
        "results": results,
        "ready": ready,
        "done": done,
    });
    signed
        .page_with(status, "admin/user_template.html", "users", "Users from a template", content)
        .await
}

pub async fn act(act: Act<AddUsers>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let mut errors = FieldErrors::default();
    if form.has("more") {
        return show(by, StatusCode::OK, form, &errors, Value::Null, Value::Null).await;
    }
    let template = create::read(form, &mut errors);
    let (lines, pattern) = (lines(form), pattern(form));
    match lines.len() {
        0 => errors.add("lines", "Enter at least one line."),
        count if count > MOST => errors.add("lines", format!("Enter at most {MOST} lines.")),
        _ => {}
    }
    for (field, text) in [("description", &template.description), ("email", &template.email)] {
        if text.contains(PASSWORD) {
            errors.add(field, "A password would be readable here.");
        }
    }
    if template.home_dir.contains(PASSWORD) {
        errors.add("home_dir", "A password would be readable here.");
    }
    if !template.home_dir.is_empty() && !template.home_dir.contains(USERNAME) && lines.len() > 1 {
        errors.add("home_dir", "All users would share it. Put %username% into the path.");
    }
    if !errors.is_empty() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return show(by, status, form, &errors, Value::Null, Value::Null).await;
    }
    let preview = preview(by, &lines, &template, pattern).await?;
    let is_ready = |row: &Value| row["wrong"].as_str().is_some_and(str::is_empty);
    if !form.has("create") {
        return show(by, StatusCode::OK, form, &errors, Value::Array(preview), Value::Null).await;
    }
    let ready = lines.iter().zip(&preview).filter(|(_, row)| is_ready(row));
    let users = ready.map(|(line, _)| line.user(&template, pattern)).collect();
    let task = match by.binding.services.start_adding(&by.admin, users) {
        Ok(task) => task,
        Err(error) if error.status() == StatusCode::TOO_MANY_REQUESTS => {
            errors.add("lines", sentence(error.told()));
            return show(by, error.status(), form, &errors, Value::Null, Value::Null).await;
        }
        Err(error) => return Err(error.into()),
    };
    let task = match ended_soon(by, &task).await? {
        Ok(task) => task,
        Err(way_there) => return Ok(way_there),
    };
    let mut results = preview;
    for row in results.iter_mut().filter(|row| is_ready(row)) {
        let username = row["username"].as_str().unwrap_or_default().to_owned();
        match task.failures.iter().find(|failure| failure.name == username) {
            Some(failure) => row["wrong"] = json!(sentence(&failure.error)),
            None => row["path"] = json!(path_of(&by.request, &username)),
        }
    }
    let nothing_typed = Form::default();
    show(by, StatusCode::OK, &nothing_typed, &errors, Value::Null, Value::Array(results)).await
}

/// What each line would become, and what is wrong with it.
async fn preview(
    by: &Signed<AddUsers>,
    lines: &[Line],
    template: &User,
    pattern: &str,
) -> Result<Vec<Value>, PageError> {
    let services = by.services();
    let rules = services.store.rules();
    let mut seen = BTreeSet::new();
    let mut preview = Vec::with_capacity(lines.len());
    for line in lines {
        let mut user = line.user(template, pattern);
        let has_password = !user.password.is_empty();
        let mut wrong = line.complaint(has_password);
        if wrong.is_none()
            && let Err(error) = user.normalise(rules)
        {
            wrong = Some(sentence(error.context()));
        }
        if wrong.is_none() && !seen.insert(user.username.clone()) {
            wrong = Some("Is listed twice.".to_owned());
        }
        // Names are one space for all roles, so this tells only that one is taken.
        if wrong.is_none() && services.store.user(&user.username).await?.is_some() {
            wrong = Some(create::NAME_TAKEN.to_owned());
        }
        preview.push(json!({
            "username": user.username,
            "home_dir": user.home_dir,
            "has_password": has_password,
            "has_key": !line.key.is_empty(),
            "wrong": wrong.unwrap_or_default(),
            "path": "",
        }));
    }
    Ok(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_a_password_and_a_key() {
        for (text, want) in [
            ("bob", ("bob", "", "")),
            ("bob, secret", ("bob", "secret", "")),
            ("bob,,ssh-ed25519 AAAA bob, at home", ("bob", "", "ssh-ed25519 AAAA bob, at home")),
            (",x", ("", "x", "")),
        ] {
            let line = Line::of(text);
            let got = (line.username.as_str(), line.password.as_str(), line.key.as_str());
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn passwords_follow_their_pattern_in_one_pass() {
        for (pattern, line, want) in [
            ("%password%", "bob,pw", "pw"),
            ("%username%-%password%", "bob,pw", "bob-pw"),
            ("%password%", "bob,%username%", "%username%"),
            ("x-%password%", "bob", ""),
            ("%username%-2026", "bob", "bob-2026"),
            ("", "bob,pw", ""),
        ] {
            assert_eq!(Line::of(line).password(pattern), want, "{pattern} {line}");
        }
    }

    #[test]
    fn the_name_is_put_into_the_template() {
        let template = User {
            home_dir: "/srv/%username%".to_owned(),
            email: "%username%@example.org".to_owned(),
            ..User::default()
        };
        let user = Line::of("bob,pw").user(&template, PASSWORD);
        assert_eq!((user.username.as_str(), user.home_dir.as_str()), ("bob", "/srv/bob"));
        assert_eq!(user.email, "bob@example.org");
        assert_eq!(user.password.as_str(), "pw");
    }
}
