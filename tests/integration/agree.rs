//! `explain`, `test` and serving agree: whatever policy and call, the same decision, targets and reservations.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use egret::app::{State, rehearsal};
use egret::clock::{Clock, Timestamp};
use egret::environment::Environment;
use egret::limits::{Amounts, Ledger};
use egret::net::tls::LazyTls;
use egret::policy::compile::{self, suite};
use egret::policy::load::Sources;
use egret::policy::watch::Loaded;
use egret::random::Random;
use egret::relay::{Explanation, Settings, Verdict};
use egret::scenario::{Counted, Inquiry, Outcome};
use egret::telemetry::record::CallRecord;
use egret::telemetry::{Telemetry, Watch};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use crate::support::HEAD;

/// Not in the middle of anything.
const AT: &str = "2026-03-02T09:00:00Z";

/// What a model and its provider are like.
#[derive(Clone, Debug)]
struct Model {
    provider: usize,
    price: (u32, u32),
    window: Option<u32>,
    longest: u32,
}

/// A place in a route.
#[derive(Clone, Debug)]
struct Target {
    model: usize,
    when: &'static str,
}

/// A limit of the tenant's, how much of it is used, and what happens beyond it.
#[derive(Clone, Debug)]
struct Limit {
    name: &'static str,
    unit: &'static str,
    amount: u64,
    per: &'static str,
    used: u64,
    beyond: &'static str,
}

#[derive(Clone, Debug)]
struct Case {
    models: Vec<Model>,
    targets: Vec<Target>,
    spare: usize,
    strategy: &'static str,
    overflow: &'static str,
    denied: Vec<usize>,
    allows_models: bool,
    reserve: &'static str,
    limits: Vec<Limit>,
    crowded: Option<(u64, u64)>,
    asks: &'static str,
    input: u32,
    longest: Option<u32>,
    stream: bool,
    task: Option<&'static str>,
    down: Vec<usize>,
}

fn models() -> impl Strategy<Value = Vec<Model>> {
    let window = proptest::option::weighted(0.3, select(vec![64, 400, 4_000]));
    let model = (0..3_usize, (1..40_u32, 1..90_u32), window, select(vec![50, 300, 4_096]))
        .prop_map(|(provider, price, window, longest)| Model { provider, price, window, longest });
    proptest::collection::vec(model, 4)
}

const WHEN: [&str; 8] = [
    "",
    "",
    "",
    "",
    "when: { inputTokensBelow: 300 }",
    "when: { inputTokensAbove: 100 }",
    "when: { task: [code] }",
    "when: { budgetBelow: { month: 50% } }",
];
const BEYOND: [&str; 4] =
    ["", "", "onExceed: { clamp: { atLeast: 20 } }", "onExceed: { downgrade: { to: spare } }"];

