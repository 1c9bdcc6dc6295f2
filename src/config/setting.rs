//! How a typed setting is read from the tree of values, and how it describes
//! itself. The macros declare a section: one field, one doc comment, one default.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::tree::{Content, Node, join};

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads the value at `at` (the full key, e.g. `sftpd.bindings[0].port`).
    /// Problems go to `report`; `None` keeps the default.
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self>;

    fn to_json(&self) -> Value;

    /// For documentation: what may be written, e.g. `integer`.
    fn kind() -> String;

    /// The fields, when the setting is a table or a list of tables.
    fn shape() -> Shape {
        Shape::Value
    }
}

/// Whether a setting has fields of its own.
#[derive(Debug, Clone)]
pub enum Shape {
    Value,
    Table(Vec<FieldDoc>),
    /// A list of tables, with the fields of one element and their defaults.
    Tables(Vec<FieldDoc>),
}

/// What is known of one declared setting.
#[derive(Debug, Clone)]
pub struct FieldDoc {
    pub name: &'static str,
    /// The lines of the doc comment.
    pub doc: Vec<&'static str>,
    pub kind: String,
    /// E.g. `0 to 3`.
    pub range: Option<String>,
    pub default: Value,
    pub shape: Shape,
}

/// A value that belongs to no declared setting.
#[derive(Debug)]
pub struct Leftover {
    /// The full key, e.g. `common.actions.hook`.
    pub key: String,
    pub node: Node,
}

/// What the typed parse found: every problem, not only the first.
#[derive(Debug, Default)]
pub struct Report {
    pub errors: Vec<String>,
    pub leftovers: Vec<Leftover>,
}

impl Report {
    /// `problem` completes the sentence "key = value (from file): ...".
    pub fn reject(&mut self, node: &Node, at: &str, problem: impl Display) {
        let message = describe(node, at, problem);
        self.errors.push(message);
    }
}

/// "`key` = value (from file): problem", in the words of whoever wrote the key.
pub fn describe(node: &Node, at: &str, problem: impl Display) -> String {
    let written = if node.origin.key.is_empty() { at } else { &node.origin.key };
    let value = if is_secret(at) { "[redacted]".to_owned() } else { node.shown() };
    format!("`{written}` = {value} (from {}): {problem}", node.origin.source)
}

/// Keys whose values are never shown.
fn is_secret(key: &str) -> bool {
    const SECRETS: [&str; 9] = [
        "password",
        "signing_passphrase",
        "master_key",
        "client_secret",
        "refresh_token",
        "connection_string",
        "installation_code",
        "headers",
        "env",
    ];
    key.split('.').any(|part| SECRETS.contains(&part.split('[').next().unwrap_or(part)))
}

/// Text that must not reach a log: its `Debug` shows only whether it is set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(set)" })
    }
}

impl Setting for Secret {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        String::read(node, at, report).map(Self)
    }

    fn to_json(&self) -> Value {
        Value::String(self.0.clone())
    }

    fn kind() -> String {
        "string".to_owned()
    }
}

impl Setting for String {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        match &node.content {
            Content::Text(text) => Some(text.clone()),
            _ => {
                report.reject(node, at, "expected a string");
                None
            }
        }
    }

    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }

    fn kind() -> String {
        "string".to_owned()
    }
}

impl Setting for bool {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        let flag = match &node.content {
            Content::Bool(flag) => Some(*flag),
            Content::Text(text) if node.origin.is_text => parse_bool(text),
            _ => None,
        };
        if flag.is_none() {
            report.reject(node, at, "expected true or false");
        }
        flag
    }

    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }

    fn kind() -> String {
        "boolean".to_owned()
    }
}

/// `1`, `true`, `0`, `false` in any case: what text sources may say.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// An integer of any width, before its range is checked.
pub(super) fn read_integer(node: &Node) -> Option<i128> {
    match &node.content {
        Content::Number(number) => number.as_i128().or_else(|| {
            // YAML and HCL may write 20.0 for 20.
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i128)
        }),
        Content::Text(text) if node.origin.is_text => text.trim().parse().ok(),
        _ => None,
    }
}

