//! `routes:` as written.

use serde::Deserialize;

use super::{At, Estimate, ReserveOutput, Timeouts};

/// A name that leads to the first of several models that answers:
/// `chat: { targets: [{ model: gpt-4.1 }, { model: deepseek-v3.2 }] }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// How the order of targets is found: `strategy: ordered`. Default: ordered.
    pub strategy: Option<At<Strategy>>,
    /// Where it leads.
    pub targets: At<Vec<At<Target>>>,
    /// How long to wait for what; what is not said here comes from `defaults`.
    pub timeouts: Option<At<Timeouts>>,
    /// How much output limits of tokens and money hold for a call: `reserveOutput: { expect: 1000 }`. Of what tenant, route, model
    /// and `defaults` say the first in this order holds.
    pub reserve_output: Option<At<ReserveOutput>>,
    /// How much input they hold for it: `estimate: calibrated`. The same order.
    pub estimate: Option<At<Estimate>>,
}

/// How the order of targets is found.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// As written.
    Ordered,
}

/// One place to which a route leads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A name under `models`: `model: gpt-4.1`. Always the model, also where a route has the same name.
    pub model: At<String>,
}
