use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::config::DataProviderConfig;
use crate::model::{Password, Permission};
use crate::paths::VirtualPath;
use crate::provider::{PasswordOwner, PasswordPolicy};

/// Stores hashes as they are and marks what was clear text.
struct Marker;

#[async_trait::async_trait]
impl PasswordPolicy for Marker {
    async fn prepare(&self, owner: PasswordOwner, password: &Password) -> Result<Password> {
        if password.is_hashed() {
            return Ok(password.clone());
        }
        Ok(Password::new(format!("$2a$10$hashed-{owner:?}-{}", password.as_str())))
    }
}

fn store() -> Store {
    Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap()
}

async fn load_value(store: &Store, dump: serde_json::Value, mode: LoadMode) -> Result<LoadReport> {
    load(store, dump.to_string().as_bytes(), mode).await
}

fn user(name: &str) -> serde_json::Value {
    json!({"username": name, "status": 1, "home_dir": "/srv", "permissions": {"/": ["*"]}})
}

#[tokio::test]
async fn dumps_of_all_generations_are_loaded() {
    let oldest = json!({"users": [{
        "id": 7, "username": "s0", "status": 1, "expiration_date": 0, "password": "$argon2id$x",
        "home_dir": "/srv/s0", "uid": 0, "gid": 0, "max_sessions": 0, "quota_size": 10,
        "quota_files": 2, "permissions": ["list", "download"], "used_quota_size": 3,
        "used_quota_file": 1, "last_quota_update": 1, "upload_bandwidth": 0,
        "download_bandwidth": 0, "last_login": 5, "virtual_folders": null, "public_keys": null,
        "filters": {"allowed_ip": [], "denied_ip": ["10.0.0.1"], "denied_login_methods": null,
                    "file_extensions": null},
        "filesystem": {"provider": 0, "s3config": {"access_secret": "$aes$00$11"},
                       "gcsconfig": {"credentials": "eyJ0"}},
    }]});
    let middle = json!({
        "version": 4,
        "users": [{
            "id": 1, "username": "v2", "status": 1, "password": "$2a$10$x", "home_dir": "/srv/v2",
            "permissions": {"/": ["*"], "/ro/": ["list"], "/closed": null}, "created_at": 11, "updated_at": 12,
            "last_login": 13,
            "filters": {"hooks": {"external_auth_disabled": false}, "tls_username": "None",
                        "totp_config": {"secret": {}}},
            "filesystem": {"provider": 0, "s3config": {"access_secret": {}}, "cryptconfig": {"passphrase": {}}},
        }],
        "folders": [{"id": 3, "name": "data", "mapped_path": "/srv/data", "users": ["v2"],
                     "used_quota_size": 9, "filesystem": {"provider": 0}}],
        "admins": [{"id": 1, "username": "root", "status": 1, "password": "clear",
                    "permissions": ["manage_system", "manage_admins"], "filters": {}}],
        "api_keys": [], "shares": null,
    });
    let newest = json!({
        "version": 17,
        "users": [{
            "id": 1, "username": "v27", "status": 1, "password": "$6$x", "has_password": true,
            "home_dir": "/srv/v27", "permissions": {"/": ["list", "copy"]},
            "filters": {"two_factor_protocols": [], "start_directory": "/in", "tls_certs": null,
                        "additional_emails": null, "custom_placeholder": 1},
            "groups": null, "role": "", "first_upload": 5, "last_password_change": 6,
            "filesystem": {"provider": 0, "osconfig": {}},
            "something_new": true,
        }],
        "event_rules": [{"name": "g"}, {"name": "h"}], "api_keys": [], "configs": {"smtp": {"host": "x"}},
    });
    let store = store();
    let report = load_value(&store, oldest, LoadMode::AddOnly).await.unwrap();
    assert_eq!((report.added, report.warnings.len()), (1, 0), "{report:?}");
    let s0 = store.user("s0").await.unwrap().unwrap();
    assert!(s0.permissions.at(&VirtualPath::new("/x")).grants(Permission::Download));
    assert_eq!(s0.filters.denied_ip, ["10.0.0.1/32"]);
    assert_eq!((s0.used_quota_size, s0.used_quota_files, s0.last_login), (0, 0, 5));

    let report = load_value(&store, middle, LoadMode::AddOnly).await.unwrap();
    assert_eq!((report.added, report.warnings.len()), (3, 0), "{report:?}");
    let v2 = store.user("v2").await.unwrap().unwrap();
    assert_eq!((v2.created_at, v2.updated_at, v2.last_login), (11, 12, 13));
    assert_eq!(v2.password.as_str(), "$2a$10$x");
    assert!(!v2.permissions.at(&VirtualPath::new("/closed")).grants(Permission::List));
    let root = store.admin("root").await.unwrap().unwrap();
    assert_eq!(root.password.as_str(), "$2a$10$hashed-Admin-clear");
    assert_eq!(store.folder("data").await.unwrap().unwrap().used_quota_size, 0);

    let report = load_value(&store, newest, LoadMode::AddOnly).await.unwrap();
    assert_eq!(report.added, 1);
    assert_eq!(store.user("v27").await.unwrap().unwrap().filters.start_directory, "/in");
    let warnings = report.warnings.join("\n");
    for part in [
        "event_rules: 2 objects",
        "configs: not loaded",
        "\"something_new\"",
        "\"custom_placeholder\"",
    ] {
        assert!(warnings.contains(part), "{part} in {warnings}");
    }
    assert!(!warnings.contains("api_keys") && !warnings.contains("version:"), "{warnings}");
}

