//! A transfer ends exactly once, whoever vanishes.

mod common;

use actors::{AbortReason, KillReason, KillSwitch, Meter, Refused};
use common::{FakeEnd, Ran, World, all, is_commit, paused, pooled, spec};

#[test]
fn finish_commits_once_and_returns_the_result() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;

        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        transfer.finish(end).await.unwrap();
        assert!(is_commit(&all(ran).await));

        let (transfer, _) = client.upload().await;
        let (mut end, ran) = FakeEnd::new();
        end.result = Err("disk full");
        assert_eq!(transfer.finish(end).await.unwrap_err().to_string(), "disk full");
        assert!(is_commit(&all(ran).await));
        assert_eq!(world.actors.registry.list().await[0].transfers, []);
    });
}

#[test]
fn finish_whose_future_is_dropped_unpolled_still_commits() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        drop(transfer.finish(end));
        assert!(is_commit(&all(ran).await));
        world.transfers_ended().await;
    });
}

#[test]
fn finish_after_a_kill_aborts_and_fails_with_the_reason() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        client.connection.kill_switch().fire(KillReason::IdleTimeout);
        let error = transfer.finish(end).await.unwrap_err();
        let reason = AbortReason::Killed(KillReason::IdleTimeout);
        assert_eq!(error.downcast_ref::<AbortReason>(), Some(&reason));
        assert_eq!(all(ran).await, [Ran::Abort(reason)]);
    });
}

#[test]
fn kill_during_finish_lets_the_commit_complete_and_the_client_gets_its_result() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, mut ran, gate) = FakeEnd::held();
        let finish = tokio::spawn(transfer.finish(end));
        assert!(matches!(ran.recv().await, Some(Ran::Commit { .. })));

        client.connection.kill_switch().fire(KillReason::Shutdown);
        let list = world.actors.registry.list().await;
        assert_eq!(list[0].transfers.len(), 1, "listed until its commit has ended");
        gate.add_permits(1);
        finish.await.unwrap().unwrap();
        assert_eq!(all(ran).await, [], "no abort follows the commit");
    });
}

#[test]
fn connection_that_closes_during_finish_does_not_stop_the_commit() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, mut ran, gate) = FakeEnd::held();
        let finish = tokio::spawn(transfer.finish(end));
        assert!(matches!(ran.recv().await, Some(Ran::Commit { .. })));

        client.connection.closed("connection reset".into()).await;
        drop(client);
        assert_eq!(world.actors.registry.count().await, 0);
        assert_eq!(world.actors.supervisor.health().await.transfers, 1);
        gate.add_permits(1);
        finish.await.unwrap().unwrap();
        assert_eq!(world.actors.supervisor.health().await.transfers, 0);
    });
}

#[test]
fn abort_runs_when_the_client_task_is_dropped() {
    /// What an unfinished upload does when it is dropped.
    struct Unfinished(Option<(actors::Transfer, Box<FakeEnd>)>);
    impl Drop for Unfinished {
        fn drop(&mut self) {
            let (transfer, end) = self.0.take().unwrap();
            transfer.abort(end, AbortReason::Dropped);
        }
    }

    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        let upload = Unfinished(Some((transfer, end)));
        let task = tokio::spawn(async move {
            let _owned = (client, upload);
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        task.abort();
        assert_eq!(all(ran).await, [Ran::Abort(AbortReason::Dropped)]);
        world.transfers_ended().await;
        assert_eq!(world.actors.registry.count().await, 0);
    });
}

#[test]
fn abort_of_a_killed_connection_names_the_kill_reason() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let reason = KillReason::Admin { by: "root".into(), because: None };
        client.connection.kill_switch().fire(reason.clone());
        assert!(matches!(
            client.connection.begin_transfer(client.session.id(), spec(Meter::new())).await,
            Err(Refused::Gone)
        ));

        let client = world.client("bob").await;
        let (dropped, _) = client.upload().await;
        let (failed, _) = client.upload().await;
        client.connection.kill_switch().fire(reason.clone());
        let (end, ran) = FakeEnd::new();
        dropped.abort(end, AbortReason::Dropped);
        assert_eq!(all(ran).await, [Ran::Abort(AbortReason::Killed(reason))]);

        // A transfer that failed by itself keeps its own reason.
        let (end, ran) = FakeEnd::new();
        let own = AbortReason::Failed("quota exceeded".into());
        failed.abort(end, own.clone());
        assert_eq!(all(ran).await, [Ran::Abort(own)]);
    });
}

