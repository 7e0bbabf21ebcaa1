//! `generationConfig`

use crate::dialect::gemini::generate::read::{
    an_object, camel, count, flag, list, number, object, present, text, whole, within, word,
};
use crate::dialect::gemini::generate::schema::json_schema;
use crate::dialect::json::Value;
use crate::dialect::neutral::{Effort, Format, Losses, Raw, Reasoning, Request};
use crate::dialect::translate::Untranslatable;

/// What of the configuration makes sense only together.
#[derive(Default)]
struct Together<'a> {
    json: bool,
    schema: Option<Raw<'a>>,
    tells_logprobs: bool,
    logprobs: Option<u64>,
}

/// Reads the configuration into a request.
pub(super) fn read<'a>(
    config: &Value<'a>,
    request: &mut Request<'a>,
    lost: &mut Losses,
) -> Result<(), Untranslatable> {
    an_object(config)?;
    let mut together = Together::default();
    for member in present(config) {
        let (written, value) = (member.name(), member.value);
        let name = camel(&written);
        if !sampling(&name, &value, request)? && !together.read(&name, &value, lost)? {
            other(&name, &written, &value, request, lost)?;
        }
    }
    request.format = together.format();
    request.logprobs = together.tells_logprobs.then(|| together.logprobs.unwrap_or(0));
    Ok(())
}

/// Reads a field by which the next token is chosen; whether it is one.
fn sampling<'a>(name: &str, value: &Value<'a>, request: &mut Request<'a>) -> Result<bool, Untranslatable> {
    match name {
        "temperature" => request.temperature = Some(number(value, name)?),
        "topP" => request.top_p = Some(number(value, name)?),
        "topK" => {
            let whole = whole(value, name)?;
            request.top_k = Some(Raw::written(whole.to_string().into_bytes()));
        }
        "frequencyPenalty" => request.frequency_penalty = Some(number(value, name)?),
        "presencePenalty" => request.presence_penalty = Some(number(value, name)?),
        "seed" => request.seed = Some(number(value, name)?),
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'a> Together<'a> {
    /// Reads a field that goes with others; whether it is one.
    fn read(&mut self, name: &str, value: &Value<'a>, lost: &mut Losses) -> Result<bool, Untranslatable> {
        match name {
            "responseMimeType" => match value.one_of(&["text/plain", "application/json", ""]) {
                Some(kind) => self.json = kind == "application/json",
                None => {
                    text(value, name)?;
                    lost.meaning("generationConfig.responseMimeType");
                }
            },
            "responseSchema" => {
                object(value, name)?;
                self.schema = Some(json_schema(value, "generationConfig.responseSchema", lost));
            }
            "responseJsonSchema" | "ResponseJsonSchema" => {
                object(value, name)?;
                self.schema = Some(Raw::of(value));
            }
            "responseLogprobs" => self.tells_logprobs = flag(value, name)?,
            "logprobs" => self.logprobs = count(value, name)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn format(&mut self) -> Option<Format<'a>> {
        match self.schema.take() {
            Some(schema) => Some(Format::Schema { name: None, description: None, schema, strict: None }),
            None => self.json.then_some(Format::Json),
        }
    }
}

fn other<'a>(
    name: &str,
    written: &str,
    value: &Value<'a>,
    request: &mut Request<'a>,
    lost: &mut Losses,
) -> Result<(), Untranslatable> {
    match name {
        "maxOutputTokens" => request.max_output = count(value, name)?,
        "candidateCount" => request.choices = count(value, name)?,
        "stopSequences" => {
            let texts = list(value, name)?.enumerate();
            request.stop = texts
                .map(|(place, stop)| text(&stop, &format!("{name}[{place}]")))
                .collect::<Result<_, _>>()?;
        }
        "thinkingConfig" => {
            request.reasoning = within(reasoning(value, lost), || name.to_owned())?;
        }
        "responseModalities" => {
            if list(value, name)?.any(|modality| word(&modality, &["TEXT"]).is_none()) {
                lost.meaning("generationConfig.responseModalities");
            }
        }
        // What else is to come than a text.
        "speechConfig"
        | "imageConfig"
        | "responseFormat"
        | "translationConfig"
        | "audioTranscriptionConfig" => {
            lost.meaning(format!("generationConfig.{name}"));
        }
        "mediaResolution" => lost.hint("generationConfig.mediaResolution"),
        _ => lost.unknown(&format!("generationConfig.{written}")),
    }
    Ok(())
}

/// How much the model is to think. What is no level that we know is lost, as a hint.
fn reasoning(config: &Value<'_>, lost: &mut Losses) -> Result<Option<Reasoning>, Untranslatable> {
    const LEVELS: [&str; 5] = ["minimal", "low", "medium", "high", "xhigh"];
    let (mut by_budget, mut by_level) = (None, None);
    an_object(config)?;
    for member in present(config) {
        let (written, value) = (member.name(), member.value);
        match &*camel(&written) {
            "thinkingBudget" => {
                by_budget = match whole(&value, "thinkingBudget")? {
                    0 => Some(Reasoning::Off),
                    budget => Some(u64::try_from(budget).map_or(Reasoning::Auto, Reasoning::Budget)),
                };
            }
            "thinkingLevel" => {
                by_level = word(&value, &LEVELS).and_then(Effort::of).map(Reasoning::Effort);
                if by_level.is_none() && word(&value, &["THINKING_LEVEL_UNSPECIFIED"]).is_none() {
                    lost.hint("generationConfig.thinkingConfig.thinkingLevel");
                }
            }
            // Others tell their thoughts, or do not, whatever is asked.
            "includeThoughts" => {
                if flag(&value, "includeThoughts")? {
                    lost.hint("generationConfig.thinkingConfig.includeThoughts");
                }
            }
            _ => lost.unknown(&format!("generationConfig.thinkingConfig.{written}")),
        }
    }
    Ok(by_level.or(by_budget))
}
