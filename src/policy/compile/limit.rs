//! `limits:` of plans, tenants and providers: units with their windows, joined by name.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::exceed::{self, Exceed};
use super::{DAY, names, not_zero, span_between};
use crate::clock::TimeZone;
use crate::ids::LimitKey;
use crate::limits::{self, Calendar, Each, LedgerDown, Owner, Quota, Rule, Slot, Unit, Window};
use crate::policy::diagnostic::{Findings, Span, quoted};
use crate::policy::spec::{self, At, Entries, Mode, OnLedgerDown};

/// Limits by name. Where a part was faulty, that was told.
pub(super) type Limits = BTreeMap<LimitKey, Limit>;

/// A rule that has no owner yet.
#[derive(Clone)]
pub(super) struct Limit {
    /// Where its name stands.
    pub(super) at: Span,
    pub(super) quota: Quota,
    /// What of its amount is granted to no call.
    pub(super) kept_back: u64,
    pub(super) each: Option<Each>,
    pub(super) mode: limits::Mode,
    on_ledger_down: LedgerDown,
    /// The name that it had before, and where that is said.
    was: Option<(LimitKey, Span)>,
    place: Arc<str>,
    /// Whether its refusal is a 402.
    payment_required: bool,
    /// What happens beyond it.
    pub(super) exceed: Exceed,
}

impl Limit {
    /// Whether it counts tokens or money.
    pub(super) fn counts_amounts(&self) -> bool {
        match self.quota.unit() {
            Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd => true,
            Unit::Requests | Unit::Concurrent => false,
        }
    }

    /// Whether it refuses, and counts tokens or money.
    pub(super) fn bounds_amounts(&self) -> bool {
        self.mode == limits::Mode::Enforce && self.counts_amounts()
    }

    /// Whether it refuses, and counts money.
    pub(super) fn bounds_money(&self) -> bool {
        self.mode == limits::Mode::Enforce && self.quota.unit() == Unit::Usd
    }
}

/// Where limits stand: what makes sense differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// At a plan or tenant: they refuse callers.
    Callers,
    /// At a provider: they make calls go elsewhere.
    Provider,
}

/// The limits of a plan, tenant or provider.
pub(super) fn compile(
    written: Option<&At<Entries<spec::Limit>>>,
    whose: Whose,
    found: &mut Findings<'_>,
) -> Limits {
    let mut limits = Limits::new();
    let entries = written.and_then(|written| written.value.as_ref());
    for entry in entries.into_iter().flat_map(|entries| &entries.0) {
        names::check("limit", &entry.name, entry.span, found);
        let limit = entry.value.as_ref().and_then(|spec| limit(&entry.name, entry.span, spec, whose, found));
        if let Some(limit) = limit {
            limits.insert(LimitKey::from(entry.name.as_str()), limit);
        }
    }
    limits
}

/// One map: under the same name the tenant's stands, whole.
pub(super) fn joined(plan: Limits, own: Limits) -> Limits {
    let mut joined = plan;
    joined.extend(own);
    joined
}

/// The limits as rules of their owner.
pub(super) fn rules(owner: &Owner, limits: &Limits) -> Arc<[Rule]> {
    let rule = |(key, limit): (&LimitKey, &Limit)| Rule {
        owner: owner.clone(),
        key: key.clone(),
        quota: limit.quota.clone(),
        kept_back: limit.kept_back,
        each: limit.each,
        mode: limit.mode,
        on_ledger_down: limit.on_ledger_down,
        was: limit.was.as_ref().map(|(was, _)| was.clone()),
        place: Arc::clone(&limit.place),
        slot: Slot::default(),
    };
    limits.iter().map(rule).collect()
}

