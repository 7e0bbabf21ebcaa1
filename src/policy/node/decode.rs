//! Spec types from nodes. One fault does not hide the next: whatever stands in an [`At`] or in [`Entries`] fails by
//! itself, and unknown fields are all told.

mod access;
mod error;
mod placed;
mod shape;

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{Key, Node, Value};
use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::spec::planned;
use access::{EntriesAccess, FieldsAccess, ItemsAccess, OneKey, PlacedAccess};
use error::{Failed, Fault};
use placed::{AT, ENTRIES};

pub use placed::{At, Entries, Entry};
pub(in crate::policy) use shape::{Shape, shape_of};

/// Reads a spec type from a node; none where that failed, which then is among the findings.
pub(in crate::policy) fn decode<T: DeserializeOwned>(node: &Node, found: &mut Findings<'_>) -> Option<T> {
    let told = RefCell::new(Vec::new());
    let decoder = Decoder { node, place: node.span, told: &told, secret: false };
    let value = T::deserialize(decoder).map_err(|failed| decoder.tell(failed)).ok();
    for Fault { at, message, hint, secret, code } in told.into_inner() {
        let at = at.unwrap_or(node.span);
        let added = if secret { found.error_at_secret(at, message) } else { found.error(at, message) };
        let holds_key = secret && code == Code::WrongValue;
        added.code(if holds_key { Code::KeyInPolicy } else { code }).maybe_hint(hint);
    }
    value
}

/// What to do about a key with nothing behind it.
const NOTHING: &str = "what belongs to this key is indented further, in the lines below; or remove the key";

#[derive(Clone, Copy)]
struct Decoder<'n> {
    node: &'n Node,
    /// Where to point when something is missing: the key under which the node stands.
    place: Span,
    told: &'n RefCell<Vec<Fault>>,
    /// Whether this is where a secret's reference belongs, so that its text must not be shown.
    secret: bool,
}

impl<'n> Decoder<'n> {
    fn child(self, node: &'n Node, place: Span) -> Self {
        Self { node, place, ..self }
    }

    fn tell(self, failed: Failed) {
        if let Failed::Fault(fault) = failed {
            self.told.borrow_mut().push(Fault {
                at: fault.at.or(Some(self.node.span)),
                secret: fault.secret || self.secret,
                ..*fault
            });
        }
    }

    fn fault(self, message: String, hint: Option<String>) -> Failed {
        let (at, secret, code) = (Some(self.node.span), self.secret, Code::WrongValue);
        Failed::Fault(Box::new(Fault { at, message, hint, secret, code }))
    }

    fn expected(self, what: &str) -> Failed {
        let hint = match (&self.node.value, what) {
            (Value::Null, _) => Some(NOTHING),
            (_, "a list") => Some("a list stands in brackets, `[a, b]`, or in lines that begin with `- `"),
            (_, "a map of names") => Some("write `NAME: ...` for each of them"),
            _ => None,
        };
        self.fault(format!("expected {what}, found {}", self.kind()), hint.map(str::to_owned))
    }

