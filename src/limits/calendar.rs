//! Windows of civil time: the days, weeks and months of a time zone.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Date, TimeZone, Timestamp};

/// Of the calendar, which knows no clocks.
const DAY: Duration = Duration::from_secs(86_400);

/// Windows that turn when a time zone's calendar does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// How often.
    pub turn: Turn,
    /// Whose midnight it is.
    pub zone: Arc<TimeZone>,
}

/// How often a calendar window turns, always at midnight; part of the identity of its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// Every day.
    Day,
    /// Every Monday.
    Week,
    /// Every first of a month.
    Month,
}

impl Turn {
    /// The window's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the window in which a day lies; none before the calendar's first.
    fn first(self, day: Date) -> Option<Date> {
        match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub(DAY * since_monday(day)).ok(),
            Self::Month => Some(day.first_of_month()),
        }
    }

    /// The first day of the window after that of such a first day; none after the calendar's last.
    fn next(self, first: Date) -> Option<Date> {
        match self {
            Self::Day => first.tomorrow().ok(),
            Self::Week => first.checked_add(DAY * 7).ok(),
            Self::Month => first.last_of_month().tomorrow().ok(),
        }
    }
}

impl Calendar {
    /// The window in which `at` lies: when it began, and when the next one begins.
    ///
    /// A day may have 23 or 25 hours or no midnight, and a zone may leave a day out: a window begins with the first
    /// moment of its first day that there is.
    pub fn bounds(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let first = self.turn.first(self.zone.to_datetime(at).date());
        let next = first.and_then(|first| self.turn.next(first));
        let (start, end) = (self.begins(first, Timestamp::MIN), self.begins(next, Timestamp::MAX));
        if at < end {
            return (start, end);
        }
        // Clocks were set back over midnight: the old day's last hour comes again, but the new day has begun.
        let after = next.and_then(|next| self.turn.next(next));
        (end, self.begins(after, Timestamp::MAX))
    }

    /// The first of two midnights; where there is none, the end of the gap.
    fn begins(&self, day: Option<Date>, otherwise: Timestamp) -> Timestamp {
        let midnight = day.and_then(|day| self.zone.to_timestamp(day.at(0, 0, 0, 0)).ok());
        midnight.unwrap_or(otherwise)
    }
}

fn since_monday(day: Date) -> u32 {
    day.weekday().to_monday_zero_offset().unsigned_abs().into()
}

#[cfg(test)]
mod tests;
