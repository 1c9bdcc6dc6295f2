//! Limits hold to the byte, nothing that fits is denied, nothing is lost.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::{
    AccountId, Denied, Fault, Lease, Limits, Quota, QuotaConfig, ScanRefused, SetMode,
    SetUsageError, SupervisorConfig, Usage, Want,
};
use common::{World, paused, pooled};
use tokio::time::sleep;

const MIB: u64 = 1024 * 1024;

fn alice() -> AccountId {
    AccountId::user("alice")
}

fn size(limit: u64) -> Limits {
    Limits { size: Some(limit), files: None }
}

fn files(limit: u64) -> Limits {
    Limits { size: None, files: Some(limit) }
}

/// A new file whose size is not known.
const NEW: Want = Want { bytes: 0, files: 1 };

async fn used(quota: &Quota) -> (u64, u64) {
    let usage = quota.usage(alice()).await.unwrap();
    (usage.size, usage.files)
}

#[test]
fn grant_is_at_most_64_mib_and_at_most_what_remains() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), size(1_000 * MIB), NEW).await.unwrap();
        assert!(lease.is_limited());
        assert!(!lease.take(64 * MIB + 1));
        assert!(lease.take(64 * MIB));
        assert!(!lease.take(1));
        drop(lease);

        let lease = quota.reserve(alice(), size(100), NEW).await.unwrap();
        assert!(!lease.take(101));
        assert!(lease.take(100));
        assert_eq!(lease.renew(1).await, Err(Denied::Size));
        assert_eq!(world.store.loads.load(Ordering::SeqCst), 1, "read once for all of it");
    });
}

#[test]
fn known_size_is_reserved_whole_or_denied_at_open() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let want = Want { bytes: 300 * MIB, files: 1 };
        let denied = quota.reserve(alice(), size(300 * MIB - 1), want).await;
        assert_eq!(denied.err(), Some(Denied::Size));
        let lease = quota.reserve(alice(), size(300 * MIB), want).await.unwrap();
        assert!(lease.take(300 * MIB));
    });
}

#[test]
fn account_at_its_limit_begins_nothing_and_one_below_does() {
    paused(async {
        let world = World::new();
        world.store.put(&alice(), 100, 5);
        let quota = &world.actors.quota;
        for limit in [0, 99, 100] {
            let denied = quota.reserve(alice(), size(limit), Want::default()).await;
            assert_eq!(denied.err(), Some(Denied::Size), "{limit}");
        }
        assert!(quota.reserve(alice(), size(101), Want::default()).await.is_ok());

        assert_eq!(quota.reserve(alice(), files(5), NEW).await.err(), Some(Denied::Files));
        let existing = quota.reserve(alice(), files(5), Want::default()).await.unwrap();
        assert!(!existing.is_limited());
        assert!(existing.take(u64::MAX));
        assert!(quota.reserve(alice(), files(6), NEW).await.is_ok());
    });
}

#[test]
fn account_without_limits_needs_no_message_and_is_counted_all_the_same() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), Limits::default(), NEW).await.unwrap();
        assert!(lease.take(u64::MAX) && lease.take(u64::MAX));
        assert_eq!(lease.renew(u64::MAX).await, Ok(()));
        lease.settle(7, 1).await;
        let health = world.actors.supervisor.health().await;
        let tracker = health.actors.iter().find(|actor| actor.name == "QuotaTracker").unwrap();
        assert_eq!(tracker.handled, 0);
        assert_eq!(used(quota).await, (7, 1));
    });
}

#[test]
fn settled_bytes_count_at_once_and_a_dropped_lease_counts_nothing() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(lease.take(600));
        lease.settle(600, 1).await;
        assert_eq!(used(quota).await, (600, 1));

        let lease = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(lease.take(400));
        drop(lease);
        assert_eq!(used(quota).await, (600, 1));
        let lease = quota.reserve(alice(), size(1_000), Want { bytes: 400, files: 0 }).await;
        assert!(lease.unwrap().take(400), "what was returned can be reserved again");
        assert_eq!(used(quota).await, (600, 1));
        assert_eq!(world.actors.supervisor.health().await.quota.open_leases, 0);
    });
}

