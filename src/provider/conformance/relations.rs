//! Folders and groups of users, and what refers to what.

use actors::ids::AccountId;
use actors::ports::Usage;

use super::{admin, folder, group, member, mount, mounted, on_every_provider, user};
use crate::error::ErrorKind;
use crate::model::{Admin, AdminGroupMapping, AdminGroupMappingOptions, Folder, Group, User};
use crate::provider::{Objects, Page, RestoreMode};

fn joins(group: &str, add_to_users_as: i32) -> AdminGroupMapping {
    AdminGroupMapping {
        name: group.to_owned(),
        options: AdminGroupMappingOptions { add_to_users_as },
    }
}

#[test]
fn relations_are_read_from_both_sides() {
    on_every_provider(|provider| {
        for name in ["a", "b", "unused"] {
            provider.add_folder(&folder(name)).unwrap();
        }
        for name in ["g", "h"] {
            let mounts = vec![mount("b", &format!("/{name}"), 0), mount("b", "/again", -1)];
            provider.add_group(&Group { virtual_folders: mounts, ..group(name) }).unwrap();
        }
        for name in ["bob", "eve"] {
            provider
                .add_user(&User {
                    virtual_folders: vec![mount("a", "/x", -1), mount("b", "/y", 7)],
                    groups: vec![member("g", 1), member("h", 3)],
                    ..user(name)
                })
                .unwrap();
        }
        provider.add_user(&user("plain")).unwrap();
        provider.add_admin(&Admin { groups: vec![joins("h", 2)], ..admin("root") }).unwrap();
        let size = Usage { size: 70, files: 3, updated_unix_ms: 1 };
        provider.set_usage(&AccountId::folder("a"), size).unwrap();

        let bob = provider.user("bob").unwrap().unwrap();
        assert_eq!(mounted(&bob.virtual_folders), [("/x", "a"), ("/y", "b")]);
        let (a, b) = (&bob.virtual_folders[0], &bob.virtual_folders[1]);
        assert_eq!((a.quota_size, a.quota_files, b.quota_size, b.quota_files), (-1, -1, 7, 7));
        let stored = provider.folder("a").unwrap().unwrap();
        assert_eq!(stored.users, ["bob", "eve"]);
        assert_eq!(stored.groups, Vec::<String>::new());
        assert_eq!(a.folder, Folder { users: Vec::new(), ..stored }, "with its counters");
        assert_eq!(a.folder.used_quota_size, 70);
        assert_eq!(bob.groups, [member("g", 1), member("h", 3)]);

        let b = provider.folder("b").unwrap().unwrap();
        assert_eq!(
            (b.users, b.groups),
            (vec!["bob".into(), "eve".into()], vec!["g".into(), "h".into()])
        );
        let g = provider.group("g").unwrap().unwrap();
        assert_eq!(mounted(&g.virtual_folders), [("/again", "b"), ("/g", "b")]);
        assert_eq!(g.users, ["bob", "eve"]);
        let h = provider.group("h").unwrap().unwrap();
        assert_eq!(h.admins, ["root"]);
        assert_eq!(provider.admin("root").unwrap().unwrap().groups, [joins("h", 2)]);

        // Lists have the same objects.
        let users = provider.users(Page::default(), None).unwrap();
        assert_eq!(users.len(), 3);
        assert_eq!(users[0], bob);
        assert_eq!((users[2].virtual_folders.len(), users[2].groups.len()), (0, 0));
        let folders = provider.folders(Page::default()).unwrap();
        assert_eq!(folders[1].users, ["bob", "eve"]);
        assert_eq!(provider.groups(Page::default()).unwrap(), [g.clone(), h.clone()]);
        let admins = provider.admins(Page::default()).unwrap();
        assert_eq!(admins[0].groups, [joins("h", 2)]);

        // An account has what its settings depend on.
        let account = provider.account("bob").unwrap().unwrap();
        assert_eq!(account.user, bob);
        let alone = |group: Group| Group { users: Vec::new(), admins: Vec::new(), ..group };
        assert_eq!(account.groups, [alone(g), alone(h)]);
        assert!(provider.account("plain").unwrap().unwrap().groups.is_empty());
        assert!(provider.account("nobody").unwrap().is_none());
    });
}

