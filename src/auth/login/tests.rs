use super::*;
use crate::auth::create_default_admin;
use crate::config::{DataProviderConfig, PasswordAlgorithm};
use crate::model::timestamp::now_unix_ms;
use crate::model::{
    AdminPermission, Folder, Group, GroupMapping, Permission, Permissions, TimePeriod,
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII7SspTE+8waCziFlcprbqHA+hwHMyy8NidanihfibkR me";
const OTHER_KEY: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBB9Dqhl+Wt4HvDWRPMI8yrXmrfvdLwyH62ys3hX4Pk+9x/G4F3NuC6Kkf/lpziPddy8LfK8NPWr1X8qKB4oT708= me";

fn config() -> DataProviderConfig {
    let mut config = DataProviderConfig::default();
    config.password_hashing.bcrypt_options.cost = 4;
    config
}

fn login_with(config: &DataProviderConfig) -> (Login, Store) {
    let passwords = Passwords::new(config).unwrap();
    let store = Store::in_memory(config, Arc::new(passwords.clone())).unwrap();
    let log = Logger::root(slog::Discard, slog::o!());
    (Login::new(store.clone(), passwords, log), store)
}

fn user() -> User {
    User {
        username: "bob".to_owned(),
        status: 1,
        password: "correct horse".into(),
        public_keys: vec![KEY.to_owned()],
        home_dir: "/srv/bob".to_owned(),
        permissions: Permissions::on_root([Permission::Any]),
        ..User::default()
    }
}

fn from(ip: &str, method: LoginMethod) -> LoginContext {
    LoginContext { ip: ip.parse().unwrap(), protocol: LoginProtocol::Ssh, method }
}

fn whole(login: KeyLogin) -> Arc<User> {
    match login {
        KeyLogin::Whole(user) => user,
        KeyLogin::FirstStep(methods) => panic!("{methods:?} has to follow"),
    }
}

/// All of a day that is not today, whichever time zone that is asked in.
fn closed_hours() -> Vec<TimePeriod> {
    use chrono::Datelike;
    let today = Utc::now().weekday().num_days_from_sunday();
    let day_of_week = i32::try_from((today + 3) % 7).unwrap();
    vec![TimePeriod { day_of_week, from: "00:00".into(), to: "23:59".into() }]
}

fn with_password() -> LoginContext {
    from("192.0.2.1", LoginMethod::Password)
}

#[tokio::test]
async fn the_right_password_and_the_right_key_open() {
    let (login, store) = login_with(&config());
    store.add_user(user()).await.unwrap();
    for _ in 0..2 {
        let user = login.password("bob", "correct horse", with_password()).await.unwrap();
        assert_eq!(user.username, "bob");
        assert!(user.password.is_empty(), "the hash stays in the store");
    }
    let key = public_key::parse(KEY).unwrap();
    let context = from("192.0.2.1", LoginMethod::PublicKey);
    login.public_key_offered("bob", &key, context).await.unwrap();
    assert!(whole(login.public_key("bob", &key, context).await.unwrap()).password.is_empty());

    let stored = store.user("bob").await.unwrap().unwrap();
    assert!(stored.last_login > 0);
    assert!(stored.has_password && stored.password.is_hashed());
    // Names are trimmed as naming_rules say, also here.
    login.password(" bob ", "correct horse", with_password()).await.unwrap();
}

#[tokio::test]
async fn wrong_credentials_are_told_from_unknown_users() {
    let (login, store) = login_with(&config());
    store.add_user(user()).await.unwrap();
    let keyless =
        User { username: "eve".into(), password: "".into(), public_keys: Vec::new(), ..user() };
    store.add_user(keyless).await.unwrap();

    for (name, password, is_unknown) in [
        ("bob", "wrong", false),
        ("bob", "", false),
        ("eve", "", false),
        ("eve", "correct horse", false),
        ("mallory", "correct horse", true),
        ("", "", true),
        ("BOB", "correct horse", true),
    ] {
        let failure = login.password(name, password, with_password()).await.unwrap_err();
        assert_eq!(failure.is_unknown_user(), is_unknown, "{name}: {failure}");
        assert!(is_unknown || matches!(failure, LoginFailure::WrongCredentials), "{failure}");
    }
    let context = from("192.0.2.1", LoginMethod::PublicKey);
    let other = public_key::parse(OTHER_KEY).unwrap();
    for name in ["bob", "eve"] {
        let failure = login.public_key_offered(name, &other, context).await.unwrap_err();
        assert!(matches!(failure, LoginFailure::WrongCredentials), "{failure}");
        assert!(login.public_key(name, &other, context).await.is_err());
    }
    let failure = login.public_key("mallory", &other, context).await.unwrap_err();
    assert!(failure.is_unknown_user());
    assert_eq!(store.user("bob").await.unwrap().unwrap().last_login, 0);
}

#[tokio::test]
async fn the_stored_hash_is_not_a_password() {
    let (login, store) = login_with(&config());
    store.add_user(user()).await.unwrap();
    let hash = store.user("bob").await.unwrap().unwrap().password;
    assert!(login.password("bob", hash.as_str(), with_password()).await.is_err());
}

#[tokio::test]
async fn gates_close_in_order_for_passwords_and_keys() {
    let closed = |change: fn(&mut User)| {
        let mut user = user();
        change(&mut user);
        user
    };
    type Check = fn(&LoginFailure) -> bool;
    let table: Vec<(User, Check)> = vec![
        (
            closed(|user| {
                user.status = 0;
                user.expiration_date = 1;
                user.filters.denied_protocols = vec![LoginProtocol::Ssh];
            }),
            |failure| matches!(failure, LoginFailure::Disabled),
        ),
        (
            closed(|user| {
                user.expiration_date = 1;
                user.filters.denied_protocols = vec![LoginProtocol::Ssh];
            }),
            |failure| matches!(failure, LoginFailure::Expired),
        ),
        (
            closed(|user| {
                user.filters.access_time = closed_hours();
                user.filters.denied_protocols = vec![LoginProtocol::Ssh];
            }),
            |failure| matches!(failure, LoginFailure::OutsideAccessTime),
        ),
        (
            closed(|user| {
                user.filters.denied_protocols = vec![LoginProtocol::Ssh];
                user.filters.denied_ip = vec!["192.0.2.0/24".into()];
            }),
            |failure| matches!(failure, LoginFailure::ProtocolDenied(LoginProtocol::Ssh)),
        ),
        (closed(|user| user.filters.denied_ip = vec!["192.0.2.0/24".into()]), |failure| {
            matches!(failure, LoginFailure::AddressDenied(_))
        }),
        (closed(|user| user.filters.allowed_ip = vec!["198.51.100.7".into()]), |failure| {
            matches!(failure, LoginFailure::AddressDenied(_))
        }),
    ];
    let key = public_key::parse(KEY).unwrap();
    for (n, (user, is_expected)) in table.into_iter().enumerate() {
        let (login, store) = login_with(&config());
        store.add_user(user).await.unwrap();
        let by_key = from("192.0.2.1", LoginMethod::PublicKey);
        for failure in [
            login.password("bob", "correct horse", with_password()).await.unwrap_err(),
            // The gate is named even if the credentials are wrong as well.
            login.password("bob", "wrong", with_password()).await.unwrap_err(),
            login.public_key_offered("bob", &key, by_key).await.unwrap_err(),
            login.public_key("bob", &key, by_key).await.unwrap_err(),
        ] {
            assert!(is_expected(&failure), "row {n}: {failure}");
        }
    }
}

#[tokio::test]
async fn a_denied_method_leaves_the_other_open() {
    let (login, store) = login_with(&config());
    let mut user = user();
    user.filters.denied_login_methods = vec![LoginMethod::Password];
    store.add_user(user).await.unwrap();
    let failure = login.password("bob", "correct horse", with_password()).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::MethodDenied(LoginMethod::Password)), "{failure}");
    let key = public_key::parse(KEY).unwrap();
    login.public_key("bob", &key, from("192.0.2.1", LoginMethod::PublicKey)).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_despite_the_cache() {
    let (login, store) = login_with(&config());
    store.add_user(user()).await.unwrap();
    login.password("bob", "correct horse", with_password()).await.unwrap();
    store.update_user(User { password: "battery staple".into(), ..user() }).await.unwrap();
    assert!(login.password("bob", "correct horse", with_password()).await.is_err());
    login.password("bob", "battery staple", with_password()).await.unwrap();
    // An update without a password keeps it.
    store.update_user(User { password: "".into(), ..user() }).await.unwrap();
    login.password("bob", "battery staple", with_password()).await.unwrap();
}

