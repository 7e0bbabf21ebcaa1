//! Writes the tools of a request.

use crate::dialect::neutral::{Literal, Losses, Request, Tool, ToolChoice};
use crate::dialect::translate::Recipient;
use crate::dialect::write::Object;

/// Tools, and which of them may be called. Not every server knows `allowed_tools`: those that may not be called are left
/// out.
pub(super) fn write(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    let choice = request.tool_choice.as_ref();
    let forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::OneOf(_)));
    let tools = request.tools_named(offered(choice));
    if forced && (tools.is_empty() || !to.accepts.forced_tool_choice) {
        lost.meaning("tool_choice");
    }
    // Without tools a server refuses to be told how to choose.
    if tools.is_empty() {
        return;
    }
    body.array("tools", |array| {
        tools.iter().for_each(|tool| array.object(|object| self::tool(object, tool)));
    });
    if !forced || to.accepts.forced_tool_choice {
        write_choice(body, choice);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        body.flag("parallel_tool_calls", parallel);
    }
}

/// The names of the tools that are offered, where not all are.
fn offered<'c, 'a>(choice: Option<&'c ToolChoice<'a>>) -> Option<&'c [Literal<'a>]> {
    match choice {
        Some(ToolChoice::Allowed(names)) => Some(names),
        // A single one is named.
        Some(ToolChoice::OneOf(names)) if names.len() > 1 => Some(names),
        Some(ToolChoice::OneOf(_) | ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {
            None
        }
    }
}

fn tool(object: &mut Object<'_>, tool: &Tool<'_>) {
    object.word("type", "function");
    object.object("function", |function| {
        function.literal("name", &tool.name);
        if let Some(description) = &tool.description {
            function.literal("description", description);
        }
        if let Some(parameters) = &tool.parameters {
            function.raw("parameters", parameters);
        }
        if let Some(strict) = tool.strict {
            function.flag("strict", strict);
        }
    });
}

fn write_choice(body: &mut Object<'_>, choice: Option<&ToolChoice<'_>>) {
    match choice {
        None => {}
        Some(ToolChoice::Auto | ToolChoice::Allowed(_)) => body.word("tool_choice", "auto"),
        Some(ToolChoice::None) => body.word("tool_choice", "none"),
        Some(ToolChoice::OneOf(names)) if let [name] = names.as_slice() => named(body, name),
        Some(ToolChoice::Required | ToolChoice::OneOf(_)) => body.word("tool_choice", "required"),
    }
}

fn named(body: &mut Object<'_>, name: &Literal<'_>) {
    body.object("tool_choice", |choice| {
        choice.word("type", "function");
        choice.object("function", |function| function.literal("name", name));
    });
}
