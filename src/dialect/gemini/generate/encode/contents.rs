//! The conversation: who says what is settled first, and then written.

use super::response::{self, Outcome};
use crate::dialect::base64;
use crate::dialect::gemini::generate::{piece, signature};
use crate::dialect::neutral::{Content, Literal, Losses, Part, Source, Speaker, ToolCall, ToolResult, Turn};
use crate::dialect::write::{Array, Object};

/// A conversation as Gemini has it: instructions, and turns that alternate.
pub(super) struct Conversation<'r> {
    system: Vec<Literal<'r>>,
    turns: Vec<Said<'r>>,
    /// Whether calls and responses have ids.
    ids: bool,
}

/// All that one side says at once: never empty.
struct Said<'r> {
    by_model: bool,
    pieces: Vec<Piece<'r>>,
}

/// What becomes one part.
pub(super) enum Piece<'r> {
    Text(Literal<'r>),
    Thought { text: Literal<'r>, signature: Literal<'r> },
    Signature(Literal<'r>),
    Inline { media_type: Literal<'r>, data: Literal<'r> },
    Call { call: &'r ToolCall<'r>, signature: Option<Literal<'r>> },
    Response { result: &'r ToolResult<'r>, outcome: Outcome<'r> },
}

/// Settles who says what. With `ids`, the first call of each turn is signed, as Gemini 3 wants it.
pub(super) fn plan<'r>(turns: &'r [Turn<'r>], ids: bool, lost: &mut Losses) -> Conversation<'r> {
    let mut conversation = Conversation { system: Vec::new(), turns: Vec::new(), ids };
    for turn in turns {
        if turn.name.is_some() {
            lost.hint("messages.name");
        }
        if turn.parts.iter().any(|part| part.cache.is_some()) {
            lost.hint("messages.cache_hint");
        }
        match turn.speaker {
            Speaker::System | Speaker::Developer => conversation.instruct(turn, lost),
            Speaker::User => conversation.say(false, &turn.parts, lost),
            Speaker::Model => conversation.say(true, &turn.parts, lost),
        }
    }
    conversation.turns.iter_mut().for_each(|said| said.sign(ids));
    if conversation.turns.is_empty() {
        conversation.ask_by_instructions(lost);
    }
    conversation
}

impl<'r> Conversation<'r> {
    fn instruct(&mut self, turn: &'r Turn<'r>, lost: &mut Losses) {
        if !self.turns.is_empty() {
            lost.hint("messages.order");
        }
        for part in &turn.parts {
            match Piece::of(&part.content, lost) {
                Some(Piece::Text(text)) => self.system.push(text),
                Some(Piece::Inline { .. }) => lost.meaning("messages.image"),
                // Nobody instructs by calls or thoughts.
                Some(
                    Piece::Thought { .. } | Piece::Signature(_) | Piece::Call { .. } | Piece::Response { .. },
                )
                | None => {}
            }
        }
    }

    fn say(&mut self, by_model: bool, parts: &'r [Part<'r>], lost: &mut Losses) {
        let mut pieces = Vec::new();
        for part in parts {
            pieces.extend(Piece::of(&part.content, lost));
            if let Content::ToolResult(result) = &part.content {
                response::others(result, lost, &mut pieces);
            }
        }
        match self.turns.last_mut() {
            Some(last) if last.by_model == by_model => last.pieces.append(&mut pieces),
            _ if pieces.is_empty() => {}
            _ => self.turns.push(Said { by_model, pieces }),
        }
    }

    /// A request of instructions alone: Gemini wants to be asked something.
    fn ask_by_instructions(&mut self, lost: &mut Losses) {
        if self.system.is_empty() {
            return lost.meaning("messages");
        }
        lost.hint("messages.order");
        let pieces = std::mem::take(&mut self.system).into_iter().map(Piece::Text).collect();
        self.turns.push(Said { by_model: false, pieces });
    }

    pub(super) fn write(&self, body: &mut Object<'_>) {
        if !self.system.is_empty() {
            body.object("systemInstruction", |content| {
                content.array("parts", |parts| {
                    self.system.iter().for_each(|text| piece::text(parts, text, false, None));
                });
            });
        }
        body.array("contents", |contents| {
            for said in &self.turns {
                contents.object(|content| {
                    content.word("role", if said.by_model { "model" } else { "user" });
                    content.array("parts", |parts| {
                        said.pieces.iter().for_each(|piece| piece.write(parts, self.ids));
                    });
                });
            }
        });
    }
}

impl Said<'_> {
    /// A signature that a caller could keep only beside a call goes back into it; with `always`, the first call that
    /// is left without one says that it was lost.
    fn sign(&mut self, always: bool) {
        let pieces = std::mem::take(&mut self.pieces);
        let mut first = true;
        for mut piece in pieces {
            if let Piece::Call { signature, .. } = &mut piece
                && std::mem::replace(&mut first, false)
                && signature.is_none()
            {
                *signature = match self.pieces.pop() {
                    Some(Piece::Signature(beside)) => Some(beside),
                    other => {
                        self.pieces.extend(other);
                        always.then_some(signature::SKIP_VALIDATION)
                    }
                };
            }
            self.pieces.push(piece);
        }
    }
}

impl<'r> Piece<'r> {
    fn of(content: &'r Content<'r>, lost: &mut Losses) -> Option<Self> {
        match content {
            Content::Text(text) | Content::Refusal(text) => {
                (!text.is_empty()).then(|| Self::Text(text.reborrow()))
            }
            Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } => {
                Self::of_medium(content, lost)
            }
            Content::Reasoning { text, signature } => {
                let Some(signature) = signature.as_ref().and_then(signature::own) else {
                    lost.hint("messages.reasoning");
                    return None;
                };
                Some(Self::Thought { text: text.reborrow(), signature })
            }
            Content::Redacted(redacted) => {
                let own = signature::own(redacted);
                if own.is_none() {
                    lost.hint("messages.reasoning");
                }
                own.map(Self::Signature)
            }
            Content::ToolCall(call) => {
                let signature = call.signature.as_ref().and_then(signature::own);
                if call.signature.is_some() && signature.is_none() {
                    lost.hint("messages.reasoning");
                }
                Some(Self::Call { call, signature })
            }
            Content::ToolResult(result) => {
                Some(Self::Response { result, outcome: response::outcome(result) })
            }
        }
    }

    /// A picture, document or sound: only what stands in the request itself, as nothing is fetched.
    pub(super) fn of_medium(content: &'r Content<'_>, lost: &mut Losses) -> Option<Self> {
        let (source, name) = match content {
            Content::Image { source, detail } => {
                if detail.as_ref().is_some_and(|detail| !detail.is("auto")) {
                    lost.hint("image.detail");
                }
                (source, "messages.image")
            }
            Content::Document { source, name } => {
                if name.is_some() {
                    lost.hint("messages.document.name");
                }
                (source, "messages.document")
            }
            Content::Audio { data, format } => {
                let media_type = Literal::from_text(&format!("audio/{}", format.text()));
                return Some(Self::Inline { media_type, data: data.reborrow() });
            }
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Reasoning { .. }
            | Content::Redacted(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => return None,
        };
        match source {
            Source::Inline { media_type, data } => {
                Some(Self::Inline { media_type: media_type.reborrow(), data: data.reborrow() })
            }
            Source::Text(text) => Some(Self::Inline {
                media_type: Literal::word("text/plain"),
                data: Literal::from_text(&base64::encode(text.text().as_bytes())),
            }),
            Source::Url(_) | Source::File(_) => {
                lost.meaning(name);
                None
            }
        }
    }

    fn write(&self, parts: &mut Array<'_>, ids: bool) {
        match self {
            Self::Text(text) => piece::text(parts, text, false, None),
            Self::Thought { text, signature } => piece::text(parts, text, true, Some(signature)),
            Self::Signature(signature) => piece::signature(parts, signature),
            Self::Inline { media_type, data } => piece::inline(parts, media_type, data),
            Self::Call { call, signature } => {
                let id = ids.then_some(&call.id);
                piece::call(parts, id, &call.name, &call.arguments, signature.as_ref());
            }
            Self::Response { result, outcome } => parts.object(|part| {
                part.object("functionResponse", |response| {
                    if ids {
                        response.literal("id", &result.id);
                    }
                    response.literal("name", &result.name);
                    outcome.write(response);
                });
            }),
        }
    }
}
