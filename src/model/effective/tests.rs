use serde_json::{Value, json};

use super::*;
use crate::model::Permission;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Members of `changes` replace those of `base`, in nested objects too.
fn merged(mut base: Value, changes: &Value) -> Value {
    match (base.as_object_mut(), changes.as_object()) {
        (Some(fields), Some(changes)) => {
            for (key, value) in changes {
                let old = fields.remove(key).unwrap_or(Value::Null);
                fields.insert(key.clone(), merged(old, value));
            }
            base
        }
        _ => changes.clone(),
    }
}

fn user(changes: Value) -> User {
    let base = json!({
        "username": "bob", "status": 1, "home_dir": "/srv/bob", "permissions": {"/": ["*"]},
        "created_at": 10 * HOUR_MS, "role": "staff",
        "groups": [{"name": "p", "type": 1}, {"name": "s1", "type": 2}, {"name": "s2", "type": 2},
                   {"name": "m", "type": 3}],
    });
    serde_json::from_value(merged(base, &changes)).unwrap()
}

fn group(name: &str, settings: Value, folders: Value) -> Group {
    serde_json::from_value(
        json!({"name": name, "user_settings": settings, "virtual_folders": folders}),
    )
    .unwrap()
}

/// The user with the same settings in one kind of group.
fn with_settings(own: Value, group_name: &str, settings: Value) -> Effective {
    effective(user(own), &[group(group_name, settings, json!([]))])
}

#[test]
fn without_groups_a_user_is_what_it_is() {
    let plain = user(json!({"groups": [], "virtual_folders": [
        {"name": "f", "mapped_path": "/srv/f", "virtual_path": "/f", "quota_size": 5},
    ]}));
    let got = effective(plain.clone(), &[]);
    assert_eq!(got, Effective { user: plain.clone(), left_out: vec![] });
    // Also if groups are given that it is not in.
    let stranger = group("other", json!({"home_dir": "/other", "quota_size": 1}), json!([]));
    assert_eq!(effective(plain.clone(), &[stranger]).user, plain);
}

/// Own value, the group's, and what a primary group makes of it. A secondary group
/// changes nothing.
#[test]
fn limits_and_switches_come_from_the_primary_group_if_the_user_has_none() {
    let limit = |name: &str| {
        [
            (json!({name: 0}), json!({name: 7}), json!({name: 7})),
            (json!({name: 3}), json!({name: 7}), json!({name: 3})),
            (json!({name: 3}), json!({}), json!({name: 3})),
        ]
    };
    let switch = |name: &str| {
        [
            (json!({name: false}), json!({name: true}), json!({name: true})),
            (json!({name: true}), json!({name: false}), json!({name: true})),
            (json!({}), json!({}), json!({name: false})),
        ]
    };
    let mut table: Vec<(Value, Value, Value)> = Vec::new();
    for name in
        ["max_sessions", "quota_size", "quota_files", "upload_bandwidth", "download_bandwidth"]
    {
        table.extend(limit(name));
    }
    let within = |key: &str, rows: [(Value, Value, Value); 3]| {
        rows.map(|(own, group, want)| (json!({key: own}), json!({key: group}), json!({key: want})))
    };
    for name in [
        "max_upload_file_size",
        "external_auth_cache_time",
        "ftp_security",
        "default_shares_expiration",
        "max_shares_expiration",
        "password_expiration",
        "password_strength",
    ] {
        table.extend(within("filters", limit(name)));
    }
    for name in ["disable_fs_checks", "allow_api_key_auth", "is_anonymous"] {
        table.extend(within("filters", switch(name)));
    }
    for name in ["external_auth_disabled", "pre_login_disabled", "check_password_disabled"] {
        let rows = switch(name).map(|(own, group, want)| {
            (json!({"hooks": own}), json!({"hooks": group}), json!({"hooks": want}))
        });
        table.extend(within("filters", rows));
    }
    table.extend([
        (
            json!({}),
            json!({"filters": {"tls_username": "CommonName"}}),
            json!({"filters": {"tls_username": "CommonName"}}),
        ),
        (
            json!({}),
            json!({"filters": {"start_directory": "/%role%/%username%"}}),
            json!({"filters": {"start_directory": "/staff/bob"}}),
        ),
        (
            json!({"filters": {"start_directory": "/own"}}),
            json!({"filters": {"start_directory": "/group"}}),
            json!({"filters": {"start_directory": "/own"}}),
        ),
        // The transfer limits are one setting.
        (json!({}), json!({"total_data_transfer": 5}), json!({"total_data_transfer": 5})),
        (json!({}), json!({"upload_data_transfer": 5}), json!({"upload_data_transfer": 5})),
        (
            json!({"upload_data_transfer": 1}),
            json!({"download_data_transfer": 2, "total_data_transfer": 5}),
            json!({"upload_data_transfer": 1}),
        ),
        // From the creation, unless the user has an end or no beginning.
        (json!({}), json!({"expires_in": 2}), json!({"expiration_date": 58 * HOUR_MS})),
        (json!({"expiration_date": 9}), json!({"expires_in": 2}), json!({"expiration_date": 9})),
        (json!({"created_at": 0}), json!({"expires_in": 2}), json!({"expiration_date": 0})),
        (
            json!({"created_at": i64::MAX}),
            json!({"expires_in": 2}),
            json!({"expiration_date": i64::MAX}),
        ),
    ]);
    for (own, settings, want) in table {
        let got = with_settings(own.clone(), "p", settings.clone());
        let want = user(merged(own.clone(), &want));
        assert_eq!(got, Effective { user: want, left_out: vec![] }, "{own} with {settings}");
        for other in ["s1", "m"] {
            let got = with_settings(own.clone(), other, settings.clone());
            assert_eq!(got.user, user(own.clone()), "{own} with {settings} of {other}");
        }
    }
}

