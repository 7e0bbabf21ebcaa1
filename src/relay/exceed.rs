//! What becomes of a call for which no candidate had room: what its limit says.

use super::call::Call;
use super::dispatch::{Dispatched, Walked, Way, walk};
use super::queue::Queue;
use super::refusal::Refusal;
use super::route::{self, Candidates};
use super::when::Circumstances;
use super::{admit, exhausted};
use crate::limits::Exceeded;
use crate::policy::snapshot::{OnExceed, Principal};

/// Tries the candidates; where none of them had room, those of another way to which a limit downgrades, or the same again
/// after a wait.
pub(super) async fn dispatch(call: &mut Call, way: Way<'_>) -> Result<Box<Dispatched>, Refusal> {
    let Way { relay, principal, candidates, .. } = way;
    let mut other: Option<Candidates> = None;
    let mut queue = Queue::default();
    let mut passed_over = call.passed_over();
    loop {
        let candidates = other.as_ref().unwrap_or(candidates);
        let exceeded = match walk(call, Way { candidates, ..way }).await {
            Ok(Walked::Found(found)) => return Ok(found),
            Ok(Walked::NoRoom(exceeded)) => {
                // A wait holds nothing, and another way is under other limits.
                call.held = None;
                exceeded
            }
            Err(refusal) => {
                call.ticket = None;
                return Err(refusal);
            }
        };
        // Not twice: two limits could send a call to and fro.
        if other.is_none()
            && let Some(elsewhere) = downgraded(call, &exceeded, way)
        {
            let id = elsewhere.route.id.clone();
            call.note(|record| record.downgraded_to = Some(id));
            other = Some(elsewhere);
            passed_over = call.passed_over();
            continue;
        }
        if !queue.wait(relay, call, principal, &exceeded, candidates.deadline).await {
            call.ticket = None;
            return Err(refusal(&exceeded, principal));
        }
        call.looks_again(passed_over);
    }
}

/// The other way, if one of these limits names one that this call can go.
pub(super) fn downgraded(call: &mut Call, exceeded: &[Exceeded], way: Way<'_>) -> Option<Candidates> {
    let Way { relay, principal, asked, from_caller, candidates } = way;
    let (ledger, calibration) = (&relay.shared.ledger, &relay.shared.calibration);
    let now = relay.clock.moment();
    let circumstances = Circumstances { principal, asked, headers: from_caller, ledger, calibration, now };
    exceeded.iter().find_map(|exceeded| match admit::beyond(exceeded, &principal.tenant)? {
        OnExceed::Downgrade { to } => {
            let mut way = route::candidates(to, call, &circumstances, None).ok()?;
            way.deadline = way.deadline.min(candidates.deadline);
            if asked.facts.stateful {
                // An id made by one provider means nothing to another.
                let made_by = candidates.targets().next().map(|target| &target.model.provider.id);
                let targets = &way.route.targets;
                way.order.retain(|at| targets.get(*at).map(|target| &target.model.provider.id) == made_by);
            }
            (!way.order.is_empty()).then_some(way)
        }
        OnExceed::Clamp { .. } | OnExceed::Queue { .. } => None,
    })
}

pub(super) fn refusal(exceeded: &[Exceeded], principal: &Principal) -> Refusal {
    let last = exceeded.last().map(|exceeded| admit::refusal(exceeded, &principal.tenant));
    last.unwrap_or_else(exhausted::none_available)
}
