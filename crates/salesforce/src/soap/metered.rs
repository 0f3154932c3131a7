//! A reader that refuses a single tag or text of megabytes.
//!
//! The XML parser collects an element's tag or text whole before it hands it out. This meter sits below it and ends
//! the reading once one of them has taken more bytes than any honest one; whoever reads resets it between events.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use crate::{bounds::EVENT_BYTES, error::SalesforceError};

/// See the file's head.
pub(super) struct Metered<R> {
    inner: R,
    used: usize,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, used: 0 }
    }

    pub(super) fn reset(&mut self) {
        self.used = 0;
    }

    pub(super) fn is_too_large(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::FileTooLarge
    }
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for Metered<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.used > EVENT_BYTES {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        Pin::new(&mut this.inner).poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        this.used += amount;
        Pin::new(&mut this.inner).consume(amount);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

/// Carries one of our errors past an interface that knows `io::Error` alone.
#[derive(Clone, Default, Debug)]
pub(crate) struct Slot(Arc<Mutex<Option<SalesforceError>>>);

impl Slot {
    pub(crate) fn put(&self, error: SalesforceError) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    pub(crate) fn take(&self) -> Option<SalesforceError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
