//! What every provider must do, run on each of them.

mod changes;
mod lists;
mod relations;
mod roles;
mod totals;

use std::sync::Arc;

use actors::ids::{AccountId, Direction};
use actors::ports::{Transferred, TransferredDelta, Usage, UsageDelta};

use super::sql::SqlProvider;
use super::{Objects, Page, Provider, RestoreMode};
use crate::config::DataProviderConfig;
use crate::error::ErrorKind;
use crate::model::{
    Admin, AdminGroupMapping, AdminGroupMappingOptions, AdminPermission, Folder, Group,
    GroupMapping, Permission, Permissions, Role, User, VirtualFolder,
};

/// One line per provider.
fn on_every_provider(check: fn(Arc<dyn Provider>)) {
    let memory = SqlProvider::in_memory().unwrap();
    memory.migrate().unwrap();
    check(Arc::new(memory));

    let dir = tempfile::tempdir().unwrap();
    let file = SqlProvider::open(&DataProviderConfig::default(), dir.path()).unwrap();
    file.migrate().unwrap();
    check(Arc::new(file));
}

fn user(name: &str) -> User {
    User {
        username: name.to_owned(),
        status: 1,
        email: format!("{name}@example.com"),
        description: "d".to_owned(),
        additional_info: "ä\u{1f980}".to_owned(),
        expiration_date: 5,
        password: "$2a$10$hash".into(),
        has_password: true,
        public_keys: vec!["ssh-ed25519 AAAA x".to_owned()],
        home_dir: format!("/srv/{name}"),
        uid: 1,
        gid: 2_147_483_647,
        max_sessions: 3,
        quota_size: i64::MAX,
        quota_files: 4,
        permissions: Permissions::on_root([Permission::List, Permission::Any]),
        upload_bandwidth: 6,
        download_bandwidth: 7,
        upload_data_transfer: 12,
        download_data_transfer: 13,
        total_data_transfer: 14,
        created_at: 8,
        updated_at: 9,
        last_login: 10,
        last_password_change: 11,
        filters: serde_json::from_str(r#"{"denied_ip":["10.0.0.0/8"],"start_directory":"/x"}"#)
            .unwrap(),
        ..User::default()
    }
}

fn admin(name: &str) -> Admin {
    Admin {
        username: name.to_owned(),
        status: 1,
        email: "a@b".to_owned(),
        password: "$2a$10$hash".into(),
        permissions: vec![AdminPermission::ViewConns, AdminPermission::CloseConns],
        created_at: 1,
        updated_at: 2,
        last_login: 3,
        ..Admin::default()
    }
}

fn folder(name: &str) -> Folder {
    Folder {
        name: name.to_owned(),
        mapped_path: format!("/srv/{name}"),
        description: "d".to_owned(),
        ..Folder::default()
    }
}

fn group(name: &str) -> Group {
    Group {
        name: name.to_owned(),
        description: "d".to_owned(),
        created_at: 1,
        updated_at: 2,
        user_settings: serde_json::from_str(
            r#"{"home_dir":"/srv/%username%","quota_size":5,"expires_in":3,
                "permissions":{"/x":["list"]},"filters":{"denied_ip":["10.0.0.0/8"]}}"#,
        )
        .unwrap(),
        ..Group::default()
    }
}

/// A mount that only names its folder, as it is written.
fn mount(folder: &str, at: &str, quota: i64) -> VirtualFolder {
    VirtualFolder {
        folder: Folder { name: folder.to_owned(), ..Folder::default() },
        virtual_path: at.to_owned(),
        quota_size: quota,
        quota_files: quota,
    }
}

fn member(group: &str, kind: i32) -> GroupMapping {
    GroupMapping { name: group.to_owned(), kind }
}

/// Mount point and name of each folder.
fn in_group(name: &str) -> AdminGroupMapping {
    let options = AdminGroupMappingOptions { add_to_users_as: 1 };
    AdminGroupMapping { name: name.to_owned(), options }
}

fn role(name: &str) -> Role {
    Role { name: name.to_owned(), ..Role::default() }
}

fn mounted(mounts: &[VirtualFolder]) -> Vec<(&str, &str)> {
    mounts.iter().map(|mount| (mount.virtual_path.as_str(), mount.folder.name.as_str())).collect()
}

