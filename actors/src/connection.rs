//! One actor per accepted SSH or FTP connection, or per HTTP file request. It
//! decides whether a transfer may begin, and reports to the registry when the
//! connection is over.
//!
//! It is not restarted after a panic: its kill switch fires and one client
//! drops. It asks nobody.

use std::sync::Arc;

use actix::{Actor, ActorContext, Context};

pub use crate::entry::SessionHandle;
use crate::entry::{Common, Entry};
use crate::ids::{ConnectionId, Protocol};
use crate::mailbox::{Answer, Ask, Desk, Mail, Reply, receives_letters};
use crate::meter::{KillReason, KillSwitch};
use crate::registry::{ConnectionGone, ConnectionRegistry, OpenSession, Refused};
use crate::supervise::run_once;
use crate::transfer::{Transfer, TransferActor, TransferSpec};

/// Asks that may wait in one connection; its client's requests are pipelined.
const MAILBOX_SLOTS: usize = 32;

/// Sent by `Connection::begin_transfer`.
struct BeginTransfer {
    session_id: Box<str>,
    spec: TransferSpec,
}

impl Ask for BeginTransfer {
    type Reply = Result<Transfer, Refused>;
}

/// Sent by `Connection::closed`.
struct Closed {
    cause: String,
}

impl Ask for Closed {
    type Reply = ();
}

/// An admitted connection. The last clone that is dropped closes it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    entry: Arc<Entry>,
    /// The only addresses of the actor: it stops, and reports, when they drop.
    mail: Mail<ConnectionActor>,
    registry: Mail<ConnectionRegistry>,
}

impl Connection {
    pub fn id(&self) -> &ConnectionId {
        &self.0.entry.id
    }

    pub fn kill_switch(&self) -> &KillSwitch {
        &self.0.entry.kill
    }

    /// Notes activity. Shared memory, no message: call it for every request.
    pub fn touch(&self) {
        self.0.entry.touch();
    }

    /// Notes what the client calls itself, where that is known only after the login.
    /// Shared memory, no message.
    pub fn set_client_version(&self, version: &str) {
        self.0.entry.set_client_version(version);
    }

    /// Opens a session, such as an SSH channel.
    ///
    /// The first one of a connection was counted against `max_sessions` when it
    /// logged in; each further one may be refused with [`Refused::SessionLimit`].
    pub async fn open_session(&self, protocol: Protocol) -> Result<SessionHandle, Refused> {
        let ask = OpenSession { connection: self.id().clone(), protocol };
        self.0.registry.ask(ask).await.unwrap_or(Err(Refused::Gone))
    }

    /// Asks for the right to transfer, in an open session of this connection.
    ///
    /// [`Refused::Gone`]: closed, killed, or no such session.
    /// [`Refused::Draining`]: the server stops.
    pub async fn begin_transfer(
        &self,
        session_id: &str,
        spec: TransferSpec,
    ) -> Result<Transfer, Refused> {
        let ask = BeginTransfer { session_id: session_id.into(), spec };
        self.0.mail.ask(ask).await.unwrap_or(Err(Refused::Gone))
    }

    /// Reports the end of the connection and why. When it returns, the list of
    /// connections no longer shows it. Transfers that are ending go on.
    pub async fn closed(&self, cause: String) {
        // A dead actor has reported already.
        let _ = self.0.mail.ask(Closed { cause }).await;
    }

    /// Why the connection ended: the kill reason, or the cause given to
    /// [`Connection::closed`]; `None` while it is open.
    pub fn end_cause(&self) -> Option<String> {
        self.0.entry.end_cause()
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.0.mail.ask(fault).await;
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConnectionActor {
    entry: Arc<Entry>,
    registry: Mail<ConnectionRegistry>,
}

/// Starts the actor of an admitted connection; called by the registry.
pub(crate) fn start(entry: Arc<Entry>, registry: Mail<ConnectionRegistry>) -> Connection {
    let actor = ConnectionActor { entry: entry.clone(), registry: registry.clone() };
    let desk = Desk::sharing(entry.common.connection_gauges.clone(), MAILBOX_SLOTS);
    let panicked = (entry.clone(), registry.clone());
    let mail = run_once(actor, &desk, move || {
        let (entry, registry) = panicked;
        entry.kill.fire(KillReason::Internal("the connection's actor failed".into()));
        leave(&entry, &registry, None);
    });
    Connection(Arc::new(Handle { entry, mail, registry }))
}

/// Marks the connection closed and tells the registry. The mark counts: should
/// the registry lose the message to a panic, it finds the mark when it restarts.
fn leave(entry: &Entry, registry: &Mail<ConnectionRegistry>, cause: Option<String>) {
    if !entry.is_closed() {
        entry.close(cause);
        registry.tell(ConnectionGone { connection: entry.id.clone() });
    }
}

impl Actor for ConnectionActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        leave(&self.entry, &self.registry, None);
    }
}

receives_letters!(ConnectionActor);

impl Answer<BeginTransfer> for ConnectionActor {
    fn answer(
        &mut self,
        BeginTransfer { session_id, spec }: BeginTransfer,
        reply: Reply<Result<Transfer, Refused>>,
        _: &mut Context<Self>,
    ) {
        reply.send(match self.entry.refusal() {
            Some(refused) => Err(refused),
            None => begin(&self.entry, &session_id, spec),
        });
    }
}

fn begin(entry: &Arc<Entry>, session_id: &str, spec: TransferSpec) -> Result<Transfer, Refused> {
    let guard = entry.begin_transfer(session_id, spec).ok_or(Refused::Gone)?;
    let Common { pool, transfer_gauges, .. } = &*entry.common;
    let actor = TransferActor::new(guard, entry.kill.clone(), pool.clone());
    let desk = Desk::sharing(transfer_gauges.clone(), 1);
    // A panicking transfer actor drops its guard, and with it an unused end.
    Ok(Transfer::new(run_once(actor, &desk, || ()), pool.clone()))
}

impl Answer<Closed> for ConnectionActor {
    fn answer(&mut self, Closed { cause }: Closed, reply: Reply<()>, ctx: &mut Context<Self>) {
        leave(&self.entry, &self.registry, Some(cause));
        ctx.stop();
        reply.send(());
    }
}
