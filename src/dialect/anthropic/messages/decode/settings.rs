//! What a request asks beside its conversation: tools, how much to think, the form of the answer.

use super::blocks;
use super::fields::{Fault, Fields};
use crate::dialect::neutral::{Effort, Format, Losses, Raw, Reasoning, Request, Tool, ToolChoice};

pub(super) fn tools<'a>(fields: &mut Fields<'a>, losses: &mut Losses) -> Result<Vec<Tool<'a>>, Fault> {
    fields.list("tools", |tool| tool_of(Fields::of(tool)?, losses))
}

/// A tool; none where it is one that the provider runs itself.
fn tool_of<'a>(mut fields: Fields<'a>, losses: &mut Losses) -> Result<Option<Tool<'a>>, Fault> {
    let kind = fields.take("type");
    if kind.is_some_and(|kind| kind.one_of(&["custom"]).is_none()) {
        losses.meaning("tools");
        return Ok(None);
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?,
        parameters: fields.object("input_schema")?,
        strict: fields.flag("strict")?,
        cache: blocks::cache(&mut fields)?,
    };
    fields.lose("tools.", losses);
    Ok(Some(tool))
}

pub(super) fn tool_choice<'a>(
    fields: &mut Fields<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Fault> {
    let Some(mut choice) = fields.of_member("tool_choice")? else { return Ok(()) };
    let mut read = || {
        let kind = choice.word("type", &["auto", "any", "tool", "none"])?;
        request.tool_choice = Some(match kind {
            Some("auto") => ToolChoice::Auto,
            Some("any") => ToolChoice::Required,
            Some("tool") => ToolChoice::OneOf(vec![choice.needed_text("name")?]),
            Some(_) => ToolChoice::None,
            None => return Err(Fault::at("type", "`auto`, `any`, `tool` or `none`")),
        });
        if choice.flag("disable_parallel_tool_use")? == Some(true) {
            request.parallel_tool_calls = Some(false);
        }
        Ok(())
    };
    read().map_err(|fault: Fault| fault.within("tool_choice"))?;
    choice.lose("tool_choice.", losses);
    Ok(())
}

/// `thinking` and `output_config`: how much to think, and the form of the answer.
pub(super) fn output<'a>(
    fields: &mut Fields<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Fault> {
    request.reasoning = thinking(fields, losses)?;
    let mut config = fields.of_member("output_config")?;
    if let Some(effort) = config.as_mut().and_then(|config| config.take("effort")) {
        let words = ["minimal", "low", "medium", "high", "xhigh", "max"];
        let effort = effort.one_of(&words).and_then(Effort::of).map(Reasoning::Effort);
        match request.reasoning {
            None | Some(Reasoning::Auto) if effort.is_some() => request.reasoning = effort,
            // The number says more than the word.
            None | Some(_) => losses.hint("output_config.effort"),
        }
    }
    let format = config.as_mut().map(|config| config.of_member("format")).transpose();
    let format = format.map_err(|fault| fault.within("output_config"))?.flatten();
    // Its place before `output_config` was there.
    let older = fields.of_member("output_format")?;
    for (name, format) in [("output_format", older), ("output_config.format", format)] {
        if let Some(format) = format {
            request.format = answer_format(format, name, losses)?.or_else(|| request.format.take());
        }
    }
    if let Some(config) = config {
        config.lose("output_config.", losses);
    }
    Ok(())
}

fn thinking(fields: &mut Fields<'_>, losses: &mut Losses) -> Result<Option<Reasoning>, Fault> {
    let Some(mut thinking) = fields.of_member("thinking")? else { return Ok(None) };
    let mut read = || {
        Ok(match thinking.word("type", &["enabled", "adaptive", "disabled"])? {
            Some("enabled") => {
                let budget = thinking.count("budget_tokens")?;
                Reasoning::Budget(budget.ok_or_else(|| Fault::at("budget_tokens", "a whole number"))?)
            }
            Some("adaptive") => Reasoning::Auto,
            Some(_) => Reasoning::Off,
            // A newer way to think; nearest is to let the model choose.
            None => {
                losses.hint("thinking");
                Reasoning::Auto
            }
        })
    };
    let reasoning = read().map_err(|fault: Fault| fault.within("thinking"))?;
    thinking.lose("thinking.", losses);
    Ok(Some(reasoning))
}

/// The form of the answer; none where it is one that others have not got.
fn answer_format<'a>(
    mut format: Fields<'a>,
    name: &'static str,
    losses: &mut Losses,
) -> Result<Option<Format<'a>>, Fault> {
    let inside = |fault: Fault| fault.within(name);
    if format.word("type", &["json_schema"]).map_err(inside)?.is_none() {
        losses.meaning(name);
        return Ok(None);
    }
    let schema: Option<Raw<'a>> = format.object("schema").map_err(inside)?;
    let schema = schema.ok_or_else(|| inside(Fault::at("schema", "an object")))?;
    Ok(Some(Format::Schema { name: None, description: None, schema, strict: None }))
}
