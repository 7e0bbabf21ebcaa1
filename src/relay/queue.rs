//! The wait for room, where a limit says so. It holds nothing of any limit, and ends with its caller.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use smallvec::SmallVec;

use super::Relay;
use super::admit;
use super::call::Call;
use crate::clock::Instant;
use crate::limits::{Exceeded, Ticket};
use crate::policy::snapshot::{OnExceed, Principal, Revision};

/// One call's waits, together as long as the limits say at which it waits.
#[derive(Default)]
pub(super) struct Queue {
    began: Option<Instant>,
    /// The newest policy that it knows of.
    seen: Option<Revision>,
}

/// A refusal after which the call may wait, and until when.
type Waits<'e> = SmallVec<[(&'e Exceeded, Instant); 2]>;

impl Queue {
    /// Waits until there may be room. False where none of these limits lets it wait, or none will have room in time.
    pub(super) async fn wait(
        &mut self,
        relay: &Relay,
        call: &mut Call,
        principal: &Principal,
        exceeded: &[Exceeded],
        deadline: Instant,
    ) -> bool {
        let now = relay.clock.now();
        let waits = self.waits(principal, exceeded, now, deadline);
        let Some(latest) = waits.iter().map(|(_, until)| *until).max() else { return false };
        self.seen = self.seen.or_else(|| call.revision());
        let new = || Box::new(Ticket::new(&relay.shared.ledger));
        let ticket = call.ticket.get_or_insert_with(new);
        if !ticket.stand(waits.iter().map(|(exceeded, _)| *exceeded)) {
            return false;
        }
        // Who is not the first is called when it is, and learns then how long it takes.
        let first = waits.iter().filter(|(exceeded, _)| !exceeded.behind);
        let room = first.filter_map(|(exceeded, _)| exceeded.wait).min();
        let until = room.map_or(latest, |wait| latest.min(now + wait));
        {
            let called = pin!(self.called(relay, ticket, principal));
            // Late or called: it asks again.
            let _ = relay.timers.until(until, called).await;
        }
        call.queues(now);
        relay.clock.now() < deadline
    }

    fn waits<'e>(
        &mut self,
        principal: &Principal,
        exceeded: &'e [Exceeded],
        now: Instant,
        deadline: Instant,
    ) -> Waits<'e> {
        let began = *self.began.get_or_insert(now);
        let wait = |exceeded: &'e Exceeded| match admit::beyond(exceeded, &principal.tenant)? {
            OnExceed::Queue { max_wait } => {
                let until = deadline.min(began + *max_wait);
                (now < until && now + exceeded.soonest? <= until).then_some((exceeded, until))
            }
            OnExceed::Clamp { .. } | OnExceed::Downgrade { .. } => None,
        };
        exceeded.iter().filter_map(wait).collect()
    }

    /// Until something has changed where it stands; be it that a new policy raises the limit.
    async fn called(&mut self, relay: &Relay, ticket: &Ticket, principal: &Principal) {
        let store = &relay.shared.store;
        let mut changed = pin!(store.changed());
        // From here on it is told; what came before is seen by the revision.
        changed.as_mut().enable();
        if let Some(snapshot) = store.load()
            && self.seen != Some(snapshot.revision)
        {
            self.seen = Some(snapshot.revision);
            if let Some(tenant) = snapshot.tenants.get(&principal.tenant.id) {
                ticket.adopt(&tenant.limits, relay.clock.moment());
            }
        }
        poll_fn(|cx| match ticket.poll_called(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => changed.as_mut().poll(cx),
        })
        .await;
    }
}
