//! Where in a request something stands, and what is said where it is wrong.

use std::fmt;

use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Raw};
use crate::dialect::translate::Untranslatable;

/// A path in a request. It is written out only where something is wrong.
#[derive(Clone, Copy)]
pub(super) enum At<'p> {
    Field(&'p str),
    /// A member of what stands there.
    Of(&'p Self, &'p str),
    /// An element of what stands there.
    In(&'p Self, usize),
}

impl At<'_> {
    /// What stands here is of the wrong kind.
    pub(super) fn must_be(&self, what: &str) -> Untranslatable {
        self.wrong(&format!("must be {what}"))
    }

    /// What is wrong with it: the rest of a sentence that begins with its name.
    pub(super) fn wrong(&self, how: &str) -> Untranslatable {
        Untranslatable::at(self.to_string(), format!("The field `{self}` {how}."))
    }

    pub(super) fn text<'a>(&self, value: &Value<'a>) -> Result<Literal<'a>, Untranslatable> {
        Literal::of(value).ok_or_else(|| self.must_be("a string"))
    }

    /// The text of a member that has to be there and say something.
    pub(super) fn needed_text<'a>(&self, value: Option<&Value<'a>>) -> Result<Literal<'a>, Untranslatable> {
        let text = value.and_then(Literal::of).filter(|text| !text.is_empty());
        text.ok_or_else(|| self.must_be("a string that is not empty"))
    }

    pub(super) fn number<'a>(&self, value: &Value<'a>) -> Result<Raw<'a>, Untranslatable> {
        if value.kind == Kind::Number { Ok(Raw::of(value)) } else { Err(self.must_be("a number")) }
    }

    pub(super) fn integer<'a>(&self, value: &Value<'a>) -> Result<Raw<'a>, Untranslatable> {
        let whole = value.raw().iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
        if value.kind == Kind::Number && whole { Ok(Raw::of(value)) } else { Err(self.must_be("an integer")) }
    }

    pub(super) fn count(&self, value: &Value<'_>) -> Result<u64, Untranslatable> {
        value.number().ok_or_else(|| self.must_be("a whole number"))
    }

    /// A number of at least one.
    pub(super) fn some(&self, value: &Value<'_>) -> Result<u64, Untranslatable> {
        value.number().filter(|count| *count > 0).ok_or_else(|| self.must_be("a whole number of at least 1"))
    }

    pub(super) fn flag(&self, value: &Value<'_>) -> Result<bool, Untranslatable> {
        match value.kind {
            Kind::True => Ok(true),
            Kind::False => Ok(false),
            Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
                Err(self.must_be("true or false"))
            }
        }
    }

    pub(super) fn object<'a>(&self, value: &Value<'a>) -> Result<Raw<'a>, Untranslatable> {
        if value.kind == Kind::Object { Ok(Raw::of(value)) } else { Err(self.must_be("an object")) }
    }

    /// Only lists have elements.
    pub(super) fn list(&self, value: &Value<'_>) -> Result<(), Untranslatable> {
        if value.kind == Kind::Array { Ok(()) } else { Err(self.must_be("a list")) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Of(parent, name) => write!(f, "{parent}.{name}"),
            Self::In(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A member that is there and not null.
pub(super) fn given<'a>(object: &Value<'a>, name: &str) -> Option<Value<'a>> {
    object.member(name).filter(|value| value.kind != Kind::Null)
}
