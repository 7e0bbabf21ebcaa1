//! Tools, and which of them may or has to be called.

use super::cache::Marks;
use super::ids;
use crate::dialect::neutral::{Cache, Literal, Losses, Raw, Request, Tool, ToolChoice};
use crate::dialect::translate::Accepts;
use crate::dialect::write::Object;

/// Those that are written, and the choice between them.
pub(super) struct Tools<'r, 'a> {
    tools: Vec<&'r Tool<'a>>,
    choice: Option<Choice<'r, 'a>>,
    one_at_a_time: bool,
}

enum Choice<'r, 'a> {
    Auto,
    None,
    Any,
    One(&'r Literal<'a>),
}

impl<'r, 'a> Tools<'r, 'a> {
    pub(super) fn of(request: &'r Request<'a>, accepts: Accepts, lost: &mut Losses) -> Self {
        let asked = request.tool_choice.as_ref();
        let tools = request.tools_named(left_by(asked));
        // A new name would come back in the answer.
        if tools.iter().any(|tool| !ids::is_taken(&tool.name)) {
            lost.meaning("tools");
        }
        let forced = is_forced(asked);
        if forced && (!accepts.forced_tool_choice || tools.is_empty()) {
            lost.meaning("tool_choice");
        }
        let choice = match asked {
            None => None,
            Some(ToolChoice::Auto | ToolChoice::Allowed(_)) => Some(Choice::Auto),
            Some(ToolChoice::None) => Some(Choice::None),
            Some(ToolChoice::Required) => Some(Choice::Any),
            Some(ToolChoice::OneOf(names)) => match names.as_slice() {
                [name] => Some(Choice::One(name)),
                [..] => Some(Choice::Any),
            },
        };
        Self { tools, choice, one_at_a_time: request.parallel_tool_calls == Some(false) }
    }

    pub(super) fn caches(&self) -> impl Iterator<Item = Option<Cache>> {
        self.tools.iter().map(|tool| tool.cache)
    }

    /// Writes `tools` and `tool_choice`; without tools neither is taken.
    pub(super) fn write(&self, body: &mut Object<'_>, marks: &mut Marks) {
        if self.tools.is_empty() {
            return;
        }
        body.array("tools", |list| {
            for tool in &self.tools {
                list.object(|object| write_tool(object, tool, marks));
            }
        });
        match &self.choice {
            None if self.one_at_a_time => self.write_choice(body, "auto", None),
            None => {}
            Some(Choice::Auto) => self.write_choice(body, "auto", None),
            Some(Choice::Any) => self.write_choice(body, "any", None),
            Some(Choice::One(name)) => self.write_choice(body, "tool", Some(name)),
            Some(Choice::None) => body.object("tool_choice", |choice| choice.word("type", "none")),
        }
    }

    fn write_choice(&self, body: &mut Object<'_>, kind: &str, name: Option<&Literal<'_>>) {
        body.object("tool_choice", |choice| {
            choice.word("type", kind);
            if let Some(name) = name {
                choice.literal("name", name);
            }
            if self.one_at_a_time {
                choice.flag("disable_parallel_tool_use", true);
            }
        });
    }
}

/// Whether some tool has to be called.
pub(super) fn is_forced(choice: Option<&ToolChoice<'_>>) -> bool {
    match choice {
        Some(ToolChoice::Required | ToolChoice::OneOf(_)) => true,
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed(_)) | None => false,
    }
}

/// The names of the tools that the choice leaves, where it does not leave all. Anthropic has no list of those that may be
/// called but the tools themselves; for one alone there is a word.
fn left_by<'c, 'a>(choice: Option<&'c ToolChoice<'a>>) -> Option<&'c [Literal<'a>]> {
    match choice {
        Some(ToolChoice::OneOf(names)) if names.len() > 1 => Some(names),
        Some(ToolChoice::Allowed(names)) => Some(names),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::OneOf(_)) | None => {
            None
        }
    }
}

fn write_tool(object: &mut Object<'_>, tool: &Tool<'_>, marks: &mut Marks) {
    const NO_PARAMETERS: Raw<'static> = Raw::word(r#"{"type":"object","properties":{}}"#);
    object.literal("name", &tool.name);
    if let Some(description) = &tool.description {
        object.literal("description", description);
    }
    object.raw("input_schema", tool.parameters.as_ref().unwrap_or(&NO_PARAMETERS));
    if let Some(strict) = tool.strict {
        object.flag("strict", strict);
    }
    marks.write(object, tool.cache);
}
