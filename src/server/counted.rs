//! The body of every answer: what counts as a call in flight ends with it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::drain::Call;
use super::stall;
use super::timeouts::Busy;

pin_project! {
    /// An answer's body. Its call is in flight until this is dropped: by hyper when the last frame is written,
    /// or when the caller leaves. A stream therefore counts until its end.
    pub struct Counted<B> {
        #[pin]
        content: Content<B>,
        // HTTP/2: what is left of the content's last frame, which goes on in pieces.
        pieces: Option<Bytes>,
        // Dropped after the content: what the content settles in its own `Drop` is settled when the call ends.
        in_flight: Option<InFlight>,
    }
}

/// What a call holds while it is in flight: the process counts it, and its connection is not idle.
pub(super) struct InFlight {
    pub(super) _call: Call,
    pub(super) _busy: Busy,
}

pin_project! {
    /// Ours, or the service's.
    #[project = ContentProjection]
    pub(super) enum Content<B> {
        Own { #[pin] body: Full<Bytes> },
        Service { #[pin] body: B },
    }
}

impl<B> Counted<B> {
    /// For HTTP/1: frames go on as they come.
    pub(super) fn whole(content: Content<B>, in_flight: Option<InFlight>) -> Self {
        Self { content, pieces: None, in_flight }
    }

    /// For HTTP/2: large frames go on in pieces. HTTP/2 would hold all of one as soon as the caller has room for a
    /// byte of it, for every stream, after the call has ended for us; and that a caller takes nothing could not be
    /// told from a caller that takes its time.
    pub(super) fn in_pieces(content: Content<B>, in_flight: Option<InFlight>) -> Self {
        Self { content, pieces: Some(Bytes::new()), in_flight }
    }
}

impl<B: Body<Data = Bytes>> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let Some(rest) = this.pieces else {
            return this.content.poll_frame(cx);
        };
        stall::asked();
        if rest.is_empty() {
            match ready!(this.content.poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        stall::gave();
        let piece = rest.split_to(rest.len().min(stall::PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0 && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, content) = (self.left(), self.content.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(content.lower().saturating_add(left));
        if let Some(upper) = content.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

impl<B> Counted<B> {
    /// Bytes of the last frame that have not gone on.
    fn left(&self) -> u64 {
        self.pieces.as_ref().map_or(0, |rest| rest.len() as u64)
    }
}

impl<B: Body<Data = Bytes>> Body for Content<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project() {
            ContentProjection::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
            ContentProjection::Service { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own { body } => body.is_end_stream(),
            Self::Service { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own { body } => body.size_hint(),
            Self::Service { body } => body.size_hint(),
        }
    }
}
