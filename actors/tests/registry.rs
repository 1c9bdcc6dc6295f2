//! Who is let in, who is listed, who is ended.

mod common;

use std::time::Duration;

use actors::{
    Fault, KillOutcome, KillReason, Meter, Protocol, Refused, RegistryConfig, SupervisorConfig,
};
use common::{FakeEnd, World, admission, login, paused, spec};
use tokio::time::advance;

fn world(registry: RegistryConfig) -> World {
    World::with(SupervisorConfig { registry, ..SupervisorConfig::default() })
}

fn by_root() -> KillReason {
    KillReason::Admin { by: "root".into(), because: None }
}

fn unlimited() -> RegistryConfig {
    RegistryConfig { max_total_connections: 0, max_per_host_connections: 0, idle_timeout_secs: 0 }
}

#[test]
fn total_limit_refuses_one_more_until_one_leaves() {
    paused(async {
        let world = world(RegistryConfig { max_total_connections: 2, ..unlimited() });
        let registry = &world.actors.registry;
        let first = registry.admit(admission("192.0.2.1")).await.unwrap();
        let _second = registry.admit(admission("192.0.2.2")).await.unwrap();
        let refused = registry.admit(admission("192.0.2.3")).await;
        assert_eq!(refused.err(), Some(Refused::TotalLimit));
        first.closed("done".into()).await;
        assert!(registry.admit(admission("192.0.2.3")).await.is_ok());
    });
}

#[test]
fn host_limit_counts_one_address_in_both_notations() {
    paused(async {
        let world = world(RegistryConfig { max_per_host_connections: 2, ..unlimited() });
        let registry = &world.actors.registry;
        let first = registry.admit(admission("192.0.2.1")).await.unwrap();
        let _second = registry.admit(admission("::ffff:192.0.2.1")).await.unwrap();
        let refused = registry.admit(admission("192.0.2.1")).await;
        assert_eq!(refused.err(), Some(Refused::HostLimit));
        let _other_host = registry.admit(admission("2001:db8::1")).await.unwrap();
        first.closed("done".into()).await;
        assert!(registry.admit(admission("::ffff:192.0.2.1")).await.is_ok());
    });
}

#[test]
fn connection_counts_as_one_session_until_it_opens_a_second() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let first = registry.admit(admission("192.0.2.1")).await.unwrap();
        registry.logged_in(first.id(), login("alice", 3)).await.unwrap();
        assert_eq!(registry.user_sessions("alice").await, 1);
        let a = first.open_session(Protocol::Sftp).await.unwrap();
        assert_eq!(registry.user_sessions("alice").await, 1, "the login was counted for it");
        let b = first.open_session(Protocol::Sftp).await.unwrap();
        assert_eq!(registry.user_sessions("alice").await, 2);

        let second = registry.admit(admission("192.0.2.1")).await.unwrap();
        registry.logged_in(second.id(), login("alice", 3)).await.unwrap();
        assert_eq!(registry.user_sessions("alice").await, 3);
        let third = registry.admit(admission("192.0.2.1")).await.unwrap();
        let refused = registry.logged_in(third.id(), login("alice", 3)).await;
        assert_eq!(refused, Err(Refused::SessionLimit));
        let refused = first.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::SessionLimit));
        let c = second.open_session(Protocol::Sftp).await.unwrap();
        let refused = second.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::SessionLimit));

        // Another account is another count.
        registry.logged_in(third.id(), login("bob", 1)).await.unwrap();

        drop(b);
        assert_eq!(registry.user_sessions("alice").await, 2);
        let d = second.open_session(Protocol::Sftp).await.unwrap();
        drop((a, c, d));
        assert_eq!(registry.user_sessions("alice").await, 2, "one for each connection");
        first.closed("done".into()).await;
        second.closed("done".into()).await;
        assert_eq!(registry.user_sessions("alice").await, 0);
    });
}

#[test]
fn parallel_logins_never_exceed_the_session_limit() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let login_once = async |_| {
            let connection = registry.admit(admission("192.0.2.1")).await.unwrap();
            let logged_in = registry.logged_in(connection.id(), login("alice", 7)).await;
            (connection, logged_in.is_ok())
        };
        let logins = futures_util::future::join_all((0..50).map(login_once)).await;
        assert_eq!(logins.iter().filter(|(_, logged_in)| *logged_in).count(), 7);
    });
}

