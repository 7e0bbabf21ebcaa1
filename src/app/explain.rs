//! What would become of a call under a running egret.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use super::{State, rehearsal};
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
        let relay = self.apart(&policy);
        rehearsal::stands(&relay, &question.used, &question.down);
        let explaining = pin!(relay.explain(question.request, question.from));
        // Nothing in it waits: the body is here, and no store is asked for a lease.
        match explaining.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(explanation) => Ok(explained::json(&explanation, &|_| None)),
            Poll::Pending => Err("the call would have to wait".to_owned()),
        }
    }
}
