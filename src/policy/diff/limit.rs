//! Limits: what each grants more or less, and where counts start anew.

use std::cmp::Ordering;

use super::words::{amount, each, ledger_down, limit, on_exceed, quota, zone};
use super::{Direction, Found, quota as quotas};
use crate::ids::LimitKey;
use crate::limits::{Each, LedgerDown, Mode, Quota, Rule, Unit, Window};
use crate::policy::snapshot::{OnExceed, Tenant};

/// The limits of one owner in one policy.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    pub(super) rules: &'a [Rule],
    /// Whose callers they refuse; none of a provider's.
    pub(super) tenant: Option<&'a Tenant>,
}

impl<'a> Limits<'a> {
    fn find(self, key: &LimitKey) -> Option<&'a Rule> {
        self.rules.iter().find(|rule| rule.key == *key)
    }

    pub(super) fn beyond(self, rule: &Rule) -> Option<&'a OnExceed> {
        self.tenant.and_then(|tenant| tenant.beyond(rule))
    }

    /// The status of its refusals.
    fn status(self, rule: &Rule) -> u16 {
        if self.tenant.is_some_and(|tenant| tenant.payment_required.contains(&rule.key)) { 402 } else { 429 }
    }
}

/// What changes of an owner's limits.
pub(super) fn changes(old: Limits<'_>, new: Limits<'_>, found: &mut Found) {
    let former = |rule: &Rule| {
        let was = rule.was.as_ref().filter(|was| new.find(was).is_none())?;
        old.find(was)
    };
    for after in new.rules {
        let name = format!("limits.{}", after.key);
        if let Some(before) = old.find(&after.key) {
            One { name, old: (before, old), new: (after, new) }.changes(found);
        } else if let Some(before) = former(after) {
            let renamed = One { name, old: (before, old), new: (after, new) };
            let names = (format!("limits.{}", before.key), renamed.name.clone());
            let change = found.change(Direction::Neutral, "limits", Some(names.0), Some(names.1));
            if !renamed.restarts() {
                change.note("renamed; goes on with its counts");
            }
            renamed.changes(found);
        } else {
            let change = found.change(appears(after), name, None, Some(limit(after, new.beyond(after))));
            let gone = old.rules.iter().filter(|rule| new.find(&rule.key).is_none());
            let mut alike = gone.filter(|gone| counts_alike(gone, after));
            if let (Some(gone), None) = (alike.next(), alike.next()) {
                change.note(format!(
                    "starts from zero; `was: {}` would go on with the counts of that one",
                    gone.key
                ));
            }
        }
    }
    let goes_on = |gone: &Rule| {
        new.rules
            .iter()
            .filter(|rule| old.find(&rule.key).is_none())
            .any(|rule| former(rule).is_some_and(|former| former.key == gone.key))
    };
    for gone in old.rules.iter().filter(|rule| new.find(&rule.key).is_none() && !goes_on(rule)) {
        let direction = reversed(appears(gone));
        found.change(direction, format!("limits.{}", gone.key), Some(limit(gone, old.beyond(gone))), None);
    }
}

/// What a new limit does; one that only counts does nothing to callers.
fn appears(rule: &Rule) -> Direction {
    match rule.mode {
        Mode::Enforce => Direction::Tightening,
        Mode::Shadow => Direction::Neutral,
    }
}

fn reversed(direction: Direction) -> Direction {
    match direction {
        Direction::Loosening => Direction::Tightening,
        Direction::Tightening => Direction::Loosening,
        Direction::Mixed | Direction::Risk | Direction::Neutral => direction,
    }
}

/// Whether two rules of one owner and one name count in the same cells.
fn counts_alike(old: &Rule, new: &Rule) -> bool {
    (old.quota.unit(), old.quota.turn(), old.each) == (new.quota.unit(), new.quota.turn(), new.each)
}

/// One limit in both policies.
struct One<'a> {
    name: String,
    old: (&'a Rule, Limits<'a>),
    new: (&'a Rule, Limits<'a>),
}

