//! What a client of rsync asks to be sent, as rsync itself reads such an argument.
//!
//! How it is written decides what the client gets: `dir` is a directory with its name,
//! `dir/`, `dir/.` and `dir/sub/..` are what is in it, `link` is a link and `link/` what it
//! leads to. With `--relative` the whole path is the name, or what stands behind `/./`. The
//! client refuses a name that it has not asked for, so none of this may get lost when the
//! path becomes one below the account's root.

use crate::paths::VirtualPath;

/// One argument of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: VirtualPath,
    /// What a link at its end leads to is asked for, not the link.
    pub is_followed: bool,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// The object under its last name.
    Named,
    /// What is in the directory; with the end that says so.
    Contents(&'static str),
    /// The object under a path that begins in a directory.
    Relative { base: VirtualPath, name: Vec<u8> },
}

impl Source {
    /// An argument without `--relative`; `start` is where relative paths begin.
    pub fn named(start: &VirtualPath, raw: &[u8]) -> Self {
        let path = VirtualPath::resolve(start, raw);
        let last = raw.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let shape = match last {
            b"" => Shape::Contents("/"),
            b"." | b".." => Shape::Contents("/."),
            _ => Shape::Named,
        };
        Self { path, is_followed: shape != Shape::Named, shape }
    }

    /// An argument with `--relative`.
    ///
    /// # Errors
    /// `..` in what becomes the name, which rsync refuses as well.
    pub fn relative(start: &VirtualPath, raw: &[u8]) -> Result<Self, String> {
        let mark = raw.windows(3).position(|part| part == b"/./");
        let (base, name) = match mark {
            Some(0) => (VirtualPath::root(), &raw[3..]),
            Some(at) => (VirtualPath::resolve(start, &raw[..at]), &raw[at + 3..]),
            None if raw.starts_with(b"/") => (VirtualPath::root(), raw),
            None => (start.clone(), raw),
        };
        let is_name = |part: &&[u8]| !matches!(*part, b"" | b".");
        let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(is_name).collect();
        if parts.contains(&&b".."[..]) {
            let shown = String::from_utf8_lossy(raw);
            let why = "with --relative, \"..\" may stand only before \"/./\"";
            return Err(format!("{}: {why}", shown.escape_debug()));
        }
        let joined = parts.join(&b'/');
        let path = VirtualPath::resolve(&base, &joined);
        // `./` before a name asks for the directory itself as well.
        let begin: &[u8] = if name.starts_with(b"./") { b"./" } else { b"" };
        let end: &[u8] = match name {
            [.., b'/'] => b"/",
            [.., b'/', b'.'] => b"/.",
            _ => b"",
        };
        let is_followed = parts.is_empty() || !end.is_empty();
        let name =
            if parts.is_empty() { b".".to_vec() } else { [begin, &joined[..], end].concat() };
        Ok(Self { path, is_followed, shape: Shape::Relative { base, name } })
    }

    /// The directory in which the names of a list begin.
    pub fn directory(start: &VirtualPath, raw: &[u8]) -> Self {
        let path = VirtualPath::resolve(start, raw);
        Self { path, is_followed: true, shape: Shape::Contents("/") }
    }

    /// The directory that rsync enters first, where that decides about the name.
    pub fn base(&self) -> Option<&VirtualPath> {
        match &self.shape {
            Shape::Relative { base, .. } => Some(base),
            Shape::Named | Shape::Contents(_) => None,
        }
    }

