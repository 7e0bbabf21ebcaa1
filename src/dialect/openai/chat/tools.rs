//! Reads the tools of a request, and which of them may be called.

use super::at::{At, given};
use super::content::cache;
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Tool, ToolChoice};
use crate::dialect::translate::Untranslatable;

type Result<T> = std::result::Result<T, Untranslatable>;

/// `tools`. Those that are no functions are lost, and with them what the answer would be.
pub(super) fn tools<'a>(tools: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<Vec<Tool<'a>>> {
    at.list(tools)?;
    let mut read = Vec::new();
    for (index, tool) in tools.elements().enumerate() {
        let at = At::In(&at, index);
        let kind = At::Of(&at, "type").needed_text(given(&tool, "type").as_ref())?;
        if !kind.is("function") {
            lost.meaning(if kind.is("custom") { "tools.custom" } else { "tools" });
            continue;
        }
        let at = At::Of(&at, "function");
        let function = given(&tool, "function").ok_or_else(|| at.must_be("an object"))?;
        read.push(Tool { cache: cache(&tool), ..self::function(&function, at, lost)? });
    }
    Ok(read)
}

/// `functions`, the older form.
pub(super) fn functions<'a>(functions: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<Vec<Tool<'a>>> {
    at.list(functions)?;
    let functions = functions.elements().enumerate();
    functions.map(|(index, function)| self::function(&function, At::In(&at, index), lost)).collect()
}

fn function<'a>(function: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<Tool<'a>> {
    at.object(function)?;
    let name = At::Of(&at, "name").needed_text(given(function, "name").as_ref())?;
    let mut tool = Tool { name, description: None, parameters: None, strict: None, cache: None };
    for member in function.members().filter(|member| member.value.kind != Kind::Null) {
        let name = member.name();
        let (at, value) = (At::Of(&at, &name), &member.value);
        match &*name {
            "name" => {}
            "description" => tool.description = Some(at.text(value)?),
            "parameters" => tool.parameters = Some(at.object(value)?),
            "strict" => tool.strict = Some(at.flag(value)?),
            _ => lost.unknown(&format!("tools.{name}")),
        }
    }
    Ok(tool)
}

/// `tool_choice`; none where it names a tool that is lost.
pub(super) fn choice<'a>(
    choice: &Value<'a>,
    at: At<'_>,
    lost: &mut Losses,
) -> Result<Option<ToolChoice<'a>>> {
    const WORDS: &str = "`none`, `auto`, `required` or an object";
    if choice.kind != Kind::Object {
        // `any` is Mistral's word.
        return match choice.one_of(&["none", "auto", "required", "any"]) {
            Some("none") => Ok(Some(ToolChoice::None)),
            Some("auto") => Ok(Some(ToolChoice::Auto)),
            Some(_) => Ok(Some(ToolChoice::Required)),
            None => Err(at.must_be(WORDS)),
        };
    }
    let kind = given(choice, "type").and_then(|kind| kind.one_of(&["function", "custom", "allowed_tools"]));
    match kind {
        Some("function") => Ok(Some(ToolChoice::OneOf(vec![function_name(choice, at)?]))),
        Some("allowed_tools") => allowed(choice, At::Of(&at, "allowed_tools"), lost).map(Some),
        Some(_) => {
            lost.meaning("tool_choice");
            Ok(None)
        }
        None => Err(At::Of(&at, "type").must_be("`function`, `custom` or `allowed_tools`")),
    }
}

fn allowed<'a>(choice: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<ToolChoice<'a>> {
    let allowed = given(choice, "allowed_tools").ok_or_else(|| at.must_be("an object"))?;
    let tools = given(&allowed, "tools").filter(|tools| !tools.is_blank());
    let at_tools = At::Of(&at, "tools");
    let tools = tools.ok_or_else(|| at_tools.must_be("a list of tools"))?;
    at_tools.list(&tools)?;
    let mut names = Vec::new();
    for (index, tool) in tools.elements().enumerate() {
        if given(&tool, "type").is_some_and(|kind| kind.one_of(&["function"]).is_none()) {
            lost.meaning("tool_choice");
            continue;
        }
        names.push(function_name(&tool, At::In(&at_tools, index))?);
    }
    match given(&allowed, "mode").and_then(|mode| mode.one_of(&["auto", "required"])) {
        // All that was allowed is lost.
        Some(_) if names.is_empty() => Ok(ToolChoice::None),
        Some("required") => Ok(ToolChoice::OneOf(names)),
        Some(_) => Ok(ToolChoice::Allowed(names)),
        None => Err(At::Of(&at, "mode").must_be("`auto` or `required`")),
    }
}

fn function_name<'a>(of: &Value<'a>, at: At<'_>) -> Result<Literal<'a>> {
    let at = At::Of(&at, "function");
    let name = given(of, "function").and_then(|function| given(&function, "name"));
    At::Of(&at, "name").needed_text(name.as_ref())
}

/// `function_call`, the older form.
pub(super) fn older_choice<'a>(choice: &Value<'a>, at: At<'_>) -> Result<ToolChoice<'a>> {
    if choice.kind == Kind::Object {
        let name = At::Of(&at, "name").needed_text(given(choice, "name").as_ref())?;
        return Ok(ToolChoice::OneOf(vec![name]));
    }
    match choice.one_of(&["none", "auto"]) {
        Some("none") => Ok(ToolChoice::None),
        Some(_) => Ok(ToolChoice::Auto),
        None => Err(at.must_be("`none`, `auto` or an object")),
    }
}
