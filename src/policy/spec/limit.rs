//! A limit as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Buffer, Dollars, Per, TimeSpan, Zone};

/// How much of what, and in which time: `rpm: { requests: 100, per: 1m, each: user }`,
/// `tpm: { tokens: 200000, per: 1m }`, `month: { usd: "500.00", per: month }` or `open: { concurrent: 40 }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["requests", "per"] },
    { "required": ["tokens", "per"] },
    { "required": ["inputTokens", "per"] },
    { "required": ["outputTokens", "per"] },
    { "required": ["usd", "per"] },
    { "required": ["concurrent"] },
]))]
pub struct Limit {
    /// Calls per window: `requests: 100`.
    pub requests: Option<At<u32>>,
    /// Tokens per window, all input and all output: `tokens: 200000`. Tokens read from a provider's cache count.
    pub tokens: Option<At<u64>>,
    /// Tokens of input per window, those from a provider's cache included: `inputTokens: 150000`.
    pub input_tokens: Option<At<u64>>,
    /// Tokens of output per window, reasoning included: `outputTokens: 50000`.
    pub output_tokens: Option<At<u64>>,
    /// US dollars per window, quoted so that no digit is lost: `usd: "500.00"`. Every model that may serve needs a
    /// `price`, unless `onUnpriced` says otherwise; under `mode: shadow` one without a price counts nothing.
    pub usd: Option<At<Dollars>>,
    /// Calls at once; a stream counts until its end: `concurrent: 40`.
    pub concurrent: Option<At<u32>>,
    /// The window: `per: 1m`, from `1s` to `31d`, rolls; `per: day`, `per: week` and `per: month` begin at midnight,
    /// weeks on Monday. A call counts in the window in which it began.
    pub per: Option<At<Per>>,
    /// Whose midnight it is, for `per: day`, `week` and `month`: `timeZone: Europe/Berlin`. Default: UTC.
    pub time_zone: Option<At<Zone>>,
    /// What gets a count of its own: `each: user`. Default: the whole tenant shares one. At a provider it is `each:
    /// model` or `each: providerKey`; default: all tenants, models and keys share one.
    pub each: Option<At<Each>>,
    /// Whether it holds: `mode: shadow` counts every call and refuses none; what it would have refused is told by the
    /// metric `egret_limit_would_refuse_total`, the access log and spans. Turned to `enforce` it starts from its count, at
    /// most the limit. What it says of refusals holds from then on. Default: enforce.
    pub mode: Option<At<Mode>>,
    /// What of a limit of tokens or `usd` is granted to no call, so that what calls use beyond what was held for them
    /// (`reserveOutput: { expect: .. }`, an input estimated too low) lands within the limit: `reserveBuffer: 10%`, from
    /// 1% to 50%. Default: nothing.
    pub reserve_buffer: Option<At<Buffer>>,
    /// What happens beyond it: `onExceed: { clamp: { atLeast: 256 } }`. Default: reject. Not at a provider, whose limits
    /// never refuse a caller: its models are passed over.
    pub on_exceed: Option<At<OnExceed>>,
    /// The name that it had before: `was: budget`. It goes on with the counts of that name, those of calls under way
    /// too, unless it has counts of its own; with another unit, kind of window or `each` it starts anew. May stay
    /// here. Default: a new name starts anew.
    pub was: Option<At<String>>,
    /// What it does while the store of a durable ledger (`--ledger file:PATH`) fails: `onLedgerDown: deny` refuses,
    /// `spendLease` grants what the store has already been told of and then refuses, `allow` counts in memory alone. A
    /// ledger in memory has no store that could fail. Default: spendLease.
    pub on_ledger_down: Option<At<OnLedgerDown>>,
    /// The status of its refusals, for limits of `usd` and those `per: day`, `week` or `month`: `budgetStatus: 402`.
    /// Default: 429. Not at a provider.
    pub budget_status: Option<At<u16>>,
}

/// What gets a count of its own.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Each {
    /// Each user.
    User,
    /// Each application.
    App,
    /// Each key, by its name.
    Key,
    /// Each model that serves.
    Model,
    /// Of a provider's limit: each of its keys.
    ProviderKey,
}

/// Whether a limit holds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// It holds.
    Enforce,
    /// It only counts.
    Shadow,
}

/// What happens to a call beyond a limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum OnExceed {
    /// It is refused.
    Reject,
    /// It may write as much as there is room for, if that is worth while: `{ clamp: { atLeast: 256 } }`. For limits of
    /// `tokens`, `outputTokens` and `usd`. The bound is written into the request, also in the place of a larger one that the
    /// caller names, and told in the header `x-egret-clamped`.
    Clamp {
        /// Tokens that each answer may have at least; below it the call is refused. Of several such limits of a tenant the
        /// largest number holds.
        at_least: At<u64>,
    },
    /// It waits for room: `{ queue: { maxWait: 5s } }`, where no target has any. First come, first served: nobody gets before
    /// those who wait, also no smaller call. At most 1,000 callers wait at a limit, or at each user, app, key or model of
    /// its `each`. Who would have to wait longer than `maxWait` is refused at once, and told how long; so is who waits for
    /// the turn of a calendar alone.
    Queue {
        /// The longest wait, from `10ms` to `60s`; also bounded by the route's `total`.
        max_wait: At<TimeSpan>,
    },
    /// It is served by way of another route or model: `{ downgrade: { to: cheap } }`. The limit counts no call that goes
    /// that way, also none that asks for it by its name; every limit of the tenant that does not downgrade there counts it.
    /// It happens only where no target of the route asked for has room, and not twice: beyond a limit met on the other
    /// way the call is refused, clamped or waits. The header `x-egret-model` tells who answered.
    Downgrade {
        /// A name under `routes` or `models` that the tenant may use.
        to: At<String>,
    },
}

impl OnExceed {
    /// Whether the call is refused and nothing else is tried.
    pub fn is_reject(&self) -> bool {
        match self {
            Self::Reject => true,
            Self::Clamp { .. } | Self::Queue { .. } | Self::Downgrade { .. } => false,
        }
    }
}

/// What a limit does while the ledger's store fails.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnLedgerDown {
    /// It refuses.
    Deny,
    /// It grants what the store has been told of, then refuses.
    SpendLease,
    /// It counts in memory alone.
    Allow,
}
