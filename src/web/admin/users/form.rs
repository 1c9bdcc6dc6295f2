//! One user: what may this person do? Every tab is a form of its own that changes its own
//! fields and nothing else.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::conflict::{self, Clash};
use super::tabs::{self, Tab, network, permissions, sign_in};
use super::{effective, list, path_of};
use crate::model::{AdminPermission, EffectiveLimits, Password, User};
use crate::web::operations::scope::being_changed;
use crate::web::pages::amount;
use crate::web::pages::error::PageError;
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::see_other;
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::{EditUsers, Right, ViewUsers};

/// What a form shows besides the stored user.
struct Shown<'a> {
    status: StatusCode,
    tab: Tab,
    /// What the fields hold: as stored, or as typed.
    form: Form,
    errors: &'a FieldErrors,
    clashes: Vec<Clash>,
    /// The list that gets more empty rows.
    more: &'a str,
}

pub async fn page(
    signed: Signed<ViewUsers>,
    request: HttpRequest,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let query = Form::parse(request.query_string().as_bytes())?;
    signed.services().store_settled_usage().await;
    let user = signed.services().users_of(&signed.admin).get(&username).await?;
    let found = query.trimmed("find");
    let found = if found.is_empty() { Vec::new() } else { tabs::find(found) };
    if let [(_, tab, field)] = found[..] {
        let path = path_of(&request, &user.username);
        return Ok(see_other(&format!("{path}?tab={}#{field}", tab.key())));
    }
    let tab = Tab::of(query.get("tab"));
    let shown = Shown {
        status: StatusCode::OK,
        tab,
        form: tab.fields(&user),
        errors: &FieldErrors::default(),
        clashes: Vec::new(),
        more: "",
    };
    show(&signed, &user, shown, query.trimmed("find")).await
}

async fn show<R: Right>(
    signed: &Signed<R>,
    user: &User,
    shown: Shown<'_>,
    find: &str,
) -> Result<HttpResponse, PageError> {
    let may = |permission| signed.admin.may(permission);
    let services = signed.services();
    let sessions = match may(AdminPermission::ViewConns) {
        true => {
            let all = services.registry.list().await;
            Some(all.iter().filter(|session| *session.username == *user.username).count())
        }
        false => None,
    };
    let tab = shown.tab;
    let inherited = effective::stages(services, user).await?;
    let tabs: Vec<Value> =
        Tab::ALL.iter().map(|tab| json!({ "key": tab.key(), "label": tab.label() })).collect();
    let found: Vec<Value> = match find {
        "" => Vec::new(),
        find => tabs::find(find)
            .into_iter()
            .map(|(label, tab, field)| {
                json!({ "label": label, "tab": tab.key(), "of": tab.label(), "field": field })
            })
            .collect(),
    };
    let visible = signed.services().users_of(&signed.admin);
    let limits = visible.limits_of(std::slice::from_ref(user)).await?;
    let limits = limits.first().copied().unwrap_or_default();
    let content = json!({
        "user": about(user, limits, &path_of(&signed.request, &user.username)),
        "tab": tab.key(),
        "tabs": tabs,
        "labels": tabs::labels(),
        "find": find,
        "found": found,
        "f": tab.view(&shown.form),
        "base": tab.fields(user).encoded(),
        "keys": if tab == Tab::SignIn { sign_in::keys_view(&shown.form, user) } else { json!([]) },
        "methods": sign_in::METHODS.map(|(method, label)| (method.as_str(), label)),
        "factor_protocols": sign_in::FACTOR_PROTOCOLS,
        "protocols": network::PROTOCOLS.map(|(protocol, label)| (protocol.as_str(), label)),
        "days": ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
        "units": amount::CHOICES,
        "matrix": permissions::matrix(),
        "inherited_permissions": effective::inherited_permissions(&inherited),
        "inherited": effective::by_setting(&inherited),
        "effective": effective::facts(&inherited),
        "left_out": inherited.last().map(|stage| stage.left_out.clone()).unwrap_or_default(),
        "quota": list::quota(user, limits),
        "group_names": super::create::group_names(signed).await?,
        "folder_names": folder_names(signed).await?,
        "more": shown.more,
        "errors": shown.errors,
        "error_labels": shown.errors.labels(tabs::label_of_field),
        "clashes": shown.clashes,
        "sessions": sessions,
        "may_events": may(AdminPermission::ViewEvents),
        "may_edit": may(AdminPermission::EditUsers),
        "may_delete": may(AdminPermission::DelUsers),
        "may_kill": may(AdminPermission::CloseConns),
        "may_disable_mfa": may(AdminPermission::DisableMfa),
        "may_choose_role": signed.admin.role().is_none(),
    });
    signed.page_with(shown.status, "admin/user.html", "users", &user.username, content).await
}

