//! Sessions on real directories with the real actors; only the stored usage and
//! the hooks are fakes.

mod attacks;
mod explained;
mod folders;
mod names;
mod quota_model;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actors::{
    AccountId, Actors, Admission, BoxError, Connection, Event, FsAction, FsStatus, HookRunner,
    KillReason, KillSwitch, Login, Ports, Protocol, ScanProgress, SessionHandle, Supervisor,
    SupervisorConfig, Transferred, TransferredDelta, Usage, UsageDelta, UsageStore, Verdict,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::scan::scan_user;
use super::{Session, SessionContext, Upload, UploadOptions, VfsOptions, VfsServices};
use crate::config::{SetstatMode, TrackQuota};
use crate::error::{ErrorKind, Result};
use crate::logging::{self, Captured, Logging};
use crate::metrics::Metrics;
use crate::model::User;
use crate::paths::VirtualPath;
use crate::storage::{Atomicity, FileKind, FileTime, SetAttributes};

#[derive(Default)]
struct FakeStore(Mutex<HashMap<AccountId, Usage>>, Mutex<HashMap<AccountId, Transferred>>);

#[async_trait]
impl UsageStore for FakeStore {
    async fn load(&self, account: &AccountId) -> Result<Usage, BoxError> {
        Ok(self.0.lock().unwrap().get(account).copied().unwrap_or_default())
    }

    async fn add(&self, deltas: Vec<(AccountId, UsageDelta)>) -> Result<(), BoxError> {
        let mut stored = self.0.lock().unwrap();
        for (account, delta) in deltas {
            let usage = stored.entry(account).or_default();
            *usage = usage.plus(delta);
        }
        Ok(())
    }

    async fn set(&self, account: &AccountId, usage: Usage) -> Result<(), BoxError> {
        self.0.lock().unwrap().insert(account.clone(), usage);
        Ok(())
    }

    async fn load_transferred(&self, account: &AccountId) -> Result<Transferred, BoxError> {
        Ok(self.1.lock().unwrap().get(account).copied().unwrap_or_default())
    }

