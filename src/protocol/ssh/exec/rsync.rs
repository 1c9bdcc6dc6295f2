//! rsync as a server: which of its options may be used.
//!
//! A client's rsync starts `rsync --server [--sender] OPTIONS . PATH…`. The real program
//! reads options wherever they stand, so every word that begins with a dash must be on a
//! list here; what the list lacks is refused by name, also what rsync will have tomorrow.

/// Options with nothing behind them.
const FLAGS: &[&str] = &[
    "--append",
    "--append-verify",
    "--backup",
    "--checksum",
    "--compress",
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
    "--fsync",
    "--fuzzy",
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
    "--msgs2stderr",
    "--munge-links",
    "--new-compress",
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
    "--open-noatime",
    "--partial",
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

/// Options with a number behind `=`.
const NUMBERS: &[&str] = &[
    "--block-size",
    "--bwlimit",
    "--checksum-seed",
    "--compress-level",
    "--max-alloc",
    "--max-delete",
    "--max-size",
    "--min-size",
    "--modify-window",
    "--protocol",
    "--stop-after",
    "--time-limit",
    "--timeout",
    "--zl",
];

/// Options with words behind `=` that name no file.
const WORDS: &[&str] = &[
    "--checksum-choice",
    "--compress-choice",
    "--groupmap",
    "--iconv",
    "--log-format",
    "--out-format",
    "--skip-compress",
    "--usermap",
    "--zc",
    "--cc",
];

/// Letters of combined options; `e`, with what the client is able to, ends them.
const LETTERS: &[u8] = b"8ACDEHIJNOPRSUWXbcdghilmnopqrtuvxyz";

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
    ("--files-from", "its names are not checked for links"),
    ("--exclude-from", "it reads a file of the machine"),
    ("--include-from", "it reads a file of the machine"),
    ("--filter", "it may read files of the machine"),
    ("--log-file", "it writes elsewhere"),
    ("--log-file-format", "it is for log files"),
    ("--temp-dir", "it writes elsewhere"),
    ("--partial-dir", "it writes elsewhere"),
    ("--delay-updates", "it needs --partial-dir"),
    ("--backup-dir", "it writes elsewhere"),
    ("--compare-dest", "it reads elsewhere"),
    ("--copy-dest", "it reads elsewhere"),
    ("--link-dest", "it reads elsewhere"),
    ("--write-batch", "it writes elsewhere"),
    ("--only-write-batch", "it writes elsewhere"),
    ("--read-batch", "it reads elsewhere"),
    ("--copy-links", "it follows links"),
    ("--copy-unsafe-links", "it follows links"),
    ("--copy-dirlinks", "it follows links"),
    ("--keep-dirlinks", "it follows links"),
    ("--copy-devices", "it reads devices"),
    ("--write-devices", "it writes to devices"),
    ("--super", "it acts as the superuser"),
    ("--fake-super", "it hides attributes from the server"),
    ("--secluded-args", "it hides the other arguments: use --no-secluded-args"),
    ("--protect-args", "it hides the other arguments: use --no-protect-args"),
    ("--debug", "it tells about the machine"),
    ("--info", "it is for the client"),
    ("-L", "it follows links"),
    ("-k", "it follows links"),
    ("-K", "it follows links"),
    ("-s", "it hides the other arguments: use --no-secluded-args"),
    ("-M", "it is for the client"),
    ("-T", "it writes elsewhere"),
    ("-f", "it may read files of the machine"),
    ("-F", "it may read files of the machine"),
];

/// An invocation that may run once its paths are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `--sender`: we send, and nothing changes here unless it is removed once sent.
    pub is_sender: bool,
    pub removes_sources: bool,
    /// From `--server` up to the `.` before the paths.
    options: Vec<Vec<u8>>,
    /// As the client wrote them.
    pub paths: Vec<Vec<u8>>,
}

