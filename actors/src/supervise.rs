//! Keeps actors alive over panics.
//!
//! actix's own `Supervisor` does not: a panic unwinds through its future, the
//! mailbox closes and every `Addr` is dead. Here the actor's future is polled
//! inside `catch_unwind` and restarted in place: the address stays valid, the
//! actor's value is kept, and only the sender of the fatal message notices.
//! Hence `restarting()` must rebuild invariants and trust no counter, and the
//! whole program must be built with `panic = "unwind"`.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix::{Actor, Context, Supervised};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::mailbox::{Desk, Gauges, Mail};

/// Restarts within [`RESTART_WINDOW`] after which the process should stop.
const RESTARTS_TOLERATED: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// Restarts within the window after which the actor is given up: it is kept
/// going beyond [`RESTARTS_TOLERATED`] so that the process can drain, but an
/// actor that panics in `started()` must not spin forever.
const RESTARTS_ENDURED: usize = 2 * RESTARTS_TOLERATED;

type ActorFuture<A> = actix::dev::ContextFut<A, Context<A>>;

/// Tells the process that an actor cannot be kept alive; the first one wins.
#[derive(Debug, Clone)]
pub(crate) struct Alarm(watch::Sender<Option<&'static str>>);

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(crate) fn raise(&self, actor: &'static str) {
        self.0.send_if_modified(|failed| {
            let is_first = failed.is_none();
            failed.get_or_insert(actor);
            is_first
        });
    }

    /// The name of the actor that failed, once one has.
    pub(crate) async fn raised(&self) -> &'static str {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(actor) = *receiver.borrow_and_update() {
                return actor;
            }
            // `self` holds the sender, so this ends only by a change.
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Counts restarts in a sliding window.
#[derive(Debug, Default)]
struct Restarts(VecDeque<Instant>);

impl Restarts {
    /// Notes one now; returns how many lie in the window.
    fn note(&mut self) -> usize {
        let now = Instant::now();
        self.0.push_back(now);
        while self.0.front().is_some_and(|first| now.duration_since(*first) > RESTART_WINDOW) {
            self.0.pop_front();
        }
        self.0.len()
    }
}

/// Starts an actor that survives its panics. Must be called on the control
/// thread, inside the actix system.
pub(crate) fn supervise<A>(actor: A, desk: &Desk, alarm: Alarm) -> Mail<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    let gauges = desk.gauges().clone();
    launch(actor, desk, |mut future| async move {
        let mut restarts = Restarts::default();
        while let Err(panic) = run(&mut future).await {
            gauges.note_panic();
            drop_quietly(panic);
            let recent = restarts.note();
            if recent >= RESTARTS_TOLERATED {
                alarm.raise(gauges.name());
            }
            if recent >= RESTARTS_ENDURED || !restart(&mut future, &gauges, &alarm) {
                break;
            }
        }
        drop_quietly(future);
    })
}

/// Starts an actor that ends with its first panic, after `on_panic`. Must be
/// called on the control thread, inside the actix system.
pub(crate) fn run_once<A, F>(actor: A, desk: &Desk, on_panic: F) -> Mail<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce() + 'static,
{
    let gauges = desk.gauges().clone();
    launch(actor, desk, |mut future| async move {
        if let Err(panic) = run(&mut future).await {
            gauges.note_panic();
            drop_quietly(panic);
            on_panic();
        }
        drop_quietly(future);
    })
}

fn launch<A, F, L>(actor: A, desk: &Desk, life: L) -> Mail<A>
where
    A: Actor<Context = Context<A>>,
    F: Future<Output = ()> + 'static,
    L: FnOnce(ActorFuture<A>) -> F,
{
    let future = Context::new().into_future(actor);
    let mail = desk.mail(future.address());
    actix::spawn(life(future));
    mail
}

/// Polls until the actor stops or panics.
async fn run<A>(future: &mut ActorFuture<A>) -> Result<(), Box<dyn Any + Send>>
where
    A: Actor<Context = Context<A>>,
{
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *future).poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// Returns whether the actor goes on. It does not when nobody holds its address
/// any more, or when `restarting()` itself panics.
fn restart<A>(future: &mut ActorFuture<A>, gauges: &Gauges, alarm: &Alarm) -> bool
where
    A: Actor<Context = Context<A>> + Supervised,
{
    match catch_unwind(AssertUnwindSafe(|| future.restart())) {
        Ok(goes_on) => goes_on,
        Err(panic) => {
            drop_quietly(panic);
            alarm.raise(gauges.name());
            false
        }
    }
}

