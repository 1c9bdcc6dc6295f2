//! Searching, filtering, sorting and counting lists.

use super::*;
use crate::model::{AdminGroupMapping, Role};
use crate::provider::{
    AdminQuery, AdminSort, AdminState, FolderQuery, FolderSort, FolderState, GroupQuery, GroupSort,
    GroupState, RoleQuery, RoleSort,
};

fn page(offset: u32, limit: u32, descending: bool) -> Page {
    Page { offset, limit, descending }
}

/// Everything from the first name.
const ALL: Page = Page { offset: 0, limit: 100, descending: false };

fn text(part: &str) -> Option<String> {
    Some(part.to_owned())
}

/// What every search of a text has to do, for objects of the names `Alpha`, `beta` and
/// `50%_\` of which `beta` alone has `Grün` in the description.
fn search_texts(find: impl Fn(Option<String>, Page) -> (Vec<String>, u64)) {
    let table: &[(&str, &[&str])] = &[
        ("ALPH", &["Alpha"]),
        ("a", &["Alpha", "beta"]),
        ("%", &["50%_\\"]),
        ("_", &["50%_\\"]),
        ("\\", &["50%_\\"]),
        ("0%_\\", &["50%_\\"]),
        ("l%a", &[]),
        ("gRün", &["beta"]),
        ("'; DROP TABLE users; --", &[]),
    ];
    for (part, want) in table {
        let (names, total) = find(text(part), ALL);
        assert_eq!(names, *want, "{part:?}");
        assert_eq!(total, want.len() as u64, "{part:?}");
    }
    // The number is that of all pages.
    assert_eq!(find(None, page(0, 1, false)), (vec!["50%_\\".to_owned()], 3));
    assert_eq!(find(text("a"), page(1, 1, false)), (vec!["beta".to_owned()], 2));
    assert_eq!(find(text("a"), page(1, 1, true)), (vec!["Alpha".to_owned()], 2));
    assert_eq!(find(text("a"), page(7, 1, false)), (vec![], 2));
    // As long as what the REST API lets through.
    assert_eq!(find(text(&"%".repeat(1024)), ALL), (vec![], 0));
}

const NAMES: [(&str, &str); 3] = [("beta", "Grün"), ("Alpha", ""), ("50%_\\", "")];

#[test]
fn texts_are_found_whatever_the_case_of_ascii_letters() {
    on_every_provider(|provider| {
        for (name, description) in NAMES {
            let description = description.to_owned();
            let name = name.to_owned();
            provider
                .add_role(&Role {
                    name: name.clone(),
                    description: description.clone(),
                    ..Role::default()
                })
                .unwrap();
            let path = "/srv".to_owned();
            provider
                .add_folder(&Folder {
                    name: name.clone(),
                    description: description.clone(),
                    mapped_path: path,
                    ..Folder::default()
                })
                .unwrap();
            provider
                .add_group(&Group { description: description.clone(), ..group(&name) })
                .unwrap();
            let email = "x@y.z".to_owned();
            provider
                .add_admin(&Admin { description: description.clone(), email, ..admin(&name) })
                .unwrap();
        }
        search_texts(|text, page| {
            let query = RoleQuery { text, ..RoleQuery::default() };
            let (found, total) = provider.find_roles(&query, page).unwrap();
            (found.into_iter().map(|one| one.name).collect(), total)
        });
        search_texts(|text, page| {
            let query = FolderQuery { text, ..FolderQuery::default() };
            let (found, total) = provider.find_folders(&query, page).unwrap();
            (found.into_iter().map(|one| one.name).collect(), total)
        });
        search_texts(|text, page| {
            let query = GroupQuery { text, ..GroupQuery::default() };
            let (found, total) = provider.find_groups(&query, page).unwrap();
            (found.into_iter().map(|one| one.name).collect(), total)
        });
        search_texts(|text, page| {
            let query = AdminQuery { text, ..AdminQuery::default() };
            let (found, total) = provider.find_admins(&query, page).unwrap();
            (found.into_iter().map(|one| one.username).collect(), total)
        });
    });
}

