//! Roles, and the accounts that have them.

use super::*;
use crate::model::Role;

fn role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        description: "d".to_owned(),
        created_at: 1,
        updated_at: 2,
        ..Role::default()
    }
}

fn user_of(name: &str, role: &str) -> User {
    User { role: role.to_owned(), ..user(name) }
}

fn admin_of(name: &str, role: &str) -> Admin {
    Admin { role: role.to_owned(), ..admin(name) }
}

#[test]
fn a_role_knows_who_has_it() {
    on_every_provider(|provider| {
        provider.add_role(&role("sales")).unwrap();
        provider.add_role(&role("it")).unwrap();
        let stored = provider.role("sales").unwrap().unwrap();
        assert!(stored.id > 0);
        assert_eq!(stored, Role { id: stored.id, ..role("sales") });

        for name in ["zoe", "adam"] {
            provider.add_user(&user_of(name, "sales")).unwrap();
            provider.add_admin(&admin_of(name, "sales")).unwrap();
        }
        provider.add_user(&user("free")).unwrap();
        assert_eq!(provider.user("zoe").unwrap().unwrap().role, "sales");
        assert_eq!(provider.admin("zoe").unwrap().unwrap().role, "sales");
        let sales = provider.role("sales").unwrap().unwrap();
        assert_eq!((sales.users, sales.admins), (names(&["adam", "zoe"]), names(&["adam", "zoe"])));
        assert_eq!(provider.usernames_of_role("sales").unwrap(), ["adam", "zoe"]);
        assert_eq!(provider.usernames_of_role("it").unwrap(), names(&[]));

        let all = provider.roles(Page::default()).unwrap();
        let shown: Vec<_> = all.iter().map(|role| (role.name.as_str(), role.users.len())).collect();
        assert_eq!(shown, [("it", 0), ("sales", 2)]);
        let last = Page { offset: 0, limit: 1, descending: true };
        assert_eq!(provider.roles(last).unwrap()[0].name, "sales");

        // A replacement moves accounts, also away from every role.
        provider.update_user(&user_of("zoe", "it")).unwrap();
        provider.update_user(&user_of("adam", "")).unwrap();
        provider.update_admin(&admin_of("zoe", "")).unwrap();
        let sales = provider.role("sales").unwrap().unwrap();
        assert_eq!((sales.users, sales.admins), (names(&[]), names(&["adam"])));
        assert_eq!(provider.role("it").unwrap().unwrap().users, ["zoe"]);
    });
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn users_of_one_role_come_in_pages_of_their_own() {
    on_every_provider(|provider| {
        provider.add_role(&role("sales")).unwrap();
        for name in ["a", "c", "e"] {
            provider.add_user(&user_of(name, "sales")).unwrap();
        }
        for name in ["b", "d"] {
            provider.add_user(&user(name)).unwrap();
        }
        let page = |offset, limit, descending| {
            let page = Page { offset, limit, descending };
            let users = provider.users(page, Some("sales")).unwrap();
            users.into_iter().map(|user| user.username).collect::<Vec<_>>()
        };
        assert_eq!(page(0, 100, false), ["a", "c", "e"]);
        assert_eq!(page(1, 1, false), ["c"]);
        assert_eq!(page(0, 2, true), ["e", "c"]);
        assert_eq!(page(3, 5, false), names(&[]));
        assert_eq!(provider.users(Page::default(), Some("other")).unwrap(), []);
        assert_eq!(provider.users(Page::default(), None).unwrap().len(), 5);
    });
}

#[test]
fn accounts_cannot_have_a_role_that_is_not_there() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        provider.add_admin(&admin("root")).unwrap();
        let refused = [
            ("user \"eve\"", provider.add_user(&user_of("eve", "ghost"))),
            ("user \"bob\"", provider.update_user(&user_of("bob", "ghost"))),
            ("admin \"eve\"", provider.add_admin(&admin_of("eve", "ghost"))),
            ("admin \"root\"", provider.update_admin(&admin_of("root", "ghost"))),
            (
                "user \"eve\"",
                provider
                    .restore(
                        &Objects { users: vec![user_of("eve", "ghost")], ..Objects::default() },
                        RestoreMode::AddOnly,
                    )
                    .map(drop),
            ),
            (
                "admin \"root\"",
                provider
                    .restore(
                        &Objects { admins: vec![admin_of("root", "ghost")], ..Objects::default() },
                        RestoreMode::AddOrUpdate,
                    )
                    .map(drop),
            ),
        ];
        for (who, result) in refused {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("{who}: role: there is no role \"ghost\""));
        }
        assert_eq!(provider.user("eve").unwrap(), None);
        assert_eq!(provider.admin("eve").unwrap(), None);
        assert_eq!(provider.user("bob").unwrap().unwrap().role, "");
    });
}

