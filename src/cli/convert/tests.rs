use super::draft::{Stored, read_password};
use super::*;
use crate::cli::{Command, parse};

/// "secret".
const HASH: &str = "$1$saltstri$WHZcnT3IOdSrMvizOq7Ht1";

fn options(format: &str, more: &[&str]) -> ConvertOptions {
    let arguments = ["sftpgo", "convert-users", "in", format, "out"];
    match parse(arguments.iter().chain(more)) {
        Ok(Command::ConvertUsers(options)) => options,
        other => panic!("{other:?}"),
    }
}

fn source(name: &str, content: impl AsRef<[u8]>) -> Source {
    Source { shown: name.to_owned(), bytes: content.as_ref().to_vec() }
}

fn converted(options: &ConvertOptions, input: &str, shadow: Option<&str>) -> Converted {
    let shadow = shadow.map(|content| source("shadow", content));
    convert(options, &source("passwd", input), shadow.as_ref()).unwrap()
}

fn refused(options: &ConvertOptions, input: impl AsRef<[u8]>, shadow: Option<&str>) -> String {
    let shadow = shadow.map(|content| source("shadow", content));
    convert(options, &source("passwd", input), shadow.as_ref()).unwrap_err().to_string()
}

fn names(converted: &Converted) -> Vec<&str> {
    converted.users.iter().map(|user| user.username.as_str()).collect()
}

/// The only user of the conversion, and its notes.
fn single(converted: Converted) -> (User, Vec<String>) {
    let mut converted = converted;
    assert_eq!(converted.users.len(), 1, "{:?}", names(&converted));
    (converted.users.remove(0), converted.notes)
}

/// A line of Pure-FTPd with fields from the sixth on.
fn pure(fields: &[(usize, &str)]) -> String {
    let mut line = ["ann", HASH, "2000", "2001", "Ann", "/srv/ann/./"].map(str::to_owned).to_vec();
    line.resize(18, String::new());
    for (index, value) in fields {
        (*value).clone_into(&mut line[*index]);
    }
    line.join(":") + "\n"
}

#[test]
fn accounts_of_a_unix_system_keep_what_they_have() {
    let passwd = "root:x:0:0:root:/root:/bin/bash\n\
        daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
        ann:x:1000:1001:Ann Lee,Room 1,,:/home/ann:/bin/bash\n";
    let shadow = format!(
        "root:{HASH}:19000:0:99999:7:::\ndaemon:*:18000:0:99999:7:::\n\
         ann:{HASH}:19000:0:99999:7::20000:\n"
    );
    let all = converted(&options("unix-passwd", &[]), passwd, Some(&shadow));
    let left_out: Vec<_> = all.notes.clone();
    assert_eq!(
        left_out,
        [
            "user \"daemon\": skipped: it has no password; name it with --usernames to import it disabled"
        ]
    );
    let (ann, _) = single(all);
    assert_eq!(
        (ann.username.as_str(), ann.uid, ann.gid, ann.home_dir.as_str(), ann.description.as_str()),
        ("ann", 1000, 1001, "/home/ann", "Ann Lee")
    );
    assert_eq!((ann.status, ann.password.as_str()), (1, HASH));
    assert_eq!(ann.last_password_change, 19_000 * 86_400_000);
    assert_eq!(ann.expiration_date, 20_000 * 86_400_000);
    assert_eq!(
        ann.permissions,
        crate::model::Permissions::on_root([crate::model::Permission::Any])
    );
}

