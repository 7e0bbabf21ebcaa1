//! A stream that takes long to begin and is kept alive meanwhile: its head goes out, then a sign of life now and then, while
//! the walk over the candidates goes on. Whatever that comes to follows as events; a head cannot be unsaid.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use tokio::time::Sleep;

use super::answer::{self, RelayBody};
use super::call::Call;
use super::dispatch::Way;
use super::receive::Asked;
use super::refusal::Refusal;
use super::route::Candidates;
use super::stream::BrokenOff;
use super::timers::Late;
use super::{Relay, Reply, look};
use crate::clock::Instant;
use crate::dialect::Api;
use crate::dialect::sse;
use crate::policy::Snapshot;
use crate::policy::snapshot::{KeepAlive, Principal};

/// A streamed call before its candidates are tried.
pub(super) struct Waiting {
    pub(super) principal: Arc<Principal>,
    pub(super) asked: Asked,
    pub(super) candidates: Candidates,
    pub(super) keep_alive: KeepAlive,
}

/// What a call came to, and the call.
type Looking = Pin<Box<dyn Future<Output = (Call, Result<Reply, Refusal>)> + Send>>;

/// Tries the candidates. Answers when one has answered, or when it is time for a sign of life.
pub(super) async fn answer(
    relay: &Relay,
    mut call: Call,
    snapshot: Arc<Snapshot>,
    headers: HeaderMap,
    waiting: Waiting,
) -> Response<RelayBody> {
    let Waiting { keep_alive, asked, .. } = &waiting;
    let (keep_alive, api, named) = (*keep_alive, asked.api, call.named());
    let until = call.started + keep_alive.after;
    let head_is_out = Arc::new(AtomicBool::new(false));
    call.head_is_out = Some(Arc::clone(&head_is_out));
    let mut looking: Looking = Box::pin(looks(call, headers, waiting));
    match relay.timers.until(until, looking.as_mut()).await {
        Ok((call, reply)) => answer::reply(call, &snapshot, reply),
        Err(Late) => {
            head_is_out.store(true, Ordering::Relaxed);
            let head = answer::kept_alive(named, &snapshot);
            let timer = tokio::time::sleep_until(relay.clock.now());
            let body = KeptAlive {
                looking,
                found: None,
                snapshot,
                api,
                timer: Box::pin(timer),
                every: keep_alive.every,
            };
            head.map(|()| RelayBody::KeptAlive(Box::new(body)))
        }
    }
}

async fn looks(mut call: Call, headers: HeaderMap, waiting: Waiting) -> (Call, Result<Reply, Refusal>) {
    let relay = Arc::clone(&call.relay);
    let Waiting { principal, asked, candidates, .. } = &waiting;
    let way = Way { relay: &relay, principal, asked, from_caller: &headers, candidates };
    let reply = look(&mut call, way).await;
    (call, reply)
}

/// The body of an answer whose head went out before there was one. Dropped, the call was left by its caller.
pub struct KeptAlive {
    looking: Looking,
    /// The answer, once there is one.
    found: Option<RelayBody>,
    snapshot: Arc<Snapshot>,
    api: Api,
    timer: Pin<Box<Sleep>>,
    every: Duration,
}

impl KeptAlive {
    /// The next bytes: signs of life until there is an answer, then that.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        loop {
            if let Some(found) = &mut self.found {
                let frame = ready!(Pin::new(found).poll_frame(cx));
                let bytes = frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()));
                return Poll::Ready(bytes);
            }
            let Poll::Ready((call, reply)) = self.looking.as_mut().poll(cx) else { break };
            self.found = Some(answer::in_stream(call, &self.snapshot, self.api, reply));
        }
        ready!(self.timer.as_mut().poll(cx));
        let next: Instant = self.timer.deadline() + self.every;
        self.timer.as_mut().reset(next);
        Poll::Ready(sse::keep_alive(self.api).map(|sign| Ok(Bytes::from_static(sign))))
    }
}
