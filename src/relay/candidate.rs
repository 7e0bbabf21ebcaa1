//! One candidate before it is tried: whether the call fits there, whether it is well, and with which key.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Relay;
use super::call::Call;
use super::charge::Sized;
use super::crossing::{self, Crossing};
use super::receive::Asked;
use super::refusal::Refusal;
use super::shape;
use super::window::{self, Fit, Overflow};
use crate::clock::Instant;
use crate::dialect::edit::truncate::Truncation;
use crate::dialect::error::Cause;
use crate::dialect::translate;
use crate::policy::snapshot::{Model, Principal, Provider, Route};
use crate::resilience::breaker::Pass;
use crate::resilience::health::TargetHealth;
use crate::resilience::keys::KeyFault;

/// What a call would be at a candidate.
pub(super) struct Fitted {
    pub(super) sized: Sized,
    /// What of its messages is left out.
    pub(super) cut: Option<Box<Truncation>>,
    /// What is sent in its place where another dialect is spoken.
    pub(super) crossing: Option<Box<Crossing>>,
}

/// Why a call does not fit at a candidate, now or ever.
pub(super) struct Unfit {
    pub(super) reason: &'static str,
    /// What its caller hears if nobody else takes it.
    pub(super) refusal: Refusal,
    /// Whether nobody else is asked.
    pub(super) is_final: bool,
}

/// What the call would be at this model. Takes nothing.
pub(super) fn fits(
    call: &Call,
    principal: &Principal,
    route: &Route,
    model: &Model,
    asked: &Asked,
) -> Result<Fitted, Unfit> {
    let unfit = |reason, refusal| Unfit { reason, refusal, is_final: false };
    let Provider { dialect, apis, .. } = *model.provider;
    let mut there = translate::operation_at(asked.api, dialect, apis).unwrap_or(asked.api);
    // Where it cannot be written anew it goes as it is, and the provider judges.
    let marked = there == asked.api
        && apis.contains(dialect.conversation())
        && translate::foreign::is_marked(asked.api, asked.body());
    if marked {
        there = dialect.conversation();
    }
    let crosses = marked || there != asked.api;
    shape::check_fields(asked, model, crosses).map_err(|refusal| unfit(refusal.cause().code(), refusal))?;
    let calibration = &call.relay.shared.calibration;
    let Fit { cut, longest } = window::fit(calibration, route.on_context_overflow, model, asked).map_err(
        |overflow| match overflow {
            Overflow::Refused => Unfit { reason: "window", refusal: window::too_long(model), is_final: true },
            Overflow::PassedOver => unfit("window", window::too_long(model)),
        },
    )?;
    let bytes = asked.body().len() - cut.as_ref().map_or(0, |cut| cut.bytes);
    let sized = call
        .size(principal, route, model, asked, bytes as u64)
        .ok_or_else(|| unfit("unpriced", unpriced(model)))?;
    let sized = match longest {
        Some(longest) => sized.within(longest, asked.facts.max_output, model.max_tokens_field),
        None => sized,
    };
    let crossing = match crosses {
        true => Some(crossing::cross(
            asked,
            there,
            model,
            route.on_loss,
            sized.cap,
            (cut.as_ref(), &call.relay.shared.budget),
        )?),
        false => None,
    };
    // Boxed: they are rare, and every call would carry their room.
    Ok(Fitted { sized, cut: cut.map(Box::new), crossing: crossing.map(Box::new) })
}

fn unpriced(model: &Model) -> Refusal {
    let message = format!(
        "What calls may cost is limited, and the policy has no price for the model `{}` today.",
        model.id
    );
    Refusal::new(Cause::NoProviderAvailable, message).never_retry()
}

/// A candidate that may be tried.
pub(super) struct Well {
    /// What is known of it; nothing of one that a newer policy has not.
    pub(super) health: Option<Arc<TargetHealth>>,
    /// What its breaker is told of the try.
    pub(super) pass: Option<Pass>,
    /// The keys that may be used, by their place, the next in turn first. Not empty.
    pub(super) keys: Keys,
}

/// A provider's keys by their place.
pub(super) type Keys = SmallVec<[usize; 2]>;