macro_rules! integer_settings {
    ($($int:ty),+) => {$(
        impl Setting for $int {
            fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
                let Some(wide) = read_integer(node) else {
                    report.reject(node, at, "expected an integer");
                    return None;
                };
                let value = Self::try_from(wide).ok();
                if value.is_none() {
                    report.reject(
                        node,
                        at,
                        format_args!("must be between {} and {}", Self::MIN, Self::MAX),
                    );
                }
                value
            }

            fn to_json(&self) -> Value {
                Value::from(*self)
            }

            fn kind() -> String {
                "integer".to_owned()
            }
        }
    )+};
}
integer_settings!(u8, u16, u32, u64, i32, i64);

impl Setting for f64 {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        let number = match &node.content {
            Content::Number(number) => number.as_f64(),
            Content::Text(text) if node.origin.is_text => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        if number.is_none() {
            report.reject(node, at, "expected a number");
        }
        number
    }

    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn kind() -> String {
        "number".to_owned()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        let before = report.errors.len();
        let item_at = |index: usize| format!("{at}[{index}]");
        let items: Self = match &node.content {
            Content::List(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| T::read(item, &item_at(index), report))
                .collect(),
            Content::Text(text) if node.origin.is_text && matches!(T::shape(), Shape::Value) => {
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .enumerate()
                    .filter_map(|(index, item)| {
                        T::read(&Node::text(item, node.origin.clone()), &item_at(index), report)
                    })
                    .collect()
            }
            _ => {
                report.reject(node, at, format_args!("expected a {}", Self::kind()));
                return None;
            }
        };
        (report.errors.len() == before).then_some(items)
    }

    fn to_json(&self) -> Value {
        self.iter().map(Setting::to_json).collect()
    }

    fn kind() -> String {
        format!("list of {}s", T::kind())
    }

    fn shape() -> Shape {
        match T::shape() {
            Shape::Table(fields) => Shape::Tables(fields),
            _ => Shape::Value,
        }
    }
}

/// The entries of a table, without those left empty.
pub fn read_table<'a>(
    node: &'a Node,
    at: &str,
    report: &mut Report,
) -> Option<BTreeMap<&'a str, &'a Node>> {
    match &node.content {
        Content::Table(entries) => Some(
            entries
                .iter()
                .filter(|(_, node)| !node.is_null())
                .map(|(key, node)| (key.as_str(), node))
                .collect(),
        ),
        _ => {
            report.reject(node, at, "expected a table");
            None
        }
    }
}

/// Remembers the entries that no field has taken.
pub fn keep_leftovers(entries: BTreeMap<&str, &Node>, at: &str, report: &mut Report) {
    report.leftovers.extend(
        entries.into_iter().map(|(key, node)| Leftover { key: join(at, key), node: node.clone() }),
    );
}

/// Rejects a value outside `range`.
pub fn within<T: PartialOrd + Display>(
    node: &Node,
    at: &str,
    value: &T,
    range: RangeInclusive<T>,
    report: &mut Report,
) -> bool {
    let is_within = range.contains(value);
    if !is_within {
        let (low, high) = range.into_inner();
        report.reject(node, at, format_args!("must be between {low} and {high}"));
    }
    is_within
}

pub fn show_range<T: Display>(range: RangeInclusive<T>) -> String {
    format!("{} to {}", range.start(), range.end())
}

