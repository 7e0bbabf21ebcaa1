//! What operators see of a running process.

use std::sync::Arc;

use serde_json::{Value, json};

use super::State;
use crate::admin::Sight;
use crate::admin::metrics::{Kind, family, sample};
use crate::limits::ledger::CellUse;
use crate::policy::store::{Reload, Status};

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
        let cells = self.0.shared.ledger.usage(self.0.clock.now());
        json!({ "limits": cells.iter().map(cell).collect::<Vec<_>>() })
    }

    fn metrics(&self, text: &mut String) {
        let status = self.0.shared.store.status();
        let log = &self.0.shared.telemetry.access_log;
        family(text, "egret_policy_info", Kind::Gauge, "The policy in force, by revision.");
        if let Some(policy) = &status.in_force {
            sample(text, "egret_policy_info", &[("revision", policy.revision.as_str())], 1);
        }
        family(
            text,
            "egret_policy_faulty",
            Kind::Gauge,
            "1 while the policy's files are not what is in force.",
        );
        sample(text, "egret_policy_faulty", &[], u64::from(status.fault.is_some()));
        family(text, "egret_policy_reloads_total", Kind::Counter, "Loads of the policy, by result.");
        let counts = [
            ("accepted", status.counts.accepted),
            ("unchanged", status.counts.unchanged),
            ("rejected", status.counts.rejected),
        ];
        for (result, count) in counts {
            sample(text, "egret_policy_reloads_total", &[("result", result)], count);
        }
        family(
            text,
            "egret_calls_in_flight",
            Kind::Gauge,
            "Calls from their head to the end of their answer.",
        );
        sample(text, "egret_calls_in_flight", &[], self.0.drain.calls() as u64);
        family(
            text,
            "egret_request_bytes_held",
            Kind::Gauge,
            "Bytes of request bodies held, of --max-buffered.",
        );
        sample(text, "egret_request_bytes_held", &[], self.0.shared.budget.used() as u64);
        family(text, "egret_access_log_lost_total", Kind::Counter, "Access-log lines that were not written.");
        sample(text, "egret_access_log_lost_total", &[("reason", "full")], log.dropped());
        sample(text, "egret_access_log_lost_total", &[("reason", "write")], log.failed());
        if let Some(spans) = &self.0.shared.telemetry.spans {
            let queue = spans.queue();
            family(text, "egret_spans_exported_total", Kind::Counter, "Spans that the backend took.");
            sample(text, "egret_spans_exported_total", &[], queue.exported.value());
            family(text, "egret_spans_dropped_total", Kind::Counter, "Spans for which there was no room.");
            sample(text, "egret_spans_dropped_total", &[], queue.dropped.value());
            family(text, "egret_spans_failed_total", Kind::Counter, "Spans that the backend did not take.");
            sample(text, "egret_spans_failed_total", &[], queue.failed.value());
        }
    }
}

fn cell(cell: &CellUse) -> Value {
    json!({
        "tenant": cell.tenant.as_str(),
        "limit": cell.key.as_str(),
        "unit": cell.unit.as_str(),
        "each": cell.each.map(crate::limits::Each::as_str),
        "value": cell.value,
        "used": cell.settled,
        "reserved": cell.reserved,
        "amount": cell.limit,
        "perSeconds": cell.per.map(|per| per.as_secs_f64()),
        "waitMs": cell.wait.map(|wait| wait.as_millis() as u64),
        "scope": "pod",
        "durable": false,
    })
}
