//! Laws of every comparison, over policies by chance.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::policy::compile::compile;
use crate::policy::load::Sources;

const MODELS: [&str; 3] = ["gpt-4.1", "gpt-4", "small"];
const NAMES: [&str; 4] = ["chat", "gpt-4.1", "gpt-4", "small"];

/// What a policy by chance says. Equal ones mean the same.
#[derive(Clone, Debug)]
struct Meaning {
    targets: Vec<usize>,
    first_token: u64,
    reject_losses: bool,
    prices: Vec<u64>,
    provider_rpm: Option<u64>,
    tenants: Vec<Option<TenantMeaning>>,
}

#[derive(Clone, Debug)]
struct TenantMeaning {
    allow: Vec<&'static str>,
    deny: Vec<&'static str>,
    rpm: Option<Rpm>,
    month: Option<u64>,
    annotate: bool,
    on_abandoned: u8,
    key: u8,
}

#[derive(Clone, Copy, Debug)]
struct Rpm {
    amount: u64,
    minutes: u64,
    is_shadow: bool,
    is_each: bool,
    queue: Option<u64>,
}

fn rpm() -> impl Strategy<Value = Rpm> {
    let queue = proptest::option::of(1..4_u64);
    (1..5_u64, 1..4_u64, any::<bool>(), any::<bool>(), queue).prop_map(
        |(amount, minutes, is_shadow, is_each, queue)| Rpm { amount, minutes, is_shadow, is_each, queue },
    )
}

fn tenant() -> impl Strategy<Value = TenantMeaning> {
    let access = (subsequence(NAMES.to_vec(), 0..=4), subsequence(MODELS.to_vec(), 0..=2));
    let limits = (proptest::option::of(rpm()), proptest::option::of(1..4_u64));
    (access, limits, any::<bool>(), 0..3_u8, 0..3_u8).prop_map(
        |((allow, deny), (rpm, month), annotate, on_abandoned, key)| TenantMeaning {
            allow,
            deny,
            rpm,
            month,
            annotate,
            on_abandoned,
            key,
        },
    )
}

fn meaning() -> impl Strategy<Value = Meaning> {
    let targets = subsequence(vec![0, 1, 2], 1..=3).prop_shuffle();
    let route = (targets, 5..8_u64, any::<bool>());
    let others = (vec(1..4_u64, 3), proptest::option::of(1..4_u64));
    (route, others, vec(proptest::option::of(tenant()), 2)).prop_map(
        |((targets, first_token, reject_losses), (prices, provider_rpm), tenants)| Meaning {
            targets,
            first_token,
            reject_losses,
            prices,
            provider_rpm,
            tenants,
        },
    )
}

const HEAD: &str = "apiVersion: egret.dev/v1alpha1\nkind: Policy\n";

impl Meaning {
    fn providers_and_models(&self) -> String {
        let limits = self.provider_rpm.map(|n| format!(", limits: {{ rpm: {{ requests: {n}, per: 1m }} }}"));
        let limits = limits.unwrap_or_default();
        let mut text = format!("providers: {{ openai: {{ key: {{ fromEnv: K }}{limits} }} }}\nmodels:\n");
        for (model, price) in MODELS.iter().zip(&self.prices) {
            let price = format!("[{{ inputPerMTok: \"{price}.00\", outputPerMTok: \"{}\" }}]", 9 - price);
            let bounds = "contextTokens: 1000, maxOutputTokens: 100";
            let _ = writeln!(text, "  {model}: {{ provider: openai, {bounds}, price: {price} }}");
        }
        text
    }

    fn targets(&self) -> String {
        let models = self.targets.iter().map(|at| format!("{{ model: {} }}", MODELS[*at]));
        format!("[{}]", models.collect::<Vec<_>>().join(", "))
    }

