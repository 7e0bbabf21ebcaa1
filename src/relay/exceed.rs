//! What becomes of a call for which no candidate had room: what its limit says.

use http::HeaderMap;

use super::call::Call;
use super::dispatch::{Dispatched, Walked, walk};
use super::queue::Queue;
use super::receive::Asked;
use super::refusal::Refusal;
use super::route::{self, Candidates};
use super::{Relay, admit};
use crate::limits::Exceeded;
use crate::policy::snapshot::{OnExceed, Principal};

/// Tries the candidates; where none of them had room, those of another way to which a limit downgrades, or the same again
/// after a wait.
pub(super) async fn dispatch(
    relay: &Relay,
    call: &mut Call,
    principal: &Principal,
    asked: &Asked,
    from_caller: &HeaderMap,
    candidates: &Candidates,
) -> Result<Box<Dispatched>, Refusal> {
    let mut other: Option<Candidates> = None;
    let mut queue = Queue::default();
    let mut passed_over = 0;
    loop {
        let way = other.as_ref().unwrap_or(candidates);
        let exceeded = match walk(relay, call, principal, asked, from_caller, way).await {
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
            && let Some(way) = downgraded(&exceeded, principal, asked, candidates)
        {
            let id = way.route.id.clone();
            call.note(|record| record.downgraded_to = Some(id));
            other = Some(way);
            passed_over = call.passed_over();
            continue;
        }
        let deadline = call.started + way.route.total;
        if !queue.wait(relay, call, principal, &exceeded, deadline).await {
            call.ticket = None;
            return Err(refusal(&exceeded, principal));
        }
        call.looks_again(passed_over);
    }
}

/// The other way, if one of these limits names one that this call can go.
fn downgraded(
    exceeded: &[Exceeded],
    principal: &Principal,
    asked: &Asked,
    candidates: &Candidates,
) -> Option<Candidates> {
    let tenant = &principal.tenant;
    exceeded.iter().find_map(|exceeded| match admit::beyond(exceeded, tenant)? {
        OnExceed::Downgrade { to } => {
            let mut way = route::candidates(to, tenant, asked.api).ok()?;
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

fn refusal(exceeded: &[Exceeded], principal: &Principal) -> Refusal {
    let last = exceeded.last().map(|exceeded| admit::refusal(exceeded, &principal.tenant));
    last.unwrap_or_else(super::dispatch::none_available)
}