    fn kind(self) -> &'static str {
        self.node.kind()
    }

    /// Whether what is missing in a struct is there under a name with a slip, which is told.
    fn is_slip(self, failed: &Failed, fields: &[&str], entries: &[(Key, Node)]) -> bool {
        let Failed::Fault(fault) = failed else { return false };
        let missing = fault.message.strip_suffix(" is missing").filter(|_| fault.code == Code::MissingField);
        missing.is_some_and(|missing| {
            let meant = Some(format!("did you mean {missing}?"));
            let mut unknown = entries.iter().filter(|(key, _)| !fields.contains(&&*key.text));
            unknown.any(|(key, _)| did_you_mean(&key.text, fields.iter().copied()) == meant)
        })
    }

    /// Tells fields that a struct does not have. False where one of them decides what the whole struct means.
    fn tell_unknown(self, of: &str, fields: &[&str], entries: &[(Key, Node)]) -> bool {
        let mut complete = true;
        for (key, _) in entries.iter().filter(|(key, _)| !fields.contains(&&*key.text)) {
            let at = Some(key.span);
            if let Some(planned) = planned::field(of, &key.text) {
                complete &= !planned.decides;
                self.tell(Failed::Fault(Box::new(Fault {
                    at,
                    message: planned::not_built(&key.text),
                    hint: None,
                    secret: false,
                    code: Code::NotBuiltYet,
                })));
                continue;
            }
            let meant = planned::elsewhere(of, &key.text)
                .map(str::to_owned)
                .or_else(|| did_you_mean(&key.text, fields.iter().copied()));
            complete &= !planned::is_whole(of);
            // What is near no field's name may be the secret itself.
            let message = planned::secret_message(of)
                .filter(|_| meant.is_none())
                .map_or_else(|| format!("unknown field {}", quoted(&key.text)), str::to_owned);
            let hint = meant.unwrap_or_else(|| format!("known here: {}", fields.join(", ")));
            let (secret, code) = (self.secret, Code::UnknownField);
            self.tell(Failed::Fault(Box::new(Fault { at, message, hint: Some(hint), secret, code })));
        }
        complete
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        let visited = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Whole(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (Err(_), Ok(value)) => visitor.visit_i64(value),
                (Err(_), Err(_)) => visitor.visit_i128(*value),
            },
            Value::Fraction(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(ItemsAccess::new(self, items)),
            Value::Map(_) => Err(self.expected("a single value")),
        };
        visited.map_err(|failed| failed.or_at(self.node.span, self.secret))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Text(text) => Err(self
                .fault(format!("{} is not a boolean", quoted(text)), Some("write true or false".to_owned()))),
            Value::Null | Value::Whole(_) | Value::Fraction(_) | Value::List(_) | Value::Map(_) => {
                Err(self.expected("true or false"))
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match &self.node.value {
            Value::Text(_) => self.deserialize_any(visitor),
            // What the visitor says knows better what kind of text was wanted (a price, a date).
            Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) => {
                let hint = |failed: Failed| failed.or_hint("quote it, so that it is text");
                self.deserialize_any(visitor).map_err(hint)
            }
            Value::Null | Value::List(_) | Value::Map(_) => Err(self.expected("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        // `field:` with nothing behind it is rather a slip than a wish for the default.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        match (name, &self.node.value) {
            (AT, _) => visitor.visit_seq(PlacedAccess::new(self)),
            (ENTRIES, Value::Map(entries)) => visitor.visit_map(EntriesAccess::new(self, entries)),
            (ENTRIES, _) => Err(self.expected("a map of names")),
            _ => visitor
                .visit_newtype_struct(Decoder { secret: self.secret || planned::is_secret(name), ..self }),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(ItemsAccess::new(self, items)),
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Fraction(_)
            | Value::Text(_)
            | Value::Map(_) => Err(self.expected("a list")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let decoder = Decoder { secret: self.secret || planned::is_secret(name), ..self };
        let Value::Map(entries) = &self.node.value else {
            let shape = || format!("expected a map, found {}", self.kind());
            let message = planned::secret_message(name).map_or_else(shape, str::to_owned);
            let hint = if self.node.value == Value::Null { Some(NOTHING) } else { planned::shape_hint(name) };
            return Err(decoder.fault(message, hint.map(str::to_owned)));
        };
        let complete = decoder.tell_unknown(name, fields, entries);
        let value = visitor.visit_map(FieldsAccess::new(decoder, fields, entries)).map_err(|failed| {
            let slip = decoder.is_slip(&failed, fields, entries);
            if slip { Failed::Told } else { failed.or_at(decoder.place, decoder.secret) }
        })?;
        if complete { Ok(value) } else { Err(Failed::Told) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let decoder = Decoder { secret: self.secret || planned::is_secret(name), ..self };
        decoder.choice(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map
        identifier ignored_any
    }
}

impl Decoder<'_> {
    /// A word, or a map of one key where the choice has arguments.
    fn choice<'de, V: Visitor<'de>>(
        self,
        name: &str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let (word, at) = match &self.node.value {
            Value::Text(word) => (word, self.node.span),
            Value::Map(entries) if entries.len() == 1 => entries
                .first()
                .map(|(key, _)| (&key.text, key.span))
                .ok_or_else(|| self.expected("a choice"))?,
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Fraction(_)
            | Value::List(_)
            | Value::Map(_) => {
                let several = matches!(&self.node.value, Value::Map(entries) if entries.len() > 1);
                let found = if several { "several" } else { self.kind() };
                let message = format!("expected one of {}, found {found}", variants.join(", "));
                return Err(self.fault(message, planned::shape_hint(name).map(str::to_owned)));
            }
        };
        let failed = |message, hint, code| {
            let fault = Fault { at: Some(at), message, hint, secret: self.secret, code };
            Failed::Fault(Box::new(fault))
        };
        if planned::choice(name, word) {
            return Err(failed(planned::not_built(word), None, Code::NotBuiltYet));
        }
        if !variants.contains(&word.as_str()) {
            let hint = planned::shape_hint(name)
                .map(str::to_owned)
                .or_else(|| did_you_mean(word, variants.iter().copied()))
                .unwrap_or_else(|| format!("one of {}", variants.join(", ")));
            let message = planned::secret_message(name)
                .map_or_else(|| format!("unknown choice {}", quoted(word)), str::to_owned);
            return Err(failed(message, Some(hint), Code::WrongValue));
        }
        match &self.node.value {
            Value::Map(entries) => match entries.first() {
                Some((key, value)) => visitor.visit_enum(OneKey::new(self.child(value, key.span), &key.text)),
                None => Err(self.expected("a choice")),
            },
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Fraction(_)
            | Value::Text(_)
            | Value::List(_) => {
                let word: StrDeserializer<'_, Failed> = word.as_str().into_deserializer();
                // A word alone, where the choice wants arguments, fails in serde's words.
                visitor.visit_enum(word).map_err(|failed| {
                    failed
                        .or_at(at, self.secret)
                        .or_hint("this choice has arguments: write it as a map of one key")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
