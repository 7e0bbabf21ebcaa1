//! How one attempt ended, and what follows from it: one table.

use http::StatusCode;

use super::charge::Came;
use crate::dialect::error::Said;
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
    /// The time was over before a connection took the request.
    Unsent(Timer),
    /// A stream began, but too slowly (`minRate`).
    TooSlow,
    /// The provider answered an error: by a status, or inside a 200.
    Error(ErrorClass, Option<StatusCode>),
    /// A redirect, or another status that no answer has.
    StrangeStatus(StatusCode),
    /// A 200 of another content type: a captive portal, an HTML error page.
    WrongType,
    /// A 200 without a body.
    Empty,
    /// A 200 whose body is no answer: no JSON, or a part of it.
    NoAnswer,
    /// The answer broke off before the caller had any of it.
    Cut,
}

/// What a provider's error is about, as far as another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// It does not accept our key.
    KeyRefused,
    /// Our key may not use this model.
    KeyForbidden,
    /// Our account there is used up.
    OutOfCredit,
    /// It wants us to wait.
    RateLimited,
    /// It has no such model.
    ModelUnknown,
    /// The call is too long for the model's window.
    ContextTooLong,
    /// It cannot do this right now, and is not ill for that.
    Conflict,
    /// It is overloaded or broken.
    Broken,
}

/// Which of our timers ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// `answer`: a plain answer was not complete.
    Answer,
    /// `firstToken`: a stream had no content.
    FirstToken,
    /// `streamIdle`: a stream was silent.
    StreamIdle,
    /// `total`, or the caller's own latency budget: the call was over.
    Total,
}

/// What a provider's status and words mean for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An answer, if its body holds what the head promises.
    Answer,
    /// The caller's own fault, or what the provider will not answer: returned as it is.
    Return,
    /// Another try may do better.
    Failed(Failure),
}

/// What a call does after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// On to the next candidate; this one may be tried again.
    Candidate,
    /// On to another key of the same candidate, where there is one that may be used; else to the next candidate.
    Key,
    /// On to the next candidate; not again to this one.
    Other,
    /// On to a candidate with a larger window; not again to this one.
    LargerWindow,
}

/// What is learned of whoever was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It works: it has answered, be it that it refused the call.
    Well,
    /// It does not.
    Ill,
    /// Neither.
    Nothing,
    /// With this key it wants to be left alone for a while.
    CoolsDown,
    /// It does not accept this key.
    KeyRefused,
    /// It does not accept this key for this model.
    KeyForbidden,
    /// The account of this key is used up.
    KeySpent,
}

/// The table of statuses and what an error says beside them (DESIGN section 7).
pub(super) fn judge(status: StatusCode, said: Said) -> Verdict {
    let error = |class| Verdict::Failed(Failure::Error(class, Some(status)));
    match (status.as_u16(), said) {
        (200..=299, _) => Verdict::Answer,
        (401, _) => error(ErrorClass::KeyRefused),
        (403, Said::ContentFiltered) => Verdict::Return,
        (402, _) | (403 | 429, Said::OutOfCredit) => error(ErrorClass::OutOfCredit),
        (403, _) => error(ErrorClass::KeyForbidden),
        (408, _) => error(ErrorClass::Broken),
        (409 | 425, _) => error(ErrorClass::Conflict),
        (429, _) => error(ErrorClass::RateLimited),
        // Some servers answer 500 to what is too long.
        (400..=599, Said::ContextTooLong) => error(ErrorClass::ContextTooLong),
        (500..=599, _) => error(ErrorClass::Broken),
        (400..=499, said) => match class(said) {
            Some(class) => error(class),
            None => Verdict::Return,
        },
        _ => Verdict::Failed(Failure::StrangeStatus(status)),
    }
}

/// The same of an error inside a 200: only its words tell.
pub(super) fn judge_in_answer(said: Said) -> Verdict {
    match (class(said), said) {
        (Some(class), _) => Verdict::Failed(Failure::Error(class, None)),
        (None, Said::BadRequest | Said::ContentFiltered) => Verdict::Return,
        (None, _) => Verdict::Failed(Failure::Error(ErrorClass::Broken, None)),
    }
}

/// What an error's words alone are about; none where another try would not help, or nothing is known.
fn class(said: Said) -> Option<ErrorClass> {
    Some(match said {
        Said::RateLimited => ErrorClass::RateLimited,
        Said::OutOfCredit => ErrorClass::OutOfCredit,
        Said::KeyRefused => ErrorClass::KeyRefused,
        Said::ModelUnknown => ErrorClass::ModelUnknown,
        Said::ContextTooLong => ErrorClass::ContextTooLong,
        Said::Overloaded => ErrorClass::Broken,
        Said::ContentFiltered | Said::BadRequest | Said::Nothing => return None,
    })
}

