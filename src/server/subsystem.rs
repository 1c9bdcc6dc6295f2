//! `sftpgo startsubsys`: one session of whoever runs this process, for OpenSSH's server.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actors::ids::Protocol;
use actors::meter::{KillReason, KillSwitch};
use actors::registry::{Admission, Login as LoggedIn};
use nix::unistd;

use super::scanner::Scanner;
use super::signals::{Signal, Signals};
use super::{Core, in_system, limits, memory};
use crate::auth::Passwords;
use crate::cli::SubsystemOptions;
use crate::config::{self, Driver, Loaded, TrackQuota};
use crate::error::{Error, ErrorKind, Result};
use crate::logging::{self, LogOptions, Logging};
use crate::model::{LoginProtocol, Password, Permission, Permissions, User};
use crate::protocol::ssh::sftp::stdio;
use crate::provider::Store;
use crate::version;
use crate::vfs::{Session, SessionContext};

/// Serves until the client is done, or a signal says stop.
///
/// # Errors
/// Whatever stops the start, and whatever but these ends the session.
pub fn serve(options: &SubsystemOptions) -> Result<()> {
    let mut loaded = config::load(options.sources())?;
    let logging = if options.log_to_journald {
        Logging::to_journal(options.level.level(), options.level.utc_time)
            .map_err(|error| error.wrap("--log-to-journald"))?
    } else {
        Logging::start(LogOptions {
            level: options.level.level(),
            utc: options.level.utc_time,
            ..LogOptions::default()
        })?
    };
    let log = logging.logger().clone();
    // Of the accounts of this process alone, so that whoever runs it can be added.
    loaded.config.data_provider.manage_users = 1;
    let outcome = in_system(serve_until_done(options, loaded, log.clone()));
    if let Err(error) = &outcome {
        slog::error!(logging::for_sender(&log, "sftpd"), "{error}");
    }
    outcome
}

async fn serve_until_done(
    options: &SubsystemOptions,
    loaded: Loaded,
    log: slog::Logger,
) -> Result<()> {
    let mut signals = Signals::install()?;
    limits::raise_open_files();
    let service_log = logging::for_sender(&log, "service");
    slog::debug!(
        service_log,
        "sftp subsystem, version {}, config dir: {}, config file: {}",
        version::LONG,
        loaded.config_dir.path().display(),
        loaded.file.as_deref().map_or("none".to_owned(), |file| file.display().to_string()),
    );
    for warning in &loaded.warnings {
        slog::warn!(service_log, "configuration: {warning}");
    }
    let config = &loaded.config;
    let passwords = Passwords::new(&config.data_provider)?;
    // A process for each session must not hold a file that a service may have open.
    let store = Store::in_memory(&config.data_provider, Arc::new(passwords.clone()))?;
    if config.data_provider.driver != Driver::Memory {
        let driver = config.data_provider.driver.as_str();
        slog::debug!(service_log, "accounts are in memory, those of {driver} are not used");
    }
    let core = Core::start(config, &loaded.config_dir, store, passwords, None, log)?;
    if let Some(dump) = memory::dump_file(config, &loaded.config_dir) {
        memory::load(&core, &dump).await?;
    }

    let kill = KillSwitch::new();
    let session = open_session(options, &core, kill.clone()).await?;
    let (input, output) = own_streams()?;
    // On a worker: this thread is that of the actors.
    let mut serving = tokio::spawn(serve_session(session, input, output));
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            signal = signals.next() => match signal {
                // sshd hangs up on us when it goes.
                Signal::Stop | Signal::Reload => {
                    kill.fire(KillReason::Shutdown);
                }
                Signal::RotateLog => {}
            },
            failure = core.actors.supervisor.failed() => {
                kill.fire(KillReason::Internal(failure.to_string()));
            }
        }
    };
    let outcome = ended
        .map_err(|error| Error::with_source(ErrorKind::Internal, "the session failed", error))?;
    core.stop.cancel();
    core.actors.supervisor.shutdown(Duration::ZERO).await;
    match kill.reason() {
        Some(KillReason::Shutdown) => Ok(()),
        _ => outcome,
    }
}

/// Serves, and reports the end.
async fn serve_session(start: stdio::Start, input: File, output: File) -> Result<()> {
    let (connection, log) = (start.connection.clone(), start.log.clone());
    let served = stdio::serve(start, input, output).await;
    let cause = match &served {
        Ok(()) => "closed by the client".to_owned(),
        Err(error) => error.to_string(),
    };
    slog::info!(logging::for_sender(&log, "sftpd"), "connection ended: {cause}");
    connection.closed(cause).await;
    served
}