#[test]
fn objects_are_read_as_they_were_written() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert!(stored.id > 0);
        assert_eq!(stored, User { id: stored.id, ..user("bob") });

        provider.add_admin(&admin("root")).unwrap();
        let stored = provider.admin("root").unwrap().unwrap();
        assert_eq!(stored, Admin { id: stored.id, ..admin("root") });

        provider.add_folder(&folder("data")).unwrap();
        let stored = provider.folder("data").unwrap().unwrap();
        assert_eq!(stored, Folder { id: stored.id, ..folder("data") });

        provider.add_group(&group("staff")).unwrap();
        let stored = provider.group("staff").unwrap().unwrap();
        assert_eq!(stored, Group { id: stored.id, ..group("staff") });
    });
}

#[test]
fn names_are_unique_and_missing_objects_are_not_found() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        provider.add_admin(&admin("bob")).unwrap();
        provider.add_folder(&folder("bob")).unwrap();
        provider.add_group(&group("bob")).unwrap();
        let again = [
            provider.add_user(&user("bob")),
            provider.add_admin(&admin("bob")),
            provider.add_folder(&folder("bob")),
            provider.add_group(&group("bob")),
        ];
        for result in again {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        // Names differ by case.
        provider.add_user(&user("BOB")).unwrap();

        let missing = [
            provider.update_user(&user("eve")),
            provider.delete_user("eve"),
            provider.update_admin(&admin("eve")),
            provider.delete_admin("eve"),
            provider.update_folder(&folder("eve")),
            provider.delete_folder("eve"),
            provider.update_group(&group("eve")),
            provider.delete_group("eve"),
        ];
        for result in missing {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(provider.user("eve").unwrap(), None);
        assert_eq!(provider.admin("eve").unwrap(), None);
        assert_eq!(provider.folder("eve").unwrap(), None);
        assert_eq!(provider.group("eve").unwrap(), None);
    });
}

#[test]
fn an_update_keeps_what_only_the_server_knows() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        let id = provider.user("bob").unwrap().unwrap().id;
        let change = User {
            password: "".into(),
            has_password: false,
            email: String::new(),
            created_at: 100,
            updated_at: 101,
            last_login: 102,
            first_upload: 105,
            first_download: 106,
            last_password_change: 103,
            used_quota_size: 104,
            ..user("bob")
        };
        provider.update_user(&change).unwrap();
        let want = User { id, email: String::new(), updated_at: 101, ..user("bob") };
        assert_eq!(provider.user("bob").unwrap().unwrap(), want);

        provider.update_user(&User { password: "$6$new".into(), ..change }).unwrap();
        let want = User { password: "$6$new".into(), last_password_change: 103, ..want };
        assert_eq!(provider.user("bob").unwrap().unwrap(), want);

        provider.add_admin(&admin("root")).unwrap();
        let id = provider.admin("root").unwrap().unwrap().id;
        let change = Admin {
            password: "".into(),
            status: 0,
            created_at: 100,
            updated_at: 101,
            last_login: 102,
            ..admin("root")
        };
        provider.update_admin(&change).unwrap();
        let want = Admin { id, status: 0, updated_at: 101, ..admin("root") };
        assert_eq!(provider.admin("root").unwrap().unwrap(), want);

        provider.add_group(&group("staff")).unwrap();
        let id = provider.group("staff").unwrap().unwrap().id;
        let change = Group {
            description: String::new(),
            created_at: 100,
            updated_at: 101,
            ..group("staff")
        };
        provider.update_group(&change).unwrap();
        let want = Group { id, created_at: 1, ..change };
        assert_eq!(provider.group("staff").unwrap().unwrap(), want);
    });
}

#[test]
fn pages_are_sorted_by_name() {
    on_every_provider(|provider| {
        for name in ["c", "a", "B", "d", "b"] {
            provider.add_user(&user(name)).unwrap();
            provider.add_admin(&admin(name)).unwrap();
            provider.add_folder(&folder(name)).unwrap();
            provider.add_group(&group(name)).unwrap();
        }
        let table: &[(Page, &[&str])] = &[
            (Page::default(), &["B", "a", "b", "c", "d"]),
            (Page { descending: true, ..Page::default() }, &["d", "c", "b", "a", "B"]),
            (Page { offset: 1, limit: 2, descending: false }, &["a", "b"]),
            (Page { offset: 4, limit: 2, descending: true }, &["B"]),
            (Page { offset: 9, limit: 2, descending: false }, &[]),
        ];
        for (page, want) in table {
            let users = provider.users(*page, None).unwrap();
            assert_eq!(users.iter().map(|u| u.username.as_str()).collect::<Vec<_>>(), *want);
            let admins = provider.admins(*page).unwrap();
            assert_eq!(admins.iter().map(|a| a.username.as_str()).collect::<Vec<_>>(), *want);
            let folders = provider.folders(*page).unwrap();
            assert_eq!(folders.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), *want);
            let groups = provider.groups(*page).unwrap();
            assert_eq!(groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), *want);
        }
    });
}

