//! HTTP/2 streams whose callers take nothing of their answers.
//!
//! Bytes that move on the connection say nothing of one stream: a caller may answer pings and never open the
//! stream's window. hyper then does not poll the body again, so no timer in the body would be looked at. But the
//! stream's task is ours ([`super::connection`]): around it, what the body says of itself is watched.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::clock::Instant;

/// What of an answer is handed to HTTP/2 at once: its largest frame, by default. A body is asked for more when the
/// caller has room for a byte of the last piece, so this is also the least that a caller must take in time.
pub(super) const PIECE: usize = 16 * 1024;

tokio::task_local! {
    static PIECES: Pieces;
}

/// The pieces of one answer.
#[derive(Default)]
struct Pieces {
    given: Cell<u32>,
    /// The last piece waits for the caller to make room.
    waits: Cell<bool>,
}

/// The body of the running stream is asked for more: what it gave before has found room.
pub(super) fn asked() {
    // Outside of a stream's task nobody watches.
    let _ = PIECES.try_with(|pieces| pieces.waits.set(false));
}

/// The body of the running stream has given a piece.
pub(super) fn gave() {
    let _ = PIECES.try_with(|pieces| {
        pieces.given.set(pieces.given.get().wrapping_add(1));
        pieces.waits.set(true);
    });
}

/// Runs a stream to its end, or until its caller has made no room for a piece in `limit`; dropped then, the stream
/// is reset. One timer at most, which a caller that keeps up never needs.
pub(super) async fn unless_stalled(stream: impl Future<Output = ()>, limit: Duration) {
    PIECES.scope(Pieces::default(), watch(stream, limit)).await;
}

async fn watch(stream: impl Future<Output = ()>, limit: Duration) {
    let mut stream = pin!(stream);
    let mut timer = None;
    let mut armed = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let waits = PIECES.with(|pieces| pieces.waits.get().then_some(pieces.given.get()));
        let Some(piece) = waits else {
            armed = None;
            return Poll::Pending;
        };
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if armed != Some(piece) {
            armed = Some(piece);
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx)
    })
    .await;
}
