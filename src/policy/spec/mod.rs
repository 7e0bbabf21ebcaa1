//! A policy as written: one type per thing that an author can name. The doc comments are the author's manual.
//!
//! No type uses `flatten` or an untagged or internally tagged enum: places would be lost. Fields stand in [`At`], so
//! that each knows its place and one that is faulty does not hide the others.

mod accounting;
mod failover;
mod limit;
mod mock;
mod model;
pub(super) mod planned;
mod provider;
mod route;
mod scalar;
mod tenant;
pub mod test;
mod timeouts;
mod when;

use schemars::JsonSchema;
use serde::Deserialize;

pub use super::node::decode::{At, Entries, Entry};
pub use accounting::{Estimate, OnAbandoned, OnMissingUsage, OnUnpriced, ReserveOutput};
pub use failover::{Backoff, Hedge, KeepAlive, OnAllOpen, OnContextOverflow, OnExhausted, OnLoss, Retry};
pub use limit::{Each, Limit, Mode, OnExceed, OnLedgerDown};
pub use mock::{ErrorCode, Fault, Mock};
pub use model::{Accepts, MaxTokensField, Model, Price, ReasoningForm};
pub use planned::not_built_yet;
pub use provider::{
    Breaker, Dialect, KeyOfPool, KeyPool, KeySource, OfferedApi, Provider, RetryBudget, StreamUsage,
};
pub use route::{Route, Strategy, Target};
pub use scalar::{
    Amount, Buffer, Date, Decimal, Dollars, Expected, HedgeAfter, KeyHash, Left, Moment, Per, Percent, Ratio,
    Size, Time, TimeSpan, Zone,
};
pub use tenant::{Access, AccessMode, Match, Plan, Tenant};
pub use timeouts::{MinRate, Timeouts, TryTimeouts};
pub use when::{Attributes, Source, TimeOfDay, Weekday, When};

/// What every document says at its top.
pub(super) const API_VERSION: &str = "egret.dev/v1alpha1";

/// One document of a policy. Several documents, also of several files, make one policy together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Always `egret.dev/v1alpha1`.
    #[schemars(required, extend("const" = API_VERSION))]
    pub api_version: Option<At<String>>,
    /// Always `Policy`. (Documents of `kind: PolicyTest` may lie beside it; they do not serve.)
    #[schemars(required, extend("const" = "Policy"))]
    pub kind: Option<At<String>>,
    /// A name for this state of the policy, usually the git commit: `revision: "4f2c1a9"`. Shown beside the
    /// revision that egret computes from the text.
    pub revision: Option<At<String>>,
    /// Whether scripted providers (`mock:`) may serve: `allowMock: true`. Default: false, so that no test setting
    /// reaches production by accident.
    pub allow_mock: Option<At<bool>>,
    /// What holds where nothing else is said.
    pub defaults: Option<At<Defaults>>,
    /// Where calls go: endpoints with their keys, by name.
    pub providers: Option<At<Entries<Provider>>>,
    /// What can be asked there, by the names that callers use.
    pub models: Option<At<Entries<Model>>>,
    /// Names that lead to one of several models. Default: none; every model can be asked for by its own name.
    pub routes: Option<At<Entries<Route>>>,
    /// Named sets of limits, for tenants to share. Default: none.
    pub plans: Option<At<Entries<Plan>>>,
    /// Who may call: who pays, and who is limited.
    pub tenants: Option<At<Entries<Tenant>>>,
}

/// What holds where nothing else is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Defaults {
    /// How long to wait for what:
    /// `timeouts: { connect: 3s, firstToken: 60s, streamIdle: 60s, answer: 300s, total: 600s }`, which are also the values
    /// where nothing is said at all.
    pub timeouts: Option<At<Timeouts>>,
    /// How often is tried: `retry: { maxAttempts: 4, backoff: { base: 200ms, max: 5s } }`. Default: 3 times, or as often as
    /// the route has targets if that is more; 250ms to 5s between.
    pub retry: Option<At<Retry>>,
    /// Whether streams that take long to begin are kept alive: `keepAlive: { after: 15s, every: 15s }`. Default: no.
    pub keep_alive: Option<At<KeepAlive>>,
    /// What happens to calls too long for a target's `contextTokens`: `onContextOverflow: reject`, `nextTarget` or
    /// `truncateOldest`. Default: they go as they are, and the provider says.
    pub on_context_overflow: Option<At<OnContextOverflow>>,
    /// What happens to calls that a target's dialect cannot carry whole: `onLoss: warn` leaves out what does not change the
    /// answer's meaning, and tells it in the header `x-egret-lost`; `reject` passes the target over. What changes the
    /// meaning passes a target over in any case. Default: warn.
    pub on_loss: Option<At<OnLoss>>,
    /// What is answered where no target answers: `onExhausted: { respond: "Please try again shortly." }`. Default: an
    /// error.
    pub on_exhausted: Option<At<OnExhausted>>,
    /// What happens while the breakers of all targets are open: `onAllOpen: probe`. Default: reject.
    pub on_all_open: Option<At<OnAllOpen>>,
    /// How much output limits of tokens and money hold for a call: `reserveOutput: { cap: 4096 }`. Of what tenant, route, model
    /// and `defaults` say the first in this order holds. Default: bound.
    pub reserve_output: Option<At<ReserveOutput>>,
    /// How much input they hold for it: `estimate: upperBound`. The same order. Default: calibrated.
    pub estimate: Option<At<Estimate>>,
    /// What a call costs whose provider does not say what it used: `onMissingUsage: estimate`. Default:
    /// chargeReservation.
    pub on_missing_usage: Option<At<OnMissingUsage>>,
    /// What a try costs that was sent and then given up, because it took too long or broke off:
    /// `onAbandoned: reservation`. Default: input.
    pub on_abandoned: Option<At<OnAbandoned>>,
    /// What becomes of calls under a limit of `usd` where a model has no price: `onUnpriced: reject`, or
    /// `onUnpriced: { assume: { inputPerMTok: "5.00", outputPerMTok: "20.00" } }`. Default: such a policy is
    /// refused.
    pub on_unpriced: Option<At<OnUnpriced>>,
}