#[test]
fn logins_are_noted_only_if_the_last_one_is_old() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        provider.add_admin(&admin("root")).unwrap();
        let mut seen = Vec::new();
        for (now, older_than) in [(50, 10), (60, 11), (70, 60), (80, 61)] {
            provider.touch_user_login("bob", now, older_than).unwrap();
            provider.touch_admin_login("root", now, older_than).unwrap();
            let user = provider.user("bob").unwrap().unwrap();
            let admin = provider.admin("root").unwrap().unwrap();
            assert_eq!(user.updated_at, 9, "a login is no change of the account");
            seen.push((user.last_login, admin.last_login));
        }
        assert_eq!(seen, [(10, 50), (60, 50), (60, 70), (80, 70)]);
        provider.touch_user_login("nobody", 1, 1).unwrap();
    });
}

#[test]
fn the_first_transfer_of_each_direction_is_noted_and_no_other() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        let noted = || {
            let user = provider.user("bob").unwrap().unwrap();
            assert_eq!(user.updated_at, 9, "a transfer is no change of the account");
            (user.first_upload, user.first_download)
        };
        assert_eq!(noted(), (0, 0));
        provider.note_first_transfer("bob", Direction::Download, 50).unwrap();
        assert_eq!(noted(), (0, 50));
        for now in [60, 70] {
            provider.note_first_transfer("bob", Direction::Upload, now).unwrap();
            provider.note_first_transfer("bob", Direction::Download, now).unwrap();
            assert_eq!(noted(), (60, 50));
        }
        provider.note_first_transfer("nobody", Direction::Upload, 1).unwrap();
        // A backup from before them does not undo that, another one tells.
        let backup = |first_upload| Objects {
            users: vec![User { first_upload, ..user("bob") }],
            ..Objects::default()
        };
        for mode in [RestoreMode::AddOrUpdate, RestoreMode::ReplaceAll] {
            provider.restore(&backup(0), mode).unwrap();
            assert_eq!(noted(), (60, 50), "{mode:?}");
        }
        provider.restore(&backup(30), RestoreMode::AddOrUpdate).unwrap();
        assert_eq!(noted(), (30, 50));
    });
}

#[test]
fn a_hash_is_swapped_only_if_it_is_still_there() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        assert!(provider.swap_user_password("bob", "$2a$10$hash", "new").unwrap());
        assert!(!provider.swap_user_password("bob", "$2a$10$hash", "other").unwrap());
        assert_eq!(provider.user("bob").unwrap().unwrap().password.as_str(), "new");
        assert!(!provider.swap_user_password("eve", "", "x").unwrap());

        provider.add_admin(&admin("root")).unwrap();
        assert!(provider.swap_admin_password("root", "$2a$10$hash", "new").unwrap());
        assert!(!provider.swap_admin_password("root", "$2a$10$hash", "other").unwrap());
        assert_eq!(provider.admin("root").unwrap().unwrap().password.as_str(), "new");
    });
}

#[test]
fn only_the_first_admin_is_the_first() {
    on_every_provider(|provider| {
        assert!(provider.add_first_admin(&admin("one")).unwrap());
        assert!(!provider.add_first_admin(&admin("two")).unwrap());
        assert_eq!(provider.admin("two").unwrap(), None);
    });
}

