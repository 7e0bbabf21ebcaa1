//! What holds from a day on.

use crate::clock::{Date, TimeZone, Timestamp};

/// Values by the day from which they hold, in UTC: at any time the latest that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule<T>(Vec<Entry<T>>);

/// A value from a second on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry<T> {
    /// Seconds since 1970.
    from: i64,
    value: T,
}

impl<T> Schedule<T> {
    /// The values, each with its first day; none: it has always held. Of two with the same first day the one
    /// given later stands.
    pub fn new(values: impl IntoIterator<Item = (Option<Date>, T)>) -> Self {
        let entry = |(day, value): (Option<Date>, T)| Entry { from: day.map_or(i64::MIN, midnight), value };
        let mut entries: Vec<_> = values.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.from);
        Self(entries)
    }

    /// Every value, the one that holds first at the head.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|entry| &entry.value)
    }

    /// Every value with its first day, the one that holds first at the head; none: it has always held.
    pub fn by_day(&self) -> impl Iterator<Item = (Option<Date>, &T)> {
        self.0.iter().map(|entry| (day(entry.from), &entry.value))
    }

    /// What holds at a time; nothing before the first day. Only compares numbers.
    pub fn at(&self, now: Timestamp) -> Option<&T> {
        let second = now.as_second();
        let begun = self.0.iter().rev().find(|entry| entry.from <= second)?;
        Some(&begun.value)
    }
}

impl<T> Default for Schedule<T> {
    /// Nothing ever holds.
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The day's first second in UTC, since 1970.
fn midnight(day: Date) -> i64 {
    day.duration_since(Date::constant(1970, 1, 1)).as_secs()
}

/// The day that begins with such a second.
fn day(second: i64) -> Option<Date> {
    let at = Timestamp::from_second(second).ok().filter(|_| second != i64::MIN)?;
    Some(at.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Option<Date> {
        Some(text.parse().unwrap())
    }

    fn at(schedule: &Schedule<&'static str>, time: &str) -> Option<&'static str> {
        schedule.at(time.parse().unwrap()).copied()
    }

    #[test]
    fn a_value_holds_from_midnight_in_utc() {
        let schedule = Schedule::new([(None, "old"), (day("2026-07-01"), "new")]);
        assert_eq!(at(&schedule, "2026-06-30T23:59:59Z"), Some("old"));
        assert_eq!(at(&schedule, "2026-06-30T23:59:59.999999999Z"), Some("old"));
        assert_eq!(at(&schedule, "2026-07-01T00:00:00Z"), Some("new"));
        assert_eq!(at(&schedule, "2026-07-01T00:00:01Z"), Some("new"));
        assert_eq!(
            at(&schedule, "2026-07-01T00:30:00+02:00"),
            Some("old"),
            "the day has begun only in Berlin"
        );
    }

    #[test]
    fn the_latest_that_has_begun_holds_however_they_were_given() {
        let schedule =
            Schedule::new([(day("2026-07-01"), "b"), (day("2027-01-01"), "c"), (day("2026-01-01"), "a")]);
        assert_eq!(at(&schedule, "2025-12-31T23:59:59Z"), None, "nothing has begun");
        assert_eq!(at(&schedule, "2026-01-01T00:00:00Z"), Some("a"));
        assert_eq!(at(&schedule, "2026-12-31T23:59:59Z"), Some("b"));
        assert_eq!(at(&schedule, "2040-02-29T12:00:00Z"), Some("c"));
        assert_eq!(Schedule::<u8>::default().at(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn the_first_and_the_last_day_of_the_calendar_are_days() {
        let schedule = Schedule::new([(day("0000-01-01"), "first"), (day("9999-12-31"), "last")]);
        assert_eq!(at(&schedule, "0000-01-01T00:00:00Z"), Some("first"));
        assert_eq!(schedule.at(Timestamp::MAX), Some(&"first"));
    }

    proptest! {
        #[test]
        fn a_day_begins_where_the_clock_reads_it_first(second in 0..4_102_444_800_i64) {
            let now = Timestamp::from_second(second).unwrap();
            let today = now.to_string()[..10].parse().unwrap();
            let schedule = Schedule::new([(Some(today), ())]);
            prop_assert!(schedule.at(now).is_some());
            let before = Timestamp::from_second(midnight(today) - 1).unwrap();
            prop_assert!(schedule.at(before).is_none());
        }
    }
}
