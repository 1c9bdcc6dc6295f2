//! The quota against a plain model: random operations from several sessions of
//! one account, with uploads left open across them. Whenever nothing is open,
//! the counters, the model, the disk and a scan must agree; and nothing is ever
//! denied that would have fitted.
//!
//! `SFTPGO_TEST_STEPS` sets the number of steps of each upload mode.

use std::collections::BTreeMap;

use super::*;

const LIMIT_BYTES: u64 = 60_000;
const LIMIT_FILES: u64 = 9;
const SESSIONS: usize = 4;
const MOST_OPEN: usize = 6;
/// Steps after which everything is closed and compared.
const ROUND: u64 = 60;

/// xorshift64*: the steps must be the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len() as u64) as usize]
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// A file on the disk, as long as it has a name or is open.
type Inode = usize;

/// What the disk should look like.
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Inode>,
    sizes: Vec<u64>,
}

impl Model {
    fn create(&mut self, size: u64) -> Inode {
        self.sizes.push(size);
        self.sizes.len() - 1
    }

    fn size_of(&self, name: &str) -> Option<u64> {
        self.names.get(name).map(|inode| self.sizes[*inode])
    }

    fn usage(&self) -> (u64, u64) {
        let sizes = self.names.values().map(|inode| self.sizes[*inode]);
        (sizes.sum(), self.names.len() as u64)
    }
}

/// An upload that is under way.
struct Open {
    upload: Upload,
    name: String,
    inode: Inode,
    appends: bool,
    /// Direct mode: this upload has made the file.
    created: bool,
    /// Up to where its bytes cost nothing, or are paid.
    paid_to: u64,
    /// What it holds of the limits.
    paid: u64,
    holds_file: bool,
    /// Atomic modes: bytes of the file it is to replace.
    free: u64,
}

struct Player {
    world: World,
    clients: Vec<Client>,
    mode: Atomicity,
    model: Model,
    open: Vec<Open>,
    dice: Dice,
    step: u64,
    denied: u64,
    /// What was done since the last comparison, for whoever has to find a mistake.
    history: Vec<String>,
}

impl Drop for Player {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}: {:#?}", self.mode, self.history);
        }
    }
}

/// Directories are `/`, `/d` and `/d/e`; few names, so that they meet often.
const NAMES: [&str; 10] =
    ["/a", "/b", "/c", "/d/a", "/d/b", "/d/c", "/d/e/a", "/d/e/b", "/d/e/c", "/d/e/d"];

impl Player {
    async fn new(mode: Atomicity, seed: u64) -> Self {
        let world = World::new(VfsOptions { upload_mode: mode, ..options() });
        let mut clients = Vec::new();
        for _ in 0..SESSIONS {
            let limits = json!({"quota_size": LIMIT_BYTES, "quota_files": LIMIT_FILES});
            clients.push(world.login(limits).await);
        }
        for dir in ["/d", "/d/e"] {
            clients[0].create_dir(&path(dir), None).await.unwrap();
        }
        Self {
            world,
            clients,
            mode,
            model: Model::default(),
            open: Vec::new(),
            dice: Dice(seed),
            step: 0,
            denied: 0,
            history: Vec::new(),
        }
    }

    fn did(&mut self, what: std::fmt::Arguments<'_>) {
        self.history.push(format!("{}: {what}", self.step));
    }

    fn session(&mut self) -> usize {
        self.dice.below(SESSIONS as u64) as usize
    }

    /// A denial is right only if what is asked for does not fit.
    async fn must_not_fit(&mut self, bytes: u64, files: u64, what: &str) {
        self.denied += 1;
        let (used, used_files) = self.world.usage().await;
        let held: u64 = self.open.iter().map(|open| open.paid).sum();
        let held_files = self.open.iter().filter(|open| open.holds_file).count() as u64;
        let is_full = used + held >= LIMIT_BYTES || used + held + bytes > LIMIT_BYTES;
        let has_too_many = files > 0 && used_files + held_files + files > LIMIT_FILES;
        assert!(
            is_full || has_too_many,
            "step {}: {what} was denied {bytes} bytes and {files} files with {used} + {held} bytes \
             and {used_files} + {held_files} files in use",
            self.step
        );
    }

