//! A provider that fails all the time, under many calls for a minute: what still reaches it.

use egret::tasks::Tasks;
use tokio::time::sleep;

use crate::support::*;

const SECONDS: u64 = 60;

/// One provider, `p`, that fails every call after a moment; its limit never bites, and counts the tries.
fn failing(provider: &str) -> String {
    format!(
        "providers:\n  p:\n    mock: {{ latency: 20ms, faults: [{{ status: {{ code: 503 }} }}] }}\n\
         \x20   limits: {{ tries: {{ requests: 1000000000, per: month }} }}\n{provider}\
         models: {{ m: {{ provider: p }} }}\n{ANYONE}"
    )
}

/// So many calls a second for a minute; how often the provider was tried.
async fn storm(policy: &str, per_second: u64) -> u64 {
    let (proxy, callers): (&'static Proxy, _) = (Box::leak(Box::new(proxy(policy))), Tasks::new());
    for _ in 0..SECONDS * per_second {
        callers.spawn("caller", async { assert_eq!(proxy.asked_at_once("m").await, 503) });
        sleep(secs(1) / u32::try_from(per_second).unwrap()).await;
    }
    callers.wait().await;
    let cells = proxy.cells();
    let tries = cells.iter().find(|cell| cell.0 == "tries").unwrap();
    assert_eq!(tries.3, 0, "something is still held");
    tries.2
}

/// A hundred a second: each is tried, and a thousand would take a test long. What is asserted grows with them.
#[tokio::test(start_paused = true)]
async fn tries_beyond_the_first_are_at_most_their_part_of_the_calls_and_the_least() {
    let provider =
        "    breaker: { consecutiveFailures: 1000000 }\n    retryBudget: { ratio: 0.2, minPerSecond: 3 }\n";
    let calls = 100 * SECONDS;
    let further = storm(&failing(provider), 100).await - calls;
    // The least of ten seconds is there at once, so it is granted once more than seconds pass.
    let most = calls / 5 + 3 * (SECONDS + 10);
    assert!(further <= most, "{further} of {calls}, not {most}");
    assert!(further > calls / 5, "{further} of {calls}: what may be tried again is");
}

#[tokio::test(start_paused = true)]
async fn behind_an_open_breaker_next_to_nothing_reaches_a_provider_that_fails() {
    let tries = storm(&failing(""), 500).await;
    // Five in a row open it, and with them come those that were under way by then.
    assert!((5..60).contains(&tries), "{tries} of {}", 500 * SECONDS);
}
