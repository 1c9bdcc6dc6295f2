//! rsync as a server: what a client asks of it.
//!
//! A client's rsync starts `rsync --server [--sender] OPTIONS . PATH…`. The real program
//! reads options wherever they stand, so every word that begins with a dash must be on a
//! list of [`options`].

mod options;
mod serve;
mod source;

use self::options::Allowed;
pub(super) use self::serve::serve;
use self::source::Source;
use crate::paths::VirtualPath;

/// An invocation that may run once its paths are found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Invocation {
    /// `--sender`: we send, and nothing changes here unless it is removed once sent.
    is_sender: bool,
    removes_sources: bool,
    /// `--relative`: names are whole paths.
    is_relative: bool,
    /// It is rsync's to say what becomes of sources that are not there.
    allows_missing: bool,
    /// `--mkpath`: directories above the destination are made.
    makes_path: bool,
    /// `--files-from=-`: the client sends names while rsync runs.
    reads_names: bool,
    /// The option that may be used only where the kernel confines rsync, because that
    /// goes where the value says.
    needs_confinement: Option<&'static str>,
    /// The option that may be used only where rsync itself stays below a directory, because
    /// names that come later may go through links. The kernel keeps it from the content of
    /// what they lead to, not from its attributes.
    needs_own_care: Option<&'static str>,
    /// Directories to compare with: the name of the option, and what the client calls it.
    bases: Vec<(&'static str, Vec<u8>)>,
    /// Everything else between `--server` and the `.` before the paths.
    options: Vec<Vec<u8>>,
    /// As the client wrote them.
    paths: Vec<Vec<u8>>,
}

