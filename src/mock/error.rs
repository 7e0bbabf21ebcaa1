//! Errors, as each provider words them and puts them into bodies and streams.

mod anthropic;
mod gemini;
mod openai;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::face::Face;
use super::reply::Stamp;
use super::script::ErrorCode;

/// An error answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    face: Face,
    pub(super) status: StatusCode,
    /// What stands under `error`.
    object: Value,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
}

impl ApiError {
    /// 400: the request itself is wrong.
    pub(super) fn bad_request(face: Face, message: impl Into<String>) -> Self {
        Self::refused(face, StatusCode::BAD_REQUEST, message)
    }

    /// The error that a provider sends with this status.
    pub(super) fn of_status(face: Face, status: u16, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let object = match face {
            Face::OpenAi => openai::of_status(status),
            Face::Anthropic => anthropic::of_status(status),
            Face::Gemini => gemini::of_status(status, retry_after),
        };
        Self { face, status, object, retry_after }
    }

    /// The error of a code.
    pub(super) fn of_code(face: Face, code: ErrorCode) -> Self {
        let (status, object) = match face {
            Face::OpenAi => openai::of_code(code),
            Face::Anthropic => anthropic::of_code(code),
            Face::Gemini => gemini::of_code(code),
        };
        Self { face, status, object, retry_after: None }
    }

    /// What breaks a 200 from within: the error of a code, else the provider's own fault.
    pub(super) fn in_answer(face: Face, code: Option<ErrorCode>) -> Self {
        if let Some(code) = code {
            return Self::of_code(face, code);
        }
        let broken = StatusCode::INTERNAL_SERVER_ERROR;
        match face {
            Face::OpenAi => Self { face, status: broken, object: openai::broken(), retry_after: None },
            Face::Anthropic | Face::Gemini => Self::of_status(face, broken.as_u16(), None),
        }
    }

    /// A path that is no API.
    pub(super) fn unknown_path(face: Face, method: &Method, path: &str) -> Self {
        Self::refused(face, StatusCode::NOT_FOUND, format!("Invalid URL ({method} {path})"))
    }

    /// An API that exists under another method; to Google that is another path.
    pub(super) fn wrong_method(face: Face, method: &Method, path: &str) -> Self {
        let message = format!("Not allowed to {method} on {path}.");
        match face {
            Face::OpenAi => {
                Self::refused(face, StatusCode::METHOD_NOT_ALLOWED, message).with_code("method_not_supported")
            }
            Face::Anthropic => Self::refused(face, StatusCode::METHOD_NOT_ALLOWED, message),
            Face::Gemini => Self::unknown_path(face, method, path),
        }
    }

    /// A body over the cap.
    pub(super) fn too_large(face: Face) -> Self {
        Self::refused(face, StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.")
    }

    /// An error of the caller, in these words.
    fn refused(face: Face, status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let object = match face {
            Face::OpenAi => openai::object("invalid_request_error", None, None, &message),
            Face::Anthropic => anthropic::object(status, &message),
            Face::Gemini => gemini::object(status, &message),
        };
        Self { face, status, object, retry_after: None }
    }

    /// The parameter that is at fault; OpenAI alone tells it.
    pub(super) fn about(mut self, param: &str) -> Self {
        self.object["param"] = json!(param);
        self
    }

    /// The code, as OpenAI alone has it.
    pub(super) fn with_code(mut self, code: &'static str) -> Self {
        self.object["code"] = json!(code);
        self
    }

    /// The object under `error`.
    pub(super) fn object(&self) -> &Value {
        &self.object
    }

    /// The error as a whole body.
    pub(super) fn body(&self, stamp: &Stamp) -> Value {
        let mut body = self.event();
        match self.face {
            Face::OpenAi | Face::Gemini => {}
            Face::Anthropic => body["request_id"] = json!(stamp.request_id(self.face)),
        }
        body
    }

    /// The error as one event of a stream.
    pub(super) fn event(&self) -> Value {
        match self.face {
            Face::OpenAi | Face::Gemini => json!({ "error": self.object }),
            Face::Anthropic => json!({ "type": "error", "error": self.object }),
        }
    }
}