#[tokio::test]
async fn an_imported_hash_is_replaced_after_the_first_login() {
    for algo in [PasswordAlgorithm::Bcrypt, PasswordAlgorithm::Argon2id] {
        let mut config = config();
        config.password_hashing.algo = algo;
        config.password_hashing.argon2_options.memory = 64;
        let (login, store) = login_with(&config);
        let md5 = "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69";
        store.add_user(User { password: md5.into(), ..user() }).await.unwrap();
        assert_eq!(store.user("bob").await.unwrap().unwrap().password.as_str(), md5);
        let before = store.user("bob").await.unwrap().unwrap();

        login.password("bob", "wrong", with_password()).await.unwrap_err();
        assert_eq!(store.user("bob").await.unwrap().unwrap().password.as_str(), md5);
        login.password("bob", "secret", with_password()).await.unwrap();
        let after = store.user("bob").await.unwrap().unwrap();
        assert!(!after.password.as_str().starts_with("{MD5}"));
        assert_eq!(after.updated_at, before.updated_at);
        assert_eq!(after.last_password_change, before.last_password_change);
        login.password("bob", "secret", with_password()).await.unwrap();
        assert!(login.password("bob", "wrong", with_password()).await.is_err());
    }
}

#[tokio::test]
async fn admins_pass_their_own_gates() {
    let (login, store) = login_with(&config());
    let admin = Admin {
        username: "root".into(),
        password: "correct horse".into(),
        status: 1,
        permissions: vec![AdminPermission::Any],
        ..Admin::default()
    };
    store.add_admin(admin.clone()).await.unwrap();
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    let found = login.admin("root", "correct horse", ip).await.unwrap();
    assert!(found.password.is_empty());
    assert!(store.admin("root").await.unwrap().unwrap().last_login > 0);
    let failure = login.admin("root", "wrong", ip).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::WrongCredentials), "{failure}");
    let failure = login.admin("nobody", "wrong", ip).await.unwrap_err();
    assert!(failure.is_unknown_user(), "{failure}");
    // A user is not an admin.
    store.add_user(user()).await.unwrap();
    assert!(login.admin("bob", "correct horse", ip).await.unwrap_err().is_unknown_user());

    let mut listed = admin.clone();
    listed.filters.allow_list = vec!["198.51.100.0/24".into()];
    store.update_admin(listed).await.unwrap();
    let failure = login.admin("root", "correct horse", ip).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::AddressDenied(_)), "{failure}");
    login.admin("root", "correct horse", "198.51.100.3".parse().unwrap()).await.unwrap();

    store.update_admin(Admin { status: 0, ..admin }).await.unwrap();
    let failure = login.admin("root", "correct horse", ip).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::Disabled), "{failure}");
}

