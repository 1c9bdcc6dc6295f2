//! What a user may do in which directory, and with which names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Fields;
use crate::model::{PatternsFilter, Permission, Permissions, User};
use crate::paths::VirtualPath;
use crate::web::admin::users::rows::{Filling, Section, words};
use crate::web::pages::form::{FieldErrors, Form};

const DIRECTORIES: Section =
    Section { name: "permissions", texts: &["dir"], choices: &["preset"], many: &["allow"] };
const PATTERNS: Section = Section {
    name: "file_patterns",
    texts: &["path", "allowed", "denied"],
    choices: &["hide"],
    many: &[],
};

pub const FIELDS: Fields = Fields { single: &[], many: &[], sections: &[DIRECTORIES, PATTERNS] };

/// The columns of the matrix in groups; `rename` and `delete` are both of theirs.
pub const COLUMNS: [(&str, &[(Permission, &str)]); 5] = [
    ("Read", &[(Permission::List, "list"), (Permission::Download, "download")]),
    (
        "Write",
        &[
            (Permission::Upload, "upload"),
            (Permission::Overwrite, "overwrite"),
            (Permission::CreateDirs, "create dirs"),
            (Permission::Copy, "copy"),
            (Permission::CreateSymlinks, "symlinks"),
        ],
    ),
    ("Rename", &[(Permission::RenameFiles, "files"), (Permission::RenameDirs, "dirs")]),
    ("Delete", &[(Permission::DeleteFiles, "files"), (Permission::DeleteDirs, "dirs")]),
    (
        "Attributes",
        &[
            (Permission::Chmod, "mode"),
            (Permission::Chown, "owner"),
            (Permission::Chtimes, "times"),
        ],
    ),
];

/// Sets of permissions with a name.
pub const PRESETS: [(&str, &str, &[Permission]); 3] = [
    ("read", "Read only", &[Permission::List, Permission::Download]),
    ("drop", "Drop box", &[Permission::List, Permission::Upload, Permission::CreateDirs]),
    ("full", "Full", &[Permission::Any]),
];

type Cells = BTreeSet<Permission>;

/// The cells of the matrix that a list of permissions ticks.
fn cells(list: &[Permission]) -> Cells {
    let set: crate::model::PermissionSet = list.iter().copied().collect();
    let of = |cell: Permission| {
        set.grants(cell)
            || match cell {
                Permission::RenameFiles | Permission::RenameDirs => set.grants(Permission::Rename),
                Permission::DeleteFiles | Permission::DeleteDirs => set.grants(Permission::Delete),
                _ => false,
            }
    };
    let columns = COLUMNS.iter().flat_map(|(_, columns)| columns.iter());
    columns.map(|(cell, _)| *cell).filter(|cell| of(*cell)).collect()
}

/// The permissions of a preset, by its key.
pub fn preset(key: &str) -> Option<&'static [Permission]> {
    PRESETS.iter().find(|(name, ..)| *name == key).map(|(.., list)| *list)
}

fn preset_of(list: &[Permission]) -> &'static str {
    if list.contains(&Permission::Any) {
        return "full";
    }
    let of = cells(list);
    let found = PRESETS.iter().find(|(key, _, preset)| *key != "full" && cells(preset) == of);
    found.map_or("custom", |(key, ..)| key)
}

/// How a row is called: its preset, or that it has none.
fn preset_label(list: &[Permission]) -> &'static str {
    let key = preset_of(list);
    let found = PRESETS.iter().find(|(name, ..)| *name == key);
    found.map_or(if list.is_empty() { "Nothing" } else { "Custom" }, |(_, label, _)| label)
}

pub fn fields(user: &User) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rows = Filling::of(&DIRECTORIES, &mut fields);
    for (directory, list) in user.permissions.iter() {
        let mut row = vec![("dir", directory.to_owned()), ("preset", preset_of(list).to_owned())];
        row.extend(cells(list).iter().map(|cell| ("allow", cell.as_str().to_owned())));
        rows.row(&row);
    }
    let mut rows = Filling::of(&PATTERNS, &mut fields);
    for filter in &user.filters.file_patterns {
        rows.row(&[
            ("path", filter.path.clone()),
            ("allowed", joined(&filter.allowed_patterns)),
            ("denied", joined(&filter.denied_patterns)),
            ("hide", filter.deny_policy.to_string()),
        ]);
    }
    fields
}

/// Patterns in one field, one in each line: they may have commas and spaces in them.
fn joined(patterns: &[String]) -> String {
    patterns.join("\n")
}

/// Patterns from a field; in a single line, spaces and commas separate them too.
fn patterns(text: &str) -> Vec<String> {
    let has_lines = text.contains('\n');
    if has_lines {
        return text.lines().map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect();
    }
    words(text)
}