#[test]
fn commit_that_panics_is_an_error_and_leaves_no_transfer_behind() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (mut end, ran) = FakeEnd::new();
        end.panics = true;
        assert!(transfer.finish(end).await.unwrap_err().to_string().contains("panicked"));
        assert!(is_commit(&all(ran).await));
        assert_eq!(world.actors.supervisor.health().await.transfers, 0);
        assert_eq!(world.restarts("Transfer").await, 1);

        // Nobody else notices.
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        transfer.finish(end).await.unwrap();
        assert!(is_commit(&all(ran).await));
    });
}

#[test]
fn transfer_dropped_without_an_end_is_no_longer_listed() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        assert_eq!(world.actors.registry.list().await[0].transfers.len(), 1);
        drop(transfer);
        world.transfers_ended().await;
        assert_eq!(world.actors.registry.list().await[0].transfers.len(), 0);
    });
}

#[test]
fn end_whose_caller_leaves_goes_on_on_the_worker_pool() {
    pooled(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        drop(transfer.finish(end));
        assert_eq!(all(ran).await, [Ran::Commit { thread: Some("pool".into()) }]);
    });
}

#[test]
fn end_dropped_on_a_thread_without_a_runtime_still_runs() {
    pooled(async {
        let world = World::new();
        let client = world.client("alice").await;
        let (transfer, _) = client.upload().await;
        let (end, ran) = FakeEnd::new();
        std::thread::spawn(move || transfer.abort(end, AbortReason::Dropped)).join().unwrap();
        assert_eq!(all(ran).await, [Ran::Abort(AbortReason::Dropped)]);
    });
}

#[test]
fn transfer_costs_one_end_and_no_ask_whatever_its_size() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let handled = async || {
            let health = world.actors.supervisor.health().await;
            let quiet = health.actors.iter().filter(|actor| actor.name != "Supervisor");
            quiet.map(|actor| actor.handled).sum::<u64>()
        };
        let before = handled().await;
        let (transfer, meter) = client.upload().await;
        let lease = world
            .actors
            .quota
            .reserve(
                actors::AccountId::user("alice"),
                actors::Limits::default(),
                Default::default(),
            )
            .await
            .unwrap();
        for _ in 0..1_000 {
            assert!(lease.take(32_768));
            meter.add(32_768);
            client.connection.touch();
        }
        let (end, _ran) = FakeEnd::new();
        transfer.finish(end).await.unwrap();
        lease.settle(32_768_000, 1).await;
        assert_eq!(handled().await - before, 1);
    });
}

#[test]
fn thousand_parallel_transfers_each_end_once() {
    pooled(async {
        let world = World::new();
        let client = std::sync::Arc::new(world.client("alice").await);
        let kill = client.connection.kill_switch().clone();
        let tasks: Vec<_> = (0..1_000)
            .map(|n| {
                let (client, kill) = (client.clone(), kill.clone());
                tokio::spawn(one_transfer(client, kill, n))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        world.transfers_ended().await;
    });
}

/// Ends one way or another while a kill strikes in the middle of the crowd.
async fn one_transfer(client: std::sync::Arc<common::Client>, kill: KillSwitch, n: usize) {
    let spec = spec(Meter::new());
    let Ok(transfer) = client.connection.begin_transfer(client.session.id(), spec).await else {
        assert!(kill.is_fired());
        return;
    };
    if n == 500 {
        kill.fire(KillReason::Shutdown);
    }
    let (end, ran) = FakeEnd::new();
    if n.is_multiple_of(3) {
        transfer.abort(end, AbortReason::Dropped);
        assert!(matches!(all(ran).await[..], [Ran::Abort(_)]));
    } else {
        let result = transfer.finish(end).await;
        let runs = all(ran).await;
        match result {
            Ok(()) => assert!(is_commit(&runs)),
            Err(_) => {
                assert_eq!(runs, [Ran::Abort(AbortReason::Killed(KillReason::Shutdown))]);
            }
        }
    }
}
