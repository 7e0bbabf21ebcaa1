//! The body of an answer, and the connection that it comes over.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::gate::poll_muted;
use super::http1::Http1;
use super::http2::OpenStream;
use super::pool::Place;
use crate::net::decode::{DecodeError, Decoder, Pulled};

/// The body of a provider's answer, pulled: polling it drives its HTTP/1 connection.
///
/// Every chunk that is already there is given before a poll says pending, so chunks of one wake-up
/// can be merged. Whoever got a chunk must poll again, to the end or until pending. At the clean
/// end the connection is back in the pool; dropped earlier, the HTTP/1 connection is closed or the
/// HTTP/2 stream reset, at once. A body that breaks off ends with an error, never cleanly. What is
/// compressed comes as it is, unless [`decoding`](crate::net::decode::decoding) was asked for.
pub struct UpstreamBody {
    incoming: Incoming,
    hold: Hold,
    /// Boxed: hardly an answer needs it.
    decoder: Option<Box<Decoder>>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection or the stream broke, or what came over it is not HTTP.
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    /// It came, but cannot be decoded.
    #[error("the answer cannot be decoded")]
    Undecodable(#[source] DecodeError),
}

/// What must live as long as the body comes.
enum Hold {
    Http1 { http1: Box<Http1>, place: Arc<Place> },
    Http2 { _stream: OpenStream },
    Nothing,
}

impl UpstreamBody {
    /// A body over `http1`, unless that is over already.
    pub(super) fn http1(incoming: Incoming, http1: Option<Box<Http1>>, place: &Arc<Place>) -> Self {
        let hold = http1.map_or(Hold::Nothing, |http1| {
            let place = Arc::clone(place);
            Hold::Http1 { http1, place }
        });
        let mut body = Self { incoming, hold, decoder: None };
        body.park_if_free();
        body
    }

    pub(super) fn http2(incoming: Incoming, stream: OpenStream) -> Self {
        let ended = incoming.is_end_stream();
        let hold = if ended { Hold::Nothing } else { Hold::Http2 { _stream: stream } };
        Self { incoming, hold, decoder: None }
    }

    /// The same body, decoded.
    pub(in crate::net) fn decoded(self, decoder: Box<Decoder>) -> Self {
        Self { decoder: Some(decoder), ..self }
    }

    /// Drives the connection; lets go of it when it is over, or free for another call.
    fn drive(&mut self, cx: &Context<'_>) {
        if let Hold::Http1 { http1, .. } = &mut self.hold {
            if http1.drive(cx).is_ready() {
                self.hold = Hold::Nothing;
            } else {
                self.park_if_free();
            }
        }
    }

    fn park_if_free(&mut self) {
        match std::mem::replace(&mut self.hold, Hold::Nothing) {
            Hold::Http1 { http1, place } if http1.is_free() => place.park(http1),
            held @ (Hold::Http1 { .. } | Hold::Http2 { .. } | Hold::Nothing) => self.hold = held,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.hold {
            Hold::Http1 { .. } => poll_muted(|cx| Pin::new(&mut self.incoming).poll_frame(cx)),
            Hold::Http2 { .. } | Hold::Nothing => Pin::new(&mut self.incoming).poll_frame(cx),
        }
    }

    /// The next frame as it came.
    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut polled = self.poll_incoming(cx);
        if polled.is_pending() && matches!(self.hold, Hold::Http1 { .. }) {
            self.drive(cx);
            polled = self.poll_incoming(cx);
        }
        match &polled {
            Poll::Ready(None) => {
                // Its last step may still be to come; what is not free after it is closed.
                self.drive(cx);
                self.hold = Hold::Nothing;
            }
            Poll::Ready(Some(Err(_))) => self.hold = Hold::Nothing,
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => {
                // Whoever reads may not poll again; an HTTP/1 connection was parked by `drive`.
                if matches!(self.hold, Hold::Http2 { .. }) {
                    self.hold = Hold::Nothing;
                }
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    /// The next frame of what `decoder` makes of those that come.
    fn poll_decoded(
        &mut self,
        decoder: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match decoder.pull() {
                Ok(Pulled::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(Pulled::Hungry) => {}
                Err(error) => return Poll::Ready(Some(Err(self.undecodable(error)))),
            }
            match ready!(self.poll_raw(cx)) {
                None => {
                    let end = decoder.finish().map_err(|error| self.undecodable(error));
                    return Poll::Ready(end.err().map(Err));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => decoder.push(bytes),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
    }

    fn undecodable(&mut self, error: DecodeError) -> BodyError {
        self.hold = Hold::Nothing;
        BodyError::Undecodable(error)
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.decoder.take() {
            None => self.poll_raw(cx).map_err(BodyError::Broken),
            Some(mut decoder) => {
                let polled = self.poll_decoded(&mut decoder, cx);
                self.decoder = Some(decoder);
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // Of a decoded body the end is known when it is asked for: it may be an error.
        self.decoder.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.decoder.is_some() { SizeHint::default() } else { self.incoming.size_hint() }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
