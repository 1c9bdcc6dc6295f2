//! What an account is once its groups have added to it: evaluated when it is used,
//! never stored.
//!
//! The user's own settings come first, then those of the primary group, then those
//! of the secondary groups in the order of their names. Limits and switches are
//! inherited only from the primary group; directories, folders and lists add up.

use super::filesystem::FilesystemProvider;
use super::filters::UserFilters;
use super::group::{Group, GroupMapping, GroupUserSettings};
use super::limits::InheritedLimits;
use super::permissions::Permissions;
use super::placeholders::{Placeholders, has_placeholders};
use super::text::clean_absolute_path;
use super::user::User;
use super::virtual_folder::{VirtualFolder, clash};
use crate::error::{Error, Result};
use crate::paths::VirtualPath;

/// A user as sessions see it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effective {
    pub user: User,
    /// What could not be inherited, one line each, for the log.
    pub left_out: Vec<String>,
}

/// `user` with what it inherits from `groups`, which are those it is in, and with
/// the placeholders of its folders expanded.
pub fn effective(user: User, groups: &[Group]) -> Effective {
    let (username, role) = (user.username.clone(), user.role.clone());
    let placeholders = Placeholders { username: &username, role: &role };
    let memberships = user.groups.clone();
    let mut account = Effective { user, left_out: Vec::new() };
    account.expand_own_folders(&placeholders);

    let of_kind = |kind: i32| -> Vec<&Group> {
        let names = memberships.iter().filter(move |membership| membership.kind == kind);
        let mut found: Vec<&Group> = names
            .filter_map(|membership| groups.iter().find(|group| group.name == membership.name))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    };
    if let Some(primary) = of_kind(GroupMapping::PRIMARY).first() {
        account.inherit(primary, &placeholders);
        account.add(primary, true, &placeholders);
    }
    for secondary in of_kind(GroupMapping::SECONDARY) {
        account.add(secondary, false, &placeholders);
    }
    account.user.virtual_folders.sort_by(|a, b| a.virtual_path.cmp(&b.virtual_path));
    account
}

impl Effective {
    fn expand_own_folders(&mut self, placeholders: &Placeholders<'_>) {
        for mut mount in std::mem::take(&mut self.user.virtual_folders) {
            match expand_folder(&mut mount, placeholders) {
                Ok(()) => self.user.virtual_folders.push(mount),
                Err(error) => self.leave_out(format!("folder {:?}", mount.folder.name), &error),
            }
        }
    }

    /// What only a primary group gives.
    fn inherit(&mut self, group: &Group, placeholders: &Placeholders<'_>) {
        let settings = &group.user_settings;
        let of_group = |what: &str| format!("group {:?}: {what}", group.name);
        if !settings.home_dir.is_empty() {
            let home =
                placeholders.expand(&settings.home_dir).and_then(|home| clean_absolute_path(&home));
            match home {
                Ok(home) => self.user.home_dir = home,
                Err(error) => self.leave_out(of_group("home_dir"), &error),
            }
        }
        if settings.filesystem.provider != FilesystemProvider::Local {
            let mut filesystem = settings.filesystem.clone();
            match filesystem.expand(placeholders) {
                Ok(()) => self.user.filesystem = filesystem,
                Err(error) => self.leave_out(of_group("filesystem"), &error),
            }
        }
        inherit_limits(&mut self.user, settings);
        inherit_switches(&mut self.user.filters, &settings.filters);
        if self.user.filters.start_directory.is_empty() {
            match placeholders.expand(&settings.filters.start_directory) {
                Ok(directory) => self.user.filters.start_directory = directory,
                Err(error) => self.leave_out(of_group("start_directory"), &error),
            }
        }
    }

    /// What primary and secondary groups give: more places, and more entries.
    fn add(&mut self, group: &Group, is_primary: bool, placeholders: &Placeholders<'_>) {
        for folder in &group.virtual_folders {
            if let Err(error) = self.add_folder(folder, is_primary, placeholders) {
                let what = format!("group {:?}: folder {:?}", group.name, folder.folder.name);
                self.leave_out(what, &error);
            }
        }
        // Expands the path of an entry; `None` if the entry is not for this user.
        let mut left_out = Vec::new();
        let mut place = |what: &str, path: &str| match expand_path(path, placeholders) {
            Ok(path) => {
                (is_primary || !path.is_root()).then(|| path.to_string_lossy().into_owned())
            }
            Err(error) => {
                left_out.push((format!("group {:?}: {what}", group.name), error));
                None
            }
        };
        let settings = &group.user_settings;
        let (permissions, filters) = (&mut self.user.permissions, &mut self.user.filters);
        for (directory, list) in settings.permissions.iter() {
            if let Some(directory) = place("permissions", directory)
                && !has_entry(permissions, &directory)
            {
                permissions.set(directory, list.iter().copied());
            }
        }
        for patterns in &settings.filters.file_patterns {
            if let Some(path) = place("file_patterns", &patterns.path)
                && !filters.file_patterns.iter().any(|own| own.path == path)
            {
                let mut patterns = patterns.clone();
                patterns.path = path;
                filters.file_patterns.push(patterns);
            }
        }
        for extensions in &settings.filters.file_extensions {
            if let Some(path) = place("file_extensions", &extensions.path)
                && !filters.file_extensions.iter().any(|own| own.path == path)
            {
                let mut extensions = extensions.clone();
                extensions.path = path;
                filters.file_extensions.push(extensions);
            }
        }
        add_entries(filters, &settings.filters);
        for (what, error) in left_out {
            self.leave_out(what, &error);
        }
    }