#[test]
fn overwriting_with_less_makes_room() {
    paused(async {
        let world = World::new();
        world.store.put(&alice(), 900, 3);
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), size(1_000), Want::default()).await.unwrap();
        assert!(lease.take(100));
        // The file had 500 bytes and has 100 now.
        lease.settle(-400, 0).await;
        assert_eq!(used(quota).await, (500, 3));
        quota.adjust(alice(), -500, -1).await;
        assert_eq!(used(quota).await, (0, 2));
        quota.adjust(alice(), -1, -100).await;
        assert_eq!(used(quota).await, (0, 0), "never below zero");
    });
}

#[test]
fn unspent_grant_of_another_upload_is_clawed_back_before_anything_is_denied() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let first = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(first.take(300));
        // 700 bytes are granted to the first and not spent; 700 fit.
        let second =
            quota.reserve(alice(), size(1_000), Want { bytes: 700, files: 1 }).await.unwrap();
        assert!(!first.take(1));
        assert!(second.take(700));
        assert_eq!(first.renew(1).await, Err(Denied::Size));
        assert_eq!(second.renew(1).await, Err(Denied::Size));
        drop(second);
        assert_eq!(first.take_or_renew(700).await, Ok(()));
        assert_eq!(first.renew(1).await, Err(Denied::Size));
        first.settle(1_000, 1).await;
        assert_eq!(used(quota).await, (1_000, 1));
    });
}

#[test]
fn scarce_bytes_are_shared_between_the_open_uploads() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let first = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        let second = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(second.take(400), "about half of what the first was clawed back");
        assert_eq!(first.take_or_renew(400).await, Ok(()));
    });
}

#[test]
fn parallel_creates_cannot_exceed_the_limit_of_files() {
    paused(async {
        let world = World::new();
        world.store.put(&alice(), 0, 3);
        let quota = &world.actors.quota;
        let reserve = |_| quota.reserve(alice(), files(10), NEW);
        let leases = futures_util::future::join_all((0..50).map(reserve)).await;
        let (granted, denied): (Vec<_>, Vec<_>) = leases.into_iter().partition(Result::is_ok);
        assert_eq!(granted.len(), 7);
        assert!(denied.into_iter().all(|lease| lease.err() == Some(Denied::Files)));

        // A created file keeps its place, an aborted one gives it back.
        for (n, lease) in granted.into_iter().enumerate() {
            if n.is_multiple_of(2) {
                lease.unwrap().settle(0, 1).await;
            }
        }
        assert_eq!(used(quota).await, (0, 7));
        let leases = futures_util::future::join_all((0..50).map(reserve)).await;
        assert_eq!(leases.iter().filter(|lease| lease.is_ok()).count(), 3);
    });
}

#[test]
fn many_threads_fill_the_quota_to_the_byte() {
    const LIMIT: u64 = 3_000_017;
    const UPLOADS: usize = 16;

    /// Writes blocks of changing size until not even a byte fits.
    async fn upload(quota: Quota, written: Arc<AtomicU64>, seed: usize) {
        let lease = quota.reserve(alice(), size(LIMIT), NEW).await.unwrap();
        let mut own = 0;
        let mut block = 1 + (seed as u64 * 7919) % 4_096;
        while block > 0 {
            match lease.take_or_renew(block).await {
                Ok(()) => {
                    own += block;
                    let total = written.fetch_add(block, Ordering::SeqCst) + block;
                    assert!(total <= LIMIT, "{total} bytes are more than the limit");
                    block = 1 + (block * 31 + 17) % 4_096;
                }
                // Denied although another block is smaller: try with less.
                Err(Denied::Size) => block /= 2,
                Err(other) => panic!("{other}"),
            }
        }
        lease.settle(i64::try_from(own).unwrap(), 1).await;
    }

    pooled(async {
        let config = QuotaConfig { lease_bytes: 50_000, ..QuotaConfig::default() };
        let world = World::with(SupervisorConfig { quota: config, ..SupervisorConfig::default() });
        let written = Arc::new(AtomicU64::new(0));
        let uploads: Vec<_> = (0..UPLOADS)
            .map(|seed| tokio::spawn(upload(world.actors.quota.clone(), written.clone(), seed)))
            .collect();
        for upload in uploads {
            upload.await.unwrap();
        }
        // Whoever saw its last byte denied saw the limit reached.
        assert_eq!(written.load(Ordering::SeqCst), LIMIT);
        assert_eq!(used(&world.actors.quota).await, (LIMIT, UPLOADS as u64));
        world.actors.quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (LIMIT, UPLOADS as u64));
    });
}