/// The key of a field, which may be a word that Rust keeps to itself.
pub fn key_of(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// A JSON table from `(name, value)` pairs, in their order.
pub fn to_table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

/// Declares a table of settings. Each field carries its doc comment and its
/// default, and may carry `range a..=b` and `check path` (a function from a
/// reference to `Result<(), String>`).
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                pub $field:ident: $ty:ty = $default:expr
                    $(, range $range:expr)? $(, check $check:path)?;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                pub $field: $ty,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::config::setting::Setting for $name {
            fn read(
                node: &$crate::config::tree::Node,
                at: &str,
                report: &mut $crate::config::setting::Report,
            ) -> Option<Self> {
                let mut entries = $crate::config::setting::read_table(node, at, report)?;
                let mut section = Self::default();
                $(
                    let key = $crate::config::setting::key_of(stringify!($field));
                    if let Some(node) = entries.remove(key) {
                        let at = $crate::config::tree::join(at, key);
                        let value = <$ty as $crate::config::setting::Setting>::read(node, &at, report);
                        if let Some(value) = value {
                            #[allow(unused_mut)]
                            let mut is_valid = true;
                            $(
                                is_valid &= $crate::config::setting::within(
                                    node, &at, &value, $range, report,
                                );
                            )?
                            $(
                                if let Err(problem) = $check(&value) {
                                    report.reject(node, &at, problem);
                                    is_valid = false;
                                }
                            )?
                            if is_valid {
                                section.$field = value;
                            }
                        }
                    }
                )*
                $crate::config::setting::keep_leftovers(entries, at, report);
                Some(section)
            }

            fn to_json(&self) -> serde_json::Value {
                $crate::config::setting::to_table([
                    $((
                        $crate::config::setting::key_of(stringify!($field)),
                        $crate::config::setting::Setting::to_json(&self.$field),
                    ),)*
                ])
            }

            fn kind() -> String {
                "table".to_owned()
            }

            fn shape() -> $crate::config::setting::Shape {
                let defaults = Self::default();
                $crate::config::setting::Shape::Table(vec![$(
                    $crate::config::setting::FieldDoc {
                        name: $crate::config::setting::key_of(stringify!($field)),
                        doc: vec![$($field_doc.trim()),+],
                        kind: <$ty as $crate::config::setting::Setting>::kind(),
                        range: None$(.or(Some($crate::config::setting::show_range($range))))?,
                        default: $crate::config::setting::Setting::to_json(&defaults.$field),
                        shape: <$ty as $crate::config::setting::Setting>::shape(),
                    },
                )*])
            }
        }
    };
}

/// Declares a setting that is one of a few integers.
macro_rules! integer_choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $( $(#[doc = $variant_doc:literal])+ $variant:ident = $code:literal, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[doc = $variant_doc])+ $variant = $code, )+
        }

        impl $crate::config::setting::Setting for $name {
            fn read(
                node: &$crate::config::tree::Node,
                at: &str,
                report: &mut $crate::config::setting::Report,
            ) -> Option<Self> {
                match $crate::config::setting::read_integer(node) {
                    $( Some($code) => Some(Self::$variant), )+
                    _ => {
                        report.reject(node, at, format_args!("must be {}", Self::kind()));
                        None
                    }
                }
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::from(*self as i64)
            }

            fn kind() -> String {
                ["one of", &[$(stringify!($code)),+].join(", ")].join(" ")
            }
        }
    };
}

/// Declares a setting that is one of a few words.
macro_rules! word_choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[doc = $variant_doc])+ $variant, )+
        }

        impl $name {
            /// The word that stands for it in a file.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl $crate::config::setting::Setting for $name {
            fn read(
                node: &$crate::config::tree::Node,
                at: &str,
                report: &mut $crate::config::setting::Report,
            ) -> Option<Self> {
                if let $crate::config::tree::Content::Text(text) = &node.content {
                    match text.trim().to_ascii_lowercase().as_str() {
                        $( $word => return Some(Self::$variant), )+
                        _ => {}
                    }
                }
                report.reject(node, at, format_args!("must be {}", Self::kind()));
                None
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::String(self.as_str().to_owned())
            }

            fn kind() -> String {
                let words = [$($word),+].map(|word| format!("\"{word}\""));
                format!("one of {}", words.join(", "))
            }
        }
    };
}

pub(crate) use {integer_choice, section, word_choice};