#[test]
fn relations_end_with_what_they_relate() {
    on_every_provider(|provider| {
        for name in ["a", "b"] {
            provider.add_folder(&folder(name)).unwrap();
        }
        let mounts = vec![mount("a", "/a", 0), mount("b", "/b", 0)];
        let full = Group { virtual_folders: mounts.clone(), ..group("g") };
        provider.add_group(&full).unwrap();
        let bob = User { virtual_folders: mounts, groups: vec![member("g", 2)], ..user("bob") };
        provider.add_user(&bob).unwrap();
        provider.add_admin(&Admin { groups: vec![joins("g", 0)], ..admin("root") }).unwrap();

        // An update replaces them.
        let fewer = User { virtual_folders: vec![mount("b", "/c", 0)], ..bob.clone() };
        provider.update_user(&fewer).unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert_eq!(mounted(&stored.virtual_folders), [("/c", "b")]);
        provider.update_group(&Group { virtual_folders: Vec::new(), ..full.clone() }).unwrap();
        let stored = provider.group("g").unwrap().unwrap();
        assert!(stored.virtual_folders.is_empty());
        assert_eq!(stored.users, ["bob"], "users stay in the group");
        provider.update_group(&full).unwrap();
        provider.update_user(&bob).unwrap();

        // Without the folder, its mounts are gone and the others stay.
        provider.delete_folder("a").unwrap();
        let stored = provider.user("bob").unwrap().unwrap();
        assert_eq!(mounted(&stored.virtual_folders), [("/b", "b")]);
        let stored = provider.group("g").unwrap().unwrap();
        assert_eq!(mounted(&stored.virtual_folders), [("/b", "b")]);

        // A group with users stays, admins do not hold it.
        let error = provider.delete_group("g").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("bob"), "{error}");
        provider.delete_user("bob").unwrap();
        assert_eq!(provider.folder("b").unwrap().unwrap().users, Vec::<String>::new());
        provider.delete_group("g").unwrap();
        assert_eq!(provider.folder("b").unwrap().unwrap().groups, Vec::<String>::new());
        assert!(provider.admin("root").unwrap().unwrap().groups.is_empty());
        provider.delete_admin("root").unwrap();
    });
}

#[test]
fn what_is_referred_to_must_exist_or_be_defined() {
    on_every_provider(|provider| {
        provider.add_user(&user("bob")).unwrap();
        provider.add_group(&group("g")).unwrap();
        provider.add_admin(&admin("root")).unwrap();
        let lost_folder = vec![mount("nowhere", "/x", 0)];
        let mounts = User { virtual_folders: lost_folder.clone(), ..user("new") };
        let is_member = User { groups: vec![member("nobodys", 1)], ..user("new") };
        let errors = [
            provider.add_user(&mounts).unwrap_err(),
            provider.update_user(&User { username: "bob".into(), ..mounts }).unwrap_err(),
            provider.add_user(&is_member).unwrap_err(),
            provider.update_user(&User { username: "bob".into(), ..is_member }).unwrap_err(),
            provider
                .add_group(&Group { virtual_folders: lost_folder.clone(), ..group("h") })
                .unwrap_err(),
            provider
                .update_group(&Group { virtual_folders: lost_folder, ..group("g") })
                .unwrap_err(),
            provider
                .add_admin(&Admin { groups: vec![joins("nobodys", 0)], ..admin("new") })
                .unwrap_err(),
            provider
                .update_admin(&Admin { groups: vec![joins("nobodys", 0)], ..admin("root") })
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            let text = error.to_string();
            assert!(text.contains("\"nowhere\"") || text.contains("\"nobodys\""), "{text}");
        }
        // Nothing is left of what failed.
        assert_eq!(provider.user("new").unwrap(), None);
        assert_eq!(provider.group("h").unwrap(), None);
        assert_eq!(provider.admin("new").unwrap(), None);

        let mut defined = vec![mount("made", "/x", -1), mount("made", "/y", -1)];
        defined[0].folder = folder("made");
        let makes = User { virtual_folders: defined, ..user("maker") };
        provider.add_user(&makes).unwrap();
        let made = provider.folder("made").unwrap().unwrap();
        assert_eq!(made, Folder { id: made.id, users: vec!["maker".into()], ..folder("made") });
        // A definition changes no folder that exists.
        let mut other = makes.clone();
        other.virtual_folders[0].folder.mapped_path = "/elsewhere".to_owned();
        provider.update_user(&other).unwrap();
        assert_eq!(provider.folder("made").unwrap().unwrap(), made);
        assert_eq!(
            provider.existing_folders(&["made".into(), "nowhere".into()]).unwrap(),
            ["made"]
        );
    });
}

#[test]
fn a_folder_with_a_place_for_every_user_has_no_quota_of_its_own() {
    on_every_provider(|provider| {
        let per_user = Folder { mapped_path: "/srv/%username%".into(), ..folder("homes") };
        provider.add_folder(&per_user).unwrap();
        provider.add_folder(&folder("data")).unwrap();
        let with = |folder: &str, quota| User {
            virtual_folders: vec![mount(folder, "/x", quota)],
            ..user("bob")
        };
        let error = provider.add_user(&with("homes", 0)).unwrap_err();
        assert!(error.to_string().contains("must be -1"), "{error}");
        provider.add_user(&with("homes", -1)).unwrap();
        provider.update_user(&with("data", 0)).unwrap();
        let homes_now = Folder { mapped_path: "/srv/%role%".into(), ..folder("data") };
        let error = provider.update_folder(&homes_now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(provider.folder("data").unwrap().unwrap().mapped_path, "/srv/data");

        let objects = Objects { folders: vec![homes_now], ..Objects::default() };
        let error = provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let objects = Objects { users: vec![with("data", -1)], ..objects };
        provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap();
    });
}
