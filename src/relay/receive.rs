//! The request's body: read under its caps, scanned once, kept until the commit point.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Version};
use http_body::Body;
use http_body_util::BodyExt;

use super::Relay;
use super::call::Call;
use super::operation::InPath;
use super::refusal::Refusal;
use super::timers::Late;
use crate::dialect::Api;
use crate::dialect::edit::{self, BodyFault, RequestFacts};
use crate::dialect::error::Cause;
use crate::net::body::{Buffered, ReadError, read_capped};

/// A body that takes longer than this to arrive is not waited for.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How much of a refused request's body is read on, and for how long.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024 * 1024;
const DISCARDED_WITHIN: Duration = Duration::from_secs(5);

/// Any error of a request's body.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the caller asks for: the body as it came, and what we read of it.
#[derive(Debug)]
pub(super) struct Asked {
    /// The operation.
    pub(super) api: Api,
    /// What the body says, and where.
    pub(super) facts: RequestFacts,
    /// The name in the path, of Gemini's operations.
    in_path: Option<Box<str>>,
    body: Buffered,
}

impl Asked {
    /// The body as it came.
    pub(super) fn body(&self) -> &Bytes {
        self.body.bytes()
    }

    /// The name asked for: in the path, or in `model`.
    pub(super) fn model(&self) -> Cow<'_, str> {
        match &self.in_path {
            Some(name) => Cow::Borrowed(name),
            None => self.facts.model(self.body()),
        }
    }
}

/// Reads and scans a request's body, and notes how long it took to come.
pub(super) async fn receive<B>(
    relay: &Relay,
    call: &mut Call,
    (api, in_path): (Api, Option<Box<InPath<'_>>>),
    headers: &HeaderMap,
    body: B,
) -> Result<Asked, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    expect_json(headers)?;
    let max_body = relay.shared.settings.max_body;
    let reading = pin!(read_capped(body, max_body, &relay.shared.budget));
    let began = relay.clock.now();
    let reading = relay.timers.until(began + ARRIVAL, reading);
    let read = reading.await;
    call.waits(began);
    let body = read.map_err(|Late| too_slow())?.map_err(|error| unreadable(&error, max_body))?;
    let mut facts = edit::read(api, body.bytes()).map_err(|fault| unfit(&fault))?;
    facts.stream |= in_path.as_ref().is_some_and(|path| path.stream);
    Ok(Asked { api, facts, in_path: in_path.map(|path| path.model.into()), body })
}

/// Reads what is left of a refused request's body and drops it, within bounds.
///
/// A connection that is closed while its caller still sends breaks the caller's write, and Node's client then reports
/// EPIPE instead of the refusal. A caller that waits for `100 Continue` is not kept waiting: reading would tell it to
/// send. HTTP/2 resets the stream without harm.
pub(super) async fn discard<B>(head: &Parts, mut body: Pin<&mut B>)
where
    B: Body<Data = Bytes>,
{
    let too_long = body.size_hint().lower() > DISCARDED_BYTES_MAX;
    if body.is_end_stream()
        || too_long
        || head.version == Version::HTTP_2
        || head.headers.contains_key(EXPECT)
    {
        return;
    }
    let reading = async {
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    // Out of time, the connection closes with bytes unread: the caller had its chance.
    let _ = tokio::time::timeout(DISCARDED_WITHIN, reading).await;
}

/// Checked before the body is polled: a caller that waits for `100 Continue` need not send it.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let message = "Compressed request bodies are not accepted: send the body without Content-Encoding.";
        return Err(Refusal::new(Cause::UnsupportedMediaType, message));
    }
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        Ok(())
    } else {
        let message = "The body has to be JSON, sent with `Content-Type: application/json`.";
        Err(Refusal::new(Cause::UnsupportedMediaType, message))
    }
}

fn too_slow() -> Refusal {
    Refusal::new(
        Cause::RequestTimeout,
        format!("The request's body did not arrive within {} s.", ARRIVAL.as_secs()),
    )
}

fn unreadable(error: &ReadError, max_body: usize) -> Refusal {
    match error {
        ReadError::TooLarge { .. } => {
            let message = format!("The request's body is larger than {max_body} bytes (`--max-body`).");
            Refusal::new(Cause::RequestTooLarge, message)
        }
        ReadError::OverBudget => over_budget(),
        ReadError::Broken(cause) => {
            let refusal = Refusal::new(Cause::InvalidRequest, "The request's body broke off.");
            if is_malformed(&**cause) { refusal } else { refusal.unheard() }
        }
    }
}

/// The process holds as much as it may.
pub(super) fn over_budget() -> Refusal {
    let message = "egret holds as many request bytes as it may (`--max-buffered`). Try again shortly.";
    Refusal::new(Cause::Overloaded, message).retry_after(Duration::from_secs(1))
}

/// Whether the caller is still there, and sent what is no body (chunks of no length); else it has left.
fn is_malformed(error: &(dyn std::error::Error + 'static)) -> bool {
    let kinds = std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    kinds.into_iter().any(|kind| matches!(kind, ErrorKind::InvalidInput | ErrorKind::InvalidData))
}

fn unfit(fault: &BodyFault) -> Refusal {
    let refusal = Refusal::new(fault.cause(), fault.to_string());
    match fault.param() {
        Some(param) => refusal.param(param.to_owned()),
        None => refusal,
    }
}