    /// The argument for a program that starts in the account's root. `real` is below that:
    /// where [`Source::base`] is, or else [`Source::path`].
    pub fn word(&self, real: &[u8]) -> Vec<u8> {
        // With `./` no name is taken for an option.
        let place: &[u8] = if real.is_empty() { b"." } else { b"./" };
        let end = match &self.shape {
            Shape::Named => Vec::new(),
            Shape::Contents(end) => end.as_bytes().to_vec(),
            Shape::Relative { name, .. } => [b"/./", &name[..]].concat(),
        };
        [place, real, &end].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(source: &Source) -> String {
        // As if there were no links.
        let real = source.base().unwrap_or(&source.path);
        String::from_utf8(source.word(&real.as_bytes()[1..])).unwrap()
    }

    #[test]
    fn an_argument_keeps_its_meaning() {
        // (start, argument, path, argument from the root, is followed)
        let table = [
            ("/", "rt", "/rt", "./rt", false),
            ("/", "rt/", "/rt", "./rt/", true),
            ("/", "rt//", "/rt", "./rt/", true),
            ("/", "rt/.", "/rt", "./rt/.", true),
            ("/", "rt/sub/..", "/rt", "./rt/.", true),
            ("/", "rt/../a/b", "/a/b", "./a/b", false),
            ("/", "", "/", "./", true),
            ("/", ".", "/", "./.", true),
            ("/", "..", "/", "./.", true),
            ("/", "../../etc", "/etc", "./etc", false),
            ("/", "-x", "/-x", "./-x", false),
            ("/", "/a", "/a", "./a", false),
            ("/s/t", "", "/s/t", "./s/t/", true),
            ("/s/t", ".", "/s/t", "./s/t/.", true),
            ("/s/t", "a", "/s/t/a", "./s/t/a", false),
            ("/s/t", "../a", "/s/a", "./s/a", false),
            ("/s/t", "/a/", "/a", "./a/", true),
        ];
        for (start, raw, path, want, is_followed) in table {
            let source = Source::named(&VirtualPath::new(start), raw.as_bytes());
            assert_eq!(source.path, VirtualPath::new(path), "{start} {raw}");
            assert_eq!(word(&source), want, "{start} {raw}");
            assert_eq!(source.is_followed, is_followed, "{start} {raw}");
        }
    }

    #[test]
    fn a_relative_argument_keeps_its_name() {
        let table = [
            ("/", "rt", "/rt", "././rt", false),
            ("/", "rt/", "/rt", "././rt/", true),
            ("/", "rt/.", "/rt", "././rt/.", true),
            ("/", "rt/sub", "/rt/sub", "././rt/sub", false),
            ("/", "./rt/sub", "/rt/sub", "./././rt/sub", false),
            ("/", "rt/./sub/a", "/rt/sub/a", "./rt/./sub/a", false),
            ("/", "rt/././sub", "/rt/sub", "./rt/././sub", false),
            ("/", "rt/a/.././sub", "/rt/sub", "./rt/./sub", false),
            ("/", "rt/./", "/rt", "./rt/./.", true),
            ("/", "a//b/./c//d", "/a/b/c/d", "./a/b/./c/d", false),
            ("/", "", "/", "././.", true),
            ("/", ".", "/", "././.", true),
            ("/", "./", "/", "././.", true),
            ("/", "/", "/", "././.", true),
            ("/", "/./a", "/a", "././a", false),
            ("/", "-x", "/-x", "././-x", false),
            ("/", "../../a/./b", "/a/b", "./a/./b", false),
            ("/s/t", "a", "/s/t/a", "./s/t/./a", false),
            ("/s/t", ".", "/s/t", "./s/t/./.", true),
            ("/s/t", ".././a", "/s/a", "./s/./a", false),
            ("/s/t", "/a/b", "/a/b", "././a/b", false),
            ("/s/t", "/a/./b", "/a/b", "./a/./b", false),
        ];
        for (start, raw, path, want, is_followed) in table {
            let source = Source::relative(&VirtualPath::new(start), raw.as_bytes()).unwrap();
            assert_eq!(source.path, VirtualPath::new(path), "{start} {raw}");
            assert_eq!(word(&source), want, "{start} {raw}");
            assert_eq!(source.is_followed, is_followed, "{start} {raw}");
        }
        for raw in ["..", "../a", "a/..", "a/../b", "a/./../b", "/.."] {
            assert!(Source::relative(&VirtualPath::root(), raw.as_bytes()).is_err(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn no_argument_climbs_or_becomes_an_option(raw in "[-./a]{0,12}", start in "(/[a-c]){0,2}") {
            let start = VirtualPath::new(start);
            let relative = Source::relative(&start, raw.as_bytes()).ok();
            for source in [Some(Source::named(&start, raw.as_bytes())), relative].into_iter().flatten() {
                let word = word(&source);
                prop_assert!(word.starts_with('.'), "{}", word);
                prop_assert!(word.split('/').all(|part| part != ".."), "{}", word);
                prop_assert_eq!(VirtualPath::new(&word), source.path);
            }
        }
    }
}
