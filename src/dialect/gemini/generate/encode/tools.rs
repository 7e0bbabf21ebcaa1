//! Tools, and which of them may or has to be called.

use crate::dialect::neutral::{Losses, Request, Tool, ToolChoice};
use crate::dialect::translate::Recipient;
use crate::dialect::write::Object;

pub(super) fn write(body: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    let allowed = allowed(request);
    if allowed.is_empty() {
        // A choice without tools is refused.
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::OneOf(_))) {
            lost.meaning("tool_choice");
        }
        return;
    }
    for tool in &allowed {
        if tool.cache.is_some() {
            lost.hint("messages.cache_hint");
        }
        if tool.strict == Some(true) {
            lost.hint("tools.strict");
        }
    }
    body.array("tools", |tools| {
        tools.object(|tool| {
            tool.array("functionDeclarations", |functions| {
                allowed.iter().for_each(|tool| functions.object(|function| write_function(function, tool)));
            });
        });
    });
    if let Some(choice) = &request.tool_choice {
        write_choice(body, choice, to.accepts.forced_tool_choice, lost);
    }
}

/// All tools, or those alone that may be called: in the mode that leaves the choice to the model no names are taken.
fn allowed<'r, 'a>(request: &'r Request<'a>) -> Vec<&'r Tool<'a>> {
    request.tools_named(match &request.tool_choice {
        Some(ToolChoice::Allowed(names)) => Some(names),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::OneOf(_)) | None => {
            None
        }
    })
}

fn write_function(function: &mut Object<'_>, tool: &Tool<'_>) {
    function.literal("name", &tool.name);
    if let Some(description) = &tool.description {
        function.literal("description", description);
    }
    if let Some(parameters) = &tool.parameters {
        function.raw("parametersJsonSchema", parameters);
    }
}

fn write_choice(body: &mut Object<'_>, choice: &ToolChoice<'_>, forced: bool, lost: &mut Losses) {
    let (mode, names) = match choice {
        ToolChoice::Auto | ToolChoice::Allowed(_) => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::OneOf(names) => ("ANY", Some(names)),
    };
    if mode == "ANY" && !forced {
        lost.meaning("tool_choice");
    }
    body.object("toolConfig", |config| {
        config.object("functionCallingConfig", |calling| {
            calling.word("mode", mode);
            if let Some(names) = names {
                calling
                    .array("allowedFunctionNames", |array| names.iter().for_each(|name| array.literal(name)));
            }
        });
    });
}