impl One<'_> {
    fn restarts(&self) -> bool {
        !counts_alike(self.old.0, self.new.0)
    }

    /// Whether nothing changes, as of most limits of most tenants: found without a word written.
    fn is_same(&self) -> bool {
        let ((old, before), (new, after)) = (self.old, self.new);
        (&old.quota, old.kept_back, old.each, old.mode, old.on_ledger_down)
            == (&new.quota, new.kept_back, new.each, new.mode, new.on_ledger_down)
            && before.status(old) == after.status(new)
            && before.beyond(old).is_none()
            && after.beyond(new).is_none()
    }

    fn changes(&self, found: &mut Found) {
        if self.is_same() {
            return;
        }
        let Rule {
            owner,
            key: _,
            quota: old_quota,
            kept_back: _,
            each: old_each,
            mode,
            on_ledger_down,
            was: _,
            place: _,
            slot: _,
        } = self.old.0;
        let new = self.new.0;
        // A limit that refuses nobody is neither loose nor tight.
        let refuses = *mode == Mode::Enforce && new.mode == Mode::Enforce;
        let judged = |allowed| if refuses { Direction::of(allowed) } else { Direction::Neutral };
        found.part(
            &self.part("mode"),
            (mode, &new.mode),
            |mode| mode.as_str().into(),
            |_, new| match new {
                Mode::Enforce => Direction::Tightening,
                Mode::Shadow => Direction::Loosening,
            },
        );
        if quota(old_quota) != quota(&new.quota) {
            let direction = judged(quotas::room(old_quota, &new.quota));
            found.change(direction, &self.name, Some(quota(old_quota)), Some(quota(&new.quota)));
        }
        self.zone(found);
        found.part(
            &self.part("each"),
            (old_each, &new.each),
            |value| each(owner, *value).into(),
            |old, new| judged(cells(*old, *new)),
        );
        self.kept_back(judged, found);
        let (old_event, new_event) = (self.old.1.beyond(self.old.0), self.new.1.beyond(new));
        found.part(
            &self.part("onExceed"),
            (on_exceed(old_event).as_str(), on_exceed(new_event).as_str()),
            str::to_owned,
            |_, _| judged(mildness(old_event, new_event)),
        );
        let sides = (on_ledger_down, &new.on_ledger_down);
        found.part(
            &self.part("onLedgerDown"),
            sides,
            |down| ledger_down(*down).into(),
            |old, new| judged(Some(grace(*new).cmp(&grace(*old)))),
        );
        let status = (self.old.1.status(self.old.0), self.new.1.status(new));
        found.neutral(&self.part("budgetStatus"), (&status.0, &status.1), u16::to_string);
        if self.restarts() {
            let change = found.change(Direction::Risk, &self.name, None, None);
            change.note("counts start anew: what was used so far is forgotten").restarts = true;
        }
    }

    fn part(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// Another midnight, of windows that there were before.
    fn zone(&self, found: &mut Found) {
        let (old, new) = (zone(&self.old.0.quota), zone(&self.new.0.quota));
        if let (Some(old), Some(new)) = (old, new)
            && old != new
        {
            let what = self.part("timeZone");
            let change = found.change(Direction::Neutral, what, Some(old.into()), Some(new.into()));
            if !self.restarts() {
                change.note("what was used in the running window moves along");
            }
        }
    }

    /// A part of the amount: told only where the amount alone does not explain it.
    fn kept_back(&self, judged: impl Fn(Option<Ordering>) -> Direction, found: &mut Found) {
        let (old, new) = (self.old.0, self.new.0);
        let percent = (percents(old), percents(new));
        if percent.0.iter().any(|percent_| percent.1.contains(percent_)) {
            return;
        }
        let least = |percents: &[u64]| percents.first().copied().unwrap_or_default();
        let order = least(&percent.0).cmp(&least(&percent.1));
        let shown = |rule: &Rule| match rule.kept_back {
            0 => "none".to_owned(),
            kept => format!("{} kept back", amount(rule.quota.unit(), kept)),
        };
        found.change(judged(Some(order)), self.part("reserveBuffer"), Some(shown(old)), Some(shown(new)));
    }
}

/// The whole percents of which a limit may keep back what it does.
fn percents(rule: &Rule) -> Vec<u64> {
    let whole = match &rule.quota {
        Quota::Windowed {
            unit: Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd,
            amount,
            window: Window::Rolling(_) | Window::Calendar(_),
        } => u128::from(amount.get()),
        Quota::Windowed { unit: Unit::Requests | Unit::Concurrent, .. } | Quota::Concurrent { .. } => {
            return vec![0];
        }
    };
    (0..=50).filter(|percent| whole * u128::from(*percent) / 100 == u128::from(rule.kept_back)).collect()
}

/// How much is granted by as many cells as there are now, compared with before.
fn cells(old: Option<Each>, new: Option<Each>) -> Option<Ordering> {
    match (old, new) {
        (None, None) => Some(Ordering::Equal),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(_), None) => Some(Ordering::Less),
        (Some(old), Some(new)) => (old == new).then_some(Ordering::Equal),
    }
}

/// How many calls are served beyond a limit, compared with before.
fn mildness(old: Option<&OnExceed>, new: Option<&OnExceed>) -> Option<Ordering> {
    match (old, new) {
        (None, None) => Some(Ordering::Equal),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(_), None) => Some(Ordering::Less),
        (Some(OnExceed::Clamp { at_least: old }), Some(OnExceed::Clamp { at_least: new })) => {
            Some(old.cmp(new))
        }
        (Some(OnExceed::Queue { max_wait: old }), Some(OnExceed::Queue { max_wait: new })) => {
            Some(new.cmp(old))
        }
        (Some(_), Some(_)) => None,
    }
}

/// How much is granted while the store fails.
fn grace(down: LedgerDown) -> u8 {
    match down {
        LedgerDown::Deny => 0,
        LedgerDown::SpendLease => 1,
        LedgerDown::Allow => 2,
    }
}