#[test]
fn tasks_that_share_a_lease_spend_it_once() {
    pooled(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease: Arc<Lease> = Arc::new(quota.reserve(alice(), size(100_000), NEW).await.unwrap());
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let lease = lease.clone();
                tokio::spawn(async move {
                    let mut taken = 0;
                    while lease.take_or_renew(7).await.is_ok() {
                        taken += 7;
                    }
                    taken
                })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            taken += task.await.unwrap();
        }
        assert_eq!(taken, 100_000 / 7 * 7);
    });
}

#[test]
fn deltas_are_written_in_one_batch_each_second() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        for n in 0..100 {
            let account = AccountId::user(format!("user{}", n % 10));
            quota.adjust(account, 5, 1).await;
        }
        assert_eq!(world.store.adds.lock().unwrap().len(), 0);
        sleep(Duration::from_millis(1_100)).await;
        assert_eq!(*world.store.adds.lock().unwrap(), [10]);
        assert_eq!(world.store.get(&AccountId::user("user3")), (50, 10));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(*world.store.adds.lock().unwrap(), [10], "nothing changed, nothing is written");
        assert_eq!(world.actors.supervisor.health().await.quota.unsaved_accounts, 0);
    });
}

#[test]
fn failed_write_is_tried_again_and_loses_nothing() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        world.store.put(&alice(), 1_000, 10);
        assert_eq!(used(quota).await, (1_000, 10));
        world.store.fail(true);
        quota.adjust(alice(), 5, 1).await;
        assert!(quota.flush().await.is_err());
        sleep(Duration::from_secs(3)).await;
        quota.adjust(alice(), 7, 1).await;
        assert_eq!(used(quota).await, (1_012, 12), "counted although not written");
        assert!(world.actors.supervisor.health().await.quota.store_failures >= 3);
        assert_eq!(world.actors.supervisor.health().await.quota.unsaved_accounts, 1);
        world.store.fail(false);
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (1_012, 12));
        assert_eq!(used(quota).await, (1_012, 12));
    });
}

#[test]
fn usage_that_cannot_be_read_denies_until_it_can_and_old_usage_serves_meanwhile() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        world.store.fail(true);
        let denied = quota.reserve(alice(), size(100), NEW).await;
        assert_eq!(denied.err(), Some(Denied::Unavailable("the store is down".into())));
        assert!(quota.usage(alice()).await.is_err());
        world.store.fail(false);
        let lease = quota.reserve(alice(), size(100), NEW).await.unwrap();
        world.store.fail(true);
        sleep(Duration::from_secs(60)).await;
        assert!(lease.take(100));
        assert_eq!(lease.renew(1).await, Err(Denied::Size));
    });
}

#[test]
fn usage_that_others_changed_is_read_again_after_a_while() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        assert_eq!(used(quota).await, (0, 0));
        world.store.put(&alice(), 100, 1);
        assert_eq!(used(quota).await, (0, 0));
        sleep(Duration::from_secs(11)).await;
        assert_eq!(used(quota).await, (100, 1));
    });
}

