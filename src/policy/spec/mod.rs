//! A policy as written: one type per thing that an author can name. The doc comments are the author's manual.
//!
//! No type uses `flatten` or an untagged or internally tagged enum: places would be lost. Fields stand in [`At`], so
//! that each knows its place and one that is faulty does not hide the others.

mod limit;
mod mock;
mod model;
pub(super) mod planned;
mod provider;
mod route;
mod scalar;
mod tenant;

use serde::Deserialize;

pub use super::node::decode::{At, Entries, Entry};
pub use limit::{Each, Limit, Mode, OnExceed};
pub use mock::{Fault, Mock};
pub use model::{Model, Price};
pub use provider::{Dialect, KeySource, OfferedApi, Provider, StreamUsage};
pub use route::{Route, Strategy, Target, Timeouts};
pub use scalar::{Date, Decimal, KeyHash, Per, TimeSpan};
pub use tenant::{Access, Match, Plan, Tenant};

/// One document of a policy. Several documents, also of several files, make one policy together.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Always `egret.dev/v1alpha1`.
    pub api_version: Option<At<String>>,
    /// Always `Policy`. (Documents of `kind: PolicyTest` may lie beside it; they do not serve.)
    pub kind: Option<At<String>>,
    /// A name for this state of the policy, usually the git commit: `revision: "4f2c1a9"`. Shown beside the
    /// revision that egret computes from the text.
    pub revision: Option<At<String>>,
    /// Whether scripted providers (`mock:`) may serve: `allowMock: true`. Default: false, so that no test setting
    /// reaches production by accident.
    pub allow_mock: Option<At<bool>>,
    /// What holds where a route says nothing else.
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

/// What holds where a route says nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Defaults {
    /// How long to wait for what: `timeouts: { connect: 3s, answer: 300s, streamIdle: 60s, total: 600s }`, which are
    /// also the values where nothing is said at all.
    pub timeouts: Option<At<Timeouts>>,
}