#[test]
fn list_shows_sessions_with_the_live_bytes_of_their_transfers() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let client = world.client("alice").await;
        client.session.set_command("upload".into());
        let meter = Meter::new();
        let session = client.session.id();
        let _transfer =
            client.connection.begin_transfer(session, spec(meter.clone())).await.unwrap();
        let idle = registry.admit(admission("192.0.2.2")).await.unwrap();
        registry.logged_in(idle.id(), login("bob", 0)).await.unwrap();
        let _anonymous = registry.admit(admission("192.0.2.3")).await.unwrap();

        advance(Duration::from_secs(5)).await;
        meter.add(4_096);
        let list = registry.list().await;
        assert_eq!(list.len(), 2, "who has not logged in is not listed");
        let alice = list.iter().find(|report| &*report.username == "alice").unwrap();
        assert_eq!(&*alice.session_id, session);
        assert_eq!(alice.protocol, Protocol::Sftp);
        assert_eq!(alice.command, "upload");
        assert_eq!(alice.client_version, "SSH-2.0-test");
        assert_eq!(alice.peer.ip().to_string(), "192.0.2.1");
        assert_eq!(alice.transfers.len(), 1);
        assert_eq!(alice.transfers[0].bytes, 4_096);
        assert_eq!(alice.transfers[0].virtual_path, "/report.pdf");
        assert_eq!(alice.last_activity_unix_ms, meter.last_activity_unix_ms());
        assert!(alice.last_activity_unix_ms >= alice.connected_unix_ms + 5_000);

        let bob = list.iter().find(|report| &*report.username == "bob").unwrap();
        assert_eq!(*bob.session_id, format!("SSH_{}", idle.id()));
        assert_eq!(bob.protocol, Protocol::Ssh);
        assert_eq!(bob.transfers, []);
    });
}

#[test]
fn kill_accepts_the_session_the_connection_and_the_listed_id() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let by_session = world.client("alice").await;
        assert_eq!(registry.kill(by_session.session.id(), by_root()).await, KillOutcome::Killed);
        assert_eq!(
            by_session.connection.kill_switch().reason(),
            Some(KillReason::Admin { by: "root".into(), because: None })
        );
        let by_connection = world.client("alice").await;
        let id = by_connection.connection.id().as_str();
        assert_eq!(registry.kill(id, by_root()).await, KillOutcome::Killed);
        assert!(by_connection.connection.kill_switch().is_fired());

        let without_session = world.client("alice").await;
        drop(without_session.session);
        let listed = registry.list().await;
        let id = without_session.connection.id().as_str();
        let listed = listed.iter().find(|report| report.session_id.ends_with(id)).unwrap();
        assert_eq!(registry.kill(&listed.session_id, by_root()).await, KillOutcome::Killed);
        assert!(without_session.connection.kill_switch().is_fired());
    });
}

#[test]
fn kill_of_what_is_not_there_is_not_found_and_harms_nobody() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let client = world.client("alice").await;
        let id = client.connection.id().as_str();
        let strangers = [
            String::new(),
            "_".into(),
            "__".into(),
            "___".into(),
            "0123456789abcdef".into(),
            format!("SFTP_{id}_2"),
            format!("SCP_{id}_1"),
            format!("FTP_{id}"),
            format!("SFTP_{id}_1_1"),
            format!("{id}_"),
            id.to_uppercase() + "x",
        ];
        for stranger in strangers {
            assert_eq!(
                registry.kill(&stranger, by_root()).await,
                KillOutcome::NotFound,
                "{stranger}"
            );
        }
        assert!(!client.connection.kill_switch().is_fired());
        client.connection.closed("done".into()).await;
        assert_eq!(registry.kill(client.session.id(), by_root()).await, KillOutcome::NotFound);
    });
}

#[test]
fn kill_waits_for_nobody() {
    paused(async {
        let world = world(unlimited());
        // This client never reacts: its task holds everything for ever.
        let client = world.client("alice").await;
        let id = client.session.shared_id();
        let switch = client.connection.kill_switch().clone();
        let (transfer, _) = client.upload().await;
        tokio::spawn(async move {
            let _stuck = (client, transfer);
            std::future::pending::<()>().await;
        });
        let now = tokio::time::Instant::now();
        assert_eq!(world.actors.registry.kill(&id, by_root()).await, KillOutcome::Killed);
        assert!(switch.is_fired());
        assert_eq!(now.elapsed(), Duration::ZERO);
        assert_eq!(world.actors.registry.list().await.len(), 1, "listed until it is gone");
    });
}

#[test]
fn kill_user_ends_all_connections_of_the_account_and_no_other() {
    paused(async {
        let world = world(unlimited());
        let first = world.client("alice").await;
        let second = world.client("alice").await;
        let other = world.client("bob").await;
        let registry = &world.actors.registry;
        assert_eq!(registry.kill_user("alice", KillReason::AccountChanged).await, 2);
        assert_eq!(registry.kill_user("carol", KillReason::AccountChanged).await, 0);
        for client in [first, second] {
            assert_eq!(client.connection.kill_switch().reason(), Some(KillReason::AccountChanged));
        }
        assert!(!other.connection.kill_switch().is_fired());
    });
}