/// Tells where a limit has the old name of another, after plan and tenant were joined.
pub(super) fn check_renames(owner: &Owner, limits: &Limits, found: &mut Findings<'_>) {
    let mut taken: BTreeMap<&LimitKey, Span> = BTreeMap::new();
    let of = format!("{} {}", owner.kind(), quoted(&owner.name()));
    for (key, was, at) in limits.iter().filter_map(|(key, limit)| {
        let (was, at) = limit.was.as_ref()?;
        Some((key, was, *at))
    }) {
        let (name, old) = (quoted(key.as_str()), quoted(was.as_str()));
        if let Some(other) = limits.get(was) {
            let place = found.place(other.at);
            found
                .error(at, format!("limit {name} of {of} was {old}, but {of} has a limit {old} too"))
                .hint("remove `was`, or the limit of the old name")
                .other("the other is here", place);
        }
        if let Some(first) = taken.insert(was, at) {
            super::twice(
                &format!("two limits of {of} were {old}: only one can go on with its counts"),
                at,
                first,
                found,
            );
        }
    }
}

/// Those whose refusal is a 402.
pub(super) fn payment_required(limits: &Limits) -> HashSet<LimitKey> {
    limits.iter().filter(|(_, limit)| limit.payment_required).map(|(key, _)| key.clone()).collect()
}

fn limit(name: &str, at: Span, spec: &spec::Limit, whose: Whose, found: &mut Findings<'_>) -> Option<Limit> {
    if whose == Whose::Provider {
        without_refusals(spec, found);
    }
    let quota = quota(name, at, spec, found);
    let status = spec.budget_status.as_ref().map(|status| budget_status(status, quota.as_ref(), found));
    let each = match &spec.each {
        None => None,
        Some(each) => Some(each_of(each, whose, found)?),
    };
    let mode = match spec.mode.as_ref().map_or(Some(Mode::Enforce), |mode| mode.value)? {
        Mode::Enforce => limits::Mode::Enforce,
        Mode::Shadow => limits::Mode::Shadow,
    };
    let exceed = exceed::compile(spec.on_exceed.as_ref(), quota.as_ref(), found)?;
    let on_ledger_down = match &spec.on_ledger_down {
        None => LedgerDown::default(),
        Some(written) => on_ledger_down(written, quota.as_ref(), found)?,
    };
    let payment_required = status.unwrap_or(false);
    let was = match &spec.was {
        None => None,
        Some(written) => Some((former(name, written, found)?, written.span)),
    };
    let kept_back = match &spec.reserve_buffer {
        None => 0,
        Some(written) => kept_back(written, quota.as_ref()?, found)?,
    };
    let place = found.file_and_line(at);
    Some(Limit {
        at,
        quota: quota?,
        kept_back,
        each,
        mode,
        was,
        on_ledger_down,
        place,
        payment_required,
        exceed,
    })
}

/// How much a part of a limit is, rounded down: what is granted is never nothing.
fn kept_back(written: &At<spec::Buffer>, quota: &Quota, found: &mut Findings<'_>) -> Option<u64> {
    match quota {
        Quota::Windowed {
            unit: Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd,
            amount,
            ..
        } => {
            let part = u128::from(amount.get()) * u128::from(written.value?.0) / 100;
            u64::try_from(part).ok()
        }
        Quota::Windowed { unit: Unit::Requests | Unit::Concurrent, .. } | Quota::Concurrent { .. } => {
            found
                .error(
                    written.span,
                    "no call uses more of this limit than was held for it: there is nothing to keep back",
                )
                .hint("remove `reserveBuffer`: it is for limits of tokens and `usd`");
            None
        }
    }
}

/// The name that a limit had.
fn former(name: &str, written: &At<String>, found: &mut Findings<'_>) -> Option<LimitKey> {
    let was = written.value.as_deref()?;
    if was == name {
        found
            .error(written.span, format!("limit {} was not renamed: this is its name", quoted(name)))
            .hint("write the name that it had in an earlier policy, or remove `was`");
        return None;
    }
    names::check("limit", was, written.span, found).then(|| LimitKey::from(was))
}

