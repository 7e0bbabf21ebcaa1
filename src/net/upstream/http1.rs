//! HTTP/1 connections, driven by whoever waits for their answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::answer::UpstreamBody;
use super::error::{SendError, Stage};
use super::gate::{Gate, muted, poll_muted};
use super::io::Stream;
use super::meters::{ConnectionMeters, Open};
use super::pool::Place;
use super::{Outgoing, Unanswered};

/// The largest head that is read, and the most that one read takes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// One connection: both halves that hyper makes of it. Dropping it closes the socket.
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Stream>, Full<Bytes>>,
    gate: Gate,
    _open: Open,
}

impl Http1 {
    /// Speaks HTTP/1 over a stream. Nothing is sent yet.
    pub(super) async fn over(stream: Stream, meters: &Arc<ConnectionMeters>) -> hyper::Result<Box<Self>> {
        let (sender, connection) =
            Builder::new().max_buf_size(BUFFER_BYTES_MAX).handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Self { sender, connection, gate: Gate::new(), _open: Open::count(meters) }))
    }

    /// Moves bytes in both directions as far as they go; ready when the connection is over.
    ///
    /// Its errors reach the waiting head or body by themselves.
    pub(super) fn drive(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.gate.lead_to(cx.waker());
        let mut inner = Context::from_waker(self.gate.waker());
        Pin::new(&mut self.connection).poll(&mut inner).map(drop)
    }

    /// Whether request and answer are through, so that it can carry another.
    pub(super) fn is_free(&self) -> bool {
        self.sender.is_ready()
    }

    /// Forgets the task that drove it: an idle connection wakes nobody.
    pub(super) fn rest(&self) {
        self.gate.lead_to(Waker::noop());
    }

    /// Looks whether an idle connection is still good, without waiting.
    pub(super) fn is_alive(&mut self) -> bool {
        self.drive(&Context::from_waker(Waker::noop())).is_pending() && self.is_free()
    }
}

/// Sends a request and drives the connection until the head of the answer is there.
///
/// The request is handed over before the first poll, so the future does not carry it about.
pub(super) fn exchange(
    mut http1: Box<Http1>,
    reused: bool,
    place: &Arc<Place>,
    mut request: Outgoing,
) -> impl Future<Output = Result<Response<UpstreamBody>, Unanswered>> {
    let headers = request.headers_mut();
    headers.insert(http::header::HOST, place.host().clone());
    let head = muted(|| http1.sender.try_send_request(request));
    async move {
        let mut head = pin!(head);
        let mut driven = Some(http1);
        let answer = poll_fn(|cx| {
            // Dropped when it is over: only then does hyper give back a request that it still holds.
            driven.take_if(|http1| http1.drive(cx).is_ready());
            poll_muted(|cx| head.as_mut().poll(cx))
        });
        match answer.await {
            Ok(answer) => Ok(answer.map(|incoming| UpstreamBody::http1(incoming, driven, place))),
            Err(failed) => Err(unanswered(failed, reused, place)),
        }
    }
}

fn unanswered(mut failed: TrySendError<Outgoing>, reused: bool, place: &Place) -> Unanswered {
    let unsent = failed.take_message();
    let error = failed.into_error();
    let stage = match unsent {
        Some(_) => Stage::Connect,
        None if error.is_parse() || error.is_incomplete_message() => Stage::Head,
        None => Stage::Write,
    };
    Unanswered {
        error: SendError::because(stage, place.endpoint(), error),
        // A fresh connection that closes at once says something; a pooled one only that it is old.
        again: unsent.filter(|_| reused).map(Box::new),
    }
}
