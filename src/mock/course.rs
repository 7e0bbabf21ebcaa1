//! What a fault comes to at each point of an answer: the one place where every fault is told apart.

use std::num::NonZeroU32;
use std::time::Duration;

use super::error::ApiError;
use super::face::Face;
use super::script::Fault;

/// The course of an answer. By default a proper one, at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) head: Head,
    pub(super) says: Says,
    pub(super) flow: Flow,
}

/// When the head comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Head {
    #[default]
    AtOnce,
    Late(Duration),
    /// Never: the connection is closed.
    Reset,
    /// Never: nothing comes.
    Stall,
}

/// What is answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Says {
    #[default]
    Answer,
    Error(ApiError),
    /// A proper stream; a plain answer is a 200 with this error.
    ErrorInside(ApiError),
    /// Nothing but these events; a plain answer of nothing but these bytes.
    Only {
        events: String,
        plain: &'static str,
    },
    Html,
    NotJson,
    WrongType,
    Redirect,
    /// So many bytes of content.
    Large(u64),
}

/// How the body comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Proper,
    /// Something happens in place of the chunk of this number.
    Broken {
        after: u32,
        by: Break,
    },
    /// A pause before the first token.
    Lull {
        delay: Duration,
        pings: Option<Duration>,
    },
    /// Words at this pace.
    Slow(NonZeroU32),
    Trickle(Duration),
    Twice,
    Swapped,
    Gzip,
}

/// What breaks a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Break {
    Reset,
    Stall,
    Truncate,
    ErrorEvent(ApiError),
}

/// Signs of life in a stream of nothing else.
const PINGS: usize = 3;

impl Course {
    /// The course of an answer in the words of this face, to a call with this key.
    pub(super) fn of(fault: &Fault, face: Face, key: Option<&str>) -> Self {
        match fault {
            Fault::None => Self::default(),
            Fault::ForKey { ends_with, fault } => {
                if key.is_some_and(|key| key.ends_with(&**ends_with)) {
                    Self::of(fault, face, None)
                } else {
                    Self::default()
                }
            }

            Fault::SlowHead { delay } => Self::begins(Head::Late(*delay)),
            Fault::Reset { after_chunks: 0 } => Self::begins(Head::Reset),
            Fault::Stall { after_chunks: 0 } => Self::begins(Head::Stall),

            Fault::Status { status, retry_after } => {
                Self::says(Says::Error(ApiError::of_status(face, *status, *retry_after)))
            }
            Fault::Error { code } => Self::says(Says::Error(ApiError::of_code(face, *code))),
            Fault::Empty => Self::only("", ""),
            Fault::OnlyPings => Self::only(face.ping().repeat(PINGS), "\n\n\n"),
            Fault::OnlyDone => Self::only(face.done(), ""),
            Fault::Html => Self::says(Says::Html),
            Fault::NotJson => Self::says(Says::NotJson),
            Fault::WrongType => Self::says(Says::WrongType),
            Fault::Redirect => Self::says(Says::Redirect),
            Fault::Large { bytes } => Self::says(Says::Large(*bytes)),

            Fault::Reset { after_chunks } => Self::breaks(*after_chunks, Break::Reset),
            Fault::ResetAfterHead => Self::breaks(0, Break::Reset),
            Fault::Stall { after_chunks } => Self::breaks(*after_chunks, Break::Stall),
            Fault::StallAfterHead => Self::breaks(0, Break::Stall),
            Fault::Truncate { after_chunks } => Self::breaks(*after_chunks, Break::Truncate),
            Fault::ErrorEvent { after_chunks, code } => Self {
                says: Says::ErrorInside(ApiError::in_answer(face, *code)),
                ..Self::breaks(*after_chunks, Break::ErrorEvent(ApiError::in_answer(face, *code)))
            },

            Fault::SlowFirstToken { delay, pings } => {
                Self::flows(Flow::Lull { delay: *delay, pings: *pings })
            }
            Fault::SlowStream { tokens_per_second } => Self::flows(Flow::Slow(*tokens_per_second)),
            Fault::Trickle { pause } => Self::flows(Flow::Trickle(*pause)),
            Fault::Duplicate => Self::flows(Flow::Twice),
            Fault::Shuffle => Self::flows(Flow::Swapped),
            Fault::Gzip => Self::flows(Flow::Gzip),
        }
    }

    /// An error in place of the answer.
    pub(super) fn error(error: ApiError) -> Self {
        Self::says(Says::Error(error))
    }

    fn begins(head: Head) -> Self {
        Self { head, ..Self::default() }
    }

    fn says(says: Says) -> Self {
        Self { says, ..Self::default() }
    }

    fn only(events: impl Into<String>, plain: &'static str) -> Self {
        Self::says(Says::Only { events: events.into(), plain })
    }

    fn flows(flow: Flow) -> Self {
        Self { flow, ..Self::default() }
    }

    fn breaks(after: u32, by: Break) -> Self {
        Self::flows(Flow::Broken { after, by })
    }

    /// How many bytes of content are wanted, where it is a matter of their number.
    pub(super) fn large(&self) -> Option<u64> {
        match self.says {
            Says::Large(bytes) => Some(bytes),
            Says::Answer
            | Says::Error(_)
            | Says::ErrorInside(_)
            | Says::Only { .. }
            | Says::Html
            | Says::NotJson
            | Says::WrongType
            | Says::Redirect => None,
        }
    }
}
