//! Health, failure, and the order of a shutdown.

mod common;

use std::time::Duration;

use actors::{
    AbortReason, AccountId, Denied, Drained, Fault, FsAction, FsEvent, KillReason, Limits, Meter,
    Notified, Protocol, Refused, Usage, Verdict, Want,
};
use common::{FakeEnd, Ran, World, admission, all, login, paused, pooled, spec};
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

fn event() -> FsEvent {
    FsEvent::new(FsAction::Upload, Protocol::Sftp, "alice")
}

/// What a protocol does: stays until killed, then leaves.
fn stay_until_killed(client: common::Client) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        client.connection.kill_switch().fired().await;
        drop(client);
    })
}

#[test]
fn fifth_panic_within_a_minute_fails_the_process_which_can_still_drain() {
    paused(async {
        let world = World::new();
        for _ in 0..4 {
            world.actors.registry.inject(Fault::Panic).await;
        }
        let failed = tokio::time::timeout(MINUTE, world.actors.supervisor.failed());
        assert!(failed.await.is_err(), "four are tolerated");
        for _ in 0..5 {
            world.actors.registry.inject(Fault::Panic).await;
        }
        let failure = world.actors.supervisor.failed().await;
        assert_eq!(failure.actor, "ConnectionRegistry");
        assert_eq!(world.actors.supervisor.shutdown(MINUTE).await, Drained(true));
    });
}

#[test]
fn panic_of_the_supervisor_fails_the_process_and_no_ask_hangs() {
    paused(async {
        let world = World::new();
        world.actors.supervisor.inject(Fault::Panic).await;
        assert_eq!(world.actors.supervisor.failed().await.actor, "Supervisor");
        assert_eq!(world.actors.supervisor.shutdown(MINUTE).await, Drained(false));
        let health = world.actors.supervisor.health().await;
        assert_eq!(health.control_roundtrip, None);
        assert_eq!(health.actors.len(), 6);
    });
}

#[test]
fn asks_on_dead_actors_return_errors() {
    paused(async {
        let world = World::new();
        let actors = &world.actors;
        let client = world.client("alice").await;
        let alice = AccountId::user("alice");
        let limits = Limits { size: Some(1_000), files: None };
        let lease = actors.quota.reserve(alice.clone(), limits, Want::default()).await.unwrap();
        let scan = actors.quota.begin_scan(AccountId::user("bob")).await.unwrap();
        for _ in 0..10 {
            actors.registry.inject(Fault::Panic).await;
            actors.quota.inject(Fault::Panic).await;
            actors.hooks.inject(Fault::Panic).await;
        }
        let refused = actors.registry.admit(admission("192.0.2.1")).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        let refused = actors.registry.logged_in(client.connection.id(), login("alice", 0)).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        let refused = client.connection.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        assert_eq!(actors.registry.list().await, []);

        let denied = actors.quota.reserve(alice.clone(), limits, Want::default()).await;
        assert!(matches!(denied, Err(Denied::Unavailable(_))));
        assert!(matches!(lease.renew(5_000).await, Err(Denied::Unavailable(_))));
        assert!(actors.quota.usage(alice.clone()).await.is_err());
        assert!(actors.quota.begin_scan(alice.clone()).await.is_err());
        assert!(scan.finish(Usage::default()).await.is_err());
        assert!(actors.quota.flush().await.is_err());
        lease.settle(10, 1).await;

        assert_eq!(actors.hooks.decide(event()).await, Verdict::Deny);
        // Nobody will run it, but nobody waits for it either.
        assert_eq!(actors.hooks.notify(event()).await, Notified::Queued);
        assert_eq!(actors.supervisor.shutdown(Duration::ZERO).await, Drained(false));

        // The connection has its own actor and ends properly.
        client.connection.closed("done".into()).await;
    });
}

#[test]
fn health_counts_messages_and_handlers_that_held_the_thread() {
    paused(async {
        let world = World::new();
        world.client("alice").await;
        let before = world.actors.supervisor.health().await;
        let registry = |health: &actors::HealthReport| {
            health.actors.iter().find(|a| a.name == "ConnectionRegistry").cloned().unwrap()
        };
        assert!(before.control_roundtrip.is_some());
        assert!(registry(&before).handled >= 3, "admit, login, session");
        let slow_before = registry(&before).slow_handlers;
        world.actors.registry.inject(Fault::Hold(Duration::from_millis(3))).await;
        let after = registry(&world.actors.supervisor.health().await);
        assert_eq!(after.slow_handlers, slow_before + 1);
        assert!(after.slowest_us >= 3_000);
        assert!(after.busy_us >= 3_000);
        assert_eq!(after.mailbox_depth, 0);
    });
}

#[test]
fn stalled_control_thread_is_reported_instead_of_waited_for() {
    pooled(async {
        let world = World::new();
        let actors = world.actors.clone();
        let report = tokio::spawn(async move {
            let registry = actors.registry.clone();
            let stall = tokio::spawn(async move {
                registry.inject(Fault::Hold(Duration::from_millis(1_500))).await;
            });
            loop {
                let report = actors.supervisor.health().await;
                if report.control_roundtrip.is_none() || stall.is_finished() {
                    return report;
                }
            }
        });
        assert_eq!(report.await.unwrap().control_roundtrip, None);
    });
}

