//! The body of an answer, and the connection that it comes over.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::gate::poll_muted;
use super::http1::Http1;
use super::http2::OpenStream;
use super::pool::Place;

/// The body of a provider's answer, pulled: polling it drives its HTTP/1 connection.
///
/// Every chunk that is already there is given before a poll says pending, so chunks of one wake-up
/// can be merged. Whoever got a chunk must poll again, to the end or until pending. At the clean
/// end the connection is back in the pool; dropped earlier, the HTTP/1 connection is closed or the
/// HTTP/2 stream reset, at once. A body that breaks off ends with an error, never cleanly.
pub struct UpstreamBody {
    incoming: Incoming,
    hold: Hold,
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
        let mut body = Self { incoming, hold };
        body.park_if_free();
        body
    }

    pub(super) fn http2(incoming: Incoming, stream: OpenStream) -> Self {
        let ended = incoming.is_end_stream();
        let hold = if ended { Hold::Nothing } else { Hold::Http2 { _stream: stream } };
        Self { incoming, hold }
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
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
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

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
