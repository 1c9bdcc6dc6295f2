//! `sftpgo portable`: one directory, one account, nothing stored.

use std::sync::Arc;
use std::time::Duration;

use super::signals::Signals;
use super::{Core, in_system, limits};
use crate::auth::Passwords;
use crate::cli::PortableOptions;
use crate::cli::mdns::{Advertisement, Announcement, Credentials};
use crate::cli::portable::{PortableAccount, random_port};
use crate::config::{self, Loaded};
use crate::error::Result;
use crate::logging::{self, LogControl, Logging};
use crate::protocol::ssh::server::BindRequest;
use crate::provider::Store;

/// Serves until a signal says stop.
///
/// # Errors
/// Whatever stops a start, naming the flag or key.
pub fn serve(options: &PortableOptions) -> Result<()> {
    let mut loaded = config::load(options.sources())?;
    for warning in options.warnings().iter().chain(&loaded.warnings) {
        eprintln!("warning: {warning}");
    }
    let account = options.account()?;
    options.apply(&mut loaded.config, random_port)?;
    // Removed when dropped, after the server has stopped.
    let _keys = options.ephemeral_host_keys(&mut loaded.config, &loaded.config_dir)?;
    let logging = options.log_options().map(Logging::start).transpose()?;
    let log = logging.as_ref().map_or_else(logging::discard, |logging| logging.logger().clone());
    let control = logging.as_ref().map(Logging::control);
    in_system(serve_until_stopped(options, loaded, account, control, log))
}

async fn serve_until_stopped(
    options: &PortableOptions,
    loaded: Loaded,
    account: PortableAccount,
    log_control: Option<LogControl>,
    log: slog::Logger,
) -> Result<()> {
    let mut signals = Signals::install()?;
    limits::raise_open_files();
    let config = &loaded.config;
    let passwords = Passwords::new(&config.data_provider)?;
    let store = Store::in_memory(&config.data_provider, Arc::new(passwords.clone()))?;
    let user = store.add_user(account.user).await?;
    let core = Core::start(config, &loaded.config_dir, store, passwords, log_control, log)?;
    let binds = BindRequest::from_config(&config.sftpd);
    let ssh = core.start_ssh(&binds, config, &loaded.config_dir)?;

    println!("serving {}", user.home_dir);
    for binding in &ssh.facts().bindings {
        println!("sftp on {}", binding.address);
    }
    println!("username: {}", user.username);
    match &account.password {
        Some(password) => println!("password: {password}"),
        None => println!("login with the given public keys"),
    }
    let listening = ssh.facts().bindings.first().map(|binding| binding.address);
    let advertisement = match listening {
        Some(listening) if options.advertise_service => {
            let address = Some(listening.ip()).filter(|ip| !ip.is_unspecified());
            let port = listening.port();
            let credentials = options.advertise_credentials.then(|| Credentials {
                username: user.username.clone(),
                password: account.password.clone(),
            });
            Some(Advertisement::start(&Announcement { address, port, credentials })?)
        }
        _ => None,
    };
    let grace = Duration::from_secs(options.grace_time_secs.into());
    let outcome = core.run(&mut signals, ssh, None, None, grace).await;
    if let Some(advertisement) = advertisement {
        advertisement.stop();
    }
    outcome
}
