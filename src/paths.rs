//! The two kinds of path, which are different types on purpose.
//!
//! A [`VirtualPath`] is what a client names: absolute, normalised, without `..`.
//! A [`StoragePath`] is what a storage is asked for: relative to its root. Only
//! `vfs::mounts` turns one into the other. Both hold bytes: file names on Unix
//! need not be UTF-8, and a client must get back the name it stored.

use std::fmt;

/// An absolute, normalised virtual path: starts with `/`, no empty, `.` or `..`
/// component, no trailing slash (but for the root itself), no NUL byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// The root, `/`.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Resolves what a client sent against `base`, lexically as POSIX `realpath -m`
    /// without links: `..` at the root stays at the root. Never fails: a NUL byte
    /// ends the path there would be none to name, so it is kept and refused by storage.
    pub fn resolve(base: &VirtualPath, raw: &[u8]) -> Self {
        let mut out: Vec<u8> = Vec::with_capacity(base.0.len() + raw.len() + 1);
        if raw.first() != Some(&b'/') && base.0 != b"/" {
            out.extend_from_slice(&base.0);
        }
        for part in raw.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    let cut = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    out.truncate(cut);
                }
                name => {
                    out.push(b'/');
                    out.extend_from_slice(name);
                }
            }
        }
        if out.is_empty() {
            out.push(b'/');
        }
        Self(out)
    }

    /// [`VirtualPath::resolve`] against the root.
    pub fn new(raw: impl AsRef<[u8]>) -> Self {
        Self::resolve(&Self::root(), raw.as_ref())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0 == b"/"
    }

    /// The directory that holds it; the root is its own parent.
    pub fn parent(&self) -> VirtualPath {
        match self.0.iter().rposition(|b| *b == b'/') {
            None | Some(0) => Self::root(),
            Some(cut) => Self(self.0[..cut].to_vec()),
        }
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        let cut = self.0.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        &self.0[cut..]
    }

    /// `name` must be one plain component.
    pub fn join(&self, name: &[u8]) -> VirtualPath {
        Self::resolve(self, name)
    }

    /// The components from the root down; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty())
    }

    /// True for the path itself and everything below it.
    pub fn starts_with(&self, ancestor: &VirtualPath) -> bool {
        ancestor.is_root()
            || self.0 == ancestor.0
            || (self.0.starts_with(&ancestor.0) && self.0.get(ancestor.0.len()) == Some(&b'/'))
    }

    /// What is left below `ancestor` without a leading slash; `None` if it is not below.
    pub fn strip_prefix(&self, ancestor: &VirtualPath) -> Option<&[u8]> {
        if !self.starts_with(ancestor) {
            return None;
        }
        let cut = if ancestor.is_root() { 0 } else { ancestor.0.len() };
        let rest = &self.0[cut..];
        Some(rest.strip_prefix(b"/").unwrap_or(rest))
    }

    /// For logs, JSON and hooks: invalid UTF-8 is replaced.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl fmt::Display for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualPath({self})")
    }
}

/// A path relative to a storage's root: components joined by `/`, none of them
/// empty, `.` or `..`; empty for the root itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StoragePath(Vec<u8>);

impl StoragePath {
    /// The storage's root.
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// Normalises like [`VirtualPath::resolve`]; the result cannot climb above the root.
    pub fn new(raw: impl AsRef<[u8]>) -> Self {
        let path = VirtualPath::new(raw);
        Self(path.0[1..].to_vec())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub fn parent(&self) -> StoragePath {
        let cut = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Self(self.0[..cut].to_vec())
    }

    pub fn file_name(&self) -> &[u8] {
        let cut = self.0.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        &self.0[cut..]
    }

    /// `name` must be one plain component.
    pub fn join(&self, name: &[u8]) -> StoragePath {
        let mut out = self.0.clone();
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(name);
        Self::new(out)
    }

    /// A path that is relative to this one.
    pub fn below(&self, relative: &StoragePath) -> StoragePath {
        let joined = [&self.0[..], &relative.0[..]];
        Self(joined.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/'))
    }

    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty())
    }

    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl fmt::Debug for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoragePath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolving_never_climbs_above_the_root() {
        let table: &[(&str, &str, &str)] = &[
            ("/", "", "/"),
            ("/", ".", "/"),
            ("/", "..", "/"),
            ("/", "../../etc/passwd", "/etc/passwd"),
            ("/home", "a", "/home/a"),
            ("/home", "", "/home"),
            ("/home", "..", "/"),
            ("/home", "/x//y/./z/", "/x/y/z"),
            ("/home", "/x/../../y", "/y"),
            ("/a/b", "../c", "/a/c"),
            ("/", "...", "/..."),
            ("/", "a\\..\\b", "/a\\..\\b"),
        ];
        for (base, raw, want) in table {
            let base = VirtualPath::new(base);
            assert_eq!(
                VirtualPath::resolve(&base, raw.as_bytes()).to_string(),
                *want,
                "resolve({base}, {raw})"
            );
        }
    }

    #[test]
    fn prefixes_end_at_component_borders() {
        let dir = VirtualPath::new("/data");
        assert!(VirtualPath::new("/data/x").starts_with(&dir));
        assert!(VirtualPath::new("/data").starts_with(&dir));
        assert!(!VirtualPath::new("/database").starts_with(&dir));
        assert_eq!(VirtualPath::new("/data/x/y").strip_prefix(&dir), Some(&b"x/y"[..]));
        assert_eq!(VirtualPath::new("/data").strip_prefix(&dir), Some(&b""[..]));
        assert_eq!(VirtualPath::new("/other").strip_prefix(&dir), None);
        assert_eq!(VirtualPath::new("/x").strip_prefix(&VirtualPath::root()), Some(&b"x"[..]));
    }

    #[test]
    fn names_need_not_be_utf8() {
        let path = VirtualPath::new(b"/caf\xe9/x");
        assert_eq!(path.parent().file_name(), b"caf\xe9");
        assert_eq!(StoragePath::new(path.as_bytes()).as_bytes(), b"caf\xe9/x");
    }

    #[test]
    fn storage_paths_are_relative_and_stay_below_the_root() {
        assert_eq!(StoragePath::new("/a/../../b").as_bytes(), b"b");
        assert_eq!(StoragePath::new("/").as_bytes(), b"");
        assert_eq!(StoragePath::root().join(b"a").join(b"b").as_bytes(), b"a/b");
        assert_eq!(StoragePath::new("a/b").parent().as_bytes(), b"a");
        for (top, relative, want) in
            [("", "", ""), ("a", "", "a"), ("", "a", "a"), ("a/b", "c/d", "a/b/c/d")]
        {
            let below = StoragePath::new(top).below(&StoragePath::new(relative));
            assert_eq!(below.as_bytes(), want.as_bytes());
        }
        assert!(StoragePath::new("a").parent().is_root());
    }
}