#[test]
fn usage_adds_up_and_never_goes_below_zero() {
    on_every_provider(|provider| {
        let bob = AccountId::user("bob");
        let data = AccountId::folder("bob");
        let nobody = AccountId::user("nobody");
        provider.add_user(&user("bob")).unwrap();
        provider.add_folder(&folder("bob")).unwrap();
        assert_eq!(provider.usage(&bob).unwrap(), Usage::default());

        let delta = |bytes, files| UsageDelta { bytes, files };
        provider
            .add_usage(
                &[
                    (bob.clone(), delta(100, 2)),
                    (data.clone(), delta(7, 1)),
                    (nobody.clone(), delta(5, 5)),
                    (bob.clone(), delta(-30, 1)),
                ],
                1000,
            )
            .unwrap();
        let usage = |size, files, at| Usage { size, files, updated_unix_ms: at };
        assert_eq!(provider.usage(&bob).unwrap(), usage(70, 3, 1000));
        assert_eq!(provider.usage(&data).unwrap(), usage(7, 1, 1000));
        assert_eq!(provider.usage(&nobody).unwrap(), Usage::default());

        provider.add_usage(&[(bob.clone(), delta(-71, 1))], 2000).unwrap();
        assert_eq!(provider.usage(&bob).unwrap(), usage(0, 4, 2000));

        provider.set_usage(&bob, usage(u64::MAX, 9, 3000)).unwrap();
        assert_eq!(provider.usage(&bob).unwrap(), usage(i64::MAX as u64, 9, 3000));
        provider.set_usage(&nobody, usage(1, 1, 1)).unwrap();
        assert_eq!(provider.usage(&nobody).unwrap(), Usage::default());

        provider.set_usage(&bob, usage(5, 6, 7)).unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert_eq!(
            (stored.used_quota_size, stored.used_quota_files, stored.last_quota_update),
            (5, 6, 7)
        );
        // The counters go with the account and start anew with a new one.
        provider.delete_user("bob").unwrap();
        provider.add_user(&user("bob")).unwrap();
        assert_eq!(provider.usage(&bob).unwrap(), Usage::default());
        assert_eq!(provider.usage(&data).unwrap(), usage(7, 1, 1000));
    });
}

#[test]
fn a_requested_scan_is_noted_until_it_is_done_or_its_account_is_gone() {
    on_every_provider(|provider| {
        let names = ["a", "b", "c"];
        for name in names {
            provider.add_user(&user(name)).unwrap();
            provider.add_folder(&folder(name)).unwrap();
        }
        let all = |limit| provider.requested_scans(None, limit).unwrap();
        assert_eq!(all(10), []);
        let [a, b, c] = names.map(AccountId::user);
        let [fa, fb, fc] = names.map(AccountId::folder);
        for account in [&fc, &a, &c, &fa, &a, &AccountId::user("nobody")] {
            provider.request_scan(account, 1000).unwrap();
        }
        // A clock that is not set yet is no reason to forget it.
        provider.request_scan(&fb, 0).unwrap();
        let want = [a.clone(), c.clone(), fa.clone(), fb.clone(), fc.clone()];
        assert_eq!(all(10), want);
        assert_eq!(all(2), want[..2]);
        for (at, after) in want.iter().enumerate() {
            assert_eq!(provider.requested_scans(Some(after), 10).unwrap(), want[at + 1..]);
        }
        assert_eq!(provider.requested_scans(Some(&b), 1).unwrap(), std::slice::from_ref(&c));
        provider.scan_done(&c).unwrap();
        provider.delete_folder("b").unwrap();
        provider.update_user(&user("a")).unwrap();
        provider.set_usage(&a, Usage::default()).unwrap();
        assert_eq!(all(10), [a.clone(), fa, fc]);
        provider.delete_user("a").unwrap();
        provider.add_user(&user("a")).unwrap();
        assert!(!all(10).contains(&a));
    });
}

#[test]
fn what_was_transferred_adds_up_and_never_goes_below_zero() {
    on_every_provider(|provider| {
        let (bob, nobody) = (AccountId::user("bob"), AccountId::user("nobody"));
        provider.add_user(&user("bob")).unwrap();
        assert_eq!(provider.transferred(&bob).unwrap(), Transferred::default());
        let delta = |uploaded, downloaded| TransferredDelta { uploaded, downloaded };
        provider
            .add_transferred(&[
                (bob.clone(), delta(100, 2)),
                (nobody.clone(), delta(5, 5)),
                (bob.clone(), delta(-30, 1)),
            ])
            .unwrap();
        let transferred = |uploaded, downloaded| Transferred { uploaded, downloaded };
        assert_eq!(provider.transferred(&bob).unwrap(), transferred(70, 3));
        assert_eq!(provider.transferred(&nobody).unwrap(), Transferred::default());
        provider.add_transferred(&[(bob.clone(), delta(-71, i64::MAX - 3))]).unwrap();
        assert_eq!(provider.transferred(&bob).unwrap(), transferred(0, i64::MAX as u64));

        // Apart from what is stored, and shown with the user.
        provider.add_transferred(&[(bob.clone(), delta(8, -9))]).unwrap();
        provider.set_usage(&bob, Usage { size: 5, files: 6, updated_unix_ms: 7 }).unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert_eq!(stored.used_upload_data_transfer, 8);
        assert_eq!(stored.used_download_data_transfer, i64::MAX - 9);
        assert_eq!(stored.used_quota_size, 5);
        provider.update_user(&User { total_data_transfer: 1, ..user("bob") }).unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert_eq!((stored.total_data_transfer, stored.used_upload_data_transfer), (1, 8));
        provider.delete_user("bob").unwrap();
        provider.add_user(&user("bob")).unwrap();
        assert_eq!(provider.transferred(&bob).unwrap(), Transferred::default());
    });
}