impl Invocation {
    /// # Errors
    /// Which word is refused, and why.
    fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let mut found = Self::default();
        let (mut backups, mut follows_links) = (None, false);
        let mut others: Vec<Vec<u8>> = Vec::new();
        let mut words = words.iter();
        if words.next().map(Vec::as_slice) != Some(b"--server") {
            return Err("only the server side of rsync can be started".to_owned());
        }
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"--server" => return Err(options::refused(word)),
                // Where it stands decides nothing for rsync, but one client writes it second.
                b"--sender" => found.is_sender = true,
                [b'-', b'-', ..] => match options::long(word, || words.next())? {
                    Allowed::Option(option) => found.take(option),
                    Allowed::Basis(option, value) => found.bases.push((option, value)),
                    Allowed::Backups(value) => backups = Some(value),
                    Allowed::NamesFromStream => found.reads_names = true,
                    Allowed::FollowingLinks => follows_links = true,
                },
                [b'-', letters @ ..] => {
                    options::letters(word, letters)?;
                    let able = letters.iter().position(|letter| *letter == b'e');
                    let letters = &letters[..able.unwrap_or(letters.len())];
                    found.is_relative |= letters.contains(&b'R');
                    found.options.push(word.clone());
                }
                _ => others.push(word.clone()),
            }
        }
        // A client that sends has followed its links itself, and says so all the same.
        if follows_links && found.is_sender {
            return Err(options::refused(b"--copy-unsafe-links"));
        }
        // When we send, it is the client that keeps what it replaces.
        if let Some(value) = backups.filter(|_| !found.is_sender) {
            if !options::is_inside(&value) {
                let why = "it leads out of the destination";
                return Err(format!("option --backup-dir is not allowed: {why}"));
            }
            found.take([b"--backup-dir=", &value[..]].concat());
        }
        if !found.bases.is_empty() {
            found.needs_confinement = found.bases.first().map(|(option, _)| *option);
        }
        if found.reads_names {
            found.needs_confinement = Some("--files-from");
            found.needs_own_care = Some("--files-from");
        } else if !found.is_sender && found.has("--no-implied-dirs") {
            found.needs_own_care = Some("--no-implied-dirs");
        }
        found.with_paths(others)
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option.as_bytes())
    }

    /// Notes what an option changes for the server.
    fn take(&mut self, option: Vec<u8>) {
        match option.as_slice() {
            b"--relative" => self.is_relative = true,
            b"--no-relative" => self.is_relative = false,
            b"--ignore-missing-args" | b"--delete-missing-args" => self.allows_missing = true,
            b"--mkpath" => self.makes_path = true,
            b"--remove-source-files" | b"--remove-sent-files" => self.removes_sources = true,
            option if option.starts_with(b"--partial-dir=") => {
                self.needs_confinement = Some("--partial-dir");
            }
            option if option.starts_with(b"--backup-dir=") => {
                self.needs_confinement = Some("--backup-dir");
            }
            _ => {}
        }
        self.options.push(option);
    }

    /// `others` are the words that are no options.
    fn with_paths(mut self, others: Vec<Vec<u8>>) -> Result<Self, String> {
        let mut others = others.into_iter();
        if others.next().as_deref() != Some(b".") {
            return Err("the arguments are not those of an rsync client".to_owned());
        }
        self.paths = others.collect();
        if self.reads_names && !self.is_sender {
            return Err("option --files-from is not allowed: it is for what is sent".to_owned());
        }
        match (self.paths.len(), self.is_sender && !self.reads_names) {
            (0, _) => Err("no path was given".to_owned()),
            (1, _) | (_, true) => Ok(self),
            (_, false) => Err("exactly one path can be given".to_owned()),
        }
    }

    /// What the client wants to be sent; relative paths begin in `start`.
    ///
    /// # Errors
    /// Which path means nothing to rsync.
    fn sources(&self, start: &VirtualPath) -> Result<Vec<Source>, String> {
        let source = |raw: &Vec<u8>| {
            if self.reads_names {
                Ok(Source::directory(start, raw))
            } else if self.is_relative {
                Source::relative(start, raw)
            } else {
                Ok(Source::named(start, raw))
            }
        };
        self.paths.iter().map(source).collect()
    }

    /// The words after `rsync`, with `ours` and `paths` in the place of the client's; each
    /// path must begin with `.`. Links are kept from being a way out: who may make them
    /// makes those only that stay within what is copied, everybody else unusable ones.
    fn words(
        &self,
        may_create_links: bool,
        ours: Vec<Vec<u8>>,
        paths: Vec<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let mut words = vec![b"--server".to_vec()];
        if self.is_sender {
            words.push(b"--sender".to_vec());
        }
        words.extend(self.options.iter().cloned());
        let about_links = if may_create_links { "--safe-links" } else { "--munge-links" };
        if !self.has(about_links) {
            words.push(about_links.into());
        }
        if !self.is_sender {
            // Devices and foreign owners are for the superuser, whoever we run as; and no
            // client makes a program that runs as another.
            words.extend([b"--no-super".to_vec(), b"--chmod=ug-s".to_vec()]);
        }
        words.extend(ours);
        words.push(b".".to_vec());
        words.extend(paths);
        words
    }
}

/// Whether the client sends its arguments while rsync runs, and here only the first of them
/// (`--secluded-args`).
fn are_secluded(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| match word.as_slice() {
        b"--secluded-args" | b"--protect-args" => true,
        [b'-', b'-', ..] => false,
        [b'-', letters @ ..] => {
            letters.iter().take_while(|letter| **letter != b'e').any(|letter| *letter == b's')
        }
        _ => false,
    })
}

