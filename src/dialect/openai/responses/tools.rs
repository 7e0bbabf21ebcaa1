//! The tools of a request, and which of them the model may or has to call.

use super::read::{At, members};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Tool, ToolChoice};
use crate::dialect::translate::Untranslatable;

/// Functions. Tools that run at the provider, and those that take free text, are lost.
pub(super) fn tools<'a>(value: &Value<'a>, losses: &mut Losses) -> Result<Vec<Tool<'a>>, Untranslatable> {
    let tools = At::Member(None, "tools").list(value, |at, tool| {
        if function(at, tool)? {
            return tool_of(at, tool, losses).map(Some);
        }
        losses.meaning("tools");
        Ok(None)
    })?;
    Ok(tools.into_iter().flatten().collect())
}

/// Whether a tool, or the choice of one, is that of a function.
fn function(at: &At<'_>, tool: &Value<'_>) -> Result<bool, Untranslatable> {
    at.object(tool)?;
    let at = at.key("type");
    let kind = at.present(tool.member("type"))?;
    at.text(&kind)?;
    Ok(kind.one_of(&["function"]).is_some())
}

fn tool_of<'a>(at: &At<'_>, tool: &Value<'a>, losses: &mut Losses) -> Result<Tool<'a>, Untranslatable> {
    let names = ["name", "description", "parameters", "strict"];
    let [name, description, parameters, strict] = members(tool, names, &["type"], ("tools", losses));
    Ok(Tool {
        name: at.key("name").present_text(name)?,
        description: at.key("description").any_text(description.as_ref())?,
        parameters: parameters.map(|value| at.key("parameters").object(&value)).transpose()?,
        strict: strict.map(|value| at.key("strict").flag(&value)).transpose()?,
        cache: None,
    })
}

/// The choice; none where it is lost.
pub(super) fn choice<'a>(
    value: &Value<'a>,
    losses: &mut Losses,
) -> Result<Option<ToolChoice<'a>>, Untranslatable> {
    let at = At::Member(None, "tool_choice");
    if value.kind == Kind::Object {
        return of_object(&at, value, losses);
    }
    match value.one_of(&["auto", "none", "required"]) {
        Some("auto") => Ok(Some(ToolChoice::Auto)),
        Some("none") => Ok(Some(ToolChoice::None)),
        Some(_) => Ok(Some(ToolChoice::Required)),
        None => Err(at.wrong("`auto`, `none`, `required` or an object")),
    }
}

fn of_object<'a>(
    at: &At<'_>,
    value: &Value<'a>,
    losses: &mut Losses,
) -> Result<Option<ToolChoice<'a>>, Untranslatable> {
    let allowed = value.member("type").is_some_and(|kind| kind.one_of(&["allowed_tools"]).is_some());
    if !allowed {
        let name = named(at, value, losses)?;
        return Ok(name.map(|name| ToolChoice::OneOf(vec![name])));
    }
    let [mode, tools] = members(value, ["mode", "tools"], &["type"], ("tool_choice", losses));
    let at_tools = at.key("tools");
    let names = at_tools.list(&at_tools.present(tools)?, |at, tool| named(at, tool, losses))?;
    if names.is_empty() {
        return Err(at_tools.wrong("a list of one tool at least"));
    }
    let names: Vec<_> = names.into_iter().flatten().collect();
    let required = match mode.as_ref().map(|mode| mode.one_of(&["auto", "required"])) {
        None | Some(Some("auto")) => false,
        Some(Some(_)) => true,
        Some(None) => return Err(at.key("mode").wrong("`auto` or `required`")),
    };
    let choice = if required { ToolChoice::OneOf } else { ToolChoice::Allowed };
    Ok((!names.is_empty()).then(|| choice(names)))
}

/// The function that is named; none where it is a tool of another kind, which is lost.
fn named<'a>(
    at: &At<'_>,
    value: &Value<'a>,
    losses: &mut Losses,
) -> Result<Option<Literal<'a>>, Untranslatable> {
    if !function(at, value)? {
        losses.meaning("tool_choice");
        return Ok(None);
    }
    let [name] = members(value, ["name"], &["type"], ("tool_choice", losses));
    at.key("name").present_text(name).map(Some)
}
