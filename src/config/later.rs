//! Settings that are known but not declared: those of features that this
//! version lacks, and those that have no meaning here.
//!
//! The first are accepted at the value that leaves the feature off and stop the
//! start otherwise: a setting is never accepted and then ignored in silence.

use std::collections::BTreeMap;

use serde_json::Value;

use super::setting::{Leftover, describe, parse_bool};
use super::tree::{Content, Node, join, without_indexes};
use super::{
    acme, command, common, data_provider, ftpd, http, httpd, kms, mfa, plugins, sftpd, smtp,
    telemetry, webdavd,
};
use crate::error::{Error, ErrorKind, Result};

/// The sections and their tables, in the order of the documentation.
const TABLES: [(&str, &str); 14] = [
    ("common", common::LATER),
    ("sftpd", sftpd::LATER),
    ("data_provider", data_provider::LATER),
    ("httpd", httpd::LATER),
    ("telemetry", telemetry::LATER),
    ("ftpd", ftpd::LATER),
    ("webdavd", webdavd::LATER),
    ("http", http::LATER),
    ("command", command::LATER),
    ("kms", kms::LATER),
    ("mfa", mfa::LATER),
    ("smtp", smtp::LATER),
    ("acme", acme::LATER),
    ("plugins", plugins::LATER),
];

/// Values that files of older generations carry for a feature that is off.
const OLDER_DEFAULTS: [(&str, &str); 9] = [
    // Unused by SQLite.
    ("data_provider.port", "5432"),
    ("data_provider.credentials_path", "\"credentials\""),
    ("httpd.openapi_path", "\"openapi\""),
    ("ftpd.active_transfers_port_non_20", "false"),
    ("webdavd.cache.enabled", "true"),
    ("smtp.port", "25"),
    ("smtp.templates_path", "\"templates\""),
    ("acme.key_type", "\"2048\""),
    // Of a defender that is off.
    ("common.defender.score_no_auth", "2"),
];

/// Keys without effect here, with the reason. Everything beneath them too.
pub const WITHOUT_EFFECT: [(&str, &str); 14] = [
    ("sftpd.moduli", "group exchange uses built-in groups"),
    ("sftpd.min_dh_group_exchange_key_size", "group exchange uses built-in groups"),
    ("data_provider.users_table", "use `sql_tables_prefix` to name the tables"),
    ("data_provider.credentials_path", "credentials are stored with the account"),
    ("data_provider.prefer_database_credentials", "credentials are stored with the account"),
    ("data_provider.auto_backup", "backups are made through the REST API"),
    ("httpd.openapi_path", "the description is generated from the program"),
    ("httpd.bindings[].security.expect_ct_header", "browsers have dropped this header"),
    ("httpd.bindings[].branding.web_admin.login_image_path", "the login page has no image"),
    ("httpd.bindings[].branding.web_client.login_image_path", "the login page has no image"),
    ("ftpd.bindings[].tls_session_reuse", "the setting was withdrawn"),
    ("ftpd.bindings[].ignore_ascii_transfer_type", "the setting was withdrawn"),
    ("webdavd.cache.enabled", "the cache has a size instead, `webdavd.cache.users.max_size`"),
    ("smtp.templates_path", "the mail templates are part of the program"),
];

/// The names of all sections.
pub fn section_names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(section, _)| *section)
}

/// Every known but unavailable key with the value that leaves it off, by section.
pub fn unavailable_keys() -> Result<Vec<(&'static str, BTreeMap<String, Value>)>> {
    TABLES
        .iter()
        .map(|(section, table)| {
            let table = serde_json::from_str(table).map_err(|error| {
                Error::with_source(
                    ErrorKind::Internal,
                    format!("table of later settings of section {section}"),
                    error,
                )
            })?;
            let mut keys = BTreeMap::new();
            flatten(section, table, &mut keys);
            Ok((*section, keys))
        })
        .collect()
}

/// `a[].b.c` for every leaf. A list of tables stands for all of its elements; a
/// list of anything else is a leaf.
fn flatten(at: &str, value: Value, keys: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(entries) => {
            entries.into_iter().for_each(|(key, value)| flatten(&join(at, &key), value, keys));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.into_iter().for_each(|item| flatten(&format!("{at}[]"), item, keys));
        }
        leaf => {
            keys.insert(at.to_owned(), leaf);
        }
    }
}