/// The session of whoever runs this process.
async fn open_session(
    options: &SubsystemOptions,
    core: &Core,
    kill: KillSwitch,
) -> Result<stdio::Start> {
    let (peer, local) = addresses(std::env::var("SSH_CONNECTION").ok().as_deref());
    let user = account(options, core, peer.ip()).await?;
    if core.vfs.options().track_quota != TrackQuota::Off {
        // What other sessions have stored is known to nobody but the disk.
        // The unfinished uploads that it finds may be those of such a session, so none is
        // old enough to be abandoned.
        let scanner = Scanner::new(core.vfs.clone(), i64::MIN, core.stop.clone());
        scanner.measure(&core.actors.quota, &user).await?;
    }
    let end = core.login.standing(&user).map_err(|why| {
        Error::new(ErrorKind::PermissionDenied, format!("user {:?}: {why}", user.username))
    })?;
    let refused = |refused: actors::registry::Refused| {
        Error::with_source(ErrorKind::Aborted, "cannot begin the session", refused)
    };
    let registry = &core.actors.registry;
    let admission = Admission { peer, local, protocol: Protocol::Ssh, kill };
    let connection = registry.admit(admission).await.map_err(refused)?;
    let login = LoggedIn {
        username: user.username.as_str().into(),
        // One process knows of no other: how many there may be is sshd's to say.
        max_sessions: 0,
        client_version: String::new(),
        end,
    };
    registry.logged_in(connection.id(), login).await.map_err(refused)?;
    let entry = connection.open_session(Protocol::Sftp).await.map_err(refused)?;
    let session_id = entry.shared_id();
    let log = logging::for_sender(&core.log, entry.protocol().as_str());
    let log = logging::for_connection(&log, &session_id);
    slog::info!(
        logging::for_sender(&log, "sftpd"),
        "session of \"{}\" from {}, home {}",
        user.username,
        peer.ip(),
        user.home_dir
    );
    let session = Session::open(SessionContext {
        user: Arc::new(user),
        connection: connection.clone(),
        session_id,
        protocol: Protocol::Sftp,
        local_addr: local,
        remote_addr: peer,
        services: core.vfs.clone(),
    })
    .await?;
    Ok(stdio::Start { session, entry, connection, metrics: core.metrics.clone(), log })
}

/// The account of whoever runs this process, which is added if it is not there. OpenSSH
/// has authenticated it; everything else that an account may be refused for counts.
async fn account(options: &SubsystemOptions, core: &Core, ip: IpAddr) -> Result<User> {
    let (username, system_home) = whoami()?;
    let home = options.home_of(&username, &system_home);
    let home = home.to_str().ok_or_else(|| {
        Error::invalid(format!("home of user {username:?}: {} is not UTF-8", home.display()))
    })?;
    match core.store.user(&username).await? {
        None => {
            core.store
                .add_user(User {
                    username: username.clone(),
                    status: 1,
                    home_dir: home.to_owned(),
                    permissions: Permissions::on_root(vec![Permission::Any]),
                    ..User::default()
                })
                .await?;
        }
        Some(_) if options.preserve_home => {}
        Some(user) => {
            core.store.update_user(User { home_dir: home.to_owned(), ..user }).await?;
        }
    }
    let account = core.store.effective_user(&username).await?;
    let account = account.ok_or_else(|| Error::internal(format!("user {username:?} is gone")))?;
    for reason in account.left_out {
        slog::warn!(
            logging::for_sender(&core.log, "sftpd"), "user inherits less than its groups have";
            "username" => &username, "error" => reason
        );
    }
    let mut user = account.user;
    user.password = Password::default();
    let denied = |why: String| {
        Err(Error::new(ErrorKind::PermissionDenied, format!("user {username:?}: {why}")))
    };
    if user.filters.denies_protocol(LoginProtocol::Ssh) {
        return denied("protocol SSH is not allowed".to_owned());
    }
    if !user.filters.permits_address(ip) {
        return denied(format!("{ip} is not allowed"));
    }
    Ok(user)
}

/// Name and home of whoever runs this process, of the system's user database.
fn whoami() -> Result<(String, PathBuf)> {
    let uid = unistd::geteuid();
    let user = unistd::User::from_uid(uid)
        .map_err(|error| Error::from_io(format!("cannot find user id {uid}"), error.into()))?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("user id {uid}: the system knows no such user"))
        })?;
    Ok((user.name, user.dir))
}

/// The client's end and ours of the connection that `SSH_CONNECTION` describes: address
/// and port of the client, then of the server. Without one nobody is far away.
fn addresses(ssh_connection: Option<&str>) -> (SocketAddr, SocketAddr) {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut words = ssh_connection.unwrap_or_default().split_ascii_whitespace();
    let mut next = || {
        let address: IpAddr = words.next()?.parse().ok()?;
        Some(SocketAddr::new(address, words.next()?.parse().ok()?))
    };
    let peer = next();
    (peer.unwrap_or(nowhere), peer.and_then(|_| next()).unwrap_or(nowhere))
}

/// The streams as plain files: the library's own would look for line ends.
fn own_streams() -> Result<(File, File)> {
    let open = |stream: &dyn AsFd, name: &str| {
        stream
            .as_fd()
            .try_clone_to_owned()
            .map(File::from)
            .map_err(|error| Error::from_io(format!("cannot use {name}"), error))
    };
    Ok((open(&io::stdin(), "stdin")?, open(&io::stdout(), "stdout")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_sshd_or_of_nobody() {
        let nowhere = "127.0.0.1:0";
        for (told, peer, local) in [
            (Some("192.0.2.7 1025 198.51.100.1 22"), "192.0.2.7:1025", "198.51.100.1:22"),
            (Some("2001:db8::1 1025 2001:db8::2 22"), "[2001:db8::1]:1025", "[2001:db8::2]:22"),
            (Some("UNKNOWN 65535 UNKNOWN 65535"), nowhere, nowhere),
            (Some("192.0.2.7"), nowhere, nowhere),
            (Some("192.0.2.7 1 x 2"), "192.0.2.7:1", nowhere),
            (None, nowhere, nowhere),
        ] {
            let expected = (peer.parse().unwrap(), local.parse().unwrap());
            assert_eq!(addresses(told), expected, "{told:?}");
        }
    }
}
