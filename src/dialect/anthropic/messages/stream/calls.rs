//! Calls that have begun while another one's block is open: blocks do not mix, so these wait.

use std::collections::VecDeque;

use crate::dialect::neutral::{Literal, Signature};

/// So many bytes wait at most.
const MOST: usize = crate::dialect::sse::MAX_EVENT;

/// A call whose block has not been opened yet, with what it has said.
pub(super) struct Waiting {
    pub(super) index: u32,
    pub(super) id: Literal<'static>,
    pub(super) name: Literal<'static>,
    pub(super) signature: Option<Signature<'static>>,
    pub(super) json: Literal<'static>,
}

#[derive(Default)]
pub(super) struct Queue {
    calls: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether too much waits.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > MOST
    }

    pub(super) fn push(&mut self, call: Waiting) {
        self.bytes += size(&call);
        self.calls.push_back(call);
    }

    /// A piece of the arguments of a call that waits; any other is dropped.
    pub(super) fn go_on(&mut self, index: u32, json: &Literal<'_>) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.index == index) {
            self.bytes += json.raw().len();
            call.json.push(json);
        }
    }

    /// The one that waits longest.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let call = self.calls.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&call));
        Some(call)
    }
}

fn size(call: &Waiting) -> usize {
    let signature = call.signature.as_ref().map_or(0, |signature| signature.text.raw().len());
    call.id.raw().len() + call.name.raw().len() + call.json.raw().len() + signature
}
