//! A call that does not fit for the output that it may write: it writes what there is room for, where its limit says so.

use super::admit;
use super::call::Call;
use super::charge::Sized;
use super::receive::Asked;
use crate::clock::Now;
use crate::limits::Exceeded;
use crate::policy::snapshot::{Model, OnExceed, Principal, Route};
use crate::units::Tokens;

/// Of a call under several such limits each may lower what the one before left, and others come meanwhile: after so
/// many asks more than it has limits it is refused.
const SPARE_ASKS: usize = 4;

/// Takes room for a call that is about to try `target`, where need be with a bound on its output. Gives what it may use
/// there.
pub(super) fn admit(
    call: &mut Call,
    principal: &Principal,
    (route, target, asked): (&Route, &Model, &Asked),
    sized: Sized,
    now: Now,
) -> Result<Sized, Exceeded> {
    let limits = principal.tenant.counting(&route.id).limits;
    let mut sized = sized;
    let mut asks = limits.len() + SPARE_ASKS;
    loop {
        let Err(exceeded) = admit::admit(call, principal, limits, &target.id, sized.amounts, now) else {
            return Ok(sized);
        };
        let smaller = smaller(&exceeded, principal, target, asked, &sized).filter(|_| asks > 0);
        let Some(smaller) = smaller else { return Err(exceeded) };
        call.meets(&exceeded);
        sized = smaller;
        asks -= 1;
    }
}

/// The same attempt with as much output as the limit has room for, or as the policy says is the least: where not even that
/// fits, the refusal tells when it will. None where the limit does not say so, or nothing smaller is left.
fn smaller(
    exceeded: &Exceeded,
    principal: &Principal,
    target: &Model,
    asked: &Asked,
    sized: &Sized,
) -> Option<Sized> {
    let tenant = &principal.tenant;
    match admit::beyond(exceeded, tenant)? {
        OnExceed::Clamp { .. } => {}
        OnExceed::Queue { .. } | OnExceed::Downgrade { .. } => return None,
    }
    if !asked.api.has_output() {
        return None;
    }
    let fits = sized.longest_within(exceeded.rule.quota.unit(), exceeded.room)?;
    let longest = fits.max(tenant.least_answer());
    let now = Tokens(sized.amounts.output.0 / sized.choices.max(1));
    (longest < now).then(|| sized.bounded(longest, target.max_tokens_field))
}