impl Invocation {
    /// # Errors
    /// Which word is refused, and why.
    pub fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let mut is_sender = false;
        let mut removes_sources = false;
        let mut options: Vec<Vec<u8>> = Vec::new();
        let mut others: Vec<Vec<u8>> = Vec::new();
        if words.first().map(Vec::as_slice) != Some(b"--server") {
            return Err("only the server side of rsync can be started".to_owned());
        }
        for word in words.iter().skip(1) {
            match word.as_slice() {
                b"--server" => return Err(refused(word)),
                // Where it stands decides nothing for rsync, but one client writes it second.
                b"--sender" => is_sender = true,
                [b'-', b'-', ..] => {
                    allow_long(word)?;
                    removes_sources |= word.starts_with(b"--remove-s");
                    options.push(word.clone());
                }
                [b'-', letters @ ..] => {
                    allow_letters(word, letters)?;
                    options.push(word.clone());
                }
                _ => others.push(word.clone()),
            }
        }
        let mut others = others.into_iter();
        if others.next().as_deref() != Some(b".") {
            return Err("the arguments are not those of an rsync client".to_owned());
        }
        let paths: Vec<Vec<u8>> = others.collect();
        match (paths.len(), is_sender) {
            (0, _) => Err("no path was given; use --no-secluded-args".to_owned()),
            (1, _) | (_, true) => Ok(Self { is_sender, removes_sources, options, paths }),
            (_, false) => Err("exactly one path can be written to".to_owned()),
        }
    }

    /// The words after `rsync`, with `paths` in the place of the client's, each of which
    /// must begin with `./`. Links are kept from being a way out: who may make them makes
    /// those only that stay within what is copied, everybody else unusable ones.
    pub fn words(&self, may_create_links: bool, paths: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let has = |option: &[u8]| self.options.iter().any(|given| given == option);
        let mut words = vec![b"--server".to_vec()];
        if self.is_sender {
            words.push(b"--sender".to_vec());
        }
        words.extend(self.options.iter().cloned());
        let about_links: &[u8] = if may_create_links { b"--safe-links" } else { b"--munge-links" };
        if !has(about_links) {
            words.push(about_links.to_vec());
        }
        if !self.is_sender {
            // Devices and foreign owners are for the superuser, whoever we run as; and no
            // client makes a program that runs as another.
            words.extend([b"--no-super".to_vec(), b"--chmod=ug-s".to_vec()]);
        }
        words.push(b".".to_vec());
        words.extend(paths);
        words
    }
}

fn allow_long(word: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(word) else { return Err(refused(word)) };
    let is_allowed = match text.split_once('=') {
        None => FLAGS.contains(&text),
        Some((name, value)) if NUMBERS.contains(&name) => is_number(value),
        Some((name, value)) if WORDS.contains(&name) => is_word(value),
        // Part of a name: it must not lead elsewhere.
        Some(("--suffix", value)) => !value.is_empty() && is_word(value) && !value.contains(".."),
        Some(_) => false,
    };
    if is_allowed { Ok(()) } else { Err(refused(word)) }
}

