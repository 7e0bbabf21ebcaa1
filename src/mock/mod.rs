//! A scripted provider as a hyper service: what tests, the quickstart and `egret mock` talk to.
//!
//! It speaks OpenAI's, Anthropic's and Gemini's formats from its own code, not from `dialect`, so that a mistake
//! there does not agree with itself. Words count as tokens. The header `x-mock-fault` ([`fault`]) wins over the script.

mod answer;
mod anthropic;
mod api;
mod body;
mod chat;
mod completions;
mod course;
mod embeddings;
mod error;
mod face;
pub mod fault;
mod flow;
mod gemini;
mod headers;
mod models;
mod node;
mod reply;
mod request;
mod responses;
pub mod script;
pub mod seen;
#[cfg(test)]
mod tests;
mod turn;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};

use answer::Saying;
use api::Api;
use body::{AnswerBody, Cut};
use course::{Course, Head, Says};
use error::ApiError;
use face::Face;
use reply::{Reply, Sending, Stamp};
pub use script::{ErrorCode, Fault, Script};
pub use seen::{Ending, Seen};
use seen::{Log, Visit};

use crate::clock::Clock;
use crate::ids::RequestId;
use crate::random::Random;
use crate::tasks::Tasks;

/// The request header that names a fault; it wins over the script, and takes no turn of it.
pub const FAULT_HEADER: &str = "x-mock-fault";

/// Bytes of a request body; over that, 413.
const BODY: usize = 32 * 1024 * 1024;

/// A scripted provider. Clones are the same provider: one log, one turn through the faults.
#[derive(Clone)]
pub struct Mock(Arc<State>);

struct State {
    script: Box<dyn Fn() -> Arc<Script> + Send + Sync>,
    clock: Clock,
    random: Random,
    /// How many requests have taken a fault of the script.
    turn: AtomicUsize,
    log: Arc<Log>,
    /// The tasks that hyper starts for the streams of HTTP/2.
    tasks: Tasks,
}

impl Mock {
    /// A provider that asks for its script at each request, so that a reload changes what it does.
    pub fn new(script: impl Fn() -> Arc<Script> + Send + Sync + 'static) -> Self {
        Self::with(script, Clock::system(), Random::from_os())
    }

    /// A provider whose `created` and ids come from this clock and these random numbers.
    pub fn with(
        script: impl Fn() -> Arc<Script> + Send + Sync + 'static,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self(Arc::new(State {
            script: Box::new(script),
            clock,
            random,
            turn: AtomicUsize::new(0),
            log: Arc::default(),
            tasks: Tasks::new(),
        }))
    }

    /// Serves one connection until it ends: HTTP/1.1, or HTTP/2 by prior knowledge.
    ///
    /// Waits on tokio's clock only. Dropped, it closes the connection, and with it every answer.
    pub async fn serve<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = &self.0;
        let service = service_fn(|request| respond(Arc::clone(state), request));
        let server = auto::Builder::new(Executor(state.tasks.clone()));
        // How a connection ends is told per call, in the log.
        if let Err(error) = Box::pin(server.serve_connection(TokioIo::new(io), service)).await {
            tracing::debug!(%error, "a connection to the scripted provider broke");
        }
    }

    /// Begins with the first of its faults again.
    pub fn rewind(&self) {
        self.0.turn.store(0, Ordering::Relaxed);
    }

    /// The last 1,000 requests (fewer where they are large), oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.log.calls()
    }
}

#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn("scripted provider's stream", stream);
    }
}

/// An error closes the connection (HTTP/2: resets the stream).
async fn respond(state: Arc<State>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Cut> {
    let begun = state.clock.now();
    let (head, body) = request.into_parts();
    let visit = state.log.open(&head);
    let body = read(body).await?;
    visit.body(body.as_deref().unwrap_or_default());
    let script = (state.script)();
    let api = Api::of(&head);
    let course = state.course(&head, api.face(), &script);
    before_head(course.head, script.latency, &visit).await?;

    let stamp = state.stamp();
    let saying = Saying { script: &script, large: course.large() };
    let answer = || {
        let body = body.as_deref().map_err(|TooLarge| ApiError::too_large(api.face()))?;
        api.reply(&head, body, &saying, &stamp)
    };
    let reply = reply(&course.says, head.uri.path(), api, &stamp, answer);
    let now = state.clock.now();
    let sending = Sending {
        flow: course.flow,
        api,
        tokens_per_second: script.tokens_per_second,
        now,
        processing: now - begun,
    };
    Ok(reply.send(&stamp, sending, visit))
}

impl State {
    /// The course that this request's fault leads to: its header's, else the script's next.
    fn course(&self, head: &Parts, face: Face, script: &Script) -> Course {
        let key = seen::key(&head.headers, head.uri.query());
        if let Some(text) = head.headers.get(FAULT_HEADER) {
            let text = String::from_utf8_lossy(text.as_bytes());
            let fault = text.parse::<Fault>();
            return fault.map_or_else(
                |unknown| Course::error(ApiError::bad_request(face, unknown.to_string())),
                |fault| Course::of(&fault, face, key),
            );
        }
        if script.faults.is_empty() {
            return Course::default();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % script.faults.len();
        script.faults.get(turn).map_or_else(Course::default, |fault| Course::of(fault, face, key))
    }

    fn stamp(&self) -> Stamp {
        Stamp { id: RequestId::new(self.random.u128()).to_string(), created: self.clock.wall().as_second() }
    }
}

/// What happens before the head: the script's latency, and the faults that let no head come.
async fn before_head(head: Head, latency: Duration, visit: &Visit) -> Result<(), Cut> {
    let wait = match head {
        Head::Late(late) => latency.saturating_add(late),
        Head::AtOnce | Head::Reset | Head::Stall => latency,
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match head {
        Head::AtOnce | Head::Late(_) => Ok(()),
        Head::Reset => {
            visit.ended(Ending::Cut);
            Err(Cut)
        }
        // Dropped by hyper when the client leaves.
        Head::Stall => std::future::pending().await,
    }
}

/// The answer that a fault leaves, as far as it is a matter of the whole answer; what happens within a body is the
/// flow's.
fn reply(
    says: &Says,
    path: &str,
    api: Api,
    stamp: &Stamp,
    answer: impl FnOnce() -> Result<Reply, ApiError>,
) -> Reply {
    let answer = || answer().unwrap_or_else(|error| Reply::error(&error, api, stamp));
    match says {
        Says::Answer => answer(),
        Says::Error(error) => Reply::error(error, api, stamp),
        Says::ErrorInside(error) => answer().or_error_in_200(error, stamp),
        Says::Only { events, plain } => answer().only(events, plain),
        Says::Html => Reply::html(),
        Says::NotJson => Reply::json("oops", 0),
        Says::WrongType => answer().of_type("text/plain"),
        Says::Redirect => Reply::redirect(path),
        Says::Large(bytes) => answer().filled(*bytes),
    }
}

struct TooLarge;

/// A request body within the cap; what is over it is read and thrown away, so that the answer arrives.
async fn read(mut body: Incoming) -> Result<Result<Bytes, TooLarge>, Cut> {
    let mut whole = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        // The client broke off: there is nobody to answer.
        let Ok(data) = frame.map_err(|_| Cut)?.into_data() else {
            continue;
        };
        size += data.len();
        if size <= BODY {
            whole.extend_from_slice(&data);
        }
    }
    Ok(if size <= BODY { Ok(whole.freeze()) } else { Err(TooLarge) })
}
