//! Which of rsync's options a client may send, and what is asked of their values.
//!
//! What is on no list is refused by name, also what rsync will have tomorrow.

/// Options with nothing behind them.
const FLAGS: &[&str] = &[
    "--append",
    "--append-verify",
    "--backup",
    "--checksum",
    "--compress",
    "--delay-updates",
    "--delete",
    "--delete-after",
    "--delete-before",
    "--delete-delay",
    "--delete-during",
    "--delete-excluded",
    "--delete-missing-args",
    "--devices",
    "--dirs",
    "--existing",
    "--force",
    "--from0",
    "--fsync",
    "--fuzzy",
    "--group",
    "--hard-links",
    "--ignore-errors",
    "--ignore-existing",
    "--ignore-missing-args",
    "--ignore-non-existing",
    "--ignore-times",
    "--inc-recursive",
    "--inplace",
    "--links",
    "--list-only",
    "--mkpath",
    "--msgs2stderr",
    "--munge-links",
    "--new-compress",
    "--no-W",
    "--no-devices",
    "--no-dirs",
    "--no-g",
    "--no-group",
    "--no-i-r",
    "--no-implied-dirs",
    "--no-inc-recursive",
    "--no-links",
    "--no-msgs2stderr",
    "--no-o",
    "--no-owner",
    "--no-perms",
    "--no-r",
    "--no-relative",
    "--no-specials",
    "--no-super",
    "--no-times",
    "--no-whole-file",
    "--numeric-ids",
    "--old-compress",
    "--omit-dir-times",
    "--omit-link-times",
    "--one-file-system",
    "--open-noatime",
    "--owner",
    "--partial",
    "--perms",
    "--preallocate",
    "--prune-empty-dirs",
    "--recursive",
    "--relative",
    "--remove-sent-files",
    "--remove-source-files",
    "--safe-links",
    "--size-only",
    "--sparse",
    "--specials",
    "--stats",
    "--times",
    "--update",
    "--use-qsort",
    "--whole-file",
];

/// Options with a value.
const VALUED: &[(&str, Value)] = &[
    ("--backup-dir", Value::Backups),
    ("--block-size", Value::Number),
    ("--bwlimit", Value::Number),
    ("--cc", Value::Word),
    ("--checksum-choice", Value::Word),
    ("--checksum-seed", Value::Number),
    ("--compare-dest", Value::Basis),
    ("--compress-choice", Value::Word),
    ("--compress-level", Value::Number),
    ("--copy-dest", Value::Basis),
    ("--files-from", Value::Stream),
    ("--groupmap", Value::Word),
    ("--iconv", Value::Word),
    ("--info", Value::Messages),
    ("--link-dest", Value::Basis),
    ("--log-format", Value::Word),
    ("--max-alloc", Value::Number),
    ("--max-delete", Value::Number),
    ("--max-size", Value::Number),
    ("--min-size", Value::Number),
    ("--modify-window", Value::Number),
    ("--out-format", Value::Word),
    ("--partial-dir", Value::InnerDirectory),
    ("--protocol", Value::Number),
    ("--skip-compress", Value::Suffixes),
    ("--stop-after", Value::Number),
    ("--suffix", Value::Suffix),
    ("--time-limit", Value::Number),
    ("--timeout", Value::Number),
    ("--usermap", Value::Word),
    ("--zc", Value::Word),
    ("--zl", Value::Number),
];

/// Letters of combined options; `e`, with what the client is able to, ends them.
const LETTERS: &[u8] = b"8ACDEHIJNOPRSUWXbcdghilmnopqrtuvxyz";

/// What `--info` tells about; each may have a digit behind it.
const MESSAGES: &[&str] = &[
    "ALL", "BACKUP", "COPY", "DEL", "FLIST", "MISC", "MOUNT", "NAME", "NONE", "NONREG", "PROGRESS",
    "REMOVE", "SKIP", "STATS", "SYMSAFE",
];