#[test]
fn the_home_and_the_storage_of_the_primary_group_replace_the_users() {
    let sftp = |endpoint: &str, prefix: &str, username: &str| {
        json!({"provider": 5, "sftpconfig": {"endpoint": endpoint, "username": username,
               "prefix": prefix}})
    };
    let s3 =
        |prefix: &str| json!({"provider": 1, "s3config": {"bucket": "b", "key_prefix": prefix}});
    let table = [
        (json!({"home_dir": "/srv/%role%//%username%/"}), json!({"home_dir": "/srv/staff/bob"})),
        (json!({"home_dir": ""}), json!({})),
        (json!({"filesystem": {"provider": 0, "osconfig": {"read_buffer_size": 1}}}), json!({})),
        (
            json!({"filesystem": sftp("h:22", "/%username%", "%role%-%username%")}),
            json!({"filesystem": sftp("h:22", "/bob", "staff-bob")}),
        ),
        (json!({"filesystem": s3("%role%/%username%/")}), json!({"filesystem": s3("staff/bob/")})),
        (
            json!({"filesystem": {"provider": 2, "gcsconfig": {"key_prefix": "%username%/"}}}),
            json!({"filesystem": {"provider": 2, "gcsconfig": {"key_prefix": "bob/"}}}),
        ),
        (
            json!({"filesystem": {"provider": 3, "azblobconfig": {"key_prefix": "%username%/"}}}),
            json!({"filesystem": {"provider": 3, "azblobconfig": {"key_prefix": "bob/"}}}),
        ),
        (
            json!({"filesystem": {"provider": 6, "httpconfig": {"username": "%username%"}}}),
            json!({"filesystem": {"provider": 6, "httpconfig": {"username": "bob"}}}),
        ),
    ];
    for (settings, want) in table {
        let got = with_settings(json!({}), "p", settings.clone());
        assert_eq!(got, Effective { user: user(want), left_out: vec![] }, "{settings}");
        for other in ["s1", "m"] {
            assert_eq!(with_settings(json!({}), other, settings.clone()).user, user(json!({})));
        }
    }
    // What the user has itself is no template.
    let own = json!({"home_dir": "/srv/%username%"});
    assert_eq!(with_settings(own.clone(), "p", json!({})).user, user(own));
}

#[test]
fn directories_are_added_where_the_user_has_none() {
    let own = json!({"permissions": {"/": ["list"], "/own": ["download"]}});
    let primary = json!({"permissions": {
        "/": ["*"], "/own": ["*"], "/p": ["upload"], "/%username%": ["delete"], "/none": [],
    }});
    let second = json!({"permissions": {
        "/": ["*"], "/p": ["*"], "/own": ["*"], "/s": ["rename"], "/both": ["chmod"],
    }});
    let third = json!({"permissions": {"/s": ["*"], "/both": ["chown"], "/t": ["copy"]}});
    let ignored = json!({"permissions": {"/m": ["*"]}});
    // Whatever the order in which they are given.
    let groups = [
        group("m", ignored, json!([])),
        group("s2", third, json!([])),
        group("s1", second, json!([])),
        group("p", primary, json!([])),
    ];
    let got = effective(user(own), &groups);
    let want = json!({"permissions": {
        "/": ["list"], "/own": ["download"], "/p": ["upload"], "/bob": ["delete"], "/none": [],
        "/s": ["rename"], "/both": ["chmod"], "/t": ["copy"],
    }});
    assert_eq!(got, Effective { user: user(want), left_out: vec![] });
}

