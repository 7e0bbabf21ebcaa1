//! A request body: read by scan, edited in place.
//!
//! The body is never parsed and written again: unknown fields, their order, spelling and spacing reach the provider as
//! the caller wrote them. What is read here decides who answers and what is charged, so a body that two readers could
//! understand differently (a key twice, or in another case) is refused.

mod bound;
mod fault;
mod fields;
mod metadata;
pub mod truncate;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

pub use self::bound::Cap;
use self::bound::{Bounds, NewMember};
pub use self::fault::BodyFault;
use self::fields::{Field, Role};
use self::truncate::Truncation;
use super::json::{self, Kind, Member, Scanner, Value};
use super::{Api, paths};
use crate::units::Tokens;

/// What we read of a request body: facts, and the byte ranges they stand at. Borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Whether a stream is asked for. Never for an operation that has none.
    pub stream: bool,
    /// Whether the caller itself asks for usage in the stream (`stream_options.include_usage: true`).
    pub asks_usage: bool,
    /// Whether the answer, or what it builds on, is kept at the provider: such a call cannot move to another.
    /// Responses only: `previous_response_id`, `conversation`, `background: true`, an explicit `store: true`.
    pub stateful: bool,
    /// Fields present that name another model, endpoint, credential or stored prompt; null counts as absent.
    pub guarded: SmallVec<[&'static str; 1]>,
    /// The longest answer that the caller asks for, of each choice; of two bounds the larger. None where it names
    /// none, or not clearly, and for an operation without output.
    pub max_output: Option<Tokens>,
    /// How many answers the provider is asked to write, one at least: output costs so many times as much.
    pub choices: u64,
    /// Where models are named: once, or of Gemini's calls as often as they do, which may be never.
    models: SmallVec<[Range<usize>; 1]>,
    usage: UsageSpot,
    bounds: Bounds,
    /// Of Gemini's calls: where their settings stand, or would. Boxed: every call would carry its room.
    settings: Option<Box<Spot>>,
    /// Where `metadata` stands, if it is an object.
    metadata: Option<Range<usize>>,
    /// Where the list of turns stands: `messages` of a chat, `input` of a response unless it is a text.
    turns: Option<Range<usize>>,
    /// Where the first member begins.
    first_member: usize,
}

/// Where an object of which a member may be written stands, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// It becomes the first member of the body, at this byte; `alone` if the body has no other.
    New { at: usize, alone: bool },
    /// It is null.
    Null(Range<usize>),
    /// Its first member would stand at this byte; `alone` if it has no other.
    Within { at: usize, alone: bool },
}

/// Where `stream_options.include_usage` stands, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UsageSpot {
    /// No `stream_options`: it becomes the first member of the body, at this byte.
    NewMember(usize),
    /// `stream_options: null`.
    NullOptions(Range<usize>),
    /// An object without the field, which becomes its first member at this byte.
    NewOption { at: usize, alone: bool },
    /// The field's value, false or null.
    Value(Range<usize>),
    /// It is true.
    Asked,
}

/// The fields that a policy may let through, as policies name them. A stored prompt is named by `prompt.id`.
pub fn guarded_fields() -> impl Iterator<Item = &'static str> {
    fields::guarded()
}

/// What policy changes in a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The provider's name of the model.
    pub model: Option<&'a str>,
    /// Whether the provider has to report the usage of the stream. Without effect on calls that are none, and on
    /// operations that always report it.
    pub ask_usage: bool,
    /// The bound on output, where the caller names none ([`RequestFacts::max_output`]). One that it names stays, unless
    /// the cap lowers it.
    pub cap: Option<Cap>,
    /// The turns that are cut, as they were found in this body.
    pub cut: Option<&'a Truncation>,
}

/// Reads a body in one pass. Accepts every object that `serde_json` accepts, but for the faults of meaning above;
/// a fault of grammar is named before one of meaning.
pub fn read(api: Api, body: &[u8]) -> Result<RequestFacts, BodyFault> {
    if !body.is_ascii() && std::str::from_utf8(body).is_err() {
        return Err(BodyFault::NotUtf8);
    }
    let mut scanner = Scanner::at(body, 0);
    if scanner.peek() != Some(b'{') {
        json::document(body)?;
        return Err(BodyFault::NotAnObject);
    }
    scanner.open_object()?;
    let mut reading = Reading::new(api, scanner.position());
    let mut fault = None;
    while let Some(member) = scanner.next_member()? {
        if let Err(found) = reading.take(&member) {
            fault.get_or_insert(found);
        }
    }
    scanner.end()?;
    fault.map_or_else(|| reading.facts(), Err)
}

