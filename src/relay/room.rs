//! Room for a try: under the tenant's limits, then under its provider's.

use std::time::Duration;

use super::call::Call;
use super::candidate::{Fitted, Well};
use super::charge::Sized;
use super::dispatch::{Walk, Way};
use super::tries::Stake;
use super::{Relay, admit, clamp, lease};
use crate::clock::Now;
use crate::limits::{Each, Exceeded, Lack, Reservation};
use crate::policy::snapshot::{Model, Target};

impl Walk<'_> {
    /// Takes room for the try: under the tenant's limits, then under its provider's, by the first of its keys that has
    /// some. Gives the moment at which it had it, for it may have waited. None where there is none; that is noted.
    pub(super) async fn admitted(
        &mut self,
        call: &mut Call,
        to: &Target,
        fitted: &Fitted,
        well: &Well,
        mut moment: Now,
    ) -> Option<(Stake, usize, Now)> {
        let Way { relay, principal, asked, candidates, .. } = self.way;
        let (target, deadline) = (&*to.model, candidates.deadline);
        let sized = fitted.sized;
        let place = (&*candidates.route, target, asked);
        let mut admitted = clamp::admit(call, principal, place, sized, moment);
        if admitted.as_ref().is_err_and(lacks_lease) {
            let ask = |call: &mut Call, now| clamp::admit(call, principal, place, sized, now);
            // Boxed: it is rare, and every call would carry its room.
            admitted = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        let sized = match admitted {
            Ok(sized) => sized,
            Err(exceeded) => {
                call.passes_over(target, admit::reason(&exceeded), moment.instant);
                call.meets(&exceeded);
                self.met.no_room(exceeded);
                return None;
            }
        };
        let ask = |now| at_provider(relay, target, &well.keys, &sized, now);
        let mut there = ask(moment);
        if there.as_ref().is_err_and(lacks_lease) {
            let ask = |_: &mut Call, now| ask(now);
            there = Box::pin(lease::asked_again(relay, call, deadline, ask)).await;
            moment = relay.clock.moment();
        }
        match there {
            Ok((there, key)) => Some((Stake { sized, there, own: None }, key, moment)),
            Err(exceeded) => {
                let reason = match exceeded.lack {
                    Lack::Room => "provider_limit",
                    Lack::Lease | Lack::Store => admit::reason(&exceeded),
                };
                call.passes_over(target, reason, moment.instant);
                call.meets(&exceeded);
                self.met.crowded(exceeded);
                None
            }
        }
    }
}

/// Takes room for a try at its provider, with the first of these keys that has some.
pub(super) fn at_provider(
    relay: &Relay,
    target: &Model,
    keys: &[usize],
    sized: &Sized,
    now: Now,
) -> Result<(Option<Box<Reservation>>, usize), Exceeded> {
    let mut refused = None;
    for at in keys {
        let key = target.provider.keys.get(*at).map(|key| &key.name);
        match admit::at_provider(&relay.shared.ledger, target, key, sized.amounts, now) {
            Ok(held) => return Ok((held, *at)),
            Err(exceeded) => {
                // Only what each key has for itself may another one have.
                let of_key = exceeded.rule.each == Some(Each::Key);
                let sooner = |other: &Exceeded| soonest(&exceeded) < soonest(other);
                if !of_key || refused.as_ref().is_none_or(sooner) {
                    refused = Some(exceeded);
                }
                if !of_key {
                    break;
                }
            }
        }
    }
    match refused {
        Some(exceeded) => Err(exceeded),
        None => Ok((None, 0)),
    }
}

/// After how long there may be room; of what never will be, not in all time.
fn soonest(exceeded: &Exceeded) -> Duration {
    admit::wait(exceeded).unwrap_or(Duration::MAX)
}

fn lacks_lease(exceeded: &Exceeded) -> bool {
    exceeded.lack == Lack::Lease
}