#[test]
fn a_user_without_permissions_of_its_own_gets_those_of_the_primary_group_on_the_root() {
    let rights = json!({"permissions": {"/": ["list"]}});
    for (name, is_granted) in [("p", true), ("s1", false)] {
        let mut bare = user(json!({}));
        bare.permissions = Permissions::default();
        let got = effective(bare, &[group(name, rights.clone(), json!([]))]).user;
        let set = got.permissions.at(&VirtualPath::root());
        assert_eq!(set.grants(Permission::List), is_granted, "{name}");
    }
}

#[test]
fn patterns_are_added_where_the_user_has_none() {
    let patterns = |paths: &[(&str, &str)]| -> Value {
        let list: Vec<Value> = paths
            .iter()
            .map(|(path, denied)| json!({"path": path, "denied_patterns": [denied]}))
            .collect();
        json!({"filters": {"file_patterns": list}})
    };
    let own = patterns(&[("/own", "o")]);
    let groups = [
        group("s1", patterns(&[("/", "x"), ("/p", "x"), ("/s", "s")]), json!([])),
        group("p", patterns(&[("/", "p"), ("/own", "x"), ("/p/%username%", "p")]), json!([])),
    ];
    let got = effective(user(own), &groups);
    let want = patterns(&[("/own", "o"), ("/", "p"), ("/p/bob", "p"), ("/p", "x"), ("/s", "s")]);
    assert_eq!(got, Effective { user: user(want), left_out: vec![] });

    let extensions = |path: &str, denied: &str| json!({"filters": {"file_extensions": [{"path": path, "denied_extensions": [denied]}]}});
    let groups = [group("p", extensions("/x", ".b"), json!([]))];
    let got = effective(user(extensions("/x", ".a")), &groups).user;
    assert_eq!(got, user(extensions("/x", ".a")));
    let got = effective(user(json!({})), &groups).user;
    assert_eq!(got, user(extensions("/x", ".b")));
}

#[test]
fn lists_add_up() {
    let limit = |source: &str, kib: i64| json!({"sources": [source], "upload_bandwidth": kib});
    let volume = |source: &str| json!({"sources": [source], "total_data_transfer": 1});
    let window = |day: i32| json!({"day_of_week": day, "from": "08:00", "to": "18:00"});
    let table = [
        ("allowed_ip", json!("10.0.0.0/8"), json!("10.1.0.0/16")),
        ("denied_ip", json!("10.0.0.0/8"), json!("10.1.0.0/16")),
        ("denied_login_methods", json!("password"), json!("publickey")),
        ("denied_protocols", json!("FTP"), json!("DAV")),
        ("two_factor_protocols", json!("SSH"), json!("HTTP")),
        ("web_client", json!("write-disabled"), json!("shares-disabled")),
        ("bandwidth_limits", limit("10.0.0.0/8", 1), limit("10.0.0.0/8", 2)),
        ("data_transfer_limits", volume("10.0.0.0/8"), volume("10.1.0.0/16")),
        ("access_time", window(1), window(2)),
    ];
    for (name, one, two) in table {
        let with = |list: Value| json!({"filters": {name: list}});
        let groups =
            [group("p", with(json!([two])), json!([])), group("s1", with(json!([one])), json!([]))];
        let got = effective(user(with(json!([one]))), &groups).user;
        assert_eq!(got, user(with(json!([one, two]))), "{name}");
        let got = effective(user(json!({})), &groups).user;
        assert_eq!(got, user(with(json!([two, one]))), "{name}");
        let groups = [group("m", with(json!([one])), json!([]))];
        assert_eq!(effective(user(json!({})), &groups).user, user(json!({})), "{name}");
    }
}

fn folder(name: &str, at: &str) -> Value {
    json!({"name": name, "mapped_path": format!("/srv/{name}"), "virtual_path": at,
           "quota_size": 5, "quota_files": 6})
}

fn mounted(account: &Effective) -> Vec<(&str, &str)> {
    let mounts = account.user.virtual_folders.iter();
    mounts.map(|mount| (mount.virtual_path.as_str(), mount.folder.name.as_str())).collect()
}

