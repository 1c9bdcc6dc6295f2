//! Limits on transferred bytes hold to the byte, and every byte is stored once.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::{AccountId, Allowance, Direction, Fault, SetMode, TransferLimits, Transferred};
use common::{World, paused, pooled};
use tokio::time::sleep;

const UP: Direction = Direction::Upload;
const DOWN: Direction = Direction::Download;

fn alice() -> AccountId {
    AccountId::user("alice")
}

fn limits(upload: u64, download: u64, total: u64) -> TransferLimits {
    let limit = |bytes| Some(bytes).filter(|bytes| *bytes > 0);
    TransferLimits { upload: limit(upload), download: limit(download), total: limit(total) }
}

async fn allowance(world: &World, limits: TransferLimits) -> Allowance {
    world.actors.quota.allowance(alice(), limits).await.unwrap()
}

fn stored(world: &World) -> (u64, u64) {
    let all = world.store.transferred.lock().unwrap();
    let found = all.get(&alice()).copied().unwrap_or_default();
    (found.uploaded, found.downloaded)
}

fn put(world: &World, uploaded: u64, downloaded: u64) {
    let found = Transferred { uploaded, downloaded };
    world.store.transferred.lock().unwrap().insert(alice(), found);
}

#[test]
fn each_limit_counts_its_own_bytes_and_a_total_replaces_both() {
    paused(async {
        // (limits, fits up, fits down, up after both)
        let table = [
            (limits(100, 0, 0), Some(100), None),
            (limits(0, 100, 0), None, Some(100)),
            (limits(100, 50, 0), Some(100), Some(50)),
            (limits(10, 10, 100), Some(60), Some(40)),
        ];
        for (limits, up, down) in table {
            let world = World::new();
            let allowance = allowance(&world, limits).await;
            for (direction, most) in [(UP, up), (DOWN, down)] {
                assert!(!allowance.is_used_up(direction));
                assert!(allowance.take(direction, most.unwrap_or(1 << 40)), "{limits:?}");
            }
            for (direction, most) in [(UP, up), (DOWN, down)] {
                assert_eq!(allowance.is_used_up(direction), most.is_some(), "{limits:?}");
                assert_eq!(allowance.take(direction, 1), most.is_none(), "{limits:?}");
            }
        }
    });
}

