//! Requests to a backend over HTTP, with the client that providers are called with: same trust, same timers.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::export::{Refused, gzip, rejected, rejected_in_json};
use super::target::Target;
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

/// Posts spans to a backend.
pub(super) struct Posts {
    upstream: Upstream,
    endpoint: Endpoint,
    path: Uri,
    headers: HeaderMap,
    gzip: bool,
}

impl Posts {
    pub(super) fn new(target: &Target, tls: &LazyTls) -> Self {
        let mut headers = target.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("egret/", env!("CARGO_PKG_VERSION"))));
        if target.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Self {
            upstream: upstream(tls.clone(), Tasks::new()),
            endpoint: target.endpoint.clone(),
            path: target.path.clone(),
            headers,
            gzip: target.gzip,
        }
    }

    /// Posts a request; gives how many spans of it were rejected.
    pub(super) async fn export(&self, request: &Bytes) -> Result<u64, Refused> {
        let body = match self.gzip {
            true => gzip(request).map_err(|error| Refused::ForGood(error.to_string()))?,
            false => request.clone(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = send(&self.upstream, &self.endpoint, request).await;
        let answer = answer.map_err(|error| Refused::ForNow(error.to_string(), None))?;
        match answer.status() {
            status if status.is_success() => taken(answer.headers(), answer.body()),
            status => Err(refused(status, answer.headers())),
        }
    }
}

/// How many spans were rejected of a request that was answered with success. The answer is to be in protobuf as the
/// request was; Langfuse answers JSON all the same. A page is no backend's: the endpoint is a wrong one.
fn taken(headers: &HeaderMap, answer: &[u8]) -> Result<u64, Refused> {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        rejected_in_json(answer)
    } else if media_type.eq_ignore_ascii_case(b"text/html") {
        Err(Refused::ForGood("the backend answered with a page, not OTLP: is the endpoint right?".to_owned()))
    } else {
        rejected(answer)
    }
}

/// The statuses that OTLP's specification calls retryable.
fn refused(status: StatusCode, headers: &HeaderMap) -> Refused {
    let said = format!("the backend answered {}", status.as_u16());
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            let pause = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Refused::ForNow(said, pause.map(Duration::from_secs))
        }
        _ => Refused::ForGood(said),
    }
}

/// The SDK's exporter of metrics asks this client from threads of its own.
pub(super) struct Client {
    runtime: Handle,
    upstream: Upstream,
    tasks: Tasks,
    limit: Duration,
}

impl Client {
    /// A client whose requests take at most `limit`. Made on a runtime that keeps running, which carries them.
    pub(super) fn new(tls: LazyTls, limit: Duration) -> Self {
        let tasks = Tasks::new();
        Self { runtime: Handle::current(), upstream: upstream(tls, tasks.clone()), tasks, limit }
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
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 't>>
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
    send(upstream, &endpoint, Request::from_parts(head, Full::new(body))).await
}

async fn send(
    upstream: &Upstream,
    to: &Endpoint,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = upstream.send(to, request, CONNECT).await?.into_parts();
    let body = read_capped(body, ANSWER_MAX, &BufferBudget::new(ANSWER_MAX)).await?;
    Ok(Response::from_parts(head, body.bytes().clone()))
}

fn upstream(tls: LazyTls, tasks: Tasks) -> Upstream {
    Upstream::new(tls, MemoryNet::new(), tasks, Settings::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &'static str, answer: &[u8]) -> Result<u64, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        taken(&headers, answer).map_err(|refused| refused.to_string())
    }

    #[test]
    fn an_answer_in_json_has_taken_the_spans_that_it_does_not_reject() {
        assert_eq!(of("application/json", b"{}"), Ok(0));
        assert_eq!(of("application/json; charset=utf-8", b""), Ok(0));
        assert_eq!(of("application/json", br#"{"partialSuccess":{}}"#), Ok(0));
        assert_eq!(of("application/json", br#"{"partialSuccess":{"rejectedSpans":"3"}}"#), Ok(3));
        assert_eq!(of("application/json", br#"{"partialSuccess":{"rejectedSpans":2}}"#), Ok(2));
        of("application/json", b"<html>").unwrap_err();
    }

    #[test]
    fn a_page_has_taken_nothing() {
        for (content_type, page) in [
            ("text/html; charset=utf-8", &b""[..]),
            ("text/html", b"<!DOCTYPE html>"),
            ("", b"<html></html>"),
        ] {
            of(content_type, page).unwrap_err();
        }
    }

    #[test]
    fn an_answer_in_protobuf_tells_how_many_spans_it_rejects() {
        assert_eq!(of("application/x-protobuf", b""), Ok(0));
        assert_eq!(of("application/x-protobuf", &[0x0a, 2, 0x08, 5]), Ok(5));
    }
}