/// What becomes of the values that no declared setting has taken.
#[derive(Debug, Default)]
pub struct Verdict {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

/// Judges each leftover: at its default, without effect, unavailable or unknown.
pub fn judge(leftovers: Vec<Leftover>) -> Result<Verdict> {
    let known: BTreeMap<String, Value> =
        unavailable_keys()?.into_iter().flat_map(|(_, keys)| keys).collect();
    let mut verdict = Verdict::default();
    for Leftover { key, node } in leftovers {
        judge_one(&key, &node, &known, &mut verdict)?;
    }
    Ok(verdict)
}

fn judge_one(
    key: &str,
    node: &Node,
    known: &BTreeMap<String, Value>,
    verdict: &mut Verdict,
) -> Result<()> {
    let general = without_indexes(key);
    if node.is_null() {
        return Ok(());
    }
    if let Some(off) = known.get(&general) {
        if !equals(node, off) && !is_older_default(&general, node)? {
            let problem = format_args!("not available in this version, only {off} is");
            verdict.errors.push(describe(node, key, problem));
        }
        return Ok(());
    }
    if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(key, _)| *key == general) {
        if !is_off(node) && !is_older_default(&general, node)? {
            verdict.warnings.push(describe(node, key, format_args!("without effect: {reason}")));
        }
        return Ok(());
    }
    match &node.content {
        Content::Table(entries) if !entries.is_empty() => {
            for (name, node) in entries {
                judge_one(&join(key, name), node, known, verdict)?;
            }
        }
        Content::List(items)
            if items.iter().any(|item| matches!(item.content, Content::Table(_))) =>
        {
            let is_known = |next: &str| {
                let prefix = format!("{general}{next}");
                known.keys().any(|key| key.starts_with(&prefix))
            };
            if is_known(".") && !is_known("[]") {
                verdict.errors.push(describe(node, key, "expected a table, not a list"));
                return Ok(());
            }
            for (index, item) in items.iter().enumerate() {
                judge_one(&format!("{key}[{index}]"), item, known, verdict)?;
            }
        }
        _ => {
            let is_known_parent = known.keys().any(|known| {
                known
                    .strip_prefix(general.as_str())
                    .is_some_and(|rest| rest.starts_with(['.', '[']))
            });
            if !is_known_parent {
                // Without the value: this may be a secret under a misspelt key.
                let (key, source) = (&node.origin.key, &node.origin.source);
                verdict.warnings.push(format!("`{key}` (from {source}): unknown key, ignored"));
            } else if !is_off(node) {
                verdict.errors.push(describe(node, key, "expected a table or a list of tables"));
            }
        }
    }
    Ok(())
}

fn is_older_default(key: &str, node: &Node) -> Result<bool> {
    for (older, value) in OLDER_DEFAULTS {
        if older == key {
            let value = serde_json::from_str(value).map_err(|error| {
                Error::with_source(ErrorKind::Internal, format!("older default of {key}"), error)
            })?;
            if equals(node, &value) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Empty, zero or false: nobody asked for anything.
fn is_off(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::Bool(flag) => !flag,
        Content::Number(number) => number.as_f64() == Some(0.0),
        Content::Text(text) => text.is_empty(),
        Content::List(items) => items.is_empty(),
        Content::Patch(items) => items.is_empty(),
        Content::Table(entries) => entries.is_empty(),
    }
}

fn equals(node: &Node, value: &Value) -> bool {
    match (&node.content, value) {
        (Content::Null, _) => true,
        (Content::Bool(mine), Value::Bool(other)) => mine == other,
        (Content::Number(mine), Value::Number(other)) => mine.as_f64() == other.as_f64(),
        (Content::Text(mine), Value::String(other)) => mine == other,
        // Some lists were a single text in an older generation.
        (Content::Text(mine), Value::Array(others)) if mine.is_empty() => others.is_empty(),
        (Content::List(mine), Value::Array(others)) => {
            mine.len() == others.len() && mine.iter().zip(others).all(|(a, b)| equals(a, b))
        }
        (Content::Text(mine), other) if node.origin.is_text => text_equals(mine, other),
        _ => false,
    }
}

fn text_equals(text: &str, value: &Value) -> bool {
    match value {
        Value::Bool(flag) => parse_bool(text) == Some(*flag),
        Value::Number(number) => text.trim().parse::<f64>().ok() == number.as_f64(),
        Value::Array(items) => {
            let mine = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            mine.eq(items.iter().filter_map(Value::as_str))
        }
        _ => false,
    }
}
