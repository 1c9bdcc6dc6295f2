//! Assembly: every part is built once here and handed down; nothing is global.
//!
//! The order of a start is: configuration, log, data provider, actors, dump, first
//! administrator, services. A stop runs the other way round.

mod facts;
mod limits;
mod memory;
mod portable;
mod scanner;
mod signals;
mod subsystem;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actors::hooks::HooksConfig;
use actors::ports::{BoxError, HookRunner, Verdict};
use actors::quota::QuotaConfig;
use actors::registry::RegistryConfig;
use actors::{AccountId, Actors, Ports, Supervisor, SupervisorConfig};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Login, LoginDelay, OneTimePasswords, Passwords};
use crate::cli::{Command, InitProviderOptions, LoadDataFlags, QuotaScan, ServeOptions};
use crate::config::{self, Config, ConfigDir, DataProviderConfig, Driver, Loaded, TrackQuota};
use crate::error::{Error, ErrorKind, Result};
use crate::hooks::{HttpClient, KeyboardHook, Programs};
use crate::logging::{self, LogControl, Logging};
use crate::metrics::Metrics;
use crate::protocol::listener::proxy::ProxyPolicy;
use crate::protocol::listener::rate_limits::RateLimits;
use crate::protocol::ssh;
use crate::protocol::ssh::server::{BindRequest, Parts, Service};
use crate::provider::backup::{self, LoadMode};
use crate::provider::{Page, Store};
use crate::version;
use crate::vfs::scans::Scans;
use crate::vfs::{VfsOptions, VfsServices, leftovers};
use crate::web::{self, WebContext, WebHandle};
use scanner::Scanner;
use signals::{Signal, Signals};

/// Carries out what the command line asks for.
///
/// # Errors
/// Whatever stops a start; the process then ends with status 1.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Serve(options) => serve(options),
        Command::Portable(options) => portable::serve(options),
        Command::Startsubsys(options) => subsystem::serve(options),
        Command::Initprovider(options) => initialise_provider(options),
        Command::Ping(options) => crate::cli::ping::run(options),
        Command::ConvertUsers(options) => crate::cli::convert::run(options),
        Command::Gen(command) => crate::cli::generate::run(command, &mut std::io::stdout().lock()),
    }
}

/// The system that actors run on, over a multi-thread runtime for everything else.
fn in_system<F: Future<Output = Result<()>>>(work: F) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("sftpgo-worker")
        .build()
        .map_err(|error| Error::from_io("cannot start the runtime", error))?;
    // Outlives the system: an actor that had no turn before a start failed begins and
    // ends while the system is dropped, and asks for a timer then.
    let handle = runtime.handle().clone();
    let _timers = handle.enter();
    let runtime = std::sync::Mutex::new(Some(runtime));
    let system = actix::System::with_tokio_rt(|| {
        // Called once, by the line above.
        match runtime.lock().map(|mut slot| slot.take()) {
            Ok(Some(runtime)) => runtime,
            _ => unreachable!("the system asks for its runtime once"),
        }
    });
    system.block_on(work)
}

fn serve(options: &ServeOptions) -> Result<()> {
    let loaded = config::load(options.config.sources())?;
    let logging = Logging::start(options.log.options(&loaded.config_dir))?;
    let log = logging.logger().clone();
    let outcome = in_system(serve_until_stopped(options, loaded, logging.control(), log.clone()));
    if let Err(error) = &outcome {
        slog::error!(logging::for_sender(&log, "service"), "{error}");
    }
    outcome
}