    async fn add_transferred(
        &self,
        deltas: Vec<(AccountId, TransferredDelta)>,
    ) -> Result<(), BoxError> {
        let mut stored = self.1.lock().unwrap();
        for (account, delta) in deltas {
            let transferred = stored.entry(account).or_default();
            *transferred = transferred.plus(delta);
        }
        Ok(())
    }
}

/// Wants everything, remembers what it was told, and denies on demand.
#[derive(Default)]
struct FakeHooks {
    events: Mutex<Vec<Event>>,
    denies: AtomicBool,
}

#[async_trait]
impl HookRunner for FakeHooks {
    async fn notify(&self, event: &Event) -> Result<(), BoxError> {
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    async fn decide(&self, _: &Event) -> Result<Verdict, BoxError> {
        Ok(if self.denies.load(Ordering::Relaxed) { Verdict::Deny } else { Verdict::Allow })
    }
}

struct World {
    dir: tempfile::TempDir,
    actors: Actors,
    store: Arc<FakeStore>,
    hooks: Arc<FakeHooks>,
    services: VfsServices,
    metrics: Arc<Metrics>,
    logging: Logging,
    captured: Captured,
}

/// A logged-in client; the connection ends with it.
struct Client {
    session: Session,
    connection: Connection,
    _handle: SessionHandle,
}

impl std::ops::Deref for Client {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

fn options() -> VfsOptions {
    VfsOptions {
        upload_mode: Atomicity::Direct,
        setstat_mode: SetstatMode::Execute,
        symlink_mode: 3,
        umask: 0o022,
        temp_path: None,
        track_quota: TrackQuota::Always,
    }
}

impl World {
    fn new(options: VfsOptions) -> Self {
        let hooks = Arc::new(FakeHooks::default());
        let store = Arc::new(FakeStore::default());
        let ports = Ports { usage: store.clone(), hooks: hooks.clone() };
        let mut config = SupervisorConfig::default();
        // Requests are activity, and there are none below the protocols: the attacks with
        // many rounds take longer than clients may be idle.
        config.registry.idle_timeout_secs = 0;
        let actors = Supervisor::start(config, ports);
        let metrics = Arc::new(Metrics::new().unwrap());
        let (logging, captured) = logging::capture(slog::Level::Debug);
        let services = VfsServices::new(
            options,
            actors.quota.clone(),
            actors.hooks.clone(),
            metrics.clone(),
            logging.logger().clone(),
        );
        let dir = tempfile::tempdir().unwrap();
        Self { dir, actors, store, hooks, services, metrics, logging, captured }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A user who may do everything, changed by `changes`.
    fn user(&self, changes: serde_json::Value) -> User {
        let mut user = json!({
            "username": "alice", "status": 1, "home_dir": self.home(), "permissions": {"/": ["*"]},
        });
        for (key, value) in changes.as_object().unwrap() {
            user[key] = value.clone();
        }
        serde_json::from_value(user).unwrap()
    }

    async fn login(&self, changes: serde_json::Value) -> Client {
        let (peer, local) = ("127.0.0.1:1000".parse().unwrap(), "127.0.0.1:22".parse().unwrap());
        let admission = Admission { peer, local, protocol: Protocol::Ssh, kill: KillSwitch::new() };
        let connection = self.actors.registry.admit(admission).await.unwrap();
        let user = Arc::new(self.user(changes));
        let login = Login {
            username: user.username.as_str().into(),
            max_sessions: 0,
            client_version: String::new(),
            end: None,
        };
        self.actors.registry.logged_in(connection.id(), login).await.unwrap();
        let handle = connection.open_session(Protocol::Sftp).await.unwrap();
        let session = Session::open(SessionContext {
            user,
            connection: connection.clone(),
            session_id: handle.shared_id(),
            protocol: Protocol::Sftp,
            local_addr: local,
            remote_addr: peer,
            services: self.services.clone(),
        })
        .await
        .unwrap();
        Client { session, connection, _handle: handle }
    }

    /// Bytes and files that count for alice.
    async fn usage(&self) -> (u64, u64) {
        let usage = self.actors.quota.usage(AccountId::user("alice")).await.unwrap();
        (usage.size, usage.files)
    }

    fn lines(&self, sender: &str) -> Vec<serde_json::Value> {
        self.logging.control().flush();
        let lines = self.captured.lines();
        let parsed = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        parsed.filter(|line: &serde_json::Value| line["sender"] == sender).collect()
    }

    /// Waits for the event, which is told after the client has its answer.
    async fn event(&self, action: FsAction) -> actors::FsEvent {
        for _ in 0..500 {
            let events = self.hooks.events.lock().unwrap().clone();
            for Event::Fs(event) in events {
                if event.action == action {
                    return event;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no event {action}");
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn on_disk(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Runs a test as the server runs: actors on the system's thread, the rest on a pool.
fn run<F: Future<Output = ()>>(test: F) {
    let pool = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    actix::System::with_tokio_rt(pool).block_on(test);
}

fn path(text: &str) -> VirtualPath {
    VirtualPath::new(text)
}

const NEW: UploadOptions = UploadOptions {
    create: true,
    exclusive: false,
    truncate: true,
    append: false,
    read: false,
    mode: None,
};

const RESUME: UploadOptions = UploadOptions { truncate: false, ..NEW };

async fn write(upload: &Upload, offset: u64, data: &[u8]) -> Result<()> {
    match upload.try_write_at(offset, data) {
        Some(result) => result,
        None => upload.write_at(offset, Bytes::copy_from_slice(data)).await,
    }
}

async fn put(session: &Session, name: &str, content: &[u8]) -> Result<()> {
    let upload = session.begin_upload(&path(name), NEW).await?;
    let written = write(&upload, 0, content).await;
    written.and(upload.finish().await)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn a_file_goes_up_and_down_and_leaves_its_traces() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        let content = vec![7; 100_000];
        put(&client, "/a.bin", &content).await.unwrap();
        assert_eq!(std::fs::read(world.home().join("a.bin")).unwrap(), content);
        assert_eq!(world.usage().await, (100_000, 1));

        let download = client.begin_download(&path("/a.bin")).await.unwrap();
        assert_eq!(download.metadata().await.unwrap().size, 100_000);
        let mut buf = vec![0; 60_000];
        let first = match download.try_read_at(0, &mut buf) {
            Some(read) => read.unwrap(),
            None => download.read_at(0, 60_000).await.unwrap().len(),
        };
        let second = download.read_at(60_000, 60_000).await.unwrap();
        assert_eq!((first, second.len()), (60_000, 40_000));
        download.finish().await.unwrap();

        let upload = &world.lines("Upload")[0];
        assert_eq!(upload["level"], "info");
        assert_eq!(upload["size_bytes"], 100_000);
        assert_eq!(upload["username"], "alice");
        assert_eq!(upload["virtual_path"], "/a.bin");
        assert_eq!(upload["file_path"], world.home().join("a.bin").to_str().unwrap());
        assert_eq!(upload["protocol"], "SFTP");
        assert_eq!(upload["remote_addr"], "127.0.0.1:1000");
        assert_eq!(world.lines("Download")[0]["size_bytes"], 100_000);
        for (name, value) in [
            ("sftpgo_uploads_total", 1.0),
            ("sftpgo_upload_size", 100_000.0),
            ("sftpgo_downloads_total", 1.0),
            ("sftpgo_download_size", 100_000.0),
            ("sftpgo_upload_errors_total", 0.0),
        ] {
            assert_eq!(world.metric(name), value, "{name}");
        }
        let event = world.event(FsAction::Upload).await;
        assert_eq!((event.file_size, event.status), (Some(100_000), FsStatus::Ok));
        assert_eq!(event.virtual_path, b"/a.bin");
        world.event(FsAction::Download).await;
    });
}

#[test]
fn upload_over_quota_leaves_no_partial_file() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({"quota_size": 100_000})).await;
            let upload = client.begin_upload(&path("/big"), NEW).await.unwrap();
            write(&upload, 0, &[1; 60_000]).await.unwrap();
            let error = write(&upload, 60_000, &[1; 60_000]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{mode:?}");
            // Failed is failed, also where it would fit.
            assert_eq!(kind(write(&upload, 0, b"x").await), ErrorKind::QuotaExceeded);
            assert_eq!(kind(upload.finish().await), ErrorKind::QuotaExceeded);
            assert_eq!(world.on_disk(), [""; 0], "{mode:?}");
            assert_eq!(world.usage().await, (0, 0), "{mode:?}");
            let line = &world.lines("Upload")[0];
            assert_eq!(line["level"], "error");
            assert_eq!(line["error"], "failure: denying write due to space limit");
            let event = world.event(FsAction::Upload).await;
            assert_eq!((event.file_size, event.status), (Some(0), FsStatus::QuotaExceeded));
            assert_eq!(world.metric("sftpgo_upload_errors_total"), 1.0);
            // The room is free again.
            put(&client, "/fits", &[1; 100_000]).await.unwrap();
            assert_eq!(kind(put(&client, "/no", b"").await), ErrorKind::QuotaExceeded);
        }
    });
}

#[test]
fn overwriting_credits_the_old_file() {
    run(async {
        // (mode, whether 90 KB may replace 60 KB under a limit of 100 KB)
        for (mode, fits) in [
            (Atomicity::Direct, true),
            // Both files exist until the rename.
            (Atomicity::Atomic, false),
        ] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({"quota_size": 100_000})).await;
            put(&client, "/a", &[1; 60_000]).await.unwrap();
            assert_eq!(put(&client, "/a", &[2; 90_000]).await.is_ok(), fits, "{mode:?}");
            let size = if fits { 90_000 } else { 60_000 };
            assert_eq!(world.usage().await, (size, 1), "{mode:?}");
            put(&client, "/a", &[3; 10_000]).await.unwrap();
            assert_eq!(world.usage().await, (10_000, 1), "{mode:?}");
            assert_eq!(world.on_disk(), ["a"]);
            // An overwrite in place that is cut off has lost the old file: what
            // is stored is what counts.
            let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
            write(&upload, 0, &[4; 30_000]).await.unwrap();
            let over = write(&upload, 30_000, &[4; 80_000]).await.and(upload.finish().await);
            assert_eq!(kind(over), ErrorKind::QuotaExceeded);
            let left = std::fs::metadata(world.home().join("a")).unwrap().len();
            assert_eq!(world.usage().await, (left, 1), "{mode:?}");
        }
    });
}

#[test]
fn bytes_are_counted_once_in_whatever_order_they_come() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({"quota_size": 100_000})).await;
            let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
            write(&upload, 90_000, &[1; 10_000]).await.unwrap();
            for _ in 0..20 {
                write(&upload, 0, &[2; 50_000]).await.unwrap();
            }
            assert_eq!(kind(write(&upload, 100_000, b"x").await), ErrorKind::QuotaExceeded);
            assert_eq!(kind(upload.finish().await), ErrorKind::QuotaExceeded);
            let upload = client.begin_upload(&path("/b"), NEW).await.unwrap();
            for _ in 0..20 {
                write(&upload, 0, &[2; 50_000]).await.unwrap();
            }
            upload.finish().await.unwrap();
            assert_eq!(world.usage().await, (50_000, 1));
            // Resuming costs what is added, appending too.
            let upload = client.begin_upload(&path("/b"), RESUME).await.unwrap();
            write(&upload, 40_000, &[3; 30_000]).await.unwrap();
            upload.finish().await.unwrap();
            assert_eq!(world.usage().await, (70_000, 1));
            let append = UploadOptions { append: true, ..RESUME };
            let upload = client.begin_upload(&path("/b"), append).await.unwrap();
            write(&upload, 0, &[3; 20_000]).await.unwrap();
            assert_eq!(kind(write(&upload, 0, &[3; 20_000]).await), ErrorKind::QuotaExceeded);
            drop(upload);
        }
    });
}

