//! Compiled policy tests: what is to be tried under a policy, and what is to come of it. Only `compile` makes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::diagnostic::Place;
use super::snapshot::Principal;
use crate::clock::Timestamp;
use crate::dialect::Api;
use crate::ids::ProviderId;
use crate::limits::{Rule, Unit};
use crate::mock::Script;
use crate::units::NanoUsd;

/// One test.
#[derive(Debug)]
pub struct Test {
    /// What it says of the policy.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// When it begins.
    pub at: Timestamp,
    /// What limits have counted before.
    pub used: Vec<Used>,
    /// How providers behave; those that are not named answer well.
    pub scripts: Scripts,
    /// The calls, in order. Never empty.
    pub steps: Vec<Step>,
}

/// How providers behave.
pub type Scripts = HashMap<ProviderId, Arc<Script>>;

/// What a limit has counted.
#[derive(Debug)]
pub struct Used {
    /// The limit, alone.
    pub rule: Arc<[Rule]>,
    /// So many calls, tokens, nano-dollars, or calls under way.
    pub amount: u64,
    /// Whose, of a limit with `each`.
    pub of: Option<Box<str>>,
}

/// A call, once or several times.
#[derive(Debug)]
pub struct Step {
    /// So long after the one before has ended.
    pub after: Duration,
    /// So often.
    pub times: u32,
    /// How providers behave from here on, where that changes.
    pub scripts: Scripts,
    /// Who calls.
    pub caller: Caller,
    /// The call.
    pub call: Call,
    /// What is to come of it, each time.
    pub expected: Vec<Expected>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// One that the policy knows.
    Known(Arc<Principal>),
    /// From loopback, without a key.
    Local,
    /// With a key that the policy does not know.
    UnknownKey,
    /// From another host, without a key.
    Afar,
}

/// A call that a test makes.
#[derive(Debug)]
pub struct Call {
    /// The name asked for.
    pub model: Box<str>,
    /// By which operation.
    pub api: Api,
    /// What is asked.
    pub prompt: Prompt,
    /// The bound on output that the caller names.
    pub max_tokens: Option<u32>,
    /// Whether it is a stream.
    pub stream: bool,
    /// Headers that the caller sends.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What it says under `metadata`.
    pub metadata: Vec<(Box<str>, Box<str>)>,
    /// Other members of the body.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// This.
    Text(Box<str>),
    /// Something of about so many tokens.
    Tokens(u32),
}

/// One thing that is to come of a call.
#[derive(Debug)]
pub struct Expected {
    /// Where it is said.
    pub place: Place,
    /// What.
    pub what: Wanted,
}

/// What may be expected of a call.
#[derive(Debug)]
pub enum Wanted {
    /// The status that the caller sees.
    Status(u16),
    /// Why it was refused.
    Code(Box<str>),
    /// A part of a refusal's sentence.
    Message(Box<str>),
    /// How it ended.
    Outcome(Box<str>),
    /// For whom it was taken.
    Tenant(Box<str>),
    /// That tenant's plan.
    Plan(Box<str>),
    /// The name asked for.
    Route(Box<str>),
    /// The name by way of which it went instead.
    DowngradedTo(Box<str>),
    /// The model that answered.
    Target(Box<str>),
    /// The models that were tried.
    Tried(Vec<Box<str>>),
    /// How these tries ended.
    Outcomes(Vec<Box<str>>),
    /// A model that was passed over, and why.
    PassedOver(Box<str>, Box<str>),
    /// What the first try held of a unit.
    Reserved(Unit, u64),
    /// What the call was charged of a unit.
    Charged(Unit, u64),
    /// What it cost.
    Cost(NanoUsd),
    /// What is left of a limit of the caller's.
    Left(Box<Rule>, u64),
    /// A header of the answer.
    Header(HeaderName, Box<str>),
    /// What the answer says.
    Says(Box<str>),
    /// After how long it is to be tried again.
    RetryAfter(Duration),
    /// The bound that was written into it.
    ClampedTo(u64),
    /// What was left out of it.
    Lost(Vec<Box<str>>),
    /// Limits that only count and had no room.
    WouldRefuse(Vec<Box<str>>),
    /// How long it took at most.
    Within(Duration),
}

impl Wanted {
    /// The field of a policy test that says it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Code(_) => "code",
            Self::Message(_) => "message",
            Self::Outcome(_) => "outcome",
            Self::Tenant(_) => "tenant",
            Self::Plan(_) => "plan",
            Self::Route(_) => "route",
            Self::DowngradedTo(_) => "downgradedTo",
            Self::Target(_) => "target",
            Self::Tried(_) => "tried",
            Self::Outcomes(_) => "outcomes",
            Self::PassedOver(..) => "passedOver",
            Self::Reserved(..) => "reserved",
            Self::Charged(..) => "charged",
            Self::Cost(_) => "cost",
            Self::Left(..) => "left",
            Self::Header(..) => "headers",
            Self::Says(_) => "says",
            Self::RetryAfter(_) => "retryAfter",
            Self::ClampedTo(_) => "clampedTo",
            Self::Lost(_) => "lost",
            Self::WouldRefuse(_) => "wouldRefuse",
            Self::Within(_) => "within",
        }
    }
}
