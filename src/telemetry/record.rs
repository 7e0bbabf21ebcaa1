//! What is known of a call once it has ended.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use opentelemetry::trace::{SpanId, TraceId};
use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::dialect::facts::AnswerFacts;
use crate::dialect::params::Params;
use crate::ids::{AppId, KeyName, LimitKey, ModelId, ProviderId, RequestId, RouteId, TenantId, UserId};
use crate::limits::{Amounts, Owner};
use crate::units::NanoUsd;
use crate::usage::Usage;

/// One finished call.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// When the call ended.
    pub ended: Timestamp,
    /// Our id of the call.
    pub id: RequestId,
    /// The caller's own `x-request-id` or `x-client-request-id`, if it was sane.
    pub caller_id: Option<Box<str>>,
    /// Who paid; none where the caller was not identified.
    pub tenant: Option<TenantId>,
    /// The user behind the call.
    pub user: Option<UserId>,
    /// The application behind the call.
    pub app: Option<AppId>,
    /// The caller's key.
    pub key: Option<KeyName>,
    /// The operation: `chat`, `embeddings`, `models`, ..
    pub api: Option<&'static str>,
    /// The name asked for, where the policy knows it: a name that it does not know may be anything.
    pub route: Option<RouteId>,
    /// The route by way of which it went instead, for a limit of the one asked for was reached.
    pub downgraded_to: Option<RouteId>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The status that the caller saw; 499 where the caller left before one was sent.
    pub status: u16,
    /// How the call ended: `answered`, `refused`, `upstream_error`, `upstream_failed`, `fixed_answer`,
    /// `stream_interrupted`, `client_gone`.
    pub outcome: &'static str,
    /// Why we refused: the stable code of the cause.
    pub refusal: Option<&'static str>,
    /// Every try, in order.
    pub attempts: SmallVec<[AttemptRecord; 2]>,
    /// Targets that were not tried, in order.
    pub passed_over: Vec<PassedOver>,
    /// Limits that had no room for it, or for as much as it asked, each once; noted where somebody watches alone.
    pub met: Vec<(Owner, LimitKey)>,
    /// Limits that only count and had no room for it.
    pub would_refuse: Vec<(Owner, LimitKey)>,
    /// Tokens, where the provider reported them.
    pub usage: Option<Usage>,
    /// What they cost, where the model has a price.
    pub cost: Option<NanoUsd>,
    /// What limits of tokens and money were charged, all tries together; nothing where the call was under none.
    pub charged: Amounts,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// From the request's head to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// How much of the time to the first byte the call waited for others: for the request's body, for room beyond a limit, for the ledger's store, and for providers from
    /// the moment a request is handed to the connection to the part of the answer that has to be known.
    pub waited: Duration,
    /// How much of that it waited for room beyond a limit.
    pub queued: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// How many of them were cut out of the one sent last, so that it fits into its model's window.
    pub cut_bytes: u64,
    /// What of the request was not carried over into the dialect of whoever answered, in the caller's words.
    pub lost: Vec<Cow<'static, str>>,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// The revision of the policy that decided, 12 hex digits; none while the first is awaited.
    pub policy: Option<[u8; 12]>,
    /// The provider's own id of the request.
    pub upstream_request_id: Option<Box<str>>,
    /// What only spans tell; none of calls that are not sampled.
    pub trace: Option<Box<Trace>>,
}

impl CallRecord {
    /// The record of a call that has begun: nothing is known but its ids.
    pub fn begun(id: RequestId, caller_id: Option<Box<str>>) -> Self {
        Self {
            ended: Timestamp::UNIX_EPOCH,
            id,
            caller_id,
            tenant: None,
            user: None,
            app: None,
            key: None,
            api: None,
            route: None,
            downgraded_to: None,
            stream: false,
            status: 0,
            outcome: "",
            refusal: None,
            attempts: SmallVec::new(),
            passed_over: Vec::new(),
            met: Vec::new(),
            would_refuse: Vec::new(),
            usage: None,
            cost: None,
            charged: Amounts::NONE,
            duration: Duration::ZERO,
            first_byte: None,
            waited: Duration::ZERO,
            queued: Duration::ZERO,
            bytes_in: 0,
            cut_bytes: 0,
            lost: Vec::new(),
            bytes_out: 0,
            policy: None,
            upstream_request_id: None,
            trace: None,
        }
    }

    /// Where the answer came from, or was looked for last.
    pub fn destination(&self) -> Option<&Destination> {
        self.attempts.last().map(|attempt| &*attempt.destination)
    }