/// Drops a value whose destructor may itself panic: an actor runs `stopped()`
/// when its future is dropped, and a panic payload is anything.
fn drop_quietly<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Dropping this payload could panic once more; leaking it cannot.
        std::mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Answer, Ask, Gone, Reply, receives_letters};

    /// Counts, and panics when told to.
    struct Counter {
        value: u32,
        restarted: u32,
        panics_when_started: bool,
    }

    impl Counter {
        fn new() -> Self {
            Self { value: 0, restarted: 0, panics_when_started: false }
        }
    }

    impl Actor for Counter {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            assert!(!self.panics_when_started, "told to panic in started()");
        }
    }

    impl Supervised for Counter {
        fn restarting(&mut self, _: &mut Self::Context) {
            self.restarted += 1;
        }
    }

    receives_letters!(Counter);

    /// Replies how often it was asked and how often the actor was restarted.
    struct Count;
    impl Ask for Count {
        type Reply = (u32, u32);
    }
    impl Answer<Count> for Counter {
        fn answer(&mut self, _: Count, reply: Reply<(u32, u32)>, _: &mut Context<Self>) {
            self.value += 1;
            reply.send((self.value, self.restarted));
        }
    }

    struct Panic;
    impl Ask for Panic {
        type Reply = ();
    }
    impl Answer<Panic> for Counter {
        fn answer(&mut self, _: Panic, _: Reply<()>, _: &mut Context<Self>) {
            panic!("told to");
        }
    }

    fn in_system<F: Future>(test: F) -> F::Output {
        actix::System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
        })
        .block_on(test)
    }

    #[test]
    fn panic_keeps_address_and_value_and_fails_only_the_fatal_ask() {
        in_system(async {
            let desk = Desk::new("counter", 16);
            let mail = supervise(Counter::new(), &desk, Alarm::new());
            assert_eq!(mail.ask(Count).await, Ok((1, 0)));
            let (before, fatal, after) =
                tokio::join!(mail.ask(Count), mail.ask(Panic), mail.ask(Count));
            assert_eq!(before, Ok((2, 0)));
            assert_eq!(fatal, Err(Gone));
            assert_eq!(after, Ok((3, 1)));
            assert_eq!(desk.gauges().health().restarts, 1);
            assert_eq!(desk.gauges().health().mailbox_depth, 0);
        });
    }

    #[test]
    fn fifth_panic_in_a_minute_raises_the_alarm_and_slower_ones_do_not() {
        in_system(async {
            let alarm = Alarm::new();
            let desk = Desk::new("counter", 16);
            let mail = supervise(Counter::new(), &desk, alarm.clone());
            for _ in 0..8 {
                assert_eq!(mail.ask(Panic).await, Err(Gone));
                tokio::time::advance(Duration::from_secs(16)).await;
            }
            assert_eq!(*alarm.0.borrow(), None);
            tokio::time::advance(RESTART_WINDOW).await;
            for _ in 0..RESTARTS_TOLERATED {
                assert_eq!(*alarm.0.borrow(), None);
                assert_eq!(mail.ask(Panic).await, Err(Gone));
            }
            assert_eq!(alarm.raised().await, "counter");
            assert!(mail.ask(Count).await.is_ok(), "it still serves while the process drains");
        });
    }

    #[test]
    fn actor_that_panics_whenever_it_starts_is_given_up() {
        in_system(async {
            let alarm = Alarm::new();
            let actor = Counter { panics_when_started: true, ..Counter::new() };
            let mail = supervise(actor, &Desk::new("counter", 16), alarm.clone());
            assert_eq!(mail.ask(Count).await, Err(Gone));
            assert_eq!(alarm.raised().await, "counter");
            assert_eq!(mail.ask(Count).await, Err(Gone), "a dead actor answers at once");
        });
    }

    #[test]
    fn actor_that_runs_once_ends_with_its_panic() {
        in_system(async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let mail = run_once(Counter::new(), &Desk::new("counter", 16), || {
                sender.send(()).unwrap();
            });
            let (fatal, pending) = tokio::join!(mail.ask(Panic), mail.ask(Count));
            assert_eq!((fatal, pending), (Err(Gone), Err(Gone)));
            receiver.await.unwrap();
        });
    }

    #[test]
    fn full_mailbox_makes_askers_wait_and_loses_none() {
        in_system(async {
            let desk = Desk::new("counter", 2);
            let mail = supervise(Counter::new(), &desk, Alarm::new());
            // All asks are polled before the actor runs: the test holds the thread.
            let mut asks: Vec<_> = (0..50).map(|_| Box::pin(mail.ask(Count))).collect();
            poll_fn(|cx| {
                for ask in &mut asks {
                    assert!(ask.as_mut().poll(cx).is_pending());
                }
                Poll::Ready(())
            })
            .await;
            assert_eq!(desk.gauges().health().mailbox_depth, 2);
            let mut answers = Vec::new();
            for ask in asks {
                answers.push(ask.await.unwrap().0);
            }
            assert_eq!(answers, (1..=50).collect::<Vec<_>>());
            assert_eq!(desk.gauges().health().mailbox_depth, 0);
        });
    }

    #[test]
    fn asker_that_gives_up_frees_its_slot() {
        in_system(async {
            let desk = Desk::new("counter", 1);
            let mail = supervise(Counter::new(), &desk, Alarm::new());
            for _ in 0..3 {
                drop(tokio::time::timeout(Duration::ZERO, mail.ask(Count)).await);
            }
            assert!(mail.ask(Count).await.is_ok());
            assert_eq!(desk.gauges().health().mailbox_depth, 0);
        });
    }
}
