//! Which keys hold lists, and what a table means in the place of a list.
//!
//! Text sources and the HCL format cannot write a list of tables as such: an
//! index is a key of a table there, and a single HCL block is the element itself.

use std::collections::BTreeMap;

use super::Config;
use super::later;
use super::setting::{FieldDoc, Leftover, Report, Setting, Shape};
use super::tree::{Content, Node, as_index, join, without_indexes};
use crate::error::Result;

/// Every key that this version knows, with `[]` for any index.
pub struct Lists {
    /// With whether its value is a list of values.
    keys: BTreeMap<String, bool>,
}

impl Lists {
    /// # Errors
    /// A broken table of unavailable settings: a bug.
    pub fn known() -> Result<Self> {
        let mut keys = BTreeMap::new();
        for (_, unavailable) in later::unavailable_keys()? {
            keys.extend(unavailable.into_iter().map(|(key, off)| (key, off.is_array())));
        }
        for (key, _) in later::WITHOUT_EFFECT {
            keys.insert(key.to_owned(), false);
        }
        add_declared("", &Config::shape(), &mut keys);
        Ok(Self { keys })
    }

    /// Makes lists and patches of the tables that stand in the place of lists, in the
    /// tree of one source. What is in such a place without an index, or names nothing
    /// inside its element, goes to the leftovers: it must not change the list.
    pub fn settle(&self, node: &mut Node, at: &str, report: &mut Report) {
        let general = without_indexes(at);
        if self.has_inside(&format!("{general}[]")) {
            settle_tables(node, at, report);
        } else if self.keys.get(&general) == Some(&true) && is_patch(node) {
            settle_patch(node, at, report);
        }
        match &mut node.content {
            Content::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.settle(item, &format!("{at}[{index}]"), report);
                }
            }
            Content::Patch(items) => {
                for (index, item) in &mut *items {
                    self.settle(item, &format!("{at}[{index}]"), report);
                }
                let strays = items.extract_if(.., |_, item| !self.sets_something(&general, item));
                report.leftovers.extend(
                    strays.map(|(index, node)| Leftover { key: format!("{at}[{index}]"), node }),
                );
                if items.is_empty() {
                    node.content = Content::Null;
                }
            }
            Content::Table(entries) => {
                for (key, entry) in entries {
                    self.settle(entry, &join(at, key), report);
                }
            }
            _ => {}
        }
    }

    /// Whether an element of the list `general` holds anything that is known.
    fn sets_something(&self, general: &str, item: &Node) -> bool {
        match &item.content {
            Content::Table(entries) => {
                entries.keys().any(|key| self.has_inside(&format!("{general}[].{key}")))
            }
            _ => true,
        }
    }

    /// Whether there is a key of this name, or one inside it.
    fn has_inside(&self, general: &str) -> bool {
        let inside = self.keys.range(general.to_owned()..).map(|(key, _)| key);
        inside
            .take_while(|key| key.starts_with(general))
            .any(|key| matches!(key.as_bytes().get(general.len()), None | Some(b'.' | b'[')))
    }
}

fn add_declared(at: &str, shape: &Shape, keys: &mut BTreeMap<String, bool>) {
    let (Shape::Table(fields) | Shape::Tables(fields)) = shape else { return };
    for FieldDoc { name, default, shape, .. } in fields {
        let key = join(at, name);
        match shape {
            Shape::Value => {
                keys.insert(key, default.is_array());
            }
            Shape::Table(_) => add_declared(&key, shape, keys),
            Shape::Tables(_) => add_declared(&format!("{key}[]"), shape, keys),
        }
    }
}

/// Whether a table in the place of a list changes single elements: a text source
/// has no other way to write one, and a file does so with indexes alone.
pub fn is_patch(node: &Node) -> bool {
    match &node.content {
        Content::Table(entries) => {
            node.origin.is_text
                || !entries.is_empty() && entries.keys().all(|key| as_index(key).is_some())
        }
        _ => false,
    }
}

/// A table in the place of a list of tables: a patch, or else its only element, which
/// indexes beside its fields patch.
pub fn settle_tables(node: &mut Node, at: &str, report: &mut Report) {
    if is_patch(node) {
        return settle_patch(node, at, report);
    }
    let Content::Table(entries) = &mut node.content else { return };
    let by_index = entries.extract_if(.., |key, _| as_index(key).is_some()).collect();
    let element = Node { origin: node.origin.clone(), content: node.content.take() };
    node.content = Content::List(vec![element]);
    let mut patch = Node { origin: node.origin.clone(), content: Content::Table(by_index) };
    settle_patch(&mut patch, at, report);
    node.overlay(patch);
}

