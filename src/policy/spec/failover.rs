//! What a route does when targets fail, take long or are too small, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, HedgeAfter, Ratio, TimeSpan};

/// How often is tried, and how long is waited between.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// How many tries a call has, 1 to 20, the first included: `maxAttempts: 4`. Targets that are passed over count as
    /// none. Default: 3, or as many as the route has targets if that is more.
    pub max_attempts: Option<At<u32>>,
    /// How long is waited before the targets are gone through again: `backoff: { base: 200ms, max: 5s }`.
    pub backoff: Option<At<Backoff>>,
}

/// How long is waited before the targets are gone through again: a random part of `base`, of twice as much the next
/// time, and so on up to `max`; at least as long as the provider asks for. Where nobody may be tried within `max`, it is
/// not tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backoff {
    /// The longest first wait, `1ms` to `1m`: `base: 200ms`. Default: 250ms.
    pub base: Option<At<TimeSpan>>,
    /// The longest of all, `1ms` to `10m`, no less than `base`: `max: 5s`. Default: 5s, or `base` if that is more.
    pub max: Option<At<TimeSpan>>,
}

/// When a second target is asked too, whichever answers first: `{ after: p95 }`. What the other one costs, its call
/// costs too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hedge {
    /// How long the first target is waited for alone, `10ms` to `10m`: `after: 2s`; or `after: p95`, as long as 95 of a
    /// hundred of its answers take to begin.
    pub after: At<HedgeAfter>,
    /// The largest part of the calls for which that is done, over 0 to 1: `maxShare: 0.05`, which is also the default.
    pub max_share: Option<At<Ratio>>,
}

/// When a stream that has not begun is kept alive, so that nothing between gives it up: `{ after: 15s, every: 15s }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepAlive {
    /// After so long without an answer its head is sent, `1s` to `10m`: `after: 15s`, which is also the default. From then
    /// on an error comes as an event in the stream and no more as a status.
    pub after: Option<At<TimeSpan>>,
    /// And so often a sign of life in the stream, `1s` to `10m`: `every: 15s`, which is also the default. It is a comment to
    /// OpenAI's clients and a `ping` to Anthropic's; those of Gemini bear neither, and their streams are not kept alive.
    pub every: Option<At<TimeSpan>>,
}

/// What happens to a call that is too long for a target's `contextTokens`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnContextOverflow {
    /// It is refused.
    Reject,
    /// The next target is tried, if its window is larger.
    NextTarget,
    /// Its oldest messages are cut out until it fits; what the system says stays.
    TruncateOldest,
}

/// What is answered where no target answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnExhausted {
    /// This text, 1 to 4000 characters, as if a model had said it: `{ respond: "Please try again shortly." }`.
    Respond(At<String>),
}

/// What happens to a call that a target's dialect cannot carry whole.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnLoss {
    /// What does not change the answer's meaning is left out, and named in the header `x-egret-lost`.
    Warn,
    /// The target is passed over for whatever would be lost.
    Reject,
}

/// What happens while the breakers of all targets are open.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnAllOpen {
    /// The call is refused.
    Reject,
    /// It goes to the one whose breaker closes first.
    Probe,
}
