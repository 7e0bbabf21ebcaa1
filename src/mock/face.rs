//! The vendors whose words are spoken, and what each says in a stream that is no part of an answer.

use http::HeaderMap;

/// Whose words a request is answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Face {
    /// The face of a request whose path several of them have, such as `models`.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        // Google has OpenAI's API, too, below this path.
        let below_v1beta = path.split_once("/v1beta/").is_some_and(|(_, rest)| !rest.starts_with("openai/"));
        if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if headers.contains_key("x-goog-api-key") || below_v1beta {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    /// A sign of life in a stream. Gemini's is a blank line: its own client breaks at comments, and at nothing else to
    /// be said between events.
    pub(super) fn ping(self) -> &'static str {
        match self {
            Self::OpenAi => ": keep-alive\n\n",
            Self::Anthropic => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            Self::Gemini => "\r\n",
        }
    }

    /// What stands behind the last chunk of a stream; Gemini's streams just end.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::OpenAi => "data: [DONE]\n\n",
            Self::Anthropic => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            Self::Gemini => "",
        }
    }

    /// What plain answers call themselves.
    pub(super) fn json_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "application/json",
            Self::Gemini => "application/json; charset=UTF-8",
        }
    }
}
