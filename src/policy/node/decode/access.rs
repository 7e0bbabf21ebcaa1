//! How serde walks lists, maps, choices and places of nodes.

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::{Key, Node};
use super::{Decoder, Failed, Span};

/// A list's items.
pub(super) struct ItemsAccess<'n> {
    list: Decoder<'n>,
    items: std::slice::Iter<'n, Node>,
}

impl<'n> ItemsAccess<'n> {
    pub(super) fn new(list: Decoder<'n>, items: &'n [Node]) -> Self {
        Self { list, items: items.iter() }
    }
}

impl<'de> SeqAccess<'de> for ItemsAccess<'_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failed> {
        let item = self.items.next();
        item.map(|node| seed.deserialize(self.list.child(node, node.span))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A struct's known fields.
pub(super) struct FieldsAccess<'n> {
    of: Decoder<'n>,
    fields: &'static [&'static str],
    entries: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n (Key, Node)>,
}

impl<'n> FieldsAccess<'n> {
    pub(super) fn new(of: Decoder<'n>, fields: &'static [&'static str], entries: &'n [(Key, Node)]) -> Self {
        Self { of, fields, entries: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for FieldsAccess<'_> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failed> {
        let fields = self.fields;
        self.value = self.entries.find(|(key, _)| fields.contains(&&*key.text));
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Failed> = key.text.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let (key, node) = self.value.take().ok_or(Failed::Told)?;
        seed.deserialize(self.of.child(node, key.span))
    }
}

/// The named things of a map: a key comes with its place, and a value's fault is told here.
pub(super) struct EntriesAccess<'n> {
    of: Decoder<'n>,
    entries: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n (Key, Node)>,
}

impl<'n> EntriesAccess<'n> {
    pub(super) fn new(of: Decoder<'n>, entries: &'n [(Key, Node)]) -> Self {
        Self { of, entries: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for EntriesAccess<'_> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failed> {
        self.value = self.entries.next();
        self.value.map(|(key, _)| seed.deserialize(PlacedName(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let (key, node) = self.value.take().ok_or(Failed::Told)?;
        let decoder = self.of.child(node, key.span);
        seed.deserialize(decoder).map_err(|failed| {
            decoder.tell(failed);
            Failed::Told
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A key as the pair (place, name).
pub(super) struct PlacedName<'n>(pub(super) &'n Key);

impl<'de> Deserializer<'de> for PlacedName<'_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_seq(PlacedNameAccess { key: self.0, parts: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct PlacedNameAccess<'n> {
    key: &'n Key,
    parts: u8,
}

impl<'de> SeqAccess<'de> for PlacedNameAccess<'_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failed> {
        self.parts += 1;
        match self.parts {
            1 => seed.deserialize(numbers(self.key.span)).map(Some),
            2 => seed.deserialize(self.key.text.as_str().into_deserializer()).map(Some),
            _ => Ok(None),
        }
    }
}

/// A node as the pair (place, value); the value's fault is told here.
pub(super) struct PlacedAccess<'n> {
    of: Decoder<'n>,
    parts: u8,
}

impl<'n> PlacedAccess<'n> {
    pub(super) fn new(of: Decoder<'n>) -> Self {
        Self { of, parts: 0 }
    }
}

impl<'de> SeqAccess<'de> for PlacedAccess<'_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failed> {
        self.parts += 1;
        match self.parts {
            1 => seed.deserialize(numbers(self.of.node.span)).map(Some),
            2 => seed.deserialize(self.of).map(Some).map_err(|failed| {
                self.of.tell(failed);
                Failed::Told
            }),
            _ => Ok(None),
        }
    }
}

pub(super) fn numbers(span: Span) -> SeqDeserializer<std::array::IntoIter<u32, 4>, Failed> {
    SeqDeserializer::new([span.file, span.line, span.column, span.length].into_iter())
}

/// A choice with arguments: a map of one key.
pub(super) struct OneKey<'n> {
    value: Decoder<'n>,
    word: &'n str,
}

impl<'n> OneKey<'n> {
    pub(super) fn new(value: Decoder<'n>, word: &'n str) -> Self {
        Self { value, word }
    }
}

impl<'de, 'n> EnumAccess<'de> for OneKey<'n> {
    type Error = Failed;
    type Variant = Arguments<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Arguments<'n>), Failed> {
        let word: StrDeserializer<'_, Failed> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, Arguments(self.value)))
    }
}

/// What stands under a choice's word.
pub(super) struct Arguments<'n>(Decoder<'n>);

impl<'de> VariantAccess<'de> for Arguments<'_> {
    type Error = Failed;

    fn unit_variant(self) -> Result<(), Failed> {
        Err(self.0.fault("this choice has no arguments".to_owned(), Some("write the word alone".to_owned())))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failed> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failed> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
