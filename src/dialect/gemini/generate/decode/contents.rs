//! Turns and their parts.

use super::calls::Calls;
use super::media;
use crate::dialect::gemini::generate::part::{Data, Part as Read, part, think};
use crate::dialect::gemini::generate::read::{an_object, list, member, object, present, text, within};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{
    Content, Literal, Losses, Part, Raw, Signature, Speaker, ToolCall, ToolResult, Turn,
};
use crate::dialect::translate::Untranslatable;

/// The conversation. Contents of one role that follow each other are one turn: Google's clients keep a content of each
/// event of a stream.
pub(super) fn turns<'a>(contents: &Value<'a>, lost: &mut Losses) -> Result<Vec<Turn<'a>>, Untranslatable> {
    let mut reading = Reading { turns: Vec::new(), calls: Calls::default(), lost };
    for (place, content) in one_or_more(contents, "contents")?.iter().enumerate() {
        within(reading.content(content), || format!("contents[{place}]"))?;
    }
    reading.turns.retain(|turn| !turn.parts.is_empty());
    Ok(reading.turns)
}

/// The instructions: text alone.
pub(super) fn system<'a>(value: &Value<'a>, lost: &mut Losses) -> Result<Option<Turn<'a>>, Untranslatable> {
    let mut parts = Vec::new();
    for (place, value) in parts_of(value)?.iter().enumerate() {
        let read = within(part(value, lost), || format!("parts[{place}]"))?;
        match read.data {
            Data::Text(text) if text.is_empty() => {}
            Data::Text(text) => parts.push(Part::of(Content::Text(text))),
            Data::Inline(_)
            | Data::File(_)
            | Data::Call(_)
            | Data::Response(_)
            | Data::Foreign(_)
            | Data::Nothing => {
                return Err(Untranslatable::at(format!("parts[{place}]"), "Instructions have to be text."));
            }
        }
    }
    Ok((!parts.is_empty()).then_some(Turn { speaker: Speaker::System, name: None, parts }))
}

struct Reading<'a, 'l> {
    turns: Vec<Turn<'a>>,
    calls: Calls<'a>,
    lost: &'l mut Losses,
}

impl<'a> Reading<'a, '_> {
    fn content(&mut self, content: &Value<'a>) -> Result<(), Untranslatable> {
        let speaker = speaker(content)?;
        let last = self.turns.last().map(|turn| turn.speaker);
        if last != Some(speaker) {
            self.turns.push(Turn { speaker, name: None, parts: Vec::new() });
            if speaker == Speaker::Model {
                self.calls.turn();
            }
        }
        for (place, value) in parts_of(content)?.iter().enumerate() {
            within(self.part(value), || format!("parts[{place}]"))?;
        }
        Ok(())
    }

    fn part(&mut self, value: &Value<'a>) -> Result<(), Untranslatable> {
        let Read { data, thought, mut signature } = part(value, self.lost)?;
        let content = match data {
            Data::Text(text) if thought => {
                if let Some(turn) = self.turns.last_mut() {
                    think(&mut turn.parts, text, signature);
                }
                return Ok(());
            }
            Data::Text(text) => (!text.is_empty()).then_some(Content::Text(text)),
            Data::Inline(blob) => within(media::inline(&blob, self.lost), || "inlineData".to_owned())?,
            Data::File(file) => within(media::file(&file, self.lost), || "fileData".to_owned())?,
            Data::Call(call) => {
                Some(within(self.call(&call, signature.take()), || "functionCall".to_owned())?)
            }
            Data::Response(response) => {
                Some(within(self.response(&response), || "functionResponse".to_owned())?)
            }
            Data::Foreign(name) => {
                self.lost.meaning(name);
                None
            }
            Data::Nothing => {
                if signature.is_none() {
                    // Of a kind that is newer than this list, or none at all.
                    self.lost.meaning("contents.parts");
                }
                None
            }
        };
        self.push(content);
        // What is signed here was thought before, and not told.
        self.push(signature.map(Content::Redacted));
        Ok(())
    }

    fn call(
        &mut self,
        call: &Value<'a>,
        signature: Option<Signature<'a>>,
    ) -> Result<Content<'a>, Untranslatable> {
        an_object(call)?;
        let name =
            name_of(call)?.ok_or_else(|| Untranslatable::at("name", "A call has to name its function."))?;
        let id = self.calls.called(id_of(call)?, &name);
        let arguments = match member(call, "args") {
            Some(arguments) => {
                object(&arguments, "args")?;
                Raw::of(&arguments)
            }
            None => Raw::word("{}"),
        };
        Ok(Content::ToolCall(ToolCall { id, name, arguments, signature }))
    }

    fn response(&mut self, value: &Value<'a>) -> Result<Content<'a>, Untranslatable> {
        an_object(value)?;
        let (id, name) = (id_of(value)?, name_of(value)?);
        let field = if id.is_some() { "id" } else { "name" };
        let (id, name) = self
            .calls
            .answered(id.as_ref(), name.as_ref())
            .ok_or_else(|| Untranslatable::at(field, "No call waits for this response."))?;
        let (text, is_error) = match member(value, "response") {
            Some(response) => {
                object(&response, "response")?;
                outcome(&response)
            }
            None => (Literal::word("{}"), false),
        };
        let mut parts = vec![Part::of(Content::Text(text))];
        if let Some(more) = member(value, "parts") {
            self.response_parts(&more, &mut parts)?;
        }
        for name in ["willContinue", "scheduling"] {
            if member(value, name).is_some_and(|value| !value.is_blank() && value.kind != Kind::False) {
                self.lost.hint(format!("contents.functionResponse.{name}"));
            }
        }
        Ok(Content::ToolResult(ToolResult { id, name, parts, is_error }))
    }

    /// Pictures and documents that a function gives.
    fn response_parts(&mut self, more: &Value<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), Untranslatable> {
        for (place, value) in list(more, "parts")?.enumerate() {
            let content = match within(part(&value, self.lost), || format!("parts[{place}]"))?.data {
                Data::Inline(blob) => within(media::inline(&blob, self.lost), || format!("parts[{place}]"))?,
                Data::File(file) => within(media::file(&file, self.lost), || format!("parts[{place}]"))?,
                Data::Text(text) => Some(Content::Text(text)),
                Data::Call(_) | Data::Response(_) | Data::Foreign(_) | Data::Nothing => {
                    self.lost.meaning("contents.functionResponse.parts");
                    None
                }
            };
            parts.extend(content.map(Part::of));
        }
        Ok(())
    }

    fn push(&mut self, content: Option<Content<'a>>) {
        if let Some(turn) = self.turns.last_mut() {
            turn.parts.extend(content.map(Part::of));
        }
    }
}

