//! The items of `input`, as turns.
//!
//! What the model says in a row, reasoning and calls among it, is one turn, and so are the results that follow.

use std::collections::HashMap;

use super::arguments;
use super::part::parts;
use super::read::{At, members};
use super::sealed::{self, Sealed};
use crate::dialect::Dialect;
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{
    Content, Literal, Losses, Part, Signature, Speaker, ToolCall, ToolResult, Turn,
};
use crate::dialect::openai::chat::tells_error;
use crate::dialect::translate::Untranslatable;

/// The types of items. Those that nobody but a provider understands are lost, under these names.
const TYPES: [&str; 30] = [
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "item_reference",
    "custom_tool_call",
    "custom_tool_call_output",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_call",
    "tool_search_output",
    "compaction",
    "compaction_trigger",
    "additional_tools",
    "program",
    "program_output",
];

/// Members of an item that say nothing to a model.
const SILENT: [&str; 3] = ["type", "id", "status"];

/// The conversation. Of one that `goes_on` from what a provider keeps, the call of a result may be missing.
pub(super) fn turns<'a>(
    input: &Value<'a>,
    goes_on: bool,
    losses: &mut Losses,
) -> Result<Vec<Turn<'a>>, Untranslatable> {
    let at = At::Member(None, "input");
    let mut reading = Reading { turns: Vec::new(), names: HashMap::new(), goes_on, losses };
    if input.kind == Kind::Array {
        at.list(input, |at, item| reading.take(at, item))?;
    } else {
        let text = Literal::of(input).ok_or_else(|| at.wrong("a text or a list of items"))?;
        reading.say(Speaker::User, false, vec![Part::of(Content::Text(text))]);
    }
    Ok(reading.turns)
}

struct Reading<'a, 'l> {
    turns: Vec<Turn<'a>>,
    /// The function of each call, by the call's id.
    names: HashMap<String, Literal<'a>>,
    goes_on: bool,
    losses: &'l mut Losses,
}

