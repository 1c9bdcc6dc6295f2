//! Files of `KEY=value` lines: `env.d/*` and configuration files that end in `.env`.
//!
//! Single quotes are literal. In double quotes and without quotes `$NAME` and
//! `${NAME}` expand; in double quotes a backslash escapes. `export ` before a
//! name and comments after ` #` are allowed.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The pairs in their order. `$NAME` looks into `environment` first, then at
/// the pairs already read; an unknown name expands to nothing.
///
/// # Errors
/// Names the line that is no `KEY=value`.
pub fn parse(text: &str, environment: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    let mut line_number = 1;
    while !rest.is_empty() {
        let line = rest.trim_start_matches([' ', '\t', '\r']);
        if line.starts_with('#') || line.starts_with('\n') || line.is_empty() {
            rest = after_line(line);
            line_number += 1;
            continue;
        }
        let wrong = |problem: &str| Error::invalid(format!("line {line_number}: {problem}"));
        let (name, value) = line
            .split_once('=')
            .filter(|(name, _)| !name.contains('\n'))
            .ok_or_else(|| wrong("expected KEY=value"))?;
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim_start);
        if !is_name(name) {
            return Err(wrong("the name has characters other than letters, digits, `_`, `.`"));
        }
        let lookup = |wanted: &str| {
            environment.get(wanted).cloned().or_else(|| {
                pairs.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
            })
        };
        let (value, remaining) = value_of(value, &lookup).map_err(wrong)?;
        line_number += line[..line.len() - remaining.len()].matches('\n').count();
        rest = remaining;
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// The value and what follows its line.
fn value_of<'a>(
    text: &'a str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, &'a str), &'static str> {
    let text = text.trim_start_matches([' ', '\t']);
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'').ok_or("a single quote is not closed")?;
        return Ok((value.to_owned(), end_of_line(rest)?));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = double_quoted(quoted, lookup)?;
        return Ok((value, end_of_line(rest)?));
    }
    let line = text.split('\n').next().unwrap_or("");
    let raw = match line.find(" #").or_else(|| line.find("\t#")) {
        Some(comment) => &line[..comment],
        None if line.starts_with('#') => "",
        None => line,
    };
    Ok((expand(raw.trim(), lookup), after_line(text)))
}

/// Only blanks or a comment may follow a closing quote.
fn end_of_line(rest: &str) -> Result<&str, &'static str> {
    let line = rest.split('\n').next().unwrap_or("").trim();
    if line.is_empty() || line.starts_with('#') {
        Ok(after_line(rest))
    } else {
        Err("text after the closing quote")
    }
}

fn double_quoted<'a>(
    text: &'a str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, &'a str), &'static str> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let stop = rest.find(['"', '\\', '$']).ok_or("a double quote is not closed")?;
        value.push_str(&rest[..stop]);
        let special = rest[stop..].chars().next();
        rest = &rest[stop + 1..];
        match special {
            Some('"') => return Ok((value, rest)),
            Some('\\') => {
                let escaped = rest.chars().next().ok_or("a double quote is not closed")?;
                rest = &rest[escaped.len_utf8()..];
                value.push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                });
            }
            _ => rest = expand_one(rest, lookup, &mut value),
        }
    }
}

fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        value.push_str(before);
        rest = expand_one(after, lookup, &mut value);
    }
    value.push_str(rest);
    value
}

/// Expands the variable whose `$` has just been read; a `$` without a name stays.
fn expand_one<'a>(
    after_dollar: &'a str,
    lookup: &dyn Fn(&str) -> Option<String>,
    value: &mut String,
) -> &'a str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let (name, rest) = match after_dollar.strip_prefix('{') {
        Some(braced) => match braced.split_once('}') {
            Some((name, rest)) if name.bytes().all(is_part) => (name, rest),
            _ => ("", after_dollar),
        },
        None => {
            let end = after_dollar.bytes().take_while(|byte| is_part(*byte)).count();
            after_dollar.split_at(end)
        }
    };
    if name.is_empty() {
        value.push('$');
        return after_dollar;
    }
    value.push_str(&lookup(name).unwrap_or_default());
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<String> {
        let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        let pairs = parse(text, &environment).ok()?;
        assert!(pairs.len() <= 2, "{pairs:?}");
        pairs.into_iter().next_back().map(|(_, value)| value)
    }

    #[test]
    fn values_and_quotes() {
        for (text, expected) in [
            ("A=b", Some("b")),
            ("  export A = b c \r\n", Some("b c")),
            ("A=", Some("")),
            ("A=# comment", Some("")),
            ("A=b # comment", Some("b")),
            ("A=b#c", Some("b#c")),
            ("A=b=c", Some("b=c")),
            ("A='$HOME \\n \"'", Some("$HOME \\n \"")),
            ("A=\"$HOME \\n \\\" \\$HOME ${HOME}x\" # c", Some("/root \n \" $HOME /rootx")),
            ("A=\"two\nlines\"", Some("two\nlines")),
            ("A=$HOME/x", Some("/root/x")),
            ("A=$", Some("$")),
            ("A=${HOME", Some("${HOME")),
            ("A=$NOBODY.", Some(".")),
            ("B=1\nA=$B$B", Some("11")),
            ("A=h\u{f6}h", Some("h\u{f6}h")),
            ("\u{feff}A=b", Some("b")),
            ("nonsense", None),
            ("A B=c", None),
            ("1A=b", None),
            ("=b", None),
            ("A='b", None),
            ("A=\"b", None),
            ("A=\"b\\", None),
            ("A='b'c", None),
        ] {
            assert_eq!(one(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_names_its_line_also_after_a_value_of_several_lines() {
        let error = parse("# c\n\nA=\"x\ny\"\nB=1\nnonsense\n", &BTreeMap::new());
        assert!(error.expect_err("nonsense").to_string().starts_with("line 6:"));
    }
}