async fn serve_until_stopped(
    options: &ServeOptions,
    loaded: Loaded,
    log_control: LogControl,
    log: slog::Logger,
) -> Result<()> {
    // Before anything that a signal could interrupt halfway.
    let mut signals = Signals::install()?;
    let service_log = logging::for_sender(&log, "service");
    slog::info!(
        service_log,
        "starting version {}, config dir: {}, config file: {}",
        version::LONG,
        loaded.config_dir.path().display(),
        loaded.file.as_deref().map_or("none".to_owned(), |file| file.display().to_string()),
    );
    let files = limits::raise_open_files();
    slog::debug!(
        service_log,
        "open files: at most {}",
        files.map_or("any number".to_owned(), |files| files.to_string())
    );
    for warning in &loaded.warnings {
        slog::warn!(service_log, "configuration: {warning}");
    }
    let config = &loaded.config;
    let passwords = Passwords::new(&config.data_provider)?;
    let store =
        Store::open(&config.data_provider, loaded.config_dir.path(), Arc::new(passwords.clone()))?;
    let core = Core::start(config, &loaded.config_dir, store, passwords, Some(log_control), log)?;

    let memory_dump = memory::dump_file(config, &loaded.config_dir);
    if let Some(dump) = &memory_dump {
        memory::load(&core, dump).await?;
    }
    load_dump(&core, &options.load_data).await?;
    if config.data_provider.create_default_admin {
        auth::create_default_admin(
            &core.store,
            loaded.environment.get("SFTPGO_DEFAULT_ADMIN_USERNAME").map(String::as_str),
            loaded.environment.get("SFTPGO_DEFAULT_ADMIN_PASSWORD").map(String::as_str),
        )
        .await?;
    }

    let binds = BindRequest::from_config(&config.sftpd);
    let ssh = core.start_ssh(&binds, config, &loaded.config_dir)?;
    let web = core.start_web(config, &loaded.config_dir, ssh.facts())?;
    let has_http = config.httpd.bindings.iter().any(|binding| binding.is_enabled());
    if ssh.facts().bindings.is_empty() && !has_http {
        return Err(Error::invalid("no service is enabled: every binding has port 0"));
    }
    if config.data_provider.track_quota != TrackQuota::Off {
        request_scans(&core, options.load_data_scan).await?;
        // Also those that the last stop, or a crash, has interrupted.
        core.scans.work_off();
    }
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    slog::info!(service_log, "started");

    let grace = Duration::from_secs(options.grace_time_secs.into());
    core.run(&mut signals, ssh, Some(web), memory_dump, grace).await
}

fn initialise_provider(options: &InitProviderOptions) -> Result<()> {
    let loaded = config::load(options.config.sources())?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let config = &loaded.config.data_provider;
    if config.driver == Driver::Memory {
        if options.load_data.file().is_some() {
            return Err(Error::invalid(
                "--loaddata-from: `data_provider.driver` \"memory\" would forget what is loaded",
            ));
        }
        println!("data provider: nothing to do, accounts are in memory");
        return Ok(());
    }
    let changed = Store::initialise(config, loaded.config_dir.path())?;
    println!(
        "data provider: {}",
        if changed { "initialised or updated" } else { "already up to date" }
    );
    if options.load_data.file().is_none() {
        return Ok(());
    }
    let passwords = Arc::new(Passwords::new(config)?);
    let store = Store::open(config, loaded.config_dir.path(), passwords)?;
    in_system(async {
        for line in load_into(&store, &options.load_data).await? {
            println!("{line}");
        }
        Ok(())
    })
}

/// Loads the dump that the command line names; lines that tell what was done.
async fn load_into(store: &Store, flags: &LoadDataFlags) -> Result<Vec<String>> {
    let Some(file) = flags.file() else { return Ok(Vec::new()) };
    let mode = if flags.updates_existing() { LoadMode::AddOrUpdate } else { LoadMode::AddOnly };
    let report = backup::load_file(store, file, mode).await?;
    let mut lines = vec![format!(
        "loaded {}: {} added, {} updated, {} left alone",
        file.display(),
        report.added,
        report.updated,
        report.skipped
    )];
    lines.extend(report.warnings);
    if flags.clean
        && let Err(error) = std::fs::remove_file(file)
    {
        lines.push(format!("cannot remove {}: {error}", file.display()));
    }
    Ok(lines)
}

async fn load_dump(core: &Core, flags: &LoadDataFlags) -> Result<()> {
    let log = logging::for_sender(&core.log, "service");
    for line in load_into(&core.store, flags).await? {
        slog::info!(log, "{line}");
    }
    Ok(())
}

/// Notes which accounts are to be scanned after they were loaded.
async fn request_scans(core: &Core, which: QuotaScan) -> Result<()> {
    if which == QuotaScan::Nobody {
        return Ok(());
    }
    let mut page = Page { limit: Page::MAX_LIMIT, ..Page::default() };
    loop {
        let users = core.store.users(page).await?;
        if users.is_empty() {
            return Ok(());
        }
        page.offset += page.limit;
        for user in users {
            // Limits and home may be those of a group.
            let Some(account) = core.store.effective_user(&user.username).await? else { continue };
            let user = account.user;
            if which == QuotaScan::Everybody || user.has_quota() {
                core.scans.request(&AccountId::user(user.username.as_str())).await?;
            }
        }
    }
}

/// What runs below every protocol.
struct Core {
    store: Store,
    login: Login,
    actors: Actors,
    vfs: VfsServices,
    scans: Scans,
    rate_limits: Arc<RateLimits>,
    metrics: Arc<Metrics>,
    log: slog::Logger,
    /// None when nothing is logged.
    log_control: Option<LogControl>,
    /// Cancelled when the server stops.
    stop: CancellationToken,
}

