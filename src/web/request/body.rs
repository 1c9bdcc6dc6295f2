//! Request bodies: JSON of bounded size, with refusals that name the field.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::{BufMut, Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::web::error::ApiError;

/// The largest body of an API call.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON body of at most [`MAX_BODY_BYTES`], read when the handler asks for it:
/// by then it is known that the caller may, and nobody else learns more from a
/// wrong body than from a right one. The content type is not looked at: the token
/// travels in a header that no HTML form can set, so nothing would be gained.
pub struct Body<T> {
    request: HttpRequest,
    payload: Payload,
    parsed: PhantomData<T>,
}

impl<T: DeserializeOwned> Body<T> {
    /// Reads and parses the body.
    ///
    /// # Errors
    /// 413 if it is too large; 400, naming the field, if it is not what it should be.
    pub async fn read(self) -> Result<T, ApiError> {
        parse(&self.read_unparsed(MAX_BODY_BYTES).await?)
    }
}

impl<T> Body<T> {
    /// The body of a request that was already looked at.
    pub fn of(request: &HttpRequest, payload: Payload) -> Self {
        Self { request: request.clone(), payload, parsed: PhantomData }
    }

    /// The body as it came, for a parser of its own.
    ///
    /// # Errors
    /// 413 if it is larger than `limit_bytes`.
    pub async fn read_unparsed(mut self, limit_bytes: usize) -> Result<Bytes, ApiError> {
        let read = read_at_most(&self.request, &mut self.payload, limit_bytes);
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| {
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive"))
        })
    }
}

impl<T> FromRequest for Body<T> {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request, payload.take())))
    }
}

/// The whole body, or 413 as soon as it is known to be larger than `limit_bytes`.
async fn read_at_most(
    request: &HttpRequest,
    payload: &mut Payload,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request body is larger than {limit_bytes} bytes"),
        )
    };
    let announced_bytes = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced_bytes.is_some_and(|bytes| bytes > limit_bytes as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::bad_request(format!("the request body cannot be read: {error}"))
        })?;
        if body.len() + chunk.len() > limit_bytes {
            return Err(too_large());
        }
        body.put_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Parses a JSON object; a refusal names the field and what is wrong with it.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // A list would be taken for the fields in their order.
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(ApiError::bad_request("the request body is a list, not an object"));
    }
    let mut input = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let field = error.path().to_string();
        let reason = error.into_inner();
        // A syntax error has no field to blame; its path is where the parser stood.
        if reason.is_data() && field != "." {
            ApiError::bad_request(format!("{field}: {reason}"))
        } else {
            ApiError::bad_request(format!("the request body is not valid JSON: {reason}"))
        }
    })?;
    input.end().map_err(|error| {
        ApiError::bad_request(format!("the request body is not valid JSON: {error}"))
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only parsing is tested")]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only parsing is tested")]
    struct Inner {
        size: u32,
    }

    fn refusal(json: &str) -> String {
        parse::<Outer>(json.as_bytes()).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        let told = refusal(r#"{"inner":[{"size":1},{"size":"big"}]}"#);
        assert!(told.starts_with("inner[1].size: invalid type: string \"big\""), "{told}");
    }

    #[test]
    fn a_list_is_no_object() {
        for json in ["[]", " \n\t[[]]", "[[{\"size\":1}]]"] {
            assert_eq!(refusal(json), "the request body is a list, not an object", "{json}");
        }
    }

    #[test]
    fn broken_json_is_said_to_be_broken() {
        for json in ["", "{", "{\"inner\":[]} x", "nonsense", "{\"inner\":["] {
            let told = refusal(json);
            assert!(told.starts_with("the request body is not valid JSON"), "{json}: {told}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let json = format!("{{\"inner\":{}", "[".repeat(100_000));
        refusal(&json);
    }
}
