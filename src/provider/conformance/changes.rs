//! Changes and deletions that depend on what is stored in that very moment.

use super::*;
use crate::error::{Error, Result};
use crate::model::Role;

fn role(name: &str) -> Role {
    Role { name: name.to_owned(), description: "d".to_owned(), ..Role::default() }
}

fn one_of_each(provider: &dyn Provider) {
    provider.add_role(&role("it")).unwrap();
    provider.add_folder(&folder("it")).unwrap();
    provider.add_group(&group("it")).unwrap();
    provider.add_user(&user("it")).unwrap();
    provider.add_admin(&admin("it")).unwrap();
}

fn outdated() -> Error {
    Error::new(ErrorKind::Outdated, "seen too long ago")
}

fn kinds<const N: usize>(results: [Result<()>; N]) -> Vec<ErrorKind> {
    results.into_iter().map(|result| result.unwrap_err().kind()).collect()
}

#[test]
fn a_refused_change_or_deletion_does_nothing() {
    on_every_provider(|provider| {
        one_of_each(&*provider);
        let before = provider.snapshot().unwrap();
        let refused = kinds([
            provider.change_role("it", &|stored| {
                stored.description.clear();
                Err(outdated())
            }),
            provider.change_folder("it", &|stored| {
                stored.description.clear();
                Err(outdated())
            }),
            provider.change_group("it", &|stored| {
                stored.description.clear();
                Err(outdated())
            }),
            provider.change_user("it", &|stored| {
                stored.description.clear();
                Err(outdated())
            }),
            provider.change_admin("it", &|stored| {
                stored.email.clear();
                Err(outdated())
            }),
            provider.delete_role_if("it", 1, &|_| Err(outdated())),
            provider.delete_folder_if("it", &|_| Err(outdated())),
            provider.delete_group_if("it", &|_| Err(outdated())),
            provider.delete_user_if("it", &|_| Err(outdated())),
            provider.delete_admin_if("it", &|_| Err(outdated())),
        ]);
        assert_eq!(refused, [ErrorKind::Outdated; 10]);
        let after = provider.snapshot().unwrap();
        assert_eq!(before.roles, after.roles);
        assert_eq!(before.folders, after.folders);
        assert_eq!(before.groups, after.groups);
        assert_eq!(before.users, after.users);
        assert_eq!(before.admins, after.admins);
    });
}

#[test]
fn a_change_sees_what_is_stored_and_nothing_that_is_not() {
    on_every_provider(|provider| {
        one_of_each(&*provider);
        let missing = kinds([
            provider.change_role("none", &|_| Ok(())),
            provider.change_folder("none", &|_| Ok(())),
            provider.change_group("none", &|_| Ok(())),
            provider.change_user("none", &|_| Ok(())),
            provider.change_admin("none", &|_| Ok(())),
            provider.delete_role_if("none", 1, &|_| Err(outdated())),
            provider.delete_folder_if("none", &|_| Err(outdated())),
            provider.delete_group_if("none", &|_| Err(outdated())),
            provider.delete_user_if("none", &|_| Err(outdated())),
            provider.delete_admin_if("none", &|_| Err(outdated())),
        ]);
        assert_eq!(missing, [ErrorKind::NotFound; 10]);

        // The name is the key, whatever is done to it.
        let stored = provider.user("it").unwrap().unwrap();
        provider
            .change_user("it", &|user| {
                assert_eq!(*user, stored);
                user.username.push('x');
                user.description.push_str(" changed");
                Ok(())
            })
            .unwrap();
        assert_eq!(provider.user("it").unwrap().unwrap().description, "d changed");
        assert_eq!(provider.user("itx").unwrap(), None);
        // The password stays, whether it is left alone or left out.
        for leave in [false, true] {
            provider
                .change_admin("it", &|admin| {
                    if leave {
                        admin.password = "".into();
                    }
                    admin.last_login = 99;
                    Ok(())
                })
                .unwrap();
            let admin = provider.admin("it").unwrap().unwrap();
            assert_eq!((admin.password.as_str(), admin.last_login), ("$2a$10$hash", 3));
        }
        // Who refers to it is there to be judged.
        let member = User { groups: vec![member("it", 2)], ..user("ann") };
        provider.add_user(&member).unwrap();
        let deleted = provider.delete_group_if("it", &|group| {
            assert_eq!(group.users, ["ann"]);
            Ok(())
        });
        assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Conflict);
        provider.delete_user("ann").unwrap();
        provider
            .delete_group_if("it", &|group| {
                assert!(group.users.is_empty());
                Ok(())
            })
            .unwrap();
        assert_eq!(provider.group("it").unwrap(), None);
    });
}

#[test]
fn changes_at_once_lose_none() {
    const THREADS: usize = 4;
    const EACH: usize = 15;
    on_every_provider(|provider| {
        one_of_each(&*provider);
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let provider = provider.clone();
                std::thread::spawn(move || {
                    let more = |text: &mut String| {
                        text.push('+');
                        Ok(())
                    };
                    for _ in 0..EACH {
                        provider.change_role("it", &|it| more(&mut it.description)).unwrap();
                        provider.change_folder("it", &|it| more(&mut it.description)).unwrap();
                        provider.change_group("it", &|it| more(&mut it.description)).unwrap();
                        provider.change_user("it", &|it| more(&mut it.description)).unwrap();
                        provider.change_admin("it", &|it| more(&mut it.description)).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        for description in [
            provider.role("it").unwrap().unwrap().description,
            provider.folder("it").unwrap().unwrap().description,
            provider.group("it").unwrap().unwrap().description,
            provider.user("it").unwrap().unwrap().description,
            provider.admin("it").unwrap().unwrap().description,
        ] {
            assert_eq!(description.matches('+').count(), THREADS * EACH);
        }
    });
}
