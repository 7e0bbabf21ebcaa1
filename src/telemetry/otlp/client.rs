//! Requests to a backend over HTTP, with the client that providers are called with: same trust, same timers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::net::body::{BufferBudget, read_capped};
use crate::net::endpoint::Endpoint;
use crate::net::memory::MemoryNet;
use crate::net::tls::LazyTls;
use crate::net::upstream::{Settings, Upstream};
use crate::tasks::Tasks;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(3);
/// Backends answer a few bytes; what is longer is not read.
const ANSWER_MAX: usize = 64 * 1024;

/// Sends requests on the runtime that it was made on, whatever thread asks.
pub(super) struct Client {
    runtime: Handle,
    upstream: Upstream,
    tasks: Tasks,
    limit: Duration,
}

impl Client {
    /// A client whose requests take at most `limit`. Made on a runtime that keeps running.
    pub(super) fn new(tls: LazyTls, limit: Duration) -> Self {
        let tasks = Tasks::new();
        let upstream = Upstream::new(tls, MemoryNet::new(), tasks.clone(), Settings::default());
        Self { runtime: Handle::current(), upstream, tasks, limit }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The trait is written with `async_trait`; this is what that makes of it.
impl HttpClient for Client {
    fn send_bytes<'a, 't>(
        &'a self,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 't>>
    where
        'a: 't,
        Self: 't,
    {
        let (answer, answered) = oneshot::channel();
        let (upstream, limit) = (self.upstream.clone(), self.limit);
        let asking = async move {
            let asked = timeout(limit, ask(&upstream, request)).await;
            // Whoever asked may have given up.
            let _ = answer.send(asked.unwrap_or_else(|_| Err("no answer in time".into())));
        };
        let _on = self.runtime.enter();
        self.tasks.spawn("otlp", asking);
        Box::pin(async { answered.await.unwrap_or_else(|_| Err("egret is ending".into())) })
    }
}

async fn ask(upstream: &Upstream, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let (Some(scheme), Some(authority)) = (head.uri.scheme_str(), head.uri.authority()) else {
        return Err("the endpoint is no URL".into());
    };
    let endpoint = Endpoint::parse(&format!("{scheme}://{authority}"))?;
    head.uri = match head.uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    let request = Request::from_parts(head, Full::new(body));
    let (head, body) = upstream.send(&endpoint, request, CONNECT).await?.into_parts();
    let body = read_capped(body, ANSWER_MAX, &BufferBudget::new(ANSWER_MAX)).await?;
    Ok(Response::from_parts(head, body.bytes().clone()))
}