#[test]
fn parallel_uploads_cannot_exceed_the_quota_by_a_byte() {
    run(async {
        let world = World::new(options());
        let client = Arc::new(world.login(json!({"quota_size": 1_000_000})).await);
        let uploads: Vec<_> = (0..8)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move {
                    let name = format!("/{n}");
                    let upload = client.begin_upload(&path(&name), NEW).await?;
                    for block in 0..50 {
                        write(&upload, block * 5_000, &[1; 5_000]).await?;
                    }
                    upload.finish().await
                })
            })
            .collect();
        let mut done = 0;
        for upload in uploads {
            match upload.await.unwrap() {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::QuotaExceeded),
            }
        }
        assert!(done <= 4, "{done} of 250 KB each were stored");
        // Aborts may still run after their uploads were dropped.
        wait_until(async || world.on_disk().len() == done).await;
        assert_eq!(world.usage().await, (done as u64 * 250_000, done as u64));
    });
}

async fn wait_until(condition: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true");
}

#[test]
fn the_limit_of_files_is_for_new_files_only() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({"quota_files": 2})).await;
            put(&client, "/a", b"1").await.unwrap();
            put(&client, "/b", b"2").await.unwrap();
            assert_eq!(kind(put(&client, "/c", b"3").await), ErrorKind::QuotaExceeded);
            put(&client, "/a", b"longer").await.unwrap();
            assert_eq!(world.usage().await, (7, 2));
            client.remove_file(&path("/b")).await.unwrap();
            put(&client, "/c", b"3").await.unwrap();
            assert_eq!(world.usage().await, (7, 2));
            assert_eq!(world.on_disk(), ["a", "c"]);
        }
    });
}

#[test]
fn every_change_of_what_is_stored_is_counted() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"quota_size": 10_000})).await;
        put(&client, "/a", &[1; 1000]).await.unwrap();
        put(&client, "/b", &[1; 500]).await.unwrap();
        client.create_dir(&path("/dir"), None).await.unwrap();
        client.symlink(b"a", &path("/link")).await.unwrap();
        assert_eq!(world.usage().await, (1500, 2));
        let size = |size| SetAttributes { size: Some(size), ..Default::default() };
        client.set_attributes(&path("/a"), size(100)).await.unwrap();
        assert_eq!(world.usage().await, (600, 2));
        client.set_attributes(&path("/a"), size(5000)).await.unwrap();
        assert_eq!(world.usage().await, (5500, 2));
        let over = client.set_attributes(&path("/a"), size(50_000)).await;
        assert_eq!(kind(over), ErrorKind::QuotaExceeded);
        assert_eq!(client.stat(&path("/a")).await.unwrap().size, 5000);
        client.rename(&path("/b"), &path("/dir/b")).await.unwrap();
        assert_eq!(world.usage().await, (5500, 2));
        client.rename(&path("/dir/b"), &path("/a")).await.unwrap();
        assert_eq!(world.usage().await, (500, 1));
        client.rename(&path("/a"), &path("/link")).await.unwrap();
        assert_eq!(world.usage().await, (500, 1), "a link is no file");
        client.remove_file(&path("/link")).await.unwrap();
        client.remove_dir(&path("/dir")).await.unwrap();
        assert_eq!(world.usage().await, (0, 0));
        assert_eq!(world.on_disk(), [""; 0]);
    });
}

