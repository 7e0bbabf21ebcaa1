//! A request into the neutral form.

mod calls;
mod config;
mod contents;
mod media;
mod tools;

use super::read::{camel, object, present, within};
use crate::dialect::json::{self, Kind};
use crate::dialect::neutral::{Losses, Raw, Request};
use crate::dialect::translate::Untranslatable;

/// Reads a request. The model and whether a stream is asked for stand in its URL.
pub(crate) fn decode_request(body: &[u8]) -> Result<(Request<'_>, Losses), Untranslatable> {
    let whole = json::document(body).ok().filter(|whole| whole.kind == Kind::Object);
    let whole = whole.ok_or_else(|| Untranslatable {
        message: "The body has to be a JSON object.".to_owned(),
        field: None,
    })?;
    let (mut request, mut lost) = (Request::default(), Losses::default());
    let mut system = None;
    for member in present(&whole) {
        let (written, value) = (member.name(), member.value);
        match &*camel(&written) {
            "contents" => request.turns = contents::turns(&value, &mut lost)?,
            "systemInstruction" => {
                system = within(contents::system(&value, &mut lost), || "systemInstruction".to_owned())?;
            }
            "generationConfig" => {
                within(config::read(&value, &mut request, &mut lost), || "generationConfig".to_owned())?;
            }
            "tools" => request.tools = tools::tools(&value, &mut lost)?,
            "toolConfig" => {
                request.tool_choice = within(tools::choice(&value, &mut lost), || "toolConfig".to_owned())?;
            }
            "labels" => {
                object(&value, "labels")?;
                request.metadata = Some(Raw::of(&value)).filter(|_| !value.is_blank());
            }
            // Nothing is said by them.
            "cachedContent" | "continuationToken" | "safetySettings" | "serviceTier" | "store"
                if value.is_blank() => {}
            // The prompt, or a part of it, is kept at Google.
            name @ ("cachedContent" | "continuationToken") => lost.meaning(name.to_owned()),
            name @ ("safetySettings" | "serviceTier" | "store") => lost.hint(name.to_owned()),
            "model" => {}
            _ => lost.unknown(&written),
        }
    }
    request.turns.splice(0..0, system);
    Ok((request, lost))
}
