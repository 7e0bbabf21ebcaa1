//! Why a request body is refused, and what the caller is told.

use crate::dialect::error::Cause;
use crate::dialect::json;

/// Why a body is refused. Displays as a sentence for the caller that holds nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Not UTF-8.
    #[error("The request body is not valid UTF-8.")]
    NotUtf8,
    /// No JSON.
    #[error("The request body is not valid JSON: error at byte {offset}.")]
    InvalidJson {
        /// Where the grammar is broken, counted from 0.
        offset: usize,
    },
    /// Some other JSON value.
    #[error("The request body must be a JSON object.")]
    NotAnObject,
    /// More levels than JSON readers take.
    #[error("The request body is nested deeper than {} levels.", json::MAX_DEPTH)]
    TooDeep,
    /// No `model`.
    #[error("The field `model` is missing.")]
    MissingModel,
    /// `model` is null, a number, ..
    #[error("The field `model` must be a string.")]
    ModelNotAString,
    /// A field that we read stands there twice: readers differ on which one holds.
    #[error("The field `{0}` is given more than once.")]
    DuplicateKey(&'static str),
    /// A key that some readers take for one that we read.
    #[error("A field's name equals `{meant}` except for case; write `{meant}`.")]
    CaseVariant {
        /// The name that it resembles.
        meant: &'static str,
    },
    /// A field that we read has a value that readers take differently (`"true"`, 1).
    #[error("The field `{field}` must be {expected}.")]
    WrongType {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}

impl BodyFault {
    /// What kind of error the caller gets.
    pub fn cause(&self) -> Cause {
        match self {
            Self::NotUtf8 | Self::InvalidJson { .. } | Self::NotAnObject | Self::TooDeep => {
                Cause::InvalidJson
            }
            Self::MissingModel
            | Self::ModelNotAString
            | Self::DuplicateKey(_)
            | Self::CaseVariant { .. }
            | Self::WrongType { .. } => Cause::InvalidRequest,
        }
    }

    /// The field at fault.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::NotUtf8 | Self::InvalidJson { .. } | Self::NotAnObject | Self::TooDeep => None,
            Self::MissingModel | Self::ModelNotAString => Some("model"),
            Self::DuplicateKey(field)
            | Self::CaseVariant { meant: field }
            | Self::WrongType { field, .. } => Some(field),
        }
    }
}

impl From<json::Fault> for BodyFault {
    fn from(fault: json::Fault) -> Self {
        match fault {
            json::Fault::Syntax(offset) => Self::InvalidJson { offset },
            json::Fault::TooDeep => Self::TooDeep,
        }
    }
}
