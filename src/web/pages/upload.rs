//! Forms with a file (`multipart/form-data`, RFC 7578).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;

use super::error::PageError;
use super::form::Form;
use super::signed::{CSRF_FIELD, Signed, require_own_page};
use crate::web::error::ApiError;
use crate::web::operations::restore::MAX_DUMP_BYTES;
use crate::web::request::auth::Right;

/// How long a browser may take to send it.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The longest value of a field that is no file.
const MAX_FIELD_BYTES: usize = 8 << 10;
/// The most fields, files among them.
const MOST_FIELDS: usize = 50;

/// What somebody who holds the right `R` has sent by a form with a file, which has no more
/// than [`MAX_DUMP_BYTES`].
pub struct Upload<R: Right> {
    pub by: Signed<R>,
    /// Absent if none was chosen.
    pub file: Option<UploadedFile>,
}

/// A file as the browser sends it.
#[derive(Debug)]
pub struct UploadedFile {
    /// As the browser calls it; may be anything.
    pub name: String,
    pub content: Bytes,
}

impl<R: Right> FromRequest for Upload<R> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            require_own_page(&request)?;
            let by = Signed::from_request(&request, &mut Payload::None).await?;
            let parts = Multipart::from_request(&request, &mut payload).await;
            let parts = parts.map_err(|error| ApiError::bad_request(error.to_string()))?;
            let read = tokio::time::timeout(PATIENCE, read(parts)).await;
            let late = || ApiError::new(StatusCode::REQUEST_TIMEOUT, "the form did not arrive");
            let (form, file) = read.map_err(|_| late())??;
            if !by.session.accepts(form.get(CSRF_FIELD)) {
                return Err(PageError::Forged);
            }
            Ok(Self { by, file })
        })
    }
}

async fn read(mut parts: Multipart) -> Result<(Form, Option<UploadedFile>), ApiError> {
    let (mut fields, mut file) = (Vec::new(), None);
    let mut count = 0;
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| unreadable(&error))?;
        count += 1;
        if count > MOST_FIELDS {
            return Err(ApiError::bad_request("the form has too many fields"));
        }
        let disposition = part.content_disposition();
        let file_name = disposition.and_then(|one| one.get_filename()).map(str::to_owned);
        let name = part.name().unwrap_or_default().to_owned();
        match file_name {
            None => {
                let value = content(&mut part, &name, MAX_FIELD_BYTES).await?;
                let value = String::from_utf8(value.to_vec())
                    .map_err(|_| ApiError::bad_request(format!("{name}: is not UTF-8")))?;
                fields.push((name, value));
            }
            // A file field that is left empty.
            Some(empty) if empty.is_empty() => {
                content(&mut part, &name, 0).await?;
            }
            Some(file_name) => {
                let content = content(&mut part, &name, MAX_DUMP_BYTES).await?;
                file = Some(UploadedFile { name: file_name, content });
            }
        }
    }
    Ok((Form::of_fields(fields), file))
}

async fn content(part: &mut Field, name: &str, most: usize) -> Result<Bytes, ApiError> {
    let mut content = BytesMut::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|error| unreadable(&error))?;
        if content.len() + chunk.len() > most {
            let told = format!("{name}: is larger than {most} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, told));
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content.freeze())
}

fn unreadable(error: &MultipartError) -> ApiError {
    ApiError::bad_request(format!("the form cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    async fn parsed(body: &str) -> Result<(Form, Option<UploadedFile>), ApiError> {
        let kind = ("Content-Type", "multipart/form-data; boundary=x");
        let request = TestRequest::post().insert_header(kind).set_payload(body.to_owned());
        let (request, mut payload) = request.to_http_parts();
        read(Multipart::from_request(&request, &mut payload).await.expect("parts")).await
    }

    fn part(head: &str, content: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    }

    #[actix_web::test]
    async fn fields_and_a_file_are_read() {
        let body = part("name=\"a\"", "1")
            + &part("name=\"file\"; filename=\"dump.json\"", "{}")
            + &part("name=\"b\"", "")
            + "--x--\r\n";
        let (form, file) = parsed(&body).await.expect("a form");
        assert_eq!((form.get("a"), form.has("b")), ("1", true));
        let file = file.expect("a file");
        assert_eq!((file.name.as_str(), &file.content[..]), ("dump.json", &b"{}"[..]));
        let none = part("name=\"file\"; filename=\"\"", "") + "--x--\r\n";
        assert!(parsed(&none).await.expect("a form").1.is_none());
    }

    #[actix_web::test]
    async fn what_is_too_much_or_broken_is_refused() {
        let file = part("name=\"file\"; filename=\"f\"", &"x".repeat(MAX_DUMP_BYTES + 1));
        let field = part("name=\"a\"", &"x".repeat(MAX_FIELD_BYTES + 1));
        let many = part("name=\"a\"", "1").repeat(MOST_FIELDS + 1);
        for (body, status) in [(file, 413), (field, 413), (many, 400)] {
            let error = parsed(&(body + "--x--\r\n")).await.expect_err("refused");
            assert_eq!(error.status().as_u16(), status);
        }
        for body in ["", "--x\r\n", "--x\r\nnonsense", &part("name=\"a\"", "1")] {
            assert!(parsed(body).await.is_err(), "{body:?}");
        }
    }
}
