//! Channels on a real session, with an SSH library that takes everything.

use std::time::{Duration, Instant};

use actors::ports::{HookRunner, Verdict};
use actors::{
    AccountId, Admission, BoxError, Connection, Event, KillReason, Login, Ports, Protocol,
    Supervisor, SupervisorConfig, Transferred, TransferredDelta, Usage, UsageDelta, UsageStore,
};

use super::*;
use crate::config::{CommonConfig, DataProviderConfig};
use crate::model::User;
use crate::vfs::{SessionContext, VfsOptions, VfsServices};

struct Nothing;

#[async_trait]
impl UsageStore for Nothing {
    async fn load(&self, _: &AccountId) -> Result<Usage, BoxError> {
        Ok(Usage::default())
    }

    async fn add(&self, _: Vec<(AccountId, UsageDelta)>) -> Result<(), BoxError> {
        Ok(())
    }

    async fn set(&self, _: &AccountId, _: Usage) -> Result<(), BoxError> {
        Ok(())
    }

    async fn load_transferred(&self, _: &AccountId) -> Result<Transferred, BoxError> {
        Ok(Transferred::default())
    }

    async fn add_transferred(&self, _: Vec<(AccountId, TransferredDelta)>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[async_trait]
impl HookRunner for Nothing {
    async fn notify(&self, _: &Event) -> Result<(), BoxError> {
        Ok(())
    }

    async fn decide(&self, _: &Event) -> Result<Verdict, BoxError> {
        Ok(Verdict::Allow)
    }
}

struct Sink;

#[async_trait]
impl Outlet for Sink {
    fn try_send(&self, _: Bytes) -> Result<(), TrySend> {
        Ok(())
    }

    async fn send(&self, _: Bytes) -> Result<(), Gone> {
        Ok(())
    }

    async fn flush(&self) -> Result<(), Gone> {
        Ok(())
    }

    async fn close(&self) {}
}

impl Inline for Sink {
    fn send(&mut self, _: Bytes) {}

    fn is_blocked(&self) -> bool {
        false
    }
}

/// A channel of a client of its own, with its home in `home`.
async fn channel(home: &std::path::Path) -> (Channel, Connection) {
    let ports = Ports { usage: Arc::new(Nothing), hooks: Arc::new(Nothing) };
    let actors = Supervisor::start(SupervisorConfig::default(), ports);
    let (peer, local) = ("127.0.0.1:1000".parse().unwrap(), "127.0.0.1:22".parse().unwrap());
    let admission = Admission { peer, local, protocol: Protocol::Ssh, kill: KillSwitch::new() };
    let connection = actors.registry.admit(admission).await.unwrap();
    let user = serde_json::json!({
        "username": "alice", "status": 1, "home_dir": home, "permissions": {"/": ["*"]},
    });
    let user: Arc<User> = Arc::new(serde_json::from_value(user).unwrap());
    let login = Login {
        username: "alice".into(),
        max_sessions: 0,
        client_version: String::new(),
        end: None,
    };
    actors.registry.logged_in(connection.id(), login).await.unwrap();
    let entry = connection.open_session(Protocol::Sftp).await.unwrap();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let metrics = Arc::new(Metrics::new().unwrap());
    let options = VfsOptions::from_config(&CommonConfig::default(), &DataProviderConfig::default());
    let (quota, hooks) = (actors.quota.clone(), actors.hooks.clone());
    let session = Session::open(SessionContext {
        user,
        connection: connection.clone(),
        session_id: entry.shared_id(),
        protocol: Protocol::Sftp,
        local_addr: local,
        remote_addr: peer,
        services: VfsServices::new(options, quota, hooks, metrics.clone(), log.clone()),
    })
    .await
    .unwrap();
    let kill = connection.kill_switch().clone();
    (
        Channel::start(session, Prefix::default(), entry, Arc::new(Sink), kill, metrics, log),
        connection,
    )
}

fn packet(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    [&len.to_be_bytes()[..], body].concat()
}

async fn ended(channel: &Channel) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !channel.has_ended() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    channel.has_ended()
}

#[actix::test]
async fn a_killed_channel_lets_go_of_its_session_whatever_it_has_begun() {
    let home = tempfile::tempdir().unwrap();
    // Whether the worker sees the request or the kill first is up to chance.
    for _ in 0..20 {
        let (mut channel, connection) = channel(home.path()).await;
        let init = packet(b"\x01\0\0\0\x03");
        channel.receive(&init, true, &mut Sink).await.unwrap();
        // REMOVE goes to the blocking pool, so it has to wait.
        let remove = packet(b"\x0d\0\0\0\x01\0\0\0\x05/none");
        channel.receive(&remove, true, &mut Sink).await.unwrap();
        connection.kill_switch().fire(KillReason::Shutdown);
        assert!(ended(&channel).await, "the session is still held");
    }
}

#[actix::test]
async fn a_client_that_goes_on_after_its_end_is_not_heard() {
    let home = tempfile::tempdir().unwrap();
    let (mut channel, _connection) = channel(home.path()).await;
    channel.receive(&packet(b"\x01\0\0\0\x03"), true, &mut Sink).await.unwrap();
    channel.end_of_input();
    // MKDIR, before and after the worker has left.
    let mkdir = packet(b"\x0e\0\0\0\x01\0\0\0\x02/d\0\0\0\0");
    channel.receive(&mkdir, true, &mut Sink).await.unwrap();
    assert!(ended(&channel).await);
    channel.receive(&mkdir, true, &mut Sink).await.unwrap();
    assert!(!home.path().join("d").exists());
}
