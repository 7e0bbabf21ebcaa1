//! Random schedules: calls that spend tokens and money, policies that change, time that passes. What comes of them, the
//! books tell (`books.rs`). Here for the unit tests and for the soak (`tests/soak`).

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::clock::{Instant, Now, TimeZone};
use crate::ids::LimitKey;
use crate::limits::{Amounts, Calendar, Each, Mode, Owner, Quota, Rule, Turn, Unit, Window};
use crate::units::{NanoUsd, Tokens};

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Reserve {
        user: u8,
        model: u8,
        amounts: Amounts,
    },
    /// A call that asks the provider's rules too, as an attempt does: what it holds there ends on its own.
    Attempt {
        model: u8,
        amounts: Amounts,
    },
    Written {
        call: usize,
    },
    Charge {
        call: usize,
        amounts: Amounts,
    },
    Resize {
        call: usize,
        model: u8,
        amounts: Amounts,
    },
    Settle {
        call: usize,
        amounts: Amounts,
    },
    Drop {
        call: usize,
    },
    Pass {
        millis: u64,
    },
    Back {
        secs: u64,
    },
    Reload(Box<Policy>),
    /// Gives limits another name, as a policy says it; nothing else changes.
    Rename {
        tpm: Rename,
        calls: Rename,
        says_was: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Rename {
    Keep,
    Anew,
    /// To the name before.
    Back,
}

/// What a reload may change.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    amounts: [u64; 5],
    secs: u64,
    zone: &'static str,
    turn: Turn,
    unit: Unit,
    /// What the budget is called.
    name: &'static str,
    /// Whether the users' limit turns with the calendar instead of rolling.
    turns: bool,
    /// Which of the limits it has at all.
    written: [bool; 6],
    /// Which of them only count, by their place.
    shadows: [bool; 6],
    /// What of them is kept back, in percent.
    buffers: [u64; 6],
    tpm: Named,
    calls: Named,
}

/// What a limit is called, and was. The books know it by what stands before the `~`, whatever it is called.
#[derive(Clone, Debug)]
struct Named {
    key: String,
    was: Option<String>,
    /// Names given so far.
    given: u32,
}

impl Named {
    fn new(key: &str) -> Self {
        Self { key: key.to_owned(), was: None, given: 0 }
    }

    fn rename(&mut self, how: Rename, says_was: bool) {
        let stem = self.key.split('~').next().unwrap().to_owned();
        let (key, given) = match how {
            Rename::Keep => {
                self.was = self.was.take().filter(|_| says_was);
                return;
            }
            Rename::Anew => (format!("{stem}~{}", self.given + 1), self.given + 1),
            Rename::Back if self.was.is_none() => return,
            Rename::Back => (self.was.take().unwrap(), self.given),
        };
        let was = Some(std::mem::replace(&mut self.key, key));
        *self = Self { key: self.key.clone(), was, given };
    }

    fn name(&self, rule: Rule) -> Rule {
        Rule { key: self.key.as_str().into(), was: self.was.as_deref().map(LimitKey::from), ..rule }
    }
}

