use proptest::prelude::*;

use super::*;

fn calendar(turn: Turn, zone: &str) -> Calendar {
    Calendar { turn, zone: Arc::new(TimeZone::get(zone).unwrap()) }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Both ends of the window in which `at` lies.
fn bounds(turn: Turn, zone: &str, at: &str) -> [String; 2] {
    let (start, end) = calendar(turn, zone).bounds(time(at));
    [start.to_string(), end.to_string()]
}

#[test]
fn a_day_begins_and_ends_at_its_zones_midnight() {
    let noon = "2026-11-20T12:00:00Z";
    assert_eq!(bounds(Turn::Day, "UTC", noon), ["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"]);
    assert_eq!(bounds(Turn::Day, "Europe/Berlin", noon), ["2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z"]);
    assert_eq!(bounds(Turn::Day, "Asia/Kathmandu", noon), ["2026-11-19T18:15:00Z", "2026-11-20T18:15:00Z"]);
}

#[test]
fn a_window_holds_its_first_moment_and_not_its_last() {
    let day = bounds(Turn::Day, "UTC", "2026-11-20T12:00:00Z");
    assert_eq!(bounds(Turn::Day, "UTC", "2026-11-20T00:00:00Z"), day);
    assert_eq!(bounds(Turn::Day, "UTC", "2026-11-20T23:59:59.999999999Z"), day);
    assert_ne!(bounds(Turn::Day, "UTC", "2026-11-21T00:00:00Z"), day);
}

#[test]
fn days_on_which_clocks_are_set_have_23_and_25_hours() {
    let spring = bounds(Turn::Day, "Europe/Berlin", "2026-03-29T12:00:00Z");
    assert_eq!(spring, ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    let autumn = bounds(Turn::Day, "Europe/Berlin", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    // The hour that comes twice is on the same day both times.
    assert_eq!(bounds(Turn::Day, "Europe/Berlin", "2026-10-25T00:30:00Z"), autumn);
    assert_eq!(bounds(Turn::Day, "Europe/Berlin", "2026-10-25T01:30:00Z"), autumn);
}

#[test]
fn a_day_without_a_midnight_begins_at_one() {
    // Cairo goes from 23:59:59 on the 23rd to 01:00 on the 24th.
    let day = bounds(Turn::Day, "Africa/Cairo", "2026-04-24T12:00:00Z");
    assert_eq!(day, ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]);
    assert_eq!(bounds(Turn::Day, "Africa/Cairo", "2026-04-23T21:59:59Z")[1], day[0]);
}

#[test]
fn a_midnight_that_comes_twice_turns_a_day_once() {
    // St. John's went from 00:01 on the 29th back to 23:01 on the 28th.
    let day = ["2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"];
    let at = |time| bounds(Turn::Day, "America/St_Johns", time);
    assert_eq!(at("2006-10-29T02:29:59Z")[1], day[0]);
    assert_eq!(at("2006-10-29T02:30:00Z"), day);
    assert_eq!(at("2006-10-29T03:00:00Z"), day, "23:30 comes again, but the 29th has begun");
    assert_eq!(at("2006-10-29T12:00:00Z"), day);
}

#[test]
fn a_day_that_a_zone_left_out_is_no_window() {
    // Samoa had no 30 December 2011.
    let before = bounds(Turn::Day, "Pacific/Apia", "2011-12-30T09:59:59Z");
    let after = bounds(Turn::Day, "Pacific/Apia", "2011-12-30T10:00:00Z");
    assert_eq!(before, ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"]);
    assert_eq!(after, ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
}

#[test]
fn weeks_begin_on_monday() {
    let week = ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"];
    for day in 16..=22 {
        assert_eq!(bounds(Turn::Week, "UTC", &format!("2026-11-{day}T23:59:59Z")), week);
    }
    let across_years = bounds(Turn::Week, "UTC", "2027-01-01T00:00:00Z");
    assert_eq!(across_years, ["2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"]);
    // Clocks are set on Sunday night: an hour less.
    let spring = bounds(Turn::Week, "Europe/Berlin", "2026-03-25T12:00:00Z");
    assert_eq!(spring, ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"]);
}

#[test]
fn months_end_on_their_last_day_leap_years_included() {
    let month = |at| bounds(Turn::Month, "UTC", at);
    assert_eq!(month("2027-02-28T23:59:59Z"), ["2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"]);
    assert_eq!(month("2028-02-29T12:00:00Z"), ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"]);
    assert_eq!(month("2026-01-31T12:00:00Z"), ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]);
    assert_eq!(month("2026-12-31T12:00:00Z"), ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    // Berlin's March begins in winter and ends in summer.
    let march = bounds(Turn::Month, "Europe/Berlin", "2026-03-29T01:00:00Z");
    assert_eq!(march, ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"]);
}

#[test]
fn the_calendars_ends_are_windows_too() {
    for turn in [Turn::Day, Turn::Week, Turn::Month] {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            let (start, end) = calendar(turn, "Europe/Berlin").bounds(at);
            assert!(start <= at && at <= end, "{turn:?} {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_moment_lies_in_one_window_of_each_kind(
        second in 0..4_102_444_800_i64,
        zone in prop::sample::select(jiff::tz::db().available().map(|name| name.to_string()).collect::<Vec<_>>()),
        turn in prop::sample::select(vec![Turn::Day, Turn::Week, Turn::Month]),
    ) {
        let at = Timestamp::from_second(second).unwrap();
        let calendar = calendar(turn, &zone);
        let (start, end) = calendar.bounds(at);
        prop_assert!(start <= at && at < end, "{} .. {}", start, end);
        let nano = Duration::from_nanos(1);
        prop_assert_eq!(calendar.bounds(start), (start, end));
        prop_assert_eq!(calendar.bounds(end - nano), (start, end));
        prop_assert_eq!(calendar.bounds(end).0, end);
        prop_assert_eq!(calendar.bounds(start - nano).1, start);
    }
}
