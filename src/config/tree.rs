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
    /// Single elements of a list by index; the others stay as they are.
    Patch(BTreeMap<u32, Node>),
    /// Keys are lower-case.
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

    /// Lays `over` on top of this value: tables are merged, everything else is
    /// replaced, and a patch changes the elements it names. An index beyond the
    /// end appends, so the list never has holes.
    pub fn overlay(&mut self, over: Node) {
        match (&mut self.content, over.content) {
            (_, Content::Null) => return,
            (Content::Table(mine), Content::Table(theirs)) => {
                for (key, node) in theirs {
                    match mine.get_mut(&key) {
                        Some(existing) => existing.overlay(node),
                        None => {
                            mine.insert(key, node.alone());
                        }
                    }
                }
            }
            (Content::List(mine), Content::Patch(theirs)) => {
                for (index, node) in theirs {
                    match mine.get_mut(index as usize) {
                        Some(existing) => existing.overlay(node),
                        None => mine.push(node.alone()),
                    }
                }
            }
            (content, theirs) => *content = theirs.alone(),
        }
        self.origin = over.origin;
    }

    /// This value where there is nothing to lay it over.
    fn alone(self) -> Self {
        Self { origin: self.origin, content: self.content.alone() }
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
            Content::Patch(items) => items.values().map(Self::to_shown_json).collect(),
            Content::Table(entries) => {
                entries.keys().map(|key| (key.clone(), Value::String("..".to_owned()))).collect()
            }
        }
    }
}

impl Content {
    /// The content, which leaves nothing.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Null)
    }

    /// Without patches: their elements are the whole list.
    fn alone(self) -> Self {
        match self {
            Self::Patch(items) => Self::List(items.into_values().map(Node::alone).collect()),
            Self::List(items) => Self::List(items.into_iter().map(Node::alone).collect()),
            Self::Table(entries) => {
                Self::Table(entries.into_iter().map(|(key, node)| (key, node.alone())).collect())
            }
            value => value,
        }
    }
}

/// `section` and `key`: `section.key`.
pub fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// `sftpd.bindings[3].port`: `sftpd.bindings[].port`.
pub fn without_indexes(key: &str) -> String {
    let mut general = String::with_capacity(key.len());
    let mut is_index = false;
    for char in key.chars() {
        match char {
            '[' => is_index = true,
            ']' => is_index = false,
            _ if is_index => continue,
            _ => {}
        }
        general.push(char);
    }
    general
}

/// The index that a key of a table stands for.
pub fn as_index(key: &str) -> Option<u32> {
    key.bytes().all(|byte| byte.is_ascii_digit()).then(|| key.parse().ok()).flatten()
}
