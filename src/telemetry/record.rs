//! What is known of a call once it has ended.

use std::time::Duration;

use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::ids::{AppId, KeyName, ModelId, ProviderId, RequestId, RouteId, TenantId, UserId};
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
    /// The model that answered, or was tried last.
    pub model: Option<ModelId>,
    /// Its provider.
    pub provider: Option<ProviderId>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The status that the caller saw; 499 where the caller left before one was sent.
    pub status: u16,
    /// How the call ended: `answered`, `refused`, `upstream_error`, `upstream_failed`, `stream_interrupted`, `client_gone`.
    pub outcome: &'static str,
    /// Why we refused: the stable code of the cause.
    pub refusal: Option<&'static str>,
    /// Every try, in order.
    pub attempts: SmallVec<[AttemptRecord; 2]>,
    /// Tokens, where the provider reported them.
    pub usage: Option<Usage>,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// From the request's head to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// The revision of the policy that decided, 12 hex digits; none while the first is awaited.
    pub policy: Option<[u8; 12]>,
    /// The provider's own id of the request.
    pub upstream_request_id: Option<Box<str>>,
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
            model: None,
            provider: None,
            stream: false,
            status: 0,
            outcome: "",
            refusal: None,
            attempts: SmallVec::new(),
            usage: None,
            duration: Duration::ZERO,
            first_byte: None,
            bytes_in: 0,
            bytes_out: 0,
            policy: None,
            upstream_request_id: None,
        }
    }
}

/// One try at one target.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// The target's provider.
    pub provider: ProviderId,
    /// The target.
    pub model: ModelId,
    /// How it ended: `answered`, `error_status`, `connect`, `answer_timeout`, ..
    pub outcome: &'static str,
    /// The provider's status, where one came.
    pub status: Option<u16>,
    /// How long it took until its outcome was known.
    pub duration: Duration,
}