#[test]
fn folders_are_added_where_nothing_is_mounted() {
    let own = json!({"virtual_folders": [folder("own", "/a")]});
    let groups = [
        group("m", json!({}), json!([folder("m", "/m")])),
        group("s2", json!({}), json!([folder("s2", "/s"), folder("s2", "/t"), folder("s2", "/")])),
        group("s1", json!({}), json!([folder("s1", "/p"), folder("s1", "/s")])),
        group("p", json!({}), json!([folder("p", "/a"), folder("p", "/p"), folder("p", "/")])),
    ];
    let got = effective(user(own), &groups);
    let want = [("/", "p"), ("/a", "own"), ("/p", "p"), ("/s", "s1"), ("/t", "s2")];
    assert_eq!(mounted(&got), want);
    assert_eq!(got.left_out, Vec::<String>::new());
    let inherited = &got.user.virtual_folders[3];
    assert_eq!((inherited.quota_size, inherited.quota_files), (5, 6));
    assert_eq!(inherited.folder.mapped_path, "/srv/s1");
    // `/` of a secondary group is nobody's.
    let got = effective(user(json!({})), &groups[1..2]);
    assert_eq!(mounted(&got), [("/s", "s2"), ("/t", "s2")]);
}

#[test]
fn a_mount_inside_another_is_left_out_and_told() {
    let own = json!({"virtual_folders": [folder("own", "/a")]});
    let groups = [
        group("p", json!({}), json!([folder("p", "/a/b"), folder("q", "/c/d")])),
        group("s1", json!({}), json!([folder("s", "/c")])),
    ];
    let got = effective(user(own), &groups);
    assert_eq!(mounted(&got), [("/a", "own"), ("/c/d", "q")]);
    assert_eq!(got.left_out.len(), 2);
    assert!(got.left_out[0].starts_with("group \"p\": folder \"p\": /a/b and /a"), "{got:?}");
    assert!(got.left_out[1].starts_with("group \"s1\": folder \"s\": "), "{got:?}");
}

#[test]
fn folders_with_placeholders_are_private_and_the_users_own() {
    let shared = json!([{
        "name": "homes", "mapped_path": "/srv/%role%/%username%", "virtual_path": "/of-%username%",
        "quota_size": -1, "quota_files": -1,
        "filesystem": {"provider": 5, "sftpconfig": {"prefix": "/%username%"}},
    }]);
    let with_group = effective(user(json!({})), &[group("s1", json!({}), shared.clone())]);
    let mut own = shared;
    // Mount points of the user itself are no templates, the folder is shared.
    own[0]["virtual_path"] = json!("/of-bob");
    // Wherever it comes from, it cannot count for itself.
    own[0]["quota_size"] = json!(5);
    let without = effective(user(json!({"virtual_folders": own})), &[]);
    for got in [with_group, without] {
        assert_eq!(got.left_out, Vec::<String>::new());
        let mount = &got.user.virtual_folders[0];
        assert_eq!(mount.virtual_path, "/of-bob");
        assert_eq!(mount.folder.mapped_path, "/srv/staff/bob");
        assert_eq!(mount.folder.filesystem.sftpconfig.as_ref().unwrap().prefix, "/bob");
        assert!(mount.is_private());
    }
}

#[test]
fn what_needs_a_role_is_left_out_for_a_user_without() {
    let settings = json!({
        "home_dir": "/srv/%role%", "max_sessions": 4,
        "filesystem": {"provider": 1, "s3config": {"key_prefix": "%role%/"}},
        "permissions": {"/%role%": ["*"], "/p": ["list"]},
        "filters": {"start_directory": "/%role%",
                    "file_patterns": [{"path": "/%role%", "denied_patterns": ["*"]}]},
    });
    let folders = json!([
        folder("a", "/%role%"),
        {"name": "b", "mapped_path": "/srv/%role%", "virtual_path": "/b"},
        folder("c", "/c"),
    ]);
    let bare = json!({"role": "", "virtual_folders": [
        {"name": "o", "mapped_path": "/srv/%role%", "virtual_path": "/o"},
    ]});
    let got = effective(user(bare), &[group("p", settings, folders)]);
    assert_eq!(mounted(&got), [("/c", "c")]);
    let mut rest = got.user.clone();
    rest.virtual_folders.clear();
    let want = json!({"role": "", "max_sessions": 4, "permissions": {"/p": ["list"]}});
    assert_eq!(rest, user(want));
    let told = got.left_out.join("\n");
    for part in [
        "folder \"o\": ",
        "group \"p\": home_dir: ",
        "filesystem: ",
        "start_directory: ",
        "folder \"a\": ",
        "folder \"b\": ",
        "permissions: ",
        "file_patterns: ",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(got.left_out.len(), 8, "{told}");
}