#[test]
fn folders_are_found_by_who_mounts_them_and_sorted_by_their_size() {
    on_every_provider(|provider| {
        provider.add_role(&Role { name: "sales".to_owned(), ..Role::default() }).unwrap();
        for (name, size) in [("a", 5), ("b", 7), ("c", 5), ("d", 0)] {
            provider.add_folder(&folder(name)).unwrap();
            let usage = Usage { size, files: 1, updated_unix_ms: 10 - size };
            provider.set_usage(&AccountId::folder(name), usage).unwrap();
        }
        provider
            .add_group(&Group { virtual_folders: vec![mount("b", "/b", 0)], ..group("g") })
            .unwrap();
        provider
            .add_user(&User { virtual_folders: vec![mount("a", "/a", 0)], ..user("ann") })
            .unwrap();
        provider
            .add_user(&User {
                role: "sales".to_owned(),
                virtual_folders: vec![
                    mount("a", "/1", 0),
                    mount("a", "/2", 0),
                    mount("c", "/c", 0),
                ],
                ..user("bob")
            })
            .unwrap();
        let find = |query: FolderQuery, page| {
            let (found, total) = provider.find_folders(&query, page).unwrap();
            let names = found.into_iter().map(|one| one.name).collect::<Vec<_>>();
            assert_eq!(total, names.len() as u64, "{query:?}");
            names.concat()
        };
        let all = FolderQuery::default;
        let state = |state| FolderQuery { state: Some(state), ..all() };
        let sales = Some("sales".to_owned());
        let nobody = Some("nobody".to_owned());
        let (mounted, unmounted) = (FolderState::Mounted, FolderState::Unmounted);
        let by = |user: &str| FolderQuery { user: Some(user.to_owned()), ..all() };
        let table = [
            (all(), "abcd"),
            (state(mounted), "abc"),
            (state(unmounted), "d"),
            // Of no other role is anything told.
            (FolderQuery { role: sales.clone(), ..state(mounted) }, "abc"),
            (FolderQuery { role: nobody.clone(), ..state(mounted) }, "b"),
            (FolderQuery { role: nobody.clone(), ..state(unmounted) }, "acd"),
            (by("ann"), "a"),
            (by("bob"), "ac"),
            (FolderQuery { role: sales.clone(), ..by("bob") }, "ac"),
            (FolderQuery { role: sales.clone(), ..by("ann") }, ""),
            (by("none"), ""),
            (FolderQuery { group: Some("g".to_owned()), ..all() }, "b"),
            (FolderQuery { group: Some("g".to_owned()), ..by("bob") }, ""),
            (FolderQuery { text: text("SRV/A"), ..state(mounted) }, "a"),
        ];
        for (query, want) in table {
            assert_eq!(find(query.clone(), ALL), want, "{query:?}");
        }
        let by = |sort| FolderQuery { sort, ..all() };
        let backwards = page(0, 9, true);
        assert_eq!(find(by(FolderSort::UsedSize), ALL), "dacb");
        assert_eq!(find(by(FolderSort::UsedSize), backwards), "bcad");
        assert_eq!(find(by(FolderSort::LastQuotaUpdate), ALL), "bacd");
        assert_eq!(find(by(FolderSort::Name), backwards), "dcba");

        assert_eq!(provider.folder_names(2).unwrap(), ["a", "b"]);
        assert_eq!(provider.size_of_folders().unwrap(), 17);
        // More than fits into the integers of databases is still a size.
        for name in ["a", "b"] {
            let usage = Usage { size: i64::MAX as u64, files: 1, updated_unix_ms: 1 };
            provider.set_usage(&AccountId::folder(name), usage).unwrap();
        }
        assert_eq!(provider.size_of_folders().unwrap(), u64::MAX, "5 more in c");
        for name in ["a", "b", "c", "d"] {
            provider.delete_folder(name).unwrap();
        }
        assert_eq!(provider.size_of_folders().unwrap(), 0);
    });
}

#[test]
fn groups_are_found_by_their_users_and_folders() {
    on_every_provider(|provider| {
        provider.add_role(&Role { name: "sales".to_owned(), ..Role::default() }).unwrap();
        provider.add_folder(&folder("data")).unwrap();
        for (name, created_at, updated_at) in [("a", 3, 5), ("b", 2, 5), ("c", 1, 6)] {
            provider.add_group(&Group { created_at, updated_at, ..group(name) }).unwrap();
        }
        let mounting = Group { virtual_folders: vec![mount("data", "/d", 0)], ..group("b") };
        provider.update_group(&Group { updated_at: 5, ..mounting }).unwrap();
        provider.add_user(&User { groups: vec![member("a", 1)], ..user("ann") }).unwrap();
        let sales = || Some("sales".to_owned());
        let bob = User {
            role: "sales".to_owned(),
            groups: vec![member("a", 1), member("b", 2)],
            ..user("bob")
        };
        provider.add_user(&bob).unwrap();
        let find = |query: GroupQuery, page| {
            let (found, total) = provider.find_groups(&query, page).unwrap();
            let names = found.into_iter().map(|one| one.name).collect::<Vec<_>>();
            assert_eq!(total, names.len() as u64, "{query:?}");
            names.concat()
        };
        let all = GroupQuery::default;
        let state = |state| GroupQuery { state: Some(state), ..all() };
        let by = |user: &str| GroupQuery { user: Some(user.to_owned()), ..all() };
        let (with, without) = (GroupState::WithUsers, GroupState::WithoutUsers);
        let other = || Some("other".to_owned());
        let table = [
            (all(), "abc"),
            (state(with), "ab"),
            (state(without), "c"),
            (GroupQuery { role: sales(), ..state(without) }, "c"),
            (GroupQuery { role: other(), ..state(with) }, ""),
            (GroupQuery { role: other(), ..state(without) }, "abc"),
            (by("bob"), "ab"),
            (GroupQuery { role: sales(), ..by("ann") }, ""),
            (GroupQuery { folder: Some("data".to_owned()), ..all() }, "b"),
            (GroupQuery { folder: Some("none".to_owned()), ..all() }, ""),
        ];
        for (query, want) in table {
            assert_eq!(find(query.clone(), ALL), want, "{query:?}");
        }
        let by = |sort| GroupQuery { sort, ..all() };
        assert_eq!(find(by(GroupSort::CreatedAt), ALL), "cba");
        assert_eq!(find(by(GroupSort::UpdatedAt), ALL), "abc");
        assert_eq!(find(by(GroupSort::UpdatedAt), page(0, 9, true)), "cba");
        assert_eq!(provider.group_names(2).unwrap(), ["a", "b"]);
    });
}