#[test]
fn read_waits_for_the_write_in_flight_so_no_delta_counts_twice() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        quota.adjust(alice(), 10, 1).await;
        world.store.gate.forget_permits(1_000);
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(world.store.adds.lock().unwrap().len(), 1, "the write hangs");
        quota.adjust(alice(), 1, 0).await;
        let (read, ()) = tokio::join!(used(quota), async {
            sleep(Duration::from_secs(5)).await;
            assert_eq!(world.store.loads.load(Ordering::SeqCst), 0);
            world.store.gate.add_permits(1_000);
        });
        assert_eq!(read, (11, 1));
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (11, 1));
    });
}

#[test]
fn leases_unsaved_deltas_and_waiting_asks_survive_a_panic() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(lease.take(600));
        quota.adjust(alice(), 100, 1).await;
        assert_eq!(used(quota).await, (100, 1));
        world.store.gate.forget_permits(1_000);
        let waiting = tokio::spawn({
            let quota = quota.clone();
            async move { quota.usage(AccountId::user("bob")).await }
        });
        sleep(Duration::from_millis(1)).await;

        quota.inject(Fault::Panic).await;
        assert_eq!(world.restarts("QuotaTracker").await, 1);
        // Behind the operation that was in flight, the usage is read again.
        world.store.gate.add_permits(1_000);
        assert_eq!(waiting.await.unwrap().unwrap().size, 0);
        let loads = world.store.loads.load(Ordering::SeqCst);
        let want = Want { bytes: 301, files: 0 };
        let denied = quota.reserve(alice(), size(1_000), want).await;
        assert_eq!(denied.err(), Some(Denied::Size), "600 are spent, 100 are counted");
        assert_eq!(world.store.loads.load(Ordering::SeqCst), loads + 1);
        let second =
            quota.reserve(alice(), size(1_000), Want { bytes: 300, files: 0 }).await.unwrap();
        assert!(second.take(300));
        assert_eq!(lease.renew(1).await, Err(Denied::Size), "the old lease still has its tracker");
        assert_eq!(world.actors.supervisor.health().await.quota.open_leases, 2);
        lease.settle(600, 1).await;
        drop(second);
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (700, 2));
        assert_eq!(used(quota).await, (700, 2));
    });
}

#[test]
fn write_in_flight_during_a_panic_is_neither_lost_nor_repeated() {
    paused(async {
        for is_failing in [false, true] {
            let world = World::new();
            let quota = &world.actors.quota;
            quota.adjust(alice(), 10, 1).await;
            world.store.gate.forget_permits(1_000);
            sleep(Duration::from_millis(1_500)).await;
            assert_eq!(world.store.adds.lock().unwrap().len(), 1);
            quota.inject(Fault::Panic).await;
            world.store.fail(is_failing);
            world.store.gate.add_permits(1_000);
            sleep(Duration::from_millis(100)).await;
            world.store.fail(false);
            quota.flush().await.unwrap();
            assert_eq!(world.store.get(&alice()), (10, 1), "failing: {is_failing}");
            assert_eq!(used(quota).await, (10, 1));
        }
    });
}

#[test]
fn batches_go_on_after_a_panic() {
    paused(async {
        let world = World::new();
        world.actors.quota.inject(Fault::Panic).await;
        world.actors.quota.adjust(alice(), 10, 1).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.store.get(&alice()), (10, 1));
    });
}

#[test]
fn full_mailbox_delays_reservations_and_loses_none() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let reserve = |_| quota.reserve(alice(), size(u64::MAX), NEW);
        let leases = futures_util::future::join_all((0..3_000).map(reserve)).await;
        assert!(leases.iter().all(Result::is_ok));
        assert_eq!(world.actors.supervisor.health().await.quota.open_leases, 3_000);
        drop(leases);
        assert_eq!(used(quota).await, (0, 0));
        assert_eq!(world.actors.supervisor.health().await.quota.open_leases, 0);
    });
}

#[test]
fn reservation_whose_asker_left_is_returned() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let want = Want { bytes: 100, files: 1 };
        let mut reserve = Box::pin(quota.reserve(alice(), size(100), want));
        assert!(futures_util::poll!(reserve.as_mut()).is_pending());
        drop(reserve);
        assert!(quota.reserve(alice(), size(100), want).await.is_ok());
    });
}