fn limits() -> impl Strategy<Value = Vec<Limit>> {
    // A limit has to have room for any one call; what is left of it need not.
    let kinds = [
        ("rpm", "requests", 2..6_u64, 0..3_u64, "1m"),
        ("tpm", "tokens", 20_000..30_000, 0..3_000, "1m"),
        ("output", "outputTokens", 20_000..30_000, 0..2_000, "1h"),
        ("month", "usd", 1_000_000_000..2_000_000_000, 0..90_000_000, "month"),
        ("places", "concurrent", 1..3, 0..2, ""),
    ];
    let limit = |(name, unit, amounts, lefts, per): (
        &'static str,
        &'static str,
        Range<u64>,
        Range<u64>,
        &'static str,
    )| {
        let counts = matches!(unit, "requests" | "concurrent");
        let beyond = if counts { vec!["", "", BEYOND[3]] } else { BEYOND.to_vec() };
        (amounts, lefts, any::<bool>(), select(beyond)).prop_map(move |(amount, left, is_fresh, beyond)| {
            let used = if is_fresh { 0 } else { amount.saturating_sub(left) };
            Limit { name, unit, amount, per, used, beyond }
        })
    };
    let all: Vec<_> = kinds.map(limit).into_iter().map(Strategy::boxed).collect();
    // `month` is always there: conditions look at it.
    (all, proptest::collection::vec(any::<bool>(), 5)).prop_map(|(limits, kept)| {
        limits
            .into_iter()
            .zip(kept)
            .filter(|(limit, kept)| *kept || limit.name == "month")
            .map(|(limit, _)| limit)
            .collect()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let targets = (
        subsequence(vec![0_usize, 1, 2, 3], 1..=4).prop_shuffle(),
        proptest::collection::vec(select(WHEN.to_vec()), 4),
    )
        .prop_map(|(models, whens)| {
            models.into_iter().zip(whens).map(|(model, when)| Target { model, when }).collect()
        });
    let route = (
        targets,
        0..4_usize,
        select(vec!["ordered", "cheapest", "weighted"]),
        select(vec!["", "onContextOverflow: nextTarget,", "onContextOverflow: reject,"]),
        subsequence(vec![0_usize, 1, 2, 3], 0..=2),
        any::<bool>(),
        select(vec!["bound", "{ cap: 200 }", "{ expect: 100 }"]),
    );
    let call = (
        select(vec!["chat", "chat", "chat", "chat", "chat", "spare", "m0", "unknown"]),
        30..900_u32,
        proptest::option::of(select(vec![10, 200, 5_000])),
        any::<bool>(),
        proptest::option::of(select(vec!["code", "talk"])),
        subsequence(vec![0_usize, 1, 2], 0..=1),
    );
    (
        models(),
        route,
        limits(),
        proptest::option::weighted(0.3, (20_000..30_000_u64, 17_000..20_000_u64)),
        call,
    )
        .prop_map(|(models, route, limits, crowded, call)| {
            let (targets, spare, strategy, overflow, denied, allows_models, reserve) = route;
            let (asks, input, longest, stream, task, down) = call;
            Case {
                models,
                targets,
                spare,
                strategy,
                overflow,
                denied,
                allows_models,
                reserve,
                limits,
                crowded,
                asks,
                input,
                longest,
                stream,
                task,
                down,
            }
        })
}

impl Case {
    /// The policy; every provider fails, or none does.
    fn policy(&self, fails: bool) -> String {
        let mut text = format!("{HEAD}providers:\n");
        let faults = if fails { "faults: [{ status: { code: 503 } }]" } else { "" };
        for at in 0..3 {
            let limits = match self.crowded {
                Some((amount, _)) if at == 0 => {
                    format!(", limits: {{ tpm: {{ tokens: {amount}, per: 1m }} }}")
                }
                _ => String::new(),
            };
            writeln!(text, "  p{at}: {{ mock: {{ {faults} }}{limits} }}").unwrap();
        }
        text += "models:\n";
        for (at, Model { provider, price: (input, output), window, longest }) in
            self.models.iter().enumerate()
        {
            let window = window.map_or_else(String::new, |window| format!(", contextTokens: {window}"));
            writeln!(
                text,
                "  m{at}: {{ provider: p{provider}, maxOutputTokens: {longest}{window}, price: [{{ inputPerMTok: \"{input}.00\", outputPerMTok: \"{output}.00\" }}] }}"
            )
            .unwrap();
        }
        let targets = self.targets.iter().map(|Target { model, when }| {
            let weight =
                if self.strategy == "weighted" { format!("weight: {}, ", model + 1) } else { String::new() };
            format!("{{ model: m{model}, {weight}{when} }}")
        });
        let targets: Vec<_> = targets.collect();
        let (strategy, overflow) = (self.strategy, self.overflow);
        writeln!(text, "routes:\n  chat: {{ strategy: {strategy}, {overflow} retry: {{ maxAttempts: 3 }}, targets: [{}] }}", targets.join(", ")).unwrap();
        writeln!(text, "  spare: {{ targets: [{{ model: m{} }}] }}", self.spare).unwrap();
        let denied = self.denied.iter().filter(|at| **at != self.spare);
        let denied: Vec<_> = denied.map(|at| format!("m{at}")).collect();
        let models = if self.allows_models { ", \"m*\"" } else { "" };
        writeln!(
            text,
            "tenants:\n  app:\n    local: true\n    attributes: {{ task: {{ header: x-task }} }}\n    access: {{ allow: [chat, spare{models}], deny: [{}] }}\n    reserveOutput: {}\n    limits:",
            denied.join(", "),
            self.reserve
        )
        .unwrap();
        for Limit { name, unit, amount, per, beyond, .. } in &self.limits {
            let amount = written(unit, *amount);
            let per = if per.is_empty() { String::new() } else { format!(", per: {per}") };
            let beyond = if beyond.is_empty() { String::new() } else { format!(", {beyond}") };
            writeln!(text, "      {name}: {{ {unit}: {amount}{per}{beyond} }}").unwrap();
        }
        text
    }

    fn inquiry(&self) -> Inquiry {
        let mut usage: Vec<_> = self.limits.iter().filter(|limit| limit.used > 0).map(counted).collect();
        if let Some((_, used)) = self.crowded {
            usage.push(Counted {
                tenant: None,
                provider: Some("p0".into()),
                limit: "tpm".into(),
                amount: Value::from(used),
                of: None,
            });
        }
        Inquiry {
            model: Some(self.asks.into()),
            input_tokens: Some(self.input),
            max_tokens: self.longest,
            stream: self.stream,
            headers: self.task.iter().map(|task| ("x-task".into(), (*task).into())).collect(),
            at: Some(AT.into()),
            usage,
            down: self.down.iter().map(|at| format!("p{at}")).collect(),
            ..Inquiry::default()
        }
    }

    /// The same call as a test, which expects this of it.
    fn test(&self, expected: &str) -> String {
        let used = self.limits.iter().filter(|limit| limit.used > 0).map(|limit| {
            let Limit { name, unit, used, .. } = limit;
            format!("{{ tenant: app, limit: {name}, amount: {} }}", written(unit, *used))
        });
        let crowd = self.crowded.map(|(_, used)| format!("{{ provider: p0, limit: tpm, amount: {used} }}"));
        let used: Vec<_> = used.chain(crowd).collect();
        let bound = self.longest.map_or_else(String::new, |bound| format!(", maxTokens: {bound}"));
        let task = self.task.map_or_else(String::new, |task| format!(", headers: {{ x-task: {task} }}"));
        format!(
            "apiVersion: egret.dev/v1alpha1\nkind: PolicyTest\nat: \"{AT}\"\ntests:\n  it:\n    used: [{}]\n    call: {{ model: {}, inputTokens: {}, stream: {}{bound}{task} }}\n    expect: {{ {expected} }}\n",
            used.join(", "),
            self.asks,
            self.input,
            self.stream,
        )
    }
}

fn written(unit: &str, amount: u64) -> String {
    match unit {
        "usd" => format!("\"{}\"", egret::units::NanoUsd(amount)),
        _ => amount.to_string(),
    }
}

fn counted(limit: &Limit) -> Counted {
    let Limit { name, unit, used, .. } = limit;
    let amount = match *unit {
        "usd" => Value::from(egret::units::NanoUsd(*used).to_string()),
        _ => Value::from(*used),
    };
    Counted { tenant: Some("app".into()), provider: None, limit: (*name).into(), amount, of: None }
}

fn sources(text: &str) -> Sources {
    Sources::single("policy.yaml", text)
}

fn explained(policy: &str, inquiry: &Inquiry) -> Explanation {
    let policy =
        Arc::new(compile::rehearse(&sources(policy)).unwrap_or_else(|faults| panic!("{faults}\n{policy}")).0);
    let question = inquiry.under(&policy).unwrap();
    rehearsal::explain(&policy, question, Timestamp::UNIX_EPOCH).unwrap()
}

/// What a relay makes of it that serves.
fn served(policy: &str, inquiry: &Inquiry) -> CallRecord {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let snapshot =
            compile::compile(&sources(policy)).unwrap_or_else(|faults| panic!("{faults}\n{policy}")).0;
        let question = inquiry.under(&snapshot).unwrap();
        let records = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&records);
        let watch = Some(Watch::new(move |record: &CallRecord| into.lock().push(record.clone())));
        let telemetry = Telemetry { watch, ..Telemetry::default() };
        let (clock, tls) = (Clock::beginning(AT.parse().unwrap()), LazyTls::new(None).unwrap());
        let settings = Settings { max_body: 1 << 20, stamp: None };
        let nothing = Environment::given([]);
        let state =
            State::counting_in(Ledger::new(), &nothing, clock.clone(), settings, 8 << 20, tls, telemetry);
        state.begin(Loaded { snapshot, warnings: Vec::new() });
        for used in &question.used {
            for rule in &*used.rule {
                state.shared.ledger.count(rule, used.of.as_deref(), used.amount, clock.moment());
            }
        }
        for (_, target) in state.shared.health.targets() {
            if question.down.contains(&target.provider.id) {
                target.breaker.trip(clock.now());
            }
        }
        let relay = state.relay(Random::seeded(1));
        let answer = relay.handle(question.request, question.from).await;
        let mut body = answer.into_body();
        while let Some(Ok(_)) = body.frame().await {}
        drop(body);
        let record = records.lock().pop().unwrap();
        state.tasks.stop();
        record
    })
}