    fn loss(&self) -> &'static str {
        if self.reject_losses { "reject" } else { "warn" }
    }

    fn present(&self) -> impl Iterator<Item = (usize, &TenantMeaning)> {
        self.tenants.iter().enumerate().filter_map(|(n, tenant)| Some((n, tenant.as_ref()?)))
    }

    /// One file, everything said where it holds.
    fn plain(&self) -> Sources {
        let times = format!("timeouts: {{ firstToken: {}s }}, onLoss: {}", self.first_token, self.loss());
        let mut text = format!("{HEAD}{}routes:\n", self.providers_and_models());
        let _ = writeln!(text, "  chat: {{ {times}, targets: {} }}", self.targets());
        for model in MODELS {
            let _ = writeln!(text, "  {model}: {{ {times}, targets: [{{ model: {model} }}] }}");
        }
        text += "tenants:\n  always: { local: true, access: { allow: [] } }\n";
        for (n, tenant) in self.present() {
            let _ =
                writeln!(text, "  t{n}: {{ {}, limits: {{ {} }} }}", tenant.own(n), tenant.limits("m", 1));
        }
        Sources::single("policy.yaml", text)
    }

    /// The same over several files: defaults, plans, other units, another order, comments.
    fn elsewhere(&self) -> Sources {
        let (loss, time) = (self.loss(), self.first_token * 1_000);
        let mut rest =
            format!("{HEAD}defaults: {{ onLoss: {loss}, timeouts: {{ firstToken: {time}ms }} }}\n");
        let _ = writeln!(rest, "routes:\n  chat:\n    # the same\n    targets: {}", self.targets());
        rest += &self.providers_and_models();
        let mut tenants = format!("{HEAD}tenants:\n");
        let mut plans = "plans:\n  none: { limits: {} }\n".to_owned();
        for (n, tenant) in self.present() {
            let _ = writeln!(plans, "  p{n}: {{ limits: {{ {} }} }}", tenant.limits("s", 60));
            let _ = writeln!(tenants, "  t{n}: {{ plan: p{n}, {} }}", tenant.own(n));
        }
        tenants += "  always: { access: { allow: [] }, local: true }\n";
        let files = [("b.yaml", rest), ("a.yaml", tenants + &plans)];
        files.into_iter().map(|(name, text)| (Arc::from(name), text.into_bytes())).collect()
    }
}

impl TenantMeaning {
    fn own(&self, n: usize) -> String {
        let Self { allow, deny, rpm: _, month: _, annotate, on_abandoned, key } = self;
        let hash = format!("{n}{key}").repeat(32);
        let charged = ["nothing", "input", "reservation"][usize::from(*on_abandoned)];
        format!(
            "annotate: {annotate}, onAbandoned: {charged}, match: [{{ apiKeySha256: \"{hash}\", name: k{key} }}], \
             access: {{ allow: [{}], deny: [{}] }}",
            allow.join(", "),
            deny.join(", ")
        )
    }

    fn limits(&self, unit: &str, times: u64) -> String {
        let mut limits = Vec::new();
        if let Some(Rpm { amount, minutes, is_shadow, is_each, queue }) = self.rpm {
            let mode = if is_shadow { ", mode: shadow" } else { "" };
            let each = if is_each { ", each: user" } else { "" };
            // One that only counts lets nobody wait.
            let queue = queue.filter(|_| !is_shadow);
            let queue = queue.map(|wait| format!(", onExceed: {{ queue: {{ maxWait: {wait}s }} }}"));
            let per = format!("{}{unit}", minutes * times);
            let queue = queue.unwrap_or_default();
            limits.push(format!("rpm: {{ requests: {amount}, per: {per}{mode}{each}{queue} }}"));
        }
        limits.extend(self.month.map(|usd| format!("month: {{ usd: \"{usd}.50\", per: month }}")));
        limits.join(", ")
    }
}

fn compiled(sources: &Sources) -> Snapshot {
    let told = |sources: &Sources| {
        sources
            .files()
            .iter()
            .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
            .collect::<String>()
    };
    compile(sources).unwrap_or_else(|found| panic!("{found}\n{}", told(sources))).0
}

/// Each change of each thing, how often it is told: name, what, old, new, whether it loosens, whether it tightens.
type Told = BTreeMap<(Kind, String, String, [Option<String>; 2], [bool; 2]), usize>;