/// Older clients send the responses of functions under a role of their own.
fn speaker(content: &Value<'_>) -> Result<Speaker, Untranslatable> {
    an_object(content)?;
    let Some(role) = member(content, "role").filter(|role| !role.is_blank()) else {
        return Ok(Speaker::User);
    };
    match role.one_of(&["user", "model", "function"]) {
        Some("model") => Ok(Speaker::Model),
        Some(_) => Ok(Speaker::User),
        None => Err(Untranslatable::at("role", "A role has to be user or model.")),
    }
}

fn parts_of<'a>(content: &Value<'a>) -> Result<Vec<Value<'a>>, Untranslatable> {
    an_object(content)?;
    let Some(parts) = member(content, "parts") else { return Ok(Vec::new()) };
    let parts = one_or_more(&parts, "parts")?;
    match parts.iter().position(|part| part.kind != Kind::Object) {
        Some(place) => Err(Untranslatable::at(format!("parts[{place}]"), "A part has to be an object.")),
        None => Ok(parts),
    }
}

/// The elements of a list; a single one may stand without it, as Google reads repeated fields and its manual wrote them.
fn one_or_more<'a>(value: &Value<'a>, field: &str) -> Result<Vec<Value<'a>>, Untranslatable> {
    if value.kind == Kind::Object {
        return Ok(vec![value.clone()]);
    }
    Ok(list(value, field)?.collect())
}

fn id_of<'a>(value: &Value<'a>) -> Result<Option<Literal<'a>>, Untranslatable> {
    let id = member(value, "id").map(|id| text(&id, "id")).transpose()?;
    Ok(id.filter(|id| !id.is_empty()))
}

fn name_of<'a>(value: &Value<'a>) -> Result<Option<Literal<'a>>, Untranslatable> {
    let name = member(value, "name").map(|name| text(&name, "name")).transpose()?;
    Ok(name.filter(|name| !name.is_empty()))
}

/// What a response says, and whether it is an error: `output` and `error` are Google's names for what is no object of
/// its own.
fn outcome<'a>(response: &Value<'a>) -> (Literal<'a>, bool) {
    let mut members = present(response);
    if let (Some(only), None) = (members.next(), members.next()) {
        if only.is("output") {
            return (words_of(&only.value), false);
        }
        if only.is("error") && !only.value.is_blank() {
            return (words_of(&only.value), true);
        }
    }
    let failed = response.member("error").is_some_and(|error| !error.is_blank());
    (words_of(response), failed)
}

/// A text as it is; anything else as the JSON that it is.
fn words_of<'a>(value: &Value<'a>) -> Literal<'a> {
    Literal::of(value).unwrap_or_else(|| Literal::from_text(&String::from_utf8_lossy(value.raw())))
}