    /// Why an attempt is an error, by HTTP's convention for clients: 4xx and 5xx are, and whatever gave no answer; that
    /// the caller left is none.
    pub fn attempt_error(&self, at: usize) -> Option<AttemptError> {
        let attempt = self.attempts.get(at)?;
        if let Some(status) = attempt.status.filter(|status| *status >= 400) {
            return Some(AttemptError::Status(status));
        }
        let last = at + 1 == self.attempts.len();
        match attempt.outcome {
            "answered" if last && self.outcome == "stream_interrupted" => {
                Some(AttemptError::Named("stream_interrupted"))
            }
            "abandoned" | "answered" | "hedged_away" => None,
            outcome if outcome.ends_with("timeout") => Some(AttemptError::Named("timeout")),
            outcome => Some(AttemptError::Named(outcome)),
        }
    }

    /// Time in egret up to the first byte of the answer, apart from waiting for others; none of a call that has no
    /// answer.
    pub fn overhead(&self) -> Option<Duration> {
        self.first_byte.map(|first_byte| first_byte.saturating_sub(self.waited))
    }
}

/// A model at a provider, as records name it. Made once per policy, so that a call copies no name.
#[derive(Debug)]
pub struct Destination {
    /// The provider's key in the policy.
    pub provider: ProviderId,
    /// The provider's name by the GenAI conventions (`gen_ai.provider.name`).
    pub convention: Arc<str>,
    /// The model's key in the policy.
    pub model: ModelId,
    /// The provider's name for the model.
    pub name: Arc<str>,
    /// Host and port; none of a scripted provider.
    pub server: Option<(Arc<str>, u16)>,
}

/// One try at one target.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// Where it went.
    pub destination: Arc<Destination>,
    /// How it ended: `answered`, `error_status`, `connect`, `answer_timeout`, ..; `abandoned` where the caller left first,
    /// `hedged_away` where another one answered first.
    pub outcome: &'static str,
    /// The provider's status, where one came.
    pub status: Option<u16>,
    /// What limits of tokens and money held for it.
    pub held: Amounts,
    /// When it began, from the call's start.
    pub began: Duration,
    /// How long it took until its outcome was known.
    pub duration: Duration,
    /// How long it took to its end: of a stream, or a plain answer too large to be held, to the end of that.
    pub lasted: Duration,
    /// Of a stream that began: how long its first event took.
    pub first_chunk: Option<Duration>,
    /// The id of its span; invalid where the call is not sampled.
    pub span: SpanId,
}

/// What `error.type` says of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptError {
    /// The provider's status.
    Status(u16),
    /// What went wrong.
    Named(&'static str),
}

impl AttemptError {
    /// As it is written.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => Cow::Owned(status.to_string()),
            Self::Named(name) => Cow::Borrowed(name),
        }
    }
}

impl From<AttemptError> for opentelemetry::Value {
    fn from(error: AttemptError) -> Self {
        error.name().into()
    }
}

/// A target that was not tried.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// Where the call would have gone.
    pub destination: Arc<Destination>,
    /// Why it did not: `limit`, `provider_limit`, `field_not_allowed`, ..
    pub reason: &'static str,
    /// When, from the call's start.
    pub at: Duration,
}

/// What only the spans of a sampled call tell.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace: the caller's, or one that begins here and has the call's own id.
    pub id: TraceId,
    /// The call's own span.
    pub span: SpanId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// The caller's `tracestate`.
    pub state: Box<str>,
    /// The request's method.
    pub method: Method,
    /// The request's path, without its query.
    pub path: Box<str>,
    /// Method and path's pattern, where one is served there: `POST /v1/chat/completions`.
    pub title: Option<&'static str>,
    /// The request's version of HTTP.
    pub version: Version,
    /// What the caller calls itself.
    pub user_agent: Option<Box<str>>,
    /// Where the caller is.
    pub client: Option<IpAddr>,
    /// The targets that came into question, in order.
    pub candidates: Vec<Arc<Destination>>,
    /// What the request asks for, apart from its words.
    pub params: Params,
    /// What the answer says of itself, apart from its words.
    pub answer: AnswerFacts,
}

/// A limit in logs and spans: a tenant's by its key, for the tenant is named beside it; a provider's with both.
pub fn limit_name<'k>(owner: &Owner, key: &'k LimitKey) -> Cow<'k, str> {
    match owner {
        Owner::Tenant(_) => Cow::Borrowed(key.as_str()),
        Owner::Provider(provider) => Cow::Owned(format!("{provider}/{key}")),
    }
}