/// Why a candidate is left alone for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwell {
    pub(super) reason: &'static str,
    /// Until when, as far as is known.
    pub(super) until: Option<Instant>,
}

/// `breaker_open`, the reason for which `onAllOpen` may help.
pub(super) const BREAKER_OPEN: &str = "breaker_open";
/// It asked to be left alone.
pub(super) const COOLING_DOWN: &str = "cooling_down";
/// No key of the provider's is accepted there.
pub(super) const KEY_REFUSED: &str = "key_refused";

/// Whether a model may be tried now, and with which keys: not with those that `spent` says of.
pub(super) fn well(
    relay: &Relay,
    model: &Model,
    fixed_key: bool,
    spent: impl Fn(usize) -> bool,
    forced: bool,
    now: Instant,
) -> Result<Well, Unwell> {
    let health = known(relay, model);
    let first = match &health {
        Some(health) if !fixed_key => health.provider.start(),
        Some(_) | None => 0,
    };
    let keys = keys(relay, &model.provider, health.as_deref(), (first, fixed_key), spent, now)?;
    let pass = match &health {
        Some(health) if forced => Some(health.breaker.probe(now)),
        Some(health) => {
            let open = |until| Unwell { reason: BREAKER_OPEN, until: Some(until) };
            Some(health.breaker.admit(now).map_err(open)?)
        }
        None => None,
    };
    Ok(Well { health, pass, keys })
}

/// What is known of a model at its provider; nothing where a newer policy has it at another one.
pub(super) fn known(relay: &Relay, model: &Model) -> Option<Arc<TargetHealth>> {
    relay.shared.health.target(&model.id).filter(|known| known.provider.id == model.provider.id)
}

/// When a model may be tried again; none where nothing is known to stand against it now.
pub(super) fn available_at(relay: &Relay, model: &Model, now: Instant) -> Option<Instant> {
    let health = known(relay, model)?;
    let open = health.breaker.retry_at(now);
    // Whose turn it is stays: nobody is tried.
    match keys(relay, &model.provider, Some(&health), (0, false), |_| false, now) {
        Ok(_) => open,
        Err(unwell) => unwell.until.max(open),
    }
}

/// The keys that may be used, from the first on, or it alone.
fn keys(
    relay: &Relay,
    provider: &Provider,
    health: Option<&TargetHealth>,
    (first, alone): (usize, bool),
    spent: impl Fn(usize) -> bool,
    now: Instant,
) -> Result<Keys, Unwell> {
    let count = provider.keys.len();
    let mut usable = Keys::new();
    let mut out: Option<Unwell> = None;
    for at in (0..if alone { 1 } else { count }).map(|turn| (first + turn) % count) {
        match key_is_out(relay, provider, health, at, now) {
            _ if spent(at) => {}
            None => usable.push(at),
            Some(unwell) => {
                let sooner = out.is_none_or(|other| unwell.until < other.until);
                if sooner {
                    out = Some(unwell);
                }
            }
        }
    }
    if usable.is_empty() {
        Err(out.unwrap_or(Unwell { reason: KEY_REFUSED, until: None }))
    } else {
        Ok(usable)
    }
}

/// Why a key is not used now.
fn key_is_out(
    relay: &Relay,
    provider: &Provider,
    health: Option<&TargetHealth>,
    at: usize,
    now: Instant,
) -> Option<Unwell> {
    let (health, key) = (health?, provider.keys.get(at)?);
    if let Some(until) = health.cooldowns.until(&key.name, now) {
        return Some(Unwell { reason: COOLING_DOWN, until: Some(until) });
    }
    if let Some(until) = health.forbidden.until(&key.name, now) {
        return Some(Unwell { reason: KEY_REFUSED, until: Some(until) });
    }
    let known = health.provider.key(&key.name).filter(|known| known.is_marked())?;
    let version = key.at.as_ref().map_or(0, |at| relay.shared.secrets.version(at));
    let out = known.usable(version, now).err()?;
    let reason = match out.why {
        KeyFault::Refused => KEY_REFUSED,
        KeyFault::Spent => "out_of_credit",
    };
    Some(Unwell { reason, until: Some(out.until) })
}