#[tokio::test]
async fn the_default_admin_is_made_only_where_there_is_none() {
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    let (login, store) = login_with(&config());
    assert!(create_default_admin(&store, None, Some("")).await.unwrap());
    login.admin("admin", "password", ip).await.unwrap();
    assert!(!create_default_admin(&store, Some("other"), Some("x")).await.unwrap());
    assert_eq!(store.admin("other").await.unwrap(), None);

    let (login, store) = login_with(&config());
    assert!(create_default_admin(&store, Some("chief"), Some("tr0ub4dor")).await.unwrap());
    let chief = login.admin("chief", "tr0ub4dor", ip).await.unwrap();
    assert!(chief.may(AdminPermission::ManageAdmins));
    assert!(login.admin("chief", "password", ip).await.is_err());
}

#[tokio::test]
async fn a_login_does_not_survive_a_change_of_its_account() {
    let (login, store) = login_with(&config());
    store.add_user(user()).await.unwrap();
    let key = public_key::parse(KEY).unwrap();
    let context = from("192.0.2.1", LoginMethod::PublicKey);
    let passed = whole(login.public_key("bob", &key, context).await.unwrap());
    login.confirm(&passed).await.unwrap();
    // A login of its own is no change.
    login.public_key("bob", &key, context).await.unwrap();
    login.confirm(&passed).await.unwrap();

    let changed = User { status: 0, ..store.user("bob").await.unwrap().unwrap() };
    store.update_user(changed).await.unwrap();
    let failure = login.confirm(&passed).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::Changed), "{failure}");
    store.delete_user("bob").await.unwrap();
    assert!(login.confirm(&passed).await.unwrap_err().is_unknown_user());
}

fn staff(settings: &str) -> Group {
    serde_json::from_str(&format!(
        r#"{{"name":"staff","user_settings":{settings},
            "virtual_folders":[{{"name":"data","virtual_path":"/data"}}]}}"#
    ))
    .unwrap()
}