#[test]
fn one_scan_at_a_time_and_its_result_replaces_the_usage() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        world.store.put(&alice(), 999, 99);
        quota.adjust(alice(), 1, 1).await;
        let scan = quota.begin_scan(alice()).await.unwrap();
        assert_eq!(quota.begin_scan(alice()).await.err(), Some(ScanRefused::AlreadyScanning));
        let other = quota.begin_scan(AccountId::folder("alice")).await.unwrap();
        let accounts: Vec<_> = quota.scans().await.into_iter().map(|scan| scan.account).collect();
        assert_eq!(accounts, [alice(), AccountId::folder("alice")]);
        let refused = quota.set_usage(alice(), Usage::default(), SetMode::Reset).await;
        assert_eq!(refused, Err(SetUsageError::ScanRunning));

        let measured = Usage { size: 500, files: 5, ..Usage::default() };
        let outcome = scan.finish(measured).await.unwrap();
        assert_eq!((outcome.usage.size, outcome.usage.files), (500, 5));
        assert!(!outcome.was_disturbed);
        assert!(outcome.usage.updated_unix_ms > 0);
        assert_eq!(world.store.get(&alice()), (500, 5));
        assert_eq!(used(quota).await, (500, 5));

        drop(other);
        assert_eq!(quota.scans().await, []);
        let again = quota.begin_scan(AccountId::folder("alice")).await.unwrap();
        again.finish(Usage::default()).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.store.get(&alice()), (500, 5), "what it replaced is not added later");
    });
}

#[test]
fn what_is_added_during_a_scan_counts_on_top_and_what_is_removed_counts_as_seen() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let scan = quota.begin_scan(alice()).await.unwrap();
        let lease = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(lease.take(30));
        lease.settle(30, 1).await;
        sleep(Duration::from_secs(2)).await;
        quota.adjust(alice(), -10, -1).await;
        assert_eq!(used(quota).await, (20, 0), "counted as ever while it runs");
        let outcome = scan.finish(Usage { size: 500, files: 5, ..Usage::default() }).await.unwrap();
        assert!(outcome.was_disturbed);
        assert_eq!((outcome.usage.size, outcome.usage.files), (530, 6));
        quota.adjust(alice(), 1, 0).await;
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (531, 6));
    });
}

#[test]
fn scan_result_overtakes_the_write_in_flight() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let scan = quota.begin_scan(alice()).await.unwrap();
        quota.adjust(alice(), -70, -7).await;
        world.store.gate.forget_permits(1_000);
        sleep(Duration::from_millis(1_500)).await;
        let finish = tokio::spawn(scan.finish(Usage { size: 500, files: 5, ..Usage::default() }));
        sleep(Duration::from_millis(10)).await;
        quota.adjust(alice(), 1, 1).await;
        world.store.gate.add_permits(1_000);
        finish.await.unwrap().unwrap();
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (501, 6));
        assert_eq!(used(quota).await, (501, 6));
    });
}

#[test]
fn scan_result_that_cannot_be_written_counts_and_is_written_later() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let scan = quota.begin_scan(alice()).await.unwrap();
        world.store.fail(true);
        let measured = Usage { size: 500, files: 5, ..Usage::default() };
        assert!(scan.finish(measured).await.is_err());
        assert_eq!(used(quota).await, (500, 5));
        quota.adjust(alice(), 1, 0).await;
        world.store.fail(false);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(world.store.get(&alice()), (501, 5));
    });
}

#[test]
fn scan_survives_a_panic_and_a_dropped_one_frees_the_account() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let scan = quota.begin_scan(alice()).await.unwrap();
        quota.inject(Fault::Panic).await;
        assert_eq!(quota.begin_scan(alice()).await.err(), Some(ScanRefused::AlreadyScanning));
        scan.finish(Usage { size: 5, files: 1, ..Usage::default() }).await.unwrap();
        let mut begin = Box::pin(quota.begin_scan(alice()));
        assert!(futures_util::poll!(begin.as_mut()).is_pending());
        drop(begin);
        sleep(Duration::from_millis(1)).await;
        assert!(quota.begin_scan(alice()).await.is_ok(), "whoever left does not scan");
    });
}

