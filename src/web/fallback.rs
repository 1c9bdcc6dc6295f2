//! What is answered where there is no handler.

use actix_web::{HttpRequest, HttpResponse};

use crate::web::error::ApiError;

/// What every unknown path answers.
pub async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(format!("there is nothing at {}", request.path())))
}

/// What a path that can only be read answers to other methods.
pub async fn only_get() -> Result<HttpResponse, ApiError> {
    method_not_allowed(&["get", "head"])
}

/// What any other method is answered; `methods` are those that there are.
pub fn method_not_allowed(methods: &[&str]) -> Result<HttpResponse, ApiError> {
    Err(ApiError::method_not_allowed(methods.join(", ").to_uppercase()))
}