/// The disk does not stop when the client leaves.
#[test]
fn what_was_begun_is_counted_also_when_nobody_waits_for_it() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        for name in ["/a", "/b", "/c"] {
            put(&client, name, &[1; 10]).await.unwrap();
        }
        let (a, b, c) = (path("/a"), path("/b"), path("/c"));
        // Begun, and on a quick machine even done.
        let mut removal = Box::pin(client.remove_file(&a).fuse());
        while world.home().join("a").exists() {
            let _ = futures_util::poll!(&mut removal);
            tokio::task::yield_now().await;
        }
        drop(removal);
        let mut rename = Box::pin(client.rename(&b, &c).fuse());
        while world.home().join("b").exists() {
            let _ = futures_util::poll!(&mut rename);
            tokio::task::yield_now().await;
        }
        drop(rename);
        wait_until(async || world.on_disk() == ["c"]).await;
        wait_until(async || world.usage().await == (10, 1)).await;
    });
}

/// Otherwise the usage could be driven to zero with a full disk.
#[test]
fn changing_a_file_that_is_still_uploaded_earns_no_quota() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"quota_size": 1_000_000})).await;
        put(&client, "/other", &[1; 50_000]).await.unwrap();
        let size = |size| SetAttributes { size: Some(size), ..Default::default() };

        let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
        write(&upload, 0, &[1; 10_000]).await.unwrap();
        client.set_attributes(&path("/a"), size(0)).await.unwrap();
        write(&upload, 0, &[1; 10_000]).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(world.usage().await, (60_000, 2), "truncated meanwhile");

        let upload = client.begin_upload(&path("/b"), NEW).await.unwrap();
        write(&upload, 0, &[1; 10_000]).await.unwrap();
        let second = client.begin_upload(&path("/b"), NEW).await.unwrap();
        upload.finish().await.unwrap();
        write(&second, 0, &[1; 3_000]).await.unwrap();
        second.finish().await.unwrap();
        assert_eq!(world.usage().await, (63_000, 3), "overwritten meanwhile");

        let upload = client.begin_upload(&path("/c"), NEW).await.unwrap();
        write(&upload, 0, &[1; 10_000]).await.unwrap();
        client.remove_file(&path("/c")).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(world.usage().await, (63_000, 3), "removed meanwhile");

        let upload = client.begin_upload(&path("/d"), NEW).await.unwrap();
        write(&upload, 0, &[1; 10_000]).await.unwrap();
        client.rename(&path("/b"), &path("/d")).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(world.usage().await, (63_000, 3), "replaced meanwhile");
        assert_eq!(world.on_disk(), ["a", "d", "other"]);
    });
}

#[test]
fn what_is_tracked_follows_the_configuration() {
    run(async {
        let limit = json!({"quota_size": 1000});
        for (track, user, counted, limited) in [
            (TrackQuota::Off, &limit, false, false),
            (TrackQuota::Always, &json!({}), true, false),
            (TrackQuota::Always, &limit, true, true),
            (TrackQuota::WithLimits, &json!({}), false, false),
            (TrackQuota::WithLimits, &limit, true, true),
        ] {
            let world = World::new(VfsOptions { track_quota: track, ..options() });
            let client = world.login(user.clone()).await;
            put(&client, "/a", &[1; 800]).await.unwrap();
            put(&client, "/a", &[1; 900]).await.unwrap();
            let want = if counted { (900, 1) } else { (0, 0) };
            assert_eq!(world.usage().await, want, "{track:?} {user}");
            assert_eq!(put(&client, "/b", &[1; 200]).await.is_err(), limited, "{track:?} {user}");
            client.remove_file(&path("/a")).await.unwrap();
            let size = world.usage().await.0;
            assert_eq!(size, if counted && !limited { 200 } else { 0 }, "{track:?} {user}");
        }
    });
}

#[test]
fn a_vanished_client_leaves_what_the_mode_says() {
    run(async {
        for (mode, left) in [
            (Atomicity::Direct, Some(5)),
            (Atomicity::Atomic, None),
            (Atomicity::AtomicResumable, Some(5)),
        ] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({})).await;
            let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
            write(&upload, 0, b"12345").await.unwrap();
            drop(upload);
            drop(client);
            wait_until(async || world.lines("Upload").len() == 1).await;
            let size = std::fs::metadata(world.home().join("a")).ok().map(|found| found.len());
            assert_eq!(size, left, "{mode:?}");
            assert_eq!(world.on_disk().len(), usize::from(left.is_some()), "{mode:?}");
            assert_eq!(world.usage().await.0, left.unwrap_or(0), "{mode:?}");
            let line = &world.lines("Upload")[0];
            assert!(line["error"].as_str().unwrap().contains("client left"), "{line}");
        }
    });
}

#[test]
fn a_killed_connection_can_do_nothing_more() {
    run(async {
        let world = World::new(VfsOptions { upload_mode: Atomicity::Atomic, ..options() });
        let client = world.login(json!({"upload_bandwidth": 1})).await;
        put(&client, "/old", b"").await.unwrap();
        let download = client.begin_download(&path("/old")).await.unwrap();
        let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
        let kill = client.connection.kill_switch().clone();
        // It waits for its bandwidth: more than a quarter of an hour.
        let (written, ()) = tokio::join!(upload.write_at(0, vec![1; 1_000_000].into()), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            kill.fire(KillReason::Admin { by: "root".into(), because: None });
        });
        assert_eq!(kind(written), ErrorKind::Aborted);
        assert_eq!(kind(upload.try_write_at(0, b"x").unwrap()), ErrorKind::Aborted);
        assert_eq!(kind(download.read_at(0, 1).await), ErrorKind::Aborted);
        let error = upload.finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        assert!(error.to_string().contains("root"), "{error}");
        assert_eq!(kind(client.stat(&path("/")).await), ErrorKind::Aborted);
        assert_eq!(kind(client.list(&path("/")).await), ErrorKind::Aborted);
        assert_eq!(kind(client.remove_file(&path("/old")).await), ErrorKind::Aborted);
        assert_eq!(kind(client.rename(&path("/old"), &path("/x")).await), ErrorKind::Aborted);
        assert_eq!(kind(client.begin_upload(&path("/b"), NEW).await), ErrorKind::Aborted);
        assert_eq!(world.on_disk(), ["old"]);
    });
}

