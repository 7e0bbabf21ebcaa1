//! Reads the members of objects, and says where one is at fault.

use std::fmt;

use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Raw};
use crate::dialect::translate::Untranslatable;

/// Where a value stands in the body; it is only written out where something is at fault.
#[derive(Clone, Copy)]
pub(super) enum At<'p> {
    Member(Option<&'p Self>, &'static str),
    Element(&'p Self, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(None, name) => f.write_str(name),
            Self::Member(Some(of), name) => write!(f, "{of}.{name}"),
            Self::Element(of, place) => write!(f, "{of}[{place}]"),
        }
    }
}

impl At<'_> {
    pub(super) fn key<'p>(&'p self, name: &'static str) -> At<'p> {
        At::Member(Some(self), name)
    }

    pub(super) fn element(&self, place: usize) -> At<'_> {
        At::Element(self, place)
    }

    /// It is not what it has to be.
    pub(super) fn wrong(&self, expected: &str) -> Untranslatable {
        let path = self.to_string();
        let message = format!("`{path}` has to be {expected}.");
        Untranslatable::at(path, message)
    }

    /// A member that has to be there.
    pub(super) fn present<'a>(&self, value: Option<Value<'a>>) -> Result<Value<'a>, Untranslatable> {
        value.ok_or_else(|| {
            let path = self.to_string();
            let message = format!("`{path}` is missing.");
            Untranslatable::at(path, message)
        })
    }

    pub(super) fn text<'a>(&self, value: &Value<'a>) -> Result<Literal<'a>, Untranslatable> {
        Literal::of(value).ok_or_else(|| self.wrong("a text"))
    }

    /// A text that has to be there.
    pub(super) fn present_text<'a>(&self, value: Option<Value<'a>>) -> Result<Literal<'a>, Untranslatable> {
        self.text(&self.present(value)?)
    }

    /// A text that may be there.
    pub(super) fn any_text<'a>(
        &self,
        value: Option<&Value<'a>>,
    ) -> Result<Option<Literal<'a>>, Untranslatable> {
        value.map(|value| self.text(value)).transpose()
    }

    pub(super) fn flag(&self, value: &Value<'_>) -> Result<bool, Untranslatable> {
        match value.kind {
            Kind::True => Ok(true),
            Kind::False => Ok(false),
            Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
                Err(self.wrong("true or false"))
            }
        }
    }

    pub(super) fn whole_number(&self, value: &Value<'_>) -> Result<u64, Untranslatable> {
        value.number().ok_or_else(|| self.wrong("a whole number"))
    }

    pub(super) fn number<'a>(&self, value: &Value<'a>) -> Result<Raw<'a>, Untranslatable> {
        self.of_kind(value, Kind::Number, "a number").map(|()| Raw::of(value))
    }

    pub(super) fn object<'a>(&self, value: &Value<'a>) -> Result<Raw<'a>, Untranslatable> {
        self.of_kind(value, Kind::Object, "an object").map(|()| Raw::of(value))
    }

    /// A list, and where each of its elements stands.
    pub(super) fn list<'a, T>(
        &self,
        value: &Value<'a>,
        mut read: impl FnMut(&At<'_>, &Value<'a>) -> Result<T, Untranslatable>,
    ) -> Result<Vec<T>, Untranslatable> {
        self.of_kind(value, Kind::Array, "a list")?;
        value.elements().enumerate().map(|(place, element)| read(&self.element(place), &element)).collect()
    }

    fn of_kind(&self, value: &Value<'_>, kind: Kind, expected: &str) -> Result<(), Untranslatable> {
        if value.kind == kind { Ok(()) } else { Err(self.wrong(expected)) }
    }
}

/// The members of these names. Null ones count as absent, of doubled ones the last counts; those that `silent` names say
/// nothing to a model, and all others are noted as lost under `field`.
pub(super) fn members<'a, const N: usize>(
    value: &Value<'a>,
    names: [&str; N],
    silent: &[&str],
    (field, losses): (&str, &mut Losses),
) -> [Option<Value<'a>>; N] {
    let mut found = [const { None }; N];
    for member in value.members() {
        let name = member.name();
        let value = Some(member.value).filter(|value| value.kind != Kind::Null);
        if let Some(place) = names.iter().position(|known| *known == name) {
            found[place] = value;
        } else if value.is_some() && !silent.contains(&&*name) {
            losses.unknown(&format!("{field}.{name}"));
        }
    }
    found
}