#[test]
fn usage_is_set_or_added_and_written_when_it_returns() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        world.store.put(&alice(), 100, 10);
        quota.adjust(alice(), 1, 1).await;
        let ten = Usage { size: 10, files: 1, ..Usage::default() };
        quota.set_usage(alice(), ten, SetMode::Add).await.unwrap();
        assert_eq!(world.store.get(&alice()), (111, 12));
        quota.adjust(alice(), 1, 1).await;
        quota.set_usage(alice(), ten, SetMode::Reset).await.unwrap();
        assert_eq!(world.store.get(&alice()), (10, 1));
        quota.set_usage(alice(), Usage::default(), SetMode::Add).await.unwrap();
        assert_eq!(used(quota).await, (10, 1));

        world.store.fail(true);
        let failed = quota.set_usage(alice(), ten, SetMode::Reset).await;
        assert!(matches!(failed, Err(SetUsageError::Unavailable(_))));
        let failed = quota.set_usage(alice(), ten, SetMode::Add).await;
        assert!(matches!(failed, Err(SetUsageError::Unavailable(_))));
        assert_eq!(used(quota).await, (20, 2));
        world.store.fail(false);
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (20, 2));
    });
}

#[test]
fn limit_counts_the_usage_that_a_scan_found() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let lease = quota.reserve(alice(), size(1_000), NEW).await.unwrap();
        assert!(lease.take(100));
        let scan = quota.begin_scan(alice()).await.unwrap();
        scan.finish(Usage { size: 900, files: 9, ..Usage::default() }).await.unwrap();
        assert!(lease.take(900), "granted before the scan");
        assert_eq!(lease.renew(1).await, Err(Denied::Size));
        assert_eq!(quota.reserve(alice(), size(1_000), NEW).await.err(), Some(Denied::Size));
    });
}

#[test]
fn forgotten_account_leaves_nothing_to_its_successor() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        world.store.fail(true);
        quota.adjust(alice(), 10, 1).await;
        assert!(quota.flush().await.is_err());
        quota.adjust(alice(), 10, 1).await;
        quota.forget(alice()).await;
        world.store.fail(false);
        quota.flush().await.unwrap();
        assert_eq!(world.store.get(&alice()), (0, 0));
        assert_eq!(used(quota).await, (0, 0));
    });
}

#[test]
fn flush_waits_for_the_write_in_flight_and_for_what_settled_since() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        quota.adjust(alice(), 10, 1).await;
        world.store.gate.forget_permits(1_000);
        sleep(Duration::from_millis(1_500)).await;
        quota.adjust(alice(), 5, 1).await;
        let flush = tokio::spawn({
            let quota = quota.clone();
            async move { quota.flush().await }
        });
        sleep(Duration::from_millis(1)).await;
        assert!(!flush.is_finished());
        world.store.gate.add_permits(1_000);
        flush.await.unwrap().unwrap();
        assert_eq!(world.store.get(&alice()), (15, 2));
    });
}

#[test]
fn flush_ends_when_what_it_waits_for_cancels_itself_out() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        quota.adjust(alice(), 10, 1).await;
        world.store.gate.forget_permits(1_000);
        sleep(Duration::from_millis(1_500)).await;
        quota.adjust(alice(), 5, 1).await;
        let flush = tokio::spawn({
            let quota = quota.clone();
            async move { quota.flush().await }
        });
        sleep(Duration::from_millis(1)).await;
        quota.adjust(alice(), -5, -1).await;
        world.store.gate.add_permits(1_000);
        flush.await.unwrap().unwrap();
        assert_eq!(world.store.get(&alice()), (10, 1));
    });
}
