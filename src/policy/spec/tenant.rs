//! `tenants:` and `plans:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    At, Attributes, Entries, Estimate, KeyHash, Limit, OnAbandoned, OnMissingUsage, OnUnpriced, ReserveOutput,
};

/// Who pays and who is limited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// How its callers are known; one of the entries must fit:
    /// `match: [{ apiKeySha256: "<64 hex from egret key>", name: ci }]`. Default: nobody.
    #[serde(rename = "match")]
    pub matches: Option<At<Vec<At<Match>>>>,
    /// Whether callers in the same pod without a key are this tenant: `local: true`. One tenant may say so.
    /// Default: false.
    pub local: Option<At<bool>>,
    /// Where its calls say what they are about, for `when`: `attributes: { task: { header: x-egret-task } }`. Default:
    /// nowhere; then what asks for it does not hold.
    pub attributes: Option<At<Attributes>>,
    /// A name under `plans`, whose limits it takes over: `plan: pro`. Default: none.
    pub plan: Option<At<String>>,
    /// What it may use. Default: nothing.
    pub access: Option<At<Access>>,
    /// Its limits by name: `limits: { rpm: { requests: 100, per: 1m } }`. One of the same name in its plan is
    /// replaced as a whole. Default: the plan's.
    pub limits: Option<At<Entries<Limit>>>,
    /// How much output limits of tokens and money hold for a call: `reserveOutput: { cap: 2048 }`. Of what tenant, route, model
    /// and `defaults` say the first in this order holds.
    pub reserve_output: Option<At<ReserveOutput>>,
    /// How much input they hold for it: `estimate: upperBound`. The same order.
    pub estimate: Option<At<Estimate>>,
    /// What a call costs whose provider does not say what it used: `onMissingUsage: estimate`. Default: as
    /// `defaults` say.
    pub on_missing_usage: Option<At<OnMissingUsage>>,
    /// What a try costs that was sent and then given up, because it took too long or broke off:
    /// `onAbandoned: reservation`. Default: as `defaults` say.
    pub on_abandoned: Option<At<OnAbandoned>>,
    /// What becomes of calls under a limit of `usd` where a model has no price: `onUnpriced: reject`, or
    /// `onUnpriced: { assume: { inputPerMTok: "5.00", outputPerMTok: "20.00" } }`. Default: as `defaults`
    /// say.
    pub on_unpriced: Option<At<OnUnpriced>>,
    /// Whether plain JSON answers tell what they used and cost, in a last member `egret`: `annotate: true`. Streams stay
    /// as they are. Default: false, so that bodies are the provider's own.
    pub annotate: Option<At<bool>>,
}

/// One way to know a caller. What stands in one entry must all hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// The SHA-256 of the caller's key, 64 hex digits. `egret key` makes a key and prints it.
    #[serde(rename = "apiKeySha256")]
    #[schemars(with = "KeyHash")]
    pub api_key_sha256: Option<At<KeyHash>>,
    /// A name for this key, for limits with `each: key` and for logs: `name: ci`. Default: none.
    pub name: Option<At<String>>,
    /// The user behind it, for limits with `each: user`: `user: pipeline`. Default: unknown.
    pub user: Option<At<String>>,
    /// The application behind it, for limits with `each: app`: `app: checkout-api`. Default: unknown.
    pub app: Option<At<String>>,
}

/// What a tenant may use. `*` stands for any text in a name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// Routes and models that it may ask for: `allow: [chat, "claude-*"]`. Allowing a route allows its targets
    /// through that route. Default: none.
    pub allow: Option<At<Vec<At<String>>>>,
    /// Models that never serve it, through whatever name: `deny: ["*-preview"]`. Wins over `allow`. Default: none.
    pub deny: Option<At<Vec<At<String>>>>,
    /// Whether it holds: `mode: enforce`. Default: enforce.
    pub mode: Option<At<AccessMode>>,
}

/// Whether what a tenant may use holds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AccessMode {
    /// It holds.
    Enforce,
}

/// A named set of limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Its limits by name: `limits: { rpm: { requests: 100, per: 1m, each: user } }`.
    pub limits: Option<At<Entries<Limit>>>,
}