    async fn step(&mut self) {
        self.step += 1;
        match self.dice.below(20) {
            0..=4 => self.begin().await,
            5..=10 => self.write().await,
            11 => self.resize_open().await,
            12..=13 => self.finish().await,
            14 => self.abandon().await,
            15..=16 => self.remove().await,
            17 => self.resize_named().await,
            18 => self.rename_directory().await,
            _ => self.rename().await,
        }
        let (used, files) = self.world.usage().await;
        assert!(used <= LIMIT_BYTES && files <= LIMIT_FILES, "step {}: {used} {files}", self.step);
        if self.open.is_empty() {
            assert_eq!((used, files), self.model.usage(), "step {}", self.step);
        }
    }

    async fn begin(&mut self) {
        if self.open.len() == MOST_OPEN {
            return;
        }
        let name = self.dice.name().to_owned();
        let how =
            UploadOptions { truncate: self.dice.one_in(2), append: self.dice.one_in(4), ..NEW };
        self.did(format_args!("open {name} {how:?}"));
        let before = self.model.size_of(&name);
        let client = self.session();
        let upload = match self.clients[client].begin_upload(&path(&name), how).await {
            Ok(upload) => upload,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
                let new = u64::from(before.is_none());
                return self.must_not_fit(1, new, "opening").await;
            }
        };
        let is_new = before.is_none();
        let (inode, paid_to) = match (self.mode, self.model.names.get(&name).copied()) {
            (Atomicity::Direct, Some(inode)) => {
                // Counted may be less than what the disk has; then more is paid.
                let paid_to = self.counted(inode);
                if how.truncate {
                    self.model.sizes[inode] = 0;
                }
                (inode, paid_to)
            }
            (Atomicity::Direct, None) => {
                let inode = self.model.create(0);
                self.model.names.insert(name.clone(), inode);
                (inode, 0)
            }
            (_, old) => {
                let kept =
                    if how.truncate { 0 } else { old.map_or(0, |old| self.model.sizes[old]) };
                (self.model.create(kept), kept)
            }
        };
        self.open.push(Open {
            upload,
            name,
            inode,
            appends: how.append,
            created: is_new,
            paid_to,
            paid: 0,
            holds_file: is_new,
            free: if self.mode == Atomicity::Direct { 0 } else { paid_to },
        });
    }

    /// What is certainly paid for a file that may be open already: nothing.
    fn counted(&self, inode: Inode) -> u64 {
        let is_open = self.open.iter().any(|open| open.inode == inode);
        if is_open { 0 } else { self.model.sizes[inode] }
    }

    fn random_open(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.dice.below(self.open.len() as u64) as usize)
    }

    async fn write(&mut self) {
        let Some(at) = self.random_open() else { return };
        let (size, len) = (self.model.sizes[self.open[at].inode], 1 + self.dice.below(8_000));
        let offset = self.dice.below(size + 1_000);
        let name = self.open[at].name.clone();
        self.did(format_args!("write {name} {offset} {len}"));
        let open = &mut self.open[at];
        let (end, growth) = if open.appends {
            (size + len, len)
        } else {
            (size.max(offset + len), (offset + len).saturating_sub(open.paid_to))
        };
        let data = vec![1; len as usize];
        match write(&open.upload, offset, &data).await {
            Ok(()) => {
                self.model.sizes[open.inode] = end;
                open.paid += growth;
                if !open.appends {
                    open.paid_to = open.paid_to.max(offset + len);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
                self.must_not_fit(growth, 0, "writing").await;
                self.fail(at).await;
            }
        }
    }

    async fn resize_open(&mut self) {
        let Some(at) = self.random_open() else { return };
        let size = self.dice.below(12_000);
        let name = self.open[at].name.clone();
        self.did(format_args!("resize open {name} {size}"));
        let open = &mut self.open[at];
        let growth = size.saturating_sub(open.paid_to);
        let wanted = SetAttributes { size: Some(size), ..SetAttributes::default() };
        match open.upload.set_attributes(wanted).await {
            Ok(()) => {
                self.model.sizes[open.inode] = size;
                open.paid += growth;
                open.paid_to = open.paid_to.max(size);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
                self.must_not_fit(growth, 0, "resizing").await;
                self.fail(at).await;
            }
        }
    }

    /// After a denied write: what is new does not stay.
    async fn fail(&mut self, at: usize) {
        let open = self.open.remove(at);
        self.did(format_args!("fail {}", open.name));
        assert_eq!(kind(open.upload.finish().await), ErrorKind::QuotaExceeded);
        if self.mode == Atomicity::Direct && open.created {
            if self.model.names.get(&open.name) == Some(&open.inode) {
                self.model.names.remove(&open.name);
            } else {
                self.model.sizes[open.inode] = 0;
            }
        }
    }

    async fn finish(&mut self) {
        let Some(at) = self.random_open() else { return };
        let open = self.open.remove(at);
        let (gone, Open { upload, name, inode, .. }) = (self.gone(&open), open);
        self.did(format_args!("finish {name}"));
        match upload.finish().await {
            Ok(()) if self.mode == Atomicity::Direct => {}
            Ok(()) => drop(self.model.names.insert(name, inode)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
                assert!(gone, "step {}: finishing was denied", self.step);
            }
        }
    }

    async fn abandon(&mut self) {
        let Some(at) = self.random_open() else { return };
        let open = self.open.remove(at);
        self.did(format_args!("abandon {}", open.name));
        let (gone, Open { upload, name, inode, .. }) = (self.gone(&open), open);
        drop(upload);
        wait_until(async || self.transfers().await == self.open.len()).await;
        if self.mode == Atomicity::AtomicResumable {
            let there = self.model.names.insert(name.clone(), inode);
            if gone && self.world.usage().await != self.model.usage() {
                self.model.names.remove(&name);
                self.model.names.extend(there.map(|there| (name, there)));
            }
        }
    }

    /// Whether what the upload was to replace has gone, so that it may fit no more.
    fn gone(&self, open: &Open) -> bool {
        let there = self.model.size_of(&open.name);
        self.mode != Atomicity::Direct
            && (there.is_none_or(|there| there < open.free) && open.free > 0
                || there.is_none() && !open.holds_file)
    }

    /// Those that have not ended; given up, they end by themselves.
    async fn transfers(&self) -> usize {
        let sessions = self.world.actors.registry.list().await;
        sessions.iter().map(|session| session.transfers.len()).sum()
    }

    async fn remove(&mut self) {
        let name = self.dice.name();
        self.did(format_args!("remove {name}"));
        let client = self.session();
        let removed = self.clients[client].remove_file(&path(name)).await;
        match self.model.names.remove(name) {
            Some(_) => removed.unwrap(),
            None => assert_eq!(kind(removed), ErrorKind::NotFound),
        }
    }

    async fn resize_named(&mut self) {
        let name = self.dice.name();
        let size = self.dice.below(12_000);
        let wanted = SetAttributes { size: Some(size), ..SetAttributes::default() };
        self.did(format_args!("resize {name} {size}"));
        let client = self.session();
        let resized = self.clients[client].set_attributes(&path(name), wanted).await;
        match (self.model.names.get(name).copied(), resized) {
            (Some(inode), Ok(())) => self.model.sizes[inode] = size,
            (Some(inode), Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
                let growth = size.saturating_sub(self.model.sizes[inode]);
                self.must_not_fit(growth, 0, "resizing by name").await;
            }
            (None, resized) => assert_eq!(kind(resized), ErrorKind::NotFound),
        }
    }

    async fn rename(&mut self) {
        let (from, to) = (self.dice.name(), self.dice.name());
        self.did(format_args!("rename {from} {to}"));
        let client = self.session();
        let renamed = self.clients[client].rename(&path(from), &path(to)).await;
        match self.model.names.get(from).copied() {
            Some(inode) => {
                renamed.unwrap();
                if from != to {
                    self.model.names.remove(from);
                    self.model.names.insert(to.to_owned(), inode);
                }
            }
            None => assert_eq!(kind(renamed), ErrorKind::NotFound),
        }
    }

    /// There and back, as an open upload remembers its name and not its directory.
    async fn rename_directory(&mut self) {
        let client = self.session();
        self.clients[client].rename(&path("/d"), &path("/elsewhere")).await.unwrap();
        let other = self.session();
        self.clients[other].rename(&path("/elsewhere"), &path("/d")).await.unwrap();
    }

    /// Ends everything and compares.
    async fn settle_up(&mut self) {
        while !self.open.is_empty() {
            if self.dice.one_in(5) {
                self.abandon().await;
            } else {
                self.finish().await;
            }
        }
        let on_disk = self.files_on_disk();
        let expected: BTreeMap<_, _> = self
            .model
            .names
            .iter()
            .map(|(name, inode)| (name.clone(), self.model.sizes[*inode]))
            .collect();
        assert_eq!(on_disk, expected, "step {}", self.step);
        self.compare().await;
        self.history.clear();
        self.model.sizes =
            self.model.names.values().map(|inode| self.model.sizes[*inode]).collect();
        for (inode, at) in self.model.names.values_mut().zip(0..) {
            *inode = at;
        }
    }

    /// Names and sizes.
    fn files_on_disk(&self) -> BTreeMap<String, u64> {
        let stored = |name: &str| {
            let stored = std::fs::metadata(format!("{}{name}", self.world.home().display()));
            Some((name.to_owned(), stored.ok()?.len()))
        };
        NAMES.into_iter().filter_map(stored).collect()
    }

    async fn compare(&self) {
        let (progress, cancel) = (ScanProgress::default(), CancellationToken::new());
        let user = self.world.user(json!({}));
        let scanned = scan_user(&user, &self.world.services, 0, &progress, &cancel).await.unwrap();
        let (used, step) = (self.world.usage().await, self.step);
        assert_eq!(used, (scanned.size, scanned.files), "step {step}: counters and scan");
        assert_eq!(used, self.model.usage(), "step {step}: counters and model");
    }

    /// Everybody at once, on the same few names: whatever comes out, the counters
    /// must be what is on the disk.
    async fn stampede(&mut self) {
        let mut tasks = Vec::new();
        for (n, client) in std::mem::take(&mut self.clients).into_iter().enumerate() {
            let mut dice = Dice(self.dice.below(u64::MAX >> 8) + 1 + n as u64);
            tasks.push(tokio::spawn(async move {
                for _ in 0..12 {
                    let (one, two) = (path(dice.name()), path(dice.name()));
                    // What each of them answers depends on the others.
                    let _ = match dice.below(6) {
                        0..=2 => put(&client, &one.to_string(), &[1; 5_000]).await,
                        3 => client.remove_file(&one).await,
                        4 => client.rename(&one, &two).await,
                        _ => {
                            let size = Some(dice.below(9_000));
                            let wanted = SetAttributes { size, ..SetAttributes::default() };
                            client.set_attributes(&one, wanted).await
                        }
                    };
                }
                client
            }));
        }
        for task in tasks {
            self.clients.push(task.await.unwrap());
        }
        wait_until(async || self.transfers().await == 0).await;
        self.model = Model::default();
        for (name, size) in self.files_on_disk() {
            let inode = self.model.create(size);
            self.model.names.insert(name, inode);
        }
        self.compare().await;
    }
}

