//! What users come to, and who of them needs a look.

use actors::ids::AccountId;
use actors::ports::Usage;

use super::{group, member, on_every_provider, user};
use crate::model::{Group, GroupMapping, GroupUserSettings, InheritedLimits, Role, User};
use crate::provider::{AccountTotals, Page, Provider, RestoreMode, UserQuery, UserSort, UserState};

/// Adds a user with limits and counters of size and files.
fn add(provider: &dyn Provider, account: User, limits: (i64, i64), used: (u64, u64)) {
    let (quota_size, quota_files) = limits;
    provider.add_user(&User { quota_size, quota_files, ..account.clone() }).unwrap();
    let usage = Usage { size: used.0, files: used.1, updated_unix_ms: 1 };
    provider.set_usage(&AccountId::user(account.username), usage).unwrap();
}

fn add_group(provider: &dyn Provider, name: &str, quota_size: i64, quota_files: i64) {
    let settings = GroupUserSettings { quota_size, quota_files, ..GroupUserSettings::default() };
    provider.add_group(&Group { user_settings: settings, ..group(name) }).unwrap();
}

fn found(provider: &dyn Provider, state: UserState, now: i64) -> Vec<String> {
    let query = UserQuery { state: Some(state), ..UserQuery::default() };
    let (users, total) = provider.find_users(&query, Page::default(), now).unwrap();
    assert_eq!(total, users.len() as u64);
    users.into_iter().map(|user| user.username).collect()
}

fn in_group(name: &str, group: &str, kind: i32) -> User {
    User { groups: vec![member(group, kind)], ..user(name) }
}

#[test]
fn who_has_nearly_used_up_the_own_quota_or_that_of_the_primary_group_is_found() {
    on_every_provider(|provider| {
        let provider = &*provider;
        add_group(provider, "sizes", 1_000, 0);
        add_group(provider, "files", 0, 10);
        add_group(provider, "none", 0, 0);
        let primary = GroupMapping::PRIMARY;
        add(provider, user("a own"), (1_000, 0), (900, 0));
        add(provider, user("b below"), (1_000, 10), (899, 8));
        add(provider, user("c files"), (0, 10), (5, 9));
        add(provider, user("d huge"), (i64::MAX, 0), (i64::MAX as u64, 0));
        add(provider, user("e unlimited"), (0, 0), (u64::MAX, 9));
        add(provider, User { status: 0, ..user("f disabled") }, (10, 0), (10, 0));
        add(provider, in_group("g inherits", "sizes", primary), (0, 0), (900, 0));
        add(provider, in_group("h inherits", "files", primary), (0, 0), (0, 9));
        add(provider, in_group("i room", "sizes", primary), (0, 0), (899, 0));
        add(provider, in_group("j own first", "sizes", primary), (5_000, 0), (999, 0));
        add(provider, in_group("k no limit", "none", primary), (0, 0), (999, 99));
        let others = [GroupMapping::SECONDARY, GroupMapping::MEMBERSHIP];
        for (name, kind) in ["l secondary", "m member"].into_iter().zip(others) {
            add(provider, in_group(name, "sizes", kind), (0, 0), (1_000, 0));
        }
        // The size of its own, the number of files of the group.
        add(provider, in_group("n both", "files", primary), (5_000, 0), (0, 10));
        let want = ["a own", "c files", "d huge", "g inherits", "h inherits", "n both"];
        assert_eq!(found(provider, UserState::NearQuota, 0), want);

        // A group that changes changes who is found.
        let settings = GroupUserSettings { quota_size: 2_000, ..GroupUserSettings::default() };
        provider.update_group(&Group { user_settings: settings, ..group("sizes") }).unwrap();
        let near = found(provider, UserState::NearQuota, 0);
        assert!(!near.contains(&"g inherits".to_owned()), "{near:?}");
        let objects = provider.snapshot().unwrap();
        provider.restore(&objects, RestoreMode::AddOrUpdate).unwrap();
        assert_eq!(found(provider, UserState::NearQuota, 0), near, "after a restore");
    });
}

#[test]
fn users_are_sorted_by_how_full_their_quota_is() {
    on_every_provider(|provider| {
        let provider = &*provider;
        add_group(provider, "sizes", 1_000, 10);
        let primary = GroupMapping::PRIMARY;
        add(provider, user("a half of much"), (1_000_000, 0), (500_000, 0));
        add(provider, user("b full of little"), (10, 0), (10, 0));
        add(provider, user("c by files"), (1_000, 100), (1, 70));
        add(provider, user("d no quota"), (0, 0), (u64::MAX, 9));
        add(provider, user("e overdrawn"), (i64::MAX, 1), (i64::MAX as u64, 3));
        add(provider, in_group("f of the group", "sizes", primary), (0, 0), (800, 9));
        add(provider, in_group("g own first", "sizes", primary), (10_000, 0), (800, 0));
        add(provider, in_group("h other", "sizes", GroupMapping::SECONDARY), (0, 0), (800, 9));
        let query = UserQuery { sort: UserSort::Fullness, ..UserQuery::default() };
        let page = Page { descending: true, ..Page::default() };
        let (users, _) = provider.find_users(&query, page, 0).unwrap();
        let names: String = users.iter().filter_map(|user| user.username.chars().next()).collect();
        assert_eq!(names, "ebfcaghd");
    });
}

