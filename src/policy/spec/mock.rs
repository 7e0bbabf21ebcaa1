//! `mock:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Size, TimeSpan};

/// How a scripted provider behaves. For trying things out and for tests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mock {
    /// What every answer says: `says: "Hello from egret."`. Default: a text that names the model.
    pub says: Option<At<String>>,
    /// How long it thinks before an answer begins: `latency: 200ms`. Default: not at all.
    pub latency: Option<At<TimeSpan>>,
    /// How fast a stream's words come: `tokensPerSecond: 50`. Default: as fast as they can be written.
    pub tokens_per_second: Option<At<u32>>,
    /// How many words an answer has where `says` is not given: `tokens: 200`. Default: 16.
    pub tokens: Option<At<u32>>,
    /// Faults, one per request in turn, over and over; `ok` is a request without one:
    /// `faults: [ok, { status: { code: 429, retryAfter: 7s } }]`. Default: none.
    pub faults: Option<At<Vec<At<Fault>>>>,
}

/// One way to fail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// Answers properly.
    Ok,
    /// An error status: `{ status: { code: 429, retryAfter: 7s } }`.
    Status {
        /// 400 to 599.
        code: At<u16>,
        /// What `Retry-After` says, in whole seconds. Default: no such header.
        retry_after: Option<At<TimeSpan>>,
    },
    /// An error by its code, with the status and body that a provider sends with it: `{ error: insufficient_quota }`.
    Error(At<ErrorCode>),
    /// The connection breaks after this many chunks of a stream, 0 is before the head: `{ reset: { afterChunks: 3 } }`.
    Reset {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// The connection breaks right after the head, before any byte of the body.
    ResetAfterHead,
    /// Nothing more comes after this many chunks, 0 is not even the head: `{ stall: { afterChunks: 0 } }`.
    Stall {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// The head comes and nothing after it.
    StallAfterHead,
    /// The answer ends after this many chunks of a stream as if it were complete, without finish reason and `[DONE]`;
    /// a plain answer is half of its JSON: `{ truncate: { afterChunks: 2 } }`.
    Truncate {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// An error event inside a good stream, a plain answer with a good status and an error in it:
    /// `{ errorEvent: { afterChunks: 2, code: rate_limit_exceeded } }`.
    ErrorEvent {
        /// Chunks sent before.
        after_chunks: At<u32>,
        /// Which error: `code: slow_down`. Default: the provider's own fault, such as a `server_error`.
        code: Option<At<ErrorCode>>,
    },
    /// A good status and nothing behind it.
    Empty,
    /// A good status and a stream of signs of life alone, such as comments; a plain answer is blank lines.
    OnlyPings,
    /// A good status and a stream of its terminator alone, such as `[DONE]`; a plain answer is empty.
    OnlyDone,
    /// A good status and a web page.
    Html,
    /// A good status and what calls itself JSON, but is not.
    NotJson,
    /// A good answer that calls itself `text/plain`.
    WrongType,
    /// A good answer in gzip, though nobody asked for it.
    Gzip,
    /// A 307 to another address.
    Redirect,
    /// Content of so many bytes, whatever bound the call names: `{ large: 100Mi }`.
    Large(At<Size>),
    /// The head comes late: `{ slowHead: 5s }`.
    SlowHead(At<TimeSpan>),
    /// What comes before the first token is sent at once, the token late: `{ slowFirstToken: { delay: 5s, pings: 1s } }`.
    SlowFirstToken {
        /// How late: `delay: 5s`.
        delay: At<TimeSpan>,
        /// How often a sign of life comes meanwhile, in a plain answer a blank line: `pings: 1s`. Default: never.
        pings: Option<At<TimeSpan>>,
    },
    /// A stream's words come as slowly as this, in tokens of a second: `{ slowStream: 2 }`.
    SlowStream(At<u32>),
    /// The body comes byte by byte, with this pause before each, which may be zero: `{ trickle: 20ms }`.
    Trickle(At<TimeSpan>),
    /// Every event of a stream comes twice.
    Duplicate,
    /// The first two tokens of a stream come in the wrong order.
    Shuffle,
    /// An error status, but only for calls whose key ends so: `{ forKey: { endsWith: "aaa", code: 401 } }`.
    ForKey {
        /// The last characters of the key: `endsWith: "aaa"`. They stand here to be read, so let it be no real key.
        ends_with: At<String>,
        /// 400 to 599.
        code: At<u16>,
        /// What `Retry-After` says, in whole seconds. Default: no such header.
        retry_after: Option<At<TimeSpan>>,
    },
}

/// What a scripted provider complains about.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the prompt is longer than the model's window.
    ContextLengthExceeded,
    /// 400: the provider will not answer this.
    ContentPolicyViolation,
    /// 400: the same, as Azure says it.
    ContentFilter,
    /// 401: the key is wrong.
    InvalidApiKey,
    /// 404: no such model.
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