#[test]
fn what_shadow_files_say_of_ages_is_kept_or_told() {
    let passwd = "ann:x:1000:1000::/home/ann:/bin/sh\n";
    for (ages, expiration_date, note) in [
        ("19000:0:99999:7:::", 0, None),
        ("19000::::::", 0, None),
        ("19000:0:99999:7::0:", 1, None),
        ("19000:0:90:7:::", 0, Some("password: expires after 90 days there, and never here")),
        (
            "0:0:99999:7:::",
            0,
            Some("password: must be changed at the next login there, which is not asked here"),
        ),
    ] {
        let shadow = format!("ann:{HASH}:{ages}\n");
        let (ann, notes) = single(converted(&options("unix-passwd", &[]), passwd, Some(&shadow)));
        assert_eq!(ann.expiration_date, expiration_date, "{ages}");
        let want: Vec<_> = note.iter().map(|note| format!("user \"ann\": {note}")).collect();
        assert_eq!(notes, want, "{ages}");
    }
    let shadow = format!("ann:{HASH}:soon:0:99999:7:::\n");
    let told = refused(&options("unix-passwd", &[]), passwd, Some(&shadow));
    assert!(told.contains("shadow:1: date of last password change: \"soon\""), "{told}");
}

#[test]
fn a_password_in_a_shadow_file_needs_that_file() {
    let passwd = "ann:x:1000:1000::/home/ann:/bin/sh\n";
    let told = refused(&options("unix-passwd", &[]), passwd, None);
    assert!(told.contains("passwd:1:") && told.contains("--shadow"), "{told}");
    // Who is not in it has no password.
    let none = converted(&options("unix-passwd", &[]), passwd, Some(""));
    assert_eq!((none.users.len(), none.notes.len()), (0, 1));
    let named = options("unix-passwd", &["--usernames", "ann"]);
    let (ann, notes) = single(converted(&named, passwd, Some("")));
    assert_eq!((ann.status, ann.password.as_str()), (0, ""));
    assert!(notes[0].contains("imported disabled"), "{notes:?}");
    // And one that stands in the file itself is not looked up.
    let old = format!("ann:{HASH}:1000:1000::/home/ann:/bin/sh\n");
    let (ann, _) = single(converted(&options("unix-passwd", &[]), &old, None));
    assert_eq!(ann.password.as_str(), HASH);
}

#[test]
fn passwords_are_taken_over_only_if_they_can_be_verified() {
    let sha512 = "$6$saltstringsaltst$UXuBvBuPfQU4z1.hi3CoNXH4C7ulNXpsepRT322IE4RHFhcT/ge6WV1Wz4Ryq8EGyu0hllpHMecmXcc/Pudmo.";
    let bcrypt = "$2y$05$b.zmgFtEKCtdP6zqco.TJepRDSaSy3SFb.tcxZBoxhDdBygnuP5AW";
    for hash in [
        HASH,
        sha512,
        bcrypt,
        "$5$saltstringsaltst$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8",
        "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$vSr1UzaLdBVGGQDps27rA1dHW1SEBDyVY2ft1OUlluw",
    ] {
        assert_eq!(read_password(hash.as_bytes()), Stored::Hash(hash.into()), "{hash}");
        for mark in ["!", "!!", "*"] {
            let locked = format!("{mark}{hash}");
            assert_eq!(read_password(locked.as_bytes()), Stored::Locked(hash.into()), "{locked}");
        }
    }
    for field in ["*", "!", "!!", "!*", "*LK*", "!$y$j9T$x", "*NP*"] {
        assert_eq!(read_password(field.as_bytes()), Stored::NeverMatches, "{field}");
    }
    assert_eq!(read_password(b""), Stored::Empty);
    for (field, kind) in [
        (
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "a yescrypt hash",
        ),
        (
            "$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
            "a scrypt hash",
        ),
        ("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$aaaa", "an argon2i hash"),
        ("abJnggxhB/yWI", "a DES hash"),
        ("_J9..rasmBYk8r9AiWNc", "an extended DES hash"),
        ("$6$tooshort$x", "a malformed or too costly hash"),
        (
            "$2a$31$b.zmgFtEKCtdP6zqco.TJepRDSaSy3SFb.tcxZBoxhDdBygnuP5AW",
            "a malformed or too costly hash",
        ),
        ("letmein", "a hash of an unknown kind"),
    ] {
        assert_eq!(read_password(field.as_bytes()), Stored::Unknown(kind), "{field}");
    }
    assert_eq!(read_password(b"caf\xe9"), Stored::Unknown("what is no hash"));
}

