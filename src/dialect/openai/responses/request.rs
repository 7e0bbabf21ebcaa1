//! A request, read member by member.

use super::input;
use super::read::{At, members};
use super::tools;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{
    Content, Effort, Format, Literal, Losses, Part, Raw, Reasoning, Request, Speaker, Turn,
};
use crate::dialect::translate::Untranslatable;

/// Reads a request, and notes what no other dialect could carry.
///
/// # Errors
/// It is malformed.
pub(crate) fn decode_request(body: &[u8]) -> Result<(Request<'_>, Losses), Untranslatable> {
    let no_object =
        || Untranslatable { message: "The body has to be a JSON object.".to_owned(), field: None };
    let document = json::document(body).map_err(|_| no_object())?;
    if document.kind != Kind::Object {
        return Err(no_object());
    }
    let mut reading = Reading::default();
    for member in document.members().filter(|member| member.value.kind != Kind::Null) {
        let name = member.name();
        if !reading.take(&name, &member.value)? && !reading.lose(&name, &member.value)? {
            reading.losses.unknown(&name);
        }
    }
    reading.finish()
}

/// What was read so far.
#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    losses: Losses,
    input: Option<Value<'a>>,
    instructions: Option<Literal<'a>>,
    /// It names what a provider keeps: the conversation so far, or a prompt.
    goes_on: bool,
    user: Option<Literal<'a>>,
    safety_identifier: Option<Literal<'a>>,
}

