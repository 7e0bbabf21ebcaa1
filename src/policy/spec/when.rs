//! Conditions on calls, and where calls say what they are about, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Entries, Left, Time, Zone};

/// How names of headers are written, for editors.
pub(super) const HEADER: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// What has to hold of a call: `{ inputTokensBelow: 8000, task: [summarization] }`. All that is said must hold, of a list
/// one of its values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct When {
    /// Its input is estimated to be below so many tokens: `inputTokensBelow: 8000`.
    pub input_tokens_below: Option<At<u64>>,
    /// Its input is estimated to be above so many tokens: `inputTokensAbove: 8000`.
    pub input_tokens_above: Option<At<u64>>,
    /// It is for one of these tasks: `task: [summarization, extraction]`. Where calls say so, `attributes` of their tenant
    /// tell; one that does not say is for none.
    pub task: Option<At<Vec<At<String>>>>,
    /// It has one of these priorities: `priority: [high]`. As for `task`.
    pub priority: Option<At<Vec<At<String>>>>,
    /// It asks for one of these skills: `skills: [code]`. As for `task`.
    pub skills: Option<At<Vec<At<String>>>>,
    /// Its tenant has one of these plans: `plan: [pro]`.
    pub plan: Option<At<Vec<At<String>>>>,
    /// Each of these headers of it has one of these values: `header: { x-env: [staging] }`. An empty list: any value.
    #[schemars(extend("propertyNames" = { "pattern": HEADER }))]
    pub header: Option<At<Entries<Vec<At<String>>>>>,
    /// Of each of these limits of its tenant less than so much is left, 1% to 100%: `budgetBelow: { month: 20% }`. One
    /// whose tenant has no such limit does not fit.
    pub budget_below: Option<At<Entries<Left>>>,
    /// It comes at this time: `timeOfDay: { from: "22:00", to: "06:00", timeZone: Europe/Berlin }`.
    pub time_of_day: Option<At<TimeOfDay>>,
}

/// A part of the day; one that ends before it begins goes over midnight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeOfDay {
    /// From this time on, quoted: `from: "22:00"`.
    pub from: At<Time>,
    /// Up to this time, which is not part of it: `to: "06:00"`; `to: "00:00"` is the end of the day.
    pub to: At<Time>,
    /// The days on which it begins: `days: [mon, tue, wed, thu, fri]`. Default: all.
    pub days: Option<At<Vec<At<Weekday>>>>,
    /// Where it is so late: `timeZone: Europe/Berlin`. Default: UTC.
    pub time_zone: Option<At<Zone>>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Where the calls of a tenant say what they are about, for `when` and for what reports tell apart:
/// `{ task: { header: x-egret-task } }`. What a call says of itself is believed; who it is, it cannot say here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attributes {
    /// What they are for, such as `summarization`: `task: { header: x-egret-task }`. Default: they do not say.
    pub task: Option<At<Source>>,
    /// How urgent they are, such as `high`: `priority: { metadata: priority }`. Default: they do not say.
    pub priority: Option<At<Source>>,
    /// What the model must be good at, with commas between, such as `code,vision`: `skills: { header: x-egret-skills }`.
    /// Default: they do not say.
    pub skills: Option<At<Source>>,
    /// How long they may take, such as `2500ms`: `latencyBudget: { header: x-egret-latency-budget }`. Default: they do not
    /// say.
    pub latency_budget: Option<At<Source>>,
}

/// Where a call says something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// In a header: `{ header: x-egret-task }`.
    Header(At<String>),
    /// In a member of the body's `metadata`: `{ metadata: task }`.
    Metadata(At<String>),
}