/// Calls at once end with their process: no ledger keeps them.
fn on_ledger_down(
    written: &At<OnLedgerDown>,
    quota: Option<&Quota>,
    found: &mut Findings<'_>,
) -> Option<LedgerDown> {
    if quota.is_some_and(|quota| quota.unit() == Unit::Concurrent) {
        found
            .error(
                written.span,
                "`onLedgerDown` is for what a ledger keeps, and calls at once are only counted in this process",
            )
            .hint("remove it: `concurrent` needs no store");
    }
    Some(match written.value? {
        OnLedgerDown::Deny => LedgerDown::Deny,
        OnLedgerDown::SpendLease => LedgerDown::SpendLease,
        OnLedgerDown::Allow => LedgerDown::Allow,
    })
}

/// How much a limit says, and of what.
enum Amount<'w> {
    Whole(&'w At<u32>),
    Large(&'w At<u64>),
    Dollars(&'w At<spec::Dollars>),
}

impl Amount<'_> {
    fn span(&self) -> Span {
        match self {
            Self::Whole(at) => at.span,
            Self::Large(at) => at.span,
            Self::Dollars(at) => at.span,
        }
    }

    /// In calls, tokens or nano-dollars.
    fn compile(&self, found: &mut Findings<'_>) -> Option<NonZeroU64> {
        let (span, value) = match self {
            Self::Whole(at) => (at.span, at.value.map(u64::from)),
            Self::Large(at) => (at.span, at.value),
            Self::Dollars(at) => (at.span, at.value.map(|dollars| dollars.0.0)),
        };
        let instead = "zero admits nothing; to forbid, leave the name out of `access.allow`";
        NonZeroU64::new(not_zero(&At { span, value }, instead, found)?)
    }
}

fn quota(name: &str, at: Span, spec: &spec::Limit, found: &mut Findings<'_>) -> Option<Quota> {
    let counted = [
        (Unit::Requests, spec.requests.as_ref().map(Amount::Whole)),
        (Unit::Tokens, spec.tokens.as_ref().map(Amount::Large)),
        (Unit::InputTokens, spec.input_tokens.as_ref().map(Amount::Large)),
        (Unit::OutputTokens, spec.output_tokens.as_ref().map(Amount::Large)),
        (Unit::Usd, spec.usd.as_ref().map(Amount::Dollars)),
        (Unit::Concurrent, spec.concurrent.as_ref().map(Amount::Whole)),
    ];
    let mut counted = counted.iter().filter_map(|(unit, amount)| Some((*unit, amount.as_ref()?)));
    let Some((unit, amount)) = counted.next() else {
        found.error(at, format!("limit {} does not say what it counts", quoted(name))).hint(
            "write `{ requests: 100, per: 1m }`, `{ tokens: 100000, per: 1m }` or `{ concurrent: 10 }`",
        );
        return None;
    };
    if let Some((_, second)) = counted.next() {
        found
            .error(second.span(), format!("limit {} counts two things", quoted(name)))
            .hint("make two limits of it, each with its own name");
        return None;
    }
    let amount = amount.compile(found);
    match unit {
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd => {
            let window = window(name, at, unit, spec, found);
            Some(Quota::Windowed { unit, amount: amount?, window: window? })
        }
        Unit::Concurrent => {
            without_window(spec, found)?;
            Some(Quota::Concurrent { amount: amount?.try_into().ok()? })
        }
    }
}

fn window(name: &str, at: Span, unit: Unit, spec: &spec::Limit, found: &mut Findings<'_>) -> Option<Window> {
    let Some(per) = &spec.per else {
        let name = quoted(name);
        let message = format!("limit {name} counts {}, but does not say in which time", unit.as_str());
        let window = if unit == Unit::Usd { "month" } else { "1m" };
        found.error(at, message).hint(format!("add `per: {window}`"));
        return None;
    };
    match (per.value?, &spec.time_zone) {
        (spec::Per::Calendar(turn), zone) => {
            let zone = match zone {
                None => Arc::new(TimeZone::UTC),
                Some(zone) => Arc::clone(&zone.value.as_ref()?.0),
            };
            Some(Window::Calendar(Calendar { turn, zone }))
        }
        (spec::Per::Rolling(_), Some(zone)) => {
            found
                .error(zone.span, "a window that rolls has no midnight, so no time zone tells it apart")
                .hint("remove `timeZone`, or write `per: day`, `per: week` or `per: month`");
            None
        }
        (spec::Per::Rolling(span), None) => {
            let span = At { span: per.span, value: Some(span) };
            span_between(&span, Duration::from_secs(1), LONGEST, found).map(Window::Rolling)
        }
    }
}

/// Longer spans are calendar windows' matter.
const LONGEST: Duration = DAY.saturating_mul(31);

/// None where a limit of calls at once has a window.
fn without_window(spec: &spec::Limit, found: &mut Findings<'_>) -> Option<()> {
    let (at, field) = match (&spec.per, &spec.time_zone) {
        (Some(per), _) => (per.span, "per"),
        (None, Some(zone)) => (zone.span, "timeZone"),
        (None, None) => return Some(()),
    };
    found
        .error(at, "`concurrent` counts calls at once, so it has no window")
        .hint(format!("remove `{field}`, or count `requests`"));
    None
}

/// Whether a refusal is a 402.
fn budget_status(written: &At<u16>, quota: Option<&Quota>, found: &mut Findings<'_>) -> bool {
    let is_budget = |quota: &Quota| quota.unit() == Unit::Usd || quota.turn().is_some();
    if quota.is_some_and(|quota| !is_budget(quota)) {
        found
            .error(
                written.span,
                "`budgetStatus` is for budgets: limits of `usd`, and those per day, week or month",
            )
            .hint("remove it: the status of other refusals is 429");
    }
    match written.value {
        None | Some(429) => false,
        Some(402) => true,
        Some(_) => {
            found.error(written.span, "the status of a spent budget is 402 or 429");
            false
        }
    }
}

/// Tells what a limit that never refuses a caller has no use for.
fn without_refusals(spec: &spec::Limit, found: &mut Findings<'_>) {
    let event =
        spec.on_exceed.as_ref().filter(|event| event.value.as_ref().is_some_and(|event| !event.is_reject()));
    let fields = [
        ("onExceed", event.map(|event| event.span)),
        ("budgetStatus", spec.budget_status.as_ref().map(|status| status.span)),
    ];
    for (field, at) in fields {
        if let Some(at) = at {
            found
                .error(
                    at,
                    format!("`{field}` makes no sense at a provider, whose limits never refuse a caller"),
                )
                .hint("remove it: where the limit is reached, the next target is tried");
        }
    }
}

fn each_of(written: &At<spec::Each>, whose: Whose, found: &mut Findings<'_>) -> Option<Each> {
    let each = match (written.value?, whose) {
        (spec::Each::Model, _) => return Some(Each::Model),
        (spec::Each::User, Whose::Callers) => return Some(Each::User),
        (spec::Each::App, Whose::Callers) => return Some(Each::App),
        (spec::Each::Key, Whose::Callers) | (spec::Each::ProviderKey, Whose::Provider) => {
            return Some(Each::Key);
        }
        (spec::Each::ProviderKey, Whose::Callers) => {
            found
                .error(written.span, "`each: providerKey` is for the limits of a provider")
                .hint("write one of user, app, key, model");
            return None;
        }
        (spec::Each::User, Whose::Provider) => Each::User,
        (spec::Each::App, Whose::Provider) => Each::App,
        (spec::Each::Key, Whose::Provider) => Each::Key,
    };
    let message = format!("a provider's limit is of all callers together, not of each {}", each.as_str());
    found.error(written.span, message).hint(match each {
        Each::Key => "of each of the provider's own keys it is with `each: providerKey`",
        Each::User | Each::App | Each::Model => "write `each: model`, or set this limit for a tenant or plan",
    });
    None
}
