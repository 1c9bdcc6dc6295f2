//! Which state of an object somebody has seen: entity tags, which the REST API answers and
//! asks for in `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1), and what forms remember.
//!
//! Both are digests of the object as it is shown. Left out is what changes without anybody
//! changing the object: used quota, transferred data, times of logins and of the first
//! transfers; otherwise nobody could change a user who is uploading.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, EntityTag, Header};
use actix_web::{FromRequest, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Admin, Folder, Group, Role, User, VirtualFolder};

/// An object of which it matters which state somebody has seen.
pub trait Versioned: Clone + Serialize {
    /// What errors call it.
    const KIND: &'static str;

    fn name(&self) -> &str;

    /// Takes out what changes by itself, and what is shown only to those who ask for it.
    fn leave_out_usage(&mut self);

    /// Takes out who refers to it: they change it as little as it changes them.
    fn leave_out_referrers(&mut self);
}

/// The entity tag of `object` as a client sees it; strong.
pub fn entity_tag<T: Versioned>(object: &T) -> EntityTag {
    let mut seen = object.clone();
    seen.leave_out_usage();
    EntityTag::new_strong(digest(&seen))
}

/// What a form remembers of `object`: the state of what the form can change.
pub fn form_version<T: Versioned>(object: &T) -> String {
    let mut seen = object.clone();
    seen.leave_out_usage();
    seen.leave_out_referrers();
    digest(&seen)
}

/// 18 bytes, in the alphabet of URLs.
fn digest(object: &impl Serialize) -> String {
    /// What is left of the digest: nobody has anything to gain from two states that have
    /// the same, and by chance there are none.
    const BYTES: usize = 18;
    let json = serde_json::to_vec(object).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(json).into();
    URL_SAFE_NO_PAD.encode(&digest[..BYTES])
}

/// That `stored` is another state than somebody has seen.
pub fn outdated<T: Versioned>(stored: &T) -> Error {
    let told = format!("{} {:?}: is not what you have seen of it", T::KIND, stored.name());
    Error::new(ErrorKind::Outdated, told)
}

/// Fails unless `stored` still is what a form remembers.
pub fn require_form_version<T: Versioned>(stored: &T, seen: &str) -> Result<()> {
    if form_version(stored) == seen { Ok(()) } else { Err(outdated(stored)) }
}

/// What a client has seen of the object that it wants to change or delete; everything goes
/// without the header.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<header::IfMatch>);

impl IfMatch {
    /// The strong tag with this content, as a form has it; anything else is no tag.
    pub fn tag(content: &str) -> Self {
        let tag = format!("\"{content}\"").parse();
        Self(Some(header::IfMatch::Items(tag.into_iter().collect())))
    }

    /// Fails unless one of the tags is that of `seen`, the stored object as this client
    /// may see it. Weak tags are like none (RFC 9110, section 13.1.1).
    pub fn require<T: Versioned>(&self, seen: &T) -> Result<()> {
        let tags = match &self.0 {
            None | Some(header::IfMatch::Any) => return Ok(()),
            Some(header::IfMatch::Items(tags)) => tags,
        };
        let tag = entity_tag(seen);
        if tags.iter().any(|one| one.strong_eq(&tag)) { Ok(()) } else { Err(outdated(seen)) }
    }
}

impl FromRequest for IfMatch {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // What cannot be read is a tag that no object has: nothing may be lost by it.
        let read = || header::IfMatch::parse(request).unwrap_or(header::IfMatch::Items(vec![]));
        ready(Ok(Self(request.headers().contains_key(header::IF_MATCH).then(read))))
    }
}

/// The header of [`IfMatch`], for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described; IfMatch reads it")]
pub struct IfMatchHeader {
    /// Entity tags of which one must be the object's, from the `ETag` of a GET; or `*`.
    /// Without it the object is changed whatever its state.
    #[param(rename = "If-Match", example = "\"OFkz0J1hYtPpTEqLA0Yy4vQx\"")]
    if_match: Option<String>,
}

fn leave_out_usage_of(mounts: &mut [VirtualFolder]) {
    for mount in mounts {
        mount.folder.leave_out_usage();
        mount.folder.leave_out_referrers();
    }
}

impl Versioned for User {
    const KIND: &'static str = "user";

    fn name(&self) -> &str {
        &self.username
    }

    fn leave_out_usage(&mut self) {
        self.hide_confidential();
        self.forget_use();
        leave_out_usage_of(&mut self.virtual_folders);
    }

    fn leave_out_referrers(&mut self) {}
}

impl Versioned for Folder {
    const KIND: &'static str = "folder";

    fn name(&self) -> &str {
        &self.name
    }

    fn leave_out_usage(&mut self) {
        self.hide_confidential();
        self.forget_use();
    }

