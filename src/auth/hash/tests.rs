//! Hashes made by other programs: glibc's crypt(3), `openssl passwd`, Python's
//! hashlib, bcrypt and argon2-cffi.

use super::*;

const LONG: &str = concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
);

const VECTORS: &[(&str, &str)] = &[
    // Published with the seeds' documentation.
    ("password", "$pbkdf2-sha256$150000$E86a9YMX3zC7$R5J62hsSq+pYw00hLLPKBbcGXmq7fj5+/M0IFoYtZbo="),
    // bcrypt: all three prefixes mean the same.
    ("secret", "$2a$05$uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svvq"),
    ("secret", "$2b$05$b.zmgFtEKCtdP6zqco.TJepRDSaSy3SFb.tcxZBoxhDdBygnuP5AW"),
    ("secret", "$2y$05$b.zmgFtEKCtdP6zqco.TJepRDSaSy3SFb.tcxZBoxhDdBygnuP5AW"),
    ("pässword 🦀", "$2b$05$wmo7OTrqKZB0cGCT0zErbub9DZ7xS8L/IsWmtYdIn1Dr4OcHMXkTW"),
    ("pässword 🦀", "$2a$04$7/PX3B.O51J7sSS8brXamOXmBKugRi2SSzfNCAN5Nz5nlvxo9zovy"),
    // argon2id, both versions and several lanes.
    (
        "secret",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$vSr1UzaLdBVGGQDps27rA1dHW1SEBDyVY2ft1OUlluw",
    ),
    ("secret", "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$3Ha+iAHyWmrXRgRcFImlig"),
    (
        "pässword 🦀",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$Z+cbKo9AxFqjSXLIMGTimYslUu21Gk7ylK8XaRpWpzs",
    ),
    // PBKDF2.
    ("secret", "$pbkdf2-sha1$1000$s4lt$izH/HZvdyjQiN6ylnjKlwNRtw1E="),
    ("secret", "$pbkdf2-sha256$1000$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA="),
    ("secret", "$pbkdf2-sha256$1000$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA"),
    (
        "secret",
        "$pbkdf2-sha512$1000$s4lt$gFGZ9XddjuFnJvWEa6805Rv3P1ApYy7GmXUeSBSaY+O3JcN+YzitdZEv/dQ37GU8NY0yCItadXFjHiRQuxOaGw==",
    ),
    ("secret", "$pbkdf2-b64salt-sha256$1000$AP9zYWx0$bi+5S5GfGbCVq/hzaIPTek6Lbqw3CDWWGO5GDdUB9Xs="),
    ("pässword 🦀", "$pbkdf2-sha1$1000$s4lt$E94NmdZpXpkWpFAloZYTjUX8I88="),
    (
        "pässword 🦀",
        "$pbkdf2-b64salt-sha256$1000$AP9zYWx0$MUhQoxPIvj8R8ywz5xLX0DApD7yE5hQgGgq2sNZSSks=",
    ),
    (
        LONG,
        "$pbkdf2-sha512$1000$s4lt$eAWCFYyI5QvdjrNXY/7PF/8Bjyp7A3QvknQsr5BWtW2VUQ997kFk9HUR8hOEJOkro3iPD03EuTIoHhUghiVajQ==",
    ),
    // crypt(3) with MD5, of Unix and of Apache.
    ("secret", "$1$saltstri$WHZcnT3IOdSrMvizOq7Ht1"),
    ("pässword 🦀", "$1$saltstri$tTW8Xn9LnHPVTEkfQdzDT."),
    (LONG, "$1$saltstri$mMIr.WguQz2GAdS0HI08d/"),
    ("", "$1$saltstri$ciR2otLVXV8I9sOPWbLTc1"),
    ("secret", "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0"),
    ("pässword 🦀", "$apr1$saltsalt$EDGA1MlbjY5uHOvkiX0pL."),
    (LONG, "$apr1$saltsalt$t8Bg6KAOIAvN1C1bTuHzZ0"),
    // crypt(3) with SHA-256 and SHA-512, with and without a number of rounds.
    ("secret", "$5$saltstringsaltst$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8"),
    ("secret", "$5$rounds=1400$anotherlongsalts$hA9phAhHgeqcKTycY/LRKamQM18d5P2uD0VRrWGWMX6"),
    ("pässword 🦀", "$5$saltstringsaltst$jAXoBVTCA2egA7xajur7wzKg3T11vxxPKqRHDepvMlD"),
    (LONG, "$5$rounds=1400$anotherlongsalts$u1CElcvxfRe/hGJVreAFSBT1biWzGYAyGObdCI4Fg0D"),
    (
        "secret",
        "$6$saltstringsaltst$UXuBvBuPfQU4z1.hi3CoNXH4C7ulNXpsepRT322IE4RHFhcT/ge6WV1Wz4Ryq8EGyu0hllpHMecmXcc/Pudmo.",
    ),
    (
        "secret",
        "$6$rounds=10000$short$vp74fulmGVHGol1dIqdXI2pmo4W.sRGVZJQHXbXkcJynTR8POu7EhHwZu4LUc7iQFTVfg.3P7L63xhkm1/UV20",
    ),
    (
        "pässword 🦀",
        "$6$saltstringsaltst$iHkYA3mvpXdZWSHJXv4N9.rCipVBS5XcPE/TJC/g9URwj7Ir1NDPVHKH4HCm2UytnqqaFUg/QTfBoM6UbT0k1/",
    ),
    (
        LONG,
        "$6$saltstringsaltst$bl3i/E06ECvtY.WYUB9BNKtohRW9trjxGL/TSR.YYePiGmFLaioHLFmGBHAPhK3VINV6pwvHBnCKOw6tEI74..",
    ),
    // Bare digests, hexadecimal in either case, and base64.
    ("secret", "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"),
    ("secret", "{MD5}5EBE2294ECD0E0F08EAB7690D2A6EE69"),
    ("secret", "{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"),
    ("secret", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="),
    (
        "secret",
        "{SHA512}bd2b1aaf7ef4f09be9f52ce2d8d599674d81aa9d6a4421696dc4d93dd0619d682ce56b4d64a9ef097761ced99e0f67265b5f76085e5b0ee7ca4696b2ad6fe2b2",
    ),
];

fn parse(text: &str) -> Result<StoredHash> {
    StoredHash::parse(text, &CostLimits::default())
}

#[test]
fn every_format_is_verified() {
    for (password, hash) in VECTORS {
        let stored = parse(hash).unwrap_or_else(|error| panic!("{hash}: {error}"));
        assert!(stored.matches(password.as_bytes()), "{hash}");
        assert!(!stored.matches(format!("{password}x").as_bytes()), "{hash}");
        assert!(!stored.matches(b"Secret"), "{hash}");
        assert!(crate::model::Password::from(*hash).is_hashed(), "{hash}");
    }
}

/// Alone, as it takes a second: the second published vector.
#[test]
fn a_costly_bcrypt_hash_is_verified() {
    let hash = parse("$2a$14$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK").unwrap();
    assert!(hash.matches(b"secret"));
}

#[test]
fn costs_are_bounded() {
    let salt_and_hash = "uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svvq";
    let sha = "saltstringsaltst$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8";
    let argon = "c29tZXNhbHRzb21lc2FsdA$vSr1UzaLdBVGGQDps27rA1dHW1SEBDyVY2ft1OUlluw";
    let table = [
        format!("$2a$17${salt_and_hash}"),
        format!("$2a$31${salt_and_hash}"),
        format!("$2a$99${salt_and_hash}"),
        format!("$2a$03${salt_and_hash}"),
        format!("$5$rounds=999${sha}"),
        format!("$5$rounds=999999999${sha}"),
        format!("$argon2id$v=19$m=4194304,t=1,p=1${argon}"),
        format!("$argon2id$v=19$m=65536,t=4294967295,p=1${argon}"),
        "$pbkdf2-sha256$4000000000$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA=".to_owned(),
        "$pbkdf2-sha256$0$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA=".to_owned(),
    ];
    for hash in &table {
        let error = parse(hash).err().unwrap_or_else(|| panic!("{hash} is accepted")).to_string();
        assert!(error.contains("accepted are"), "{hash}: {error}");
    }
}

#[test]
fn malformed_hashes_are_refused_and_never_match_everything() {
    let table = [
        "",
        "clear",
        "$",
        "$$$$",
        "$2a$",
        "$2a$10$",
        "$2x$05$uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svvq",
        "$2a$05$uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svv",
        "$2a$05$uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1sv$q",
        "$2a$xx$uafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svvq",
        "$2a$05$üafWxSwiAwu11dGTlPKvSewh3d6oCMebL/3.SKlk82XGJEsg1svv",
        "$argon2id$",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$AAAA",
        "$argon2id$v=18$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$vSr1UzaLdBVGGQDps27rA1dHW1SEBDyVY2ft1OUlluw",
        "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$vSr1UzaLdBVGGQDps27rA1dHW1SEBDyVY2ft1OUlluw",
        "$pbkdf2-sha256$",
        "$pbkdf2-sha256$1000$s4lt$",
        "$pbkdf2-sha256$1000$s4lt$AAAA",
        "$pbkdf2-sha256$1000$s4lt$!!!!",
        "$pbkdf2-sha256$1000$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA=$x",
        "$pbkdf2-sha257$1000$s4lt$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA=",
        "$pbkdf2-b64salt-sha256$1000$!$WQ1kL6mYQ2WTkAW9zjlKYtt+uptLhbwZEY4unYaXvDA=",
        "$1$",
        "$1$salt",
        "$1$salt$",
        "$1$saltstri$WHZcnT3IOdSrMvizOq7Ht",
        "$1$saltstri$WHZcnT3IOdSrMvizOq7H_1",
        "$apr1$saltsalt$",
        "$5$",
        "$5$salt$",
        "$5$$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8",
        "$5$rounds=x$salt$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8",
        "$5$rounds=1400",
        "$6$salt$fs5bkP34Ya66vag52qIwKHT7mKZC6.7Eyv0HoCr0Jo8",
        "{MD5}",
        "{MD5}5ebe2294",
        "{SHA256}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{SHA1}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
        "{",
    ];
    for hash in table {
        assert!(parse(hash).is_err(), "{hash:?} is accepted");
    }
}

mod generated {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a dump holds in a password field, reading it does not panic.
        #[test]
        fn no_text_panics(prefix in 0..16_usize, rest in ".{0,80}") {
            let prefixes = [
                "", "$2a$", "$2b$10$", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$",
                "$pbkdf2-sha1$", "$pbkdf2-sha512$1$", "$pbkdf2-b64salt-sha256$1$", "$1$",
                "$apr1$", "$5$", "$6$rounds=", "{MD5}", "{SHA256}", "{SHA512}", "$6$salt$",
            ];
            let _ = parse(&format!("{}{rest}", prefixes[prefix]));
        }
    }
}
