//! How one attempt ended, and what follows from it: one table.

use http::StatusCode;

use super::charge::Came;
use crate::net::upstream::Stage;

/// Why an attempt gave nothing that the caller may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The provider's key is not there.
    KeyMissing,
    /// No connection, or it broke before the head of an answer.
    Connection(Stage),
    /// Nothing came in time.
    TimedOut(Timer),
    /// The provider refused our key.
    KeyRefused(StatusCode),
    /// The provider is overloaded, broken or wants us to wait.
    Status(StatusCode),
    /// A redirect, or another status that no answer has.
    StrangeStatus(StatusCode),
    /// A 200 of another content type: a captive portal, an HTML error page.
    WrongType,
    /// A 200 without a body.
    Empty,
    /// A 200 whose body is no answer: an error object, or no JSON.
    NoAnswer,
    /// The answer broke off before the caller had any of it.
    Cut,
}

/// Which of our timers ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// `answer`: a plain answer was not complete.
    Answer,
    /// `streamIdle`: a stream was silent.
    StreamIdle,
    /// `total`: the call was over.
    Total,
}

/// What a provider's status means for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An answer, if its body holds what the head promises.
    Answer,
    /// The caller's own fault: returned as it is.
    Return,
    /// Another candidate may do better.
    Next(Failure),
}

/// The table of statuses (DESIGN section 7).
pub(super) fn judge(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Answer,
        401 | 403 => Verdict::Next(Failure::KeyRefused(status)),
        408 | 409 | 429 | 500..=599 => Verdict::Next(Failure::Status(status)),
        400..=499 => Verdict::Return,
        _ => Verdict::Next(Failure::StrangeStatus(status)),
    }
}

impl Failure {
    /// The name in logs and metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::Connection(stage) => stage.name(),
            Self::TimedOut(Timer::Answer) => "answer_timeout",
            Self::TimedOut(Timer::StreamIdle) => "stream_idle_timeout",
            Self::TimedOut(Timer::Total) => "total_timeout",
            Self::KeyRefused(_) => "key_refused",
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => "rate_limited",
            Self::Status(_) => "error_status",
            Self::StrangeStatus(_) => "strange_status",
            Self::WrongType => "wrong_content_type",
            Self::Empty => "empty",
            Self::NoAnswer => "no_answer",
            Self::Cut => "cut",
        }
    }

    /// The provider's status, where it sent one that tells something.
    pub(super) fn status(self) -> Option<StatusCode> {
        match self {
            Self::KeyRefused(status) | Self::Status(status) | Self::StrangeStatus(status) => Some(status),
            Self::KeyMissing
            | Self::Connection(_)
            | Self::TimedOut(_)
            | Self::WrongType
            | Self::Empty
            | Self::NoAnswer
            | Self::Cut => None,
        }
    }

    /// Whether the request may have reached the provider, so that it may be billed.
    pub(super) fn written(self) -> bool {
        match self {
            Self::KeyMissing => false,
            Self::Connection(stage) => stage.written(),
            Self::TimedOut(_)
            | Self::KeyRefused(_)
            | Self::Status(_)
            | Self::StrangeStatus(_)
            | Self::WrongType
            | Self::Empty
            | Self::NoAnswer
            | Self::Cut => true,
        }
    }

    /// What a try came to that failed so: an error's status is no answer to be paid for.
    pub(super) fn came(self) -> Came {
        if self.written() && self.status().is_none() { Came::GivenUp } else { Came::Nothing }
    }

    /// Whether it is our key's fault, which the operator must mend.
    pub(super) fn is_our_key(self) -> bool {
        matches!(self, Self::KeyMissing | Self::KeyRefused(_))
    }

    /// Whether something came that was no answer, rather than nothing.
    pub(super) fn is_nonsense(self) -> bool {
        matches!(self, Self::StrangeStatus(_) | Self::WrongType | Self::Empty | Self::NoAnswer | Self::Cut)
    }

    /// Whether time ran out.
    pub(super) fn is_timeout(self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Connection(Stage::ConnectTimeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_between_answer_return_and_next() {
        let next = |code| matches!(judge(StatusCode::from_u16(code).unwrap()), Verdict::Next(_));
        for code in [401, 403, 408, 409, 429, 500, 502, 503, 504, 529, 301, 307] {
            assert!(next(code), "{code} goes on to the next candidate");
        }
        for code in [400, 402, 404, 413, 415, 422] {
            assert_eq!(judge(StatusCode::from_u16(code).unwrap()), Verdict::Return, "{code}");
        }
        assert_eq!(judge(StatusCode::OK), Verdict::Answer);
    }
}
