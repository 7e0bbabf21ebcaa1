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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers properly.
    None,
    /// An error status with the provider's usual error body.
    Status {
        /// 400 to 599.
        status: u16,
        /// `Retry-After`, in seconds; where Gemini's words are spoken, its `RetryInfo`.
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
    /// The connection is closed right after the head, before any byte of the body.
    ResetAfterHead,
    /// Nothing more comes after this many chunks; 0: not even the head. Ends when the client leaves.
    Stall {
        /// Chunks sent before.
        after_chunks: u32,
    },
    /// The head comes and nothing after it. Ends when the client leaves.
    StallAfterHead,
    /// The answer ends after this many chunks of a stream, as HTTP wants it: no error, no finish reason, no
    /// `[DONE]`.
    ///
    /// A plain answer is half of its JSON, with the length of that half.
    Truncate {
        /// Chunks sent before.
        after_chunks: u32,
    },
    /// An error event inside a 200 stream, after this many chunks; a plain answer is a 200 with an error body.
    ErrorEvent {
        /// Chunks sent before.
        after_chunks: u32,
        /// Which error; none: the provider's own fault, such as a `server_error`.
        code: Option<ErrorCode>,
    },
    /// A 200 whose stream or body is empty.
    Empty,
    /// A 200 stream of signs of life alone: comments; of Anthropic pings, of Gemini blank lines, for its client breaks
    /// at comments. A plain answer is blank lines.
    OnlyPings,
    /// A 200 stream of its terminator alone: `[DONE]`; of Anthropic `message_stop`, of Gemini nothing. A plain answer is
    /// empty.
    OnlyDone,
    /// A 200 with an HTML page.
    Html,
    /// A 200 that calls itself JSON, and is not.
    NotJson,
    /// A proper answer under `text/plain`.
    WrongType,
    /// A proper answer in gzip, though nobody asked for it; each event can be decoded as it comes.
    Gzip,
    /// A 307 to another address.
    Redirect,
    /// Content of this many bytes, whatever bound the call names; embeddings are answered properly.
    ///
    /// The last events of a stream of responses do not repeat the text.
    Large {
        /// Bytes of content, at most 1 TiB.
        bytes: u64,
    },
    /// The head comes late.
    SlowHead {
        /// How late.
        delay: Duration,
    },
    /// The head, and the events of a stream that come before its first token, are sent at once; what follows is late.
    SlowFirstToken {
        /// How late.
        delay: Duration,
        /// How often a sign of life comes meanwhile: as in [`Fault::OnlyPings`], in a plain answer a blank line. Not
        /// zero.
        pings: Option<Duration>,
    },
    /// A stream's words come as slowly as this, whatever the script's own pace.
    SlowStream {
        /// Tokens of one second.
        tokens_per_second: NonZeroU32,
    },
    /// The body comes byte by byte.
    Trickle {
        /// The time of a byte; zero: no longer than it takes to write each by itself.
        pause: Duration,
    },
    /// Every event of a stream comes twice; a plain answer is a proper one.
    Duplicate,
    /// The first two tokens of a stream come in the wrong order; a plain answer is a proper one.
    Shuffle,
    /// Strikes only calls whose key ends so; others are answered properly.
    ForKey {
        /// The last characters of the key.
        ends_with: Box<str>,
        /// What strikes them.
        fault: Box<Self>,
    },
}

/// Errors that callers tell apart by their code, not by their status.
///
/// The statuses named here are OpenAI's. Anthropic and Gemini send each with their own status and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: the prompt is longer than the model's window.
    ContextLengthExceeded,
    /// 400: the provider will not answer this.
    ContentPolicyViolation,
    /// 400: the same, as Azure says it.
    ContentFilter,
    /// 401: our key is wrong.
    InvalidApiKey,
    /// 404: no such model at this provider.
    ModelNotFound,
    /// 429: too many calls or tokens in a minute.
    RateLimitExceeded,
    /// 429: the money is spent; waiting does not help.
    InsufficientQuota,
    /// 429: the same, of an account that pays ahead.
    CreditBalanceExhausted,
    /// 429: the traffic grows too fast.
    SlowDown,
    /// 503: too much to do.
    ServerIsOverloaded,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::ContextLengthExceeded,
        Self::ContentPolicyViolation,
        Self::ContentFilter,
        Self::InvalidApiKey,
        Self::ModelNotFound,
        Self::RateLimitExceeded,
        Self::InsufficientQuota,
        Self::CreditBalanceExhausted,
        Self::SlowDown,
        Self::ServerIsOverloaded,
    ];

    /// The code that is spelt so.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The code as it stands in the error body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ContentPolicyViolation => "content_policy_violation",
            Self::ContentFilter => "content_filter",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ModelNotFound => "model_not_found",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::InsufficientQuota => "insufficient_quota",
            Self::CreditBalanceExhausted => "credit_balance_exhausted",
            Self::SlowDown => "slow_down",
            Self::ServerIsOverloaded => "server_is_overloaded",
        }
    }
}
