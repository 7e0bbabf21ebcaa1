//! A limit as written.

use serde::Deserialize;

use super::{At, Per};

/// How much of what: `rpm: { requests: 100, per: 1m, each: user }` or `open: { concurrent: 40 }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Calls per window: `requests: 100`.
    pub requests: Option<At<u32>>,
    /// Calls at once; a stream counts until its end: `concurrent: 40`.
    pub concurrent: Option<At<u32>>,
    /// The window of `requests`, which rolls: `per: 1m`. From `1s` on.
    pub per: Option<At<Per>>,
    /// What gets a count of its own: `each: user`. Default: the whole tenant shares one.
    pub each: Option<At<Each>>,
    /// Whether it holds: `mode: enforce`. Default: enforce.
    pub mode: Option<At<Mode>>,
    /// What happens beyond it: `onExceed: reject`. Default: reject.
    pub on_exceed: Option<At<OnExceed>>,
}

/// What gets a count of its own.
#[derive(Clone, Copy, Debug, Deserialize)]
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
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// It holds.
    Enforce,
}

/// What happens to a call beyond a limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnExceed {
    /// It is refused.
    Reject,
}
