use super::*;
use crate::model::{Folder, Group, Password, Permission, Permissions};

/// Stands for `auth`: hashing is marking.
struct Marker;

#[async_trait]
impl PasswordPolicy for Marker {
    async fn prepare(&self, _: PasswordOwner, password: &Password) -> Result<Password> {
        if password.as_str() == "weak" {
            return Err(Error::invalid("too easy to guess"));
        }
        Ok(Password::new(format!("$2a$10${}", password.as_str().len())))
    }
}

fn open(config: &DataProviderConfig, dir: &Path) -> Result<Store> {
    Store::open(config, dir, Arc::new(Marker))
}

fn user(name: &str) -> User {
    User {
        username: name.to_owned(),
        status: 1,
        home_dir: "/srv".to_owned(),
        permissions: Permissions::on_root([Permission::Any]),
        ..User::default()
    }
}

fn admin(name: &str) -> Admin {
    Admin {
        username: name.to_owned(),
        status: 1,
        password: "pw".into(),
        permissions: vec![crate::model::AdminPermission::Any],
        ..Admin::default()
    }
}

#[tokio::test]
async fn accounts_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let config = DataProviderConfig::default();
    let store = open(&config, dir.path()).unwrap();
    let added = store.add_user(User { password: "pw".into(), ..user(" bob ") }).await.unwrap();
    assert_eq!((added.username.as_str(), added.password.as_str()), ("bob", "$2a$10$2"));
    assert!(added.created_at > 0 && added.created_at == added.updated_at);
    assert_eq!(added.last_password_change, added.created_at);
    drop(store);

    let store = open(&config, dir.path()).unwrap();
    assert_eq!(store.user("bob").await.unwrap(), Some(added));
    store.check_availability().await.unwrap();
    assert_eq!(store.driver(), "sqlite");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("sftpgo.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds password hashes");
    }
}

