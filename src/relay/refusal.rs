//! Why egret answered by itself: a cause with code and status, a safe sentence, a retry hint.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::rate_headers::{self, Family, Tightest, Told};
use crate::dialect::Dialect;
use crate::dialect::error::{self, Cause, Problem};
use crate::ids::LimitKey;
use crate::limits::Standing;

/// What the official SDKs obey before their own judgement of a status.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Beyond this an SDK would give up or ignore the hint (the OpenAI clients: 120 s and 60 s).
const LONGEST_HINT: Duration = Duration::from_secs(60);

/// One refusal, before a dialect gave it a form.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    cause: Cause,
    message: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    retry: Retry,
    standing: Option<Box<(Family, LimitKey, Standing)>>,
    attempts: u32,
    unheard: bool,
    exhausted: bool,
}

/// What the caller should do about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// As its SDK thinks right for the status.
    AsUsual,
    /// After this long.
    After(Duration),
    /// Not by itself: we have tried, or it would wait too long. How long until it may help, if that is known.
    Never(Option<Duration>),
}

impl Refusal {
    /// A refusal with a sentence for the caller: no secret, prompt or answer may be in it.
    pub(super) fn new(cause: Cause, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cause,
            message: message.into(),
            param: None,
            retry: Retry::AsUsual,
            standing: None,
            attempts: 0,
            unheard: false,
            exhausted: false,
        }
    }

    /// Names the request field at fault.
    pub(super) fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Tells when to try again; too long a wait becomes "do not", the sentence has to name it then.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry = if wait <= LONGEST_HINT { Retry::After(wait) } else { Retry::Never(None) };
        self
    }

    /// Tells where the caller stands with the limit that refused it.
    pub(super) fn standing(mut self, family: Family, key: LimitKey, standing: Standing) -> Self {
        self.standing = Some(Box::new((family, key, standing)));
        self
    }

    /// Tells the caller's SDK not to try again by itself.
    pub(super) fn never_retry(mut self) -> Self {
        self.retry = Retry::Never(None);
        self
    }

    /// Tells whoever asks all the same when that may help.
    pub(super) fn known_wait(mut self, wait: Duration) -> Self {
        if let Retry::Never(known) = &mut self.retry {
            *known = (wait <= LONGEST_HINT).then_some(wait);
        }
        self
    }

    /// Nobody answered: the policy may have an answer for that.
    pub(super) fn exhausted(mut self) -> Self {
        self.exhausted = true;
        self
    }

    /// Whether it is said because nobody answered.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Tells how many providers were tried before.
    pub(super) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Nobody will hear it: the caller has left.
    pub(super) fn unheard(mut self) -> Self {
        self.unheard = true;
        self
    }

    /// Whether the caller has left.
    pub(super) fn is_unheard(&self) -> bool {
        self.unheard
    }

    /// How many providers were tried before.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What decides status, type and code.
    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    /// The status in a dialect.
    pub(super) fn status(&self, dialect: Dialect) -> StatusCode {
        error::status(dialect, self.cause)
    }

    /// The body in a dialect.
    pub(super) fn body(&self, dialect: Dialect) -> bytes::Bytes {
        error::body(dialect, &self.problem())
    }

    /// The headers that a refusal brings along.
    pub(super) fn headers(&self, headers: &mut HeaderMap, told: Told) {
        match self.retry {
            Retry::AsUsual => {}
            Retry::After(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            Retry::Never(wait) => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
                if let Some(wait) = wait {
                    headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
                }
            }
        }
        if let Some(limit) = &self.standing {
            let (family, ref key, standing) = **limit;
            rate_headers::write(headers, told, std::iter::once(Tightest { family, key, standing }));
        }
        if self.cause == Cause::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }

    /// After how long another try may help, as far as that is known.
    fn wait(&self) -> Option<Duration> {
        match self.retry {
            Retry::AsUsual => None,
            Retry::After(wait) => Some(wait),
            Retry::Never(wait) => wait,
        }
    }

    /// What a dialect makes an error of.
    pub(super) fn problem(&self) -> Problem<'_> {
        Problem { cause: self.cause, message: &self.message, param: self.param.as_deref(), wait: self.wait() }
    }
}

/// A wait as a hint that SDKs follow; none where it is too long for that.
pub(super) fn retry_hint(wait: Duration) -> Option<HeaderValue> {
    (wait <= LONGEST_HINT).then(|| HeaderValue::from(whole_seconds(wait)))
}

/// Rounded up, at least one: a caller that waits so long finds room.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Rounded up to what a person plans with: `45 s`, `2 min 5 s`, `3 h 20 min`, `9 d 4 h`.
pub(super) fn spoken_wait(wait: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = whole_seconds(wait);
    let at = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let (length, unit) = UNITS[at];
    let Some((finer, finer_unit)) = UNITS.get(at + 1) else { return format!("{seconds} {unit}") };
    let seconds = seconds.next_multiple_of(*finer);
    match seconds % length / finer {
        0 => format!("{} {unit}", seconds / length),
        rest => format!("{} {unit} {rest} {finer_unit}", seconds / length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_said_in_at_most_two_units_and_never_too_short() {
        let said = |millis| spoken_wait(Duration::from_millis(millis));
        assert_eq!([said(0), said(1), said(45_000)], ["1 s", "1 s", "45 s"]);
        assert_eq!([said(59_001), said(60_000), said(125_000)], ["1 min", "1 min", "2 min 5 s"]);
        assert_eq!([said(3_600_000), said(3_600_001), said(12_000_000)], ["1 h", "1 h 1 min", "3 h 20 min"]);
        assert_eq!(said(86_399_000), "24 h");
        assert_eq!([said(86_400_000), said(792_000_000)], ["1 d", "9 d 4 h"]);
    }
}
