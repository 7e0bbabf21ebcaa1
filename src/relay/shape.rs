//! The request as a provider gets it: built anew, the body's bytes kept but for the fields that policy edits.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;

use super::crossing::Crossing;
use super::outcome::Failure;
use super::receive::Asked;
use super::refusal::Refusal;
use crate::dialect::Dialect;
use crate::dialect::edit::truncate::Truncation;
use crate::dialect::edit::{self, Cap, Edits};
use crate::dialect::error::Cause;
use crate::dialect::provider::{self, AuthHeader, StreamUsage};
use crate::net::headers;
use crate::policy::snapshot::{Model, Provider, ProviderKey};
use crate::secret::{HeaderForm, Secrets};
use crate::telemetry::context::{Parent, TRACEPARENT, TRACESTATE};

/// What providers see of us; the caller's own is its app's business.
static USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("egret/", env!("CARGO_PKG_VERSION")));

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Refuses body fields that would let the caller choose what only policy chooses, where `target` does not forward them; in
/// another dialect they mean nothing.
pub(super) fn check_fields(asked: &Asked, target: &Model, crosses: bool) -> Result<(), Refusal> {
    let forward = &target.provider.forward;
    let forwards = |field: &str| !crosses && forward.iter().any(|name| &**name == field);
    match asked.facts.guarded.iter().find(|field| !forwards(field)) {
        None => Ok(()),
        Some(field) => {
            let message = format!(
                "The field `{field}` names a model, endpoint or stored prompt, which the policy decides. A provider \
                 gets it only where the policy lists it under `forward`."
            );
            Err(Refusal::new(Cause::FieldNotAllowed, message).param(*field))
        }
    }
}

/// Whether the usage event at the end of a stream is hidden: we asked for it, the caller did not.
pub(super) fn hides_usage(asked: &Asked, provider: &Provider) -> bool {
    match provider.stream_usage {
        StreamUsage::Ask | StreamUsage::Always => !asked.facts.asks_usage,
        StreamUsage::Never => false,
    }
}

/// What goes where, with which key, and with what changes.
pub(super) struct Outgoing<'a> {
    pub(super) asked: &'a Asked,
    pub(super) model: &'a Model,
    pub(super) key: &'a ProviderKey,
    /// The bound on its output.
    pub(super) cap: Option<Cap>,
    /// What of its messages is left out.
    pub(super) cut: Option<&'a Truncation>,
    /// What is sent in place of its body.
    pub(super) crossing: Option<&'a Crossing>,
}

/// Builds the request for one attempt. Tells which version of its key's secret it carries.
pub(super) fn request(
    outgoing: &Outgoing<'_>,
    from_caller: &HeaderMap,
    traceparent: Option<&HeaderValue>,
    secrets: &Secrets,
) -> Result<(Request<Full<Bytes>>, u64), Failure> {
    let Outgoing { asked, model, key, crossing, .. } = *outgoing;
    let provider = &model.provider;
    let mut request = Request::new(Full::new(body(outgoing)));
    *request.method_mut() = Method::POST;
    let api = crossing.map_or(asked.api, |crossing| crossing.api);
    if let Some(target) = model.targets.of(api, asked.facts.stream) {
        request.uri_mut().clone_from(target);
    }
    let speaks = if crossing.is_some() { None } else { Some(provider.dialect) };
    let mut to_provider = headers::to_provider(from_caller, &USER_AGENT, vendor(speaks));
    to_provider.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let (Some(version), true) = (&provider.version, crossing.is_some()) {
        to_provider.insert(ANTHROPIC_VERSION, version.clone());
    }
    let version = authorize(&mut to_provider, provider, key, secrets)?;
    if let Some(traceparent) = traceparent {
        trace(&mut to_provider, traceparent, from_caller);
    }
    if provider.mock.is_some() {
        let faults = HeaderName::from_static(crate::mock::FAULT_HEADER);
        if let Some(value) = from_caller.get(&faults) {
            to_provider.insert(faults, value.clone());
        }
    }
    *request.headers_mut() = to_provider;
    Ok((request, version))
}

/// The span in which the provider is called, and what vendors have added to the trace; never baggage.
fn trace(to_provider: &mut HeaderMap, traceparent: &HeaderValue, from_caller: &HeaderMap) {
    to_provider.insert(TRACEPARENT, traceparent.clone());
    if Parent::of(from_caller).is_none() {
        return;
    }
    for state in from_caller.get_all(TRACESTATE) {
        to_provider.append(TRACESTATE, state.clone());
    }
}

fn body(outgoing: &Outgoing<'_>) -> Bytes {
    let Outgoing { asked, model, cap, cut, crossing, .. } = *outgoing;
    if let Some(crossing) = crossing {
        return crossing.body(cap);
    }
    let edits = Edits {
        model: Some(&model.name),
        ask_usage: asked.facts.stream && model.provider.stream_usage == StreamUsage::Ask,
        cap,
        cut,
    };
    edit::apply(asked.api, asked.body(), &asked.facts, &edits)
}

/// The headers that only callers of a dialect send, and only its providers understand.
fn vendor(dialect: Option<Dialect>) -> &'static [&'static str] {
    match dialect {
        Some(Dialect::OpenAi) => &["openai-beta", "x-client-request-id"],
        Some(Dialect::Anthropic) => &["anthropic-version", "anthropic-beta"],
        Some(Dialect::Gemini) | None => &[],
    }
}

fn authorize(
    to_provider: &mut HeaderMap,
    provider: &Provider,
    key: &ProviderKey,
    secrets: &Secrets,
) -> Result<u64, Failure> {
    let Some(place) = &key.at else { return Ok(0) };
    let (name, form) = match provider.auth {
        AuthHeader::Bearer => (AUTHORIZATION, HeaderForm::Bearer),
        AuthHeader::ApiKey => (HeaderName::from_static("api-key"), HeaderForm::Plain),
        AuthHeader::Goog => (HeaderName::from_static("x-goog-api-key"), HeaderForm::Plain),
        // Its SDKs change the header together with the version.
        AuthHeader::Anthropic => match to_provider.get(ANTHROPIC_VERSION) {
            // They are dates.
            Some(version) if version.as_bytes() > provider::ANTHROPIC_VERSION.as_bytes() => {
                (AUTHORIZATION, HeaderForm::Bearer)
            }
            Some(_) | None => (HeaderName::from_static("x-api-key"), HeaderForm::Plain),
        },
    };
    let (value, version) = secrets.header(place, form).ok_or(Failure::KeyMissing)?;
    to_provider.insert(name, value);
    Ok(version)
}
