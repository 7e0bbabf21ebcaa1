//! What operators ask over HTTP. Nothing here changes state (to ask what would become of a call neither); what is told comes through [`Sight`].
//!
//! Two faces: the one for probes and scrapers may be bound to the pod's address, the full one is for loopback.

mod explain;
mod health;
mod metrics;
mod policy;
mod providers;
mod usage;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

/// What the process lets operators see. Holds no secret, prompt or answer.
pub trait Sight: Send + Sync {
    /// Whether a good policy is loaded, the listeners are bound and no shutdown has begun; else what is missing, in
    /// a few words. Never the providers' health: one provider's outage would take every pod out.
    fn ready(&self) -> Result<(), &'static str>;
    /// The policy in force and how its last reload went.
    fn policy(&self) -> serde_json::Value;
    /// The ledger's cells.
    fn usage(&self) -> serde_json::Value;
    /// How providers, their keys and models do.
    fn providers(&self) -> serde_json::Value;
    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// What would become of a call that came now, given by JSON; or what is wrong with that JSON.
    fn explain(&self, inquiry: &[u8]) -> Result<serde_json::Value, String>;
}

/// What a listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// `--metrics`: `/livez`, `/readyz`, `/metrics`.
    Probes,
    /// `--admin`: those, `/policy`, `/providers`, `/usage` and `/explain`.
    Full,
}

/// Answers one request of an operator, whatever it asks.
pub async fn respond<B>(request: Request<B>, face: Face, sight: &dyn Sight) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let explains = matches!(Page::at(request.uri().path(), face), Some(Page::Explain));
    if explains && request.method() == Method::POST {
        explain::page(request.into_body(), sight).await
    } else {
        answer(&request, face, sight)
    }
}

/// Answers one that has no body.
pub fn answer<B>(request: &Request<B>, face: Face, sight: &dyn Sight) -> Response<Full<Bytes>> {
    let Some(page) = Page::at(request.uri().path(), face) else {
        return text(StatusCode::NOT_FOUND, Page::list(face));
    };
    let is_read = !matches!(page, Page::Explain);
    if is_read && ![Method::GET, Method::HEAD].contains(request.method()) {
        return allowed("GET, HEAD", "nothing here changes state\n");
    }
    match page {
        Page::Live => health::live(),
        Page::Ready => health::ready(sight),
        Page::Metrics => metrics::page(sight),
        Page::Policy => policy::page(sight),
        Page::Providers => providers::page(sight),
        Page::Usage => usage::page(sight),
        Page::Explain => allowed("POST", "send the call to be explained as JSON, with POST\n"),
    }
}

#[derive(Clone, Copy)]
enum Page {
    Live,
    Ready,
    Metrics,
    Policy,
    Providers,
    Usage,
    Explain,
}

impl Page {
    fn at(path: &str, face: Face) -> Option<Self> {
        match (path, face) {
            ("/livez", Face::Probes | Face::Full) => Some(Self::Live),
            ("/readyz", Face::Probes | Face::Full) => Some(Self::Ready),
            ("/metrics", Face::Probes | Face::Full) => Some(Self::Metrics),
            ("/policy", Face::Full) => Some(Self::Policy),
            ("/providers", Face::Full) => Some(Self::Providers),
            ("/usage", Face::Full) => Some(Self::Usage),
            ("/explain", Face::Full) => Some(Self::Explain),
            (_, Face::Probes | Face::Full) => None,
        }
    }

    fn list(face: Face) -> &'static str {
        match face {
            Face::Probes => "not found; there are /livez /readyz /metrics\n",
            Face::Full => "not found; there are /livez /readyz /metrics /policy /providers /usage /explain\n",
        }
    }
}

fn allowed(methods: &'static str, hint: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, hint);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body.into())
}

/// Indented: people read it with curl.
fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    page(StatusCode::OK, "application/json", format!("{value:#}\n").into())
}

fn page(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