#[test]
fn idle_connections_are_ended_at_once_and_shutdown_is_clean() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let switch = client.connection.kill_switch().clone();
        stay_until_killed(client);
        sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        assert_eq!(world.actors.supervisor.shutdown(MINUTE).await, Drained(true));
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(switch.reason(), Some(KillReason::Shutdown));
    });
}

#[test]
fn client_that_keeps_asking_without_a_transfer_does_not_delay_the_shutdown() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        tokio::spawn(async move {
            while !client.connection.kill_switch().is_fired() {
                client.connection.touch();
                sleep(Duration::from_millis(5)).await;
            }
        });
        let begun = Instant::now();
        assert_eq!(world.actors.supervisor.shutdown(MINUTE).await, Drained(true));
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn running_transfer_is_waited_for_and_its_client_gets_the_result() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, meter) = client.upload().await;
        let upload = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(Duration::from_secs(1)).await;
                meter.add(1);
            }
            let (end, ran) = FakeEnd::new();
            let result = transfer.finish(end).await;
            // Time for the reply to reach the client before the kill.
            let was_killed_first = client.connection.kill_switch().is_fired();
            stay_until_killed(client).await.unwrap();
            (result.is_ok(), was_killed_first, all(ran).await.len())
        });
        let begun = Instant::now();
        assert_eq!(world.actors.supervisor.shutdown(MINUTE).await, Drained(true));
        assert!(begun.elapsed() >= Duration::from_secs(10));
        assert!(begun.elapsed() < Duration::from_secs(11));
        assert_eq!(upload.await.unwrap(), (true, false, 1));
    });
}

#[test]
fn transfer_beyond_the_grace_is_killed_and_aborted() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        tokio::spawn(async move {
            client.connection.kill_switch().fired().await;
            transfer.abort(end, AbortReason::Dropped);
            drop(client);
        });
        let begun = Instant::now();
        let grace = Duration::from_secs(5);
        assert_eq!(world.actors.supervisor.shutdown(grace).await, Drained(false));
        assert!(begun.elapsed() >= grace && begun.elapsed() < grace + Duration::from_secs(1));
        assert_eq!(all(ran).await, [Ran::Abort(AbortReason::Killed(KillReason::Shutdown))]);
        assert_eq!(world.actors.registry.count().await, 0);
    });
}

#[test]
fn grace_of_zero_closes_at_once() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        stay_until_killed(client);
        let begun = Instant::now();
        assert_eq!(world.actors.supervisor.shutdown(Duration::ZERO).await, Drained(true));
        assert!(begun.elapsed() < Duration::from_millis(100));
    });
}

#[test]
fn connection_that_never_leaves_does_not_stop_the_shutdown() {
    paused(async {
        let world = World::new();
        let _stuck = world.client("alice").await;
        let begun = Instant::now();
        let grace = Duration::from_secs(5);
        assert_eq!(world.actors.supervisor.shutdown(grace).await, Drained(false));
        assert!(begun.elapsed() < Duration::from_secs(12));
    });
}

#[test]
fn nothing_new_starts_while_draining() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let waiting = world.actors.registry.admit(admission("192.0.2.7")).await.unwrap();
        let supervisor = world.actors.supervisor.clone();
        let shutdown = tokio::spawn(async move { supervisor.shutdown(MINUTE).await });
        while !world.actors.supervisor.health().await.is_draining {
            sleep(Duration::from_millis(1)).await;
        }
        let refused = world.actors.registry.admit(admission("192.0.2.1")).await;
        assert_eq!(refused.err(), Some(Refused::Draining));
        let refused = world.actors.registry.logged_in(waiting.id(), login("bob", 0)).await;
        assert_eq!(refused, Err(Refused::Gone), "without a transfer it was ended at once");
        let refused = client.connection.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::Draining));
        let id = client.session.id();
        let refused = client.connection.begin_transfer(id, spec(Meter::new())).await;
        assert_eq!(refused.err(), Some(Refused::Draining));
        drop(waiting);

        let (end, _ran) = FakeEnd::new();
        transfer.finish(end).await.unwrap();
        stay_until_killed(client);
        assert_eq!(shutdown.await.unwrap(), Drained(true));
    });
}

#[test]
fn usage_is_written_and_hooks_have_run_when_shutdown_returns() {
    paused(async {
        let world = World::new();
        let alice = AccountId::user("alice");
        world.actors.quota.adjust(alice.clone(), 10, 1).await;
        for _ in 0..100 {
            assert_eq!(world.actors.hooks.notify(event()).await, Notified::Queued);
        }
        assert_eq!(world.actors.supervisor.shutdown(Duration::ZERO).await, Drained(true));
        assert_eq!(world.store.get(&alice), (10, 1));
        assert_eq!(world.hooks.users().len(), 100);
    });
}

#[test]
fn usage_that_cannot_be_written_makes_the_shutdown_unclean() {
    paused(async {
        let world = World::new();
        world.store.fail(true);
        world.actors.quota.adjust(AccountId::user("alice"), 10, 1).await;
        assert_eq!(world.actors.supervisor.shutdown(Duration::ZERO).await, Drained(false));
    });
}
