//! One connection: its sessions, its end, and what its panic costs.

mod common;

use actors::{Fault, KillReason, Meter, Protocol, Refused};
use common::{FakeEnd, World, admission, all, is_commit, login, paused, spec};

#[test]
fn sessions_are_numbered_from_one_and_named_after_their_protocol() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let id = client.connection.id();
        assert_eq!(client.session.id(), format!("SFTP_{id}_1"));
        let second = client.connection.open_session(Protocol::Scp).await.unwrap();
        assert_eq!(second.id(), format!("SCP_{id}_2"));
        assert_eq!(second.protocol(), Protocol::Scp);
        drop(second);
        let third = client.connection.open_session(Protocol::Ssh).await.unwrap();
        assert_eq!(third.id(), format!("SSH_{id}_3"), "a number is never used twice");
    });
}

#[test]
fn dropped_session_is_closed_and_begins_no_transfer() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let second = client.connection.open_session(Protocol::Sftp).await.unwrap();
        let id = second.shared_id();
        assert_eq!(world.actors.registry.list().await.len(), 2);
        drop(second);
        assert_eq!(world.actors.registry.list().await.len(), 1);
        let refused = client.connection.begin_transfer(&id, spec(Meter::new())).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
    });
}

#[test]
fn closed_connection_is_not_listed_and_refuses_everything() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        assert_eq!(client.connection.end_cause(), None);
        client.connection.closed("connection reset by peer".into()).await;
        assert_eq!(world.actors.registry.list().await, []);
        assert_eq!(world.actors.registry.count().await, 0);
        assert_eq!(client.connection.end_cause().unwrap(), "connection reset by peer");
        let id = client.session.id();
        let refused = client.connection.begin_transfer(id, spec(Meter::new())).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        let refused = client.connection.open_session(Protocol::Sftp).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        let refused =
            world.actors.registry.logged_in(client.connection.id(), login("alice", 0)).await;
        assert_eq!(refused, Err(Refused::Gone));
        client.connection.closed("twice".into()).await;
        assert_eq!(client.connection.end_cause().unwrap(), "connection reset by peer");
    });
}

#[test]
fn last_dropped_handle_closes_the_connection() {
    paused(async {
        let world = World::new();
        let connection = world.actors.registry.admit(admission("192.0.2.1")).await.unwrap();
        let clone = connection.clone();
        drop(connection);
        tokio::task::yield_now().await;
        assert_eq!(world.actors.registry.count().await, 1);
        drop(clone);
        while world.actors.registry.count().await > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn kill_reason_outranks_the_cause_that_the_task_reports() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        client.connection.kill_switch().fire(KillReason::LoginTimeout);
        client.connection.closed("broken pipe".into()).await;
        assert_eq!(client.connection.end_cause().unwrap(), "login timeout");
    });
}

#[test]
fn panic_drops_this_client_and_no_other() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        let other = world.client("bob").await;
        let (transfer, _) = client.upload().await;
        client.connection.inject(Fault::Panic).await;
        assert!(matches!(client.connection.kill_switch().reason(), Some(KillReason::Internal(_))));
        let refused =
            client.connection.begin_transfer(client.session.id(), spec(Meter::new())).await;
        assert_eq!(refused.err(), Some(Refused::Gone));
        client.connection.closed("killed".into()).await;
        assert_eq!(world.restarts("Connection").await, 1);

        let list = world.actors.registry.list().await;
        assert_eq!(list.len(), 1);
        assert_eq!(&*list[0].username, "bob");
        assert!(!other.connection.kill_switch().is_fired());

        // What was begun still ends, and it ends as an abort.
        let (end, ran) = FakeEnd::new();
        assert!(transfer.finish(end).await.is_err());
        assert!(!is_commit(&all(ran).await));
    });
}

#[test]
fn full_mailbox_delays_begins_and_loses_none() {
    paused(async {
        let world = World::new();
        let client = world.client("alice").await;
        // 200 at once into 32 slots.
        let begins = (0..200).map(|_| client.upload());
        let transfers = futures_util::future::join_all(begins).await;
        assert_eq!(world.actors.registry.list().await[0].transfers.len(), 200);
        drop(transfers);
        world.transfers_ended().await;
    });
}

#[test]
fn killed_connection_logs_nobody_in() {
    paused(async {
        let world = World::new();
        let connection = world.actors.registry.admit(admission("192.0.2.1")).await.unwrap();
        connection.kill_switch().fire(KillReason::LoginTimeout);
        let refused = world.actors.registry.logged_in(connection.id(), login("alice", 0)).await;
        assert_eq!(refused, Err(Refused::Gone));
    });
}
