//! What operators see of a running process.

use std::sync::Arc;

use serde_json::{Value, json};

use super::State;
use crate::admin::Sight;
use crate::limits::ledger::CellUse;
use crate::limits::{Each, Turn, Unit};
use crate::policy::store::{Reload, Status};
use crate::units::NanoUsd;

/// The process, to operators.
pub(super) struct ProcessSight(Arc<State>);

impl ProcessSight {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self(state)
    }
}

impl State {
    /// What operators see of it.
    pub fn sight(self: &Arc<Self>) -> impl Sight + use<> {
        ProcessSight::new(Arc::clone(self))
    }
}

impl Sight for ProcessSight {
    fn ready(&self) -> Result<(), &'static str> {
        if !self.0.drain.ready() {
            return Err("draining");
        }
        // Listeners are bound before anyone can ask.
        if self.0.shared.store.load().is_none() {
            return Err("no good policy is loaded");
        }
        Ok(())
    }

    fn policy(&self) -> Value {
        let Status { in_force, warnings, last, fault, counts } = self.0.shared.store.status();
        json!({
            "revision": in_force.as_ref().map(|policy| policy.revision.to_string()),
            "label": in_force.as_ref().and_then(|policy| policy.label.clone()),
            "inForceSince": in_force.as_ref().map(|policy| policy.since.to_string()),
            "lastReload": last.map(|Reload { at, result }| json!({ "at": at.to_string(), "result": result.name() })),
            "fault": fault,
            "warnings": warnings,
            "reloads": { "accepted": counts.accepted, "unchanged": counts.unchanged, "rejected": counts.rejected },
        })
    }

    fn usage(&self) -> Value {
        let cells = self.0.shared.ledger.usage(self.0.clock.moment());
        json!({ "limits": cells.iter().map(cell).collect::<Vec<_>>() })
    }

    fn metrics(&self) -> String {
        self.0.shared.telemetry.metrics.render()
    }
}

fn cell(cell: &CellUse) -> Value {
    // Money as policies write it.
    let amount = |count: u64| match cell.unit {
        Unit::Usd => json!(NanoUsd(count).to_string()),
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            json!(count)
        }
    };
    json!({
        (cell.owner.kind()): &*cell.owner.name(),
        "limit": cell.key.as_str(),
        "unit": cell.unit.as_str(),
        "each": cell.each.map(Each::as_str),
        "value": cell.value,
        "used": amount(cell.settled),
        "reserved": amount(cell.reserved),
        "amount": amount(cell.limit),
        "debt": amount(cell.debt),
        "window": cell.turn.map(Turn::as_str),
        "perSeconds": cell.per.map(|per| per.as_secs_f64()),
        "resetsAt": cell.reset.map(|reset| reset.to_string()),
        "waitMs": cell.wait.map(|wait| wait.as_millis() as u64),
        "scope": "pod",
        "durable": false,
    })
}
