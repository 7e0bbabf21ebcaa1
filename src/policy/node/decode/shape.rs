//! What a spec type is made of, found by reading it from nothing: what an overlay may merge, and what is one value.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::access::{PlacedName, numbers};
use super::error::Failed;
use super::placed::{AT, ENTRIES};
use super::{Key, Span};

/// What stands in a place, as its type has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) enum Shape {
    /// One value: a scalar, a list, or a choice with what it takes.
    #[default]
    Value,
    /// Fields, with the name of their type.
    Fields(&'static str, Vec<(&'static str, Self)>),
    /// Named things of one kind.
    Names(Box<Self>),
}

impl Shape {
    /// What stands under a key; none where the type has no such field.
    pub(in crate::policy) fn at(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Value => None,
            Self::Fields(_, fields) => fields.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape),
            Self::Names(each) => Some(each),
        }
    }
}

/// The shape of a spec type.
pub(in crate::policy) fn shape_of<T: DeserializeOwned>() -> Shape {
    let shape = RefCell::default();
    // Fails at the first value, of which there are none; `At` and `Entries` go on after it.
    let _ = T::deserialize(Tracer(&shape));
    shape.into_inner()
}

/// Notes what it is asked for, and gives nothing.
#[derive(Clone, Copy)]
struct Tracer<'s>(&'s RefCell<Shape>);

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failed> {
        Err(Failed::Told)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        match name {
            AT => visitor.visit_seq(PlacedTrace { of: self, parts: 0 }),
            ENTRIES => visitor.visit_map(NamesTrace { of: self, entries: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        *self.0.borrow_mut() = Shape::Fields(name, Vec::with_capacity(fields.len()));
        visitor.visit_map(FieldsTrace { of: self, fields: fields.iter(), field: "" })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// A place, and what stands there.
struct PlacedTrace<'s> {
    of: Tracer<'s>,
    parts: u8,
}

impl<'de> SeqAccess<'de> for PlacedTrace<'_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failed> {
        self.parts += 1;
        match self.parts {
            1 => seed.deserialize(numbers(Span::default())).map(Some),
            2 => seed.deserialize(self.of).map(Some),
            _ => Ok(None),
        }
    }
}

/// Each field of a struct.
struct FieldsTrace<'s> {
    of: Tracer<'s>,
    fields: std::slice::Iter<'static, &'static str>,
    field: &'static str,
}

impl<'de> MapAccess<'de> for FieldsTrace<'_> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failed> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        self.field = field;
        let name: StrDeserializer<'_, Failed> = (*field).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let shape = RefCell::default();
        let value = seed.deserialize(Tracer(&shape));
        if let Shape::Fields(_, fields) = &mut *self.of.0.borrow_mut() {
            fields.push((self.field, shape.into_inner()));
        }
        value
    }
}

/// One named thing, which stands for all of its kind.
struct NamesTrace<'s> {
    of: Tracer<'s>,
    entries: u8,
}

impl<'de> MapAccess<'de> for NamesTrace<'_> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failed> {
        self.entries += 1;
        let name = Key { span: Span::default(), text: String::new() };
        if self.entries == 1 { seed.deserialize(PlacedName(&name)).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let shape = RefCell::default();
        let value = seed.deserialize(Tracer(&shape));
        *self.of.0.borrow_mut() = Shape::Names(Box::new(shape.into_inner()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::spec;

    fn named<'s>(shape: &'s Shape, path: &[&str]) -> Option<&'s Shape> {
        path.iter().try_fold(shape, |shape, key| shape.at(key))
    }

    #[test]
    fn a_policy_is_fields_and_names_down_to_its_values() {
        let policy = shape_of::<spec::Policy>();
        let limit = named(&policy, &["tenants", "app", "limits", "month"]);
        assert!(matches!(limit, Some(Shape::Fields("Limit", _))), "{limit:?}");
        for value in [
            &["tenants", "app", "limits", "month", "usd"][..],
            &["tenants", "app", "limits", "month", "onExceed"],
            &["tenants", "app", "attributes", "task"],
            &["tenants", "app", "access", "allow"],
            &["providers", "openai", "key"],
            &["providers", "openai", "keys"],
            &["models", "m", "price"],
            &["routes", "chat", "targets"],
            &["routes", "chat", "when", "header", "x-env"],
            &["routes", "chat", "timeouts", "minRate", "over"],
            &["defaults", "onUnpriced"],
            &["revision"],
        ] {
            assert_eq!(named(&policy, value), Some(&Shape::Value), "{value:?}");
        }
        assert_eq!(named(&policy, &["tenant"]), None);
    }
}
