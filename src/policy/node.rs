//! YAML as a tree in which every node knows its place. What YAML offers beyond plain trees is refused or bounded.

pub mod decode;
mod refused;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Location, Options, Spanned};

use super::diagnostic::{Code, Findings, Span, did_you_mean};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// Where the value stands whose place it took, if an overlay put it there. Boxed: hardly a node has one.
    pub(super) over: Option<Box<Span>>,
}

/// What stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order as written; no key twice.
    Map(Vec<(Key, Node)>),
}

/// A map's key: always text, `404:` is `"404"`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) span: Span,
    pub(super) text: String,
}

/// How deep lists and maps may be nested.
const MAX_DEPTH: usize = 64;
/// How many values a file may have, and how many more aliases may make of them.
const MAX_NODES: usize = 700_000;
const MAX_REPLAYED: usize = 50_000;

/// The documents of one file; those that hold nothing are left out. A file that is no YAML is one finding.
pub(super) fn parse(file: u32, bytes: &[u8], found: &mut Findings<'_>) -> Vec<Node> {
    let Some(text) = text(file, bytes, found) else {
        return Vec::new();
    };
    match on_own_stack(|| serde_yaml::from_multiple_with_options::<Node>(text, options())) {
        Some(Ok(mut documents)) => {
            documents.iter_mut().for_each(|document| document.move_to(file));
            documents
        }
        Some(Err(error)) => {
            refused::report(&error, file, found);
            Vec::new()
        }
        None => {
            found.error_overall("no thread to read the policy with");
            Vec::new()
        }
    }
}

/// The parser recurses, with frames of many kilobytes in a debug build: 64 levels do not fit into a worker's 2 MiB.
fn on_own_stack<T: Send>(read: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, read).ok()?.join().ok()
    })
}

/// Reserved, not used: memory is taken as far as the nesting goes.
const STACK: usize = 16 * 1024 * 1024;

fn text<'b>(file: u32, bytes: &'b [u8], found: &mut Findings<'_>) -> Option<&'b str> {
    let (text, fault) = match std::str::from_utf8(bytes) {
        Ok(text) => {
            let nul = memchr::memchr(0, bytes);
            (text, nul.map(|at| (at, "the file holds a NUL byte, so it is no text")))
        }
        Err(error) => {
            let at = error.valid_up_to();
            ("", Some((at, "the file is not UTF-8 from here on")))
        }
    };
    if let Some((at, message)) = fault {
        found
            .error(place_of(file, bytes, at), message)
            .code(Code::NotText)
            .hint("save it as UTF-8; is it a policy at all?");
        return None;
    }
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn place_of(file: u32, bytes: &[u8], at: usize) -> Span {
    let before = bytes.get(..at).unwrap_or_default();
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let in_line = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
    Span {
        file,
        line: narrow(memchr::memchr_iter(b'\n', before).count() + 1),
        column: narrow(in_line.chars().count() + 1),
        length: 1,
    }
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: 1_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            // Many aliases of few anchors are fine: what they may make of the file is bounded below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

impl Node {
    fn move_to(&mut self, file: u32) {
        self.span.file = file;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.move_to(file)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.span.file = file;
                    value.move_to(file);
                }
            }
            Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => {}
        }
    }

    /// Whether a map has a key that was probably meant to be this one.
    pub(super) fn has_slip_of(&self, name: &str) -> bool {
        let Value::Map(entries) = &self.value else { return false };
        entries.iter().any(|(key, _)| did_you_mean(&key.text, [name]).is_some())
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Whole(_) => "a number",
            Value::Fraction(_) => "a fraction",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(entries) if entries.is_empty() => "an empty map",
            Value::Map(_) => "a map",
        }
    }

    /// The entries of a map.
    pub(super) fn entries(&self) -> Option<&[(Key, Self)]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The same, to change them.
    pub(super) fn entries_mut(&mut self) -> Option<&mut Vec<(Key, Self)>> {
        if let Value::Map(entries) = &mut self.value { Some(entries) } else { None }
    }

    /// The value of a map's key.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.entries()?.iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { span: span(referenced), value, over: None })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { span: span(referenced), text: value })
    }
}

fn span(location: Location) -> Span {
    Span {
        file: 0,
        line: u32::try_from(location.line()).unwrap_or(u32::MAX),
        column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        length: u32::try_from(location.span().len()).unwrap_or(u32::MAX),
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests;
