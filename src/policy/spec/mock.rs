//! `mock:` as written.

use serde::Deserialize;

use super::{At, TimeSpan};

/// How a scripted provider behaves. For trying things out and for tests.
#[derive(Debug, Deserialize)]
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
#[derive(Debug, Deserialize)]
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
    /// The connection breaks after this many chunks of a stream, 0 is before the head: `{ reset: { afterChunks: 3 } }`.
    Reset {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// Nothing more comes after this many chunks, 0 is not even the head: `{ stall: { afterChunks: 0 } }`.
    Stall {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// An error event inside a good stream: `{ errorEvent: { afterChunks: 2 } }`.
    ErrorEvent {
        /// Chunks sent before.
        after_chunks: At<u32>,
    },
    /// A good status and nothing behind it.
    Empty,
    /// A good status and a web page.
    Html,
    /// The head comes late: `{ slowHead: 5s }`.
    SlowHead(At<TimeSpan>),
}
