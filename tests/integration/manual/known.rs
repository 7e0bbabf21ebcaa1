//! What serde knows of the spec: its types with the names of their fields and choices, found by reading a policy and tests
//! that have everything. Knows nothing of the schema, so that that can be held against it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use egret::policy::spec::{Policy, test::PolicyTest};
use serde::Deserialize;
use serde::de::value::{Error, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The names of each type in their order; those of what a choice takes have the choice's before them: `clamp.atLeast`.
#[derive(Default)]
pub(super) struct Known {
    pub(super) types: BTreeMap<String, Vec<String>>,
    /// How often each choice was made: a policy has one at a place, so several policies are read.
    made: BTreeMap<(&'static str, &'static str), usize>,
}

/// Everything that can stand in a policy or in tests of one.
pub(super) fn known() -> Known {
    let known = RefCell::new(Known::default());
    loop {
        Policy::deserialize(Walk(&known)).expect("every fault stays in its field");
        PolicyTest::deserialize(Walk(&known)).expect("every fault stays in its field");
        if known.borrow().made.values().all(|times| *times > 0) {
            return known.into_inner();
        }
    }
}

#[derive(Clone, Copy)]
struct Walk<'k>(&'k RefCell<Known>);

impl Walk<'_> {
    fn note<'a>(self, of: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut known = self.0.borrow_mut();
        let noted = known.types.entry(of.to_owned()).or_default();
        for name in names {
            if noted.iter().all(|known| known != name) {
                noted.push(name.to_owned());
            }
        }
    }

    /// The one that was made least often.
    fn next_choice(self, of: &'static str, choices: &'static [&'static str]) -> &'static str {
        let made = &mut self.0.borrow_mut().made;
        for choice in choices {
            made.entry((of, choice)).or_default();
        }
        let next = choices.iter().min_by_key(|choice| made[&(of, **choice)]).expect("a choice");
        *made.entry((of, next)).or_default() += 1;
        next
    }
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a single value"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            "egret::At" => visitor.visit_seq(Placed(self, 0)),
            "egret::Entries" => visitor.visit_map(OneEntry(Some(self))),
            _ => {
                self.note(name, []);
                visitor.visit_newtype_struct(self)
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new([self].into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(name, fields.iter().copied());
        visitor.visit_map(Fields(self, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(name, variants.iter().copied());
        let choice = self.next_choice(name, variants);
        visitor.visit_enum(Chosen { of: name, choice, walk: self })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Walk<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A place, and what stands there.
struct Placed<'k>(Walk<'k>, u8);

impl<'de> SeqAccess<'de> for Placed<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.1 += 1;
        match self.1 {
            1 => seed.deserialize(SeqDeserializer::new([0_u32; 4].into_iter())).map(Some),
            2 => seed.deserialize(self.0).map(Some),
            _ => Ok(None),
        }
    }
}

/// A map of names that has one, with its place.
struct OneEntry<'k>(Option<Walk<'k>>);

impl<'de> MapAccess<'de> for OneEntry<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.0.map(|_| seed.deserialize(PlacedName)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.0.take().expect("a value behind its name"))
    }
}

struct PlacedName;

impl<'de> Deserializer<'de> for PlacedName {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(PlacedNameParts(0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct PlacedNameParts(u8);

impl<'de> SeqAccess<'de> for PlacedNameParts {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0 += 1;
        match self.0 {
            1 => seed.deserialize(SeqDeserializer::new([0_u32; 4].into_iter())).map(Some),
            2 => seed.deserialize(name("some")).map(Some),
            _ => Ok(None),
        }
    }
}

/// A struct that has every field.
struct Fields<'k>(Walk<'k>, &'static [&'static str]);

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((first, rest)) = self.1.split_first() else { return Ok(None) };
        self.1 = rest;
        seed.deserialize(name(first)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.0)
    }
}

/// A choice that was made.
struct Chosen<'k> {
    of: &'static str,
    choice: &'static str,
    walk: Walk<'k>,
}

impl<'de> EnumAccess<'de> for Chosen<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(name(self.choice))?, self))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.walk)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        panic!("`{}` of `{}` takes several values without names", self.choice, self.of)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let names: Vec<String> = fields.iter().map(|field| format!("{}.{field}", self.choice)).collect();
        self.walk.note(self.of, names.iter().map(String::as_str));
        visitor.visit_map(Fields(self.walk, fields))
    }
}

fn name(text: &str) -> StrDeserializer<'_, Error> {
    text.into_deserializer()
}
