//! `routes:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    At, Estimate, Hedge, KeepAlive, OnAllOpen, OnContextOverflow, OnExhausted, OnLoss, ReserveOutput, Retry,
    Timeouts, When,
};

/// A name that leads to the first of several models that answers:
/// `chat: { targets: [{ model: gpt-4.1 }, { model: deepseek-v3.2 }] }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// How the order of targets is found: `strategy: ordered`, `weighted`, `fastest` or `cheapest`. Default: ordered.
    pub strategy: Option<At<Strategy>>,
    /// Where it leads: `targets: [{ model: gpt-4.1 }, { model: deepseek-v3.2 }]`. What cannot take a call is passed over:
    /// one whose `when` does not hold, whose provider is at a limit or does not offer what is asked, whose breaker is open.
    pub targets: At<Vec<At<Target>>>,
    /// What has to hold of every call by way of it: `when: { plan: [pro] }`. Others are refused. Default: nothing.
    pub when: Option<At<When>>,
    /// How long to wait for what: `timeouts: { firstToken: 8s, total: 300s }`. What is not said here comes from the
    /// target's model, its provider, `defaults`, each field by itself.
    pub timeouts: Option<At<Timeouts>>,
    /// How often is tried: `retry: { maxAttempts: 4, backoff: { base: 200ms, max: 5s } }`. Default: as `defaults` say, each
    /// field by itself.
    pub retry: Option<At<Retry>>,
    /// Whether the next target is asked too where the first takes long: `hedge: { after: p95 }`. Needs two targets.
    /// Default: no.
    pub hedge: Option<At<Hedge>>,
    /// Whether streams that take long to begin are kept alive: `keepAlive: { after: 15s }`. Default: as `defaults` say.
    pub keep_alive: Option<At<KeepAlive>>,
    /// What happens to calls too long for a target's `contextTokens`: `onContextOverflow: nextTarget`. Default: as `defaults`
    /// say.
    pub on_context_overflow: Option<At<OnContextOverflow>>,
    /// What is answered where no target answers: `onExhausted: { respond: "Please try again shortly." }`. Default: as
    /// `defaults` say.
    pub on_exhausted: Option<At<OnExhausted>>,
    /// What happens while the breakers of all targets are open: `onAllOpen: probe`. Default: as `defaults` say.
    pub on_all_open: Option<At<OnAllOpen>>,
    /// What happens to calls that a target's dialect cannot carry whole: `onLoss: reject`. Default: as `defaults` say.
    pub on_loss: Option<At<OnLoss>>,
    /// How much output limits of tokens and money hold for a call: `reserveOutput: { expect: 1000 }`. Of what tenant, route, model
    /// and `defaults` say the first in this order holds.
    pub reserve_output: Option<At<ReserveOutput>>,
    /// How much input they hold for it: `estimate: calibrated`. The same order.
    pub estimate: Option<At<Estimate>>,
}

/// How the order of targets is found.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// As written.
    Ordered,
    /// By the `weight` of each, exactly over time; the others stand in where it fails.
    Weighted,
    /// The one first whose answers begin soonest.
    Fastest,
    /// The one first that this call is expected to cost least at.
    Cheapest,
}

/// One place to which a route leads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A name under `models`: `model: gpt-4.1`. Always the model, also where a route has the same name.
    pub model: At<String>,
    /// Its share of the calls, 1 to 1000, beside those of the others: `weight: 9`. Only with `strategy: weighted`.
    /// Default: 1.
    pub weight: Option<At<u32>>,
    /// What has to hold of a call that is to go there: `when: { inputTokensBelow: 8000 }`. Default: nothing.
    pub when: Option<At<When>>,
}
