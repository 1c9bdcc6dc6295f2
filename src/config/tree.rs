//! What a source of settings says, before it is typed: a tree of values that
//! each remember where they were written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Number, Value};

/// Where a value comes from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    BuiltIn,
    File(Rc<Path>),
    /// The name of the environment variable.
    Environment(Rc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("the built-in defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// The place of one value, in the words of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The key as written, e.g. `sftpd.bind_port`: an older name stays visible here.
    pub key: String,
    pub source: Source,
    /// The source knows only text (environment, `.env`, `.properties`), so
    /// numbers, booleans and comma separated lists are read from text.
    pub is_text: bool,
}

impl Origin {
    pub fn built_in() -> Rc<Self> {
        Rc::new(Self { key: String::new(), source: Source::BuiltIn, is_text: false })
    }
}

/// One value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub origin: Rc<Origin>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Written, but left empty: the same as not set.
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Keys are lower-case. A table whose keys are all numbers patches a list.
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub fn empty_table(origin: Rc<Origin>) -> Self {
        Self { origin, content: Content::Table(BTreeMap::new()) }
    }

    pub fn text(text: impl Into<String>, origin: Rc<Origin>) -> Self {
        Self { origin, content: Content::Text(text.into()) }
    }

    /// The tree of a parsed file; `make_origin` gives the place of each key.
    pub fn from_json(value: Value, key: &str, make_origin: &dyn Fn(String) -> Rc<Origin>) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(flag) => Content::Bool(flag),
            Value::Number(number) => Content::Number(number),
            Value::String(text) => Content::Text(text),
            Value::Array(items) => Content::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(at, item)| Self::from_json(item, &format!("{key}[{at}]"), make_origin))
                    .collect(),
            ),
            Value::Object(entries) => Content::Table(
                entries
                    .into_iter()
                    .map(|(name, item)| {
                        let node = Self::from_json(item, &join(key, &name), make_origin);
                        (name.to_lowercase(), node)
                    })
                    .collect(),
            ),
        };
        Self { origin: make_origin(key.to_owned()), content }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    /// True for a table like `{"0": ..., "3": ...}`, which changes single
    /// elements of a list and leaves the others.
    pub fn is_list_patch(&self) -> bool {
        match &self.content {
            Content::Table(entries) => {
                !entries.is_empty() && entries.keys().all(|key| key.parse::<u32>().is_ok())
            }
            _ => false,
        }
    }

    /// Lays `over` on top of this value: tables are merged, everything else is
    /// replaced, and a list patch changes the elements it names. An index beyond
    /// the end appends, so the list never has holes.
    pub fn overlay(&mut self, over: Node) {
        if over.is_null() {
            return;
        }
        if over.is_list_patch() {
            return self.patch_list(over);
        }
        match (&mut self.content, over.content) {
            (Content::Table(mine), Content::Table(theirs)) => {
                self.origin = over.origin;
                for (key, node) in theirs {
                    match mine.get_mut(&key) {
                        Some(existing) => existing.overlay(node),
                        None => {
                            let mut slot =
                                Node { origin: node.origin.clone(), content: Content::Null };
                            slot.overlay(node);
                            mine.insert(key, slot);
                        }
                    }
                }
            }
            (content, Content::Table(theirs)) => {
                // A list patch may be nested in a table that is new here.
                *content = Content::Table(BTreeMap::new());
                self.overlay(Node { origin: over.origin, content: Content::Table(theirs) });
            }
            (content, other) => {
                *content = other;
                self.origin = over.origin;
            }
        }
    }

    fn patch_list(&mut self, over: Node) {
        let Content::Table(patches) = over.content else { return };
        let mut by_index: Vec<(u32, Node)> = patches
            .into_iter()
            .filter_map(|(key, node)| key.parse().ok().map(|index| (index, node)))
            .collect();
        by_index.sort_by_key(|(index, _)| *index);
        if !matches!(self.content, Content::List(_)) {
            self.content = Content::List(Vec::new());
        }
        self.origin = over.origin;
        let Content::List(items) = &mut self.content else { return };
        for (index, node) in by_index {
            match items.get_mut(index as usize) {
                Some(item) => item.overlay(node),
                None => {
                    let mut item = Node { origin: node.origin.clone(), content: Content::Null };
                    item.overlay(node);
                    items.push(item);
                }
            }
        }
    }

    /// The value under a dotted path of lower-case keys.
    pub fn get(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| match &node.content {
            Content::Table(entries) => entries.get(key),
            _ => None,
        })
    }

    /// Takes the value under a dotted path out of the tree.
    pub fn take(&mut self, path: &str) -> Option<Node> {
        let Content::Table(entries) = &mut self.content else { return None };
        match path.split_once('.') {
            None => entries.remove(path),
            Some((first, rest)) => entries.get_mut(first)?.take(rest),
        }
    }

    /// Puts `node` under a dotted path, making the tables on the way. False when
    /// something that is no table stands in the way.
    pub fn put(&mut self, path: &str, node: Node) -> bool {
        let Content::Table(entries) = &mut self.content else { return false };
        match path.split_once('.') {
            None => {
                if let Some(Node { content: Content::Table(_), .. }) = entries.get(path) {
                    return false;
                }
                entries.insert(path.to_owned(), node);
                true
            }
            Some((first, rest)) => entries
                .entry(first.to_owned())
                .or_insert_with(|| Node::empty_table(node.origin.clone()))
                .put(rest, node),
        }
    }

    /// The value as somebody would write it, cut when it is long. Of a table only
    /// the keys are shown, because its values may be secrets.
    pub fn shown(&self) -> String {
        let mut text = self.to_shown_json().to_string();
        if text.len() > 120 {
            let cut = (0..=117).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
            text.push_str("...");
        }
        text
    }

    fn to_shown_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => Value::Bool(*flag),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_shown_json).collect(),
            Content::Table(entries) => {
                entries.keys().map(|key| (key.clone(), Value::String("..".to_owned()))).collect()
            }
        }
    }
}

/// `section` and `key`: `section.key`.
pub fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