#[test]
fn what_a_password_cannot_be_decides_whether_the_account_is_enabled() {
    for (password, status, stored, note) in [
        (HASH.to_owned(), 1, HASH, None),
        (format!("!{HASH}"), 0, HASH, Some("is locked there; imported disabled")),
        ("*".to_owned(), 0, "", Some("there is none that matches; imported disabled")),
        (
            String::new(),
            0,
            "",
            Some("is empty there, which is not possible here; imported disabled"),
        ),
        ("abJnggxhB/yWI".to_owned(), 1, "", Some("a DES hash is not taken over; set a new one")),
    ] {
        let line = format!("ann:{password}:1000:1000::/srv/ann:/bin/false\n");
        let (ann, notes) = single(converted(&options("proftpd", &[]), &line, None));
        assert_eq!((ann.status, ann.password.as_str()), (status, stored), "{password:?}");
        let want: Vec<_> =
            note.iter().map(|note| format!("user \"ann\": password: {note}")).collect();
        assert_eq!(notes, want);
    }
}

#[test]
fn virtual_users_of_pure_ftpd_keep_their_limits() {
    let line = pure(&[
        (6, "10240"),
        (7, "1025"),
        (10, "3"),
        (11, "1000"),
        (12, "10485760"),
        (15, "192.0.2.0/24,198.51.100.7, 10.0.0.0/255.0.0.0"),
        (16, "192.0.2.5"),
    ]);
    let (ann, notes) = single(converted(&options("pure-ftpd", &[]), &line, None));
    assert_eq!(notes, [""; 0]);
    assert_eq!((ann.status, ann.password.as_str()), (1, HASH));
    assert_eq!((ann.uid, ann.gid, ann.home_dir.as_str()), (2000, 2001, "/srv/ann"));
    assert_eq!(ann.description, "Ann");
    assert_eq!((ann.upload_bandwidth, ann.download_bandwidth), (10, 2));
    assert_eq!((ann.max_sessions, ann.quota_files, ann.quota_size), (3, 1000, 10_485_760));
    assert_eq!(ann.filters.allowed_ip, ["192.0.2.0/24", "198.51.100.7/32", "10.0.0.0/8"]);
    assert_eq!(ann.filters.denied_ip, ["192.0.2.5/32"]);

    let (ann, notes) = single(converted(&options("pureftpd", &[]), &pure(&[]), None));
    assert_eq!(notes, [""; 0]);
    assert_eq!((ann.upload_bandwidth, ann.quota_files, ann.quota_size), (0, 0, 0));
    assert!(ann.filters.allowed_ip.is_empty() && ann.filters.denied_ip.is_empty());
}

#[test]
fn what_pure_ftpd_has_and_we_lack_is_told_and_never_lets_more_people_in() {
    let local = "an account cannot be tied to addresses of the server here; imported disabled";
    let ratio = "there are no ratios here";
    for (index, value, status, note) in [
        (8, "1", 1, format!("upload ratio: {ratio}")),
        (9, "5", 1, format!("download ratio: {ratio}")),
        (
            11,
            "0",
            0,
            "files quota: allows nothing there, and 0 is no limit here; imported disabled".into(),
        ),
        (
            12,
            "0",
            0,
            "size quota: allows nothing there, and 0 is no limit here; imported disabled".into(),
        ),
        (13, "192.0.2.1", 0, format!("authorized local IPs: {local}")),
        (14, "192.0.2.1", 0, format!("refused local IPs: {local}")),
        (
            15,
            "192.0.2.1,host.example",
            1,
            "authorized client IPs: host names have no place here: host.example".into(),
        ),
        (
            15,
            "host.example",
            0,
            "authorized client IPs: host names have no place here: host.example; imported disabled"
                .into(),
        ),
        (
            16,
            "192.0.2.1,host.example",
            0,
            "refused client IPs: host names have no place here: host.example; imported disabled"
                .into(),
        ),
        (17, "0900-1800", 0, "time restrictions: are not taken over; imported disabled".into()),
        (5, "/srv/ann", 1, "home directory: is not confined there; here nobody leaves it".into()),
        (1, "*", 0, "password: there is none that matches; imported disabled".into()),
    ] {
        let line = pure(&[(index, value)]);
        let (ann, notes) = single(converted(&options("pure-ftpd", &[]), &line, None));
        assert_eq!(notes, [format!("user \"ann\": {note}")], "{line}");
        assert_eq!(ann.status, status, "{line}");
    }
}