#[test]
fn missing_permissions_deny_and_change_nothing() {
    run(async {
        let world = World::new(options());
        let all = world.login(json!({})).await;
        put(&all, "/a", b"old").await.unwrap();
        put(&all, "/b", b"other").await.unwrap();
        let (a, b, new) = (path("/a"), path("/b"), path("/new"));
        let with = async |permissions: &[&str]| {
            world.login(json!({"permissions": {"/": permissions}})).await
        };
        let denied = ErrorKind::PermissionDenied;

        let client = with(&["list", "upload"]).await;
        assert_eq!(kind(client.begin_upload(&a, NEW).await), denied, "overwrite");
        assert_eq!(kind(client.begin_upload(&a, RESUME).await), denied);
        put(&client, "/new", b"x").await.unwrap();
        let exclusive = UploadOptions { exclusive: true, ..NEW };
        assert_eq!(kind(client.begin_upload(&new, exclusive).await), ErrorKind::AlreadyExists);
        assert_eq!(kind(client.begin_download(&a).await), denied);
        let both = UploadOptions { read: true, ..NEW };
        assert_eq!(kind(client.begin_upload(&path("/other"), both).await), denied);
        assert_eq!(kind(client.remove_file(&a).await), denied);
        assert_eq!(kind(client.create_dir(&path("/d"), None).await), denied);
        assert_eq!(kind(client.symlink(b"a", &path("/l")).await), denied);
        let mode = SetAttributes { mode: Some(0o600), ..Default::default() };
        assert_eq!(kind(client.set_attributes(&a, mode).await), denied);

        let client = with(&["rename", "list"]).await;
        assert_eq!(kind(client.rename(&a, &b).await), denied, "overwrite");
        assert_eq!(std::fs::read(world.home().join("b")).unwrap(), b"other");
        client.rename(&a, &path("/c")).await.unwrap();
        client.rename(&path("/c"), &a).await.unwrap();
        assert_eq!(kind(client.rename(&path("/none"), &a).await), ErrorKind::NotFound);

        // Nothing of a refused request with several attributes is done.
        let client = with(&["chmod", "list"]).await;
        let times = (FileTime::default(), FileTime::default());
        let both = SetAttributes { times: Some(times), ..mode };
        assert_eq!(kind(client.set_attributes(&a, both).await), denied);
        assert_ne!(client.stat(&a).await.unwrap().mode, 0o600);
        client.set_attributes(&a, mode).await.unwrap();
        assert_eq!(client.stat(&a).await.unwrap().mode, 0o600);

        let client = with(&["download"]).await;
        assert_eq!(kind(client.stat(&a).await), denied);
        assert_eq!(kind(client.list(&path("/")).await), denied);
        assert_eq!(client.stat(&path("/")).await.unwrap().kind, FileKind::Directory);
        // Whoever may not rename does not learn what exists.
        assert_eq!(kind(client.rename(&path("/none"), &a).await), denied);
        assert!(world.lines("Remove").is_empty() && world.lines("Mkdir").is_empty());
    });
}

#[test]
fn links_are_relative_and_never_lead_outside() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        client.create_dir(&path("/d"), None).await.unwrap();
        put(&client, "/a", b"text").await.unwrap();
        client.symlink(b"/a", &path("/d/absolute")).await.unwrap();
        client.symlink(b"../a", &path("/d/relative")).await.unwrap();
        for name in ["absolute", "relative"] {
            let stored = std::fs::read_link(world.home().join("d").join(name)).unwrap();
            assert_eq!(stored, PathBuf::from("../a"));
            let link = path("/d").join(name.as_bytes());
            assert_eq!(client.read_link(&link).await.unwrap(), path("/a"));
            assert_eq!(client.stat(&link).await.unwrap().size, 4);
            assert_eq!(client.lstat(&link).await.unwrap().kind, FileKind::Symlink);
        }
        let denied = ErrorKind::PermissionDenied;
        assert_eq!(kind(client.symlink(b"../../x", &path("/d/out")).await), denied);
        for (name, target) in [("escapes", "../x"), ("machine", "/etc/passwd")] {
            std::os::unix::fs::symlink(target, world.home().join(name)).unwrap();
            let link = path("/").join(name.as_bytes());
            assert_eq!(kind(client.read_link(&link).await), denied);
            assert_eq!(kind(client.begin_download(&link).await), denied);
        }
        assert_eq!(world.lines("Symlink").len(), 2);

        let world = World::new(VfsOptions { symlink_mode: 2, ..options() });
        let client = world.login(json!({})).await;
        let refused = client.symlink(b"a", &path("/l")).await;
        assert_eq!(kind(refused), ErrorKind::Unsupported);
    });
}

#[test]
fn new_files_get_the_umask_and_the_wish_of_who_may_chmod() {
    use std::os::unix::fs::PermissionsExt;
    run(async {
        let world = World::new(VfsOptions { umask: 0o027, ..options() });
        let mode = |name: &str| {
            std::fs::metadata(world.home().join(name)).unwrap().permissions().mode() & 0o7777
        };
        let client = world.login(json!({})).await;
        assert_eq!(mode(""), 0o750, "the home itself");
        let wish = |mode| UploadOptions { mode: Some(mode), ..NEW };
        let upload = async |client: &Client, name: &str, options| {
            client.begin_upload(&path(name), options).await.unwrap().finish().await.unwrap();
        };
        upload(&client, "/plain", NEW).await;
        upload(&client, "/wish", wish(0o4777)).await;
        client.create_dir(&path("/d"), None).await.unwrap();
        client.create_dir(&path("/dw"), Some(0o700)).await.unwrap();
        let modes = ["plain", "wish", "d", "dw"].map(mode);
        assert_eq!(modes, [0o640, 0o750, 0o750, 0o700]);
        let client = world.login(json!({"permissions": {"/": ["upload", "overwrite"]}})).await;
        upload(&client, "/no-chmod", wish(0o777)).await;
        assert_eq!(mode("no-chmod"), 0o640);
    });
}