impl Core {
    /// Must run inside the actix system.
    fn start(
        config: &Config,
        config_dir: &ConfigDir,
        store: Store,
        passwords: Passwords,
        log_control: Option<LogControl>,
        log: slog::Logger,
    ) -> Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let common = &config.common;
        let settings = SupervisorConfig {
            registry: RegistryConfig {
                max_total_connections: common.max_total_connections,
                max_per_host_connections: common.max_per_host_connections,
                idle_timeout_secs: u64::from(common.idle_timeout) * 60,
            },
            quota: quota_config(&config.data_provider),
            hooks: HooksConfig::default(),
            ..SupervisorConfig::default()
        };
        let ports = Ports { usage: Arc::new(store.clone()), hooks: Arc::new(NoHooks) };
        let actors = Supervisor::start(settings, ports);
        let mut options = VfsOptions::from_config(common, &config.data_provider);
        if let Some(path) = &mut options.temp_path {
            *path = config_dir.resolve(&*path);
            if !path.is_dir() {
                return Err(Error::invalid(format!(
                    "`common.temp_path`: {} is not an existing directory",
                    path.display()
                )));
            }
        }
        let started_unix_secs = chrono::Utc::now().timestamp();
        if let Some(path) = options.temp_path.clone() {
            tokio::spawn(remove_leftovers(path, started_unix_secs, log.clone()));
        }
        let vfs = VfsServices::new(
            options,
            actors.quota.clone(),
            actors.hooks.clone(),
            metrics.clone(),
            logging::for_sender(&log, "vfs"),
        )
        .noting_first_transfers(store.clone());
        let stop = CancellationToken::new();
        let scans = Scans::new(
            store.clone(),
            actors.quota.clone(),
            Arc::new(Scanner::new(vfs.clone(), started_unix_secs, stop.clone())),
            tokio::runtime::Handle::current(),
            &log,
        );
        let rate_limits = Arc::new(RateLimits::from_config(&common.rate_limiters)?);
        let login = Login::new(store.clone(), passwords, logging::for_sender(&log, "auth"))
            .with_clock(common.tz.clock())
            .with_delay(LoginDelay::from_config(&common.defender.login_delay))
            .with_one_time(OneTimePasswords::new(&config.mfa));
        Ok(Self { store, login, actors, vfs, scans, rate_limits, metrics, log, log_control, stop })
    }

    fn start_ssh(
        &self,
        binds: &[BindRequest],
        config: &Config,
        config_dir: &ConfigDir,
    ) -> Result<Service> {
        let hook = &config.sftpd.keyboard_interactive_auth_hook;
        let keyboard_hook = (!hook.is_empty())
            .then(|| {
                let log = logging::for_sender(&self.log, "keyboard_interactive_auth_hook");
                let programs = Programs::new(&config.command);
                let http = || HttpClient::new(&config.http, config_dir.path());
                KeyboardHook::new(hook, &programs, http, log)
            })
            .transpose()?;
        let parts = Parts {
            registry: self.actors.registry.clone(),
            login: self.login.clone(),
            keyboard_hook,
            vfs: self.vfs.clone(),
            rate_limits: self.rate_limits.clone(),
            metrics: self.metrics.clone(),
            log: self.log.clone(),
        };
        ssh::server::start(
            binds,
            &config.sftpd,
            &config.common,
            config_dir.path(),
            version::VERSION,
            parts,
        )
    }

    fn start_web(
        &self,
        config: &Config,
        config_dir: &ConfigDir,
        ssh: &ssh::server::Facts,
    ) -> Result<WebHandle> {
        let services = web::Services {
            store: self.store.clone(),
            login: self.login.clone(),
            registry: self.actors.registry.clone(),
            throughput: self.actors.throughput.clone(),
            quota: self.actors.quota.clone(),
            supervisor: self.actors.supervisor.clone(),
            metrics: self.metrics.clone(),
            log: self.log.clone(),
            log_control: self.log_control.clone(),
            track_quota: config.data_provider.track_quota,
            backups_path: config_dir.resolve(&config.data_provider.backups_path),
            rate_limits: self.rate_limits.clone(),
            facts: Arc::new(facts::Facts::new(ssh)),
            scans: self.scans.clone(),
            tasks: web::Tasks::new(tokio::runtime::Handle::current(), self.stop.clone(), &self.log),
            disks: web::Disks::new(places(config, config_dir, self.log_control.as_ref())),
            http: std::sync::RwLock::default(),
            version: facts::version(),
            started: std::time::Instant::now(),
        };
        web::start(WebContext {
            httpd: config.httpd.clone(),
            telemetry: config.telemetry.clone(),
            config_dir: config_dir.path().to_owned(),
            proxy: ProxyPolicy::from_config(&config.common)?,
            services: Arc::new(services),
        })
    }

    /// Serves until a signal says stop, then drains. With a `memory_dump` the accounts are
    /// those of this file.
    async fn run(
        &self,
        signals: &mut Signals,
        ssh: Service,
        web: Option<WebHandle>,
        memory_dump: Option<PathBuf>,
        grace: Duration,
    ) -> Result<()> {
        let log = logging::for_sender(&self.log, "service");
        let failure = loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => break None,
                    Signal::Reload => {
                        // Connections are never dropped, and what cannot be read is
                        // left as it was.
                        tell_systemd(&[sd_notify::NotifyState::Reloading]);
                        slog::info!(log, "reload requested");
                        if let Err(error) = ssh.reload() {
                            slog::error!(log, "{error}");
                        }
                        if let Some(web) = &web {
                            web.reload().await;
                        }
                        if let Some(dump) = &memory_dump
                            && let Err(error) = memory::reload(self, dump).await
                        {
                            slog::error!(log, "{error}; accounts are left as they were");
                        }
                        tell_systemd(&[sd_notify::NotifyState::Ready]);
                    }
                    Signal::RotateLog => {
                        let Some(control) = self.log_control.clone() else { continue };
                        // A failure is its own error line in the log.
                        let rotated = tokio::task::spawn_blocking(move || control.rotate()).await;
                        if let Ok(Err(error)) = rotated {
                            slog::error!(log, "{error}");
                        }
                    }
                },
                failure = self.actors.supervisor.failed() => break Some(failure),
            }
        };
        tell_systemd(&[sd_notify::NotifyState::Stopping]);
        self.stop.cancel();
        slog::info!(log, "stopping, grace time: {}s", grace.as_secs());
        let stop = async {
            ssh.stop_accepting().await;
            let drained = self.actors.supervisor.shutdown(grace).await;
            if let Some(web) = web {
                web.stop(true).await;
            }
            drained
        };
        tokio::select! {
            drained = stop => {
                let how = if drained.0 { "every transfer finished" } else { "transfers were cut" };
                slog::info!(log, "stopped, {how}");
            }
            () = signals.stop_again() => slog::warn!(log, "stopped at once by a second signal"),
        }
        match failure {
            None => Ok(()),
            Some(failure) => Err(Error::new(ErrorKind::Internal, failure.to_string())),
        }
    }
}