#[tokio::test]
async fn nothing_is_loaded_if_anything_is_wrong_and_all_of_it_is_listed() {
    let store = store();
    let mut broken = user("broken");
    broken["permissions"] = json!({"/": ["fly"]});
    let mut later = user("later");
    later["filesystem"] = json!({"provider": 1, "s3config": {"bucket": "b"}});
    let dump = json!({
        "folders": [{"name": "data", "mapped_path": "/srv"}, {"name": "bad", "mapped_path": "srv"}],
        "users": [user("good"), broken, later, user("good"), 5],
        "admins": [{"username": "a", "permissions": []}],
    });
    let error = load_value(&store, dump, LoadMode::AddOrUpdate).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    for part in [
        "nothing was loaded",
        "folder \"bad\": mapped_path",
        "users[1] \"broken\"",
        "\"broken\": permissions./[0]: unknown variant `fly`",
        "user \"later\": filesystem.provider",
        "\"good\" is given twice",
        "users[4]: is not an object",
        "admin \"a\": permissions",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(store.user("good").await.unwrap(), None);
    assert_eq!(store.folder("data").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_dump_is_refused() {
    let store = store();
    for text in ["", "[]", "5", "{", "{\"users\": {}}", "{\"users\": 5}", "\u{0}\u{ff}"] {
        let error = load(&store, text.as_bytes(), LoadMode::AddOnly).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}: {error}");
    }
    let report = load(&store, b"{}", LoadMode::AddOnly).await.unwrap();
    assert_eq!(report, LoadReport::default());
}

#[tokio::test]
async fn the_mode_decides_about_existing_objects() {
    let store = store();
    let dump = |email: &str| {
        let mut user = user("bob");
        user["email"] = json!(email);
        json!({"users": [user]})
    };
    load_value(&store, dump("a@b"), LoadMode::AddOrUpdate).await.unwrap();
    let report = load_value(&store, dump("c@d"), LoadMode::AddOnly).await.unwrap();
    assert_eq!((report.added, report.updated, report.skipped), (0, 0, 1));
    assert_eq!(store.user("bob").await.unwrap().unwrap().email, "a@b");

    let report = load_value(&store, dump("c@d"), LoadMode::AddOrUpdateAndDisconnect).await.unwrap();
    assert_eq!((report.added, report.updated, report.skipped), (0, 1, 0));
    assert_eq!(report.updated_users, ["bob"]);
    assert_eq!(store.user("bob").await.unwrap().unwrap().email, "c@d");
    assert!(LoadMode::try_from(3).is_err());
}

#[tokio::test]
async fn permissions_that_no_longer_exist_are_dropped_not_widened() {
    let store = store();
    let admin = |permissions: serde_json::Value| {
        json!({"admins": [{"username": "a", "status": 1, "password": "$2a$10$x",
                           "permissions": permissions}]})
    };
    let report =
        load_value(&store, admin(json!(["view_conns", "rule_the_world"])), LoadMode::AddOnly)
            .await
            .unwrap();
    assert!(report.warnings[0].contains("rule_the_world"), "{report:?}");
    let stored = store.admin("a").await.unwrap().unwrap();
    assert_eq!(stored.permissions, [AdminPermission::ViewConns]);
    let error = load_value(&store, admin(json!(["rule_the_world"])), LoadMode::AddOrUpdate).await;
    assert!(error.unwrap_err().to_string().contains("permissions: at least one"));
}

#[tokio::test]
async fn a_dump_loads_into_another_store_as_it_was() {
    let first = store();
    let dump_of_first = json!({
        "users": [{"username": "bob", "status": 1, "home_dir": "/srv", "password": "pw",
                   "permissions": {"/": ["*"], "/closed": []},
                   "groups": [{"name": "staff", "type": 2}],
                   "virtual_folders": [{"name": "data", "virtual_path": "/d", "quota_size": 7}],
                   "filters": {"denied_protocols": ["FTP"]}}, user("eve")],
        "groups": [{"name": "staff", "user_settings": {"expires_in": 5}, "virtual_folders":
            [{"name": "data", "virtual_path": "/g", "quota_size": -1, "quota_files": -1}]}],
        "folders": [{"name": "data", "mapped_path": "/srv/data"}],
        "admins": [{"username": "root", "status": 1, "password": "pw", "permissions": ["*"]}],
    });
    load_value(&first, dump_of_first, LoadMode::AddOrUpdate).await.unwrap();
    for indent in [false, true] {
        let second = store();
        let text = to_json(&dump(&first).await.unwrap(), indent).unwrap();
        let report = load(&second, &text, LoadMode::AddOnly).await.unwrap();
        assert_eq!((report.added, report.warnings.as_slice()), (5, &[][..]));
        let (a, b) = (first.snapshot().await.unwrap(), second.snapshot().await.unwrap());
        assert_eq!((a.users, a.folders, a.admins), (b.users, b.folders, b.admins));
        assert_eq!(a.groups, b.groups);
    }
}

#[tokio::test]
async fn folders_of_all_generations_are_loaded() {
    let with_folders = |name: &str, folders: serde_json::Value| {
        let mut user = user(name);
        user["virtual_folders"] = folders;
        user
    };
    // Without folder objects, then with objects that are known by their paths.
    let oldest = json!({"users": [with_folders("s0", json!([
        {"virtual_path": "/v", "mapped_path": "/srv/inline"},
    ]))]});
    let older = json!({
        "folders": [{"id": 1, "mapped_path": "/srv/by path/", "used_quota_size": 5, "users": ["v1"]}],
        "users": [with_folders("v1", json!([
            {"id": 1, "mapped_path": "/srv/by path", "virtual_path": "/v", "quota_size": 0,
             "quota_files": 9, "used_quota_size": 5},
        ]))],
    });
    // With names; the folder of another user is not in the dump but described there.
    let newer = json!({
        "version": 9,
        "folders": [{"name": "data", "mapped_path": "/srv/data", "users": ["v2"],
                     "groups": ["staff"]}],
        "groups": [{
            "id": 4, "name": "staff", "created_at": 11, "updated_at": 12, "users": ["v2"],
            "admins": null, "virtual_folders": [
                {"id": 1, "name": "data", "mapped_path": "/srv/old", "virtual_path": "/g"}],
            "user_settings": {"quota_size": 5, "filters": {"hooks": {}, "tls_certs": ["x"]},
                              "filesystem": {"provider": 0, "s3config": {}}},
        }],
        "users": [with_folders("v2", json!([
            {"name": "data", "mapped_path": "/srv/stale", "virtual_path": "/v"},
            {"name": "lost", "mapped_path": "/srv/lost", "virtual_path": "/w",
             "quota_size": -1, "quota_files": -1},
        ]))],
        "admins": [{"username": "a", "status": 1, "password": "$2a$10$x", "permissions": ["*"],
                    "groups": [{"name": "staff", "options": {"add_to_users_as": 2}}]}],
    });
    let store = store();
    let load = async |dump| load_value(&store, dump, LoadMode::AddOrUpdate).await.unwrap();
    assert_eq!(load(oldest.clone()).await.warnings, Vec::<String>::new());
    assert_eq!(load(older.clone()).await.warnings, Vec::<String>::new());
    let report = load(newer.clone()).await;
    assert_eq!(report.warnings.len(), 1, "{report:?}");
    assert!(report.warnings[0].contains("\"tls_certs\""), "{report:?}");

    let mounts = async |name: &str| -> Vec<(String, String, String, i64, i64)> {
        let user = store.user(name).await.unwrap().unwrap();
        let mounts = user.virtual_folders.into_iter();
        mounts
            .map(|m| {
                let folder = m.folder;
                (m.virtual_path, folder.name, folder.mapped_path, m.quota_size, m.quota_files)
            })
            .collect()
    };
    let row = |at: &str, name: &str, path: &str, size: i64, files: i64| {
        (at.to_owned(), name.to_owned(), path.to_owned(), size, files)
    };
    assert_eq!(mounts("s0").await, [row("/v", "srv-inline", "/srv/inline", -1, -1)]);
    let v1 = mounts("v1").await;
    assert_eq!(v1, [row("/v", &v1[0].1, "/srv/by path", 0, 9)]);
    assert!(v1[0].1.starts_with("srv-by-path-"), "{v1:?}");
    let want = [row("/v", "data", "/srv/data", 0, 0), row("/w", "lost", "/srv/lost", -1, -1)];
    assert_eq!(mounts("v2").await, want);
    let staff = store.group("staff").await.unwrap().unwrap();
    assert_eq!((staff.created_at, staff.updated_at, staff.user_settings.quota_size), (11, 12, 5));
    assert_eq!(staff.virtual_folders[0].folder.mapped_path, "/srv/data");
    assert_eq!((staff.users, staff.admins), (vec![], vec!["a".to_owned()]));

    // Loading again changes nothing.
    let before = store.snapshot().await.unwrap();
    for dump in [oldest, older, newer] {
        load(dump).await;
    }
    let after = store.snapshot().await.unwrap();
    assert_eq!((before.folders, before.groups), (after.folders, after.groups));
    assert_eq!((before.users, before.admins), (after.users, after.admins));
}

#[tokio::test]
async fn a_dump_with_lost_references_is_refused_whole() {
    let store = store();
    let mut mounting = user("bob");
    mounting["virtual_folders"] = json!([{"name": "gone", "virtual_path": "/v"}]);
    let mut defining = user("bob");
    defining["virtual_folders"] =
        json!([{"name": "bad", "mapped_path": "relative", "virtual_path": "/v"}]);
    let mut member = user("bob");
    member["groups"] = json!([{"name": "nobodys", "type": 1}]);
    for (broken, part) in [
        (mounting, "user \"bob\": virtual_folders: folder \"gone\" does not exist"),
        (defining, "user \"bob\": virtual_folders: folder \"bad\": mapped_path"),
        (member.clone(), "user \"bob\": groups: group \"nobodys\" does not exist"),
    ] {
        let dump = json!({"users": [user("fine"), broken]});
        let error = load_value(&store, dump, LoadMode::AddOrUpdate).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(store.user("fine").await.unwrap(), None);
    }
    // A dump of users alone loads once their groups are there.
    load_value(&store, json!({"groups": [{"name": "nobodys"}]}), LoadMode::AddOnly).await.unwrap();
    load_value(&store, json!({"users": [member]}), LoadMode::AddOnly).await.unwrap();
}

#[tokio::test]
async fn files_are_read_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.json");
    let store = store();
    let error = load_file(&store, &path, LoadMode::AddOnly).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("dump.json"), "{error}");

    std::fs::write(&path, json!({"users": [user("bob")]}).to_string()).unwrap();
    assert_eq!(load_file(&store, &path, LoadMode::AddOnly).await.unwrap().added, 1);

    let len = std::fs::metadata(&path).unwrap().len();
    assert!(read_bounded(&path, len).is_ok());
    assert!(read_bounded(&path, len - 1).is_err());
}

