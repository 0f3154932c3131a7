//! Connections that can be cut off in the middle.
//!
//! A server that answers properly cannot show what a reset looks like. So each connection carries a switch that the
//! handler of its request may throw; what follows on the socket is a reset, not an answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::tls::Conversation;

/// Cuts a connection off without a goodbye, or fills it with what is no HTTP.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<AtomicU8>);

const WHOLE: u8 = 0;
const CUT: u8 = 1;
const GARBLED: u8 = 2;

/// A TLS alert, as whoever speaks the wrong protocol gets it.
const ALERT: [u8; 7] = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];

impl Wire {
    pub(crate) fn cut(&self) {
        self.0.store(CUT, Ordering::Relaxed);
    }

    /// Instead of the next answer come bytes of another protocol, and then the end.
    pub(crate) fn garble(&self) {
        self.0.store(GARBLED, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().wire()
    }
}

/// A listener whose connections can be cut, with TLS around them or without.
pub(crate) struct CuttableListener {
    pub listener: TcpListener,
    pub acceptor: Option<TlsAcceptor>,
}

impl Listener for CuttableListener {
    type Io = Conversation;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are written in few large pieces; waiting for more would only delay the small ones.
        let _ = stream.set_nodelay(true);
        let stream = CuttableStream {
            stream,
            wire: Wire::default(),
        };
        (Conversation::begin(stream, self.acceptor.as_ref()), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub(crate) struct CuttableStream {
    stream: TcpStream,
    pub wire: Wire,
}

impl CuttableStream {
    /// Once cut, the socket is dropped with a reset instead of an orderly end.
    fn check(&self) -> io::Result<()> {
        if self.wire.0.load(Ordering::Relaxed) == CUT {
            let _ = self.stream.set_zero_linger();
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault"));
        }
        Ok(())
    }
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "garbled by a fault")
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.wire.0.load(Ordering::Relaxed) == GARBLED {
            std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &ALERT))?;
            return Poll::Ready(Err(garbled()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.wire.0.load(Ordering::Relaxed) != WHOLE {
            return self.poll_write(cx, slices.first().map_or(&[], |slice| &**slice));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
