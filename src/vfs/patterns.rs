//! The account's filters on names, ready to be asked: pure decisions, no I/O.
//!
//! The filter of the deepest directory that holds an object decides about its name.
//! Filters by extension are about files, those by pattern about directories too; a name
//! must pass both.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::model::UserFilters;
use crate::model::glob::{FoldedName, Glob};
use crate::paths::VirtualPath;

/// Longest path that is looked at. No local file has a longer one.
const MAX_PATH: usize = 4096;

/// What a filter says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied,
    /// As if it did not exist.
    Hidden,
}

/// Which names count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Something that is, or may be, a file.
    File,
    /// A directory; or something whose content does not matter.
    Object,
}

/// All filters of an account.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    by_pattern: Rules,
    by_extension: Rules,
}

/// Filters of one kind, by directory.
#[derive(Debug, Default)]
struct Rules(BTreeMap<Vec<u8>, Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    allowed: Vec<Glob>,
    denied: Vec<Glob>,
    first: First,
    hides: bool,
}

/// Which list is evaluated first, and so wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Allowed,
    Denied,
}

impl Patterns {
    /// Compiles the filters once, for all operations of a session.
    ///
    /// # Errors
    /// `InvalidInput` for a stored filter that is none.
    pub(super) fn compile(filters: &UserFilters) -> Result<Self> {
        let mut patterns = Self::default();
        for filter in &filters.file_patterns {
            let rule = Rule {
                allowed: globs(&filter.allowed_patterns)?,
                denied: globs(&filter.denied_patterns)?,
                first: First::Allowed,
                hides: filter.hides(),
            };
            patterns.by_pattern.insert(&filter.path, rule);
        }
        for filter in &filters.file_extensions {
            let suffixes = |list: &[String]| -> Vec<String> {
                list.iter().map(|extension| Glob::of_suffix(extension)).collect()
            };
            let rule = Rule {
                allowed: globs(&suffixes(&filter.allowed_extensions))?,
                denied: globs(&suffixes(&filter.denied_extensions))?,
                first: First::Denied,
                hides: false,
            };
            patterns.by_extension.insert(&filter.path, rule);
        }
        Ok(patterns)
    }

    /// True for the many accounts without filters.
    pub(super) fn is_empty(&self) -> bool {
        self.by_pattern.0.is_empty() && self.by_extension.0.is_empty()
    }

    /// Whether a filter may have to say something about `path` or a name below it: one of
    /// a directory above it, of itself, or of a directory below.
    pub(super) fn concern(&self, path: &VirtualPath) -> bool {
        [&self.by_pattern, &self.by_extension].into_iter().flat_map(|rules| rules.0.keys()).any(
            |filtered| {
                let filtered = VirtualPath::new(filtered);
                filtered.starts_with(path) || path.starts_with(&filtered)
            },
        )
    }

    /// What is true about `path`: about its own name, and about those of all
    /// directories above it as far as these can be hidden.
    ///
    /// # Errors
    /// `InvalidPath` for a path that is too long to exist.
    pub(super) fn verdict(&self, path: &VirtualPath, named: Named) -> Result<Verdict> {
        if path.as_bytes().len() > MAX_PATH {
            return Err(Error::new(ErrorKind::InvalidPath, "the path is too long"));
        }
        let by_pattern = self.by_pattern.verdict(path);
        if by_pattern != Verdict::Allowed || named == Named::Object {
            return Ok(by_pattern);
        }
        Ok(self.by_extension.verdict(path))
    }

    /// Allows what is not hidden.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn require_visible(&self, path: &VirtualPath) -> Result<()> {
        match self.verdict(path, Named::Object)? {
            Verdict::Allowed | Verdict::Denied => Ok(()),
            Verdict::Hidden => Err(hidden(path)),
        }
    }

    /// Allows what is neither denied nor hidden.
    ///
    /// # Errors
    /// `PermissionDenied`, or `NotFound` where it is hidden.
    pub(super) fn require_allowed(&self, path: &VirtualPath, named: Named) -> Result<()> {
        match self.verdict(path, named)? {
            Verdict::Allowed => Ok(()),
            Verdict::Denied => {
                let context = format!("the filters of the account deny the name of {path}");
                Err(Error::new(ErrorKind::PermissionDenied, context))
            }
            Verdict::Hidden => Err(hidden(path)),
        }
    }

    /// Allows the directory `from` to become `to` if everything inside stays under the
    /// same filters: otherwise what one of them denies would get another name.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub(super) fn require_same_inside(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let kinds = [&self.by_pattern, &self.by_extension];
        if kinds.iter().all(|rules| rules.are_same_inside(from, to)) {
            return Ok(());
        }
        let context = format!("{from} may not be renamed to {to}: other filters on names apply");
        Err(Error::new(ErrorKind::PermissionDenied, context))
    }

    /// Which entries of `dir` are hidden; `None` if none are.
    pub(super) fn hidden_in(&self, dir: &VirtualPath) -> Option<HiddenNames<'_>> {
        self.by_pattern.governing(dir).filter(|rule| rule.hides).map(HiddenNames)
    }
}

