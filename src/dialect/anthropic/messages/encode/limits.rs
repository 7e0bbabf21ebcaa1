//! The bound on the output, sampling, stop sequences, and all that Anthropic has nothing for.

use crate::dialect::neutral::{Literal, Losses, Raw, Request};
use crate::dialect::write::Object;
use crate::units::Tokens;

/// The bound where neither the caller nor the policy names one.
const BOUND: u64 = 4096;

/// `max_tokens`, which has to be there. Zero would mean that no answer is wanted.
pub(super) fn bound(named: Option<u64>, longest: Option<Tokens>) -> u64 {
    let longest = longest.map(|tokens| tokens.0);
    named.or(longest).unwrap_or(BOUND).min(longest.unwrap_or(u64::MAX)).max(1)
}

/// Notes what of the sampling is not taken. Its default is left out without a loss.
pub(super) fn sampling(request: &Request<'_>, taken: bool, lost: &mut Losses) {
    let temperature = request.temperature.as_ref();
    // OpenAI's temperatures end at 2, Anthropic's at 1.
    if temperature.is_some_and(|raw| if taken { number(raw) > 1.0 } else { number(raw) != 1.0 }) {
        lost.meaning("temperature");
    }
    if !taken && request.top_p.as_ref().is_some_and(|top_p| number(top_p) != 1.0) {
        lost.meaning("top_p");
    }
    if !taken && request.top_k.is_some() {
        lost.meaning("top_k");
    }
}

pub(super) fn write_sampling(body: &mut Object<'_>, request: &Request<'_>) {
    if let Some(temperature) = &request.temperature {
        body.raw("temperature", temperature);
    }
    // Some models refuse both together, so one that says nothing is left out.
    if let Some(top_p) = request.top_p.as_ref().filter(|top_p| number(top_p) != 1.0) {
        body.raw("top_p", top_p);
    }
    if let Some(top_k) = &request.top_k {
        body.raw("top_k", top_k);
    }
}

/// Whether a number is there and another one than this.
pub(super) fn differs(raw: Option<&Raw<'_>>, default: f64) -> bool {
    raw.is_some_and(|raw| number(raw) != default)
}

pub(super) fn write_stops(body: &mut Object<'_>, stop: &[Literal<'_>]) {
    let mut stops = stop.iter().filter(|stop| !stop.is_blank()).peekable();
    if stops.peek().is_some() {
        body.array("stop_sequences", |list| stops.for_each(|stop| list.literal(stop)));
    }
}

/// Notes everything that has no place in Anthropic's form.
pub(super) fn lose_others(request: &Request<'_>, lost: &mut Losses) {
    if request.choices.is_some_and(|choices| choices > 1) {
        lost.meaning("n");
    }
    if request.logprobs.is_some() {
        lost.meaning("logprobs");
    }
    if differs(request.frequency_penalty.as_ref(), 0.0) {
        lost.hint("frequency_penalty");
    }
    if differs(request.presence_penalty.as_ref(), 0.0) {
        lost.hint("presence_penalty");
    }
    if request.seed.is_some() {
        lost.hint("seed");
    }
    // Nothing but space is refused.
    if request.stop.iter().any(Literal::is_blank) {
        lost.hint("stop");
    }
    let metadata = request.metadata.as_ref().and_then(Raw::value);
    if metadata.is_some_and(|metadata| !metadata.is_blank()) {
        lost.hint("metadata");
    }
}

/// What is no number equals none.
fn number(raw: &Raw<'_>) -> f64 {
    std::str::from_utf8(raw.raw()).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}
