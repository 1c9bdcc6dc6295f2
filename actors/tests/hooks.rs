//! Hooks run, wait their turn, and never pile up.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::{
    Fault, FsAction, FsEvent, HooksConfig, Notified, Protocol, SupervisorConfig, Verdict,
};
use common::{World, paused};
use tokio::time::{Instant, sleep};

fn world(hooks: HooksConfig) -> World {
    World::with(SupervisorConfig { hooks, ..SupervisorConfig::default() })
}

fn told(username: &str) -> FsEvent {
    FsEvent::new(FsAction::Upload, Protocol::Sftp, username)
}

fn asked(username: &str) -> FsEvent {
    FsEvent::new(FsAction::PreUpload, Protocol::Sftp, username)
}

async fn idle(world: &World) {
    loop {
        let health = world.actors.supervisor.health().await.hooks;
        if health.queued + health.running == 0 {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn told_events_run_in_order_and_carry_what_happened() {
    paused(async {
        let world = world(HooksConfig { max_running_per_target: 1, ..HooksConfig::default() });
        for username in ["a", "b", "c"] {
            assert_eq!(world.actors.hooks.notify(told(username)).await, Notified::Queued);
        }
        idle(&world).await;
        assert_eq!(world.hooks.users(), ["a", "b", "c"]);
        let actors::Event::Fs(event) = world.hooks.ran.lock().unwrap()[0].clone();
        assert_eq!(event.action.as_str(), "upload");
        assert_eq!(event.status.code(), 1);
        assert!(event.timestamp_ns > 0);
    });
}

#[test]
fn unwanted_action_costs_nothing() {
    paused(async {
        let world = world(HooksConfig::default());
        let event = || FsEvent::new(FsAction::Mkdir, Protocol::Sftp, "denied");
        assert!(!world.actors.hooks.wants(FsAction::Mkdir));
        assert_eq!(world.actors.hooks.notify(event()).await, Notified::Unwanted);
        assert_eq!(world.actors.hooks.decide(event()).await, Verdict::Allow);
        idle(&world).await;
        assert_eq!(world.hooks.users().len(), 0);
    });
}

#[test]
fn verdict_is_the_hooks_and_every_failure_denies() {
    paused(async {
        let world = world(HooksConfig::default());
        for (username, verdict) in [
            ("allowed", Verdict::Allow),
            ("denied", Verdict::Deny),
            ("failing", Verdict::Deny),
            ("panicking", Verdict::Deny),
        ] {
            assert_eq!(world.actors.hooks.decide(asked(username)).await, verdict, "{username}");
        }
        world.actors.hooks.notify(told("panicking")).await;
        idle(&world).await;
        assert_eq!(world.actors.supervisor.health().await.hooks.failures, 3);
        assert_eq!(world.restarts("HookDispatcher").await, 0, "a hook is its own task");
    });
}

#[test]
fn few_run_at_once_for_a_target_and_others_do_not_wait_for_it() {
    paused(async {
        let world = world(HooksConfig { max_running_per_target: 3, ..HooksConfig::default() });
        world.hooks.gate.forget_permits(1_000);
        for _ in 0..10 {
            world.actors.hooks.notify(told("slow")).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.hooks.running.load(Ordering::SeqCst), 3);
        let mut elsewhere = told("elsewhere");
        elsewhere.role = Some("other target".into());
        world.actors.hooks.notify(elsewhere).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.hooks.running.load(Ordering::SeqCst), 4);
        let health = world.actors.supervisor.health().await.hooks;
        assert_eq!((health.queued, health.running), (7, 4));

        world.hooks.gate.add_permits(1_000);
        idle(&world).await;
        assert_eq!(world.hooks.users().len(), 11);
        assert_eq!(world.hooks.most_running.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn full_queue_delays_a_told_event_then_drops_and_counts_it() {
    paused(async {
        let config = HooksConfig {
            queue_capacity: 2,
            max_running_per_target: 1,
            notify_wait: Duration::from_secs(3),
        };
        let world = world(config);
        let hooks = &world.actors.hooks;
        world.hooks.gate.forget_permits(1_000);
        hooks.notify(told("running")).await;
        sleep(Duration::from_millis(1)).await;
        hooks.notify(told("waiting")).await;
        hooks.notify(told("waiting")).await;

        let begun = Instant::now();
        assert_eq!(hooks.notify(told("lost")).await, Notified::Dropped);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        assert_eq!(world.actors.supervisor.health().await.hooks.dropped_events, 1);

        // One that finds a place while it waits is not lost.
        let late = hooks.notify(told("late"));
        let release = async {
            sleep(Duration::from_secs(2)).await;
            world.hooks.gate.add_permits(1_000);
        };
        assert_eq!(tokio::join!(late, release).0, Notified::Queued);
        idle(&world).await;
        assert_eq!(world.hooks.users(), ["running", "waiting", "waiting", "late"]);
    });
}

#[test]
fn full_queue_denies_a_question_at_once() {
    paused(async {
        let config = HooksConfig {
            queue_capacity: 1,
            max_running_per_target: 1,
            notify_wait: Duration::from_secs(3),
        };
        let world = world(config);
        let hooks = &world.actors.hooks;
        world.hooks.gate.forget_permits(1_000);
        hooks.notify(told("running")).await;
        sleep(Duration::from_millis(1)).await;
        hooks.notify(told("waiting")).await;
        let begun = Instant::now();
        assert_eq!(hooks.decide(asked("allowed")).await, Verdict::Deny);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(world.actors.supervisor.health().await.hooks.denied_when_full, 1);
    });
}

#[test]
fn panic_keeps_the_queue_and_the_running_hooks() {
    paused(async {
        let world = world(HooksConfig { max_running_per_target: 2, ..HooksConfig::default() });
        let hooks = &world.actors.hooks;
        world.hooks.gate.forget_permits(1_000);
        let question = tokio::spawn({
            let hooks = hooks.clone();
            async move { hooks.decide(asked("denied")).await }
        });
        for _ in 0..5 {
            hooks.notify(told("alice")).await;
        }
        sleep(Duration::from_millis(1)).await;
        hooks.inject(Fault::Panic).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(world.restarts("HookDispatcher").await, 1);
        assert_eq!(world.hooks.running.load(Ordering::SeqCst), 2, "the count was not forgotten");

        world.hooks.gate.add_permits(1_000);
        assert_eq!(question.await.unwrap(), Verdict::Deny);
        idle(&world).await;
        assert_eq!(world.hooks.users().len(), 6);
        assert_eq!(world.hooks.most_running.load(Ordering::SeqCst), 2);
    });
}