#[test]
fn the_mark_in_a_home_directory_splits_it() {
    for (home, root, start) in [
        ("/srv/ann/./", "/srv/ann", ""),
        ("/srv/ann/./in/box", "/srv/ann", "/in/box"),
        ("/./", "/", ""),
        ("/", "/", ""),
    ] {
        let (ann, notes) = single(converted(&options("pure-ftpd", &[]), &pure(&[(5, home)]), None));
        let found = (ann.home_dir.as_str(), ann.filters.start_directory.as_str());
        assert_eq!(found, (root, start), "{home}");
        assert_eq!(notes, [""; 0], "{home}");
    }
}

#[test]
fn lines_are_read_whoever_wrote_them() {
    let file = format!(
        "\u{feff}# virtual users\r\n\r\n   \n\
         ann:{HASH}:1000:1000:Ann:/srv/ann:/bin/false\r\n\
         +::::::\n-eve::::::\n\
         bob:{HASH}:1001:1000::/srv/bob:"
    );
    let all = converted(&options("proftpd", &[]), &file, None);
    assert_eq!(names(&all), ["ann", "bob"]);
    assert_eq!(all.notes, [""; 0]);

    let latin1 = [b"ann:", HASH.as_bytes(), b":1000:1000:Andr\xe9:/srv/ann:\n"].concat();
    let all = convert(&options("proftpd", &[]), &source("passwd", latin1), None).unwrap();
    assert_eq!(all.users[0].description, "Andr\u{fffd}");
    assert!(all.notes[0].contains("description: is not UTF-8"), "{:?}", all.notes);
}

#[test]
fn whatever_is_wrong_is_told_by_line_and_all_at_once() {
    let bad = format!(
        "ann:{HASH}:1000:1000::/srv/ann:/bin/sh\n\
         short:x:1\n\
         bob:{HASH}:many:1000::/srv/bob:/bin/sh\n\
         eve:{HASH}:1001:-1::/srv/eve:/bin/sh\n\
         nohome:{HASH}:1002:1000:::/bin/sh\n\
         big:{HASH}:4294967294:1000::/srv/big:/bin/sh\n\
         a/b:{HASH}:1003:1000::/srv/ab:/bin/sh\n\
         :{HASH}:1004:1000::/srv/none:/bin/sh\n\
         ann:{HASH}:1005:1000::/srv/ann2:/bin/sh\n"
    );
    let told = refused(&options("proftpd", &[]), &bad, None);
    for part in [
        "nothing was written: ",
        "passwd:2: has 3 fields, not 7",
        "passwd:3: uid: \"many\" is not a number",
        "passwd:4: gid: \"-1\" is not a number",
        "passwd:5: user \"nohome\": home_dir",
        "passwd:6: user \"big\": uid",
        "passwd:7: user \"a/b\": username",
        "passwd:8: name: is empty",
        "passwd:9: user \"ann\": is there twice",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains(HASH));
    let not_text = b"\xff\xfe:x:1:1::/srv:/bin/sh\n";
    assert!(
        refused(&options("proftpd", &[]), not_text, None).contains("passwd:1: name: is not UTF-8")
    );
    let told = refused(&options("pure-ftpd", &[]), pure(&[(6, "fast")]), None);
    assert!(told.contains("passwd:1: upload bandwidth: \"fast\""), "{told}");
    let told = refused(&options("pure-ftpd", &[]), pure(&[(12, "-5")]), None);
    assert!(told.contains("quota_size: -5"), "{told}");
}