/// A table of indexes: a patch. What is no index is left over.
fn settle_patch(node: &mut Node, at: &str, report: &mut Report) {
    let Content::Table(entries) = node.content.take() else { return };
    let mut items: BTreeMap<u32, Node> = BTreeMap::new();
    for (key, entry) in entries {
        match as_index(&key) {
            // `0` and `00` are the same element.
            Some(index) => match items.get_mut(&index) {
                Some(item) => item.overlay(entry),
                None => {
                    items.insert(index, entry);
                }
            },
            None => report.leftovers.push(Leftover { key: join(at, &key), node: entry }),
        }
    }
    if !items.is_empty() {
        node.content = Content::Patch(items);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::tree::{Origin, Source};

    /// Lays one source over the bindings of a file, and tells the bindings and what was
    /// left over.
    fn laid_over(source: Value, is_text: bool) -> (Value, Vec<String>) {
        let make_origin = |key: String| Rc::new(Origin { key, source: Source::BuiltIn, is_text });
        let lists = Lists::known().expect("tables");
        let mut report = Report::default();
        let below = json!({"sftpd": {"bindings": [{"port": 1, "address": "a"}]}});
        let mut tree = Node::from_json(below, "", &make_origin);
        let mut over = Node::from_json(json!({"sftpd": {"bindings": source}}), "", &make_origin);
        lists.settle(&mut over, "", &mut report);
        tree.overlay(over);
        let bindings = tree.get("sftpd.bindings").expect("bindings");
        (as_json(bindings), report.leftovers.into_iter().map(|left| left.key).collect())
    }

    fn as_json(node: &Node) -> Value {
        match &node.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => json!(flag),
            Content::Number(number) => json!(number),
            Content::Text(text) => json!(text),
            Content::List(items) => items.iter().map(as_json).collect(),
            Content::Patch(_) => json!("a patch"),
            Content::Table(entries) => {
                entries.iter().map(|(key, node)| (key.clone(), as_json(node))).collect()
            }
        }
    }

    #[test]
    fn only_indexes_change_a_list() {
        let below = json!({"port": 1, "address": "a"});
        let second = json!({"port": 2});
        // (source, is it text, bindings, left over)
        let table = [
            (json!({"0": {"port": 2}}), true, json!([{"port": 2, "address": "a"}]), vec![]),
            (json!({"1": {"port": 2}}), true, json!([below, second]), vec![]),
            (json!({"9": {"port": 2}}), true, json!([below, second]), vec![]),
            (
                json!({"10": {"port": 3}, "9": second}),
                true,
                json!([below, second, {"port": 3}]),
                vec![],
            ),
            (
                json!({"5": {"address": "b"}, "05": {"port": 2}}),
                true,
                json!([below, {"port": 2, "address": "b"}]),
                vec![],
            ),
            // Not an index.
            (json!({"x": {"address": "b"}}), true, json!([below]), vec!["x"]),
            (json!({"x": "1"}), true, json!([below]), vec!["x"]),
            (json!({"-1": {"port": 2}}), true, json!([below]), vec!["-1"]),
            (json!({"+0": {"port": 2}}), true, json!([below]), vec!["+0"]),
            (json!({"4294967296": {"port": 2}}), true, json!([below]), vec!["4294967296"]),
            (json!({"": {"port": 2}}), true, json!([below]), vec![""]),
            (json!({"port": 2}), true, json!([below]), vec!["port"]),
            (
                json!({"0": {"port": 2}, "x": {"port": 3}, "port": 4}),
                true,
                json!([{"port": 2, "address": "a"}]),
                vec!["port", "x"],
            ),
            // Nothing inside the element is known: no second binding with defaults.
            (json!({"1": {"adress": "b"}}), true, json!([below]), vec!["[1]"]),
            (
                json!({"1": {"adress": "b"}, "0": {"port": 2}}),
                true,
                json!([{"port": 2, "address": "a"}]),
                vec!["[1]"],
            ),
            // Files hold lists, or one element.
            (json!([second]), false, json!([second]), vec![]),
            (json!({"port": 2}), false, json!([second]), vec![]),
            (json!({"x": 2}), false, json!([{"x": 2}]), vec![]),
            (json!({"0": {"port": 2}}), false, json!([{"port": 2, "address": "a"}]), vec![]),
            (
                json!({"0": {"port": 2}, "address": "b"}),
                false,
                json!([{"port": 2, "address": "b"}]),
                vec![],
            ),
        ];
        for (source, is_text, bindings, left_over) in table {
            let (found, left) = laid_over(source.clone(), is_text);
            assert_eq!(found, bindings, "{source}");
            let expected: Vec<String> = left_over
                .into_iter()
                .map(|key: &str| match key.starts_with('[') {
                    true => format!("sftpd.bindings{key}"),
                    false => format!("sftpd.bindings.{key}"),
                })
                .collect();
            assert_eq!(left, expected, "{source}");
        }
    }
}
