//! The wait for a lease: where a limit has room of which the ledger's store has not been told yet.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout_at;

use super::Relay;
use super::call::Call;
use crate::clock::{Instant, Now};
use crate::limits::{Exceeded, Lack};

/// Far more than a disk needs; a store that takes longer is as good as none.
const LONGEST: Duration = Duration::from_secs(2);

/// Asks again each time the store has taken something, as long as a lease is all that lacks. A store that does not
/// answer is noted as failing, and asked past once: a limit may do without it.
pub(super) async fn asked_again<T>(
    relay: &Relay,
    call: &mut Call,
    deadline: Instant,
    mut ask: impl FnMut(&mut Call, Now) -> Result<T, Exceeded>,
) -> Result<T, Exceeded> {
    let began = relay.clock.now();
    let answer = until_leased(relay, deadline.min(began + LONGEST), deadline, |now| ask(call, now)).await;
    call.waits(began);
    answer
}

async fn until_leased<T>(
    relay: &Relay,
    until: Instant,
    deadline: Instant,
    mut ask: impl FnMut(Now) -> Result<T, Exceeded>,
) -> Result<T, Exceeded> {
    let ledger = &relay.shared.ledger;
    loop {
        let Some(renewed) = ledger.renewed() else {
            return ask(relay.clock.moment());
        };
        let mut renewed = pin!(renewed);
        // Before it asks: what the store takes from here on is not missed.
        renewed.as_mut().enable();
        match ask(relay.clock.moment()) {
            Err(exceeded) if exceeded.lack == Lack::Lease => {}
            answer => return answer,
        }
        if timeout_at(until, renewed).await.is_err() {
            if until < deadline {
                ledger.is_late();
            }
            return ask(relay.clock.moment());
        }
    }
}
