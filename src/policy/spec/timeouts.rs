//! `timeouts:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, TimeSpan};

/// How long to wait for what, where a whole call is spoken of: at routes and in `defaults`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection stands, name look-up and TLS included: `connect: 3s`. Default: 3s.
    pub connect: Option<At<TimeSpan>>,
    /// Streams: from the begin of a try to its first content: `firstToken: 8s`. Signs of life that say nothing do not
    /// count. Default: 60s.
    pub first_token: Option<At<TimeSpan>>,
    /// The longest silence in a stream: `streamIdle: 60s`. Default: 60s.
    pub stream_idle: Option<At<TimeSpan>>,
    /// One try without a stream, until the answer is complete: `answer: 300s`. Default: 300s.
    pub answer: Option<At<TimeSpan>>,
    /// How fast a stream has to begin: `minRate: { tokensPerSecond: 5, over: 2s }`. Default: however slowly.
    pub min_rate: Option<At<MinRate>>,
    /// The whole call with all its tries, a stream to its end: `total: 600s`. Default: 600s.
    pub total: Option<At<TimeSpan>>,
}

/// How long one try waits for what: at providers and models.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TryTimeouts {
    /// Until a connection stands, name look-up and TLS included: `connect: 1s`. Default: as `defaults` say.
    pub connect: Option<At<TimeSpan>>,
    /// Streams: from the begin of a try to its first content: `firstToken: 20s`. Default: as `defaults` say.
    pub first_token: Option<At<TimeSpan>>,
    /// The longest silence in a stream: `streamIdle: 30s`. Default: as `defaults` say.
    pub stream_idle: Option<At<TimeSpan>>,
    /// One try without a stream, until the answer is complete: `answer: 500s`. Default: as `defaults` say.
    pub answer: Option<At<TimeSpan>>,
    /// How fast a stream has to begin: `minRate: { tokensPerSecond: 5, over: 2s }`. Default: as `defaults` say.
    pub min_rate: Option<At<MinRate>>,
}

/// The slowest begin of a stream that is an answer: `{ tokensPerSecond: 5, over: 2s }`. A slower one is given up for
/// another target, as long as nothing of it has gone to the caller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MinRate {
    /// So many tokens a second at least: `tokensPerSecond: 5`.
    pub tokens_per_second: At<u32>,
    /// Looked at over so long, from the first token on, `100ms` to `1m`: `over: 2s`.
    pub over: At<TimeSpan>,
}