    /// Mounts one more folder, unless something is mounted there.
    fn add_folder(
        &mut self,
        folder: &VirtualFolder,
        is_primary: bool,
        placeholders: &Placeholders<'_>,
    ) -> Result<()> {
        let point = expand_path(&folder.virtual_path, placeholders)?;
        let mounts = &mut self.user.virtual_folders;
        let is_taken = mounts.iter().any(|own| own.mount_point() == point);
        if is_taken || (point.is_root() && !is_primary) {
            return Ok(());
        }
        if let Some(own) = mounts.iter().find(|own| clash(&own.mount_point(), &point)) {
            return Err(Error::invalid(format!(
                "{point} and {} would be one inside the other",
                own.virtual_path
            )));
        }
        let mut folder = folder.clone();
        folder.virtual_path = point.to_string_lossy().into_owned();
        expand_folder(&mut folder, placeholders)?;
        mounts.push(folder);
        Ok(())
    }

    fn leave_out(&mut self, what: String, error: &Error) {
        self.left_out.push(format!("{what}: {error}"));
    }
}

/// Expands where the folder is stored. What is stored in a place of the user's own
/// counts in the user's quota.
fn expand_folder(mount: &mut VirtualFolder, placeholders: &Placeholders<'_>) -> Result<()> {
    if mount.folder.is_per_user() {
        mount.folder.expand(placeholders)?;
        (mount.quota_size, mount.quota_files) = (-1, -1);
    }
    Ok(())
}

fn expand_path(path: &str, placeholders: &Placeholders<'_>) -> Result<VirtualPath> {
    if !has_placeholders(path) {
        return Ok(VirtualPath::new(path));
    }
    Ok(VirtualPath::new(placeholders.expand(path)?))
}

fn has_entry(permissions: &Permissions, directory: &str) -> bool {
    permissions.iter().any(|(own, _)| own == directory)
}

/// Takes `inherited` where the user has nothing.
fn fill<T: Default + PartialEq>(own: &mut T, inherited: T) {
    if *own == T::default() {
        *own = inherited;
    }
}

fn inherit_limits(user: &mut User, settings: &GroupUserSettings) {
    fill(&mut user.max_sessions, settings.max_sessions);
    let limits = user.limits_with(InheritedLimits::of(settings));
    user.quota_size = limits.quota_size;
    user.quota_files = limits.quota_files;
    user.expiration_date = limits.expiration_date;
    fill(&mut user.upload_bandwidth, settings.upload_bandwidth);
    fill(&mut user.download_bandwidth, settings.download_bandwidth);
    // One setting in three fields: the total would replace the two others.
    if (user.upload_data_transfer, user.download_data_transfer, user.total_data_transfer)
        == (0, 0, 0)
    {
        user.upload_data_transfer = settings.upload_data_transfer;
        user.download_data_transfer = settings.download_data_transfer;
        user.total_data_transfer = settings.total_data_transfer;
    }
}

fn inherit_switches(own: &mut UserFilters, group: &UserFilters) {
    fill(&mut own.max_upload_file_size, group.max_upload_file_size);
    fill(&mut own.external_auth_cache_time, group.external_auth_cache_time);
    fill(&mut own.ftp_security, group.ftp_security);
    fill(&mut own.default_shares_expiration, group.default_shares_expiration);
    fill(&mut own.max_shares_expiration, group.max_shares_expiration);
    fill(&mut own.password_expiration, group.password_expiration);
    fill(&mut own.password_strength, group.password_strength);
    fill(&mut own.tls_username, group.tls_username.clone());
    fill(&mut own.disable_fs_checks, group.disable_fs_checks);
    fill(&mut own.allow_api_key_auth, group.allow_api_key_auth);
    fill(&mut own.is_anonymous, group.is_anonymous);
    let (own, group) = (&mut own.hooks, &group.hooks);
    fill(&mut own.external_auth_disabled, group.external_auth_disabled);
    fill(&mut own.pre_login_disabled, group.pre_login_disabled);
    fill(&mut own.check_password_disabled, group.check_password_disabled);
}

/// The lists, of which the union counts. The user's own entries stay in front, as in
/// some of them the first that matches wins.
fn add_entries(own: &mut UserFilters, group: &UserFilters) {
    fn unite<T: Clone + PartialEq>(own: &mut Vec<T>, group: &[T]) {
        for entry in group {
            if !own.contains(entry) {
                own.push(entry.clone());
            }
        }
    }
    unite(&mut own.bandwidth_limits, &group.bandwidth_limits);
    unite(&mut own.data_transfer_limits, &group.data_transfer_limits);
    unite(&mut own.allowed_ip, &group.allowed_ip);
    unite(&mut own.denied_ip, &group.denied_ip);
    unite(&mut own.denied_login_methods, &group.denied_login_methods);
    unite(&mut own.denied_protocols, &group.denied_protocols);
    unite(&mut own.two_factor_protocols, &group.two_factor_protocols);
    unite(&mut own.web_client, &group.web_client);
    unite(&mut own.access_time, &group.access_time);
}

#[cfg(test)]
mod tests;