#[test]
fn a_restore_is_all_or_nothing() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        let objects = Objects {
            folders: vec![folder("data")],
            groups: vec![Group { virtual_folders: vec![mount("data", "/g", 0)], ..group("staff") }],
            users: vec![
                User { email: String::new(), password: "".into(), created_at: 77, ..user("bob") },
                User {
                    virtual_folders: vec![mount("data", "/d", -1)],
                    groups: vec![member("staff", 1)],
                    ..user("eve")
                },
            ],
            admins: vec![admin("root"), Admin { password: "".into(), ..admin("weak") }],
            ..Objects::default()
        };
        let error = provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("\"weak\""), "{error}");
        assert_eq!(provider.folder("data").unwrap(), None);
        assert_eq!(provider.user("eve").unwrap(), None);
        assert_eq!(provider.user("bob").unwrap().unwrap().email, "bob@example.com");

        let objects = Objects { admins: vec![admin("root")], ..objects };
        let done = provider.restore(&objects, RestoreMode::AddOnly).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (4, 1, 0));
        assert_eq!(provider.user("bob").unwrap().unwrap().created_at, 8);
        let eve = provider.user("eve").unwrap().unwrap();
        assert_eq!(mounted(&eve.virtual_folders), [("/d", "data")]);
        assert_eq!(eve.groups, [member("staff", 1)]);
        // What is left alone keeps its relations as well.
        provider.update_user(&user("eve")).unwrap();
        let done = provider.restore(&objects, RestoreMode::AddOnly).unwrap();
        assert_eq!((done.added, done.skipped), (0, 5));
        assert!(provider.user("eve").unwrap().unwrap().groups.is_empty());

        provider
            .set_usage(&AccountId::user("bob"), Usage { size: 5, files: 1, updated_unix_ms: 1 })
            .unwrap();
        let done = provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (0, 0, 5));
        assert_eq!(done.updated_users, ["bob", "eve"]);
        let bob = provider.user("bob").unwrap().unwrap();
        assert_eq!((bob.email.as_str(), bob.created_at, bob.used_quota_size), ("", 77, 5));
        assert_eq!(bob.password.as_str(), "$2a$10$hash", "kept, as the dump has none");

        let snapshot = provider.snapshot().unwrap();
        assert_eq!(snapshot.users.len(), 2);
        assert_eq!(snapshot.users[0], bob);
        assert_eq!((snapshot.folders.len(), snapshot.admins.len()), (1, 1));
        assert_eq!(snapshot.users[1], provider.user("eve").unwrap().unwrap());
        assert_eq!(snapshot.groups, [provider.group("staff").unwrap().unwrap()]);
        assert_eq!(snapshot.folders[0].users, ["eve"]);

        // A reference into nothing undoes everything.
        let lost = User { groups: vec![member("gone", 2)], ..user("lost") };
        let objects = Objects { users: vec![user("fine"), lost], ..Objects::default() };
        let error = provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(provider.user("fine").unwrap(), None);
    });
}

