//! The configuration file: where it is looked for, and its formats.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::alias::bracketed;
use super::dotenv;
use super::environment::Environment;
use super::tree::{Content, Node, Origin, Source};
use crate::error::{Error, ErrorKind, Result};

/// A configuration file is text somebody wrote: larger ones are a mistake.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The extensions in the order they are looked for.
const FORMATS: [(&str, Format); 7] = [
    ("json", Format::Json),
    ("toml", Format::Toml),
    ("yaml", Format::Yaml),
    ("yml", Format::Yaml),
    ("hcl", Format::Hcl),
    ("env", Format::Dotenv),
    ("properties", Format::Properties),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Toml,
    Yaml,
    Hcl,
    Dotenv,
    Properties,
}

impl Format {
    /// By extension, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        FORMATS.iter().find(|(known, _)| *known == extension).map(|(_, format)| *format)
    }
}

/// Finds the file to read.
///
/// `given` is a path with a known extension, absolute or relative to
/// `config_dir`, or a base name inside it. Without it the first
/// `sftpgo.<extension>` counts, in `config_dir` and then in `other_dirs`.
///
/// # Errors
/// A given file that does not exist.
pub fn find(
    config_dir: &Path,
    given: Option<&str>,
    other_dirs: &[PathBuf],
) -> Result<Option<PathBuf>> {
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        let mut dirs = std::iter::once(config_dir).chain(other_dirs.iter().map(PathBuf::as_path));
        return Ok(dirs.find_map(|dir| with_some_extension(&dir.join("sftpgo"))));
    };
    let path = config_dir.join(given);
    let found = if Format::of(&path).is_some() {
        path.is_file().then(|| path.clone())
    } else {
        with_some_extension(&path)
    };
    match found {
        Some(found) => Ok(Some(found)),
        None => Err(Error::new(
            ErrorKind::NotFound,
            format!("configuration file {} does not exist", path.display()),
        )),
    }
}

fn with_some_extension(base: &Path) -> Option<PathBuf> {
    FORMATS
        .iter()
        .map(|(extension, _)| {
            let mut name = base.as_os_str().to_owned();
            name.push(".");
            name.push(extension);
            PathBuf::from(name)
        })
        .find(|path| path.is_file())
}

/// The content of a text file.
///
/// # Errors
/// Unreadable, too large, or not UTF-8; the path is named.
pub fn read_text(path: &Path) -> Result<String> {
    let wrap = |error| Error::from_io(format!("configuration file {}", path.display()), error);
    let file = std::fs::File::open(path).map_err(wrap)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::invalid(format!(
            "configuration file {}: larger than {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::invalid(format!("configuration file {}: is not UTF-8", path.display())))
}

/// Reads and parses a configuration file into a tree of values.
///
/// # Errors
/// Unreadable or unparsable; the path and, where known, the line are named.
/// The text of the line is not: it may hold a secret.
pub fn read(path: &Path, environment: &Environment) -> Result<Node> {
    let text = read_text(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let format = Format::of(path).ok_or_else(|| {
        Error::invalid(format!("configuration file {}: unknown extension", path.display()))
    })?;
    parse(text, format, path, environment)
        .map_err(|error| error.wrap(format!("configuration file {}", path.display())))
}

fn parse(text: &str, format: Format, path: &Path, environment: &Environment) -> Result<Node> {
    let source = Source::File(Rc::from(path));
    let value = match format {
        Format::Json => parse_json(text)?,
        Format::Toml => parse_toml(text)?,
        Format::Yaml => parse_yaml(text)?,
        Format::Hcl => parse_hcl(text)?,
        Format::Dotenv => {
            return Ok(from_pairs(dotenv::parse(text, environment)?, &source));
        }
        Format::Properties => {
            return Ok(from_pairs(parse_properties(text)?, &source));
        }
    };
    let make_origin = |key: String| Rc::new(Origin { key, source: source.clone(), is_text: false });
    let tree = Node::from_json(value, "", &make_origin);
    match tree.content {
        Content::Table(_) => Ok(tree),
        // An empty YAML document.
        Content::Null => Ok(Node::empty_table(tree.origin)),
        _ => Err(Error::invalid("expected a table of sections")),
    }
}

fn parse_json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))
}

fn parse_toml(text: &str) -> Result<Value> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(line_after);
        Error::invalid(at_line(line, error.message()))
    })
}

fn parse_yaml(text: &str) -> Result<Value> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(text)
        .map_err(|error| Error::invalid(error.without_snippet().to_string()))
}

fn parse_hcl(text: &str) -> Result<Value> {
    hcl::from_str(text).map_err(|error| match error {
        hcl::Error::Parse(error) => {
            Error::invalid(at_line(Some(error.location().line()), error.message()))
        }
        error => Error::invalid(error.to_string()),
    })
}

fn parse_properties(text: &str) -> Result<Vec<(String, String)>> {
    // The parser assumes Latin-1, as Java once did; everything beyond ASCII
    // reaches it escaped, so that the file is read as UTF-8.
    let mut escaped = String::with_capacity(text.len());
    for (index, char) in text.char_indices() {
        if char.is_ascii() {
            escaped.push(char);
        } else if u32::from(char) <= 0xFFFF {
            let _ = write!(escaped, "\\u{:04x}", u32::from(char));
        } else {
            let line = text.get(..index).map(line_after);
            return Err(Error::invalid(at_line(line, "characters above U+FFFF are not supported")));
        }
    }
    let mut pairs = Vec::new();
    java_properties::PropertiesIter::new(escaped.as_bytes())
        .read_into(|key, value| pairs.push((key, value)))
        .map_err(|error| Error::invalid(at_line(error.line_number(), "invalid escape or line")))?;
    Ok(pairs)
}

fn line_after(text_before: &str) -> usize {
    text_before.matches('\n').count() + 1
}

fn at_line(line: Option<usize>, problem: &str) -> String {
    match line {
        Some(line) => format!("line {line}: {problem}"),
        None => problem.to_owned(),
    }
}

/// Keys of text formats: `section.key` or `SFTPGO_SECTION__KEY`, with numbers as
/// indexes.
fn from_pairs(pairs: Vec<(String, String)>, source: &Source) -> Node {
    let mut tree = Node::empty_table(Origin::built_in());
    for (name, value) in pairs {
        let lower = name.to_lowercase();
        let path = lower.strip_prefix("sftpgo_").unwrap_or(&lower).replace("__", ".");
        let origin = Origin { key: bracketed(&path), source: source.clone(), is_text: true };
        tree.put(&path, Node::text(value, Rc::new(origin)));
    }
    tree
}