#[test]
fn roles_are_sorted_by_their_times() {
    on_every_provider(|provider| {
        for (name, created_at, updated_at) in [("a", 2, 7), ("b", 1, 7), ("c", 3, 4)] {
            let name = name.to_owned();
            provider.add_role(&Role { name, created_at, updated_at, ..Role::default() }).unwrap();
        }
        provider.add_user(&User { role: "c".to_owned(), ..user("ann") }).unwrap();
        let find = |sort, page| {
            let query = RoleQuery { sort, ..RoleQuery::default() };
            let (found, total) = provider.find_roles(&query, page).unwrap();
            assert_eq!(total, 3);
            let told = |role: Role| role.name + &role.users.concat();
            found.into_iter().map(told).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find(RoleSort::Name, ALL), "a b cann");
        assert_eq!(find(RoleSort::CreatedAt, ALL), "b a cann");
        assert_eq!(find(RoleSort::UpdatedAt, page(0, 2, true)), "b a");
        assert_eq!(provider.role_names(2).unwrap(), ["a", "b"]);
    });
}

#[test]
fn admins_are_found_by_their_state_role_and_groups() {
    on_every_provider(|provider| {
        provider.add_role(&Role { name: "sales".to_owned(), ..Role::default() }).unwrap();
        provider.add_group(&group("g")).unwrap();
        let mut a = Admin { last_login: 0, created_at: 3, updated_at: 1, ..admin("a") };
        // It looks like the column of somebody who has a second factor.
        a.filters.totp_config.config_name = r#""totp_config":{"enabled":true"#.to_owned();
        let mut b = Admin { last_login: 9, created_at: 2, updated_at: 2, ..admin("b") };
        b.filters.allow_list = vec!["10.0.0.0/8".to_owned()];
        b.filters.totp_config.enabled = true;
        let c = Admin { status: 0, role: "sales".to_owned(), created_at: 1, ..admin("c") };
        let joins = AdminGroupMapping { name: "g".to_owned(), ..AdminGroupMapping::default() };
        let d = Admin { groups: vec![joins], updated_at: 8, ..admin("d") };
        for admin in [&a, &b, &c, &d] {
            provider.add_admin(admin).unwrap();
        }
        let find = |query: AdminQuery, page| {
            let (found, total) = provider.find_admins(&query, page).unwrap();
            let names = found.into_iter().map(|one| one.username).collect::<Vec<_>>();
            assert_eq!(total, names.len() as u64, "{query:?}");
            names.concat()
        };
        let all = AdminQuery::default;
        let state = |state| AdminQuery { state: Some(state), ..all() };
        let table = [
            (all(), "abcd"),
            (state(AdminState::Enabled), "abd"),
            (state(AdminState::Disabled), "c"),
            (state(AdminState::NoSecondFactor), "ad"),
            (state(AdminState::NeverLoggedIn), "a"),
            (AdminQuery { role: Some("sales".to_owned()), ..all() }, "c"),
            (AdminQuery { group: Some("g".to_owned()), ..all() }, "d"),
            (AdminQuery { text: text("ALES"), ..all() }, "c"),
            (AdminQuery { text: text("A@B"), ..state(AdminState::Enabled) }, "abd"),
        ];
        for (query, want) in table {
            assert_eq!(find(query.clone(), ALL), want, "{query:?}");
        }
        let by = |sort| AdminQuery { sort, ..all() };
        assert_eq!(find(by(AdminSort::LastLogin), page(0, 9, true)), "bdca");
        assert_eq!(find(by(AdminSort::CreatedAt), ALL), "cdba");
        assert_eq!(find(by(AdminSort::UpdatedAt), ALL), "abcd");
    });
}