fn told(changes: &Changes, turned: bool) -> Told {
    let mut told = Told::new();
    for subject in &changes.subjects {
        assert!(!subject.names.is_empty() && !subject.changes.is_empty());
        for (name, change) in
            subject.names.iter().flat_map(|name| subject.changes.iter().map(move |one| (name, one)))
        {
            let text = |text: &Option<Box<str>>| text.as_ref().map(ToString::to_string);
            let mut values = [text(&change.old), text(&change.new)];
            let mut ways = [change.direction.loosens(), change.direction.tightens()];
            if turned {
                values.reverse();
                ways.reverse();
            }
            let key = (subject.kind, name.to_string(), change.what.to_string(), values, ways);
            *told.entry(key).or_default() += 1;
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_policy_changes_nothing_of_itself(meaning in meaning()) {
        let (one, other) = (compiled(&meaning.plain()), compiled(&meaning.plain()));
        prop_assert_eq!(Changes::between(&one, &other), Changes::default());
    }

    #[test]
    fn the_same_meaning_in_other_words_and_files_has_no_changes(meaning in meaning()) {
        let (one, other) = (compiled(&meaning.plain()), compiled(&meaning.elsewhere()));
        prop_assert_eq!(Changes::between(&one, &other), Changes::default());
        prop_assert_eq!(Changes::between(&other, &one), Changes::default());
    }

    #[test]
    fn the_way_back_tightens_what_the_way_there_loosens(one in meaning(), other in meaning()) {
        let (one, other) = (compiled(&one.plain()), compiled(&other.elsewhere()));
        let (there, back) = (Changes::between(&one, &other), Changes::between(&other, &one));
        prop_assert_eq!(told(&there, false), told(&back, true));
        prop_assert_eq!(there.is_empty(), back.is_empty());
    }

    #[test]
    fn what_is_told_of_several_is_told_of_each(one in meaning(), other in meaning()) {
        let changes = Changes::between(&compiled(&one.plain()), &compiled(&other.plain()));
        prop_assert!(told(&changes, false).values().all(|times| *times == 1), "{:?}", changes);
    }
}

#[test]
fn one_more_call_a_minute_loosens_and_the_way_back_tightens() {
    let policy = |requests: u64| {
        let head = format!(
            "{HEAD}providers: {{ openai: {{ key: {{ fromEnv: K }} }} }}\nmodels: {{ m: {{ provider: openai }} }}\n"
        );
        let limits = format!("limits: {{ rpm: {{ requests: {requests}, per: 1m }} }}");
        let text = format!("{head}tenants: {{ a: {{ local: true, access: {{ allow: [m] }}, {limits} }} }}\n");
        compiled(&Sources::single("p.yaml", text))
    };
    let ways = |old, new| -> Vec<_> {
        Changes::between(&policy(old), &policy(new)).iter().map(|change| change.direction).collect()
    };
    assert_eq!(ways(1, 2), [Direction::Loosening]);
    assert_eq!(ways(2, 1), [Direction::Tightening]);
}

#[test]
fn a_summary_counts_things_and_names_limits_that_forget() {
    let policy = |limits: &str, targets: &str| {
        let head = format!("{HEAD}providers: {{ openai: {{ key: {{ fromEnv: SECRET_PLACE }} }} }}\n");
        let models = "models: { m: { provider: openai }, n: { provider: openai } }\n";
        let tenant = |name: &str, more: &str| {
            format!("{name}: {{ {more}, access: {{ allow: [chat] }}, limits: {{ {limits} }} }}")
        };
        let key = format!("match: [{{ apiKeySha256: \"{}\" }}]", "5".repeat(64));
        let tenants = format!("tenants: {{ {}, {} }}\n", tenant("a", "local: true"), tenant("b", &key));
        let text = format!("{head}{models}routes: {{ chat: {{ targets: [{targets}] }} }}\n{tenants}");
        compiled(&Sources::single("p.yaml", text))
    };
    let old = policy("rpm: { requests: 5, per: 1m }", "{ model: m }, { model: n }");
    let said = |new: &Snapshot| Changes::between(&old, new).to_string();
    assert_eq!(
        said(&policy("rpm: { requests: 5, per: 60s }", "{ model: m }, { model: n }")),
        "the same meaning"
    );
    assert_eq!(
        said(&policy("rpm: { requests: 6, per: 1m }", "{ model: m }")),
        "2 tenants loosened, 1 route changed, 1 risk"
    );
    assert_eq!(
        said(&policy("rpm: { requests: 5, per: day }", "{ model: m }, { model: n }")),
        "2 tenants loosened, 2 tenants tightened, 2 tenants changed, 1 risk; counts of limits.rpm of 2 tenants start anew"
    );
}
