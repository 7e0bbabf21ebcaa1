//! The two policies that take turns: everything that fails over is switched on, and every limit has a book beside it.

use std::fmt::Write;
use std::time::Duration;

use egret::auth::api_key::KeyDigest;

use crate::provider::Provider;

/// What no call may take longer than, with all of its tries.
pub(crate) const TOTAL: Duration = Duration::from_secs(8);
/// What the policy says where nobody answers.
pub(crate) const BUSY: &str = "We are busy. Please try again shortly.";
/// Limits that never bite: they are the books of whoever has them.
const BOOKS: &str = "bookCalls: { requests: 1000000000, per: month }, \
     bookTokens: { tokens: 1000000000000, per: month }, \
     bookInput: { inputTokens: 1000000000000, per: month }, \
     bookOutput: { outputTokens: 1000000000000, per: month }, \
     bookMoney: { usd: \"1000000.00\", per: month }";

/// Who calls. The key of each is its name and `-key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenant {
    /// Asks for plain answers only, and waits for them: what it costs is known to the token.
    Plain,
    /// Asks for streams too, and waits for them.
    Patient,
    /// May leave at any moment.
    Hasty,
    /// Has limits that bite.
    Limited,
}

impl Tenant {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Patient, Self::Hasty, Self::Limited];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Patient => "patient",
            Self::Hasty => "hasty",
            Self::Limited => "limited",
        }
    }

    /// Whether a try that was given up costs its tenant nothing.
    pub(crate) fn pays_for_answers_alone(self) -> bool {
        match self {
            Self::Plain | Self::Patient => true,
            Self::Hasty | Self::Limited => false,
        }
    }

    fn rules(self, second: bool) -> String {
        let limits = match (self, second) {
            (Self::Plain | Self::Patient | Self::Hasty, false) => "open: { concurrent: 500 }",
            (Self::Plain | Self::Patient | Self::Hasty, true) => {
                "open: { concurrent: 400 }, each: { requests: 100000, per: 1m, each: key }"
            }
            (Self::Limited, false) => {
                "open: { concurrent: 12, onExceed: { queue: { maxWait: 1s } } }, rps: { requests: 20, per: 1s }, \
                 tps: { tokens: 4000, per: 1s, onExceed: { clamp: { atLeast: 4 } } }"
            }
            (Self::Limited, true) => {
                "open: { concurrent: 9 }, rps: { requests: 15, per: 1s, onExceed: { queue: { maxWait: 500ms } } }, \
                 tps: { tokens: 3000, per: 1s }, dollars: { usd: \"0.05\", per: 2s, mode: shadow }"
            }
        };
        let abandoned = if self.pays_for_answers_alone() { "nothing" } else { "input" };
        format!("onAbandoned: {abandoned}, limits: {{ {BOOKS}, {limits} }}")
    }
}

/// A dollar per million tokens of input, by the number of the provider; twice as much of output.
pub(crate) fn nanos_per_token(provider: usize) -> (u64, u64) {
    (1_000 * provider as u64, 2_000 * provider as u64)
}

/// The first or the second policy.
pub(crate) fn text(providers: &[Provider], second: bool) -> String {
    let mut text = format!(
        "apiVersion: egret.dev/v1alpha1\nkind: Policy\nrevision: {}\n\
         defaults:\n  timeouts: {{ connect: 1s, firstToken: 1500ms, streamIdle: 1500ms, answer: 2500ms, total: {}s }}\n\
         \x20 retry: {{ maxAttempts: {}, backoff: {{ base: 50ms, max: 500ms }} }}\n\
         \x20 reserveOutput: {{ cap: 64 }}\n  onContextOverflow: nextTarget\n{}",
        if second { "second" } else { "first" },
        TOTAL.as_secs(),
        if second { 5 } else { 4 },
        if second {
            "  keepAlive: { after: 1s, every: 1s }\n  onAllOpen: reject\n"
        } else {
            "  onAllOpen: probe\n"
        },
    );
    text += "providers:\n";
    for (number, provider) in (1..).zip(providers) {
        let breaker = match second {
            false => "consecutiveFailures: 5, openFor: 300ms",
            true => "failureRatio: 50%, window: 3s, minRequests: 10, openFor: 300ms, halfOpenProbes: 2",
        };
        let third = if second { format!(", {{ name: c, fromEnv: P{number}_C }}") } else { String::new() };
        // The second is small: it is full now and then.
        let (open, each) = if number == 2 { (30, 25) } else { (200, 200) };
        let limits = format!(
            "open: {{ concurrent: {open} }}, rps: {{ requests: 400, per: 1s }}, \
             mine: {{ requests: {each}, per: 1s, each: providerKey }}, tps: {{ tokens: 100000, per: 1s, each: model }}"
        );
        let _ = writeln!(
            text,
            "  p{number}: {{ dialect: openai, baseUrl: \"http://{}/v1\", \
             keys: [{{ name: a, fromEnv: P{number}_A }}, {{ name: b, fromEnv: P{number}_B }}{third}], \
             breaker: {{ {breaker} }}, retryBudget: {{ ratio: 0.3 }}, limits: {{ {BOOKS}, {limits} }} }}",
            provider.address
        );
    }
    text += "models:\n";
    for number in 1..=providers.len() {
        let _ = writeln!(
            text,
            "  m{number}: {{ provider: p{number}, name: model-p{number}, contextTokens: {}, maxOutputTokens: 64, \
             price: [{{ inputPerMTok: \"{number}.00\", outputPerMTok: \"{}.00\" }}] }}",
            20_000 * number,
            2 * number,
        );
    }
    text += &routes(second);
    text += "tenants:\n";
    for tenant in Tenant::ALL {
        let name = tenant.name();
        let _ = writeln!(
            text,
            "  {name}: {{ match: [{{ apiKeySha256: {}, name: k }}], access: {{ allow: [\"*\"] }}, \
             attributes: {{ latencyBudget: {{ header: x-egret-latency-budget }} }}, {} }}",
            KeyDigest::of(&format!("{name}-key")).hex(),
            tenant.rules(second)
        );
    }
    text
}

fn routes(second: bool) -> String {
    let (chat, hedge) = match second {
        false => ("{ model: m1 }, { model: m2 }, { model: m3 }", "300ms"),
        true => ("{ model: m3 }, { model: m1 }, { model: m2 }", "p95"),
    };
    let all = "{ model: m1 }, { model: m2 }, { model: m3 }";
    format!(
        "routes:\n  chat: {{ targets: [{chat}], hedge: {{ after: {hedge}, maxShare: 0.2 }} }}\n\
         \x20 split: {{ strategy: weighted, targets: [{{ model: m1, weight: 3 }}, {{ model: m2 }}, {{ model: m3 }}], \
         timeouts: {{ minRate: {{ tokensPerSecond: 4, over: 500ms }} }} }}\n\
         \x20 quick: {{ strategy: fastest, targets: [{all}], hedge: {{ after: 500ms, maxShare: 0.1 }} }}\n\
         \x20 cheap: {{ strategy: cheapest, targets: [{all}], onExhausted: {{ respond: \"{BUSY}\" }} }}\n"
    )
}
