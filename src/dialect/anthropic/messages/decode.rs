//! A request of Anthropic's, read into the neutral form.

mod blocks;
mod conversation;
mod fields;
mod settings;

use self::fields::{Fault, Fields};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Losses, Request};
use crate::dialect::translate::Untranslatable;

/// What others have not got, and the answer means the same without.
const HINTS: [&str; 5] = ["service_tier", "speed", "inference_geo", "context_management", "diagnostics"];

/// What others have not got, and the answer would be another one without.
const MEANINGS: [&str; 2] = ["container", "mcp_servers"];

pub(crate) fn decode_request(body: &[u8]) -> Result<(Request<'_>, Losses), Untranslatable> {
    let document = json::document(body).map_err(|_| Fault::at("", "a JSON object"))?;
    let mut losses = Losses::default();
    let request = read(&document, &mut losses)?;
    Ok((request, losses))
}

fn read<'a>(document: &Value<'a>, losses: &mut Losses) -> Result<Request<'a>, Fault> {
    let mut fields = Fields::of(document)?;
    // It is the route that says which model it is.
    fields.take("model");
    let mut request = Request {
        turns: conversation::turns(&mut fields, losses)?,
        max_output: max_output(&mut fields, losses)?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.number("top_k")?,
        stop: fields.list("stop_sequences", |stop| conversation::literal(stop).map(Some))?,
        tools: settings::tools(&mut fields, losses)?,
        stream: fields.flag("stream")?.unwrap_or(false),
        ..Request::default()
    };
    settings::tool_choice(&mut fields, &mut request, losses)?;
    settings::output(&mut fields, &mut request, losses)?;
    if let Some(mut metadata) = fields.of_member("metadata")? {
        request.user = metadata.text("user_id").map_err(|fault| fault.within("metadata"))?;
        metadata.lose("metadata.", losses);
    }
    fields.hints(&HINTS, losses);
    for name in MEANINGS {
        // No servers are none to call.
        if fields.take(name).is_some_and(|value| value.kind != Kind::Array || !value.is_blank()) {
            losses.meaning(name);
        }
    }
    fields.lose("", losses);
    Ok(request)
}

/// None at all is asked for to have the prompt cached: what other dialects answer to it is not that.
fn max_output(fields: &mut Fields<'_>, losses: &mut Losses) -> Result<Option<u64>, Fault> {
    let bound = fields.count("max_tokens")?;
    if bound == Some(0) {
        losses.meaning("max_tokens");
    }
    Ok(bound.filter(|bound| *bound > 0))
}

#[cfg(test)]
mod tests;