#[test]
fn limits_of_groups_are_those_of_their_settings() {
    on_every_provider(|provider| {
        let provider = &*provider;
        add_group(provider, "g", 1_000, 7);
        add_group(provider, "h", 0, 0);
        let names = ["g", "h", "nobody"].map(str::to_owned);
        let settings = GroupUserSettings { expires_in: 30, ..GroupUserSettings::default() };
        provider.update_group(&Group { user_settings: settings, ..group("h") }).unwrap();
        let mut limits = provider.group_limits(&names).unwrap();
        limits.sort_by(|a, b| a.0.cmp(&b.0));
        let of = |quota_size, quota_files, expires_in| InheritedLimits {
            quota_size,
            quota_files,
            expires_in,
        };
        assert_eq!(limits, [("g".to_owned(), of(1_000, 7, 0)), ("h".to_owned(), of(0, 0, 30))]);
        assert_eq!(provider.group_limits(&[]).unwrap(), []);
    });
}

#[test]
fn totals_are_those_of_all_users_or_of_a_role_and_do_not_overflow() {
    on_every_provider(|provider| {
        let provider = &*provider;
        assert_eq!(provider.account_totals(None).unwrap(), AccountTotals::default());
        provider.add_role(&Role { name: "emea".to_owned(), ..Role::default() }).unwrap();
        let of_role = |name: &str| User { role: "emea".to_owned(), ..user(name) };
        add(provider, of_role("a"), (0, 0), (1_048_577, 1));
        add(provider, User { status: 0, ..of_role("b") }, (0, 0), (3, 1));
        add(provider, user("c"), (0, 0), (5, 1));
        let totals = |users, disabled, used_size| AccountTotals { users, disabled, used_size };
        assert_eq!(provider.account_totals(None).unwrap(), totals(3, 1, 1_048_585));
        assert_eq!(provider.account_totals(Some("emea")).unwrap(), totals(2, 1, 1_048_580));
        assert_eq!(provider.account_totals(Some("none")).unwrap(), totals(0, 0, 0));

        let most = i64::MAX as u64;
        for name in ["d", "e"] {
            add(provider, user(name), (0, 0), (most, 1));
        }
        assert_eq!(provider.account_totals(None).unwrap(), totals(5, 1, u64::MAX));
    });
}

#[test]
fn who_expires_soon_is_enabled_and_can_be_sorted_by_it() {
    on_every_provider(|provider| {
        let provider = &*provider;
        let day = 24 * 60 * 60 * 1_000;
        for (name, days, status) in
            [("a", 5, 1), ("b", 2, 1), ("c", 8, 1), ("d", -1, 1), ("e", 3, 0)]
        {
            let expiration_date = 100 * day + days * day;
            provider.add_user(&User { expiration_date, status, ..user(name) }).unwrap();
        }
        assert_eq!(found(provider, UserState::Expiring, 100 * day), ["a", "b"]);
        let query = UserQuery {
            state: Some(UserState::Expiring),
            sort: UserSort::ExpirationDate,
            ..UserQuery::default()
        };
        let (users, _) = provider.find_users(&query, Page::default(), 100 * day).unwrap();
        assert_eq!(users.iter().map(|user| user.username.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    });
}

#[test]
fn who_has_no_end_expires_as_the_primary_group_says() {
    on_every_provider(|provider| {
        let provider = &*provider;
        let day = 24 * 60 * 60 * 1_000;
        for (name, expires_in) in [("ten days", 10), ("no end", 0)] {
            let settings = GroupUserSettings { expires_in, ..GroupUserSettings::default() };
            provider.add_group(&Group { user_settings: settings, ..group(name) }).unwrap();
        }
        let primary = GroupMapping::PRIMARY;
        let add = |name: &str, group: &str, kind, created_at, expiration_date| {
            let mut user = in_group(name, group, kind);
            (user.created_at, user.expiration_date) = (created_at, expiration_date);
            provider.add_user(&user).unwrap();
        };
        let now = 100 * day;
        add("a past", "ten days", primary, now - 10 * day, 0);
        add("b soon", "ten days", primary, now - 5 * day, 0);
        add("c sooner", "ten days", primary, now - 9 * day, 0);
        add("d later", "ten days", primary, now - 2 * day, 0);
        add("e own soon", "ten days", primary, now - 50 * day, now + 2 * day);
        add("f own later", "ten days", primary, now - 9 * day, now + 50 * day);
        add("g unknown age", "ten days", primary, 0, 0);
        add("h huge", "ten days", primary, i64::MAX, 0);
        add("i no end", "no end", primary, now - 9 * day, 0);
        add("j secondary", "ten days", GroupMapping::SECONDARY, now - 9 * day, 0);
        add("k member", "ten days", GroupMapping::MEMBERSHIP, now - 9 * day, 0);
        assert_eq!(found(provider, UserState::Expired, now), ["a past"]);
        assert_eq!(found(provider, UserState::Expiring, now), ["b soon", "c sooner", "e own soon"]);
        let query = UserQuery {
            state: Some(UserState::Expiring),
            sort: UserSort::ExpirationDate,
            ..UserQuery::default()
        };
        let (users, _) = provider.find_users(&query, Page::default(), now).unwrap();
        let names: Vec<_> = users.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["c sooner", "e own soon", "b soon"]);
    });
}
