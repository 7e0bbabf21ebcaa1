//! What a candidate of an answer says, whole or the next piece of it.

use super::finish::{Reason, reason};
use super::part::{Data, part};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Raw, Signature};

/// So many candidates are told apart; Gemini gives eight at most.
const MOST: u32 = 64;

/// A candidate.
pub(super) struct Candidate<'a> {
    pub(super) index: u32,
    pub(super) said: Vec<Said<'a>>,
    /// Why it ended, where it has.
    pub(super) reason: Option<Reason>,
}

/// What one part says.
pub(super) enum Said<'a> {
    Text(Literal<'a>),
    Thought(Literal<'a>, Option<Signature<'a>>),
    /// Of what was thought and not told.
    Signature(Signature<'a>),
    Call(Call<'a>),
}

/// A function call, which may have no id.
pub(super) struct Call<'a> {
    pub(super) id: Option<Literal<'a>>,
    pub(super) name: Literal<'a>,
    /// An object.
    pub(super) arguments: Raw<'a>,
    pub(super) signature: Option<Signature<'a>>,
}

/// The candidates of an answer, or of an event of a stream.
pub(super) fn candidates<'a>(answer: &Value<'a>) -> impl Iterator<Item = Candidate<'a>> {
    let list = answer.member("candidates");
    let elements: Vec<_> =
        list.iter().flat_map(Value::elements).filter(|it| it.kind == Kind::Object).collect();
    elements.into_iter().zip(0..).filter_map(|(candidate, place)| {
        let index = candidate.member("index").map_or(Some(place), |index| index.number());
        let parts = candidate.member("content").and_then(|content| content.member("parts"));
        let mut said = Vec::new();
        for value in parts.iter().flat_map(Value::elements) {
            read(&value, &mut said);
        }
        let reason = candidate.member("finishReason").and_then(|value| reason(&value));
        Some(Candidate { index: index.filter(|index| *index < MOST)?, said, reason })
    })
}

/// Whether the prompt was not let through: such an answer has no candidates.
pub(in crate::dialect::gemini) fn is_blocked(answer: &Value<'_>) -> bool {
    let reason = answer.member("promptFeedback").and_then(|feedback| feedback.member("blockReason"));
    reason
        .is_some_and(|reason| !reason.is_blank() && reason.one_of(&["BLOCKED_REASON_UNSPECIFIED"]).is_none())
}

/// The id of a call that has none: from the id of the whole call, and its place.
pub(super) fn made_id(stamp: &str, choice: u32, place: u32) -> Literal<'static> {
    let stamp = stamp.get(..16).unwrap_or(stamp);
    Literal::from_text(&match choice {
        0 => format!("call_{stamp}_{place}"),
        _ => format!("call_{stamp}_{choice}_{place}"),
    })
}

/// A part; one that cannot be read, or that only Google's own tools make, says nothing.
fn read<'a>(value: &Value<'a>, said: &mut Vec<Said<'a>>) {
    let Ok(part) = part(value, &mut Losses::default()) else { return };
    let mut signature = part.signature;
    match part.data {
        Data::Text(text) if part.thought => {
            if !text.is_empty() || signature.is_some() {
                said.push(Said::Thought(text, signature.take()));
            }
        }
        Data::Text(text) if text.is_empty() => {}
        Data::Text(text) => said.push(Said::Text(text)),
        Data::Call(call) => said.extend(self::call(&call, signature.take()).map(Said::Call)),
        Data::Inline(_) | Data::File(_) | Data::Response(_) | Data::Foreign(_) | Data::Nothing => {}
    }
    said.extend(signature.map(Said::Signature));
}

fn call<'a>(call: &Value<'a>, signature: Option<Signature<'a>>) -> Option<Call<'a>> {
    let name = Literal::of(&call.member("name")?)?;
    let id = call.member("id").and_then(|id| Literal::of(&id)).filter(|id| !id.is_empty());
    let arguments = call.member("args").filter(|arguments| arguments.kind == Kind::Object);
    let arguments = arguments.map_or(Raw::word("{}"), |arguments| Raw::of(&arguments));
    Some(Call { id, name, arguments, signature })
}
