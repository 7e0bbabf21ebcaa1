//! What a request of this dialect asks of the model beyond its prompt.

use crate::dialect::gemini::generate::read::camel;
use crate::dialect::json::{self, Value};
use crate::dialect::params::Params;

/// No number that means something is beyond: from here on floats leave integers out.
const LARGEST: u64 = 1 << 53;

/// The levels of thought, in the words of the conventions.
const LEVELS: [&str; 5] = ["minimal", "low", "medium", "high", "xhigh"];

/// Reads the parameters of a request. A body that is no JSON object has none.
pub(crate) fn params(body: &[u8]) -> Params {
    let mut params = Params::default();
    let Ok(request) = json::document(body) else { return params };
    let config = request.members().filter(|member| camel(&member.name()) == "generationConfig").last();
    for member in config.iter().flat_map(|config| config.value.members()) {
        params.take(&camel(&member.name()), &member.value);
    }
    params
}

impl Params {
    fn take(&mut self, name: &str, value: &Value<'_>) {
        match name {
            "maxOutputTokens" => self.max_tokens = whole(value),
            "temperature" => self.temperature = float(value),
            "topP" => self.top_p = float(value),
            "frequencyPenalty" => self.frequency_penalty = float(value),
            "presencePenalty" => self.presence_penalty = float(value),
            "seed" => self.seed = value.number().filter(|seed: &i64| seed.unsigned_abs() <= LARGEST),
            "candidateCount" => self.choice_count = whole(value),
            "responseMimeType" => {
                self.output_type = match value.one_of(&["text/plain", "application/json"]) {
                    Some("application/json") => Some("json"),
                    Some(_) => Some("text"),
                    None => None,
                };
            }
            "thinkingConfig" => {
                let level = value.members().filter(|member| camel(&member.name()) == "thinkingLevel").last();
                let level = level.and_then(|level| level.value.short_text(7)).unwrap_or_default();
                self.reasoning_level = LEVELS.into_iter().find(|word| word.eq_ignore_ascii_case(&level));
            }
            _ => {}
        }
    }
}

fn whole(value: &Value<'_>) -> Option<u64> {
    value.number().filter(|number| *number <= LARGEST)
}

fn float(value: &Value<'_>) -> Option<f64> {
    value.number().filter(|number: &f64| number.abs() <= LARGEST as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::samples;

    #[test]
    fn the_sample_asks_for_what_it_says() {
        let expected = Params { max_tokens: Some(256), temperature: Some(0.2), ..Params::default() };
        assert_eq!(params(&samples::gemini("generate.request.json")), expected);
    }

    #[test]
    fn every_parameter_is_read_under_either_spelling() {
        let expected = Params {
            max_tokens: Some(9),
            temperature: Some(1.0),
            top_p: Some(0.5),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(-0.1),
            seed: Some(-7),
            choice_count: Some(2),
            reasoning_level: Some("high"),
            output_type: Some("json"),
        };
        let camel = r#"{"generationConfig":{"maxOutputTokens":9,"temperature":1,"topP":0.5,"frequencyPenalty":0.1,"presencePenalty":-0.1,
            "seed":-7,"candidateCount":2,"thinkingConfig":{"thinkingLevel":"HIGH"},"responseMimeType":"application/json"}}"#;
        let snake = r#"{"generation_config":{"max_output_tokens":9,"temperature":1,"top_p":0.5,"frequency_penalty":0.1,"presence_penalty":-0.1,
            "seed":-7,"candidate_count":2,"thinking_config":{"thinking_level":"high"},"response_mime_type":"application/json"}}"#;
        assert_eq!(params(camel.as_bytes()), expected);
        assert_eq!(params(snake.as_bytes()), expected);
    }

    #[test]
    fn what_makes_no_sense_is_no_parameter() {
        for body in [
            "",
            "{",
            "[]",
            r#"{"generationConfig":7}"#,
            r#"{"generationConfig":{"temperature":"warm","maxOutputTokens":-1,"seed":1.5,"topP":1e300,"thinkingConfig":{"thinkingLevel":"secret words"},"responseMimeType":"x"}}"#,
        ] {
            assert_eq!(params(body.as_bytes()), Params::default(), "{body}");
        }
    }
}