/// The body as the provider gets it: the same `Bytes` where nothing changes, else one new buffer in which exactly the
/// edited ranges differ. `facts` are those read of this body; with those of another one the body may come back as it is.
pub fn apply(api: Api, body: &Bytes, facts: &RequestFacts, edits: &Edits<'_>) -> Bytes {
    let mut patches: SmallVec<[Patch<'_>; 4]> = SmallVec::new();
    if let Some(name) = edits.model {
        if paths::names_model(api) {
            patches.extend(facts.models.iter().map(|at| (at.clone(), Cow::Owned(resource(name)))));
        } else if facts.model(body) != name {
            patches.extend(facts.model_patch(name));
        }
    }
    if edits.ask_usage && facts.stream && reports_only_when_asked(api) {
        patches.extend(facts.usage.patch());
    }
    if let Some(cap) = &edits.cap {
        let new = NewMember { first: facts.first_member, settings: facts.settings.as_deref() };
        patches.extend(facts.bounds.patches(api, cap, new));
    }
    if let Some(cut) = edits.cut {
        patches.extend(cut.ranges.iter().map(|range| (range.clone(), Cow::Borrowed(""))));
    }
    if patches.is_empty() {
        return body.clone();
    }
    // Stable: two may be new members at the same byte.
    patches.sort_by_key(|(range, _)| range.start);
    patched(body, &patches).unwrap_or_else(|| body.clone())
}

impl RequestFacts {
    /// The model asked for, with escapes resolved; `body` is the one that was read. Of Gemini's calls the path says it.
    pub fn model<'a>(&self, body: &'a [u8]) -> Cow<'a, str> {
        let at = self.models.first().cloned().unwrap_or_default();
        json::unquoted(body.get(at).unwrap_or_default())
    }

    fn model_patch<'a>(&self, name: &'a str) -> Option<Patch<'a>> {
        let Range { start, end } = self.models.first()?.clone();
        if name.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
            // The caller's quotes stay.
            return Some((start + 1..end - 1, Cow::Borrowed(name)));
        }
        Some((start..end, Cow::Owned(serde_json::Value::from(name).to_string())))
    }
}

/// A model as Gemini's bodies name it, quotes included.
fn resource(name: &str) -> String {
    let collection = if name.starts_with("tunedModels/") { "" } else { "models/" };
    serde_json::Value::from(format!("{collection}{name}")).to_string()
}

/// What was read so far.
struct Reading {
    api: Api,
    seen: u64,
    models: SmallVec<[Range<usize>; 1]>,
    settings: Option<Spot>,
    stream: bool,
    stateful: bool,
    guarded: SmallVec<[&'static str; 1]>,
    usage: UsageSpot,
    bounds: Bounds,
    choices: u64,
    metadata: Option<Range<usize>>,
    turns: Option<Range<usize>>,
    first_member: usize,
}

impl Reading {
    fn new(api: Api, first_member: usize) -> Self {
        Self {
            api,
            seen: 0,
            models: SmallVec::new(),
            settings: (api == Api::Generate).then_some(Spot::New { at: first_member, alone: true }),
            stream: false,
            stateful: false,
            guarded: SmallVec::new(),
            usage: UsageSpot::NewMember(first_member),
            bounds: Bounds::default(),
            choices: 1,
            metadata: None,
            turns: None,
            first_member,
        }
    }

    fn take(&mut self, member: &Member<'_>) -> Result<(), BodyFault> {
        if let Some(Spot::New { alone, .. }) = &mut self.settings {
            *alone = false;
        }
        if !member.plain_name().is_none_or(fields::may_be) {
            return Ok(());
        }
        let Some(field) = fields::of(self.api, &member.name())? else {
            return Ok(());
        };
        if self.seen & field.bit() != 0 {
            return Err(BodyFault::DuplicateKey(field.name));
        }
        self.seen |= field.bit();
        self.note(field, &member.value)
    }

    fn note(&mut self, field: &'static Field, value: &Value<'_>) -> Result<(), BodyFault> {
        match field.role {
            Role::Model => {
                if value.kind != Kind::String {
                    return Err(BodyFault::ModelNotAString);
                }
                self.models.push(value.range.clone());
            }
            // Gemini's path says it.
            Role::Stream if paths::tells_streams(self.api) => {}
            Role::Stream => self.stream = flag(field.name, value)? && self.api.streams(),
            Role::Settings => self.settings(value)?,
            Role::Calls => self.calls(value)?,
            Role::StreamOptions => self.usage = usage_spot(value)?,
            Role::Bound => self.bounds.note(field.name, value, paths::names_model(self.api)),
            Role::Choices => self.choices = self.choices.max(bound::choices(field.name, value)?),
            Role::Metadata => self.metadata = (value.kind == Kind::Object).then(|| value.range.clone()),
            Role::Turns => self.turns = (value.kind == Kind::Array).then(|| value.range.clone()),
            Role::StateFlag => self.stateful |= flag(field.name, value)?,
            Role::StateName => self.stateful |= value.kind != Kind::Null,
            Role::Guarded => {
                if value.kind != Kind::Null {
                    self.guarded.push(field.name);
                }
            }
        }
        Ok(())
    }