#[test]
fn setstat_can_be_made_a_success_without_effect() {
    run(async {
        let world = World::new(VfsOptions { setstat_mode: SetstatMode::Ignore, ..options() });
        let client = world.login(json!({})).await;
        put(&client, "/a", b"0123456789").await.unwrap();
        let before = client.stat(&path("/a")).await.unwrap();
        let times = (FileTime::default(), FileTime::default());
        let wanted = SetAttributes { mode: Some(0), times: Some(times), ..Default::default() };
        client.set_attributes(&path("/a"), wanted).await.unwrap();
        let download = client.begin_download(&path("/a")).await.unwrap();
        download.set_attributes(wanted).await.unwrap();
        assert_eq!(client.stat(&path("/a")).await.unwrap().mode, before.mode);
        let wanted = SetAttributes { size: Some(4), ..wanted };
        client.set_attributes(&path("/a"), wanted).await.unwrap();
        let after = client.stat(&path("/a")).await.unwrap();
        assert_eq!((after.size, after.mode), (4, before.mode));
        assert!(world.lines("Chmod").is_empty());
        assert_eq!(world.lines("Truncate")[0]["size"], 4);

        let world = World::new(options());
        let client = world.login(json!({})).await;
        let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
        write(&upload, 0, b"0123456789").await.unwrap();
        let wanted = SetAttributes { size: Some(4), mode: Some(0o604), ..Default::default() };
        upload.set_attributes(wanted).await.unwrap();
        upload.finish().await.unwrap();
        let found = client.stat(&path("/a")).await.unwrap();
        assert_eq!((found.size, found.mode), (4, 0o604));
        assert_eq!(world.usage().await, (4, 1));
        assert_eq!(world.lines("Chmod")[0]["filemode"], "0604");
    });
}

#[test]
fn commands_are_logged_and_told_when_they_succeed() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        client.create_dir(&path("/d"), None).await.unwrap();
        put(&client, "/d/a", b"12345").await.unwrap();
        client.rename(&path("/d/a"), &path("/b")).await.unwrap();
        client.remove_file(&path("/b")).await.unwrap();
        client.remove_dir(&path("/d")).await.unwrap();
        assert_eq!(kind(client.remove_dir(&path("/d")).await), ErrorKind::NotFound);
        let home = world.home();
        let home = home.to_str().unwrap();
        for (sender, from, to) in [
            ("Mkdir", "/d", ""),
            ("Rename", "/d/a", "/b"),
            ("Remove", "/b", ""),
            ("Rmdir", "/d", ""),
        ] {
            let lines = world.lines(sender);
            assert_eq!(lines.len(), 1, "{sender}");
            assert_eq!(lines[0]["file_path"], format!("{home}{from}"));
            let target = if to.is_empty() { String::new() } else { format!("{home}{to}") };
            assert_eq!(lines[0]["target_path"], target);
            assert_eq!(lines[0]["protocol"], "SFTP");
        }
        assert_eq!(world.event(FsAction::Delete).await.file_size, Some(5));
        let renamed = world.event(FsAction::Rename).await;
        assert_eq!(renamed.virtual_target_path.as_deref(), Some(&b"/b"[..]));
        world.event(FsAction::Mkdir).await;
        world.event(FsAction::Rmdir).await;
    });
}

#[test]
fn a_hook_that_denies_is_obeyed() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        put(&client, "/a", b"x").await.unwrap();
        world.hooks.denies.store(true, Ordering::Relaxed);
        let denied = ErrorKind::PermissionDenied;
        assert_eq!(kind(put(&client, "/b", b"x").await), denied);
        assert_eq!(kind(client.begin_download(&path("/a")).await), denied);
        assert_eq!(kind(client.remove_file(&path("/a")).await), denied);
        assert_eq!(world.on_disk(), ["a"]);
    });
}

#[test]
fn the_bandwidth_limit_holds_both_ways() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"upload_bandwidth": 256, "download_bandwidth": 256})).await;
        let at_least = Duration::from_millis(480);
        let started = Instant::now();
        let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
        assert!(upload.try_write_at(0, &[1; 32 * 1024]).is_none(), "its moment has not come");
        for block in 0..4 {
            write(&upload, block * 32 * 1024, &[1; 32 * 1024]).await.unwrap();
        }
        upload.finish().await.unwrap();
        assert!(started.elapsed() >= at_least, "{:?}", started.elapsed());

        let started = Instant::now();
        let download = client.begin_download(&path("/a")).await.unwrap();
        let mut buf = [0; 1024];
        assert!(download.try_read_at(0, &mut buf).is_none());
        for block in 0..4 {
            download.read_at(block * 32 * 1024, 32 * 1024).await.unwrap();
        }
        assert!(started.elapsed() >= at_least, "{:?}", started.elapsed());
        // Reading past the end costs nothing.
        assert_eq!(download.read_at(1 << 40, 1 << 30).await.unwrap().len(), 0);
    });
}

#[test]
fn room_is_what_the_quota_leaves() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"quota_size": 1_000_000, "quota_files": 10})).await;
        put(&client, "/a", &[1; 500_000]).await.unwrap();
        let space = client.space(&path("/")).await.unwrap();
        assert_eq!((space.files, space.files_available), (10, 9));
        let free = space.blocks_available * space.fragment_size;
        assert!(free <= 500_000 && free + space.fragment_size > 500_000, "{free}");
        let client = world.login(json!({})).await;
        assert!(client.space(&path("/")).await.unwrap().blocks > space.blocks);
    });
}

