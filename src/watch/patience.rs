//! A connection whose other end must take what is written to it within a time: one that never reads would hold its place
//! for good.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream with a limit on the time that an answer may take to go out, however slowly the other end reads.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    most: Duration,
    // Runs while something that was written is not out.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, most: Duration) -> Self {
        Patient { stream, most, limit: None }
    }
}

impl<S: Unpin> Patient<S> {
    /// What a write or flush gave, or an error where the time is over; `out` says whether all is out when it is done.
    fn within<T>(&mut self, context: &mut Context, given: Poll<io::Result<T>>, out: bool) -> Poll<io::Result<T>> {
        if given.is_ready() && out {
            self.limit = None;
            return given;
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(sleep(self.most)));
        match limit.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the answer is not read"))),
            Poll::Pending => given,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, into: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let given = Pin::new(&mut self.stream).poll_write(context, bytes);
        // A part may be out, and the rest follows: the whole has one time.
        let out = matches!(given, Poll::Ready(Ok(count)) if count == bytes.len());
        self.within(context, given, out)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        let given = Pin::new(&mut self.stream).poll_flush(context);
        let out = self.limit.is_none();
        match given {
            // Nothing is under way.
            Poll::Ready(Ok(())) if out => Poll::Ready(Ok(())),
            given => self.within(context, given, false),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
