//! What a request of this dialect asks of the model beyond its prompt.

use crate::dialect::json::{Key, Scanner, Value};
use crate::dialect::params::Params;

/// The efforts that Anthropic documents.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// No number that means something is beyond: from here on floats leave integers out.
const LARGEST: u64 = 1 << 53;

/// Reads the parameters of a request. A body that is no JSON object has none.
pub(crate) fn params(body: &[u8]) -> Params {
    let mut params = Params::default();
    let mut scanner = Scanner::at(body, 0);
    let read = scanner.members(|key, scanner| {
        take(&mut params, key, &scanner.value()?);
        Ok(())
    });
    if read.and_then(|()| scanner.end()).is_err() {
        return Params::default();
    }
    params
}

/// Of a key that stands there twice the last value counts, as for JSON readers.
fn take(params: &mut Params, key: &Key<'_>, value: &Value<'_>) {
    if key.is("max_tokens") {
        params.max_tokens = value.number().filter(|number| *number <= LARGEST);
    } else if key.is("temperature") {
        params.temperature = float(value);
    } else if key.is("top_p") {
        params.top_p = float(value);
    } else if key.is("output_config") {
        params.reasoning_level = value.member("effort").and_then(|effort| effort.one_of(&EFFORTS));
        let kind = value.member("format").and_then(|format| format.member("type"));
        params.output_type = kind.and_then(|kind| kind.one_of(&["json_schema"])).map(|_| "json");
    }
}

fn float(value: &Value<'_>) -> Option<f64> {
    value.number().filter(|number: &f64| number.abs() <= LARGEST as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::samples;

    #[test]
    fn numbers_and_known_words_are_read_and_nothing_else() {
        let body = br#"{"model":"m","max_tokens":256,"temperature":0.5,"top_p":0.9,"top_k":4,"messages":[],
            "output_config":{"effort":"high","format":{"type":"json_schema","schema":{}}}}"#;
        let expected = Params {
            max_tokens: Some(256),
            temperature: Some(0.5),
            top_p: Some(0.9),
            reasoning_level: Some("high"),
            output_type: Some("json"),
            ..Params::default()
        };
        assert_eq!(params(body), expected);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for body in [
            r#"{"max_tokens":-1,"temperature":"1","top_p":1e300,"output_config":{"effort":"secret"}}"#,
            r#"{"max_tokens":1e3,"output_config":7}"#,
            r#"{"max_tokens":256"#,
            "[]",
            "",
        ] {
            assert_eq!(params(body.as_bytes()), Params::default(), "{body}");
        }
    }

    #[test]
    fn the_sample_names_its_bound() {
        let params = params(&samples::anthropic("messages.request.json"));
        assert_eq!(params, Params { max_tokens: Some(256), ..Params::default() });
    }
}