fn hidden(path: &VirtualPath) -> Error {
    Error::new(ErrorKind::NotFound, format!("{path} is hidden by the filters of the account"))
}

fn globs(patterns: &[String]) -> Result<Vec<Glob>> {
    let parse = |pattern: &String| {
        Glob::parse(pattern).map_err(|error| error.wrap(format!("pattern {pattern:?}")))
    };
    patterns.iter().map(parse).collect()
}

/// The names that a directory does not show.
pub(super) struct HiddenNames<'p>(&'p Rule);

impl HiddenNames<'_> {
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.0.denies(name)
    }
}

impl Rules {
    fn insert(&mut self, dir: &str, rule: Rule) {
        self.0.insert(VirtualPath::new(dir).as_bytes().to_vec(), rule);
    }

    /// The filter for the names in `dir`: of the deepest ancestor-or-self that has one.
    fn governing(&self, dir: &VirtualPath) -> Option<&Rule> {
        if self.0.is_empty() {
            return None;
        }
        let mut dir = dir.clone();
        loop {
            match self.0.get(dir.as_bytes()) {
                Some(rule) => return Some(rule),
                None if dir.is_root() => return None,
                None => dir = dir.parent(),
            }
        }
    }

    fn verdict(&self, path: &VirtualPath) -> Verdict {
        if self.0.is_empty() {
            return Verdict::Allowed;
        }
        let bytes = path.as_bytes();
        let mut governing = self.0.get(&b"/"[..]);
        let mut end = 0;
        for name in path.components() {
            end += 1 + name.len();
            if let Some(rule) = governing
                && (rule.hides || end == bytes.len())
                && rule.denies(name)
            {
                return if rule.hides { Verdict::Hidden } else { Verdict::Denied };
            }
            governing = bytes.get(..end).and_then(|dir| self.0.get(dir)).or(governing);
        }
        Verdict::Allowed
    }

    fn are_same_inside(&self, from: &VirtualPath, to: &VirtualPath) -> bool {
        let has_own = |dir: &VirtualPath| {
            self.0.keys().any(|filtered| VirtualPath::new(filtered).starts_with(dir))
        };
        self.0.is_empty()
            || (!has_own(from) && !has_own(to) && self.governing(from) == self.governing(to))
    }
}