/// Where the server keeps things, with the settings that say so.
fn places(
    config: &Config,
    config_dir: &ConfigDir,
    log: Option<&LogControl>,
) -> Vec<(&'static str, PathBuf)> {
    let provider = &config.data_provider;
    let mut places = Vec::new();
    let mut add = |setting, path: &str| {
        if !path.is_empty() {
            places.push((setting, config_dir.resolve(path)));
        }
    };
    add("data_provider.users_base_dir", &provider.users_base_dir);
    if provider.driver == Driver::Sqlite {
        add("data_provider.name", &provider.name);
    }
    add("data_provider.backups_path", &provider.backups_path);
    add("common.temp_path", &config.common.temp_path);
    if let Some(file) = log.and_then(LogControl::file) {
        places.push(("log-file-path", file.to_owned()));
    }
    places
}

/// Cleans `common.temp_path` while the server already serves.
async fn remove_leftovers(path: PathBuf, started_unix_secs: i64, log: slog::Logger) {
    let log = logging::for_sender(&log, "service");
    let shown = path.display().to_string();
    match leftovers::remove_leftovers(path, started_unix_secs).await {
        Ok(0) => {}
        Ok(count) => slog::info!(log, "removed {count} unfinished uploads from {shown}"),
        Err(error) => slog::warn!(log, "unfinished uploads may be left in {shown}: {error}"),
    }
}

/// `delayed_quota_update` 0 is the usual interval: often enough to count as at once.
fn quota_config(config: &DataProviderConfig) -> QuotaConfig {
    let usual = QuotaConfig::default();
    match config.delayed_quota_update {
        0 => usual,
        secs => QuotaConfig { flush_interval: Duration::from_secs(secs.into()), ..usual },
    }
}

/// Tells systemd how far we are; without systemd this does nothing.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    // Not being able to tell is not a reason to stop serving.
    let _ = sd_notify::notify(states);
}

/// No hook can be configured yet, so none is ever asked.
struct NoHooks;

#[async_trait]
impl HookRunner for NoHooks {
    /// Nobody builds an event that nobody wants: the dispatcher is asked for none.
    fn wants(&self, _action: actors::FsAction) -> bool {
        false
    }

    async fn notify(&self, _event: &actors::events::Event) -> Result<(), BoxError> {
        Ok(())
    }

    async fn decide(&self, _event: &actors::events::Event) -> Result<Verdict, BoxError> {
        Ok(Verdict::Allow)
    }
}