/// What the runner of tests makes of it.
fn tested(policy: &str, test: &str) -> Outcome {
    let policy = Arc::new(compile::rehearse(&sources(policy)).unwrap().0);
    let written = Sources::single("tests.yaml", test);
    let documents = suite::read(&written).unwrap_or_else(|faults| panic!("{faults}\n{test}"));
    let tests = documents[0].compile(&written, &policy).unwrap_or_else(|faults| panic!("{faults}\n{test}"));
    let mut outcomes = Vec::new();
    rehearsal::run(&policy, &tests, |outcome| outcomes.push(outcome)).unwrap();
    outcomes.remove(0)
}

/// The tries of an explanation: model, and what is held.
fn tries(explained: &Explanation) -> Vec<(String, Amounts)> {
    let candidates = explained.looks.iter().flat_map(|look| &look.candidates);
    let tried = candidates.filter_map(|candidate| match &candidate.verdict {
        Verdict::Tried(tried) => Some((candidate.model.id.to_string(), tried.held)),
        Verdict::PassedOver { .. } | Verdict::NotReached => None,
    });
    tried.collect()
}

/// Those that an explanation passes over, on the way that the call goes in the end.
fn passed(explained: &Explanation) -> Vec<(String, &'static str)> {
    let candidates = explained.looks.last().into_iter().flat_map(|look| &look.candidates);
    let passed = candidates.filter_map(|candidate| match candidate.verdict {
        Verdict::PassedOver { reason, .. } => Some((candidate.model.id.to_string(), reason)),
        Verdict::Tried(_) | Verdict::NotReached => None,
    });
    passed.collect()
}

