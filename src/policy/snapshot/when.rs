//! Conditions on calls, and where calls say what they are about.

use std::sync::Arc;

use http::HeaderName;

use crate::clock::{Time, TimeZone};
use crate::ids::{LimitKey, PlanId};

/// What has to hold of a call. All that is said; an empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Its input is estimated to be below this.
    pub input_tokens_below: Option<u64>,
    /// Or above this.
    pub input_tokens_above: Option<u64>,
    /// It names one of these tasks.
    pub task: Vec<Box<str>>,
    /// It names one of these priorities.
    pub priority: Vec<Box<str>>,
    /// It asks for one of these skills.
    pub skills: Vec<Box<str>>,
    /// Its tenant has one of these plans.
    pub plan: Vec<PlanId>,
    /// Each of these headers has one of these values; an empty list: any value.
    pub header: Vec<(HeaderName, Vec<Box<str>>)>,
    /// Of each of these limits of its tenant less than so many percent is left.
    pub budget_below: Vec<(LimitKey, u8)>,
    /// It comes at this time.
    pub time_of_day: Option<TimeOfDay>,
}

/// A part of every day; one that ends before it begins goes over midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// From this time on.
    pub from: Time,
    /// Up to this one, which is not part of it.
    pub to: Time,
    /// The days on which it begins, Monday first; all of them where it says none.
    pub days: [bool; 7],
    /// Where.
    pub zone: Arc<TimeZone>,
}

/// Where the calls of a tenant say what they are about; none: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// What they are for: `summarization`.
    pub task: Option<Source>,
    /// How urgent they are: `high`.
    pub priority: Option<Source>,
    /// What the model must be good at, with commas between: `code,vision`.
    pub skills: Option<Source>,
    /// How long they may take: `2500ms`.
    pub latency_budget: Option<Source>,
}

/// Where a call says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a header.
    Header(HeaderName),
    /// In a member of the body's `metadata`.
    Metadata(Box<str>),
}
