//! `limits:` of plans and tenants: units with their windows, joined by name.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use super::{DAY, names, not_zero, span_between};
use crate::ids::{LimitKey, TenantId};
use crate::limits::{Each, Quota, Rule, Slot, Unit, Window};
use crate::policy::diagnostic::{Findings, Span, quoted};
use crate::policy::spec::{self, At, Entries, Mode, OnExceed};

/// Limits by name. Where a part was faulty, that was told.
pub(super) type Limits = BTreeMap<LimitKey, Limit>;

/// A rule that has no tenant yet.
#[derive(Clone)]
pub(super) struct Limit {
    quota: Quota,
    each: Option<Each>,
    place: Arc<str>,
}

/// The limits of a plan or tenant.
pub(super) fn compile(written: Option<&At<Entries<spec::Limit>>>, found: &mut Findings<'_>) -> Limits {
    let mut limits = Limits::new();
    let entries = written.and_then(|written| written.value.as_ref());
    for entry in entries.into_iter().flat_map(|entries| &entries.0) {
        names::check("limit", &entry.name, entry.span, found);
        if let Some(limit) = entry.value.as_ref().and_then(|spec| limit(&entry.name, entry.span, spec, found))
        {
            limits.insert(LimitKey::from(entry.name.as_str()), limit);
        }
    }
    limits
}

/// One map: under the same name the tenant's stands, whole.
pub(super) fn rules(tenant: &TenantId, plan: Limits, own: Limits) -> Arc<[Rule]> {
    let mut joined = plan;
    joined.extend(own);
    let rule = |(key, limit): (LimitKey, Limit)| Rule {
        tenant: tenant.clone(),
        key,
        quota: limit.quota,
        each: limit.each,
        place: limit.place,
        slot: Slot::default(),
    };
    joined.into_iter().map(rule).collect()
}

fn limit(name: &str, at: Span, spec: &spec::Limit, found: &mut Findings<'_>) -> Option<Limit> {
    let quota = quota(name, at, spec, found);
    let each = match &spec.each {
        None => None,
        Some(each) => Some(each_of(each.value?)),
    };
    match spec.mode.as_ref().map_or(Some(Mode::Enforce), |mode| mode.value)? {
        Mode::Enforce => {}
    }
    match spec.on_exceed.as_ref().map_or(Some(OnExceed::Reject), |event| event.value)? {
        OnExceed::Reject => {}
    }
    Some(Limit { quota: quota?, each, place: found.file_and_line(at) })
}

fn quota(name: &str, at: Span, spec: &spec::Limit, found: &mut Findings<'_>) -> Option<Quota> {
    match (&spec.requests, &spec.concurrent) {
        (Some(requests), None) => {
            let amount = amount(requests, found);
            let Some(per) = &spec.per else {
                found
                    .error(
                        at,
                        format!("limit {} counts requests, but does not say in which time", quoted(name)),
                    )
                    .hint("add `per: 1m`");
                return None;
            };
            let per = per.value.map(|window| At { span: per.span, value: Some(window.0) });
            let per = per.and_then(|per| span_between(&per, Duration::from_secs(1), LONGEST, found));
            Some(Quota::Windowed {
                unit: Unit::Requests,
                amount: NonZeroU64::from(amount?),
                window: Window::Rolling(per?),
            })
        }
        (None, Some(concurrent)) => {
            let amount = amount(concurrent, found);
            if let Some(per) = &spec.per {
                found
                    .error(per.span, "`concurrent` counts calls at once, so it has no window")
                    .hint("remove `per`, or count `requests`");
                return None;
            }
            Some(Quota::Concurrent { amount: amount? })
        }
        (None, None) => {
            found
                .error(at, format!("limit {} does not say what it counts", quoted(name)))
                .hint("write `{ requests: 100, per: 1m }` or `{ concurrent: 10 }`");
            None
        }
        (Some(_), Some(concurrent)) => {
            found
                .error(concurrent.span, format!("limit {} counts two things", quoted(name)))
                .hint("make two limits of it, each with its own name");
            None
        }
    }
}

/// Longer spans are calendar windows' matter.
const LONGEST: Duration = DAY.saturating_mul(31);

fn amount(written: &At<u32>, found: &mut Findings<'_>) -> Option<NonZeroU32> {
    NonZeroU32::new(not_zero(
        written,
        "zero admits nothing; to forbid, leave the name out of `access.allow`",
        found,
    )?)
}

fn each_of(each: spec::Each) -> Each {
    match each {
        spec::Each::User => Each::User,
        spec::Each::App => Each::App,
        spec::Each::Key => Each::Key,
        spec::Each::Model => Each::Model,
    }
}
