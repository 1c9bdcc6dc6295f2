//! Names that older generations used: moved to today's name before the sources
//! are laid over one another, so that an older name in the environment still
//! beats a newer name in a file. Within one source the newer name wins.

use std::fmt::Write as _;

use super::Config;
use super::lists;
use super::setting::{Report, Setting, describe};
use super::tree::{Content, Node, as_index};

/// An older key and the key that took its place. A number in the path is an
/// index into a list.
pub const RENAMED: [(&str, &str); 28] = [
    ("sftpd.bind_port", "sftpd.bindings.0.port"),
    ("sftpd.bind_address", "sftpd.bindings.0.address"),
    ("ftpd.bind_port", "ftpd.bindings.0.port"),
    ("ftpd.bind_address", "ftpd.bindings.0.address"),
    ("ftpd.force_passive_ip", "ftpd.bindings.0.force_passive_ip"),
    ("ftpd.tls_mode", "ftpd.bindings.0.tls_mode"),
    ("webdavd.bind_port", "webdavd.bindings.0.port"),
    ("webdavd.bind_address", "webdavd.bindings.0.address"),
    ("webdavd.cache.expiration_time", "webdavd.cache.users.expiration_time"),
    ("webdavd.cache.max_size", "webdavd.cache.users.max_size"),
    ("httpd.bind_port", "httpd.bindings.0.port"),
    ("httpd.bind_address", "httpd.bindings.0.address"),
    ("httpd.backups_path", "data_provider.backups_path"),
    ("sftpd.idle_timeout", "common.idle_timeout"),
    ("sftpd.upload_mode", "common.upload_mode"),
    ("sftpd.setstat_mode", "common.setstat_mode"),
    ("sftpd.proxy_protocol", "common.proxy_protocol"),
    ("sftpd.proxy_allowed", "common.proxy_allowed"),
    ("sftpd.umask", "common.umask"),
    ("sftpd.actions", "common.actions"),
    ("common.actions.command", "common.actions.hook"),
    ("common.actions.http_notification_url", "common.actions.hook"),
    ("sftpd.keyboard_interactive_auth_program", "sftpd.keyboard_interactive_auth_hook"),
    ("data_provider.actions.command", "data_provider.actions.hook"),
    ("data_provider.actions.http_notification_url", "data_provider.actions.hook"),
    ("data_provider.external_auth_program", "data_provider.external_auth_hook"),
    ("data_provider.pre_login_program", "data_provider.pre_login_hook"),
    ("data_provider.connectionstring", "data_provider.connection_string"),
];

/// Older keys that are more than another name, for the documentation; see [`Folded`].
pub const FOLDED: [(&str, &str); 3] = [
    ("sftpd.keys[].private_key", "an element of `sftpd.host_keys`"),
    ("sftpd.enable_scp", "true adds `scp` to `sftpd.enabled_ssh_commands`"),
    (
        "data_provider.skip_natural_keys_validation",
        "true adds 1 to `data_provider.naming_rules`, unless that is set",
    ),
];

/// Moves the older names in one source; one warning for each.
pub fn rename(tree: &mut Node, report: &mut Report, warnings: &mut Vec<String>) {
    for (old, new) in RENAMED {
        let Some(node) = tree.take(old) else { continue };
        if node.is_null() {
            continue;
        }
        warnings.push(format!(
            "`{}` (from {}) is an older name of `{}`",
            node.origin.key,
            node.origin.source,
            bracketed(new)
        ));
        move_to(tree, new, node, warnings);
    }
    fold_host_keys(tree, report, warnings);
}

/// A whole table moves entry by entry, so that it can meet newer entries.
fn move_to(tree: &mut Node, new: &str, node: Node, warnings: &mut Vec<String>) {
    if let Content::Table(entries) = node.content {
        for (name, node) in entries {
            move_to(tree, &format!("{new}.{name}"), node, warnings);
        }
        return;
    }
    if is_taken(tree, new) {
        // Two older names of one key may both be left empty.
        if !matches!(&node.content, Content::Text(text) if text.is_empty()) {
            let key = bracketed(new);
            warnings.push(describe(&node, new, format_args!("ignored because `{key}` is set")));
        }
        return;
    }
    tree.put(new, node);
}