impl<'a> Reading<'a> {
    /// Reads a member that the neutral form has a place for; whether it is one.
    fn take(&mut self, name: &str, value: &Value<'a>) -> Result<bool, Untranslatable> {
        let at = |name| At::Member(None, name);
        let request = &mut self.request;
        match name {
            "model" | "stream_options" => {}
            "stream" => request.stream = at("stream").flag(value)?,
            "input" => self.input = Some(value.clone()),
            "instructions" => self.instructions = Some(at("instructions").text(value)?),
            "max_output_tokens" => {
                request.max_output = Some(at("max_output_tokens").whole_number(value)?);
            }
            "temperature" => request.temperature = Some(at("temperature").number(value)?),
            "top_p" => request.top_p = Some(at("top_p").number(value)?),
            "top_logprobs" => self.logprobs(value)?,
            "tools" => request.tools = tools::tools(value, &mut self.losses)?,
            "tool_choice" => request.tool_choice = tools::choice(value, &mut self.losses)?,
            "parallel_tool_calls" => {
                request.parallel_tool_calls = Some(at("parallel_tool_calls").flag(value)?);
            }
            "text" => self.text(value)?,
            "reasoning" => self.reasoning(value)?,
            "metadata" => request.metadata = metadata(value)?,
            "user" => self.user = Some(at("user").text(value)?),
            "safety_identifier" => self.safety_identifier = Some(at("safety_identifier").text(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes a member that is known, and lost if it says anything; whether it is one.
    fn lose(&mut self, name: &str, value: &Value<'a>) -> Result<bool, Untranslatable> {
        match name {
            // The answer is kept at a provider, or builds on what is kept there.
            "previous_response_id" => self.keeps("previous_response_id"),
            "conversation" => self.keeps("conversation"),
            "prompt" => self.keeps("prompt"),
            "background" => self.flag("background", value)?,
            "store" => self.flag("store", value)?,
            "include" => self.include(value)?,
            "truncation" => self.hint("truncation", value, &["disabled"]),
            "service_tier" => self.hint("service_tier", value, &["auto", "default"]),
            "prompt_cache_key" => self.losses.hint("prompt_cache_key"),
            "prompt_cache_options" => self.losses.hint("prompt_cache_options"),
            "prompt_cache_retention" => self.losses.hint("prompt_cache_retention"),
            "context_management" => self.losses.hint("context_management"),
            // Of hosted tools alone, which are lost themselves.
            "max_tool_calls" => self.losses.hint("max_tool_calls"),
            // How pictures are made smaller.
            "image" => self.losses.hint("image"),
            "moderation" => self.losses.hint("moderation"),
            "access_programs" => self.losses.hint("access_programs"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn keeps(&mut self, field: &'static str) {
        self.goes_on = true;
        self.losses.meaning(field);
    }

    /// Matters where it is true.
    fn flag(&mut self, field: &'static str, value: &Value<'_>) -> Result<(), Untranslatable> {
        if At::Member(None, field).flag(value)? {
            self.losses.meaning(field);
        }
        Ok(())
    }

    /// Lost, unless it is one of these words, which change nothing.
    fn hint(&mut self, field: &'static str, value: &Value<'_>, nothing: &[&'static str]) {
        if value.one_of(nothing).is_none() {
            self.losses.hint(field);
        }
    }

    /// Reasoning comes sealed, whether asked for or not; the rest is of hosted tools, but for the probabilities.
    fn include(&mut self, value: &Value<'_>) -> Result<(), Untranslatable> {
        const KNOWN: [&str; 2] = ["reasoning.encrypted_content", "message.output_text.logprobs"];
        At::Member(None, "include").list(value, |at, what| {
            at.text(what)?;
            match what.one_of(&KNOWN) {
                Some("reasoning.encrypted_content") => {}
                Some(_) => self.losses.meaning("include"),
                None => self.losses.hint("include"),
            }
            Ok(())
        })?;
        Ok(())
    }

    /// No answer tells probabilities in the neutral form.
    fn logprobs(&mut self, value: &Value<'_>) -> Result<(), Untranslatable> {
        let count = At::Member(None, "top_logprobs").whole_number(value)?;
        if count > 0 {
            self.request.logprobs = Some(count);
            self.losses.meaning("top_logprobs");
        }
        Ok(())
    }

    fn text(&mut self, value: &Value<'a>) -> Result<(), Untranslatable> {
        let at = At::Member(None, "text");
        at.object(value)?;
        let [format, verbosity] = members(value, ["format", "verbosity"], &[], ("text", &mut self.losses));
        if verbosity.is_some() {
            self.losses.hint("text.verbosity");
        }
        self.request.format = match format {
            Some(format) => self.format(&at.key("format"), &format)?,
            None => None,
        };
        Ok(())
    }

    fn format(&mut self, at: &At<'_>, value: &Value<'a>) -> Result<Option<Format<'a>>, Untranslatable> {
        at.object(value)?;
        let kind = at.key("type").present(value.member("type"))?;
        match kind.one_of(&["text", "json_object", "json_schema"]) {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(Format::Json)),
            Some(_) => self.schema(at, value).map(Some),
            None => {
                at.key("type").text(&kind)?;
                self.losses.meaning("text.format");
                Ok(None)
            }
        }
    }

    fn schema(&mut self, at: &At<'_>, value: &Value<'a>) -> Result<Format<'a>, Untranslatable> {
        let names = ["name", "description", "schema", "strict"];
        let [name, description, schema, strict] =
            members(value, names, &["type"], ("text.format", &mut self.losses));
        let at_schema = at.key("schema");
        Ok(Format::Schema {
            name: at.key("name").any_text(name.as_ref())?,
            description: at.key("description").any_text(description.as_ref())?,
            schema: at_schema.object(&at_schema.present(schema)?)?,
            strict: strict.map(|value| at.key("strict").flag(&value)).transpose()?,
        })
    }

    fn reasoning(&mut self, value: &Value<'a>) -> Result<(), Untranslatable> {
        let at = At::Member(None, "reasoning");
        at.object(value)?;
        let names = ["effort", "summary", "generate_summary"];
        let [effort, summary, older] = members(value, names, &[], ("reasoning", &mut self.losses));
        // What a provider tells of its thoughts is told, as it tells it.
        if [summary, older].iter().flatten().any(|how| how.one_of(&["auto"]).is_none()) {
            self.losses.hint("reasoning.summary");
        }
        if let Some(effort) = effort {
            let word = at.key("effort").text(&effort)?;
            let level = Effort::of(&word.text()).map(Reasoning::Effort);
            let level = level.or_else(|| word.is("none").then_some(Reasoning::Off));
            self.request.reasoning = Some(level.ok_or_else(|| at.key("effort").wrong("a known effort"))?);
        }
        Ok(())
    }

    fn finish(self) -> Result<(Request<'a>, Losses), Untranslatable> {
        let Self { mut request, mut losses, input, instructions, goes_on, user, safety_identifier } = self;
        if let Some(text) = instructions.filter(|text| !text.is_empty()) {
            let parts = vec![Part::of(Content::Text(text))];
            request.turns.push(Turn { speaker: Speaker::System, name: None, parts });
        }
        if input.is_some() || !goes_on {
            let input = At::Member(None, "input").present(input)?;
            request.turns.extend(input::turns(&input, goes_on, &mut losses)?);
        }
        if safety_identifier.is_some() && user.is_some() && safety_identifier != user {
            losses.hint("user");
        }
        request.user = safety_identifier.or(user);
        Ok((request, losses))
    }
}

/// None where it is empty.
fn metadata<'a>(value: &Value<'a>) -> Result<Option<Raw<'a>>, Untranslatable> {
    let metadata = At::Member(None, "metadata").object(value)?;
    Ok((!value.is_blank()).then_some(metadata))
}
