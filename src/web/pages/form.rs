//! What a form has sent.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use serde::Serialize;

use crate::web::error::ApiError;
use crate::web::request::body::{Body, MAX_BODY_BYTES};

/// The most fields of one form.
const MOST_FIELDS: usize = 20_000;

/// The fields of a form (`application/x-www-form-urlencoded`), in order.
#[derive(Debug, Default, Clone)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 413 if it is too large, 415 if it is no form, 400 if it cannot be taken apart.
    pub async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let status = actix_web::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ApiError::new(status, "the request is not a form"));
        }
        let body: Body<()> = Body::of(request, payload);
        Self::parse(&body.read_unparsed(MAX_BODY_BYTES).await?)
    }

    /// Takes a query or body apart.
    pub fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(text)
            .map_err(|error| ApiError::bad_request(format!("the form cannot be read: {error}")))?;
        if fields.len() > MOST_FIELDS {
            return Err(ApiError::bad_request("the form has too many fields"));
        }
        Ok(Self(fields))
    }

    /// A form with these fields.
    pub fn of_fields(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// As a browser sends it.
    pub fn encoded(&self) -> String {
        serde_urlencoded::to_string(&self.0).unwrap_or_default()
    }

    /// The first value of a field; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// As [`Form::get`], without white space around it.
    pub fn trimmed(&self, name: &str) -> &str {
        self.get(name).trim()
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether the field is there: a ticked checkbox, a pressed button.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// All fields in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What is wrong with the fields of a form: the field's name, and the sentence.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct FieldErrors(BTreeMap<String, String>);

impl FieldErrors {
    /// Notes what is wrong with a field; the first complaint stays.
    pub fn add(&mut self, field: impl Into<String>, told: impl Into<String>) {
        self.0.entry(field.into()).or_insert_with(|| told.into());
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the fields with errors are called, for those that have a label.
    pub fn labels<'a>(
        &self,
        label_of: impl Fn(&str) -> Option<&'a str>,
    ) -> BTreeMap<&str, &'a str> {
        self.0.keys().filter_map(|name| Some((name.as_str(), label_of(name)?))).collect()
    }

    /// Takes the value of `parsed`, or notes what is wrong with the field.
    pub fn take<T: Default>(&mut self, field: &str, parsed: Result<T, String>) -> T {
        parsed.unwrap_or_else(|told| {
            self.add(field, told);
            T::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_in_order() {
        let form = Form::parse(b"a=1&b=x%20y&a=2&empty=").expect("a form");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), ("1", "x y", ""));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(form.has("empty") && !form.has("c"));
    }

    #[test]
    fn too_many_fields_are_refused() {
        let text = "a=1&".repeat(MOST_FIELDS + 1);
        Form::parse(text.as_bytes()).expect_err("refused");
    }

    #[test]
    fn the_first_complaint_about_a_field_stays() {
        let mut errors = FieldErrors::default();
        errors.add("size", "first");
        assert_eq!(errors.take::<u32>("size", Err("second".to_owned())), 0);
        assert_eq!(errors.take("other", Ok(7)), 7);
        assert_eq!(errors.0["size"], "first");
        assert_eq!(errors.0.len(), 1);
        assert_eq!(
            errors.labels(|name| (name == "size").then_some("Size")).get("size"),
            Some(&"Size")
        );
        assert!(errors.labels(|_| None).is_empty());
    }
}
