//! What would become of a call, told before anybody is asked.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::{Api, Dialect};
use crate::ids::KeyName;
use crate::limits::{Amounts, Rule};
use crate::policy::snapshot::{Model, Principal, Route};
use crate::units::{NanoUsd, Tokens};

/// What would become of a call.
#[derive(Debug, Default)]
pub struct Explanation {
    /// Who calls; none where nobody knows.
    pub principal: Option<Arc<Principal>>,
    /// What is asked for; none where the request was refused before its body was read.
    pub said: Option<Said>,
    /// Where it may go: by way of the name asked for, then by that to which a limit downgrades it.
    pub looks: Vec<Look>,
    /// How long it waits for room at most, where a limit lets it and there may be some in time.
    pub waits: Option<Duration>,
    /// What egret answers by itself; nobody is asked then, unless it waited before.
    pub refused: Option<Refused>,
}

impl Explanation {
    /// The most that an answer may cost, of whoever gives it; none where nobody is asked, or somebody's has no bound.
    pub fn worst(&self) -> Option<NanoUsd> {
        let candidates = self.looks.iter().flat_map(|look| &look.candidates);
        let tried = candidates.filter_map(|candidate| match &candidate.verdict {
            Verdict::Tried(tried) => Some(tried.bounds.usd),
            Verdict::PassedOver { .. } | Verdict::NotReached => None,
        });
        tried.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

/// What a call asks for.
#[derive(Debug)]
pub struct Said {
    /// By which operation.
    pub api: Api,
    /// The name asked for.
    pub name: Box<str>,
    /// Whether it is a stream.
    pub stream: bool,
    /// The length of its body.
    pub bytes: u64,
    /// The bound on output that the caller names.
    pub max_output: Option<Tokens>,
    /// What it says that it is for.
    pub task: Option<Box<str>>,
    /// How urgent it says it is.
    pub priority: Option<Box<str>>,
}

/// The candidates behind one name.
#[derive(Debug)]
pub struct Look {
    /// The name.
    pub route: Arc<Route>,
    /// When the call is over, from its begin.
    pub total: Duration,
    /// They, in the order in which they are looked at; those that come into no question last.
    pub candidates: Vec<Candidate>,
}

/// One place to which a call may go.
#[derive(Debug)]
pub struct Candidate {
    /// What is asked there.
    pub model: Arc<Model>,
    /// Whether it would be tried.
    pub verdict: Verdict,
    /// Every limit that counts a try there: the tenant's, then its provider's. Empty where that is not looked at.
    pub rooms: Vec<Room>,
}

/// Whether a candidate would be tried.
#[derive(Debug)]
pub enum Verdict {
    /// It is tried, should those before it fail.
    Tried(Try),
    /// It is passed over.
    PassedOver {
        /// Why, in the words of the access log.
        reason: &'static str,
        /// What its caller would hear of it, where the call does not fit there.
        says: Option<Box<str>>,
    },
    /// It is not looked at: the call is over before.
    NotReached,
}

/// A try that would be made.
#[derive(Debug)]
pub struct Try {
    /// The provider's key that is used; none where it wants none.
    pub key: Option<KeyName>,
    /// Whether that key is where the policy says; where it is not, the next one is tried.
    pub key_is_there: bool,
    /// What is held for it of limits that count tokens or money.
    pub held: Amounts,
    /// What it may come to.
    pub bounds: Bounds,
    /// What is sent that the caller did not write, or is left out.
    pub edits: Edits,
}

/// What a try may come to at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Its input, as estimated.
    pub input: Tokens,
    /// Its output; none where nobody bounds it.
    pub output: Option<Tokens>,
    /// What both cost; none where there is no bound or no price.
    pub usd: Option<NanoUsd>,
}

/// What is sent to a provider that the caller did not write, or left out.
#[derive(Debug, Default)]
pub struct Edits {
    /// The provider's name for the model, where it is another than the one asked for.
    pub model: Option<Arc<str>>,
    /// The bound on each answer that is written into the call.
    pub cap: Option<Tokens>,
    /// Whether it is below what the caller, or nobody, would have it: a limit has no more room.
    pub lowers: bool,
    /// How many of its messages are left out.
    pub cut_messages: u32,
    /// The dialect and operation into which it is translated.
    pub translated: Option<(Dialect, Api)>,
    /// What is not carried over there, in the caller's words.
    pub lost: Vec<Cow<'static, str>>,
}

/// Where a call stands with one limit.
#[derive(Debug)]
pub struct Room {
    /// The limit.
    pub rule: Rule,
    /// Whose count it is, of a limit with `each`; `(none)` where the call has no such name.
    pub of: Option<Box<str>>,
    /// What the try asks of it: calls, tokens, nano-dollars, places.
    pub asks: u64,
    /// What may be granted now.
    pub left: u64,
}

impl Room {
    /// Whether there is room for the call.
    pub fn has_room(&self) -> bool {
        self.asks <= self.left
    }
}

/// What egret answers by itself.
#[derive(Debug)]
pub struct Refused {
    /// The status, in the caller's dialect.
    pub status: u16,
    /// Why, as in the access log.
    pub code: &'static str,
    /// The sentence.
    pub message: Box<str>,
    /// After how long another try may help, as far as that is known.
    pub wait: Option<Duration>,
    /// Whether the caller hears the policy's own answer in its place, by `onExhausted`.
    pub is_replaced: bool,
}
