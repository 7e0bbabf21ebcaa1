//! Reads the messages of a request.

use std::collections::HashMap;

use super::at::{At, given};
use super::content;
use crate::dialect::Dialect;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{
    Content, Literal, Losses, Part, Raw, Signature, Speaker, ToolCall, ToolResult, Turn,
};
use crate::dialect::translate::Untranslatable;

type Result<T> = std::result::Result<T, Untranslatable>;

/// The conversation so far.
pub(super) struct Conversation<'a, 'l> {
    turns: Vec<Turn<'a>>,
    /// The name of each tool that was called, by the id of the call.
    called: HashMap<String, Literal<'a>>,
    /// The id of the last call of each function, in the older form, which knows no ids.
    older: HashMap<String, Literal<'a>>,
    lost: &'l mut Losses,
}

/// The members of a message, found in one pass.
#[derive(Default)]
struct Message<'a> {
    role: Option<Value<'a>>,
    name: Option<Value<'a>>,
    content: Option<Value<'a>>,
    refusal: Option<Value<'a>>,
    reasoning: Option<Literal<'a>>,
    tool_calls: Option<Value<'a>>,
    function_call: Option<Value<'a>>,
    tool_call_id: Option<Value<'a>>,
    audio: bool,
}

impl<'a> Conversation<'a, '_> {
    /// All messages as turns; one that says nothing is none.
    pub(super) fn read(messages: &Value<'a>, lost: &mut Losses) -> Result<Vec<Turn<'a>>> {
        let (called, older) = (HashMap::new(), HashMap::new());
        let mut conversation = Conversation { turns: Vec::new(), called, older, lost };
        let at = At::Field("messages");
        for (index, message) in messages.elements().enumerate() {
            conversation.take(&message, At::In(&at, index))?;
        }
        Ok(conversation.turns)
    }

    fn take(&mut self, message: &Value<'a>, at: At<'_>) -> Result<()> {
        at.object(message)?;
        let message = Message::of(message, self.lost);
        let role = message
            .role
            .as_ref()
            .and_then(|role| role.one_of(&["system", "developer", "user", "assistant", "tool", "function"]));
        match role {
            Some("system") => self.say(Speaker::System, &message, at),
            Some("developer") => self.say(Speaker::Developer, &message, at),
            Some("user") => self.say(Speaker::User, &message, at),
            Some("assistant") => self.take_model(&message, at),
            Some("tool") => self.take_result(&message, at),
            Some(_) => self.take_older_result(&message, at),
            None => Err(At::Of(&at, "role").must_be("`system`, `developer`, `user`, `assistant` or `tool`")),
        }
    }

    fn say(&mut self, speaker: Speaker, message: &Message<'a>, at: At<'_>) -> Result<()> {
        let parts = self.content(message, at)?;
        self.push(speaker, message, at, parts)
    }

    /// Content that has to be there.
    fn content(&mut self, message: &Message<'a>, at: At<'_>) -> Result<Vec<Part<'a>>> {
        let at = At::Of(&at, "content");
        let Some(content) = &message.content else { return Err(at.must_be("a string or a list of parts")) };
        content::parts(content, at, self.lost)
    }

    fn push(
        &mut self,
        speaker: Speaker,
        message: &Message<'a>,
        at: At<'_>,
        parts: Vec<Part<'a>>,
    ) -> Result<()> {
        let name = message.name.as_ref().map(|name| At::Of(&at, "name").text(name)).transpose()?;
        let name = name.filter(|name| !name.is_empty());
        if !parts.is_empty() {
            self.turns.push(Turn { speaker, name, parts });
        }
        Ok(())
    }

    /// What the model said: reasoning, text, refusal, calls.
    fn take_model(&mut self, message: &Message<'a>, at: At<'_>) -> Result<()> {
        let mut parts = Vec::new();
        let reasoning = message.reasoning.clone().map(|text| Content::Reasoning { text, signature: None });
        parts.extend(reasoning.map(Part::of));
        if let Some(content) = &message.content {
            parts.extend(content::parts(content, At::Of(&at, "content"), self.lost)?);
        }
        if let Some(refusal) = &message.refusal {
            let refusal = At::Of(&at, "refusal").text(refusal)?;
            parts.extend((!refusal.is_empty()).then_some(Part::of(Content::Refusal(refusal))));
        }
        if message.audio {
            // It names what only its provider keeps.
            self.lost.meaning("messages.audio");
        }
        if let Some(calls) = &message.tool_calls {
            let at = At::Of(&at, "tool_calls");
            at.list(calls)?;
            for (index, call) in calls.elements().enumerate() {
                parts.extend(self.call(&call, At::In(&at, index))?.map(Part::of));
            }
        }
        if let Some(call) = &message.function_call {
            parts.push(Part::of(self.older_call(call, At::Of(&at, "function_call"))?));
        }
        self.push(Speaker::Model, message, at, parts)
    }

    fn call(&mut self, call: &Value<'a>, at: At<'_>) -> Result<Option<Content<'a>>> {
        let id = At::Of(&at, "id").needed_text(given(call, "id").as_ref())?;
        if let Some(custom) = given(call, "custom") {
            // Its result is known by its id nevertheless.
            let name = At::Of(&At::Of(&at, "custom"), "name").needed_text(given(&custom, "name").as_ref())?;
            self.called.insert(id.text().into_owned(), name);
            self.lost.meaning("tools.custom");
            return Ok(None);
        }
        let at_function = At::Of(&at, "function");
        let function = given(call, "function").ok_or_else(|| at_function.must_be("an object"))?;
        let name = At::Of(&at_function, "name").needed_text(given(&function, "name").as_ref())?;
        let arguments = arguments(given(&function, "arguments").as_ref(), At::Of(&at_function, "arguments"))?;
        self.called.insert(id.text().into_owned(), name.clone());
        Ok(Some(Content::ToolCall(ToolCall { id, name, arguments, signature: signature(call) })))
    }

    fn older_call(&mut self, call: &Value<'a>, at: At<'_>) -> Result<Content<'a>> {
        let name = At::Of(&at, "name").needed_text(given(call, "name").as_ref())?;
        let arguments = arguments(given(call, "arguments").as_ref(), At::Of(&at, "arguments"))?;
        let id = Literal::from_text(&format!("call_{}", self.called.len()));
        self.called.insert(id.text().into_owned(), name.clone());
        self.older.insert(name.text().into_owned(), id.clone());
        Ok(Content::ToolCall(ToolCall { id, name, arguments, signature: None }))
    }

    fn take_result(&mut self, message: &Message<'a>, at: At<'_>) -> Result<()> {
        let at_id = At::Of(&at, "tool_call_id");
        let id = at_id.needed_text(message.tool_call_id.as_ref())?;
        let name = self.called.get(&*id.text()).cloned();
        let name = name.ok_or_else(|| at_id.wrong("names no call of a message before it"))?;
        self.push_result(message, at, id, name)
    }

    fn take_older_result(&mut self, message: &Message<'a>, at: At<'_>) -> Result<()> {
        let at_name = At::Of(&at, "name");
        let name = at_name.needed_text(message.name.as_ref())?;
        let id = self.older.get(&*name.text()).cloned();
        let id = id.ok_or_else(|| at_name.wrong("names no call of a message before it"))?;
        self.push_result(message, at, id, name)
    }

    fn push_result(
        &mut self,
        message: &Message<'a>,
        at: At<'_>,
        id: Literal<'a>,
        name: Literal<'a>,
    ) -> Result<()> {
        // The older form may have none.
        let parts = match &message.content {
            Some(content) => content::parts(content, At::Of(&at, "content"), self.lost)?,
            None => Vec::new(),
        };
        let is_error = tells_error(&parts);
        let result = Content::ToolResult(ToolResult { id, name, parts, is_error });
        self.turns.push(Turn { speaker: Speaker::User, name: None, parts: vec![Part::of(result)] });
        Ok(())
    }
}

