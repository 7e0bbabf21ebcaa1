//! Windows of the calendar and times of the day that do not say whose.

use super::Policy;
use crate::policy::diagnostic::{Code, Findings, Span};
use crate::policy::spec::{self, At, Entries, Per};

impl Policy<'_> {
    pub(super) fn windows(&self, found: &mut Findings<'_>) {
        let written = self.written;
        let providers =
            written.providers.entries.values().filter_map(|item| item.value.as_ref()?.limits.as_ref());
        let plans = written.plans.entries.values().filter_map(|item| item.value.as_ref()?.limits.as_ref());
        let tenants =
            written.tenants.entries.values().filter_map(|item| item.value.as_ref()?.limits.as_ref());
        for limits in providers.chain(plans).chain(tenants) {
            limits_of(limits, found);
        }
        for route in written.routes.entries.values().filter_map(|item| item.value.as_ref()) {
            let targets = route.targets.value.iter().flatten().filter_map(|target| target.value.as_ref());
            for when in targets.filter_map(|target| target.when.as_ref()).chain(&route.when) {
                let time = when.value.as_ref().and_then(|when| when.time_of_day.as_ref());
                if let Some(At { span, value: Some(spec::TimeOfDay { time_zone: None, .. }) }) = time {
                    warn(*span, "no `timeZone`: these times are UTC's", found);
                }
            }
        }
    }
}

fn limits_of(limits: &At<Entries<spec::Limit>>, found: &mut Findings<'_>) {
    let entries = limits.value.iter().flat_map(|entries| &entries.0);
    for limit in entries.filter_map(|entry| entry.value.as_ref()) {
        if let (Some(At { span, value: Some(Per::Calendar(_)) }), None) = (&limit.per, &limit.time_zone) {
            warn(*span, "no `timeZone`: this window begins at midnight in UTC", found);
        }
    }
}

fn warn(at: Span, message: &str, found: &mut Findings<'_>) {
    found
        .warning(Code::WindowWithoutZone, at, message)
        .hint("write whose midnight it is: `timeZone: Europe/Berlin`, or `timeZone: UTC`");
}
