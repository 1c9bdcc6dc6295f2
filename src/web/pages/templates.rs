//! The HTML templates: part of the program, replaceable by files of the same name.

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use rust_embed::RustEmbed;
use serde::Serialize;

use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;

#[derive(RustEmbed)]
#[folder = "templates/"]
#[include = "*.html"]
#[include = "**/*.html"]
struct Embedded;

/// All templates, ready to be filled in.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Takes the templates of the program, or those of the same name below `replacements`.
    ///
    /// # Errors
    /// When a replacement cannot be read or has a mistake; it says where.
    pub fn load(replacements: Option<&Path>) -> Result<Self> {
        let mut environment = Environment::new();
        // Everything is HTML: no name may decide whether what it shows is escaped.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        // A value that is not there is a mistake of ours, never an empty place.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        add_filters(&mut environment);
        for name in Embedded::iter() {
            let replaced = match replacements.map(|folder| folder.join(&*name)) {
                Some(path) => super::assets::read_if_there(&path)?,
                None => None,
            };
            let content = replaced.or_else(|| Embedded::get(&name).map(|f| f.data.into_owned()));
            let source = String::from_utf8(content.unwrap_or_default())
                .map_err(|_| Error::invalid(format!("{name}: is not UTF-8")))?;
            environment
                .add_template_owned(name.into_owned(), source)
                .map_err(|error| Error::invalid(format!("{:#}", error)))?;
        }
        Ok(Self(environment))
    }

    /// Fills a template in.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<String> {
        self.0
            .get_template(name)
            .and_then(|template| template.render(Serde(context)))
            .map_err(|error| Error::with_source(ErrorKind::Internal, format!("page {name}"), error))
    }
}

fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("bytes", |value: u64| text::bytes(value));
    environment.add_filter("count", |value: u64| text::count(value));
    environment.add_filter("duration", |secs: u64| text::duration(secs));
    environment.add_filter("relative", |ms: i64| text::relative(ms, now_unix_ms()));
    environment.add_filter("absolute", |ms: i64| text::absolute(ms));
    environment.add_filter("machine", |ms: i64| text::machine(ms));
    environment.add_filter("visible", |value: &str| text::visible(value));
    environment.add_filter("segment", |value: &str| crate::web::url::segment(value));
    environment.add_filter("query", |value: &str| crate::web::url::segment(value));
    environment.add_filter("browser", |user_agent: &str| super::browser::name(user_agent));
    environment.add_filter("plural", text::plural);
    environment.add_filter("directory", |path: &str| split_path(path).0.to_owned());
    environment.add_filter("file_name", |path: &str| split_path(path).1.to_owned());
}

/// The directory with its slash, and the name.
fn split_path(path: &str) -> (&str, &str) {
    path.rfind('/').map_or(("", path), |at| path.split_at(at + 1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_templates_are_valid() {
        Templates::load(None).expect("templates");
        assert!(Embedded::iter().count() > 3);
    }

    #[test]
    fn no_template_has_what_the_content_security_policy_forbids() {
        for name in Embedded::iter() {
            let data = Embedded::get(&name).expect("a template").data;
            let source = std::str::from_utf8(&data).expect("UTF-8");
            for forbidden in ["style=\"", "<style", "onclick=", "onchange=", "onsubmit=", "|safe"] {
                assert!(!source.contains(forbidden), "{name} has {forbidden}");
            }
            for script in source.split("<script").skip(1) {
                assert!(script.contains("src="), "{name} has an inline script");
            }
        }
    }

    #[test]
    fn a_replacement_is_used_and_a_wrong_one_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("error.html");
        std::fs::write(&path, "ours: {{ told }}").expect("written");
        let templates = Templates::load(Some(folder.path())).expect("templates");
        let page = templates.render("error.html", json!({ "told": "<b>" })).expect("a page");
        assert_eq!(page, "ours: &lt;b&gt;");
        std::fs::write(&path, "{{ told").expect("written");
        let error = Templates::load(Some(folder.path())).err().expect("refused").to_string();
        assert!(error.contains("error.html"), "{error}");
    }

    #[test]
    fn paths_are_split_before_the_name() {
        for (path, directory, name) in
            [("/a/b.txt", "/a/", "b.txt"), ("/b", "/", "b"), ("b", "", "b"), ("/a/", "/a/", "")]
        {
            assert_eq!(split_path(path), (directory, name));
        }
    }
}