/// Whether a newer name is written, with a value that is not left empty.
fn is_taken(tree: &Node, new: &str) -> bool {
    // A list that is written as a whole takes all of its indexes.
    let list = new.split_once(".0.").map(|(list, _)| list);
    if let Some(node) = list.and_then(|list| tree.get(list))
        && !lists::is_patch(node)
    {
        return true;
    }
    tree.get(new).is_some_and(|node| {
        !node.is_null() && !matches!(&node.content, Content::Text(text) if text.is_empty())
    })
}

/// `sftpd.keys = [{private_key = "a"}]`: `sftpd.host_keys = ["a"]`.
fn fold_host_keys(tree: &mut Node, report: &mut Report, warnings: &mut Vec<String>) {
    let Some(mut keys) = tree.take("sftpd.keys") else { return };
    lists::settle_tables(&mut keys, "sftpd.keys", report);
    let elements: Vec<&Node> = match &keys.content {
        Content::Null => return,
        Content::List(items) => items.iter().collect(),
        Content::Patch(items) => items.values().collect(),
        _ => {
            // Not a list: the typed parse says so.
            tree.put("sftpd.host_keys", keys);
            return;
        }
    };
    warnings.push(format!(
        "`{}` (from {}) is an older form of `sftpd.host_keys`",
        keys.origin.key, keys.origin.source
    ));
    if tree.get("sftpd.host_keys").is_some_and(|node| !node.is_null()) {
        let problem = "ignored because `sftpd.host_keys` is set";
        warnings.push(describe(&keys, "sftpd.keys", problem));
        return;
    }
    let paths =
        elements.into_iter().filter_map(|element| element.get("private_key")).cloned().collect();
    let list = Node { origin: keys.origin.clone(), content: Content::List(paths) };
    tree.put("sftpd.host_keys", list);
}

/// Older switches that change part of another setting; taken out of the merged
/// tree before the typed parse and applied after it.
#[derive(Debug, Default)]
pub struct Folded {
    enable_scp: bool,
    allow_any_name: bool,
}

impl Folded {
    pub fn take(tree: &mut Node, report: &mut Report, warnings: &mut Vec<String>) -> Self {
        let has_naming_rules = tree
            .get("data_provider.naming_rules")
            .is_some_and(|node| node.origin.source != super::tree::Source::BuiltIn);
        let mut switch = |key: &str, meaning: &str| {
            let node = tree.take(key).filter(|node| !node.is_null())?;
            warnings.push(format!(
                "`{}` (from {}) is an older setting: {meaning}",
                node.origin.key, node.origin.source
            ));
            bool::read(&node, key, report)
        };
        let enable_scp =
            switch("sftpd.enable_scp", "add `scp` to `sftpd.enabled_ssh_commands` instead");
        let skip_validation = switch(
            "data_provider.skip_natural_keys_validation",
            "use bit 1 of `data_provider.naming_rules` instead",
        );
        Self {
            enable_scp: enable_scp.unwrap_or(false),
            allow_any_name: skip_validation.unwrap_or(false) && !has_naming_rules,
        }
    }

    pub fn apply(self, config: &mut Config) {
        let commands = &mut config.sftpd.enabled_ssh_commands;
        if self.enable_scp && !commands.iter().any(|name| name == "scp" || name == "*") {
            commands.push("scp".to_owned());
        }
        if self.allow_any_name {
            config.data_provider.naming_rules |= 1;
        }
    }
}

/// `sftpd.bindings.0.port`: `sftpd.bindings[0].port`.
pub fn bracketed(path: &str) -> String {
    path.split('.').fold(String::new(), |mut key, part| {
        if as_index(part).is_some() {
            let _ = write!(key, "[{part}]");
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(part);
        }
        key
    })
}