#[test]
fn a_scan_counts_what_is_stored_and_clears_what_a_crash_left() {
    run(async {
        let world = World::new(VfsOptions { upload_mode: Atomicity::Atomic, ..options() });
        let client = world.login(json!({})).await;
        for n in 0..30 {
            client.create_dir(&path(&format!("/d{n}")), None).await.unwrap();
            put(&client, &format!("/d{n}/file"), &[1; 100]).await.unwrap();
        }
        client.symlink(b"d1/file", &path("/link")).await.unwrap();
        let abandoned = ".sftpgo-upload.0123456789abcdef0123456789abcdef.file";
        std::fs::write(world.home().join(abandoned), "partial").unwrap();
        let upload = client.begin_upload(&path("/running"), NEW).await.unwrap();
        write(&upload, 0, &[1; 5000]).await.unwrap();

        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let user = world.user(json!({}));
        let scan = async |cancel: &CancellationToken| {
            scan_user(&user, &world.services, i64::MAX, &progress, cancel).await
        };
        let usage = scan(&cancel).await.unwrap();
        assert_eq!((usage.size, usage.files), (3000, 30));
        assert_eq!((progress.files(), progress.bytes(), progress.directories()), (30, 3000, 31));
        assert!(!world.home().join(abandoned).exists());
        upload.finish().await.unwrap();
        assert_eq!(scan(&cancel).await.unwrap().size, 8000);
        cancel.cancel();
        assert_eq!(kind(scan(&cancel).await), ErrorKind::Aborted);

        let nobody = world.user(json!({"home_dir": world.dir.path().join("none")}));
        let usage =
            scan_user(&nobody, &world.services, 0, &progress, &CancellationToken::new()).await;
        assert_eq!(usage.unwrap(), Usage::default());
    });
}

/// What it has grown is counted when the upload ends, and must not count twice.
#[test]
fn a_scan_does_not_count_what_an_open_upload_will_settle() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        put(&client, "/a", &[1; 100]).await.unwrap();
        let new = client.begin_upload(&path("/new"), NEW).await.unwrap();
        write(&new, 0, &[1; 5000]).await.unwrap();
        let old = client.begin_upload(&path("/a"), RESUME).await.unwrap();
        write(&old, 100, &[1; 300]).await.unwrap();
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let user = world.user(json!({}));
        let usage = scan_user(&user, &world.services, 0, &progress, &cancel).await.unwrap();
        assert_eq!((usage.size, usage.files), (100, 1));
        new.finish().await.unwrap();
        old.finish().await.unwrap();
        assert_eq!(world.usage().await, (5400, 2));
    });
}

#[test]
fn a_directory_is_listed_with_its_links_and_start_directory_is_the_users() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"filters": {"start_directory": "/d"}})).await;
        assert_eq!(client.start_directory(), path("/d"));
        for name in ["a", "b", "c"] {
            put(&client, name, name.as_bytes()).await.unwrap();
        }
        client.symlink(b"a", &path("/link")).await.unwrap();
        let mut listing = client.list(&path("/")).await.unwrap();
        let mut names = Vec::new();
        loop {
            let batch = listing.next_batch(2).await.unwrap();
            if batch.is_empty() {
                break;
            }
            names.extend(batch.into_iter().map(|entry| (entry.name, entry.metadata.kind)));
        }
        names.sort();
        assert_eq!(names.len(), 4);
        assert_eq!(names[3], (b"link".to_vec(), FileKind::Symlink));
        assert_eq!(kind(client.remove_dir(&path("/")).await), ErrorKind::PermissionDenied);
        assert_eq!(world.login(json!({})).await.start_directory(), path("/"));
    });
}

/// What alice has transferred.
async fn transferred(world: &World) -> (u64, u64) {
    world.actors.quota.flush().await.unwrap();
    let stored = world.store.1.lock().unwrap();
    let found = stored.get(&AccountId::user("alice")).copied().unwrap_or_default();
    (found.uploaded, found.downloaded)
}

const MB: usize = 1024 * 1024;

#[test]
fn transferred_data_is_limited_to_the_byte_and_failures_count() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let limits = json!({"upload_data_transfer": 1, "download_data_transfer": 2});
            let client = world.login(limits).await;
            let upload = client.begin_upload(&path("/a"), NEW).await.unwrap();
            write(&upload, 0, &vec![1; MB - 10]).await.unwrap();
            assert_eq!(kind(write(&upload, 0, &[1; 11]).await), ErrorKind::QuotaExceeded);
            assert_eq!(kind(upload.finish().await), ErrorKind::QuotaExceeded);
            assert_eq!(world.on_disk(), [""; 0], "{mode:?}");
            put(&client, "/b", &[2; 10]).await.unwrap();
            assert_eq!(kind(put(&client, "/c", b"").await), ErrorKind::QuotaExceeded);
            assert_eq!(transferred(&world).await, (MB as u64, 0), "{mode:?}");
            let event = world.event(FsAction::Upload).await;
            assert_eq!(event.status, FsStatus::QuotaExceeded);

            std::fs::write(world.home().join("big"), vec![3; MB]).unwrap();
            for round in 0..3 {
                let download = client.begin_download(&path("/big")).await;
                if round == 2 {
                    assert_eq!(kind(download), ErrorKind::DownloadQuotaExceeded);
                    break;
                }
                let download = download.unwrap();
                // A client asks for more than there is; only what there is counts.
                assert_eq!(download.read_at(0, 2 * MB).await.unwrap().len(), MB);
                assert_eq!(download.read_at(MB as u64, 2 * MB).await.unwrap().len(), 0);
                download.finish().await.unwrap();
            }
            assert_eq!(transferred(&world).await, (MB as u64, 2 * MB as u64));
        }
    });
}