#[tokio::test]
async fn a_dump_file_is_private_and_replaces_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daily/dump.json");
    let first = store();
    load_value(&first, json!({"users": [user("bob")]}), LoadMode::AddOnly).await.unwrap();
    write_dump(path.clone(), b"old and long".to_vec()).await.unwrap();
    let json = to_json(&dump(&first).await.unwrap(), true).unwrap();
    write_dump(path.clone(), json).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let files = std::fs::read_dir(dir.path().join("daily")).unwrap().count();
    assert_eq!(files, 1, "no temporary file is left");
    assert_eq!(load_file(&store(), &path, LoadMode::AddOnly).await.unwrap().added, 1);
    assert!(write_dump(path.join("below-a-file"), Vec::new()).await.is_err());
}

fn options(mode: LoadMode, keeps_newer: bool) -> LoadOptions {
    LoadOptions { mode, keeps_newer }
}

async fn previewed(store: &Store, dump: &Value, options: LoadOptions) -> Preview {
    preview(store, dump.to_string().as_bytes(), options).await.unwrap()
}

#[tokio::test]
async fn a_preview_says_what_a_load_would_do_and_does_nothing() {
    let store = store();
    let before = json!({
        "folders": [{"name": "archive", "mapped_path": "/srv/archive"}],
        "roles": [{"name": "sales"}],
        "users": [user("ann"), user("bob"), user("cyd")],
        "admins": [{
            "username": "root", "password": "a pass phrase", "status": 1, "permissions": ["*"],
        }],
    });
    load_value(&store, before, LoadMode::AddOnly).await.unwrap();
    let mut dump = serde_json::to_value(dump(&store).await.unwrap()).unwrap();
    let as_it_is = previewed(&store, &dump, LoadMode::AddOrUpdate.into()).await;
    assert_eq!((as_it_is.changes, as_it_is.equal), (vec![], 6));

    let users = dump["users"].as_array_mut().unwrap();
    users[0]["quota_size"] = json!(500);
    users[0]["filters"]["denied_ip"] = json!(["192.0.2.0/24"]);
    users[0]["password"] = json!("another pass phrase");
    users[1]["permissions"] = json!({"/": ["list"], "/in": ["*"]});
    users[2]["used_quota_size"] = json!(7);
    users[2]["last_login"] = json!(7);
    let mut new = user("dan");
    new["virtual_folders"] =
        json!([{"name": "made", "mapped_path": "/srv/made", "virtual_path": "/made"}]);
    users.push(new);
    dump["shares"] = json!([{"id": "x"}]);
    let before = self::dump(&store).await.unwrap();
    let told = previewed(&store, &dump, LoadMode::AddOrUpdate.into()).await;
    let named: Vec<_> =
        told.changes.iter().map(|one| (one.change, one.kind, one.name.as_str())).collect();
    assert_eq!(
        named,
        [
            (ChangeKind::Add, ObjectKind::Folder, "made"),
            (ChangeKind::Update, ObjectKind::User, "ann"),
            (ChangeKind::Update, ObjectKind::User, "bob"),
            (ChangeKind::Add, ObjectKind::User, "dan"),
        ]
    );
    let fields = |at: usize| {
        let fields = told.changes[at].fields.iter();
        fields.map(|one| format!("{}: {} > {}", one.field, one.old, one.new)).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(1),
        ["filters.denied_ip:  > 192.0.2.0/24", "quota_size: 0 > 500", "password:  > ",]
    );
    assert_eq!(fields(2), ["permissions./: * > list", "permissions./in:  > *"]);
    assert_eq!((told.equal, told.kept, told.problem.as_str()), (4, 0, ""));
    assert_eq!(told.warnings.len(), 1, "{:?}", told.warnings);
    let after = self::dump(&store).await.unwrap();
    assert_eq!(
        serde_json::to_value(&after).unwrap(),
        serde_json::to_value(&before).unwrap(),
        "nothing has changed"
    );

    let add_only = previewed(&store, &dump, LoadMode::AddOnly.into()).await;
    assert_eq!((add_only.changes.len(), add_only.kept), (2, 2));
    let report = load_value(&store, dump, LoadMode::AddOrUpdate).await.unwrap();
    // A load replaces also what is the same.
    assert_eq!((report.added, report.updated), (1, 6));
}