/// What is refused for a reason worth telling; everything else that is not on a list is
/// refused because nobody has looked at it.
const REFUSED: &[(&str, &str)] = &[
    ("--rsh", "it runs a program"),
    ("--rsync-path", "it runs a program"),
    ("--daemon", "it starts a server"),
    ("--config", "it reads a file of the machine"),
    ("--dparam", "it configures a server"),
    ("--address", "it is for daemons"),
    ("--sockopts", "it is for daemons"),
    ("--early-input", "it reads a file of the machine"),
    ("--password-file", "it reads a file of the machine"),
    ("--exclude-from", "it reads a file of the machine"),
    ("--include-from", "it reads a file of the machine"),
    ("--filter", "it may read files of the machine"),
    ("--log-file", "it writes elsewhere"),
    ("--log-file-format", "it is for log files"),
    ("--temp-dir", "it writes elsewhere"),
    ("--write-batch", "it writes elsewhere"),
    ("--only-write-batch", "it writes elsewhere"),
    ("--read-batch", "it reads elsewhere"),
    ("--copy-links", "it follows links"),
    ("--copy-unsafe-links", "it follows links"),
    ("--copy-dirlinks", "it follows links"),
    ("--keep-dirlinks", "it follows links"),
    ("--insecure-links", "it follows links"),
    ("--confine-root", "the server decides that"),
    ("--no-munge-links", "the server decides that"),
    ("--no-safe-links", "the server decides that"),
    ("--copy-devices", "it reads devices"),
    ("--write-devices", "it writes to devices"),
    ("--super", "it acts as the superuser"),
    ("--fake-super", "it hides attributes from the server"),
    ("--debug", "it tells about the machine"),
    ("-L", "it follows links"),
    ("-k", "it follows links"),
    ("-K", "it follows links"),
    ("-M", "it is for the client"),
    ("-T", "it writes elsewhere"),
    ("-f", "it may read files of the machine"),
    ("-F", "it may read files of the machine"),
];

/// What an option says behind `=`, or in the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Number,
    /// It names no file.
    Word,
    /// Part of a name.
    Suffix,
    /// Several, with slashes in between.
    Suffixes,
    Messages,
    /// A directory in each directory that is written to.
    InnerDirectory,
    /// A directory, but of the client when we send.
    Backups,
    /// A directory of the account, for the receiver to compare with.
    Basis,
    /// Where the names of what to send come from.
    Stream,
}

/// An option that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allowed {
    /// As it is; what has a value as one word.
    Option(Vec<u8>),
    /// A directory to be found: the name of the option, and what the client calls it.
    Basis(&'static str, Vec<u8>),
    /// `--backup-dir` with its value.
    Backups(Vec<u8>),
    /// `--files-from=-`.
    NamesFromStream,
    /// `--copy-unsafe-links`, for whoever sends.
    FollowingLinks,
}

/// Looks at an option that begins with two dashes. `next` is asked for the value where it
/// is a word of its own.
///
/// # Errors
/// Why it is refused.
pub(super) fn long<'w>(
    word: &[u8],
    next: impl FnOnce() -> Option<&'w Vec<u8>>,
) -> Result<Allowed, String> {
    let at = word.iter().position(|byte| *byte == b'=');
    let (name, value) = match at {
        Some(at) => (&word[..at], word.get(at + 1..)),
        None => (word, None),
    };
    let Ok(name) = std::str::from_utf8(name) else { return Err(refused(word)) };
    if value.is_none() && FLAGS.contains(&name) {
        return Ok(Allowed::Option(word.to_vec()));
    }
    if word == b"--copy-unsafe-links" {
        return Ok(Allowed::FollowingLinks);
    }
    let Some((name, kind)) = VALUED.iter().find(|(known, _)| *known == name) else {
        return Err(refused(word));
    };
    let Some(value) = value.or_else(|| next().map(Vec::as_slice)) else {
        return Err(format!("option {name} has no value"));
    };
    kind.check(value).map_err(|why| format!("option {name} is not allowed: {why}"))?;
    Ok(match kind {
        Value::Basis => Allowed::Basis(name, value.to_vec()),
        Value::Backups => Allowed::Backups(value.to_vec()),
        Value::Stream => Allowed::NamesFromStream,
        _ => Allowed::Option([name.as_bytes(), b"=", value].concat()),
    })
}

