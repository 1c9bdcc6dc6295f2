//! Which names may be used, per directory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::model::glob::Glob;
use crate::model::wire::{is_default, null_is_default};
use crate::paths::VirtualPath;

/// Directories of one account that can have a filter, of each of the two kinds.
const MAX_FILTERS: usize = 100;

/// Patterns, or extensions, of one account: with all of its filters together.
const MAX_PATTERNS: usize = 1000;

/// File names by suffix, per directory; the older form of [`PatternsFilter`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ExtensionsFilter {
    /// Absolute virtual directory; the filter is for the names inside and below.
    pub path: String,
    /// If there are any, all others are denied.
    #[serde(deserialize_with = "null_is_default")]
    pub allowed_extensions: Vec<String>,
    /// Evaluated before `allowed_extensions`.
    #[serde(deserialize_with = "null_is_default")]
    pub denied_extensions: Vec<String>,
}

/// File names by shell pattern, per directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PatternsFilter {
    /// Absolute virtual directory; the filter is for the names inside and below.
    pub path: String,
    /// Evaluated before `denied_patterns`; if there are any, all others are denied.
    #[serde(deserialize_with = "null_is_default")]
    pub allowed_patterns: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub denied_patterns: Vec<String>,
    /// 0: denied names stay visible, 1: they are hidden.
    #[serde(skip_serializing_if = "is_default")]
    pub deny_policy: i32,
}

impl PatternsFilter {
    /// True if denied names are hidden.
    pub fn hides(&self) -> bool {
        self.deny_policy == 1
    }
}

/// Validates filters by pattern and brings them to their stored form.
pub(super) fn normalise_patterns(filters: &mut [PatternsFilter]) -> Result<()> {
    let mut paths = Vec::new();
    let mut count = 0;
    for filter in filters {
        clean_path(&mut filter.path, &mut paths)?;
        let shown = filter.path.clone();
        if !matches!(filter.deny_policy, 0 | 1) {
            let policy = filter.deny_policy;
            return Err(Error::invalid(format!("{shown}: deny_policy: {policy} is not 0 or 1")));
        }
        for (field, list) in [
            ("allowed_patterns", &mut filter.allowed_patterns),
            ("denied_patterns", &mut filter.denied_patterns),
        ] {
            clean_list(list, |pattern| Glob::parse(pattern).map(drop))
                .map_err(|error| error.wrap(format!("{shown}: {field}")))?;
            count += list.len();
        }
        if filter.allowed_patterns.is_empty() && filter.denied_patterns.is_empty() {
            return Err(Error::invalid(format!(
                "{shown}: has no patterns; to exempt a directory, allow \"*\" there"
            )));
        }
        check_count(count)?;
    }
    Ok(())
}

/// As [`normalise_patterns`], for filters by extension.
pub(super) fn normalise_extensions(filters: &mut [ExtensionsFilter]) -> Result<()> {
    let mut paths = Vec::new();
    let mut count = 0;
    for filter in filters {
        clean_path(&mut filter.path, &mut paths)?;
        let shown = filter.path.clone();
        for (field, list) in [
            ("allowed_extensions", &mut filter.allowed_extensions),
            ("denied_extensions", &mut filter.denied_extensions),
        ] {
            clean_list(list, |extension| {
                if extension.is_empty() {
                    return Err(Error::invalid("is empty"));
                }
                Glob::parse(&Glob::of_suffix(extension)).map(drop)
            })
            .map_err(|error| error.wrap(format!("{shown}: {field}")))?;
            count += list.len();
        }
        if filter.allowed_extensions.is_empty() && filter.denied_extensions.is_empty() {
            return Err(Error::invalid(format!("{shown}: has no extensions")));
        }
        check_count(count)?;
    }
    Ok(())
}

/// Checks and cleans one directory; `seen` has those before it.
fn clean_path(path: &mut String, seen: &mut Vec<String>) -> Result<()> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("path: {path:?} is not absolute")));
    }
    if path.chars().any(char::is_control) {
        return Err(Error::invalid(format!("path: {path:?} contains a control character")));
    }
    *path = VirtualPath::new(&*path).to_string_lossy().into_owned();
    if seen.contains(path) {
        return Err(Error::invalid(format!("path: {path:?} is given twice")));
    }
    if seen.len() == MAX_FILTERS {
        return Err(Error::invalid(format!("more than {MAX_FILTERS} directories")));
    }
    seen.push(path.clone());
    Ok(())
}

