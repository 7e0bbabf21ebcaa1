//! OpenAI's `embeddings`.

use super::{Ask, MOST_INPUTS, Vector, Vectors, too_many};
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Raw};
use crate::dialect::translate::{Stamp, Untranslatable};
use crate::dialect::write::object;

pub(super) fn decode_ask<'a>(body: &'a [u8], lost: &mut Losses) -> Result<Ask<'a>, Untranslatable> {
    let whole = json::document(body).ok().filter(|whole| whole.kind == Kind::Object);
    let whole = whole.ok_or_else(|| Untranslatable {
        message: "The body has to be a JSON object.".to_owned(),
        field: None,
    })?;
    let mut ask = Ask { inputs: Vec::new(), dimensions: None, base64: false };
    let mut input = None;
    for member in whole.members().filter(|member| member.value.kind != Kind::Null) {
        let value = member.value.clone();
        match &*member.name() {
            "input" => input = Some(value),
            "dimensions" => {
                let dimensions = value.number().filter(|dimensions| *dimensions > 0);
                let fault = || Untranslatable::at("dimensions", "This has to be a number above zero.");
                ask.dimensions = Some(dimensions.ok_or_else(fault)?);
            }
            "encoding_format" => {
                let format = value.one_of(&["float", "base64"]);
                let fault = || Untranslatable::at("encoding_format", "This has to be float or base64.");
                ask.base64 = format.ok_or_else(fault)? == "base64";
            }
            "user" => lost.hint("user"),
            "model" => {}
            unknown => lost.unknown(unknown),
        }
    }
    let input = input.ok_or_else(|| Untranslatable::at("input", "There is nothing to embed."))?;
    ask.inputs = inputs(&input, lost)?;
    Ok(ask)
}

/// One text, or several. Tokens mean something to their own model alone.
fn inputs<'a>(input: &Value<'a>, lost: &mut Losses) -> Result<Vec<Literal<'a>>, Untranslatable> {
    if let Some(text) = Literal::of(input) {
        return Ok(vec![text]);
    }
    let all: Vec<_> = input.elements().take(MOST_INPUTS + 1).collect();
    if all.is_empty() {
        return Err(Untranslatable::at("input", "This has to be a text, or a list with something in it."));
    }
    if all.iter().all(|one| matches!(one.kind, Kind::Number | Kind::Array)) {
        lost.meaning("input");
        return Ok(Vec::new());
    }
    if all.len() > MOST_INPUTS {
        return Err(too_many("input"));
    }
    let text = |(place, one): (usize, &Value<'a>)| {
        Literal::of(one)
            .ok_or_else(|| Untranslatable::at(format!("input[{place}]"), "This has to be a text."))
    };
    all.iter().enumerate().map(text).collect()
}

pub(super) fn encode_ask(ask: &Ask<'_>, model: &str) -> Vec<u8> {
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.text("model", model);
        body.array("input", |array| ask.inputs.iter().for_each(|input| array.literal(input)));
        if let Some(dimensions) = ask.dimensions {
            body.number("dimensions", dimensions);
        }
        body.word("encoding_format", "float");
    });
    out
}

pub(super) fn decode_vectors(body: &[u8]) -> Option<Vectors<'_>> {
    let whole = json::document(body).ok()?;
    let mut all = Vec::new();
    for (one, place) in whole.member("data")?.elements().zip(0_u64..) {
        let index = one.member("index").map_or(Some(place), |index| index.number())?;
        all.push((index, Vector::of(&one.member("embedding")?)?));
    }
    all.sort_by_key(|(index, _)| *index);
    let usage = whole.member("usage");
    let tokens = usage.and_then(|usage| usage.member("prompt_tokens")?.number());
    let model = whole.member("model").and_then(|model| Literal::of(&model));
    Some(Vectors { all: all.into_iter().map(|(_, vector)| vector).collect(), tokens, model })
}

pub(super) fn encode_vectors(vectors: &Vectors<'_>, base64: bool, stamp: &Stamp<'_>) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(vectors.all.len());
    for vector in &vectors.all {
        let mut out = Vec::new();
        if base64 {
            out.push(b'"');
            out.extend_from_slice(vector.base64()?.as_bytes());
            out.push(b'"');
        } else {
            vector.write_numbers(&mut out)?;
        }
        written.push(Raw::written(out));
    }
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.word("object", "list");
        body.array("data", |data| {
            for (index, embedding) in (0..).zip(&written) {
                data.object(|one| {
                    one.word("object", "embedding");
                    one.number("index", index);
                    one.raw("embedding", embedding);
                });
            }
        });
        match &vectors.model {
            Some(model) => body.literal("model", model),
            None => body.text("model", stamp.model),
        }
        let tokens = vectors.tokens.unwrap_or_default();
        body.object("usage", |usage| {
            usage.number("prompt_tokens", tokens);
            usage.number("total_tokens", tokens);
        });
    });
    Some(out)
}