    fn leave_out_referrers(&mut self) {
        self.users.clear();
        self.groups.clear();
    }
}

impl Versioned for Group {
    const KIND: &'static str = "group";

    fn name(&self) -> &str {
        &self.name
    }

    fn leave_out_usage(&mut self) {
        self.hide_confidential();
        leave_out_usage_of(&mut self.virtual_folders);
    }

    fn leave_out_referrers(&mut self) {
        self.users.clear();
        self.admins.clear();
    }
}

impl Versioned for Role {
    const KIND: &'static str = "role";

    fn name(&self) -> &str {
        &self.name
    }

    fn leave_out_usage(&mut self) {}

    fn leave_out_referrers(&mut self) {
        self.users.clear();
        self.admins.clear();
    }
}

impl Versioned for Admin {
    const KIND: &'static str = "admin";

    fn name(&self) -> &str {
        &self.username
    }

    fn leave_out_usage(&mut self) {
        self.hide_confidential();
        self.last_login = 0;
    }

    fn leave_out_referrers(&mut self) {}
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::model::secretbox;

    fn role() -> Role {
        Role { name: "emea".to_owned(), description: "d".to_owned(), ..Role::default() }
    }

    async fn accepts(lines: &[&str]) -> bool {
        let mut request = TestRequest::default();
        for line in lines {
            request = request.append_header((header::IF_MATCH, *line));
        }
        let request = request.to_http_request();
        let Ok(precondition) = IfMatch::from_request(&request, &mut Payload::None).await;
        precondition.require(&role()).is_ok()
    }

    #[actix_web::test]
    async fn one_strong_tag_of_the_list_must_be_that_of_the_object() {
        let tag = entity_tag(&role()).to_string();
        assert!(tag.starts_with('"') && tag.len() == 26, "{tag}");
        let bare = tag.trim_matches('"');
        for (lines, want) in [
            (vec![], true),
            (vec!["*"], true),
            (vec![" * "], true),
            (vec![&*tag], true),
            (vec![&*format!("\"other\" ,{tag}")], true),
            (vec!["\"other\"", &tag], true),
            (vec![&*format!(", ,{tag},")], true),
            (vec!["\"other\""], false),
            (vec![&*format!("W/{tag}")], false),
            (vec![&*format!("w/{tag}")], false),
            (vec![bare], false),
            (vec![&*tag.to_ascii_lowercase()], false),
            (vec![""], false),
            (vec!["\""], false),
            (vec!["W/"], false),
            (vec!["\"*\""], false),
            (vec!["\u{e9}"], false),
        ] {
            assert_eq!(accepts(&lines).await, want, "{lines:?}");
        }
    }

    #[test]
    fn what_changes_by_itself_changes_no_tag() {
        let mount = |size| VirtualFolder {
            folder: Folder { name: "f".to_owned(), used_quota_size: size, ..Folder::default() },
            virtual_path: "/f".to_owned(),
            ..VirtualFolder::default()
        };
        let user = User { virtual_folders: vec![mount(0)], ..User::default() };
        let busy = User {
            used_quota_size: 1,
            used_quota_files: 2,
            last_quota_update: 3,
            used_upload_data_transfer: 4,
            used_download_data_transfer: 5,
            last_login: 6,
            virtual_folders: vec![mount(7)],
            ..user.clone()
        };
        assert_eq!(entity_tag(&user), entity_tag(&busy));
        let other = User { quota_size: 1, ..user.clone() };
        assert_ne!(entity_tag(&user), entity_tag(&other));
        let admin = Admin { last_login: 5, ..Admin::default() };
        assert_eq!(entity_tag(&admin), entity_tag(&Admin::default()));
    }

    #[test]
    fn a_secret_counts_by_what_everybody_sees_of_it() {
        let mut admin = Admin::default();
        admin.filters.totp_config.secret = secretbox::seal("secret", "root").expect("sealed");
        let mut hidden = admin.clone();
        hidden.hide_confidential();
        assert_eq!(entity_tag(&admin), entity_tag(&hidden));
        let mut other = admin.clone();
        other.filters.totp_config.secret = secretbox::seal("secret", "root").expect("sealed");
        assert_ne!(entity_tag(&admin), entity_tag(&other));
    }

    #[test]
    fn a_form_does_not_mind_who_refers_to_the_object() {
        let of = |users: &[&str]| Group {
            users: users.iter().map(|&user| user.to_owned()).collect(),
            ..Group::default()
        };
        assert_ne!(entity_tag(&of(&[])), entity_tag(&of(&["ann"])));
        assert_eq!(form_version(&of(&[])), form_version(&of(&["ann"])));
        let described = Group { description: "d".to_owned(), ..of(&[]) };
        assert_ne!(form_version(&of(&[])), form_version(&described));
    }
}