impl<'a> Message<'a> {
    fn of(message: &Value<'a>, lost: &mut Losses) -> Self {
        let mut read = Self::default();
        for member in message.members().filter(|member| member.value.kind != Kind::Null) {
            let (name, value) = (member.name(), member.value);
            match &*name {
                "role" => read.role = Some(value),
                "name" => read.name = Some(value),
                "content" => read.content = Some(value),
                "refusal" => read.refusal = Some(value),
                // The names that compatible servers have for it.
                "reasoning_content" | "reasoning" => {
                    let reasoning = Literal::of(&value).filter(|text| !text.is_empty());
                    read.reasoning = reasoning.or(read.reasoning);
                }
                "tool_calls" => read.tool_calls = Some(value),
                "function_call" => read.function_call = Some(value),
                "tool_call_id" => read.tool_call_id = Some(value),
                "audio" => read.audio = true,
                _ if value.is_blank() => {}
                _ => lost.unknown(&format!("messages.{name}")),
            }
        }
        read
    }
}

/// The arguments of a call: an object, written as a text. No text stands for no arguments.
fn arguments<'a>(arguments: Option<&Value<'a>>, at: At<'_>) -> Result<Raw<'a>> {
    let Some(arguments) = arguments else { return Ok(Raw::word("{}")) };
    if arguments.kind == Kind::Object {
        return Ok(Raw::of(arguments));
    }
    let text = at.text(arguments)?;
    object_in(&text).ok_or_else(|| at.must_be("a JSON object, as a string"))
}

/// The object that a text is; an empty one for no text, none where it is something else.
pub(super) fn object_in(text: &Literal<'_>) -> Option<Raw<'static>> {
    let text = text.text();
    let json = text.trim();
    if json.is_empty() {
        return Some(Raw::word("{}"));
    }
    let object = json::document(json.as_bytes()).ok().filter(|value| value.kind == Kind::Object)?;
    Some(Raw::written(object.raw().to_vec()))
}

/// Where Google's endpoint of this shape keeps what Gemini wants back.
pub(super) fn signature<'a>(call: &Value<'a>) -> Option<Signature<'a>> {
    let google = given(call, "extra_content").and_then(|extra| given(&extra, "google"))?;
    let text = Literal::of(&given(&google, "thought_signature")?).filter(|text| !text.is_empty())?;
    Some(Signature { by: Dialect::Gemini, text })
}

/// Whether a result is JSON that names an error: tools have no other way to say it here.
pub(in crate::dialect::openai) fn tells_error(parts: &[Part<'_>]) -> bool {
    let [Part { content: Content::Text(text), .. }] = parts else { return false };
    let text = text.text();
    text.trim_start().starts_with('{')
        && json::document(text.as_bytes()).is_ok_and(|result| {
            given(&result, "error").is_some_and(|error| !error.is_blank() && error.kind != Kind::False)
        })
}
