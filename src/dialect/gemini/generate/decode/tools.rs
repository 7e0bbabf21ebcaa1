//! Tools, and which of them may or has to be called.

use crate::dialect::gemini::generate::read::{
    an_object, camel, list, member, object, present, text, within, word,
};
use crate::dialect::gemini::generate::schema::json_schema;
use crate::dialect::json::Value;
use crate::dialect::neutral::{Literal, Losses, Raw, Tool, ToolChoice};
use crate::dialect::translate::Untranslatable;

/// The functions. Google's own tools are lost, and mean something.
pub(super) fn tools<'a>(value: &Value<'a>, lost: &mut Losses) -> Result<Vec<Tool<'a>>, Untranslatable> {
    let mut tools = Vec::new();
    for (place, tool) in list(value, "tools")?.enumerate() {
        object(&tool, &format!("tools[{place}]"))?;
        for member in present(&tool) {
            let written = member.name();
            match &*camel(&written) {
                "functionDeclarations" => {
                    let read = functions(&member.value, &mut tools, lost);
                    within(read, || format!("tools[{place}]"))?;
                }
                name @ ("googleSearch"
                | "googleSearchRetrieval"
                | "codeExecution"
                | "urlContext"
                | "googleMaps"
                | "fileSearch"
                | "computerUse"
                | "enterpriseWebSearch"
                | "retrieval"
                | "mcpServers") => {
                    lost.meaning(format!("tools.{name}"));
                }
                _ => lost.meaning("tools"),
            }
        }
    }
    Ok(tools)
}

fn functions<'a>(
    value: &Value<'a>,
    tools: &mut Vec<Tool<'a>>,
    lost: &mut Losses,
) -> Result<(), Untranslatable> {
    for (place, function) in list(value, "functionDeclarations")?.enumerate() {
        let tool = self::function(&function, lost);
        tools.push(within(tool, || format!("functionDeclarations[{place}]"))?);
    }
    Ok(())
}

fn function<'a>(value: &Value<'a>, lost: &mut Losses) -> Result<Tool<'a>, Untranslatable> {
    an_object(value)?;
    let mut name = None;
    let mut tool =
        Tool { name: Literal::default(), description: None, parameters: None, strict: None, cache: None };
    for member in present(value) {
        let (written, value) = (member.name(), member.value);
        match &*camel(&written) {
            "name" => name = Some(text(&value, "name")?).filter(|name| !name.is_empty()),
            "description" => tool.description = Some(text(&value, "description")?),
            "parameters" => {
                object(&value, "parameters")?;
                let schema = || json_schema(&value, "tools.functionDeclarations.parameters", lost);
                tool.parameters = (!value.is_blank()).then(schema).or(tool.parameters);
            }
            "parametersJsonSchema" => {
                object(&value, "parametersJsonSchema")?;
                tool.parameters = Some(Raw::of(&value)).filter(|_| !value.is_blank());
            }
            _ => lost.unknown(&format!("tools.functionDeclarations.{written}")),
        }
    }
    tool.name = name.ok_or_else(|| Untranslatable::at("name", "A function has to have a name."))?;
    Ok(tool)
}

/// Which tools may or have to be called.
pub(super) fn choice<'a>(
    config: &Value<'a>,
    lost: &mut Losses,
) -> Result<Option<ToolChoice<'a>>, Untranslatable> {
    an_object(config)?;
    let mut choice = None;
    for member in present(config) {
        let written = member.name();
        match &*camel(&written) {
            "functionCallingConfig" => {
                choice = within(calling(&member.value, lost), || "functionCallingConfig".to_owned())?;
            }
            _ => lost.unknown(&format!("toolConfig.{written}")),
        }
    }
    Ok(choice)
}

fn calling<'a>(config: &Value<'a>, lost: &mut Losses) -> Result<Option<ToolChoice<'a>>, Untranslatable> {
    const MODES: [&str; 5] = ["AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"];
    an_object(config)?;
    let names = names(config)?;
    let Some(mode) = member(config, "mode").filter(|mode| !mode.is_blank()) else {
        return Ok(None);
    };
    let mode = word(&mode, &MODES)
        .ok_or_else(|| Untranslatable::at("mode", "A mode has to be AUTO, ANY, NONE or VALIDATED."))?;
    if mode == "VALIDATED" {
        // The arguments follow their schema: elsewhere a matter of each tool.
        lost.hint("toolConfig.functionCallingConfig.mode");
    }
    Ok(match (mode, names.is_empty()) {
        ("ANY", true) => Some(ToolChoice::Required),
        ("ANY", false) => Some(ToolChoice::OneOf(names)),
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO" | "VALIDATED", true) => Some(ToolChoice::Auto),
        ("AUTO" | "VALIDATED", false) => Some(ToolChoice::Allowed(names)),
        (_, _) => None,
    })
}

fn names<'a>(config: &Value<'a>) -> Result<Vec<Literal<'a>>, Untranslatable> {
    let Some(names) = member(config, "allowedFunctionNames") else { return Ok(Vec::new()) };
    let names = list(&names, "allowedFunctionNames")?.enumerate();
    names.map(|(place, name)| text(&name, &format!("allowedFunctionNames[{place}]"))).collect()
}
