//! Whether what came of a call is what was expected.

use std::fmt::Display;
use std::time::Duration;

use super::observed::Observed;
use super::{Stage, amount, of_unit};
use crate::limits::{Amounts, Ask, Owner, Rule};
use crate::policy::Snapshot;
use crate::policy::diagnostic::Place;
use crate::policy::snapshot::Principal;
use crate::policy::suite::{Caller, Wanted};
use crate::telemetry::record::limit_name;

/// One thing that did not come as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where it is said.
    pub place: Place,
    /// The field that says it.
    pub field: &'static str,
    /// What was expected.
    pub wanted: String,
    /// What came.
    pub got: String,
    /// Which of the test's calls it was, and what came of it.
    pub which: String,
}

/// What was expected, and what came.
type Mismatch = (String, String);

/// Whether this came of the call.
pub(super) fn check(
    wanted: &Wanted,
    seen: &Observed,
    stage: &Stage,
    caller: &Caller,
    policy: &Snapshot,
) -> Result<(), Mismatch> {
    let record = &seen.record;
    match wanted {
        Wanted::Status(status) => same(status, &seen.status.as_u16()),
        Wanted::Code(code) => word(code, record.refusal),
        Wanted::Message(part) => {
            let message = seen.message();
            holds(message.as_deref().is_some_and(|message| message.contains(&**part)), || {
                (
                    format!("a sentence with \"{part}\""),
                    message.map_or_else(|| "no error".to_owned(), |m| format!("\"{m}\"")),
                )
            })
        }
        Wanted::Outcome(outcome) => word(outcome, Some(record.outcome)),
        Wanted::Tenant(tenant) => word(tenant, record.tenant.as_ref().map(|id| id.as_str())),
        Wanted::Plan(plan) => {
            let tenant = record.tenant.as_ref().and_then(|id| policy.tenants.get(id));
            word(plan, tenant.and_then(|tenant| tenant.plan.as_ref()).map(|plan| plan.as_str()))
        }
        Wanted::Route(route) => word(route, record.route.as_ref().map(|id| id.as_str())),
        Wanted::DowngradedTo(route) => word(route, record.downgraded_to.as_ref().map(|id| id.as_str())),
        Wanted::Target(model) => word(model, seen.target()),
        Wanted::Tried(models) => {
            list(models, record.attempts.iter().map(|attempt| attempt.destination.model.as_str()))
        }
        Wanted::Outcomes(words) => list(words, record.attempts.iter().map(|attempt| attempt.outcome)),
        Wanted::PassedOver(model, reason) => passed_over(model, reason, seen),
        Wanted::Reserved(unit, wanted) => {
            let held = record.attempts.first().map_or(Amounts::NONE, |attempt| attempt.held);
            same(&of_unit(*unit, *wanted), &of_unit(*unit, held.of(*unit)))
        }
        Wanted::Charged(unit, wanted) => {
            same(&of_unit(*unit, *wanted), &of_unit(*unit, record.charged.of(*unit)))
        }
        Wanted::Cost(cost) => same(
            &format!("\"{cost}\""),
            &record.cost.map_or_else(|| "nothing known".to_owned(), |cost| format!("\"{cost}\"")),
        ),
        Wanted::Left(rule, wanted) => {
            let left = left(rule, seen, stage, caller, policy);
            same(
                &amount(rule, *wanted),
                &left.map_or_else(|| "no such limit".to_owned(), |left| amount(rule, left)),
            )
        }
        Wanted::Header(name, value) => word(value, seen.header(name.as_str())),
        Wanted::Says(words) => same(&format!("\"{words}\""), &format!("\"{}\"", seen.says())),
        Wanted::RetryAfter(wait) => {
            let told = seen.header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            same(&shown(*wait), &told.map_or_else(|| "nothing told".to_owned(), shown))
        }
        Wanted::ClampedTo(bound) => word(&bound.to_string(), seen.header("x-egret-clamped")),
        Wanted::Lost(fields) => list(fields, record.lost.iter().map(AsRef::as_ref)),
        Wanted::WouldRefuse(limits) => {
            let names: Vec<_> =
                record.would_refuse.iter().map(|(owner, key)| limit_name(owner, key)).collect();
            list(limits, names.iter().map(AsRef::as_ref))
        }
        Wanted::Within(most) => {
            holds(seen.took <= *most, || (format!("at most {}", shown(*most)), shown(seen.took)))
        }
    }
}

fn holds(holds: bool, otherwise: impl FnOnce() -> Mismatch) -> Result<(), Mismatch> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn same<T: PartialEq + Display>(wanted: &T, got: &T) -> Result<(), Mismatch> {
    holds(wanted == got, || (wanted.to_string(), got.to_string()))
}

fn word(wanted: &str, got: Option<&str>) -> Result<(), Mismatch> {
    holds(got == Some(wanted), || (wanted.to_owned(), got.unwrap_or("none").to_owned()))
}

fn list<'a>(wanted: &[Box<str>], got: impl Iterator<Item = &'a str>) -> Result<(), Mismatch> {
    let got: Vec<_> = got.collect();
    let equal = wanted.len() == got.len() && wanted.iter().zip(&got).all(|(wanted, got)| **wanted == **got);
    let wanted = || wanted.iter().map(|word| &**word).collect::<Vec<_>>().join(", ");
    holds(equal, || (format!("[{}]", wanted()), format!("[{}]", got.join(", "))))
}

fn passed_over(model: &str, reason: &str, seen: &Observed) -> Result<(), Mismatch> {
    let of_model = seen.record.passed_over.iter().filter(|passed| passed.destination.model.as_str() == model);
    let reasons: Vec<_> = of_model.map(|passed| passed.reason).collect();
    holds(reasons.contains(&reason), || {
        let got = if reasons.is_empty() { "not passed over".to_owned() } else { reasons.join(", ") };
        (format!("{model}: {reason}"), format!("{model}: {got}"))
    })
}

/// What is left of a limit for the same call once more.
fn left(rule: &Rule, seen: &Observed, stage: &Stage, caller: &Caller, policy: &Snapshot) -> Option<u64> {
    let principal = match caller {
        Caller::Known(principal) => principal,
        Caller::Local => policy.local.as_ref()?,
        Caller::UnknownKey | Caller::Afar => return None,
    };
    let Principal { tenant, key, user, app } = &**principal;
    if rule.owner != Owner::Tenant(tenant.id.clone()) {
        return None;
    }
    let somewhere = policy.models.keys().next();
    let model = seen.record.attempts.last().map(|attempt| &attempt.destination.model).or(somewhere)?;
    let ask =
        Ask { user: user.as_ref(), app: app.as_ref(), key: key.as_ref(), model, amounts: Amounts::NONE };
    Some(stage.relay.shared.ledger.room(rule, &ask, stage.clock.moment()))
}

/// `90s`, `1500ms`.
fn shown(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}
