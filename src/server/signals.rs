//! The process signals as events.

use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

use crate::error::{Error, Result};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    RotateLog,
}

/// The installed handlers.
pub struct Signals {
    terminate: UnixSignal,
    interrupt: UnixSignal,
    hang_up: UnixSignal,
    user1: UnixSignal,
    /// A write beyond RLIMIT_FSIZE must fail, and not end the process.
    _file_size: UnixSignal,
}

impl Signals {
    /// # Errors
    /// The system refuses a handler.
    pub fn install() -> Result<Self> {
        let on = |kind| {
            signal(kind).map_err(|error| Error::from_io("cannot install a signal handler", error))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
            user1: on(SignalKind::user_defined1())?,
            _file_size: on(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::RotateLog,
        }
    }

    /// Waits for another request to stop; everything else is ignored meanwhile.
    pub async fn stop_again(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
