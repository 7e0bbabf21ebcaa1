//! Values that know their places, and fail by themselves.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::policy::diagnostic::Span;

/// A value with its place. The value is missing where its shape was faulty; that was told then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At<T> {
    /// Where it stands.
    pub span: Span,
    /// What stands there.
    pub value: Option<T>,
}

/// A map of named things, in the order as written. Each is read by itself.
#[derive(Clone, Debug)]
pub struct Entries<T>(pub Vec<Entry<T>>);

/// One named thing. The value is missing where its shape was faulty; that was told then.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Where its name stands.
    pub span: Span,
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub value: Option<T>,
}

/// What newtype names ask the decoder for more than a value.
pub(super) const AT: &str = "egret::At";
pub(super) const ENTRIES: &str = "egret::Entries";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
        let span = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        // The access told what was wrong; the value is missing, and its neighbours are read all the same.
        let value = parts.next_element().ok().flatten();
        Ok(At { span, value })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [file, line, column, length] = Deserialize::deserialize(deserializer)?;
        Ok(Self { file, line, column, length })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ENTRIES, EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some((span, name)) = map.next_key()? {
            // As with `At`: what was wrong is told, and the name stays known.
            let value = map.next_value().ok();
            entries.push(Entry { span, name, value });
        }
        Ok(Entries(entries))
    }
}