#[test]
fn what_was_transferred_before_counts_and_is_read_once() {
    paused(async {
        let world = World::new();
        put(&world, 60, 30);
        let first = allowance(&world, limits(0, 0, 100)).await;
        let second = allowance(&world, limits(0, 0, 100)).await;
        assert!(!first.take(UP, 11));
        assert!(first.take(UP, 4));
        assert!(second.take(DOWN, 6));
        assert!(!first.take(DOWN, 1));
        assert!(second.is_used_up(UP));
        second.give_back(DOWN, 6);
        assert!(first.take(UP, 6));
        assert_eq!(world.store.loads.load(Ordering::SeqCst), 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(stored(&world), (70, 30));
    });
}

#[test]
fn parallel_transfers_take_exactly_what_is_left() {
    pooled(async {
        let world = World::new();
        put(&world, 1_000, 0);
        let taken = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..16)
            .map(|at| {
                let (quota, taken) = (world.actors.quota.clone(), taken.clone());
                tokio::spawn(async move {
                    let limits = limits(0, 0, 1_000_003);
                    let allowance = quota.allowance(alice(), limits).await.unwrap();
                    let direction = if at % 2 == 0 { UP } else { DOWN };
                    for bytes in [977u64, 1].into_iter().cycle() {
                        if allowance.take(direction, bytes) {
                            taken.fetch_add(bytes, Ordering::SeqCst);
                        } else if bytes == 1 {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(taken.load(Ordering::SeqCst), 999_003);
        world.actors.quota.flush().await.unwrap();
        let (up, down) = stored(&world);
        assert_eq!(up + down, 1_000_003);
    });
}

#[test]
fn nothing_is_lost_or_counted_twice_while_the_store_fails_or_the_tracker_panics() {
    paused(async {
        let world = World::new();
        put(&world, 5, 5);
        let quota = &world.actors.quota;
        let unlimited = allowance(&world, TransferLimits::default()).await;
        assert!(unlimited.take(UP, 10));
        world.store.fail(true);
        sleep(Duration::from_secs(3)).await;
        assert!(unlimited.take(DOWN, 20));
        assert!(quota.flush().await.is_err());
        quota.inject(Fault::Panic).await;
        assert!(unlimited.take(DOWN, 1));
        world.store.fail(false);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(stored(&world), (15, 26));
        // Read again after the panic, and not added to what is counted.
        assert!(!allowance(&world, limits(15, 0, 0)).await.take(UP, 1));
        assert!(allowance(&world, limits(16, 0, 0)).await.take(UP, 1));
        quota.flush().await.unwrap();
        assert_eq!(stored(&world), (16, 26));
    });
}

#[test]
fn without_a_limit_an_unreadable_store_hinders_nobody() {
    paused(async {
        let world = World::new();
        world.store.fail(true);
        let quota = &world.actors.quota;
        assert!(quota.allowance(alice(), limits(1, 0, 0)).await.is_err());
        let unlimited = allowance(&world, TransferLimits::default()).await;
        assert!(unlimited.take(UP, 7));
        world.store.fail(false);
        put(&world, 100, 0);
        // Both before and after it is read: 107.
        let limited = allowance(&world, limits(108, 0, 0)).await;
        assert!(!limited.take(UP, 2));
        assert!(limited.take(UP, 1));
        quota.flush().await.unwrap();
        assert_eq!(stored(&world), (108, 0));
    });
}

#[test]
fn an_administrator_sets_and_adds_while_transfers_run() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let running = allowance(&world, limits(100, 0, 0)).await;
        assert!(running.take(UP, 100));
        let given = |uploaded, downloaded| Transferred { uploaded, downloaded };
        quota.set_transferred(alice(), given(10, 3), SetMode::Reset).await.unwrap();
        assert_eq!(stored(&world), (10, 3));
        assert!(running.take(UP, 90));
        assert!(!running.take(UP, 1));
        quota.set_transferred(alice(), given(0, 4), SetMode::Add).await.unwrap();
        assert_eq!(stored(&world), (100, 7));
        // To what it is already: nothing to write, and nobody waits for ever.
        quota.set_transferred(alice(), given(100, 7), SetMode::Reset).await.unwrap();
        quota.set_transferred(alice(), given(0, 0), SetMode::Add).await.unwrap();
        quota.set_transferred(alice(), given(0, 0), SetMode::Reset).await.unwrap();
        assert_eq!(stored(&world), (0, 0));
        assert!(running.take(UP, 100));
    });
}

#[test]
fn a_deleted_account_leaves_nothing_to_one_of_its_name() {
    paused(async {
        let world = World::new();
        let quota = &world.actors.quota;
        let old = allowance(&world, limits(100, 0, 0)).await;
        assert!(old.take(UP, 100));
        world.store.transferred.lock().unwrap().clear();
        quota.forget(alice()).await;
        assert!(!old.take(UP, 1));
        let new = allowance(&world, limits(100, 0, 0)).await;
        assert!(new.take(UP, 100));
        quota.flush().await.unwrap();
        assert_eq!(stored(&world), (100, 0));
    });
}

#[test]
fn another_server_on_the_same_store_is_noticed() {
    paused(async {
        let world = World::new();
        assert!(allowance(&world, limits(100, 0, 0)).await.take(UP, 10));
        sleep(Duration::from_secs(2)).await;
        put(&world, 95, 0);
        sleep(Duration::from_secs(20)).await;
        let later = allowance(&world, limits(100, 0, 0)).await;
        assert!(!later.take(UP, 6));
        assert!(later.take(UP, 5));
    });
}
