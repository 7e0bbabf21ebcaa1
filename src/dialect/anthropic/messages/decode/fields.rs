//! An object's members by name, each taken once; what is left over is lost.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Raw};
use crate::dialect::translate::Untranslatable;

/// An object that is read has fewer members than this; what is only carried over may have as many as it likes.
const MOST_MEMBERS: usize = 256;

/// So many members that nobody knows are named of one object.
const MOST_UNKNOWN: usize = 16;

/// What cannot be understood: where it is, told from the inside out, and what it has to be.
pub(super) struct Fault {
    path: String,
    wants: &'static str,
}

/// The members of an object that say something: null is as good as absent.
pub(super) struct Fields<'a>(SmallVec<[(Cow<'a, str>, Value<'a>); 8]>);

impl Fault {
    pub(super) fn at(path: impl Into<String>, wants: &'static str) -> Self {
        Self { path: path.into(), wants }
    }

    /// The same, seen from outside of a member or element.
    pub(super) fn within(self, outer: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{outer}{separator}{}", self.path), ..self }
    }
}

impl From<Fault> for Untranslatable {
    fn from(fault: Fault) -> Self {
        if fault.path.is_empty() {
            return Self { message: format!("The body has to be {}.", fault.wants), field: None };
        }
        let message = format!("`{}` has to be {}.", fault.path, fault.wants);
        Self::at(fault.path, message)
    }
}

impl<'a> Fields<'a> {
    /// Those of an object.
    pub(super) fn of(value: &Value<'a>) -> Result<Self, Fault> {
        if value.kind != Kind::Object {
            return Err(Fault::at("", "an object"));
        }
        let said = value.members().filter(|member| member.value.kind != Kind::Null);
        let fields: SmallVec<_> =
            said.take(MOST_MEMBERS).map(|member| (member.name(), member.value)).collect();
        if fields.len() == MOST_MEMBERS {
            return Err(Fault::at("", "an object of fewer members"));
        }
        Ok(Self(fields))
    }

    /// Those of a member that is an object.
    pub(super) fn of_member(&mut self, name: &str) -> Result<Option<Self>, Fault> {
        self.take(name).map(|value| Self::of(&value).map_err(|fault| fault.within(name))).transpose()
    }

    /// A member's value; of several the last, as JSON readers do.
    pub(super) fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let mut taken = None;
        self.0.retain(|(key, value)| {
            let is = key == name;
            if is {
                taken = Some(value.clone());
            }
            !is
        });
        taken
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<Literal<'a>>, Fault> {
        let text = |value| Literal::of(&value).ok_or_else(|| Fault::at(name, "a text"));
        self.take(name).map(text).transpose()
    }

    pub(super) fn needed_text(&mut self, name: &str) -> Result<Literal<'a>, Fault> {
        self.text(name)?.ok_or_else(|| Fault::at(name, "a text"))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        match self.take(name).map(|value| value.kind) {
            None => Ok(None),
            Some(Kind::False) => Ok(Some(false)),
            Some(Kind::True) => Ok(Some(true)),
            Some(Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object) => {
                Err(Fault::at(name, "true or false"))
            }
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<Raw<'a>>, Fault> {
        self.of_kind(name, Kind::Number, "a number")
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Raw<'a>>, Fault> {
        self.of_kind(name, Kind::Object, "an object")
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let count = |value: Value<'a>| value.number().ok_or_else(|| Fault::at(name, "a whole number"));
        self.take(name).map(count).transpose()
    }

    /// A list, element by element.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&Value<'a>) -> Result<Option<T>, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let Some(list) = self.take(name) else { return Ok(Vec::new()) };
        if list.kind != Kind::Array {
            return Err(Fault::at(name, "a list"));
        }
        let place = |(i, element)| read(&element).map_err(|fault| fault.within(&format!("{name}[{i}]")));
        list.elements().enumerate().map(place).filter_map(Result::transpose).collect()
    }

    /// A word of a closed set that decides how its object is read; none where it is another one.
    pub(super) fn word(&mut self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Fault> {
        let word = self.take(name).filter(|value| value.kind == Kind::String);
        word.map(|word| word.one_of(words)).ok_or_else(|| Fault::at(name, "a text"))
    }

    /// Members of which others know nothing, and which change nothing that matters.
    pub(super) fn hints(&mut self, names: &[&'static str], losses: &mut Losses) {
        for name in names {
            if self.take(name).is_some() {
                losses.hint(*name);
            }
        }
    }

    /// Whatever is left is unknown.
    pub(super) fn lose(self, prefix: &str, losses: &mut Losses) {
        for (name, _) in self.0.iter().take(MOST_UNKNOWN) {
            losses.unknown(&format!("{prefix}{name}"));
        }
    }

    fn of_kind(&mut self, name: &str, kind: Kind, wants: &'static str) -> Result<Option<Raw<'a>>, Fault> {
        let raw = |value: Value<'a>| {
            if value.kind == kind { Ok(Raw::of(&value)) } else { Err(Fault::at(name, wants)) }
        };
        self.take(name).map(raw).transpose()
    }
}