#[test]
fn many_problems_are_cut_short() {
    let told = refused(&options("proftpd", &[]), "x\n".repeat(50), None);
    assert!(told.contains("passwd:20:") && told.ends_with("and 30 more"), "{told}");
    assert!(!told.contains("passwd:21:"), "{told}");
}

#[test]
fn accounts_are_chosen_by_name_and_id() {
    let file: String = [("root", 0), ("ann", 1000), ("bob", 1001), ("eve", 2000)]
        .iter()
        .map(|(name, uid)| format!("{name}:{HASH}:{uid}:5::/srv/{name}:/bin/sh\n"))
        .collect();
    let table: &[(&str, &[&str], &[&str])] = &[
        ("proftpd", &[], &["root", "ann", "bob", "eve"]),
        ("unix-passwd", &[], &["ann", "bob", "eve"]),
        ("unix", &["--min-uid", "0"], &["root", "ann", "bob", "eve"]),
        ("unix-passwd", &["--min-uid", "1001"], &["bob", "eve"]),
        ("unix-passwd", &["--max-uid", "1001"], &["ann", "bob"]),
        ("unix-passwd", &["--usernames", "eve,ann"], &["ann", "eve"]),
        ("unix-passwd", &["--usernames", "eve", "ann"], &["ann", "eve"]),
        ("unix-passwd", &["--usernames", "root", "--min-uid", "0"], &["root"]),
    ];
    for (format, more, want) in table {
        assert_eq!(names(&converted(&options(format, more), &file, None)), *want, "{more:?}");
    }
    let told = refused(&options("unix-passwd", &["--usernames", "ann,carol"]), &file, None);
    assert!(told.contains("there is no user \"carol\""), "{told}");

    let forced = options("proftpd", &["--force-uid", "33", "--force-gid", "34"]);
    assert!(converted(&forced, &file, None).users.iter().all(|u| (u.uid, u.gid) == (33, 34)));
}

#[test]
fn every_imported_user_is_valid_and_stays_as_it_is() {
    let files = [
        ("proftpd", format!("ann:{HASH}:1000:1000:A:/srv//ann/:/bin/sh\n")),
        ("pure-ftpd", pure(&[(15, "10.1.2.3/8")])),
    ];
    for (format, file) in files {
        let (ann, _) = single(converted(&options(format, &[]), &file, None));
        let mut again = ann.clone();
        again.normalise(&Rules::default()).unwrap();
        assert_eq!(ann, again);
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    for arguments in [
        &["in", "proftpd", "out", "--shadow", "x"][..],
        &["in", "unix-passwd", "out", "--min-uid", "5", "--max-uid", "4"],
        &["in", "unix-passwd", "out", "--max-uid", "0"],
        &["in", "vsftpd", "out"],
        &["in", "proftpd"],
    ] {
        let line = ["sftpgo", "convert-users"].iter().chain(arguments);
        assert_eq!(parse(line).expect_err("wrong").exit_code(), 2, "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_output_is_private_and_not_replaced_by_accident() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out.json"));
    std::fs::write(&input, format!("ann:{HASH}:1000:1000::/srv/ann:/bin/sh\n")).unwrap();
    let mut options = options("proftpd", &[]);
    options.input = input.clone();
    options.output = output.clone();

    run(&options).unwrap();
    let first = std::fs::read(&output).unwrap();
    assert_eq!(std::fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);
    let error = run(&options).unwrap_err().to_string();
    assert!(error.contains("exists, --force replaces it"), "{error}");

    std::fs::set_permissions(&output, std::fs::Permissions::from_mode(0o644)).unwrap();
    options.force = true;
    run(&options).unwrap();
    assert_eq!(std::fs::read(&output).unwrap(), first, "the same input gives the same dump");
    assert_eq!(std::fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);

    // A failure leaves what is there, and nothing where nothing was.
    std::fs::write(&input, "broken\n").unwrap();
    assert!(run(&options).is_err());
    assert_eq!(std::fs::read(&output).unwrap(), first);
    options.output = dir.path().join("new.json");
    options.force = false;
    assert!(run(&options).is_err());
    assert!(!options.output.exists());
}
