//! What a request of this dialect asks of the model beyond its prompt.

use crate::dialect::Api;
use crate::dialect::json::{Key, Scanner, Value};
use crate::dialect::params::Params;

/// The efforts that OpenAI documents.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// No number that means something is beyond: from here on floats leave integers out.
const LARGEST: u64 = 1 << 53;

/// Reads the parameters of a request. A body that is no JSON object has none.
pub(crate) fn params(api: Api, body: &[u8]) -> Params {
    let mut reading = Reading { api, params: Params::default(), older_limit: None };
    let mut scanner = Scanner::at(body, 0);
    let read = scanner.members(|key, scanner| {
        reading.take(key, &scanner.value()?);
        Ok(())
    });
    if read.and_then(|()| scanner.end()).is_err() {
        return Params::default();
    }
    let max_tokens = reading.params.max_tokens.or(reading.older_limit);
    Params { max_tokens, ..reading.params }
}

/// What was read so far; of a key that stands there twice the last value, as JSON readers do.
struct Reading {
    api: Api,
    params: Params,
    /// `max_tokens`, which `max_completion_tokens` has replaced.
    older_limit: Option<u64>,
}

impl Reading {
    fn take(&mut self, key: &Key<'_>, value: &Value<'_>) {
        let params = &mut self.params;
        if key.is("temperature") {
            params.temperature = float(value);
        } else if key.is("top_p") {
            params.top_p = float(value);
        } else if key.is("frequency_penalty") {
            params.frequency_penalty = float(value);
        } else if key.is("presence_penalty") {
            params.presence_penalty = float(value);
        } else if key.is("seed") {
            params.seed = value.number().filter(|seed: &i64| seed.unsigned_abs() <= LARGEST);
        } else if key.is("n") {
            params.choice_count = whole(value);
        } else if self.api == Api::Responses {
            self.take_of_responses(key, value);
        } else {
            self.take_of_chat(key, value);
        }
    }

    fn take_of_chat(&mut self, key: &Key<'_>, value: &Value<'_>) {
        if key.is("max_completion_tokens") {
            self.params.max_tokens = whole(value);
        } else if key.is("max_tokens") {
            self.older_limit = whole(value);
        } else if key.is("reasoning_effort") {
            self.params.reasoning_level = value.one_of(&EFFORTS);
        } else if key.is("response_format") {
            self.params.output_type = output_type(value);
        }
    }

    fn take_of_responses(&mut self, key: &Key<'_>, value: &Value<'_>) {
        if key.is("max_output_tokens") {
            self.params.max_tokens = whole(value);
        } else if key.is("reasoning") {
            self.params.reasoning_level = value.member("effort").and_then(|effort| effort.one_of(&EFFORTS));
        } else if key.is("text") {
            self.params.output_type = value.member("format").and_then(|format| output_type(&format));
        }
    }
}

/// What a format asks for, in the words of the conventions.
fn output_type(format: &Value<'_>) -> Option<&'static str> {
    let kind = format.member("type")?;
    kind.one_of(&["text"]).or_else(|| kind.one_of(&["json_object", "json_schema"]).map(|_| "json"))
}

fn whole(value: &Value<'_>) -> Option<u64> {
    value.number().filter(|number| *number <= LARGEST)
}

fn float(value: &Value<'_>) -> Option<f64> {
    value.number().filter(|number: &f64| number.abs() <= LARGEST as f64)
}

#[cfg(test)]
mod tests;