impl Verdict {
    /// What is learned of whoever was tried.
    pub(super) fn mark(self) -> Mark {
        match self {
            Self::Answer | Self::Return => Mark::Well,
            Self::Failed(failure) => failure.follows().1,
        }
    }
}

impl Timer {
    /// The outcome in logs and metrics of a try for which it rang.
    fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer_timeout",
            Self::FirstToken => "first_token_timeout",
            Self::StreamIdle => "stream_idle_timeout",
            Self::Total => "total_timeout",
        }
    }
}

impl Failure {
    /// The same of a try whose request no connection has taken.
    pub(super) fn unsent(self) -> Self {
        if let Self::TimedOut(timer) = self { Self::Unsent(timer) } else { self }
    }

    /// What follows: where the call goes, and what is learned (DESIGN section 7).
    pub(super) fn follows(self) -> (Next, Mark) {
        match self {
            Self::KeyMissing => (Next::Key, Mark::Nothing),
            // How long the whole call may take says nothing of who was tried last.
            Self::TimedOut(Timer::Total)
            | Self::Unsent(Timer::Total)
            | Self::Error(ErrorClass::Conflict, _) => (Next::Candidate, Mark::Nothing),
            Self::Error(ErrorClass::KeyRefused, _) => (Next::Key, Mark::KeyRefused),
            Self::Error(ErrorClass::KeyForbidden, _) => (Next::Key, Mark::KeyForbidden),
            Self::Error(ErrorClass::OutOfCredit, _) => (Next::Key, Mark::KeySpent),
            Self::Error(ErrorClass::RateLimited, _) => (Next::Key, Mark::CoolsDown),
            Self::Error(ErrorClass::ModelUnknown, _) => (Next::Other, Mark::Well),
            Self::Error(ErrorClass::ContextTooLong, _) => (Next::LargerWindow, Mark::Well),
            Self::Connection(_)
            | Self::TimedOut(Timer::Answer | Timer::FirstToken | Timer::StreamIdle)
            | Self::Unsent(Timer::Answer | Timer::FirstToken | Timer::StreamIdle)
            | Self::TooSlow
            | Self::Error(ErrorClass::Broken, _)
            | Self::StrangeStatus(_)
            | Self::WrongType
            | Self::Empty
            | Self::NoAnswer
            | Self::Cut => (Next::Candidate, Mark::Ill),
        }
    }