impl<'a> Reading<'a, '_> {
    fn take(&mut self, at: &At<'_>, item: &Value<'a>) -> Result<(), Untranslatable> {
        at.object(item)?;
        let Some(kind) = item.member("type").filter(|kind| kind.kind != Kind::Null) else {
            return self.message(at, item);
        };
        match kind.one_of(&TYPES) {
            Some("message") => self.message(at, item)?,
            Some("function_call") => self.call(at, item)?,
            Some("function_call_output") => self.result(at, item)?,
            Some("reasoning") => self.reasoning(at, item)?,
            Some(hosted) => self.losses.meaning(format!("input.{hosted}")),
            None => {
                at.key("type").text(&kind)?;
                self.losses.meaning("input.type");
            }
        }
        Ok(())
    }

    fn message(&mut self, at: &At<'_>, item: &Value<'a>) -> Result<(), Untranslatable> {
        let [role, content] = members(item, ["role", "content"], &SILENT, ("input", self.losses));
        let at_role = at.key("role");
        let role = at_role.present(role)?;
        let speaker = match role.one_of(&["user", "assistant", "system", "developer"]) {
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Model,
            Some("system") => Speaker::System,
            Some(_) => Speaker::Developer,
            None => return Err(at_role.wrong("`user`, `assistant`, `system` or `developer`")),
        };
        let at = at.key("content");
        let parts = parts(&at, &at.present(content)?, speaker, self.losses)?;
        self.say(speaker, speaker == Speaker::Model, parts);
        Ok(())
    }

    fn call(&mut self, at: &At<'_>, item: &Value<'a>) -> Result<(), Untranslatable> {
        let names = ["call_id", "name", "arguments"];
        let [id, name, json] = members(item, names, &SILENT, ("input", self.losses));
        let id = at.key("call_id").present_text(id)?;
        let name = at.key("name").present_text(name)?;
        let at = at.key("arguments");
        let arguments =
            arguments::read(&at.present_text(json)?).ok_or_else(|| at.wrong("the text of a JSON object"))?;
        self.names.insert(id.text().into_owned(), name.clone());
        let signature = self.signature_before();
        let call = ToolCall { id, name, arguments, signature };
        self.say(Speaker::Model, true, vec![Part::of(Content::ToolCall(call))]);
        Ok(())
    }

    /// The signature of the call that comes next: what Gemini has signed without a thought of its own.
    fn signature_before(&mut self) -> Option<Signature<'a>> {
        let turn = self.turns.last_mut().filter(|turn| turn.speaker == Speaker::Model)?;
        let Content::Reasoning { text, signature: Some(signature) } = &turn.parts.last()?.content else {
            return None;
        };
        if !text.is_empty() || signature.by != Dialect::Gemini {
            return None;
        }
        let signature = signature.clone();
        turn.parts.pop();
        Some(signature)
    }

    fn result(&mut self, at: &At<'_>, item: &Value<'a>) -> Result<(), Untranslatable> {
        let [id, output] = members(item, ["call_id", "output"], &SILENT, ("input", self.losses));
        let at_id = at.key("call_id");
        let id = at_id.present_text(id)?;
        let name = match self.names.get(&*id.text()) {
            Some(name) => name.clone(),
            None if self.goes_on => Literal::default(),
            None => return Err(at_id.wrong("that of a function call before it")),
        };
        let at = at.key("output");
        let parts = parts(&at, &at.present(output)?, Speaker::User, self.losses)?;
        let is_error = tells_error(&parts);
        let result = ToolResult { id, name, parts, is_error };
        // Results are never in one turn with anything else.
        let first = self.turns.last().and_then(|turn| turn.parts.first());
        let joins = first.is_some_and(|part| matches!(part.content, Content::ToolResult(_)));
        self.say(Speaker::User, joins, vec![Part::of(Content::ToolResult(result))]);
        Ok(())
    }

    /// Its own words before their summary. What OpenAI has encrypted nobody else can read.
    fn reasoning(&mut self, at: &At<'_>, item: &Value<'a>) -> Result<(), Untranslatable> {
        let names = ["summary", "content", "encrypted_content"];
        let [summary, content, encrypted] = members(item, names, &SILENT, ("input", self.losses));
        let content = thoughts(&at.key("content"), content)?;
        let summary = thoughts(&at.key("summary"), summary)?;
        let text = if content.is_empty() { summary } else { content };
        let encrypted = at.key("encrypted_content").any_text(encrypted.as_ref())?;
        let sealed = encrypted.as_ref().and_then(sealed::open);
        if sealed.is_none() && encrypted.is_some_and(|encrypted| !encrypted.is_empty()) {
            self.losses.hint("input.encrypted_content");
        }
        let (signature, redacted) = match sealed {
            Some(Sealed::Signature(signature)) => (Some(signature), None),
            Some(Sealed::Redacted(data)) => (None, Some(data)),
            None => (None, None),
        };
        let said = (!text.is_empty() || signature.is_some())
            .then(|| Part::of(Content::Reasoning { text, signature }));
        let parts = said.into_iter().chain(redacted.map(|data| Part::of(Content::Redacted(data))));
        self.say(Speaker::Model, true, parts.collect());
        Ok(())
    }

    /// Goes on with the turn before, where this joins it and the speaker is the same.
    fn say(&mut self, speaker: Speaker, joins: bool, parts: Vec<Part<'a>>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut().filter(|turn| joins && turn.speaker == speaker) {
            Some(turn) => turn.parts.extend(parts),
            None => self.turns.push(Turn { speaker, name: None, parts }),
        }
    }
}

/// The texts of a list of thoughts, each a paragraph.
fn thoughts<'a>(at: &At<'_>, list: Option<Value<'a>>) -> Result<Literal<'a>, Untranslatable> {
    let mut whole = Literal::default();
    let Some(list) = list else { return Ok(whole) };
    let texts = at.list(&list, |at, thought| {
        at.object(thought)?;
        at.key("text").present_text(thought.member("text"))
    })?;
    for text in texts {
        if whole.is_empty() {
            whole = text;
        } else if !text.is_empty() {
            whole.push(&Literal::word("\\n\\n"));
            whole.push(&text);
        }
    }
    Ok(whole)
}