#[tokio::test]
async fn what_was_changed_here_since_is_told_and_can_be_kept() {
    let store = store();
    let mut users = [user("ann"), user("bob")];
    users.iter_mut().for_each(|user| user["updated_at"] = json!(5));
    load_value(&store, json!({"users": users}), LoadMode::AddOnly).await.unwrap();
    let mut dump = serde_json::to_value(dump(&store).await.unwrap()).unwrap();
    let mut ann = store.user("ann").await.unwrap().unwrap();
    ann.description = "changed here".to_owned();
    ann.used_quota_size = 1;
    store.update_user(ann).await.unwrap();
    dump["users"][1]["description"] = json!("changed in the dump");
    let told = previewed(&store, &dump, LoadMode::AddOrUpdate.into()).await;
    let newer: Vec<bool> = told.changes.iter().map(|change| change.newer_here).collect();
    assert_eq!(newer, [true, false]);

    let keep = options(LoadMode::AddOrUpdate, true);
    let told = previewed(&store, &dump, keep).await;
    assert_eq!((told.changes.len(), told.changes[0].name.as_str(), told.kept), (1, "bob", 1));
    let json = dump.to_string();
    let report = load_watched(&store, json.as_bytes(), keep, &Unwatched).await.unwrap();
    assert_eq!((report.updated, report.skipped), (1, 1));
    let description = async |name: &str| store.user(name).await.unwrap().unwrap().description;
    assert_eq!(description("ann").await, "changed here");
    assert_eq!(description("bob").await, "changed in the dump");
}