    /// Gemini's settings.
    fn settings(&mut self, value: &Value<'_>) -> Result<(), BodyFault> {
        self.settings = match value.kind {
            Kind::Null => Some(Spot::Null(value.range.clone())),
            Kind::Object => Some(Spot::Within { at: value.range.start + 1, alone: value.is_blank() }),
            Kind::True | Kind::False | Kind::Number | Kind::String | Kind::Array => {
                return Err(BodyFault::WrongType {
                    field: "generationConfig",
                    expected: "an object or null",
                });
            }
        };
        for member in value.members() {
            let Some(field) = fields::setting(&member.name())? else { continue };
            if self.seen & field.bit() != 0 {
                return Err(BodyFault::DuplicateKey(field.name));
            }
            self.seen |= field.bit();
            self.note(field, &member.value)?;
        }
        Ok(())
    }

    /// Gemini's calls within a call: one, or a list of them.
    fn calls(&mut self, value: &Value<'_>) -> Result<(), BodyFault> {
        let (one, many) =
            (value.members(), value.elements().flat_map(|call| call.members().collect::<Vec<_>>()));
        for member in one.chain(many) {
            if fields::is_model(&member.name())? {
                if member.value.kind != Kind::String {
                    return Err(BodyFault::ModelNotAString);
                }
                self.models.push(member.value.range);
            }
        }
        Ok(())
    }

    fn facts(self) -> Result<RequestFacts, BodyFault> {
        if self.models.is_empty() && !paths::names_model(self.api) {
            return Err(BodyFault::MissingModel);
        }
        Ok(RequestFacts {
            stream: self.stream,
            asks_usage: self.usage == UsageSpot::Asked,
            stateful: self.stateful,
            guarded: self.guarded,
            max_output: self.bounds.named(),
            choices: self.choices,
            models: self.models,
            settings: self.settings.map(Box::new),
            usage: self.usage,
            bounds: self.bounds,
            metadata: self.metadata,
            turns: self.turns,
            first_member: self.first_member,
        })
    }
}

/// True, false, or null for false. Some servers also take `"true"` and 1 for true; they would do what we did not see.
fn flag(field: &'static str, value: &Value<'_>) -> Result<bool, BodyFault> {
    match value.kind {
        Kind::True => Ok(true),
        Kind::False | Kind::Null => Ok(false),
        Kind::Number | Kind::String | Kind::Array | Kind::Object => {
            Err(BodyFault::WrongType { field, expected: "true, false or null" })
        }
    }
}

fn usage_spot(options: &Value<'_>) -> Result<UsageSpot, BodyFault> {
    match options.kind {
        Kind::Null => return Ok(UsageSpot::NullOptions(options.range.clone())),
        Kind::Object => {}
        Kind::True | Kind::False | Kind::Number | Kind::String | Kind::Array => {
            return Err(BodyFault::WrongType { field: "stream_options", expected: "an object or null" });
        }
    }
    let mut spot = UsageSpot::NewOption { at: options.range.start + 1, alone: options.is_blank() };
    let mut seen = false;
    for member in options.members() {
        if !fields::is_include_usage(&member.name())? {
            continue;
        }
        if std::mem::replace(&mut seen, true) {
            return Err(BodyFault::DuplicateKey(fields::INCLUDE_USAGE));
        }
        spot = match flag(fields::INCLUDE_USAGE, &member.value)? {
            true => UsageSpot::Asked,
            false => UsageSpot::Value(member.value.range),
        };
    }
    Ok(spot)
}

/// Responses report usage in their last event without being asked, embeddings are no streams.
fn reports_only_when_asked(api: Api) -> bool {
    matches!(api, Api::Chat | Api::Completions)
}

/// A range and what stands there instead.
type Patch<'a> = (Range<usize>, Cow<'a, str>);

impl UsageSpot {
    fn patch(&self) -> Option<Patch<'static>> {
        let (range, text) = match self {
            Self::Asked => return None,
            // A comma may follow: the body has a model at least.
            Self::NewMember(at) => (*at..*at, r#""stream_options":{"include_usage":true},"#),
            Self::NullOptions(range) => (range.clone(), r#"{"include_usage":true}"#),
            Self::NewOption { at, alone: true } => (*at..*at, r#""include_usage":true"#),
            Self::NewOption { at, alone: false } => (*at..*at, r#""include_usage":true,"#),
            Self::Value(range) => (range.clone(), "true"),
        };
        Some((range, Cow::Borrowed(text)))
    }
}

/// None where a range is not within the body.
fn patched(body: &[u8], patches: &[Patch<'_>]) -> Option<Bytes> {
    let added: usize = patches.iter().map(|(_, text)| text.len()).sum();
    let mut edited = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for (range, text) in patches {
        edited.extend_from_slice(body.get(copied..range.start)?);
        edited.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    edited.extend_from_slice(body.get(copied..)?);
    Some(Bytes::from(edited))
}

#[cfg(test)]
mod tests;