#[tokio::test]
async fn with_update_mode_1_only_initprovider_makes_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        DataProviderConfig { update_mode: UpdateMode::Manual, ..DataProviderConfig::default() };
    let error = open(&config, dir.path()).unwrap_err();
    assert!(error.to_string().contains("initprovider"), "{error}");
    assert!(Store::initialise(&config, dir.path()).unwrap());
    assert!(!Store::initialise(&config, dir.path()).unwrap());
    open(&config, dir.path()).unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, prefix: &str| DataProviderConfig {
        name: name.to_owned(),
        sql_tables_prefix: prefix.to_owned(),
        ..DataProviderConfig::default()
    };
    std::fs::write(dir.path().join("text.db"), "this is no database, but long enough to be one")
        .unwrap();
    for (name, prefix, part) in [
        ("no/such/dir/x.db", "", "no/such/dir/x.db"),
        ("", "", "data_provider.name"),
        ("x.db", "pre_", "data_provider.sql_tables_prefix"),
        ("text.db", "", "text.db"),
    ] {
        let error = open(&with(name, prefix), dir.path()).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_is_stored_was_validated() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    let mut invalid = user("bob");
    invalid.status = 7;
    let weak = User { password: "weak".into(), ..user("bob") };
    for (user, part) in [(invalid, "status"), (weak, "user \"bob\": password: too easy")] {
        let error = store.add_user(user.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
        let error = store.update_user(user).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let nobody = Admin {
        username: "a".into(),
        permissions: vec![crate::model::AdminPermission::Any],
        ..Admin::default()
    };
    let error = store.add_admin(nobody).await.unwrap_err().to_string();
    assert!(error.contains("password: is required"), "{error}");
    assert!(!store.has_admins().await.unwrap());
}

#[tokio::test]
async fn users_can_be_made_read_only() {
    let config = DataProviderConfig { manage_users: 0, ..DataProviderConfig::default() };
    let store = Store::in_memory(&config, Arc::new(Marker)).unwrap();
    for error in [
        store.add_user(user("bob")).await.unwrap_err(),
        store.update_user(user("bob")).await.unwrap_err(),
        store.delete_user("bob").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}

#[tokio::test]
async fn pages_are_bounded() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    store.add_user(user("a")).await.unwrap();
    store.add_user(user("b")).await.unwrap();
    let page = |limit| Page { limit, ..Page::default() };
    assert_eq!(store.users(page(0)).await.unwrap().len(), 1);
    assert_eq!(store.users(page(u32::MAX)).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_few_connections() {
    let dir = tempfile::tempdir().unwrap();
    let config = DataProviderConfig { pool_size: 2, ..DataProviderConfig::default() };
    let store = open(&config, dir.path()).unwrap();
    store.add_user(user("bob")).await.unwrap();
    let bob = AccountId::user("bob");
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (store, bob) = (store.clone(), bob.clone());
            tokio::spawn(async move {
                store.add_user(user(&format!("u{n}"))).await.unwrap();
                let delta = UsageDelta { bytes: 1000, files: 1 };
                UsageStore::add(&store, vec![(bob.clone(), delta)]).await.unwrap();
                store.user_logged_in("bob").await.unwrap();
                assert!(store.user(&format!("u{n}")).await.unwrap().is_some());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let usage = UsageStore::load(&store, &bob).await.unwrap();
    assert_eq!((usage.size, usage.files), (100_000, 100));
    // Of one name, one task wins.
    let same: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.add_user(user("same")).await.is_ok() })
        })
        .collect();
    let mut winners = 0;
    for task in same {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_new_folder_is_validated_where_it_is_defined() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    let mounting = |json: &str| {
        let mut user = user("bob");
        user.virtual_folders = serde_json::from_str(json).unwrap();
        user
    };
    for (json, part) in [
        (r#"[{"name":"f","virtual_path":"/f"}]"#, "folder \"f\" does not exist"),
        (r#"[{"name":"f","virtual_path":"/f","mapped_path":"srv"}]"#, "folder \"f\": mapped_path"),
        (
            r#"[{"name":"f","virtual_path":"/f","filesystem":{"provider":1}}]"#,
            "folder \"f\": filesystem.provider",
        ),
        (r#"[{"mapped_path":"srv","virtual_path":"/f"}]"#, "mapped_path"),
    ] {
        let error = store.add_user(mounting(json)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("user \"bob\": virtual_folders"), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    // The oldest form has no name.
    let inline = r#"[{"mapped_path":"/srv//old/","virtual_path":"/o"}]"#;
    let bob = store.add_user(mounting(inline)).await.unwrap();
    let mount = &bob.virtual_folders[0];
    assert_eq!((mount.folder.name.as_str(), mount.quota_size), ("srv-old", -1));
    assert_eq!(store.folder("srv-old").await.unwrap().unwrap().mapped_path, "/srv/old");

    // What was read can be written back, also when the folder has changed since, and
    // if its definition would not pass.
    let moved =
        Folder { name: "srv-old".into(), mapped_path: "/moved".into(), ..Folder::default() };
    store.update_folder(moved).await.unwrap();
    let mut again = bob.clone();
    again.virtual_folders[0].folder.mapped_path = "not even absolute".into();
    let bob = store.update_user(again).await.unwrap();
    assert_eq!(bob.virtual_folders[0].folder.mapped_path, "/moved");
}

#[tokio::test]
async fn an_account_is_evaluated_with_its_groups() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    let staff: Group = serde_json::from_str(
        r#"{"name":"staff","user_settings":{"home_dir":"/srv/%username%","quota_size":7},
            "virtual_folders":[{"name":"shared","mapped_path":"/srv/shared","virtual_path":"/s"}]}"#,
    )
    .unwrap();
    let staff = store.add_group(staff).await.unwrap();
    assert!(staff.created_at > 0 && staff.created_at == staff.updated_at);
    let mut bob = user("bob");
    bob.groups = serde_json::from_str(r#"[{"name":"staff","type":1}]"#).unwrap();
    store.add_user(bob).await.unwrap();

    let stored = store.user("bob").await.unwrap().unwrap();
    assert_eq!((stored.home_dir.as_str(), stored.quota_size), ("/srv", 0), "never stored");
    let seen = store.effective_user("bob").await.unwrap().unwrap().user;
    assert_eq!((seen.home_dir.as_str(), seen.quota_size), ("/srv/bob", 7));
    assert_eq!(seen.virtual_folders[0].folder.mapped_path, "/srv/shared");
    assert!(store.effective_user("eve").await.unwrap().is_none());
    assert_eq!(store.delete_group("staff").await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_user_that_got_another_role_meanwhile_is_not_found() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    for name in ["sales", "it"] {
        let role = crate::model::Role { name: name.to_owned(), ..Default::default() };
        store.add_role(role).await.unwrap();
    }
    let of = |role: &str| User { role: role.to_owned(), ..user("bob") };
    store.add_user(of("sales")).await.unwrap();
    let any = |_: &User| Ok(());
    store.update_user_if(of("sales"), Some("sales"), any).await.unwrap();
    store.update_user(of("it")).await.unwrap();

    let update = store.update_user_if(of("sales"), Some("sales"), any).await.map(drop);
    let delete = store.delete_user_if("bob", Some("sales"), any).await;
    for result in [update, delete] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(store.user("bob").await.unwrap().unwrap().role, "it");
    store.delete_user_if("bob", Some("it"), any).await.unwrap();
    assert_eq!(store.user("bob").await.unwrap(), None);
}

fn recovery_code(text: &str) -> crate::model::RecoveryCode {
    let secret = crate::model::secretbox::seal(text, "owner").unwrap();
    crate::model::RecoveryCode { secret, used: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_second_factors_at_once_lose_none() {
    const MANY: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&DataProviderConfig::default(), dir.path()).unwrap();
    store.add_user(user("bob")).await.unwrap();
    store.add_admin(admin("root")).await.unwrap();
    let tasks: Vec<_> = (0..MANY)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let code = recovery_code(&format!("code {n}"));
                let same = code.clone();
                let add = move |filters: &mut crate::model::AdminFilters| {
                    filters.recovery_codes.push(code.clone());
                    Ok(())
                };
                store.change_admin_second_factor("root", add).await.unwrap();
                let add = move |filters: &mut crate::model::UserFilters| {
                    filters.recovery_codes.push(same.clone());
                    Ok(())
                };
                store.change_user_second_factor("bob", add).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let root = store.admin("root").await.unwrap().unwrap();
    let bob = store.user("bob").await.unwrap().unwrap();
    assert_eq!(root.filters.recovery_codes.len(), MANY);
    assert_eq!(bob.filters.recovery_codes.len(), MANY);

    // Of many who use the same code at once, one succeeds.
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.redeem_admin_recovery_code("root", "code 7").await })
        })
        .collect();
    let mut redeemed = 0;
    for task in tasks {
        redeemed += usize::from(task.await.unwrap().unwrap());
    }
    assert_eq!(redeemed, 1);
}

#[tokio::test]
async fn no_update_of_an_account_undoes_a_change_of_its_second_factor() {
    let store = Store::in_memory(&DataProviderConfig::default(), Arc::new(Marker)).unwrap();
    let (bob, root) = (store.add_user(user("bob")).await, store.add_admin(admin("root")).await);
    let (bob, root) = (bob.unwrap(), root.unwrap());
    let codes = || vec![recovery_code("once")];
    store
        .change_admin_second_factor("root", move |filters| {
            filters.recovery_codes = codes();
            Ok(())
        })
        .await
        .unwrap();
    store
        .change_user_second_factor("bob", move |filters| {
            filters.recovery_codes = codes();
            Ok(())
        })
        .await
        .unwrap();
    assert!(store.redeem_admin_recovery_code("root", "once").await.unwrap());
    // Written back as they were seen before.
    let root = store.update_admin(Admin { email: "r@x.y".to_owned(), ..root }).await.unwrap();
    let bob = store.update_user(User { email: "b@x.y".to_owned(), ..bob }).await.unwrap();
    assert_eq!((root.email.as_str(), bob.email.as_str()), ("r@x.y", "b@x.y"));
    assert_eq!(root.filters.recovery_codes.len(), 1);
    assert!(root.filters.recovery_codes[0].used);
    assert_eq!(bob.filters.recovery_codes.len(), 1);
    assert!(!store.redeem_admin_recovery_code("root", "once").await.unwrap());
}