#[test]
fn roles_are_unique_replaced_and_missed_by_name() {
    on_every_provider(|provider| {
        provider.add_role(&role("sales")).unwrap();
        assert_eq!(provider.add_role(&role("sales")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let id = provider.role("sales").unwrap().unwrap().id;
        let change = Role {
            description: String::new(),
            created_at: 100,
            updated_at: 101,
            users: names(&["nobody"]),
            ..role("sales")
        };
        provider.update_role(&change).unwrap();
        let want = Role { id, description: String::new(), updated_at: 101, ..role("sales") };
        assert_eq!(provider.role("sales").unwrap().unwrap(), want);

        for result in [provider.update_role(&role("ghost")), provider.delete_role("ghost", 1)] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(provider.role("ghost").unwrap(), None);
    });
}

#[test]
fn a_role_stays_as_long_as_an_admin_has_it_and_leaves_its_users_without() {
    on_every_provider(|provider| {
        provider.add_role(&role("sales")).unwrap();
        provider.add_user(&user_of("bob", "sales")).unwrap();
        for n in 0..7 {
            provider.add_admin(&admin_of(&format!("a{n}"), "sales")).unwrap();
        }
        let error = provider.delete_role("sales", 50).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let told = error.to_string();
        assert!(told.contains("\"a0\"") && told.contains("and 2 more"), "{told}");
        assert!(!told.contains("\"a5\""), "{told}");
        assert_eq!(provider.user("bob").unwrap().unwrap().role, "sales");

        for n in 0..7 {
            provider.delete_admin(&format!("a{n}")).unwrap();
        }
        provider.delete_role("sales", 50).unwrap();
        let bob = provider.user("bob").unwrap().unwrap();
        assert_eq!((bob.role.as_str(), bob.updated_at), ("", 50));
        assert_eq!(provider.role("sales").unwrap(), None);
    });
}

#[test]
fn a_restore_brings_roles_before_those_who_have_them() {
    on_every_provider(|provider| {
        let objects = Objects {
            roles: vec![role("sales")],
            users: vec![user_of("bob", "sales")],
            admins: vec![admin_of("anna", "sales")],
            ..Objects::default()
        };
        let done = provider.restore(&objects, RestoreMode::AddOnly).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (3, 0, 0));
        assert_eq!(provider.role("sales").unwrap().unwrap().users, ["bob"]);
        assert_eq!(provider.role("sales").unwrap().unwrap().created_at, 1);

        let done = provider.restore(&objects, RestoreMode::AddOnly).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (0, 3, 0));
        let newer = Role { description: "new".to_owned(), created_at: 7, ..role("sales") };
        let objects = Objects { roles: vec![newer], ..objects };
        let done = provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap();
        assert_eq!((done.added, done.skipped, done.updated), (0, 0, 3));
        let sales = provider.role("sales").unwrap().unwrap();
        assert_eq!((sales.description.as_str(), sales.created_at), ("new", 7));

        let snapshot = provider.snapshot().unwrap();
        assert_eq!(snapshot.roles.len(), 1);
        assert_eq!(snapshot.roles[0].name, "sales");
        assert_eq!(snapshot.users[0].role, "sales");
    });
}