#[test]
fn a_limit_on_all_transferred_data_ends_transfers_that_run() {
    run(async {
        let world = World::new(VfsOptions { track_quota: TrackQuota::WithLimits, ..options() });
        let filters = json!({"data_transfer_limits": [
            {"sources": ["127.0.0.0/8"], "total_data_transfer": 1}]});
        let client = world.login(json!({"filters": filters, "upload_data_transfer": 100})).await;
        put(&client, "/a", &vec![1; MB / 2]).await.unwrap();
        let upload = client.begin_upload(&path("/b"), NEW).await.unwrap();
        let download = client.begin_download(&path("/a")).await.unwrap();
        assert_eq!(download.read_at(0, MB / 2).await.unwrap().len(), MB / 2);
        assert_eq!(kind(write(&upload, 0, b"x").await), ErrorKind::QuotaExceeded);
        let mut buf = [0; 1];
        let read = match download.try_read_at(0, &mut buf) {
            Some(read) => read.map(drop),
            None => download.read_at(0, 1).await.map(drop),
        };
        assert_eq!(kind(read), ErrorKind::DownloadQuotaExceeded);
        assert_eq!(kind(download.finish().await), ErrorKind::DownloadQuotaExceeded);
        drop(upload);
        assert_eq!(transferred(&world).await, ((MB / 2) as u64, (MB / 2) as u64));

        // Counted for nobody else, and not at all without a limit.
        let other = world.login(json!({})).await;
        put(&other, "/c", b"123").await.unwrap();
        assert_eq!(transferred(&world).await.0, (MB / 2) as u64);
    });
}

#[test]
fn no_upload_makes_a_file_larger_than_the_largest() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let client = world.login(json!({"filters": {"max_upload_file_size": 100}})).await;
            put(&client, "/fits", &[1; 100]).await.unwrap();
            assert_eq!(kind(put(&client, "/over", &[1; 101]).await), ErrorKind::QuotaExceeded);
            // A resumed file counts as a whole, whether by offset or by appending.
            put(&client, "/part", &[1; 60]).await.unwrap();
            let resumed = client.begin_upload(&path("/part"), RESUME).await.unwrap();
            write(&resumed, 60, &[1; 40]).await.unwrap();
            resumed.finish().await.unwrap();
            put(&client, "/part", &[1; 60]).await.unwrap();
            let append = UploadOptions { append: true, ..RESUME };
            let appended = client.begin_upload(&path("/part"), append).await.unwrap();
            write(&appended, 0, &[1; 40]).await.unwrap();
            assert_eq!(kind(write(&appended, 0, b"x").await), ErrorKind::QuotaExceeded);
            drop(appended);
            assert_eq!(kind(put(&client, "/fits", &[1; 101]).await), ErrorKind::QuotaExceeded);

            let size = |size| SetAttributes { size: Some(size), ..SetAttributes::default() };
            client.set_attributes(&path("/fits"), size(100)).await.unwrap();
            let grown = client.set_attributes(&path("/fits"), size(101)).await;
            assert_eq!(kind(grown), ErrorKind::QuotaExceeded);
            // One that was larger before may shrink, and not grow again.
            std::fs::write(world.home().join("old"), [1; 500]).unwrap();
            client.set_attributes(&path("/old"), size(300)).await.unwrap();
            let grown = client.set_attributes(&path("/old"), size(301)).await;
            assert_eq!(kind(grown), ErrorKind::QuotaExceeded);
            let open = client.begin_upload(&path("/old"), RESUME).await.unwrap();
            open.set_attributes(size(200)).await.unwrap();
            assert_eq!(kind(open.set_attributes(size(201)).await), ErrorKind::QuotaExceeded);
            drop(open);
            let open = client.begin_upload(&path("/fits"), RESUME).await.unwrap();
            assert_eq!(kind(open.set_attributes(size(101)).await), ErrorKind::QuotaExceeded);
            drop(open);
            assert!(!world.on_disk().contains(&"over".to_owned()), "{mode:?}");
        }
    });
}

#[test]
fn where_the_client_is_decides_about_bandwidth() {
    run(async {
        let world = World::new(options());
        let filters = json!({"bandwidth_limits": [
            {"sources": ["10.0.0.0/8"], "upload_bandwidth": 1},
            {"sources": ["127.0.0.1/32"], "upload_bandwidth": 0, "download_bandwidth": 7}]});
        let client = world.login(json!({"upload_bandwidth": 5, "filters": filters})).await;
        assert_eq!(client.upload_rate(), None);
        let client = world.login(json!({"upload_bandwidth": 5})).await;
        assert_eq!(client.upload_rate(), Some(5 * 1024));
    });
}

#[test]
fn data_leaves_at_its_pace_and_the_whole_of_what_was_asked_for() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({"download_bandwidth": 256})).await;
        std::fs::write(world.home().join("a"), vec![1; 64 * 1024]).unwrap();
        let download = client.begin_download(&path("/a")).await.unwrap();
        let (data, pace) = download.read_paced(0, 1 << 20).await.unwrap();
        assert_eq!(data.len(), 64 * 1024);
        let (mut pace, started, mut sent) = (pace.unwrap(), Instant::now(), 0);
        while sent < data.len() {
            sent += pace.next(sent, data.len() - sent).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(240), "{:?}", started.elapsed());
        let (data, pace) = download.read_paced(1 << 20, 10).await.unwrap();
        assert!(data.is_empty() && pace.is_none());
    });
}

#[test]
fn the_work_of_a_command_is_activity() {
    run(async {
        let world = World::new(options());
        let client = world.login(json!({})).await;
        let last = async || world.actors.registry.list().await[0].last_activity_unix_ms;
        std::fs::write(world.home().join("f"), "x").unwrap();
        let contents = client.contents(&path("/f")).await.unwrap();
        // Until the clock has moved on.
        let before = last().await;
        for _ in 0..500 {
            contents.read_at(0, 1).await.unwrap();
            if last().await > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(last().await > before, "a digest is made");
        let before = last().await;
        for _ in 0..500 {
            std::fs::create_dir(world.home().join("d")).unwrap();
            std::fs::write(world.home().join("d/f"), "x").unwrap();
            client.remove_tree(&path("/d")).await.unwrap();
            if last().await > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(last().await > before, "a tree is removed");
    });
}