/// Bob, in the group `staff`, which mounts the folder `data`.
async fn with_staff(settings: &str) -> (Login, Store) {
    let (login, store) = login_with(&config());
    let data = Folder { name: "data".into(), mapped_path: "/srv/data".into(), ..Folder::default() };
    store.add_folder(data).await.unwrap();
    store.add_group(staff(settings)).await.unwrap();
    let groups = vec![GroupMapping { name: "staff".into(), kind: GroupMapping::PRIMARY }];
    store.add_user(User { groups, ..user() }).await.unwrap();
    (login, store)
}

#[tokio::test]
async fn a_session_has_what_the_groups_give() {
    let (login, store) = with_staff(r#"{"home_dir":"/srv/%username%","max_sessions":3}"#).await;
    let key = public_key::parse(KEY).unwrap();
    for user in [
        login.password("bob", "correct horse", with_password()).await.unwrap(),
        whole(
            login.public_key("bob", &key, from("192.0.2.1", LoginMethod::PublicKey)).await.unwrap(),
        ),
    ] {
        assert_eq!((user.home_dir.as_str(), user.max_sessions), ("/srv/bob", 3));
        assert_eq!(user.virtual_folders[0].folder.mapped_path, "/srv/data");
        login.confirm(&user).await.unwrap();
    }
    assert_eq!(store.user("bob").await.unwrap().unwrap().max_sessions, 0);
}

#[tokio::test]
async fn gates_of_a_group_close_for_its_members() {
    let key = public_key::parse(KEY).unwrap();
    type Check = fn(&LoginFailure) -> bool;
    let table: [(&str, Check); 5] = [
        (r#"{"filters":{"denied_ip":["192.0.2.0/24"]}}"#, |failure| {
            matches!(failure, LoginFailure::AddressDenied(_))
        }),
        (r#"{"filters":{"allowed_ip":["10.0.0.0/8"]}}"#, |failure| {
            matches!(failure, LoginFailure::AddressDenied(_))
        }),
        (r#"{"filters":{"denied_protocols":["SSH"]}}"#, |failure| {
            matches!(failure, LoginFailure::ProtocolDenied(_))
        }),
        (r#"{"filters":{"denied_login_methods":["publickey"]}}"#, |failure| {
            matches!(failure, LoginFailure::MethodDenied(LoginMethod::PublicKey))
        }),
        // Not yet after a day.
        (r#"{"expires_in":1}"#, |_| false),
    ];
    for (settings, is_expected) in table {
        let (login, _) = with_staff(settings).await;
        let context = from("192.0.2.1", LoginMethod::PublicKey);
        match login.public_key("bob", &key, context).await {
            Ok(login) => assert!(whole(login).expiration_date > now_unix_ms(), "{settings}"),
            Err(failure) => assert!(is_expected(&failure), "{settings}: {failure}"),
        }
    }
    // After it, the account is over.
    let (login, store) = with_staff(r#"{"expires_in":1}"#).await;
    let old = store.user("bob").await.unwrap().unwrap();
    assert_eq!(old.expiration_date, 0, "what a group gives is not stored");
    let account = store.account("bob").await.unwrap().unwrap();
    let long_ago = User { created_at: 1, ..account.user };
    let seen = crate::model::effective(long_ago, &account.groups).user;
    assert!(seen.is_expired(now_unix_ms()));
    login.password("bob", "correct horse", with_password()).await.unwrap();
}

#[tokio::test]
async fn a_login_does_not_survive_a_change_of_its_groups_and_folders() {
    let (login, store) = with_staff("{}").await;
    let passed = async || login.password("bob", "correct horse", with_password()).await.unwrap();
    let user = passed().await;
    login.confirm(&user).await.unwrap();
    // What is stored and counted is no change.
    let usage = actors::Usage { size: 5, files: 1, updated_unix_ms: 9 };
    for account in [actors::AccountId::user("bob"), actors::AccountId::folder("data")] {
        actors::UsageStore::set(&store, &account, usage).await.unwrap();
    }
    login.confirm(&user).await.unwrap();

    store.update_group(staff(r#"{"filters":{"denied_ip":["198.51.100.0/24"]}}"#)).await.unwrap();
    let failure = login.confirm(&user).await.unwrap_err();
    assert!(matches!(failure, LoginFailure::Changed), "{failure}");

    let user = passed().await;
    let moved =
        Folder { name: "data".into(), mapped_path: "/srv/moved".into(), ..Folder::default() };
    store.update_folder(moved).await.unwrap();
    assert!(matches!(login.confirm(&user).await, Err(LoginFailure::Changed)));

    let user = passed().await;
    store.delete_folder("data").await.unwrap();
    assert!(matches!(login.confirm(&user).await, Err(LoginFailure::Changed)));
    let user = passed().await;
    login.confirm(&user).await.unwrap();
}