fn attempts(record: &CallRecord) -> Vec<(String, Amounts)> {
    record.attempts.iter().map(|attempt| (attempt.destination.model.to_string(), attempt.held)).collect()
}

fn amounts(Amounts { input, output, usd }: Amounts) -> String {
    format!("{{ inputTokens: {input}, outputTokens: {output}, usd: \"{usd}\" }}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn explain_test_and_serving_agree_whatever_policy_and_call(case in cases()) {
        let (well, ill) = (case.policy(false), case.policy(true));
        let inquiry = case.inquiry();
        let explained = explained(&well, &inquiry);
        let planned = tries(&explained);

        // Where everybody answers: the first of the plan does, with what it reserves.
        let record = served(&well, &inquiry);
        let answered = attempts(&record);
        prop_assert_eq!(answered.first(), planned.first(), "{}", well);
        prop_assert_eq!(answered.len(), planned.len().min(1));
        let refusal = explained.refused.as_ref().map(|refused| (refused.code, refused.status));
        prop_assert_eq!(record.refusal.map(|code| (code, record.status)), refusal, "{}", well);
        let downgraded = explained.looks.get(1).map(|look| &look.route.id);
        prop_assert_eq!(record.downgraded_to.as_ref(), downgraded);

        // Where nobody does: the whole plan is gone through first, in its order, and the same are passed over.
        let failed = served(&ill, &inquiry);
        let tried = attempts(&failed);
        prop_assert!(tried.len() >= planned.len(), "{tried:?} {planned:?} {ill}");
        prop_assert_eq!(&tried[..planned.len()], &planned[..], "{}", ill);
        for (model, reason) in passed(&explained) {
            let told = failed.passed_over.iter();
            let mut told = told.map(|passed| (passed.destination.model.to_string(), passed.reason));
            prop_assert!(told.any(|other| other == (model.clone(), reason)), "{model} {reason} {ill}");
        }

        // A test sees the same, but of providers that are down: it says how they behave instead.
        if case.down.is_empty() {
            let mut expected = format!("status: {}", record.status);
            match (&explained.refused, planned.first()) {
                (Some(refused), _) => write!(expected, ", code: {}, tried: []", refused.code).unwrap(),
                (None, Some((model, held))) => {
                    write!(expected, ", target: {model}, tried: [{model}], reserved: {}", amounts(*held)).unwrap();
                }
                (None, None) => prop_assert!(false, "neither tried nor refused: {well}"),
            }
            let outcome = tested(&well, &case.test(&expected));
            prop_assert!(outcome.passed(), "{:?}\n{well}", outcome.failures);
            let all: Vec<_> = tried.iter().map(|(model, _)| model.as_str()).collect();
            let expected = format!("status: {}, tried: [{}]", failed.status, all.join(", "));
            let outcome = tested(&ill, &case.test(&expected));
            prop_assert!(outcome.passed(), "{:?}\n{ill}", outcome.failures);
        }
    }
}
