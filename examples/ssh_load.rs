//! A load of SSH connections for `scripts/bench`: OpenSSH's client starts a process per
//! connection, which costs more than most servers spend on it.
//!
//! ```text
//! ssh_load connect PORT USER KEY COUNT PARALLEL   log in, start SFTP, leave; COUNT times
//! ssh_load idle PORT USER KEY COUNT               keep COUNT sessions until stdin ends
//! ```
//!
//! Connects to 127.0.0.1 only and accepts any host key. `connect` prints the elapsed
//! seconds; `idle` prints `ready` when all sessions are open. Any failure ends it.
//! The key exchange is curve25519, which every server offers, so that all do the same.

use std::borrow::Cow;
use std::error::Error;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, Disconnect, Preferred, client};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// SSH_FXP_INIT for version 3 with its length in front.
const INIT: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];
const SSH_FXP_VERSION: u8 = 2;

struct AnyHostKey;

impl client::Handler for AnyHostKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> std::result::Result<bool, Self::Error> {
        Ok(true)
    }
}

struct Target {
    config: Arc<client::Config>,
    port: u16,
    user: String,
    key: Arc<PrivateKey>,
}

/// An open SFTP session; dropping it drops the connection.
struct Session {
    handle: client::Handle<AnyHostKey>,
    _channel: russh::Channel<client::Msg>,
}

impl Target {
    async fn open(&self) -> Result<Session> {
        let mut handle =
            client::connect(self.config.clone(), ("127.0.0.1", self.port), AnyHostKey).await?;
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), None);
        if !handle.authenticate_publickey(self.user.clone(), key).await?.success() {
            return Err("the key was refused".into());
        }
        let mut channel = handle.channel_open_session().await?;
        channel.request_subsystem(true, "sftp").await?;
        channel.data(INIT).await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) if data.get(4) == Some(&SSH_FXP_VERSION) => {
                    return Ok(Session { handle, _channel: channel });
                }
                Some(ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. }) => {}
                other => return Err(format!("instead of the SFTP version: {other:?}").into()),
            }
        }
    }
}

async fn connect(target: Arc<Target>, count: usize, parallel: usize) -> Result<()> {
    let started = Instant::now();
    let begun = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..parallel)
        .map(|_| {
            let (target, begun) = (target.clone(), begun.clone());
            tokio::spawn(async move {
                while begun.fetch_add(1, Ordering::Relaxed) < count {
                    let session = target.open().await?;
                    session.handle.disconnect(Disconnect::ByApplication, "", "").await?;
                }
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    println!("{:.6}", started.elapsed().as_secs_f64());
    Ok(())
}

async fn idle(target: Arc<Target>, count: usize) -> Result<()> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        sessions.push(target.open().await?);
    }
    println!("ready");
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    drop(sessions);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [mode, port, user, key, count, rest @ ..] = arguments.as_slice() else {
        return Err("usage: ssh_load connect|idle PORT USER KEY COUNT [PARALLEL]".into());
    };
    let preferred = Preferred {
        kex: Cow::Borrowed(&[
            russh::kex::CURVE25519_PRE_RFC_8731,
            russh::kex::EXTENSION_SUPPORT_AS_CLIENT,
            russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]),
        ..Preferred::default()
    };
    let target = Arc::new(Target {
        config: Arc::new(client::Config { preferred, ..client::Config::default() }),
        port: port.parse()?,
        user: (*user).to_owned(),
        key: Arc::new(load_secret_key(Path::new(key), None)?),
    });
    match (*mode, rest) {
        ("connect", [parallel]) => connect(target, count.parse()?, parallel.parse()?).await,
        ("idle", []) => idle(target, count.parse()?).await,
        _ => Err("usage: ssh_load connect|idle PORT USER KEY COUNT [PARALLEL]".into()),
    }
}
