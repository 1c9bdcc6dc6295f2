//! Users: the accounts that store files.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::model::User;
use crate::web::error::ApiError;
use crate::web::operations::user_query::UserListQuery;
use crate::web::operations::versions::{IfMatch, IfMatchHeader};
use crate::web::request::auth::{AddUsers, Admin, DeleteUsers, EditUsers, ViewUsers};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::request::query::{Confidential, switch};
use crate::web::response::{ApiResponse, created, listed, ok, tagged};
use crate::web::services::Binding;
use crate::web::url::locate;

/// All users that the caller may see: with a role, those that have the same.
#[utoipa::path(
    get,
    path = "/api/v2/users",
    tag = "users",
    security(("BearerAuth" = [])),
    params(PagingQuery, UserListQuery),
    responses(
        (status = 200, description = "A page of the users", body = [User],
            headers(("X-Total-Count" = u64, description = "How many there are on all pages"))),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
    query: Query<UserListQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?;
    let query = query.checked()?;
    let services = &binding.services;
    services.store_settled_usage().await;
    let (mut users, total) = services.users_of(&admin).find(query, page.into()).await?;
    users.iter_mut().for_each(User::hide_confidential);
    Ok(listed(&users, total))
}

/// Adds a user. It gets the role of the caller; who has none may choose any.
#[utoipa::path(
    post,
    path = "/api/v2/users",
    tag = "users",
    security(("BearerAuth" = [])),
    params(Confidential),
    request_body = User,
    responses(
        (status = 201, description = "The new user; Location says where it is", body = User),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission add_users is missing, or the role is another",
            body = ApiResponse),
        (status = 409, description = "The name is taken", body = ApiResponse),
    )
)]
pub async fn create(
    admin: Admin<AddUsers>,
    binding: Data<Binding>,
    confidential: Query<Confidential>,
    body: Body<User>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let mut user = body.read().await?;
    user.keep_second_factor_of(&User::default());
    let user = binding.services.users_of(&admin).add(user).await?;
    Ok(created(locate("users", &user.username), &shown(user, show_all)))
}

/// One user.
#[utoipa::path(
    get,
    path = "/api/v2/users/{username}",
    tag = "users",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), Confidential),
    responses(
        (status = 200, description = "The user", body = User,
            headers(("ETag" = String, description = "Its state, for If-Match"))),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
    )
)]
pub async fn get(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
    username: Path<String>,
    confidential: Query<Confidential>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let services = &binding.services;
    services.store_settled_usage().await;
    let user = services.users_of(&admin).get(&username).await?;
    Ok(tagged(&shown(user, show_all)))
}

/// What an update may ask for besides.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UpdateQuery {
    /// 1 closes the user's sessions once the change is stored. Those of a user who may not
    /// be connected any more are closed in any case.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    disconnect: Option<String>,
}

/// Replaces a user: what is left out gets its default, only an absent password is kept,
/// and the second factor, which is for the user to change.
#[utoipa::path(
    put,
    path = "/api/v2/users/{username}",
    tag = "users",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), UpdateQuery, IfMatchHeader),
    request_body = User,
    responses(
        (status = 200, description = "The user was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission edit_users is missing, or the role is another",
            body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn update(
    admin: Admin<EditUsers>,
    binding: Data<Binding>,
    username: Path<String>,
    query: Query<UpdateQuery>,
    if_match: IfMatch,
    body: Body<User>,
) -> Result<HttpResponse, ApiError> {
    let disconnect = switch("disconnect", query.disconnect.as_deref())?;
    let services = &binding.services;
    let users = services.users_of(&admin);
    let stored = users.get(&username).await?;
    let mut user = body.read().await?;
    user.username = stored.username;
    let user = users.replace_if(user, move |stored| if_match.require(stored)).await?;
    services.follow_change(&user, disconnect).await;
    Ok(ok("User updated"))
}

/// Deletes a user and closes its sessions. Files are left alone.
#[utoipa::path(
    delete,
    path = "/api/v2/users/{username}",
    tag = "users",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), IfMatchHeader),
    responses(
        (status = 200, description = "The user is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission del_users is missing", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn delete(
    admin: Admin<DeleteUsers>,
    binding: Data<Binding>,
    username: Path<String>,
    if_match: IfMatch,
) -> Result<HttpResponse, ApiError> {
    let permit = move |stored: &User| if_match.require(stored);
    binding.services.delete_user_if(&admin, &username, permit).await?;
    Ok(ok("User deleted"))
}

fn shown(mut user: User, show_all: bool) -> User {
    if !show_all {
        user.hide_confidential();
    }
    user
}
