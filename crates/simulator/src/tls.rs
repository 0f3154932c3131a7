//! TLS around a connection that can be cut.
//!
//! The greeting belongs to the connection: it goes on when the server first reads, so that a client which never
//! greets holds up nobody but itself. What is a certificate's purpose in real life (who is this?) is left to the
//! client; here any will do that it trusts.

use std::{
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{
    Accept, TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

use crate::{
    error::SimulatorError,
    settings::TlsFiles,
    wire::{CuttableStream, Wire},
};

/// Reads certificate and key.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, SimulatorError> {
    let unusable = |path: &Path, reason: &dyn std::fmt::Display| SimulatorError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let of_certificate = |reason: &dyn std::fmt::Display| unusable(&files.certificate, reason);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| of_certificate(&error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| of_certificate(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A connection as the server talks on it.
pub(crate) enum Conversation {
    Plain(CuttableStream),
    Secret { wire: Wire, state: Secret },
}

/// How far a conversation under TLS is.
pub(crate) enum Secret {
    Greeting(Box<Accept<CuttableStream>>),
    Open(Box<TlsStream<CuttableStream>>),
}

impl Conversation {
    pub(crate) fn begin(stream: CuttableStream, acceptor: Option<&TlsAcceptor>) -> Self {
        match acceptor {
            None => Self::Plain(stream),
            Some(acceptor) => Self::Secret {
                wire: stream.wire.clone(),
                state: Secret::Greeting(Box::new(acceptor.accept(stream))),
            },
        }
    }

    pub(crate) fn wire(&self) -> Wire {
        match self {
            Self::Plain(stream) => stream.wire.clone(),
            Self::Secret { wire, .. } => wire.clone(),
        }
    }

    /// The stream on which to talk, once the greeting is over.
    fn stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Stream>>> {
        if let Self::Secret { state, .. } = self
            && let Secret::Greeting(accept) = state
        {
            let stream = ready!(Pin::new(accept.as_mut()).poll(cx))?;
            *state = Secret::Open(Box::new(stream));
        }
        match self {
            Self::Plain(stream) => Poll::Ready(Ok(Pin::new(stream))),
            Self::Secret {
                state: Secret::Open(stream),
                ..
            } => Poll::Ready(Ok(Pin::new(stream.as_mut()))),
            Self::Secret { .. } => Poll::Pending,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl AsyncRead for Conversation {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.get_mut().stream(cx))?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().stream(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().stream(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // Who never greeted is owed no goodbye.
            Self::Secret {
                state: Secret::Greeting(_),
                ..
            } => Poll::Ready(Ok(())),
            open => ready!(open.stream(cx))?.poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().stream(cx))?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secret { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("a.pem");
        std::fs::write(&certificate, "nothing").unwrap();
        let key = certificate.clone();
        let refused = acceptor(&TlsFiles { certificate, key }).err().unwrap();
        assert!(refused.to_string().contains("a.pem for TLS"), "{refused}");
    }
}
