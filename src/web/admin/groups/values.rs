//! One field of a group's form: from its stored value to what the form shows, and from what
//! was typed back to what is stored.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::fields::{Cell, Column, Field, Kind, PRESETS};
use crate::model::Permission;
use crate::web::admin::objects::lines;
use crate::web::pages::amount;

/// The value of one field as text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    Text(String),
    Set(BTreeSet<String>),
    Rows(Vec<Vec<String>>),
}

/// A stored value as the form shows it.
pub(super) fn shown(field: &Field, stored: &Value) -> Typed {
    let number = || stored.as_i64().unwrap_or(0);
    let texts = || stored.as_array().into_iter().flatten().filter_map(Value::as_str);
    match field.kind {
        Kind::Path => Typed::Text(stored.as_str().unwrap_or_default().to_owned()),
        Kind::Number | Kind::Measured(_) => Typed::Text(amount::whole_text(number())),
        Kind::Bytes => Typed::Text(amount::size_text(number())),
        Kind::Lines => Typed::Text(texts().collect::<Vec<_>>().join("\n")),
        Kind::Switch => {
            let is_on = stored.as_bool().unwrap_or(false);
            Typed::Text(if is_on { "on".to_owned() } else { String::new() })
        }
        Kind::Choices(_) => Typed::Set(texts().map(str::to_owned).collect()),
        Kind::Rows(columns) => Typed::Rows(
            stored
                .as_array()
                .into_iter()
                .flatten()
                .map(|row| columns.iter().map(|c| shown_cell(c, &row[c.key])).collect())
                .collect(),
        ),
        Kind::Permissions => Typed::Rows(
            stored
                .as_object()
                .into_iter()
                .flatten()
                .map(|(path, list)| vec![path.clone(), String::new(), words(list)])
                .collect(),
        ),
        Kind::Folders => {
            Typed::Rows(stored.as_array().into_iter().flatten().map(shown_folder).collect())
        }
    }
}

fn shown_cell(column: &Column, stored: &Value) -> String {
    match column.cell {
        Cell::Text => stored.as_str().unwrap_or_default().to_owned(),
        Cell::Number => amount::whole_text(stored.as_i64().unwrap_or(0)),
        Cell::Words => words(stored),
        Cell::Select(_) => stored.as_i64().unwrap_or(0).to_string(),
    }
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(", ")
}

fn shown_folder(mount: &Value) -> Vec<String> {
    let number = |key: &str| mount[key].as_i64().unwrap_or(0);
    let text = |key: &str| mount[key].as_str().unwrap_or_default().to_owned();
    let (size, files) = (number("quota_size"), number("quota_files"));
    let counts = if size < 0 { "user" } else { "folder" };
    vec![
        text("name"),
        text("virtual_path"),
        counts.to_owned(),
        amount::size_text(size),
        amount::whole_text(files.max(0)),
    ]
}

/// What was typed, as it is stored; or a sentence for the field.
pub(super) fn understood(field: &Field, typed: &Typed, old: &Value) -> Result<Value, String> {
    match (&field.kind, typed) {
        (Kind::Number | Kind::Measured(_), Typed::Text(text)) => Ok(json!(amount::whole(text)?)),
        (Kind::Bytes, Typed::Text(text)) => Ok(json!(amount::size(text, amount::BYTES)?)),
        (Kind::Lines, Typed::Text(text)) => Ok(json!(lines(text))),
        (Kind::Switch, Typed::Text(text)) => Ok(json!(!text.is_empty())),
        (_, Typed::Text(text)) => Ok(json!(text)),
        (Kind::Choices(options), Typed::Set(chosen)) => {
            let offered = |name: &str| options.iter().any(|(value, _)| *value == name);
            // What the form does not offer stays, and so does the order.
            let old: Vec<&str> =
                old.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let kept = old.iter().copied();
            let kept = kept.filter(|name| !offered(name) || chosen.contains(*name));
            let added = chosen.iter().map(String::as_str);
            let added = added.filter(|name| offered(name) && !old.contains(name));
            Ok(kept.chain(added).collect())
        }
        (_, Typed::Set(_)) => Ok(Value::Null),
        (Kind::Permissions, Typed::Rows(rows)) => permissions(rows),
        (Kind::Folders, Typed::Rows(rows)) => rows
            .iter()
            .enumerate()
            .map(|(at, row)| folder(row).map_err(|t| in_row(at, &t)))
            .collect(),
        (_, Typed::Rows(rows)) => {
            let columns = field.columns().unwrap_or_default();
            let row = |(at, row): (usize, &Vec<String>)| {
                let mut object = Map::new();
                for (column, text) in columns.iter().zip(row) {
                    let value = cell(column, text).map_err(|told| in_row(at, &told))?;
                    object.insert(column.key.to_owned(), value);
                }
                Ok(Value::Object(object))
            };
            rows.iter().enumerate().map(row).collect()
        }
    }
}

fn in_row(at: usize, told: &str) -> String {
    format!("Row {}: {told}", at + 1)
}

fn cell(column: &Column, text: &str) -> Result<Value, String> {
    match column.cell {
        Cell::Text => Ok(json!(text)),
        Cell::Number => Ok(json!(amount::whole(text)?)),
        Cell::Words => Ok(split(text).collect()),
        Cell::Select(options) => {
            let known = options.iter().any(|(value, _)| *value == text);
            let number = text.parse::<i64>().ok().filter(|_| known);
            number.map(|number| json!(number)).ok_or_else(|| "Choose one.".to_owned())
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty())
}

fn permissions(rows: &[Vec<String>]) -> Result<Value, String> {
    let mut entries = Map::new();
    for (at, row) in rows.iter().enumerate() {
        let [path, preset, list] = &row[..] else { continue };
        let preset = PRESETS.iter().find(|(value, _)| !value.is_empty() && value == preset);
        let list = preset.map_or(list.as_str(), |(value, _)| value);
        if let Some(unknown) = split(list).find(|name| Permission::from_name(name).is_none()) {
            return Err(in_row(at, &format!("{unknown:?} is no permission.")));
        }
        if path.is_empty() {
            return Err(in_row(at, "Enter a directory, such as /in."));
        }
        if entries.insert(path.clone(), split(list).collect()).is_some() {
            return Err(in_row(at, "This directory is there already."));
        }
    }
    Ok(Value::Object(entries))
}

fn folder(row: &[String]) -> Result<Value, String> {
    let [name, path, counts, size, files] = row else { return Ok(Value::Null) };
    let (size, files) = match counts.as_str() {
        "folder" => (amount::size(size, amount::BYTES)?, amount::whole(files)?),
        _ => (-1, -1),
    };
    Ok(json!({ "name": name, "virtual_path": path, "quota_size": size, "quota_files": files }))
}