/// The words as if the client had hidden none; `rest` is what it sent.
///
/// # Errors
/// An encoding into which rsync would convert them.
fn unsecluded(words: &[Vec<u8>], rest: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    let encodings = words.iter().filter_map(|word| word.strip_prefix(b"--iconv="));
    for encoding in encodings {
        if ![&b"utf-8"[..], b"utf8"].iter().any(|utf8| encoding.eq_ignore_ascii_case(utf8)) {
            let why = "with --secluded-args it can only be utf-8";
            return Err(format!("option --iconv is not allowed: {why}"));
        }
    }
    let kept = words.iter().filter_map(|word| match word.as_slice() {
        b"--secluded-args" | b"--protect-args" => None,
        [b'-', first, ..] if *first != b'-' => {
            let able = word.iter().position(|byte| *byte == b'e').unwrap_or(word.len());
            let (letters, able) = word.split_at(able);
            let without: Vec<u8> =
                letters.iter().copied().filter(|letter| *letter != b's').collect();
            let word = [&without, able].concat();
            (word != b"-").then_some(word)
        }
        _ => Some(word.clone()),
    });
    // The first is the name of the program.
    Ok(kept.chain(rest.into_iter().skip(1)).collect())
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
            "rsync --server -logDtpre.iLsfxCIvu --partial-dir .rsync-partial . dst",
            "rsync --server -logDtpre.iLsfxCIvu --partial-dir=a/b --delay-updates . dst",
            "rsync --server -blogDtpre.iLsfxCIvu --backup-dir .old/1 --suffix=.x . dst",
            "rsync --server --sender -blogDtpre.iLsfxCIvu --backup-dir /home/me/old . src",
            "rsync --server -logDtpre.iLsfxCIvu --link-dest ../a --link-dest /b . dst",
            "rsync --server -logDtpre.iLsfxCIvu --copy-dest=../a --compare-dest=../b . dst",
            "rsync --server -logDtpre.iLsfxCIvu --mkpath --log-format=%i%I . a/b/c",
            "rsync --server -logDtpre.iLsfxCIvu --info=STATS2,NAME0 . dst",
            "rsync --server --sender -logDtpre.iLsfxCIvu --info=all4,progress2 . src",
            "rsync --server --sender -logDtpRe.LsfxCIvu --files-from=- --from0 . src",
            "rsync --server --sender -logDtpe.LsfxCIvu --files-from - --from0 --no-relative . src",
            "rsync --server -logDtpre.iLsfxCIvu -@-1 --inplace --no-W . dst",
            "rsync --server -ltr --max-size 10M --min-size 1 . dst",
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
            ("rsync --server -ltr --backup-dir / . a", "--backup-dir"),
            ("rsync --server -ltr --backup-dir= . a", "--backup-dir"),
            ("rsync --server -ltr --partial-dir /x . a", "--partial-dir"),
            ("rsync --server -ltr --partial-dir=x/../../y . a", "--partial-dir"),
            ("rsync --server -ltr --partial-dir . a", "--partial-dir"),
            ("rsync --server -ltr . a --partial-dir", "--partial-dir has no value"),
            ("rsync --server -ltr --link-dest= . a", "--link-dest"),
            ("rsync --server -ltr --insecure-links . a", "--insecure-links"),
            ("rsync --server -ltr --confine-root=/ . a", "--confine-root"),
            ("rsync --server -ltr --no-munge-links . a", "--no-munge-links"),
            ("rsync --server -ltr --info=help . a", "--info"),
            ("rsync --server -ltr --info=/etc/passwd . a", "--info"),
            ("rsync --server -ltr --info . a", "--info"),
            ("rsync --server -ltr --files-from=- --from0 . a", "--files-from"),
            ("rsync --server --sender -ltr --files-from=- . a b", "exactly one"),
            ("rsync --server --sender -ltr --files-from=- .", "no path"),
            ("rsync --server --sender -ltr --files-from /etc/passwd . a", "--files-from"),
            ("rsync --server --sender -ltr --files-from=:x . a", "--files-from"),
            ("rsync --server --sender -ltr --files-from=./- . a", "--files-from"),
            ("rsync --server --sender -ltr --files-from=/etc/passwd . a", "--files-from"),
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
    fn what_decides_about_names_and_places_is_found() {
        let options = |line: &str| {
            let found = parse(&format!("rsync --server --sender {line} . a")).unwrap();
            (found.is_relative, found.allows_missing, found.reads_names, found.needs_confinement)
        };
        assert_eq!(options("-ltre.iLRsf"), (false, false, false, None));
        assert_eq!(options("-ltrRe.iLsf"), (true, false, false, None));
        assert_eq!(options("-ltr --relative"), (true, false, false, None));
        assert_eq!(options("-R --no-relative"), (false, false, false, None));
        assert_eq!(options("-r --ignore-missing-args"), (false, true, false, None));
        assert_eq!(options("-r --delete-missing-args"), (false, true, false, None));
        let names = Some("--files-from");
        assert_eq!(options("-R --files-from=- --from0"), (true, false, true, names));
        assert_eq!(options("-r --partial-dir=.p"), (false, false, false, Some("--partial-dir")));
        let care =
            |line: &str| parse(&format!("rsync --server {line} . a")).unwrap().needs_own_care;
        assert_eq!(care("--sender -R --files-from=-"), names);
        assert_eq!(care("-R --no-implied-dirs"), Some("--no-implied-dirs"));
        assert_eq!(care("--sender -R --no-implied-dirs"), None);
        assert_eq!(care("-R --partial-dir=.p"), None);
        // The directory is the client's, and stays there.
        assert_eq!(options("-b --backup-dir=/old"), (false, false, false, None));
        let get = parse("rsync --server --sender -b --backup-dir=/old . a").unwrap();
        assert_eq!(shown(&get.options), "-b");
        let put = parse("rsync --server -b --backup-dir old --link-dest ../x . a").unwrap();
        assert_eq!(shown(&put.options), "-b --backup-dir=old");
        assert_eq!(put.bases, [("--link-dest", b"../x".to_vec())]);
        assert_eq!(put.needs_confinement, Some("--link-dest"));
    }

    #[test]
    fn hidden_arguments_are_put_in_their_place() {
        let words = |line: &str| split(line.as_bytes()).unwrap();
        for line in ["--server -se.iLsf", "--server --sender -slogDtpre.i", "-r --protect-args"] {
            assert!(are_secluded(&words(line)), "{line}");
        }
        for line in ["--server -logDtpre.iLsfxC . a", "--server --safe-links . -", "--server . s"] {
            assert!(!are_secluded(&words(line)), "{line}");
        }
        // (first words, what is sent, what it comes to)
        let table = [
            (
                "--server -slte.iLsf",
                "rsync --delete . 'a b'",
                "--server -lte.iLsf --delete . 'a b'",
            ),
            ("--server -s --secluded-args -ltr", "rsync . a", "--server -ltr . a"),
            ("--server -s --iconv=UTF-8", "rsync . ü", "--server --iconv=UTF-8 . ü"),
            ("--server -s", "", "--server"),
        ];
        for (first, rest, whole) in table {
            assert_eq!(unsecluded(&words(first), words(rest)).unwrap(), words(whole));
        }
        assert!(unsecluded(&words("--server -s --iconv=latin1"), words("rsync . a")).is_err());
    }

    #[test]
    fn links_are_kept_inside_and_the_paths_are_ours() {
        let put = parse("rsync --server -ltre.iLsfxCIvu --delete . ../../x").unwrap();
        let paths = || vec![b"./x".to_vec()];
        let server = "--server -ltre.iLsfxCIvu --delete";
        assert_eq!(
            shown(&put.words(true, Vec::new(), paths())),
            format!("{server} --safe-links --no-super --chmod=ug-s . ./x")
        );
        assert_eq!(
            shown(&put.words(false, vec![b"--link-dest=/x".to_vec()], paths())),
            format!("{server} --munge-links --no-super --chmod=ug-s --link-dest=/x . ./x")
        );
        let get = parse("rsync --server -ltr --safe-links --sender . a b").unwrap();
        assert_eq!(
            shown(&get.words(true, Vec::new(), paths())),
            "--server --sender -ltr --safe-links . ./x"
        );
        assert_eq!(
            shown(&get.words(false, Vec::new(), paths())),
            "--server --sender -ltr --safe-links --munge-links . ./x"
        );
    }

    proptest! {
        #[test]
        fn no_word_gets_past_the_lists(words in proptest::collection::vec("[-=./a-zA-Z ]{0,12}", 0..5)) {
            let mut all = vec![b"--server".to_vec()];
            all.extend(words.iter().map(|word| word.as_bytes().to_vec()));
            if let Ok(invocation) = Invocation::parse(&all) {
                prop_assert!(invocation.options.iter().all(|option| options::is_listed(option)));
                prop_assert!(invocation.paths.iter().all(|path| !path.starts_with(b"-")));
            }
        }
    }
}
