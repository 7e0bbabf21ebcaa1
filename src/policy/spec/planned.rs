//! What the policy language has, but egret does not do yet. `check` refuses exactly this, each with "not built yet":
//! nothing is accepted and not enforced. `policies/reference.yaml` shows all of it; every release shortens the list.

/// A field that is not built yet.
pub(in crate::policy) struct Field {
    name: &'static str,
    /// Whether the thing around it means nothing definite without it, so that nothing else is said of it.
    pub(in crate::policy) decides: bool,
}

const fn adds(name: &'static str) -> Field {
    Field { name, decides: false }
}

const fn decides(name: &'static str) -> Field {
    Field { name, decides: true }
}

/// Fields, by the spec type that will have them.
const FIELDS: &[(&str, &[Field])] = &[
    ("Policy", &[adds("auth")]),
    ("Attributes", &[adds("user"), adds("app")]),
    ("Match", &[decides("kubernetes"), decides("jwt")]),
];

/// Choices, by the spec type that will have them.
const CHOICES: &[(&str, &[&str])] = &[("AccessMode", &["shadow"]), ("OnLedgerDown", &["localShare"])];

/// Fields that stand elsewhere, by the spec type in which they are looked for, and where that is.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("Policy", "metadata", "a policy is no Kubernetes object: it lies in a ConfigMap as text"),
    ("Policy", "spec", "a policy is no Kubernetes object: its sections stand at the top"),
    ("TryTimeouts", "total", "`total` is the whole call's: say it at a route or in `defaults`"),
    ("Target", "timeouts", "say it at the route, or at the model for all routes"),
    ("Target", "retry", "say it at the route"),
    ("Target", "hedge", "say it at the route"),
    ("Route", "weight", "say it at each of its `targets`"),
    ("Defaults", "hedge", "say it at a route: it needs two targets"),
    ("Retry", "base", "say it in `backoff`: `backoff: { base: 200ms, max: 5s }`"),
    ("Retry", "max", "say it in `backoff`: `backoff: { base: 200ms, max: 5s }`"),
    ("Provider", "retry", "say it at a route or in `defaults`; here it is `retryBudget`"),
    ("Model", "retry", "say it at a route or in `defaults`"),
    ("Model", "breaker", "say it at the provider: each of its models has its own"),
    ("Route", "breaker", "say it at the provider: each of its models has its own"),
    ("Defaults", "breaker", "say it at the provider: each of its models has its own"),
];

/// Where a field stands that the type does not have, if another has it.
pub(in crate::policy) fn elsewhere(of: &str, name: &str) -> Option<&'static str> {
    let mut fields = ELSEWHERE.iter();
    fields.find(|(spec, field, _)| (*spec, *field) == (of, name)).map(|(_, _, place)| *place)
}

/// The field of that type, if it is not built yet.
pub(in crate::policy) fn field(of: &str, name: &str) -> Option<&'static Field> {
    let (_, fields) = FIELDS.iter().find(|(spec, _)| *spec == of)?;
    fields.iter().find(|field| field.name == name)
}

/// Whether it is a choice of that type that is not built yet.
pub(in crate::policy) fn choice(of: &str, word: &str) -> bool {
    CHOICES.iter().any(|(spec, words)| *spec == of && words.contains(&word))
}

/// Fields and choices that are not built yet, by the spec type that will have them.
pub fn not_built_yet() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let fields = FIELDS.iter().map(|(of, fields)| (*of, fields.iter().map(|field| field.name).collect()));
    fields.chain(CHOICES.iter().map(|(of, words)| (*of, words.to_vec())))
}

/// What is said of a field or choice.
pub(in crate::policy) fn not_built(name: &str) -> String {
    format!("`{name}` is not built yet")
}

/// What to write for a key of a pool.
pub(in crate::policy) const POOL: &str =
    "write `{ name: a, fromEnv: NAME }` or `{ name: a, fromFile: /PATH }`";