    /// The name in logs and metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::Connection(stage) => stage.name(),
            Self::TimedOut(timer) | Self::Unsent(timer) => timer.name(),
            Self::TooSlow => "too_slow",
            Self::Error(ErrorClass::KeyRefused | ErrorClass::KeyForbidden, _) => "key_refused",
            Self::Error(ErrorClass::OutOfCredit, _) => "out_of_credit",
            Self::Error(ErrorClass::RateLimited, _) => "rate_limited",
            Self::Error(ErrorClass::ModelUnknown, _) => "model_unknown",
            Self::Error(ErrorClass::ContextTooLong, _) => "context_too_long",
            Self::Error(ErrorClass::Conflict, _) => "conflict",
            Self::Error(ErrorClass::Broken, Some(_)) => "error_status",
            Self::Error(ErrorClass::Broken, None) => "error_in_answer",
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
            Self::Error(_, status) => status,
            Self::StrangeStatus(status) => Some(status),
            Self::KeyMissing
            | Self::Connection(_)
            | Self::TimedOut(_)
            | Self::Unsent(_)
            | Self::TooSlow
            | Self::WrongType
            | Self::Empty
            | Self::NoAnswer
            | Self::Cut => None,
        }
    }

    /// Whether the request may have reached the provider, so that it may be billed.
    pub(super) fn written(self) -> bool {
        match self {
            Self::KeyMissing | Self::Unsent(_) => false,
            Self::Connection(stage) => stage.written(),
            Self::TimedOut(_)
            | Self::TooSlow
            | Self::Error(..)
            | Self::StrangeStatus(_)
            | Self::WrongType
            | Self::Empty
            | Self::NoAnswer
            | Self::Cut => true,
        }
    }

    /// What a try came to that failed so: an error is no answer to be paid for.
    pub(super) fn came(self) -> Came {
        let told = matches!(self, Self::Error(..) | Self::StrangeStatus(_));
        if self.written() && !told { Came::GivenUp } else { Came::Nothing }
    }

    /// Whether it is our key's fault, which the operator must mend.
    pub(super) fn is_our_key(self) -> bool {
        matches!(self, Self::KeyMissing | Self::Error(ErrorClass::KeyRefused | ErrorClass::KeyForbidden, _))
    }

    /// Whether something came that was no answer, rather than nothing.
    pub(super) fn is_nonsense(self) -> bool {
        matches!(
            self,
            Self::StrangeStatus(_)
                | Self::Error(ErrorClass::Broken, None)
                | Self::WrongType
                | Self::Empty
                | Self::NoAnswer
                | Self::Cut
        )
    }

    /// Whether time ran out.
    pub(super) fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::TimedOut(_) | Self::Unsent(_) | Self::TooSlow | Self::Connection(Stage::ConnectTimeout)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: [Said; 9] = [
        Said::RateLimited,
        Said::OutOfCredit,
        Said::KeyRefused,
        Said::ModelUnknown,
        Said::ContextTooLong,
        Said::ContentFiltered,
        Said::Overloaded,
        Said::BadRequest,
        Said::Nothing,
    ];

    fn verdict(code: u16, said: Said) -> Verdict {
        judge(StatusCode::from_u16(code).unwrap(), said)
    }

    fn class_of(code: u16, said: Said) -> Option<ErrorClass> {
        match verdict(code, said) {
            Verdict::Failed(Failure::Error(class, _)) => Some(class),
            Verdict::Failed(_) | Verdict::Answer | Verdict::Return => None,
        }
    }

    #[test]
    fn a_status_without_known_words_decides_by_itself() {
        for code in [401, 402, 403, 408, 409, 425, 429, 500, 502, 503, 504, 529] {
            assert!(class_of(code, Said::Nothing).is_some(), "{code} goes on");
        }
        for code in [301, 307, 600] {
            assert!(matches!(verdict(code, Said::Nothing), Verdict::Failed(Failure::StrangeStatus(_))));
        }
        for code in [400, 404, 405, 413, 415, 418, 422, 431] {
            assert_eq!(verdict(code, Said::Nothing), Verdict::Return, "{code}");
            assert_eq!(verdict(code, Said::BadRequest), Verdict::Return, "{code}");
        }
        assert_eq!(verdict(200, Said::Nothing), Verdict::Answer);
    }

    #[test]
    fn money_that_is_gone_is_told_from_a_rate_by_its_words() {
        assert_eq!(class_of(429, Said::OutOfCredit), Some(ErrorClass::OutOfCredit));
        assert_eq!(class_of(429, Said::RateLimited), Some(ErrorClass::RateLimited));
        assert_eq!(class_of(402, Said::Nothing), Some(ErrorClass::OutOfCredit));
        assert_eq!(class_of(400, Said::OutOfCredit), Some(ErrorClass::OutOfCredit));
    }

    #[test]
    fn what_a_provider_will_not_answer_is_nobody_elses_to_answer() {
        for code in [400, 403, 404, 422] {
            assert_eq!(verdict(code, Said::ContentFiltered), Verdict::Return, "{code}");
        }
        assert_eq!(judge_in_answer(Said::ContentFiltered), Verdict::Return);
        assert_eq!(judge_in_answer(Said::BadRequest), Verdict::Return);
    }

    #[test]
    fn a_call_too_long_goes_only_to_a_larger_window_whatever_its_status() {
        for code in [400, 413, 422, 500] {
            assert_eq!(class_of(code, Said::ContextTooLong), Some(ErrorClass::ContextTooLong), "{code}");
        }
        let failure = Failure::Error(ErrorClass::ContextTooLong, None);
        assert_eq!(judge_in_answer(Said::ContextTooLong), Verdict::Failed(failure));
        assert_eq!(failure.follows(), (Next::LargerWindow, Mark::Well));
    }

    #[test]
    fn an_error_inside_a_200_counts_as_what_it_says() {
        for (said, class) in [
            (Said::RateLimited, ErrorClass::RateLimited),
            (Said::OutOfCredit, ErrorClass::OutOfCredit),
            (Said::KeyRefused, ErrorClass::KeyRefused),
            (Said::Overloaded, ErrorClass::Broken),
        ] {
            assert_eq!(judge_in_answer(said), Verdict::Failed(Failure::Error(class, None)));
        }
        let broken = Failure::Error(ErrorClass::Broken, None);
        assert_eq!(judge_in_answer(Said::Nothing), Verdict::Failed(broken));
    }

    #[test]
    fn no_refusal_of_a_key_a_rate_or_money_makes_a_provider_ill() {
        for said in SAID {
            for code in [401, 402, 403, 429] {
                if let Verdict::Failed(failure) = verdict(code, said) {
                    assert_ne!(failure.follows().1, Mark::Ill, "{code} {said:?}");
                }
            }
        }
    }

    #[test]
    fn only_what_may_have_been_billed_costs_something() {
        assert_eq!(Failure::KeyMissing.came(), Came::Nothing);
        assert_eq!(Failure::Connection(Stage::Tls).came(), Came::Nothing);
        assert_eq!(Failure::Connection(Stage::Head).came(), Came::GivenUp);
        assert_eq!(Failure::Cut.came(), Came::GivenUp);
        assert_eq!(Failure::Error(ErrorClass::Broken, Some(StatusCode::BAD_GATEWAY)).came(), Came::Nothing);
        assert_eq!(Failure::TimedOut(Timer::FirstToken).came(), Came::GivenUp);
    }
}
