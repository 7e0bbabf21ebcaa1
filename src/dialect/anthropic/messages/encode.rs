//! A request from the neutral form in Anthropic's.
//!
//! What cannot be carried is named by OpenAI's words, which are the neutral ones.

mod cache;
mod content;
mod conversation;
mod ids;
mod limits;
mod schema;
mod thinking;
mod tools;

use self::cache::Marks;
use self::conversation::Conversation;
use self::thinking::Thinking;
pub(crate) use self::thinking::write_thought;
use self::tools::Tools;
use crate::dialect::neutral::{Format, Losses, Request};
use crate::dialect::translate::{Prepared, Recipient};
use crate::dialect::write::{self, Object};

pub(crate) fn encode_request(request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) -> Prepared {
    let bound = limits::bound(request.max_output, to.max_output);
    let conversation = Conversation::of(request, lost);
    let tools = Tools::of(request, to.accepts, lost);
    if !to.accepts.prefill && conversation.ends_with_the_model() {
        lost.meaning("messages");
    }
    let thinking = Thinking::of(request, to.accepts.reasoning, bound, lost);
    limits::sampling(request, to.accepts.sampling, lost);
    limits::lose_others(request, lost);
    let mut marks = Marks::of(tools.caches().chain(conversation.caches()), lost);
    let mut rest = Vec::new();
    write::rest_of_object(&mut rest, |body| {
        body.text("model", to.model);
        tools.write(body, &mut marks);
        conversation.write(body, &mut marks);
        if to.accepts.sampling {
            limits::write_sampling(body, request);
        }
        limits::write_stops(body, &request.stop);
        thinking.write(body);
        write_output(body, &thinking, request.format.as_ref(), to.accepts.json_schema, lost);
        if let Some(user) = &request.user {
            body.object("metadata", |metadata| metadata.literal("user_id", user));
        }
        if request.stream {
            body.flag("stream", true);
        }
    });
    let named = request.max_output.map(|_| bound);
    Prepared {
        open: "{",
        field: "max_tokens",
        bound: named,
        needed: Some(bound),
        thought: thinking.budget(),
        rest,
    }
}

/// `output_config`: effort and form of the answer stand side by side.
fn write_output(
    body: &mut Object<'_>,
    thinking: &Thinking,
    format: Option<&Format<'_>>,
    takes_schema: bool,
    lost: &mut Losses,
) {
    if format.is_some() && !takes_schema {
        lost.meaning("response_format");
    }
    let schema = match format.filter(|_| takes_schema) {
        None => None,
        // There is no word for just any JSON: a schema has to name all that may stand in it.
        Some(Format::Json) => {
            lost.meaning("response_format");
            None
        }
        Some(Format::Schema { name: _, description, schema, strict: _ }) => {
            if description.is_some() {
                lost.hint("response_format.description");
            }
            let (closed, is_open) = schema::closed(schema);
            if is_open {
                lost.meaning("response_format");
            }
            Some(closed)
        }
    };
    let effort = thinking.effort();
    if effort.is_none() && schema.is_none() {
        return;
    }
    body.object("output_config", |config| {
        if let Some(effort) = effort {
            config.word("effort", effort);
        }
        if let Some(schema) = schema {
            config.object("format", |format| {
                format.word("type", "json_schema");
                format.raw("schema", &schema);
            });
        }
    });
}

#[cfg(test)]
mod tests;