fn amounts() -> impl Strategy<Value = Amounts> {
    (0..30_u64, 0..30_u64, 0..60_u64).prop_map(|(input, output, usd)| Amounts {
        input: Tokens(input),
        output: Tokens(output),
        usd: NanoUsd(usd),
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe"];
    (
        prop::array::uniform5(20..200_u64),
        1..90_u64,
        prop::sample::select(zones.to_vec()),
        prop::sample::select(vec![Turn::Day, Turn::Week, Turn::Month]),
        prop::sample::select(vec![Unit::Tokens, Unit::InputTokens, Unit::OutputTokens]),
        prop::sample::select(vec!["budget", "budget", "purse"]),
        prop::bool::weighted(0.2),
        prop::array::uniform6(prop::bool::weighted(0.9)),
        prop::array::uniform6((prop::bool::weighted(0.2), prop_oneof![Just(0), 1..=50_u64])),
    )
        .prop_map(|(amounts, secs, zone, turn, unit, name, turns, written, modified)| Policy {
            amounts,
            secs,
            zone,
            turn,
            unit,
            name,
            turns,
            written,
            shadows: modified.map(|(shadow, _)| shadow),
            buffers: modified.map(|(_, percent)| percent),
            tpm: Named::new("tpm"),
            calls: Named::new("calls"),
        })
}

fn renames() -> impl Strategy<Value = Rename> {
    prop_oneof![2 => Just(Rename::Keep), 2 => Just(Rename::Anew), 1 => Just(Rename::Back)]
}

/// Schedules.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = 0..12_usize;
    let step = prop_oneof![
        6 => (0..3_u8, 0..3_u8, amounts())
            .prop_map(|(user, model, amounts)| Step::Reserve { user, model, amounts }),
        3 => (0..3_u8, amounts()).prop_map(|(model, amounts)| Step::Attempt { model, amounts }),
        2 => call.clone().prop_map(|call| Step::Written { call }),
        3 => (call.clone(), amounts()).prop_map(|(call, amounts)| Step::Charge { call, amounts }),
        4 => (call.clone(), 0..3_u8, amounts())
            .prop_map(|(call, model, amounts)| Step::Resize { call, model, amounts }),
        4 => (call.clone(), amounts()).prop_map(|(call, amounts)| Step::Settle { call, amounts }),
        2 => call.prop_map(|call| Step::Drop { call }),
        // Seconds for what rolls, days for what turns.
        2 => prop_oneof![0..20_000_u64, 0..40 * 3_600_000_u64].prop_map(|millis| Step::Pass { millis }),
        1 => (0..200_000_u64).prop_map(|secs| Step::Back { secs }),
        1 => policies().prop_map(|policy| Step::Reload(Box::new(policy))),
        1 => (renames(), renames(), any::<bool>())
            .prop_map(|(tpm, calls, says_was)| Step::Rename { tpm, calls, says_was }),
    ];
    prop::collection::vec(step, 1..120)
}

impl Policy {
    /// The one that every schedule begins with.
    pub(super) fn first() -> Self {
        Self {
            amounts: [100; 5],
            secs: 60,
            zone: "Europe/Berlin",
            turn: Turn::Month,
            unit: Unit::Tokens,
            name: "budget",
            turns: false,
            written: [true; 6],
            shadows: [false; 6],
            buffers: [0; 6],
            tpm: Named::new("tpm"),
            calls: Named::new("calls"),
        }
    }

    /// The same with the names that limits have there.
    pub(super) fn named_as(&self, other: &Self) -> Self {
        Self { tpm: other.tpm.clone(), calls: other.calls.clone(), ..self.clone() }
    }

    /// The same with other names of its limits.
    pub(super) fn renamed(&self, tpm: Rename, calls: Rename, says_was: bool) -> Self {
        let mut policy = self.clone();
        policy.tpm.rename(tpm, says_was);
        policy.calls.rename(calls, says_was);
        policy
    }

    pub(super) fn rules(&self) -> Arc<[Rule]> {
        let per = Window::Rolling(Duration::from_secs(self.secs));
        let zone = Arc::new(TimeZone::get(self.zone).unwrap());
        let calendar = |turn| Window::Calendar(Calendar { turn, zone: Arc::clone(&zone) });
        let [tpm, model, budget, user, calls] = self.amounts;
        let each_user = if self.turns { calendar(Turn::Day) } else { per.clone() };
        let rules = [
            self.tpm.name(rule("tpm", windowed(Unit::Tokens, tpm, per.clone()), None)),
            rule("model", windowed(self.unit, model, per), Some(Each::Model)),
            rule(self.name, windowed(Unit::Usd, budget, calendar(self.turn)), None),
            rule("user", windowed(self.unit, user, each_user), Some(Each::User)),
            self.calls.name(rule(
                "calls",
                windowed(Unit::Requests, calls / 8, calendar(Turn::Day)),
                Some(Each::Model),
            )),
            rule("open", concurrent(9), None),
        ];
        let rules = self.modified(rules).into_iter().zip(self.written);
        rules.filter_map(|(rule, written)| (written || is_renamed(&rule)).then_some(rule)).collect()
    }

    /// Under the same keys as the tenant's: whose a limit is tells them apart.
    pub(super) fn rules_there(&self) -> Arc<[Rule]> {
        let per = Window::Rolling(Duration::from_secs(2 * self.secs));
        let zone = Arc::new(TimeZone::get(self.zone).unwrap());
        let calendar = Window::Calendar(Calendar { turn: self.turn, zone });
        let [tpm, model, budget, ..] = self.amounts;
        let rules = [
            self.tpm.name(rule("tpm", windowed(Unit::Tokens, tpm, per.clone()), None)),
            rule("model", windowed(self.unit, model, per), Some(Each::Model)),
            rule("budget", windowed(Unit::Usd, budget, calendar), None),
            rule("open", concurrent(3), Some(Each::Model)),
        ];
        self.modified(rules.map(|rule| Rule { owner: Owner::Provider("openai".into()), ..rule })).into()
    }

    fn modified<const N: usize>(&self, rules: [Rule; N]) -> Vec<Rule> {
        let modified =
            rules.into_iter().zip(self.shadows).zip(self.buffers).map(|((rule, shadow), percent)| {
                let mode = if shadow { Mode::Shadow } else { Mode::Enforce };
                let kept_back = match &rule.quota {
                    Quota::Windowed { unit: Unit::Requests, .. } | Quota::Concurrent { .. } => 0,
                    Quota::Windowed { amount, .. } => amount.get() * percent / 100,
                };
                Rule { mode, kept_back, ..rule }
            });
        modified.collect()
    }
}

/// One that is left out for a while has no former name to be found by.
fn is_renamed(rule: &Rule) -> bool {
    ["tpm", "calls"].contains(&stem(&rule.key).as_str())
}

fn concurrent(amount: u32) -> Quota {
    Quota::Concurrent { amount: NonZeroU32::new(amount).unwrap() }
}

pub(super) fn windowed(unit: Unit, amount: u64, window: Window) -> Quota {
    Quota::Windowed { unit, amount: NonZeroU64::new(amount).unwrap(), window }
}

pub(super) fn rule(key: &str, quota: Quota, each: Option<Each>) -> Rule {
    Rule { each, ..Rule::new(Owner::Tenant("checkout".into()), key.into(), quota) }
}

/// When schedules begin.
pub(super) fn start() -> Now {
    Now { instant: Instant::now(), wall: "2026-03-15T12:00:00Z".parse().unwrap() }
}

/// Later on both clocks.
pub(super) fn later(now: Now, span: Duration) -> Now {
    Now { instant: now.instant + span, wall: now.wall + span }
}

/// The name of a limit without what it was given later.
pub(super) fn stem(key: &LimitKey) -> String {
    key.as_str().split('~').next().unwrap().to_owned()
}
