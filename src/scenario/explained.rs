//! What would become of a call, as JSON.

use serde_json::{Value, json};

use crate::ids::PlanId;
use crate::limits::{Owner, Rule, Unit};
use crate::policy::snapshot::{Access, Pattern, Principal};
use crate::relay::{Bounds, Candidate, Edits, Explanation, Look, Refused, Room, Said, Try, Verdict};
use crate::units::NanoUsd;

/// Where something of the policy was written, by its path in there; none where nobody knows.
pub type Places<'p> = &'p dyn Fn(&[&str]) -> Option<String>;

/// All of it.
pub fn json(explained: &Explanation, places: Places<'_>) -> Value {
    let Explanation { principal, said, looks, waits, refused } = explained;
    let access = principal.as_ref().map(|principal| &principal.tenant.access);
    json!({
        "caller": principal.as_deref().map(caller),
        "call": said.as_ref().map(call),
        "allowedBy": access.zip(said.as_ref()).and_then(|(access, said)| allowed_by(access, &said.name)),
        "routes": looks.iter().map(|look| route(look, principal.as_deref(), places)).collect::<Vec<_>>(),
        "worstCaseUsd": explained.worst().map(|usd| usd.to_string()),
        "waitsAtMostMs": waits.map(|wait| wait.as_millis() as u64),
        "refusal": refused.as_ref().map(refusal),
    })
}

fn caller(principal: &Principal) -> Value {
    let Principal { tenant, key, user, app } = principal;
    json!({
        "tenant": tenant.id.as_str(),
        "plan": tenant.plan.as_ref().map(|plan| plan.as_str()),
        "key": key.as_ref().map(|key| key.as_str()),
        "user": user.as_ref().map(|user| user.as_str()),
        "app": app.as_ref().map(|app| app.as_str()),
    })
}

fn call(said: &Said) -> Value {
    let Said { api, name, stream, bytes, max_output, task, priority } = said;
    json!({
        "api": api.name(),
        "model": name,
        "stream": stream,
        "bytes": bytes,
        "maxOutputTokens": max_output.map(|tokens| tokens.0),
        "task": task,
        "priority": priority,
    })
}

/// The glob by which a name is allowed.
fn allowed_by(access: &Access, name: &str) -> Option<Value> {
    access.allowed.contains(name).then(|| Pattern::first(&access.allow, name).map(pattern))?
}

fn pattern(pattern: &Pattern) -> Value {
    json!({ "pattern": pattern.glob, "place": &*pattern.place })
}

fn route(look: &Look, principal: Option<&Principal>, places: Places<'_>) -> Value {
    let Look { route, total, candidates } = look;
    json!({
        "route": route.id.as_str(),
        "place": places(&["routes", route.id.as_str()]),
        "strategy": route.strategy.as_str(),
        "maxAttempts": route.retry.max_attempts,
        "totalMs": total.as_millis() as u64,
        "targets": candidates.iter().map(|one| candidate(one, principal, places)).collect::<Vec<_>>(),
    })
}

fn candidate(candidate: &Candidate, principal: Option<&Principal>, places: Places<'_>) -> Value {
    let Candidate { model, verdict, rooms } = candidate;
    let (verdict, reason, says, tried) = match verdict {
        Verdict::Tried(tried) => ("tried", None, None, Some(tried)),
        Verdict::PassedOver { reason, says } => ("passedOver", Some(*reason), says.as_ref(), None),
        Verdict::NotReached => ("notReached", None, None, None),
    };
    let tenant = principal.map(|principal| &principal.tenant);
    let denied = tenant.map(|tenant| &tenant.access).filter(|_| reason == Some("denied"));
    let plan = tenant.and_then(|tenant| tenant.plan.as_ref());
    json!({
        "model": model.id.as_str(),
        "place": places(&["models", model.id.as_str()]),
        "provider": model.provider.id.as_str(),
        "verdict": verdict,
        "reason": reason,
        "says": says,
        "deniedBy": denied.and_then(|access| Pattern::first(&access.deny, model.id.as_str())).map(pattern),
        "try": tried.map(attempt),
        "limits": rooms.iter().map(|one| room(one, plan, places)).collect::<Vec<_>>(),
    })
}

fn attempt(tried: &Try) -> Value {
    let Try { key, key_is_there, held, bounds: Bounds { input, output, usd }, edits } = tried;
    let Edits { model, cap, lowers, cut_messages, translated, lost } = edits;
    json!({
        "key": key.as_ref().map(|key| key.as_str()),
        "keyIsThere": key_is_there,
        "reserves": { "inputTokens": held.input.0, "outputTokens": held.output.0, "usd": held.usd.to_string() },
        "atMost": {
            "inputTokens": input.0,
            "outputTokens": output.map(|output| output.0),
            "usd": usd.map(|usd| usd.to_string()),
        },
        "edits": {
            "model": model,
            "maxOutputTokens": cap.map(|cap| cap.0),
            "lowersMaxOutputTokens": lowers,
            "cutMessages": cut_messages,
            "translatedTo": translated.map(|(_, api)| api.name()),
            "lost": lost,
        },
    })
}

/// Where the amount of a limit was written: with its owner, else with the owner's plan.
pub fn place_of(room: &Room, plan: Option<&PlanId>, places: Places<'_>) -> String {
    let Rule { owner, key, quota, place, .. } = &room.rule;
    let (name, unit) = (owner.name(), quota.unit().as_str());
    let section = match owner {
        Owner::Tenant(_) => "tenants",
        Owner::Provider(_) => "providers",
    };
    let own = places(&[section, &name, "limits", key.as_str(), unit]);
    let of_plan = || places(&["plans", plan?.as_str(), "limits", key.as_str(), unit]);
    own.or_else(of_plan).unwrap_or_else(|| place.to_string())
}

fn room(room: &Room, plan: Option<&PlanId>, places: Places<'_>) -> Value {
    let Room { rule, of, asks, left } = room;
    let unit = rule.quota.unit();
    json!({
        (rule.owner.kind()): &*rule.owner.name(),
        "limit": rule.key.as_str(),
        "unit": unit.as_str(),
        "each": rule.each.map(|each| each.as_str()),
        "of": of,
        "mode": rule.mode.as_str(),
        "asks": counted(unit, *asks),
        "left": counted(unit, *left),
        "hasRoom": room.has_room(),
        "place": place_of(room, plan, places),
    })
}

/// An amount; money as policies write it.
fn counted(unit: Unit, count: u64) -> Value {
    match unit {
        Unit::Usd => json!(NanoUsd(count).to_string()),
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            json!(count)
        }
    }
}

fn refusal(refused: &Refused) -> Value {
    let Refused { status, code, message, wait, is_replaced } = refused;
    json!({
        "status": status,
        "code": code,
        "message": message,
        "retryAfterMs": wait.map(|wait| wait.as_millis() as u64),
        "replacedByOnExhausted": is_replaced,
    })
}
