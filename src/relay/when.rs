//! Whether the conditions of a route or target hold of a call. What a call does not say makes a condition false.

use std::sync::Arc;

use http::HeaderMap;

use super::attributes::{Said, words};
use super::receive::Asked;
use crate::clock::{Now, Timestamp};
use crate::ids::LimitKey;
use crate::limits::{Amounts, Ask, Ledger};
use crate::policy::snapshot::{Model, Principal, TimeOfDay, When};
use crate::pricing::Calibration;
use crate::pricing::estimate::Estimate;

/// What conditions look at. Takes nothing.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) principal: &'a Principal,
    pub(super) asked: &'a Asked,
    pub(super) headers: &'a HeaderMap,
    pub(super) ledger: &'a Arc<Ledger>,
    pub(super) calibration: &'a Calibration,
    pub(super) now: Now,
}

impl<'a> Circumstances<'a> {
    /// What the call says of itself.
    pub(super) fn said(&self) -> Said<'a> {
        Said { attributes: &self.principal.tenant.attributes, headers: self.headers, asked: self.asked }
    }

    /// Whether all of these conditions hold, of a call that would go to this model.
    pub(super) fn hold(&self, when: &When, model: &Model) -> bool {
        let When {
            input_tokens_below,
            input_tokens_above,
            task,
            priority,
            skills,
            plan,
            header,
            budget_below,
            time_of_day,
        } = when;
        self.has_input(*input_tokens_below, *input_tokens_above, model)
            && (task.is_empty() || is_one_of(self.said().task().as_deref(), task))
            && (priority.is_empty() || is_one_of(self.said().priority().as_deref(), priority))
            && (skills.is_empty() || self.asks_for_one(skills))
            && (plan.is_empty() || self.principal.tenant.plan.as_ref().is_some_and(|own| plan.contains(own)))
            && header.iter().all(|(name, values)| {
                let mut sent = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                sent.any(|value| values.is_empty() || is_one_of(Some(value.trim()), values))
            })
            && budget_below.iter().all(|(key, percent)| self.is_left_less(key, *percent, model))
            && time_of_day.as_ref().is_none_or(|time| is_at(time, self.now.wall))
    }

    /// Whether a model has every skill that the call asks for.
    pub(super) fn is_skilled(&self, model: &Model) -> bool {
        if self.principal.tenant.attributes.skills.is_none() {
            return true;
        }
        let wanted = self.said().skills();
        wanted.is_none_or(|wanted| words(&wanted).all(|word| model.skills.iter().any(|own| **own == *word)))
    }

    fn asks_for_one(&self, skills: &[Box<str>]) -> bool {
        self.said().skills().is_some_and(|asked| words(&asked).any(|word| is_one_of(Some(word), skills)))
    }

    fn has_input(&self, below: Option<u64>, above: Option<u64>, model: &Model) -> bool {
        if below.is_none() && above.is_none() {
            return true;
        }
        let bytes = self.asked.body().len() as u64;
        let input = self.calibration.input(&model.id, Estimate::Calibrated, bytes, None).0;
        below.is_none_or(|below| input < below) && above.is_none_or(|above| input > above)
    }

    /// Of a limit that the tenant has not, nothing is less.
    fn is_left_less(&self, key: &LimitKey, percent: u8, model: &Model) -> bool {
        let Principal { tenant, user, app, key: caller } = self.principal;
        let Some(rule) = tenant.limits.iter().find(|rule| rule.key == *key) else { return false };
        let ask = Ask {
            user: user.as_ref(),
            app: app.as_ref(),
            key: caller.as_ref(),
            model: &model.id,
            amounts: Amounts::NONE,
        };
        let Some(standing) = self.ledger.standing(rule, &ask, self.now) else { return false };
        u128::from(standing.remaining) * 100 < u128::from(standing.limit) * u128::from(percent)
    }
}

fn is_one_of(word: Option<&str>, words: &[Box<str>]) -> bool {
    word.is_some_and(|word| words.iter().any(|one| **one == *word))
}

/// Whether a moment is within a part of the day. One that goes over midnight belongs to the day on which it began.
fn is_at(time: &TimeOfDay, now: Timestamp) -> bool {
    let local = now.to_zoned((*time.zone).clone());
    let (clock, today) = (local.time(), usize::from(local.weekday().to_monday_zero_offset().unsigned_abs()));
    let yesterday = (today + 6) % 7;
    let begins_on = |day: usize| time.days.get(day).copied().unwrap_or(false);
    if time.from <= time.to {
        begins_on(today) && time.from <= clock && clock < time.to
    } else {
        (begins_on(today) && time.from <= clock) || (begins_on(yesterday) && clock < time.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TimeZone;

    fn time(from: &str, to: &str, days: [bool; 7]) -> TimeOfDay {
        let zone = Arc::new(TimeZone::get("Europe/Berlin").unwrap());
        TimeOfDay { from: from.parse().unwrap(), to: to.parse().unwrap(), days, zone }
    }

    #[test]
    fn a_part_of_the_day_is_told_by_the_clock_of_its_zone() {
        let office = time("08:00", "18:00", [true; 7]);
        // Berlin is an hour ahead of UTC in November, two in July.
        for (at, holds) in [
            ("2026-11-20T06:59:59Z", false),
            ("2026-11-20T07:00:00Z", true),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-07-20T06:00:00Z", true),
            ("2026-07-20T16:00:00Z", false),
        ] {
            assert_eq!(is_at(&office, at.parse().unwrap()), holds, "{at}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        // Friday nights.
        let night = time("22:00", "06:00", [false, false, false, false, true, false, false]);
        for (at, holds) in [
            ("2026-11-20T20:59:00Z", false),
            ("2026-11-20T21:00:00Z", true),
            ("2026-11-21T04:59:00Z", true),
            ("2026-11-21T05:00:00Z", false),
            ("2026-11-21T22:00:00Z", false),
            ("2026-11-20T03:00:00Z", false),
        ] {
            assert_eq!(is_at(&night, at.parse().unwrap()), holds, "{at}");
        }
    }
}
