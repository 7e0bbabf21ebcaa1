//! What a scripted provider does, and when it misbehaves.

use std::num::NonZeroU32;
use std::time::Duration;

/// How a scripted provider behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What every answer says; where it is none, the answer names the model and counts the prompt's words.
    pub says: Option<Box<str>>,
    /// Time until the head of an answer is sent.
    pub latency: Duration,
    /// How fast a stream's words come; none: as fast as they can be written.
    pub tokens_per_second: Option<NonZeroU32>,
    /// How many words an answer has, where `says` is none; at most a million are said.
    pub tokens: NonZeroU32,
    /// Faults, one per request in turn, over and over; empty: none. `Fault::None` is a request that is answered.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            says: None,
            latency: Duration::ZERO,
            tokens_per_second: None,
            tokens: NonZeroU32::MIN.saturating_add(15),
            faults: Vec::new(),
        }
    }
}

/// One way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers properly.
    None,
    /// An error status with the provider's usual error body.
    Status {
        /// 400 to 599.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// The provider's error of this code, with the status and body that go with it.
    Error {
        /// What the provider complains about.
        code: ErrorCode,
    },
    /// The connection is closed after this many chunks of a stream; 0: before the head.
    ///
    /// A stream with fewer chunks ends properly; a plain answer is cut in the middle of its body.
    Reset {
        /// Chunks sent before.
        after_chunks: u32,
    },
    /// Nothing more comes after this many chunks; 0: not even the head. Ends when the client leaves.
    Stall {
        /// Chunks sent before.
        after_chunks: u32,
    },
    /// An error event inside a 200 stream, after this many chunks; a plain answer is a 200 with an error body.
    ErrorEvent {
        /// Chunks sent before.
        after_chunks: u32,
    },
    /// A 200 whose stream or body is empty.
    Empty,
    /// A 200 with an HTML page.
    Html,
    /// The head comes late.
    SlowHead {
        /// How late.
        delay: Duration,
    },
}

/// Errors that callers tell apart by their code, not by their status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: the prompt is longer than the model's window.
    ContextLengthExceeded,
    /// 400: the provider will not answer this.
    ContentPolicyViolation,
    /// 401: our key is wrong.
    InvalidApiKey,
    /// 404: no such model at this provider.
    ModelNotFound,
    /// 429: the money is spent; waiting does not help.
    InsufficientQuota,
    /// 429: the traffic grows too fast.
    SlowDown,
    /// 503: too much to do.
    ServerIsOverloaded,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::ContextLengthExceeded,
        Self::ContentPolicyViolation,
        Self::InvalidApiKey,
        Self::ModelNotFound,
        Self::InsufficientQuota,
        Self::SlowDown,
        Self::ServerIsOverloaded,
    ];

    /// The code as it stands in the error body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ContentPolicyViolation => "content_policy_violation",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ModelNotFound => "model_not_found",
            Self::InsufficientQuota => "insufficient_quota",
            Self::SlowDown => "slow_down",
            Self::ServerIsOverloaded => "server_is_overloaded",
        }
    }
}