/// Lower case, each entry once, and each of them checked.
fn clean_list(list: &mut Vec<String>, check: impl Fn(&str) -> Result<()>) -> Result<()> {
    check_count(list.len())?;
    for entry in list.iter_mut() {
        check(entry).map_err(|error| error.wrap(format!("{entry:?}")))?;
        *entry = Glob::canonical(entry);
    }
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|entry| seen.insert(entry.clone()));
    Ok(())
}

fn check_count(count: usize) -> Result<()> {
    if count > MAX_PATTERNS {
        return Err(Error::invalid(format!("more than {MAX_PATTERNS} in all directories")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::UserFilters;

    fn normalised(json: serde_json::Value) -> crate::error::Result<UserFilters> {
        let mut filters: UserFilters = serde_json::from_value(json).unwrap();
        filters.normalise()?;
        Ok(filters)
    }

    #[test]
    fn filters_on_names_are_brought_to_one_form() {
        let got = normalised(json!({
            "file_patterns": [
                {"path": "/a/../b//", "allowed_patterns": ["*.JPG", "*.jpg"],
                 "denied_patterns": null, "deny_policy": 1},
                {"path": "/", "denied_patterns": ["*.Ö", "X\\*", "X[!A-C]"]},
            ],
            "file_extensions": [
                {"path": "/b/.", "denied_extensions": [".ZIP", ".zip", ".T*R"]},
            ],
        }))
        .unwrap();
        let want = json!({
            "file_extensions": [
                {"path": "/b", "allowed_extensions": [], "denied_extensions": [".zip", ".t*r"]},
            ],
            "file_patterns": [
                {"path": "/b", "allowed_patterns": ["*.jpg"], "denied_patterns": [],
                 "deny_policy": 1},
                {"path": "/", "allowed_patterns": [], "denied_patterns": ["*.ö", "x\\*", "X[!A-C]"]},
            ],
        });
        assert_eq!(serde_json::to_value(&got).unwrap(), want);
        assert_eq!(serde_json::to_value(normalised(want.clone()).unwrap()).unwrap(), want);
    }

    #[test]
    fn a_wrong_filter_is_refused_by_field_and_directory() {
        let many: Vec<String> = (0..1001).map(|n| format!("*.{n}")).collect();
        let directories: Vec<_> =
            (0..101).map(|n| json!({"path": format!("/{n}"), "denied_patterns": ["x"]})).collect();
        let table = [
            (json!([{"path": "a", "denied_patterns": ["x"]}]), "path: \"a\" is not absolute"),
            (json!([{"path": "", "denied_patterns": ["x"]}]), "path: "),
            (json!([{"path": "/a\n", "denied_patterns": ["x"]}]), "control character"),
            (json!([{"path": "/a"}]), "/a: has no patterns"),
            (json!([{"path": "/a", "denied_patterns": ["["]}]), "/a: denied_patterns: \"[\": "),
            (json!([{"path": "/a", "allowed_patterns": ["[b-a]"]}]), "/a: allowed_patterns: "),
            (json!([{"path": "/a", "denied_patterns": ["b/c"]}]), "for names"),
            (json!([{"path": "/a", "denied_patterns": ["x"], "deny_policy": 2}]), "deny_policy: 2"),
            (json!([{"path": "/a", "denied_patterns": ["x"], "deny_policy": -1}]), "deny_policy"),
            (
                json!([{"path": "/a", "denied_patterns": ["x"]},
                       {"path": "/b/../a", "denied_patterns": ["y"]}]),
                "given twice",
            ),
            (json!([{"path": "/a", "denied_patterns": many}]), "more than 1000"),
            (json!(directories), "more than 100 directories"),
        ];
        for (filters, part) in table {
            let error = normalised(json!({"file_patterns": filters})).unwrap_err().to_string();
            assert!(error.starts_with("file_patterns: ") && error.contains(part), "{error}");
        }
        for (filters, part) in [
            (json!([{"path": "/a", "denied_extensions": [""]}]), "/a: denied_extensions: \"\": "),
            (json!([{"path": "/a", "allowed_extensions": ["a/b"]}]), "/a: allowed_extensions: "),
            (json!([{"path": "/a"}]), "/a: has no extensions"),
        ] {
            let error = normalised(json!({"file_extensions": filters})).unwrap_err().to_string();
            assert!(error.starts_with("file_extensions: ") && error.contains(part), "{error}");
        }
    }
}