impl Rule {
    fn denies(&self, name: &[u8]) -> bool {
        let name = FoldedName::new(name);
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&name));
        match self.first {
            First::Allowed => {
                !matches(&self.allowed) && (!self.allowed.is_empty() || matches(&self.denied))
            }
            First::Denied => {
                matches(&self.denied) || (!self.allowed.is_empty() && !matches(&self.allowed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Verdict::{Allowed, Denied, Hidden};
    use super::*;

    fn patterns(json: serde_json::Value) -> Patterns {
        let mut filters: UserFilters = serde_json::from_value(json).unwrap();
        filters.normalise().unwrap();
        Patterns::compile(&filters).unwrap()
    }

    fn path(text: impl AsRef<[u8]>) -> VirtualPath {
        VirtualPath::new(text)
    }

    #[test]
    fn the_deepest_filter_decides_and_allowed_names_win() {
        let got = patterns(json!({"file_patterns": [
            {"path": "/", "denied_patterns": ["*.exe"]},
            {"path": "/images", "allowed_patterns": ["*.jpg", "*.exe.png"],
             "denied_patterns": ["*.png"]},
            {"path": "/free/for/all", "allowed_patterns": ["*"]},
        ]}));
        let table = [
            ("/", Allowed),
            ("/a", Allowed),
            ("/a.exe", Denied),
            ("/A.eXe", Denied),
            ("/deep/down/a.exe", Denied),
            ("/a.exe/b", Allowed),
            ("/images", Allowed),
            ("/images/a.jpg", Allowed),
            ("/images/a.exe.png", Allowed),
            ("/images/a.png", Denied),
            ("/images/a", Denied),
            ("/images/sub", Denied),
            ("/images/sub/a.jpg", Allowed),
            ("/images/sub/a.exe", Denied),
            ("/imagesque/a.jpg", Allowed),
            ("/imagesque/a.exe", Denied),
            ("/free/for/all.exe", Denied),
            ("/free/for/all/a.exe", Allowed),
        ];
        for (name, want) in table {
            for named in [Named::File, Named::Object] {
                assert_eq!(got.verdict(&path(name), named).unwrap(), want, "{name}");
            }
        }
    }

    #[test]
    fn everything_below_a_hidden_directory_is_hidden() {
        let got = patterns(json!({"file_patterns": [
            {"path": "/", "denied_patterns": ["secret*"], "deny_policy": 1},
            {"path": "/open", "denied_patterns": ["secret*"]},
            {"path": "/secret/exempt", "allowed_patterns": ["*"]},
        ]}));
        let table = [
            ("/secret", Hidden),
            ("/Secret.txt", Hidden),
            ("/secret/a", Hidden),
            ("/secret/a/b/c", Hidden),
            // A filter below a hidden directory brings nothing back.
            ("/secret/exempt", Hidden),
            ("/secret/exempt/a", Hidden),
            ("/a/secret/b", Hidden),
            ("/open", Allowed),
            ("/open/secret", Denied),
            ("/open/secret/a", Allowed),
            ("/open/secret/secret", Denied),
            ("/a/sec/ret", Allowed),
        ];
        for (name, want) in table {
            assert_eq!(got.verdict(&path(name), Named::File).unwrap(), want, "{name}");
        }
        let hides = |dir: &str, name: &[u8]| {
            got.hidden_in(&path(dir)).is_some_and(|hidden| hidden.has(name))
        };
        assert!(hides("/", b"SECRET") && hides("/a/b", b"secret\xff"));
        assert!(!hides("/", b"public") && !hides("/open", b"secret"));
        assert!(got.hidden_in(&path("/open/deeper")).is_none());
    }

    #[test]
    fn denied_extensions_win_and_directories_have_none() {
        let got = patterns(json!({"file_extensions": [
            {"path": "/", "allowed_extensions": [".gz", ".txt"], "denied_extensions": [".tar.gz"]},
        ], "file_patterns": [
            {"path": "/d", "denied_patterns": ["x*"]},
        ]}));
        let table = [
            ("/a.gz", Allowed, Allowed),
            ("/a.TAR.gz", Denied, Allowed),
            ("/a.zip", Denied, Allowed),
            ("/d/a.txt", Allowed, Allowed),
            ("/d/a.zip", Denied, Allowed),
            ("/d/x.txt", Denied, Denied),
        ];
        for (name, as_file, as_object) in table {
            assert_eq!(got.verdict(&path(name), Named::File).unwrap(), as_file, "{name}");
            assert_eq!(got.verdict(&path(name), Named::Object).unwrap(), as_object, "{name}");
        }
    }

    #[test]
    fn a_directory_moves_only_among_the_same_filters() {
        let got = patterns(json!({"file_patterns": [
            {"path": "/a", "denied_patterns": ["*.exe"]},
            {"path": "/b", "denied_patterns": ["*.exe"]},
            {"path": "/c", "denied_patterns": ["*.exe"], "deny_policy": 1},
            {"path": "/d/e/f", "denied_patterns": ["*.exe"]},
        ], "file_extensions": [
            {"path": "/a/x", "denied_extensions": [".com"]},
        ]}));
        let table = [
            ("/p", "/q", true),
            ("/a/1", "/a/2", true),
            // The same words in two places.
            ("/a/1", "/b/1", true),
            ("/a/1", "/c/1", false),
            ("/a/1", "/1", false),
            ("/1", "/a/1", false),
            ("/a", "/z", false),
            ("/z", "/a", false),
            ("/d", "/z", false),
            ("/z", "/d/e", false),
            ("/d/e/f/1", "/d/e/1", false),
            ("/a/1", "/a/x/1", false),
            ("/a/x/1", "/a/x/2", true),
        ];
        for (from, to, want) in table {
            let got = got.require_same_inside(&path(from), &path(to));
            assert_eq!(got.is_ok(), want, "{from} {to}");
        }
    }

    #[test]
    fn filters_concern_what_is_above_and_below_them() {
        let got = patterns(json!({
            "file_patterns": [{"path": "/a/b", "denied_patterns": ["*.exe"]}],
            "file_extensions": [{"path": "/c", "denied_extensions": [".com"]}],
        }));
        for concerned in ["/", "/a", "/a/b", "/a/b/d", "/c", "/c/d/e"] {
            assert!(got.concern(&path(concerned)), "{concerned}");
        }
        for free in ["/a/bc", "/a/d", "/d", "/cd"] {
            assert!(!got.concern(&path(free)), "{free}");
        }
        assert!(!patterns(json!({})).concern(&path("/")));
    }

    #[test]
    fn an_account_without_filters_allows_every_name() {
        let got = patterns(json!({}));
        assert!(got.is_empty());
        assert_eq!(got.verdict(&path("/a.exe"), Named::File).unwrap(), Allowed);
        assert!(got.hidden_in(&path("/")).is_none());
        got.require_same_inside(&path("/a"), &path("/b")).unwrap();
    }

    #[test]
    fn names_without_utf8_and_without_end_are_decided() {
        let got =
            patterns(json!({"file_patterns": [{"path": "/", "denied_patterns": ["*é.exe"]}]}));
        let verdict = |name: &[u8]| got.verdict(&path(name), Named::File);
        assert_eq!(verdict("/É.EXE".as_bytes()).unwrap(), Denied);
        assert_eq!(verdict(b"/\xe9.exe").unwrap(), Allowed);
        assert_eq!(verdict(&[b'x'; 5000]).unwrap_err().kind(), ErrorKind::InvalidPath);
    }
}