/// What to write where another shape stands.
pub(in crate::policy) fn shape_hint(of: &str) -> Option<&'static str> {
    match of {
        "KeySource" => Some("write `key: { fromEnv: NAME }` or `key: { fromFile: /PATH }`"),
        "KeyOfPool" => Some(POOL),
        "Breaker" => Some("write `{ consecutiveFailures: 5, openFor: 60s }`"),
        "RetryBudget" => Some("write `{ ratio: 0.2, minPerSecond: 3 }`"),
        "Timeouts" => Some("write `{ connect: 3s, firstToken: 60s, answer: 300s, total: 600s }`"),
        "TryTimeouts" => Some("write `{ connect: 3s, firstToken: 60s, answer: 300s }`"),
        "MinRate" => Some("write `{ tokensPerSecond: 5, over: 2s }`"),
        "Target" => Some("write `{ model: NAME }`"),
        "Retry" => Some("write `{ maxAttempts: 4, backoff: { base: 200ms, max: 5s } }`"),
        "Backoff" => Some("write `{ base: 200ms, max: 5s }`"),
        "Hedge" => Some("write `{ after: p95 }` or `{ after: 2s, maxShare: 0.05 }`"),
        "KeepAlive" => Some("write `{ after: 15s, every: 15s }`"),
        "OnExhausted" => Some("write `{ respond: \"Please try again shortly.\" }`"),
        "When" => {
            Some("write `{ inputTokensBelow: 8000 }`, `{ task: [summarization] }` or `{ plan: [pro] }`")
        }
        "TimeOfDay" => Some("write `{ from: \"22:00\", to: \"06:00\", timeZone: Europe/Berlin }`"),
        "Attributes" => Some("write `{ task: { header: x-egret-task } }`"),
        "Source" => Some("write `{ header: x-egret-task }` or `{ metadata: task }`"),
        "Match" => Some("write `{ apiKeySha256: \"<64 hex from egret key>\" }`"),
        "Limit" => {
            Some("write `{ requests: 100, per: 1m }`, `{ tokens: 100000, per: 1m }` or `{ concurrent: 10 }`")
        }
        "ReserveOutput" => {
            Some("write `bound`, `{ cap: 4096 }`, `{ expect: 1000 }` or `{ expect: learned }`")
        }
        "OnExceed" => Some(
            "write `reject`, `{ clamp: { atLeast: 256 } }`, `{ queue: { maxWait: 5s } }` or `{ downgrade: { to: cheap } }`",
        ),
        "Each" => Some("write one of user, app, key, model; at a provider: model, providerKey"),
        "OnUnpriced" => {
            Some("write `reject` or `{ assume: { inputPerMTok: \"5.00\", outputPerMTok: \"20.00\" } }`")
        }
        "Policy" => Some("a policy begins with `apiVersion: egret.dev/v1alpha1` and `kind: Policy`"),
        "Access" => Some("write `{ allow: [chat, \"gpt-*\"] }`"),
        "Price" => Some("write `{ inputPerMTok: \"2.00\", outputPerMTok: \"8.00\" }`"),
        _ => None,
    }
}

/// Whether nothing more is to be said of a thing of that type that has a field which the type does not have.
pub(in crate::policy) fn is_whole(of: &str) -> bool {
    matches!(of, "KeyOfPool" | "When" | "Limit")
}

/// Whether an author may have put a secret there, so that the text must not be shown.
pub(in crate::policy) fn is_secret(of: &str) -> bool {
    matches!(of, "KeySource" | "KeyPool" | "KeyOfPool" | "KeyHash")
}

/// What is said of a secret in the policy's own text.
pub(in crate::policy) fn secret_message(of: &str) -> Option<&'static str> {
    let holds_key = matches!(of, "KeySource" | "KeyOfPool");
    holds_key.then_some("a key never stands in a policy: it comes from `fromEnv` or `fromFile`")
}
