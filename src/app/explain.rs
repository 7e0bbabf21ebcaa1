//! What would become of a call under a running egret.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use super::{State, rehearsal};
use crate::limits::{Owner, Rule};
use crate::scenario::{Inquiry, explained};

impl State {
    /// What would become of a call that came now, on a copy of what is counted and known: nothing is changed by it.
    /// `inquiry` is the JSON of an [`Inquiry`].
    ///
    /// # Errors
    /// A sentence: what is wrong with the inquiry.
    pub fn explain(&self, inquiry: &[u8]) -> Result<Value, String> {
        let Some(policy) = self.shared.store.load() else {
            return Err("no good policy is loaded".to_owned());
        };
        let question = Inquiry::read(inquiry)?.under(&policy)?;
        if question.at.is_some() {
            return Err("a running egret has its own time: leave `at` out".to_owned());
        }
        // Only what may count this call is copied.
        let tenant = self.shared.settings.stamp.as_ref().or(question.tenant.as_ref());
        let named = |rule: &Rule| question.used.iter().any(|used| used.rule.contains(rule));
        let counts = |rule: &Rule| match &rule.owner {
            Owner::Provider(_) => true,
            Owner::Tenant(owner) => {
                Some(owner) == tenant || Some(owner) == question.tenant.as_ref() || named(rule)
            }
        };
        let relay = self.apart(&policy, counts);
        rehearsal::stands(&relay, &question.used, &question.down);
        let explaining = pin!(relay.explain(question.request, question.from));
        // Nothing in it waits: the body is here, and no store is asked for a lease.
        match explaining.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(explanation) => {
                let mut json = explained::json(&explanation, &|_| None);
                // Its limits may let nobody pass then, or everybody: `onLedgerDown`. The copy does not.
                json["ledgerDown"] = self.shared.ledger.is_down().into();
                Ok(json)
            }
            Poll::Pending => Err("the call would have to wait".to_owned()),
        }
    }
}