pub fn apply(form: &Form, user: &mut User, errors: &mut FieldErrors) {
    let mut permissions = Permissions::default();
    let mut seen = BTreeSet::new();
    for (index, row) in DIRECTORIES.rows(form).iter().enumerate() {
        let (directory, field) = (row.get("dir"), format!("permissions.{index}.dir"));
        if !directory.starts_with('/') {
            errors.add(field, "Enter a directory that begins with /, such as /archive.");
            continue;
        }
        if !seen.insert(VirtualPath::new(directory)) {
            errors.add(field, "This directory has a row already.");
            continue;
        }
        let names = row.all("allow").iter();
        let ticked: Cells = names.filter_map(|name| Permission::from_name(name)).collect();
        let stored = user.permissions.iter().find(|(own, _)| *own == directory);
        let stored = stored.map(|(_, list)| list);
        permissions.set(directory, wanted(row.get("preset"), &ticked, stored));
    }
    user.permissions = permissions;

    let mut filters = Vec::new();
    for (index, row) in PATTERNS.rows(form).iter().enumerate() {
        if row.get("path").is_empty() {
            errors.add(format!("file_patterns.{index}.path"), "Enter a directory, such as /.");
        }
        let path = row.get("path");
        let stored = user.filters.file_patterns.iter().find(|filter| filter.path == path);
        let list = |text: &str, stored: Option<&Vec<String>>| match stored {
            // As it is stored, if nobody has changed what is shown of it.
            Some(list) if joined(list).replace("\r\n", "\n").trim() == text => list.clone(),
            _ => patterns(text),
        };
        filters.push(PatternsFilter {
            path: path.to_owned(),
            allowed_patterns: list(row.get("allowed"), stored.map(|s| &s.allowed_patterns)),
            denied_patterns: list(row.get("denied"), stored.map(|s| &s.denied_patterns)),
            deny_policy: i32::from(row.get("hide") == "1"),
        });
    }
    user.filters.file_patterns = filters;
}

/// What a row asks for. The preset decides if it was changed, and what is ticked if that
/// was; a row whose meaning is that of the stored one is stored as it was.
fn wanted(preset_key: &str, ticked: &Cells, stored: Option<&[Permission]>) -> Vec<Permission> {
    let shown = stored.map(cells).unwrap_or_default();
    let list = match preset(preset_key) {
        Some(list) if *ticked == shown || *ticked == cells(list) => list.to_vec(),
        // Everything ticked by hand is not everything that may be added later.
        _ => ticked.iter().copied().collect(),
    };
    let was_full = stored.is_some_and(|list| list.contains(&Permission::Any));
    let is_full = list.contains(&Permission::Any);
    match stored {
        Some(stored) if cells(stored) == cells(&list) && was_full == is_full => stored.to_vec(),
        _ => list,
    }
}

/// The matrix: its columns and presets.
pub fn matrix() -> Value {
    let columns = |columns: &[(Permission, &str)]| -> Value {
        columns
            .iter()
            .map(|(cell, label)| json!({ "key": cell.as_str(), "label": label }))
            .collect()
    };
    let groups: Vec<Value> = COLUMNS
        .iter()
        .map(|(label, list)| json!({ "label": label, "columns": columns(list) }))
        .collect();
    let presets: Vec<Value> = PRESETS
        .iter()
        .map(|(key, label, list)| {
            let ticks: Vec<&str> = cells(list).iter().map(|cell| cell.as_str()).collect();
            json!({ "key": key, "label": label, "ticks": ticks.join(" ") })
        })
        .collect();
    json!({ "groups": groups, "presets": presets })
}

/// One row as it is shown where it cannot be changed.
pub fn fixed_row(directory: &str, list: &[Permission]) -> Value {
    let ticks: Vec<&str> = cells(list).iter().map(|cell| cell.as_str()).collect();
    json!({ "dir": directory, "label": preset_label(list), "ticks": ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_decides_if_it_was_changed_and_the_ticks_if_they_were() {
        use Permission::{Any, Delete, DeleteDirs, DeleteFiles, Download, List, Upload};
        let all = cells(&[Any]);
        let set = |list: &[Permission]| list.iter().copied().collect::<Cells>();
        let without_list: Cells = all.iter().copied().filter(|cell| *cell != List).collect();
        type Case = (&'static str, Cells, Option<&'static [Permission]>, Vec<Permission>);
        let table: [Case; 8] = [
            // Nothing changed.
            ("full", all.clone(), Some(&[Any]), vec![Any]),
            ("custom", set(&[DeleteFiles, DeleteDirs]), Some(&[Delete]), vec![Delete]),
            // Another preset, the ticks as they were.
            ("read", all.clone(), Some(&[Any]), vec![List, Download]),
            ("full", set(&[List]), Some(&[List]), vec![Any]),
            // Other ticks, the preset as it was.
            ("full", without_list.clone(), Some(&[Any]), without_list.iter().copied().collect()),
            ("read", set(&[List, Upload]), Some(&[List, Download]), vec![List, Upload]),
            // A new row.
            ("read", set(&[]), None, vec![List, Download]),
            ("custom", set(&[]), None, vec![]),
        ];
        for (preset, ticked, stored, want) in table {
            assert_eq!(wanted(preset, &ticked, stored), want, "{preset} {ticked:?} {stored:?}");
        }
    }

    #[test]
    fn all_permissions_but_the_summaries_have_a_cell() {
        let shown: usize = COLUMNS.iter().map(|(_, columns)| columns.len()).sum();
        assert_eq!(shown + 3, Permission::ALL.len(), "*, rename and delete are summaries");
        assert_eq!(cells(&[Permission::Any]).len(), shown);
    }
}
