//! Every actor and message of the server; see `docs/architecture.md`.
//!
//! Actors decide *whether* something may happen and *when it ends*; ordinary
//! Tokio tasks move the bytes. Nothing here knows SSH, SQL or S3: upper layers
//! implement the traits in [`ports`]. Callers hold handles ([`Registry`],
//! [`Connection`], [`Quota`], [`Hooks`], [`Supervisor`]) whose methods read as
//! functions; actix's address types never leave the crate.
//!
//! No message per chunk: messages open, renew, end and kill. Byte counters,
//! leases and the kill switch are shared memory ([`meter`]).

pub mod connection;
mod entry;
pub mod events;
pub mod hooks;
pub mod ids;
mod mailbox;
pub mod meter;
mod pool;
pub mod ports;
pub mod quota;
pub mod registry;
mod supervise;
pub mod supervisor;
pub mod throughput;
pub mod transfer;

pub use connection::{Connection, SessionHandle};
pub use events::{Event, FsAction, FsEvent, FsStatus};
pub use hooks::{Hooks, HooksConfig, HooksHealth, Notified};
pub use ids::{AccountId, ConnectionId, Direction, Protocol};
pub use mailbox::ActorHealth;
#[cfg(feature = "fault-injection")]
pub use mailbox::Fault;
pub use meter::{KillReason, KillSwitch, Meter};
pub use ports::{
    BoxError, HookRunner, TransferEnd, Transferred, TransferredDelta, Usage, UsageDelta,
    UsageStore, Verdict,
};
pub use quota::transferred::{Allowance, TransferLimits};
pub use quota::{
    Denied, Lease, Limits, Quota, QuotaConfig, QuotaHealth, Scan, ScanOutcome, ScanProgress,
    ScanRefused, ScanReport, SetMode, SetUsageError, UsageUnavailable, Want,
};
pub use registry::{
    Admission, KillOutcome, Login, Refused, Registry, RegistryConfig, SessionEnd, SessionReport,
    TransferReport,
};
pub use supervisor::{Actors, Drained, Failure, HealthReport, Ports, Supervisor, SupervisorConfig};
pub use throughput::{Flow, FlowPoint, Throughput, ThroughputReport};
pub use transfer::{AbortReason, Transfer, TransferSpec};
