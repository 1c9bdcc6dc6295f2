//! A socket that a kill switch can fail from outside.
//!
//! Ending an SSH session needs two hands: its channel consumers are cancelled, and
//! its socket fails. Either alone leaves the session alive when its loop is blocked
//! handing data to a consumer or writing to a client that has stopped reading.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actors::meter::KillSwitch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// `S` until the switch fires; then every read and write fails, also one that is
/// already waiting.
#[derive(Debug)]
pub struct KillableStream<S> {
    inner: S,
    kill: KillSwitch,
    /// One for each direction: they may be polled by different tasks, and each wakes
    /// only the last task that polled it.
    fired_reading: Fired,
    fired_writing: Fired,
}

type Fired = Pin<Box<WaitForCancellationFutureOwned>>;

impl<S> KillableStream<S> {
    pub fn new(inner: S, kill: KillSwitch) -> Self {
        let fired = || Box::pin(kill.token().clone().cancelled_owned());
        let (fired_reading, fired_writing) = (fired(), fired());
        Self { inner, kill, fired_reading, fired_writing }
    }
}

/// Called when the inner stream is not ready: registers for the kill as well.
fn wait_for_kill<T>(fired: &mut Fired, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
    match fired.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Err(killed())),
        Poll::Pending => Poll::Pending,
    }
}

fn killed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "session was ended by the server")
}

impl<S: AsyncRead + Unpin> AsyncRead for KillableStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.kill.is_fired() {
            return Poll::Ready(Err(killed()));
        }
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Pending => wait_for_kill(&mut this.fired_reading, cx),
            ready => ready,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for KillableStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.kill.is_fired() {
            return Poll::Ready(Err(killed()));
        }
        match Pin::new(&mut this.inner).poll_write(cx, buf) {
            Poll::Pending => wait_for_kill(&mut this.fired_writing, cx),
            ready => ready,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.kill.is_fired() {
            return Poll::Ready(Err(killed()));
        }
        match Pin::new(&mut this.inner).poll_write_vectored(cx, bufs) {
            Poll::Pending => wait_for_kill(&mut this.fired_writing, cx),
            ready => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_flush(cx) {
            Poll::Pending => wait_for_kill(&mut this.fired_writing, cx),
            ready => ready,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_shutdown(cx) {
            Poll::Pending => wait_for_kill(&mut this.fired_writing, cx),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use actors::meter::KillReason;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_waiting_read_and_a_waiting_write_fail_when_the_switch_fires() {
        let (near, _far) = tokio::io::duplex(16);
        let kill = KillSwitch::new();
        let (mut read, mut write) = tokio::io::split(KillableStream::new(near, kill.clone()));
        let reader = tokio::spawn(async move { read.read_u8().await });
        let writer = tokio::spawn(async move { write.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        kill.fire(KillReason::Shutdown);
        for error in [reader.await.unwrap().unwrap_err(), writer.await.unwrap().unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        }
    }
}
