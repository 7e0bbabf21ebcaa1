//! Budgets of the calendar and of groups, as callers meet them: when they begin anew, and how they change.

use egret::clock::Timestamp;

use crate::support::*;

/// An answer of 100 tokens, the most that the model gives, at two dollars a million: a call comes to 201 millionths of a
/// dollar, and no two of them fit under 250.
const MODEL: &str = "providers: { p: { mock: { tokens: 100 } } }\n\
     models: { m: { provider: p, maxOutputTokens: 100, \
     price: [{ inputPerMTok: \"1.00\", outputPerMTok: \"2.00\" }] } }\n";

/// A tenant with a budget for one call in each of these windows.
fn for_one_call(per: &str, zone: &str) -> String {
    format!(
        "{MODEL}tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, \
         limits: {{ budget: {{ usd: \"0.00025\", per: {per}, timeZone: {zone} }} }} }} }}\n"
    )
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn set(proxy: &Proxy, at: Timestamp) {
    proxy.state.clock.set_wall(at);
}

/// The status of a call, which is spent money or a spent budget.
async fn asked(proxy: &Proxy) -> u16 {
    let answer = proxy.chat("m").await;
    if answer.status != 200 {
        assert_eq!(answer.refused(), (429, "insufficient_quota".to_owned()));
    }
    answer.status
}

const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

/// Spends the budget at `spent`: there is none until `turn`, then one until `next`, then one again.
async fn turns(per: &str, zone: &str, [spent, turn, next]: [&str; 3]) {
    let what = format!("per {per} in {zone}, spent at {spent}");
    let proxy = Start { wall: time(spent), ..Start::default() }.proxy(&for_one_call(per, zone));
    assert_eq!(asked(&proxy).await, 200, "{what}");
    for turn in [time(turn), time(next)] {
        assert_eq!(asked(&proxy).await, 429, "{what}");
        let cells = proxy.state.shared.ledger.usage(proxy.state.clock.moment());
        assert_eq!(cells[0].reset, Some(turn), "{what}, as operators see it");
        set(&proxy, turn - MOMENT);
        assert_eq!(asked(&proxy).await, 429, "{what}, just before {turn}");
        set(&proxy, turn);
        assert_eq!(asked(&proxy).await, 200, "{what}, at {turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_08_days_begin_at_their_zones_midnight_whatever_clocks_do_on_them() {
    let days = [
        // 23 and 25 hours long.
        ("Europe/Berlin", ["2026-03-29T10:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]),
        ("Europe/Berlin", ["2026-10-25T10:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"]),
        ("America/New_York", ["2026-03-08T12:00:00Z", "2026-03-09T04:00:00Z", "2026-03-10T04:00:00Z"]),
        // Its clocks go from 23:59:59 to 01:00.
        ("Africa/Cairo", ["2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]),
        // Half an hour forth, and half an hour off the hours of others.
        ("Australia/Lord_Howe", ["2026-10-03T20:00:00Z", "2026-10-04T13:00:00Z", "2026-10-05T13:00:00Z"]),
        ("Asia/Kathmandu", ["2026-05-01T12:00:00Z", "2026-05-01T18:15:00Z", "2026-05-02T18:15:00Z"]),
        // The leap day is one.
        ("UTC", ["2028-02-28T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"]),
    ];
    for (zone, times) in days {
        turns("day", zone, times).await;
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_08_months_and_weeks_begin_on_their_zones_first_day() {
    let windows = [
        ("month", "UTC", ["2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
        ("month", "UTC", ["2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z", "2028-04-01T00:00:00Z"]),
        ("month", "UTC", ["2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"]),
        // Summer time begins within it.
        ("month", "Europe/Berlin", ["2026-03-15T12:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"]),
        // It is the new year there long before UTC's, and long after.
        (
            "month",
            "Pacific/Auckland",
            ["2026-12-15T12:00:00Z", "2026-12-31T11:00:00Z", "2027-01-31T11:00:00Z"],
        ),
        (
            "month",
            "Pacific/Honolulu",
            ["2026-12-15T12:00:00Z", "2027-01-01T10:00:00Z", "2027-02-01T10:00:00Z"],
        ),
        (
            "week",
            "Pacific/Kiritimati",
            ["2026-11-18T12:00:00Z", "2026-11-22T10:00:00Z", "2026-11-29T10:00:00Z"],
        ),
        ("week", "Europe/Berlin", ["2026-10-25T12:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z"]),
    ];
    for (per, zone, times) in windows {
        turns(per, zone, times).await;
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_08_a_clock_that_steps_back_gives_no_money_back() {
    let proxy = proxy(&for_one_call("day", "UTC"));
    for at in ["2026-11-20T23:00:00Z", "2026-11-21T00:00:00Z"] {
        set(&proxy, time(at));
        assert_eq!(asked(&proxy).await, 200, "at {at}");
    }
    for at in ["2026-11-20T23:30:00Z", "2026-11-01T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T23:59:59Z"]
    {
        set(&proxy, time(at));
        assert_eq!(asked(&proxy).await, 429, "at {at}");
    }
    set(&proxy, time("2026-11-22T00:00:00Z"));
    assert_eq!(asked(&proxy).await, 200);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_08_a_new_zone_keeps_what_was_spent_and_turns_at_its_own_midnight() {
    let proxy = proxy(&for_one_call("day", "UTC"));
    set(&proxy, time("2026-11-20T12:00:00Z"));
    assert_eq!(asked(&proxy).await, 200);
    proxy.reload(&for_one_call("day", "America/New_York"));
    for at in ["2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T04:59:59Z"] {
        set(&proxy, time(at));
        assert_eq!(asked(&proxy).await, 429, "at {at}");
    }
    set(&proxy, time("2026-11-21T05:00:00Z"));
    assert_eq!(asked(&proxy).await, 200);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_08_a_call_under_way_at_midnight_is_paid_by_the_day_on_which_it_began() {
    for stream in [false, true] {
        let slow = for_one_call("day", "UTC").replace("tokens: 100 }", "tokens: 100, latency: 10s }");
        let proxy = proxy(&slow);
        set(&proxy, time("2026-11-20T23:59:59Z"));
        let midnight = async {
            quiet().await;
            set(&proxy, time("2026-11-21T00:00:00Z"));
        };
        let ask = if stream { proxy.stream("m") } else { proxy.chat("m") };
        let (answer, ()) = tokio::join!(ask.into_future(), midnight);
        assert_eq!(answer.status, 200);
        assert_eq!(proxy.cells(), [("budget".into(), None, 0, 0)], "stream: {stream}");
        assert_eq!(asked(&proxy).await, 200, "the new day's is whole");
        assert_eq!(asked(&proxy).await, 429);
    }
}

/// Two teams on a plan and one with more of its own; each is known by its key.
fn teams(plan: &str, own: &str) -> String {
    let team = |name: &str, more: &str| {
        let key = hash(name);
        format!(
            "  {name}: {{ match: [{{ apiKeySha256: \"{key}\" }}], access: {{ allow: [\"*\"] }}, plan: team{more} }}\n"
        )
    };
    let own = format!(", limits: {{ budget: {{ usd: \"{own}\", per: month }} }}");
    format!(
        "{MODEL}plans: {{ team: {{ limits: {{ budget: {{ usd: \"{plan}\", per: month }} }} }} }}\ntenants:\n{}{}{}",
        team("search", ""),
        team("shop", ""),
        team("research", &own),
    )
}

/// How many calls are answered until the budget is spent, of each of the teams.
async fn answered(proxy: &Proxy) -> [u32; 3] {
    let mut counts = [0; 3];
    for (count, team) in counts.iter_mut().zip(["search", "shop", "research"]) {
        while proxy.chat("m").key(team).await.status == 200 {
            *count += 1;
        }
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn peer_bug_05_budgets_of_groups_are_a_file_and_change_without_a_restart() {
    let proxy = proxy(&teams("0.00050", "0.00100"));
    assert_eq!(answered(&proxy).await, [2, 2, 4], "each team has the plan's budget, or its own, for itself");
    proxy.reload(&teams("0.00070", "0.00100"));
    assert_eq!(answered(&proxy).await, [1, 1, 0], "what was spent stays spent");
    proxy.reload(&teams("0.00040", "0.00100"));
    assert_eq!(answered(&proxy).await, [0, 0, 0]);
    let month = time("2026-12-01T00:00:00Z");
    set(&proxy, month);
    assert_eq!(answered(&proxy).await, [1, 1, 4]);
}
