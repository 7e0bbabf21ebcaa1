//! `routes:` as written.

use serde::Deserialize;

use super::{At, Estimate, ReserveOutput, TimeSpan};

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

/// How long to wait for what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection stands, name look-up and TLS included: `connect: 3s`. Default: 3s.
    pub connect: Option<At<TimeSpan>>,
    /// One try without a stream, until the answer is complete: `answer: 300s`. Default: 300s.
    pub answer: Option<At<TimeSpan>>,
    /// The longest silence in a stream: `streamIdle: 60s`. Default: 60s.
    pub stream_idle: Option<At<TimeSpan>>,
    /// The whole call with all its tries, a stream to its end: `total: 600s`. Default: 600s.
    pub total: Option<At<TimeSpan>>,
}