/// What stands above the tabs.
fn about(user: &User, limits: EffectiveLimits, path: &str) -> Value {
    json!({
        "username": user.username,
        "path": path,
        "description": user.description,
        "email": user.email,
        "state": list::state(user, limits),
        "is_enabled": user.is_enabled(),
        "role": user.role,
        "groups": user.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        "last_login": user.last_login,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "has_password": user.has_password,
        "has_second_factor": user.filters.totp_config.enabled,
        "factor_protocols": user.filters.totp_config.protocols.join(", "),
        "recovery_left": user.filters.recovery_codes.iter().filter(|code| !code.used).count(),
        "has_extension_filters": !user.filters.file_extensions.is_empty(),
        "used_upload": at_least_0(user.used_upload_data_transfer),
        "used_download": at_least_0(user.used_download_data_transfer),
        "last_quota_update": user.last_quota_update,
    })
}

fn at_least_0(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The folders that can be mounted, for who may see them.
async fn folder_names<R: Right>(signed: &Signed<R>) -> Result<Vec<String>, PageError> {
    if !signed.admin.may(AdminPermission::ManageFolders) {
        return Ok(Vec::new());
    }
    Ok(signed.services().store.folder_names().await?)
}

pub async fn save(act: Act<EditUsers>, username: Path<String>) -> Result<HttpResponse, PageError> {
    const TRIES: usize = 3;
    act.by.admin.require(AdminPermission::ViewUsers)?;
    for _ in 0..TRIES {
        if let Some(response) = try_save(&act, &username).await? {
            return Ok(response);
        }
    }
    Err(being_changed(&username).into())
}

/// Nothing if somebody else has changed the user in the very moment.
async fn try_save(act: &Act<EditUsers>, username: &str) -> Result<Option<HttpResponse>, PageError> {
    let (by, typed) = (&act.by, &act.form);
    let services = by.services();
    let users = services.users_of(&by.admin);
    let stored = users.get(username).await?;
    let tab = Tab::of(typed.get("tab"));
    let form = tab.tidy(typed);
    let no_errors = FieldErrors::default();
    let again = |status, form| Shown {
        status,
        tab,
        form,
        errors: &no_errors,
        clashes: Vec::new(),
        more: "",
    };
    if typed.has("more") {
        let shown = Shown { more: typed.get("more"), ..again(StatusCode::OK, form) };
        return show(by, &stored, shown, "").await.map(Some);
    }
    if typed.get("updated_at") != stored.updated_at.to_string() {
        let now = tab.fields(&stored);
        let before = tab.tidy(&Form::parse(typed.get("base").as_bytes())?);
        // Whoever has changed another part of the user is not in the way.
        if now.encoded() != before.encoded() {
            let (merged, clashes) = conflict::merge(&before, &now, &form);
            // Whoever has done the same is not in the way either.
            if !clashes.is_empty() {
                let shown = Shown { clashes, ..again(StatusCode::CONFLICT, merged) };
                return show(by, &stored, shown, "").await.map(Some);
            }
        }
    }
    // Without a password the stored one stays.
    let mut user = User { password: Password::default(), ..stored.clone() };
    let mut errors = FieldErrors::default();
    tab.apply(&form, &mut user, &mut errors);
    if errors.is_empty() {
        match users.replace_as_seen(user, &stored).await {
            Ok(None) => return Ok(None),
            Ok(Some(user)) => {
                services.follow_change(&user, typed.has("disconnect")).await;
                by.leave_notice("ok", format!("{} saved.", tab.label()));
                let path = path_of(&by.request, &user.username);
                return Ok(Some(see_other(&format!("{path}?tab={}", tab.key()))));
            }
            Err(error)
                if error.status().is_client_error() && error.status() != StatusCode::NOT_FOUND =>
            {
                tabs::place(error.told(), &mut errors);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let shown = Shown { errors: &errors, ..again(StatusCode::UNPROCESSABLE_ENTITY, form) };
    show(by, &stored, shown, "").await.map(Some)
}
