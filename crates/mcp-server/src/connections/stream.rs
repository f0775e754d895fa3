//! The stream of a connection, which notes what its client does and does not do.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::net::TcpStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;

/// The stream of a client, with TLS or without.
pub(crate) trait ClientStream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The connection.
    fn connection(&self) -> &Arc<Connection>;
}

/// A TCP stream whose reads and writes are noted.
pub(crate) struct WatchedStream {
    io: TcpStream,
    connection: Arc<Connection>,
}

impl WatchedStream {
    pub(super) fn new(io: TcpStream, connection: Arc<Connection>) -> Self {
        Self { io, connection }
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        match written {
            Poll::Ready(_) => self.connection.has_written(),
            Poll::Pending => self.connection.has_stalled(),
        }
        written
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        if self.connection.discards() {
            // A reset. Otherwise the operating system would keep for minutes what the client does not take.
            let _ = SockRef::from(&self.io).set_linger(Some(Duration::ZERO));
        }
    }
}

impl ClientStream for WatchedStream {
    fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl ClientStream for TlsStream<WatchedStream> {
    fn connection(&self) -> &Arc<Connection> {
        self.get_ref().0.connection()
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.connection.may_read(context.waker()) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 && !self.connection.has_read(bytes) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