#[test]
fn a_restore_in_place_of_everything_leaves_nothing_else() {
    on_every_provider(|provider| {
        let mounted_data = User { virtual_folders: vec![mount("data", "/d", -1)], ..user("bob") };
        let before = Objects {
            folders: vec![folder("data"), folder("old")],
            groups: vec![group("staff"), group("former")],
            users: vec![mounted_data, User { groups: vec![member("former", 1)], ..user("eve") }],
            admins: vec![admin("root")],
            ..Objects::default()
        };
        provider.restore(&before, RestoreMode::ReplaceAll).unwrap();
        assert!(provider.add_first_admin(&admin("other")).is_ok_and(|added| !added));
        let (bob, data) = (AccountId::user("bob"), AccountId::folder("data"));
        let used = Usage { size: 5, files: 1, updated_unix_ms: 1 };
        for account in [&bob, &data, &AccountId::user("eve")] {
            provider.set_usage(account, used).unwrap();
        }
        provider
            .add_transferred(&[(bob.clone(), TransferredDelta { uploaded: 7, downloaded: 9 })])
            .unwrap();
        provider.request_scan(&data, 3).unwrap();
        provider.touch_user_login("bob", 99, 50).unwrap();

        // A mistake leaves everything as it was.
        let snapshot = provider.snapshot().unwrap();
        let lost = User { groups: vec![member("former", 2)], ..user("lost") };
        let wrong = Objects { users: vec![user("bob"), lost], ..Objects::default() };
        let error = provider.restore(&wrong, RestoreMode::ReplaceAll).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let after = provider.snapshot().unwrap();
        assert_eq!((after.users, after.groups), (snapshot.users, snapshot.groups));
        assert_eq!(provider.usage(&AccountId::user("eve")).unwrap(), used);

        let now = Objects {
            groups: vec![group("staff")],
            users: vec![User { password: "".into(), ..user("bob") }, user("new")],
            folders: vec![folder("data")],
            ..Objects::default()
        };
        let done = provider.restore(&now, RestoreMode::ReplaceAll).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (4, 0, 0));
        assert_eq!(done.gone, [AccountId::user("eve"), AccountId::folder("old")]);
        let after = provider.snapshot().unwrap();
        let names: Vec<_> = after.users.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["bob", "new"]);
        assert_eq!((after.folders.len(), after.groups.len(), after.roles.len()), (1, 1, 0));
        let stored = provider.user("bob").unwrap().unwrap();
        assert!(stored.password.is_empty(), "a password that was taken out is gone");
        assert!(stored.virtual_folders.is_empty());
        assert_eq!(stored.last_login, 99);
        assert_eq!(provider.usage(&bob).unwrap(), used);
        assert_eq!(provider.usage(&data).unwrap(), used);
        assert_eq!(provider.transferred(&bob).unwrap(), Transferred { uploaded: 7, downloaded: 9 });
        assert_eq!(provider.requested_scans(None, 9).unwrap(), [data]);
        assert_eq!(provider.usage(&AccountId::user("new")).unwrap(), Usage::default());
        assert!(provider.admin("root").unwrap().is_some(), "as there is no other");

        let admins = Objects { admins: vec![admin("boss")], ..Objects::default() };
        provider.restore(&admins, RestoreMode::ReplaceAll).unwrap();
        assert_eq!(provider.admin("root").unwrap(), None);
        assert!(provider.snapshot().unwrap().users.is_empty());
    });
}

#[test]
fn administrators_that_stay_keep_their_groups_and_their_role() {
    on_every_provider(|provider| {
        let of_groups = Admin {
            role: "east".to_owned(),
            groups: ["staff", "former"].map(in_group).to_vec(),
            ..admin("root")
        };
        let before = Objects {
            roles: vec![role("east")],
            groups: vec![group("staff"), group("former")],
            admins: vec![of_groups],
            ..Objects::default()
        };
        provider.restore(&before, RestoreMode::ReplaceAll).unwrap();
        let now = Objects { groups: vec![group("staff")], ..Objects::default() };
        provider.restore(&now, RestoreMode::ReplaceAll).unwrap();
        let root = provider.admin("root").unwrap().unwrap();
        assert_eq!(root.groups, [in_group("staff")]);
        assert_eq!(root.role, "east", "or it would see all users");
    });
}

#[test]
fn writers_and_readers_do_not_disturb_each_other() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        let bob = AccountId::user("bob");
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (provider, bob) = (provider.clone(), bob.clone());
                std::thread::spawn(move || {
                    for i in 0..25 {
                        let delta = UsageDelta { bytes: 10, files: 1 };
                        provider.add_usage(&[(bob.clone(), delta)], 1).unwrap();
                        provider.add_user(&user(&format!("u-{n}-{i}"))).unwrap();
                        assert!(provider.user("bob").unwrap().is_some());
                        provider.users(Page::default(), None).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let usage = provider.usage(&bob).unwrap();
        assert_eq!((usage.size, usage.files), (1000, 100));
        assert_eq!(
            provider.users(Page { limit: 500, ..Page::default() }, None).unwrap().len(),
            101
        );
    });
}

#[test]
fn names_cannot_inject_sql() {
    on_every_provider(|provider| {
        let name = "x'; DROP TABLE users; --\"%_";
        provider.add_user(&user(name)).unwrap();
        assert_eq!(provider.user(name).unwrap().unwrap().username, name);
        assert_eq!(provider.user("x%").unwrap(), None);
        provider.delete_user(name).unwrap();
    });
}