#[test]
fn counters_model_disk_and_scan_agree_after_any_operations() {
    let steps = std::env::var("SFTPGO_TEST_STEPS").ok().and_then(|n| n.parse().ok());
    let steps: u64 = steps.unwrap_or(1_500);
    for (mode, seed) in
        [(Atomicity::Direct, 11), (Atomicity::Atomic, 22), (Atomicity::AtomicResumable, 33)]
    {
        run(async move {
            let mut player = Player::new(mode, seed).await;
            while player.step < steps {
                for _ in 0..ROUND {
                    player.step().await;
                }
                player.settle_up().await;
                player.stampede().await;
            }
            assert!(player.denied > steps / 100, "only {} denials", player.denied);
        });
    }
}

#[test]
fn uploads_that_fit_together_all_succeed_and_one_byte_more_does_not() {
    run(async {
        for mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
            let world = World::new(VfsOptions { upload_mode: mode, ..options() });
            let limits = json!({"quota_size": 16 * 250_000, "quota_files": 16});
            let mut tasks = Vec::new();
            for n in 0..16 {
                let client = world.login(limits.clone()).await;
                tasks.push(tokio::spawn(async move {
                    let upload = client.begin_upload(&path(&format!("/{n}")), NEW).await?;
                    for block in 0..50 {
                        write(&upload, block * 5_000, &[1; 5_000]).await?;
                        tokio::task::yield_now().await;
                    }
                    upload.finish().await
                }));
            }
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            assert_eq!(world.usage().await, (16 * 250_000, 16));
            let client = world.login(limits).await;
            let more = client.begin_upload(&path("/0"), RESUME).await;
            assert_eq!(kind(more), ErrorKind::QuotaExceeded);
            assert_eq!(kind(put(&client, "/more", b"").await), ErrorKind::QuotaExceeded);
        }
    });
}