#[test]
fn panic_keeps_the_connections_and_rebuilds_the_counts() {
    paused(async {
        let config =
            RegistryConfig { max_total_connections: 4, max_per_host_connections: 2, ..unlimited() };
        let world = world(config);
        let registry = &world.actors.registry;
        let first = registry.admit(admission("192.0.2.1")).await.unwrap();
        registry.logged_in(first.id(), login("alice", 2)).await.unwrap();
        let session = first.open_session(Protocol::Sftp).await.unwrap();
        let second = registry.admit(admission("192.0.2.1")).await.unwrap();
        registry.logged_in(second.id(), login("alice", 2)).await.unwrap();

        registry.inject(Fault::Panic).await;
        assert_eq!(world.restarts("ConnectionRegistry").await, 1);

        assert_eq!(registry.count().await, 2);
        assert_eq!(registry.list().await.len(), 2);
        assert_eq!(registry.user_sessions("alice").await, 2);
        let refused = registry.admit(admission("192.0.2.1")).await;
        assert_eq!(refused.err(), Some(Refused::HostLimit));
        let refused = first.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::SessionLimit));

        // Old handles still work, and what leaves is counted off once.
        second.closed("done".into()).await;
        assert_eq!(registry.user_sessions("alice").await, 1);
        let _third = registry.admit(admission("192.0.2.1")).await.unwrap();
        let refused = registry.admit(admission("192.0.2.1")).await;
        assert_eq!(refused.err(), Some(Refused::HostLimit));
        assert_eq!(registry.kill(session.id(), by_root()).await, KillOutcome::Killed);
    });
}

#[test]
fn connection_that_closes_while_the_registry_restarts_is_not_kept() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let client = world.client("alice").await;
        let (_, ()) =
            tokio::join!(registry.inject(Fault::Panic), client.connection.closed("done".into()));
        assert_eq!(registry.count().await, 0);
    });
}

#[test]
fn admission_whose_asker_left_does_not_stay() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let mut admit = Box::pin(registry.admit(admission("192.0.2.1")));
        assert!(futures_util::poll!(admit.as_mut()).is_pending());
        drop(admit);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(registry.count().await, 0);
    });
}

#[test]
fn full_mailbox_slows_accepting_and_loses_nobody() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let admits = (0..3_000).map(|_| registry.admit(admission("192.0.2.1")));
        let all = async {
            let admitted = futures_util::future::join_all(admits).await;
            assert!(admitted.iter().all(Result::is_ok));
            assert_eq!(registry.count().await, 3_000);
        };
        let depth = async {
            let health = world.actors.supervisor.health().await;
            let registry =
                health.actors.into_iter().find(|actor| actor.name == "ConnectionRegistry");
            let registry = registry.unwrap();
            (registry.mailbox_depth, registry.mailbox_capacity)
        };
        let ((), (depth, capacity)) = tokio::join!(all, depth);
        assert!(depth <= capacity, "{depth} of {capacity}");
    });
}

#[test]
fn idle_connection_is_ended_and_a_busy_one_is_not() {
    paused(async {
        let world = world(RegistryConfig { idle_timeout_secs: 60, ..unlimited() });
        let idle = world.client("idle").await;
        let asking = world.client("asking").await;
        let moving = world.client("moving").await;
        let (_transfer, meter) = moving.upload().await;
        let stalled = world.client("stalled").await;
        let (_stalled_transfer, _meter) = stalled.upload().await;
        let committing = world.client("committing").await;
        let (transfer, _) = committing.upload().await;
        let (end, _ran, gate) = FakeEnd::held();
        let commit = tokio::spawn(transfer.finish(end));

        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            asking.connection.touch();
            meter.add(1);
        }
        for (client, is_ended) in
            [(&idle, true), (&asking, false), (&moving, false), (&stalled, true)]
        {
            let reason = client.connection.kill_switch().reason();
            assert_eq!(reason, is_ended.then_some(KillReason::IdleTimeout));
        }
        assert!(!committing.connection.kill_switch().is_fired(), "a slow commit is no idleness");
        gate.add_permits(1);
        commit.await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(committing.connection.kill_switch().is_fired());
    });
}

#[test]
fn idle_check_survives_a_panic_of_the_registry() {
    paused(async {
        let world = world(RegistryConfig { idle_timeout_secs: 60, ..unlimited() });
        let client = world.client("alice").await;
        world.actors.registry.inject(Fault::Panic).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(client.connection.kill_switch().reason(), Some(KillReason::IdleTimeout));
    });
}

#[test]
fn reconfigured_limits_hold_from_then_on() {
    paused(async {
        let world = world(unlimited());
        let registry = &world.actors.registry;
        let client = world.client("alice").await;
        registry
            .reconfigure(RegistryConfig {
                max_total_connections: 1,
                max_per_host_connections: 0,
                idle_timeout_secs: 10,
            })
            .await;
        let refused = registry.admit(admission("192.0.2.9")).await;
        assert_eq!(refused.err(), Some(Refused::TotalLimit));
        assert!(!client.connection.kill_switch().is_fired());
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(client.connection.kill_switch().reason(), Some(KillReason::IdleTimeout));
    });
}
