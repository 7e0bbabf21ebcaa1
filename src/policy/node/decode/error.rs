//! How decoding fails: in the words of a policy's author, and without repeating values that may be secrets.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::policy::diagnostic::{Code, Span, quoted};

/// Why a node could not be decoded.
#[derive(Debug)]
pub(super) enum Failed {
    /// Not told yet.
    Fault(Box<Fault>),
    /// Its cause is among the findings already.
    Told,
}

/// A finding in the making.
#[derive(Debug)]
pub(super) struct Fault {
    /// None until a decoder adds its place.
    pub(super) at: Option<Span>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) secret: bool,
    pub(super) code: Code,
}

impl Failed {
    /// Adds a place where none is known yet, and whether a secret may stand there.
    pub(super) fn or_at(self, span: Span, secret: bool) -> Self {
        self.with(|fault| {
            fault.at.get_or_insert(span);
            fault.secret |= secret;
            if let (true, Some(shown)) = (secret, fault.message.find(FOUND_NUMBER)) {
                fault.message.truncate(shown);
                fault.message.push_str(", found a number");
            }
        })
    }

    pub(super) fn or_hint(self, hint: &str) -> Self {
        self.with(|fault| {
            fault.hint.get_or_insert_with(|| hint.to_owned());
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Fault)) -> Self {
        match &mut self {
            Self::Fault(fault) => change(fault),
            Self::Told => {}
        }
        self
    }

    fn new(message: String, hint: Option<String>) -> Self {
        let code = Code::WrongValue;
        Self::Fault(Box::new(Fault { at: None, message, hint, secret: false, code }))
    }
}

impl de::Error for Failed {
    /// A second line of the text is the hint.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.split_once('\n') {
            Some((message, hint)) => Self::new(message.to_owned(), Some(hint.to_owned())),
            None => Self::new(text, None),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = wanted(expected);
        let hint = wanted.starts_with("a whole number").then(|| WHOLE.to_owned());
        Self::new(format!("expected {wanted}, found {}", kind(&unexpected)), hint)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("{} is missing", quoted(field)), None).with(|fault| fault.code = Code::MissingField)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => f.write_str(&fault.message),
            Self::Told => f.write_str("told already"),
        }
    }
}

impl std::error::Error for Failed {}

/// How a message begins to show a number.
const FOUND_NUMBER: &str = ", found the number";

const WHOLE: &str = "write digits alone, such as 1000: no quotes, sign, point or unit";

fn wanted(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u16" => format!("a whole number up to {}", u16::MAX),
        "u32" => format!("a whole number up to {}", u32::MAX),
        "u64" => "a whole number".to_owned(),
        "a string" => "text".to_owned(),
        "unit variant" => "a choice without arguments".to_owned(),
        "newtype variant" | "struct variant" => "a choice with arguments".to_owned(),
        other => other.to_owned(),
    }
}

/// What was found; numbers are shown, texts are not: they may be secrets.
fn kind(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Other(other) => (*other).to_owned(),
        Unexpected::UnitVariant => "a choice without arguments".to_owned(),
        Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "a choice with arguments".to_owned(),
    }
}
