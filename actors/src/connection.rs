//! One actor per accepted SSH or FTP connection, or per HTTP file request. It
//! decides whether a transfer may begin, and reports to the registry when the
//! connection is over.
//!
//! It is not restarted after a panic: its kill switch fires and one client
//! drops. It asks nobody.
//!
//! Unlike the actors of which there is one, it lives on the worker pool, beside
//! the tasks that move its bytes: a task with a bounded mailbox. What every file
//! asks, whether its transfer may begin, is answered by the entry it shares with
//! the registry: even a change of tasks cost more than opening a small file.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::entry::Entry;
pub use crate::entry::SessionHandle;
use crate::ids::{ConnectionId, Protocol};
use crate::mailbox::{Gauges, Gone, Mail, Posted, Reply};
use crate::meter::{KillReason, KillSwitch};
use crate::registry::{ConnectionGone, ConnectionRegistry, OpenSession, Refused};
use crate::transfer::{Transfer, TransferSpec};

/// Asks that may wait in one connection; its client's requests are pipelined.
const MAILBOX_SLOTS: usize = 32;

enum Message {
    /// Sent by `Connection::closed`.
    Closed { cause: String, reply: Reply<()> },
    #[cfg(feature = "fault-injection")]
    Fault { fault: crate::mailbox::Fault, reply: Reply<()> },
}

/// Boxed, as a mailbox allocates all its slots.
type Letter = Box<(Message, Posted)>;

/// An admitted connection. The last clone that is dropped closes it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    entry: Arc<Entry>,
    /// The only address of the actor: it stops, and reports, when it drops.
    mailbox: mpsc::Sender<Letter>,
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

    /// Asks for the right to transfer, in an open session of this connection. No
    /// message: the entry decides under its lock, and every file asks.
    ///
    /// [`Refused::Gone`]: closed, killed, or no such session.
    /// [`Refused::Draining`]: the server stops.
    pub async fn begin_transfer(
        &self,
        session_id: &str,
        spec: TransferSpec,
    ) -> Result<Transfer, Refused> {
        self.0.entry.begin_transfer(session_id, spec).map(Transfer::new)
    }

    /// Reports the end of the connection and why. When it returns, the list of
    /// connections no longer shows it. Transfers that are ending go on.
    pub async fn closed(&self, cause: String) {
        // A dead actor has reported already.
        let _ = self.ask(|reply| Message::Closed { cause, reply }).await;
    }

    /// Why the connection ended: the kill reason, or the cause given to
    /// [`Connection::closed`]; `None` while it is open.
    pub fn end_cause(&self) -> Option<String> {
        self.0.entry.end_cause()
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.ask(|reply| Message::Fault { fault, reply }).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Gone> {
        let slot = self.0.mailbox.reserve().await.map_err(|_| Gone)?;
        let (reply, receiver) = Reply::channel();
        let posted = Posted::new(self.0.entry.common.connection_gauges.clone(), None);
        slot.send(Box::new((message(reply), posted)));
        receiver.await.map_err(|_| Gone)
    }
}

/// See the module.
struct ConnectionActor {
    entry: Arc<Entry>,
    registry: Mail<ConnectionRegistry>,
}

/// Starts the actor of an admitted connection; called by the registry.
pub(crate) fn start(entry: Arc<Entry>, registry: Mail<ConnectionRegistry>) -> Connection {
    let actor = ConnectionActor { entry: entry.clone(), registry: registry.clone() };
    let (mailbox, letters) = mpsc::channel(MAILBOX_SLOTS);
    entry.common.pool.spawn(actor.live(letters));
    Connection(Arc::new(Handle { entry, mailbox, registry }))
}

impl ConnectionActor {
    /// Answers until the connection is closed, all its handles are dropped, or a
    /// panic. What waits in the mailbox then learns that the actor is gone.
    async fn live(self, mut letters: mpsc::Receiver<Letter>) {
        let gauges = self.entry.common.connection_gauges.clone();
        while let Some(letter) = letters.recv().await {
            match catch_unwind(AssertUnwindSafe(|| self.open(*letter, &gauges))) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return,
                Err(_) => {
                    gauges.note_panic();
                    let reason = KillReason::Internal("the connection's actor failed".into());
                    self.entry.kill.fire(reason);
                    break;
                }
            }
        }
        self.leave(None);
    }

    fn open(&self, (message, posted): (Message, Posted), gauges: &Gauges) -> ControlFlow<()> {
        drop(posted);
        let started = Instant::now();
        gauges.note_handled();
        let flow = self.answer(message);
        gauges.note_busy(started.elapsed());
        flow
    }

    fn answer(&self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Closed { cause, reply } => {
                self.leave(Some(cause));
                reply.send(());
                ControlFlow::Break(())
            }
            #[cfg(feature = "fault-injection")]
            Message::Fault { fault, reply } => {
                fault.happen();
                reply.send(());
                ControlFlow::Continue(())
            }
        }
    }

    /// Marks the connection closed and tells the registry. The mark counts:
    /// should the registry lose the message to a panic, it finds the mark when
    /// it restarts.
    fn leave(&self, cause: Option<String>) {
        self.entry.close(cause);
        self.registry.tell(ConnectionGone { connection: self.entry.id.clone() });
    }
}
