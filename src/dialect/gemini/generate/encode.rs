//! A request from the neutral form.

mod config;
mod contents;
mod response;
mod tools;

use crate::dialect::neutral::{Losses, Request, Speaker};
use crate::dialect::translate::{Prepared, Recipient};
use crate::dialect::write::rest_of_object;

/// Writes a request. The bound on its output stands at its very beginning, within the configuration.
pub(crate) fn encode_request(request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) -> Prepared {
    note_losses(request, to, lost);
    let conversation = contents::plan(&request.turns, to.accepts.call_ids, lost);
    let mut rest = Vec::new();
    rest_of_object(&mut rest, |config| config::write(config, request, to, lost));
    rest.push(b',');
    rest_of_object(&mut rest, |body| {
        conversation.write(body);
        tools::write(body, request, to, lost);
    });
    Prepared {
        open: "{\"generationConfig\":{",
        field: "maxOutputTokens",
        // More than its model can give is refused.
        bound: request.max_output.map(|bound| to.max_output.map_or(bound, |most| bound.min(most.0))),
        needed: None,
        thought: None,
        rest,
    }
}

/// What no part of a request has a place for.
fn note_losses(request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    if request.user.is_some() {
        lost.hint("user");
    }
    if request.metadata.is_some() {
        lost.hint("metadata");
    }
    if request.parallel_tool_calls == Some(false) {
        lost.hint("parallel_tool_calls");
    }
    let said = request.turns.iter().filter(|turn| !turn.parts.is_empty());
    let last =
        said.map(|turn| turn.speaker).rfind(|speaker| matches!(speaker, Speaker::User | Speaker::Model));
    if !to.accepts.prefill && last == Some(Speaker::Model) {
        lost.meaning("messages");
    }
}