#[tokio::test]
async fn a_preview_finds_what_only_the_store_can_refuse() {
    let store = store();
    let mut stray = user("ann");
    stray["role"] = json!("nowhere");
    let dump = json!({"users": [stray]});
    let told = previewed(&store, &dump, LoadMode::AddOrUpdate.into()).await;
    assert!(told.problem.contains("nowhere"), "{}", told.problem);
    assert!(store.user("ann").await.unwrap().is_none());
    let error = load_value(&store, dump, LoadMode::AddOrUpdate).await.unwrap_err();
    assert_eq!(error.to_string(), told.problem);
}

#[tokio::test]
async fn a_preview_never_shows_a_secret() {
    let store = store();
    let secret = "JBSWY3DPEHPK3PXP";
    let admin = |secret: &str| {
        json!({
            "username": "root", "password": "a pass phrase", "status": 1, "permissions": ["*"],
            "filters": {"totp_config": {
                "enabled": true, "config_name": "Default",
                "secret": {"status": "Plain", "payload": secret},
            }},
        })
    };
    load_value(&store, json!({"admins": [admin(secret)]}), LoadMode::AddOnly).await.unwrap();
    let dump = json!({"admins": [admin("KRSXG5CTMVRXEZLU")]});
    let told = previewed(&store, &dump, LoadMode::AddOrUpdate.into()).await;
    let shown = serde_json::to_string(&told).unwrap();
    assert!(shown.contains("totp_config") && shown.contains("\"password\""), "{shown}");
    for hidden in [secret, "KRSXG5CTMVRXEZLU", "a pass phrase", "$2", "$argon2"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

struct Stopped(Arc<AtomicU64>);

impl Watch for Stopped {
    fn expect(&self, steps: u64) {
        assert_eq!(steps, 2);
    }

    fn steps(&self) -> Arc<AtomicU64> {
        self.0.clone()
    }

    fn is_stopped(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_load_that_is_stopped_has_written_nothing() {
    let store = store();
    let json = json!({"users": [user("ann")]}).to_string();
    let watch = Stopped(Arc::default());
    let options = LoadMode::AddOnly.into();
    let error = load_watched(&store, json.as_bytes(), options, &watch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert!(store.user("ann").await.unwrap().is_none());
}