impl Value {
    fn check(self, value: &[u8]) -> Result<(), &'static str> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let (is_fine, why) = match self {
            Self::Number => (is_number(text), "its value is no number"),
            Self::Word => (is_word(text), "its value may be a path"),
            Self::Suffix => (
                !text.is_empty() && is_word(text) && !text.contains(".."),
                "its value is no end of a name",
            ),
            Self::Suffixes => {
                (is_word(&text.replace('/', " ")), "its value is no list of ends of names")
            }
            Self::Messages => (is_messages(text), "the server does not know its value"),
            Self::InnerDirectory => (is_inside(value), "it leads out of the destination"),
            // Which of them it is, nobody knows here.
            Self::Backups | Self::Basis => (!value.is_empty(), "its value is empty"),
            Self::Stream => (value == b"-", "names can come only from the client"),
        };
        if is_fine { Ok(()) } else { Err(why) }
    }
}

/// Looks at `vlogDtprze.iLsfxCIvu`, `B700`, and `@-1`, the precision of times.
///
/// # Errors
/// Why it is refused.
pub(super) fn letters(word: &[u8], letters: &[u8]) -> Result<(), String> {
    let is_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match letters {
        [b'B', digits @ ..] | [b'@', b'-', digits @ ..] | [b'@', digits @ ..]
            if is_digits(digits) =>
        {
            return Ok(());
        }
        [] => return Err(refused(word)),
        _ => {}
    }
    for (at, letter) in letters.iter().enumerate() {
        if *letter == b'e' {
            let able = letters.get(at + 1..).unwrap_or_default();
            return if is_capabilities(able) { Ok(()) } else { Err(refused(word)) };
        }
        if !LETTERS.contains(letter) {
            return Err(refused(&[b'-', *letter]));
        }
    }
    Ok(())
}

/// `.iLsfxCIvu`, or `31.14i…` of a version in development: what a client is able to. Any
/// other value of `-e` would be a program.
fn is_capabilities(able: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = able.get(digits(able)..).unwrap_or_default();
    let Some(rest) = rest.strip_prefix(b".") else { return false };
    let rest = rest.get(digits(rest)..).unwrap_or_default();
    rest.iter().all(u8::is_ascii_alphabetic)
}

/// With a unit, as `10M`, `1.5GiB`, `+1`, or a time in parts.
fn is_number(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-')
        && value.len() <= 24
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
}

/// No path: nothing with a slash.
fn is_word(value: &str) -> bool {
    value.len() <= 256 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'/')
}

/// `STATS2,NAME0`, in any case.
fn is_messages(value: &str) -> bool {
    value.split(',').all(|word| {
        let name = word.strip_suffix(|digit: char| digit.is_ascii_digit()).unwrap_or(word);
        MESSAGES.iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// A path that stays below where it begins, as far as its text goes.
pub(super) fn is_inside(path: &[u8]) -> bool {
    let mut parts = path.split(|byte| *byte == b'/');
    !path.starts_with(b"/")
        && parts.clone().any(|part| !matches!(part, b"" | b"."))
        && parts.all(|part| part != b"..")
}

pub(super) fn refused(word: &[u8]) -> String {
    let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
    let shown = String::from_utf8_lossy(name);
    let known = REFUSED.iter().find(|(option, _)| option.as_bytes() == name);
    let reason = known.map_or("this server does not know it to be safe", |(_, reason)| reason);
    format!("option {} is not allowed: {reason}", shown.escape_debug())
}

/// Whether an option is on a list, for a test of everything that gets past them.
#[cfg(test)]
pub(super) fn is_listed(option: &[u8]) -> bool {
    let text = std::str::from_utf8(option).unwrap();
    let name = text.split('=').next().unwrap();
    !text.starts_with("--")
        || FLAGS.contains(&text)
        || VALUED.iter().any(|(known, _)| *known == name && text.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_refused_option_is_on_a_list() {
        for (option, _) in REFUSED {
            assert!(!FLAGS.contains(option), "{option}");
            assert!(VALUED.iter().all(|(valued, _)| valued != option), "{option}");
            if let [b'-', letter] = option.as_bytes() {
                assert!(!LETTERS.contains(letter), "{option}");
            }
        }
        assert!(!LETTERS.contains(&b'e') && !LETTERS.contains(&b'B'));
    }

    #[test]
    fn a_directory_is_inside_or_not() {
        for inside in [".p", "a/b", "./a", "a..b", "..a", "a/./b/"] {
            assert!(is_inside(inside.as_bytes()), "{inside}");
        }
        for outside in ["", ".", "/", "/a", "..", "a/..", "a/../b", "../a", "./", "//"] {
            assert!(!is_inside(outside.as_bytes()), "{outside}");
        }
    }
}