/// `vlogDtprze.iLsfxCIvu`, or `B700`.
fn allow_letters(word: &[u8], letters: &[u8]) -> Result<(), String> {
    if let [b'B', digits @ ..] = letters
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
    {
        return Ok(());
    }
    // What rsync calls `-@`, the precision of times.
    if letters == b"@-1" {
        return Ok(());
    }
    if letters.is_empty() {
        return Err(refused(word));
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

fn refused(word: &[u8]) -> String {
    let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
    let shown = String::from_utf8_lossy(name);
    let known = REFUSED.iter().find(|(option, _)| option.as_bytes() == name);
    let reason = known.map_or("this server does not know it to be safe", |(_, reason)| reason);
    format!("option {} is not allowed: {reason}", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::command_line::split;
    use super::*;

    fn parse(line: &str) -> Result<Invocation, String> {
        let words = split(line.as_bytes()).unwrap();
        assert_eq!(words[0], b"rsync");
        Invocation::parse(&words[1..])
    }

    fn shown(words: &[Vec<u8>]) -> String {
        String::from_utf8(words.join(&b' ')).unwrap()
    }

    /// What rsync 3.2 to 3.5 send for options that people use.
    #[test]
    fn what_clients_send_is_allowed() {
        let table = [
            "rsync --server -logDtpre.iLsfxCIvu . dst",
            "rsync --server --sender -logDtpre.iLsfxCIvu . src",
            "rsync --server --sender -logDtpre.iLsfxCIvu . a b 'c d'",
            "rsync --server -vlogDtprze.iLsfxCIvu . dst",
            "rsync --server -lHogDtpAXrSe.iLsfxCIvu --delete . dst",
            "rsync --server -lDtpre.iLsfxCIvu --append . dst",
            "rsync --server -logDtpre.iLsfxCIvu --log-format=X --stats --partial . dst",
            "rsync --server -logDtpre.iLsfxCIvu --log-format=%i --delete-after . dst",
            "rsync --server -logDtpre.iLsfxCIvu --usermap=\\*:a --groupmap=\\*:b . dst",
            "rsync --server -blogDtpre.iLsfxCIvu --suffix=.old . dst",
            "rsync --server -logDtpre.iLsfxCIvu --timeout=10 --bwlimit=100 . dst",
            "rsync --server -logDtpre.iLsfxCIvu --new-compress . dst",
            "rsync --server -logDtprce.iLsfxCIvu --checksum-choice=md5 --compress-choice=zstd . dst",
            "rsync --server -ulogDtpre.iLsfxCIvu --ignore-existing --existing . dst",
            "rsync --server -logDtpre.iLsfxCIvu --min-size=1 --max-size=10 --modify-window=1 . dst",
            "rsync --server -vvlWogDtprxSe.iLsfxCIvu --numeric-ids --fsync . dst",
            "rsync --server -logDtpre.iLsfxCIvu --iconv=latin1 . dst",
            "rsync --server --sender -logDtpre.iLsfxCIvu --remove-source-files . src",
            "rsync --server -logDtpre.iLsfxCIvu --max-delete=5 --delete-excluded --force . dst",
            "rsync --server -lyogDtpre.iLsfxCIvu . dst",
            "rsync --server -logDtprRe.iLsfxCIvu --no-implied-dirs . dst",
            "rsync --server -nlogDtpre31.14iLsfxCIvu -B700 --inplace . dst",
            "rsync --server -ltr . dst",
        ];
        for line in table {
            parse(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        }
    }

    #[test]
    fn the_injection_table() {
        // (command line, what the client is told about)
        let table = [
            ("rsync a host:b", "server side"),
            ("rsync --daemon", "server side"),
            ("rsync --server --daemon .", "--daemon"),
            ("rsync --server --server . a", "--server"),
            ("rsync --server -e sh . a", "-e"),
            ("rsync --server -e 'sh -c id' . a", "-e"),
            ("rsync --server -esh . a", "-esh"),
            ("rsync --server -ltre'sh -c id' . a", "-ltre"),
            ("rsync --server -ltre./x . a", "-ltre./x"),
            ("rsync --server -ltre.iL/x . a", "-ltre.iL/x"),
            ("rsync --server -e.LsfxC=x . a", "-e.LsfxC"),
            ("rsync --server --rsh=sh . a", "--rsh"),
            ("rsync --server --rsh sh . a", "--rsh"),
            ("rsync --server --rsync-path=sh . a", "--rsync-path"),
            ("rsync --server -ltr --config=/etc/passwd . a", "--config"),
            ("rsync --server -ltr --log-file=/root/.ssh/authorized_keys . a", "--log-file"),
            ("rsync --server -ltr --temp-dir=/tmp . a", "--temp-dir"),
            ("rsync --server -ltrT /tmp . a", "-T"),
            ("rsync --server -ltr --temp-dir /tmp . a", "--temp-dir"),
            ("rsync --server -ltr --backup-dir=../x . a", "--backup-dir"),
            ("rsync --server -ltr --partial-dir=/x . a", "--partial-dir"),
            ("rsync --server -ltr --link-dest=/etc . a", "--link-dest"),
            ("rsync --server -ltr --copy-dest=/etc . a", "--copy-dest"),
            ("rsync --server -ltr --compare-dest=/etc . a", "--compare-dest"),
            ("rsync --server --sender -ltr --files-from=/etc/passwd . a", "--files-from"),
            ("rsync --server --sender -ltr --files-from=- --from0 . a", "--files-from"),
            ("rsync --server --sender -ltr --exclude-from=/etc/passwd . a", "--exclude-from"),
            ("rsync --server -ltr --write-batch=/x . a", "--write-batch"),
            ("rsync --server -ltr --only-write-batch=/x . a", "--only-write-batch"),
            ("rsync --server -ltr --read-batch=/x . a", "--read-batch"),
            ("rsync --server -ltr --password-file=/etc/shadow . a", "--password-file"),
            ("rsync --server -ltr --sockopts=x . a", "--sockopts"),
            ("rsync --server -ltr --early-input=/etc/shadow . a", "--early-input"),
            ("rsync --server --sender -Ltr . a", "-L"),
            ("rsync --server --sender -ktr . a", "-k"),
            ("rsync --server -Ktr . a", "-K"),
            ("rsync --server --sender -ltr --copy-unsafe-links . a", "--copy-unsafe-links"),
            ("rsync --server --sender -ltr --copy-links . a", "--copy-links"),
            ("rsync --server --sender -ltr --copy-devices . a", "--copy-devices"),
            ("rsync --server -ltr --write-devices . a", "--write-devices"),
            ("rsync --server -ltr --super . a", "--super"),
            ("rsync --server -ltr --fake-super . a", "--fake-super"),
            ("rsync --server -sltre.iLsfxCIvu", "-s"),
            ("rsync --server -ltr --secluded-args", "--secluded-args"),
            ("rsync --server -ltr --debug=all . a", "--debug"),
            ("rsync --server -ltr --suffix=/../x . a", "--suffix"),
            ("rsync --server -ltr --iconv=../../x . a", "--iconv"),
            ("rsync --server -ltr --max-size . a", "--max-size"),
            ("rsync --server -ltr --timeout=x . a", "--timeout"),
            ("rsync --server -ltr -- . a", "--"),
            ("rsync --server - . a", "-"),
            // Options count wherever they stand.
            ("rsync --server -ltr . a --rsh=sh", "--rsh"),
            ("rsync --server -ltr . --log-file=x", "--log-file"),
            ("rsync --server -ltr . a -e sh", "-e"),
            ("rsync --server -ltr a", "not those of an rsync client"),
            ("rsync --server -ltr . a b", "exactly one"),
            ("rsync --server -ltr .", "no path"),
            // Of tomorrow.
            ("rsync --server -ltr --new-thing . a", "--new-thing"),
            ("rsync --server -ltrZ . a", "-Z"),
        ];
        for (line, about) in table {
            let why = parse(line).expect_err(line);
            assert!(why.contains(about), "{line}: {why}");
        }
    }

    #[test]
    fn no_refused_option_is_on_a_list() {
        for (option, _) in REFUSED {
            let lists = [FLAGS, NUMBERS, WORDS].concat();
            assert!(!lists.contains(option), "{option}");
            if let [b'-', letter] = option.as_bytes() {
                assert!(!LETTERS.contains(letter), "{option}");
            }
        }
        assert!(!LETTERS.contains(&b'e') && !LETTERS.contains(&b'B'));
    }

    #[test]
    fn links_are_kept_inside_and_the_paths_are_ours() {
        let put = parse("rsync --server -ltre.iLsfxCIvu --delete . ../../x").unwrap();
        let paths = || vec![b"./x".to_vec()];
        let server = "--server -ltre.iLsfxCIvu --delete";
        assert_eq!(
            shown(&put.words(true, paths())),
            format!("{server} --safe-links --no-super --chmod=ug-s . ./x")
        );
        assert_eq!(
            shown(&put.words(false, paths())),
            format!("{server} --munge-links --no-super --chmod=ug-s . ./x")
        );
        let get = parse("rsync --server -ltr --safe-links --sender . a b").unwrap();
        assert_eq!(shown(&get.words(true, paths())), "--server --sender -ltr --safe-links . ./x");
        assert_eq!(
            shown(&get.words(false, paths())),
            "--server --sender -ltr --safe-links --munge-links . ./x"
        );
    }

    proptest! {
        #[test]
        fn no_word_gets_past_the_lists(words in proptest::collection::vec("[-=./a-zA-Z ]{0,12}", 0..5)) {
            let mut all = vec![b"--server".to_vec()];
            all.extend(words.iter().map(|word| word.as_bytes().to_vec()));
            if let Ok(invocation) = Invocation::parse(&all) {
                for option in &invocation.options {
                    let text = std::str::from_utf8(option).unwrap();
                    let is_known = FLAGS.contains(&text) || text.contains('=') || !text.starts_with("--");
                    prop_assert!(is_known, "{}", text);
                }
                prop_assert!(invocation.paths.iter().all(|path| !path.starts_with(b"-")));
            }
        }
    }
}
