//! The body of every answer: what counts as a call in flight ends with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::drain::Call;
use super::timeouts::Busy;

pin_project! {
    /// An answer's body. Its call is in flight until this is dropped: by hyper when the last frame is written,
    /// or when the caller leaves. A stream therefore counts until its end.
    pub struct Counted<B> {
        #[pin]
        content: Content<B>,
        // Dropped after the content: what the content settles in its own `Drop` is settled when the call ends.
        in_flight: InFlight,
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
    pub(super) fn new(content: Content<B>, in_flight: InFlight) -> Self {
        Self { content, in_flight }
    }
}

impl<B: Body<Data = Bytes>> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().content.project() {
            ContentProjection::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
            ContentProjection::Service { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own { body } => body.is_end_stream(),
            Content::Service { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own { body } => body.size_hint(),
            Content::Service { body } => body.size_hint(),
        }
    }
}
