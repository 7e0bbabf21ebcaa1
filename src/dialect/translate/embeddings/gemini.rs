//! Gemini's `embedContent`, and `batchEmbedContents`, which is several of them.

use super::{Ask, MOST_INPUTS, Vector, Vectors, too_many};
use crate::dialect::gemini::generate::read::{an_object, camel, count, list, member, present, text, within};
use crate::dialect::gemini::usage;
use crate::dialect::json::{self, Kind, Value};
use crate::dialect::neutral::{Literal, Losses, Raw};
use crate::dialect::translate::Untranslatable;
use crate::dialect::write::{Object, object};

pub(super) fn decode_batch<'a>(body: &'a [u8], lost: &mut Losses) -> Result<Ask<'a>, Untranslatable> {
    let mut ask = Ask { inputs: Vec::new(), dimensions: None, base64: false };
    let mut requests = None;
    for member in present(&whole(body)?) {
        match &*camel(&member.name()) {
            "requests" => requests = Some(member.value),
            "model" => {}
            _ => lost.unknown(&member.name()),
        }
    }
    let requests = requests.ok_or_else(|| Untranslatable::at("requests", "There is nothing to embed."))?;
    for (place, request) in list(&requests, "requests")?.enumerate() {
        if place >= MOST_INPUTS {
            return Err(too_many("requests"));
        }
        let one = within(one(&request, "requests.", lost), || format!("requests[{place}]"))?;
        if place > 0 && one.dimensions != ask.dimensions {
            // Elsewhere all vectors of a call are of one length.
            lost.meaning("requests.outputDimensionality");
        }
        ask.dimensions = one.dimensions;
        ask.inputs.extend(one.inputs);
    }
    if ask.inputs.is_empty() && lost.is_empty() {
        return Err(Untranslatable::at("requests", "There is nothing to embed."));
    }
    Ok(ask)
}

pub(super) fn decode_one<'a>(body: &'a [u8], lost: &mut Losses) -> Result<Ask<'a>, Untranslatable> {
    one(&whole(body)?, "", lost)
}

fn whole(body: &[u8]) -> Result<Value<'_>, Untranslatable> {
    let whole = json::document(body).ok().filter(|whole| whole.kind == Kind::Object);
    whole.ok_or_else(|| Untranslatable {
        message: "The body has to be a JSON object.".to_owned(),
        field: None,
    })
}

/// A request for one vector. `prefix` stands before the names of what is lost.
fn one<'a>(request: &Value<'a>, prefix: &str, lost: &mut Losses) -> Result<Ask<'a>, Untranslatable> {
    an_object(request)?;
    let mut ask = Ask { inputs: Vec::new(), dimensions: None, base64: false };
    for member in present(request) {
        let (written, value) = (member.name(), member.value);
        match &*camel(&written) {
            "content" => {
                let input = within(content(&value, prefix, lost), || "content".to_owned())?;
                ask.inputs = vec![input];
            }
            "outputDimensionality" => ask.dimensions = count(&value, "outputDimensionality")?,
            name @ ("taskType" | "title") => lost.hint(format!("{prefix}{name}")),
            "model" => {}
            _ => lost.unknown(&format!("{prefix}{written}")),
        }
    }
    if ask.inputs.is_empty() {
        return Err(Untranslatable::at("content", "There is nothing to embed."));
    }
    Ok(ask)
}

/// All text of a content, which has one vector.
fn content<'a>(content: &Value<'a>, prefix: &str, lost: &mut Losses) -> Result<Literal<'a>, Untranslatable> {
    an_object(content)?;
    let mut whole = Literal::default();
    let Some(parts) = member(content, "parts") else { return Ok(whole) };
    for (place, part) in list(&parts, "parts")?.enumerate() {
        within(an_object(&part), || format!("parts[{place}]"))?;
        match member(&part, "text") {
            Some(value) => {
                let text = within(text(&value, "text"), || format!("parts[{place}]"))?;
                if whole.is_empty() {
                    whole = text;
                } else {
                    whole.push(&text);
                }
            }
            None => lost.meaning(format!("{prefix}content")),
        }
    }
    Ok(whole)
}

pub(super) fn encode_batch(ask: &Ask<'_>, model: &str) -> Vec<u8> {
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.array("requests", |requests| {
            for input in &ask.inputs {
                requests.object(|request| write_one(request, input, ask, model));
            }
        });
    });
    out
}

pub(super) fn encode_one(input: &Literal<'_>, ask: &Ask<'_>, model: &str) -> Vec<u8> {
    let mut out = Vec::new();
    object(&mut out, |request| write_one(request, input, ask, model));
    out
}

fn write_one(request: &mut Object<'_>, input: &Literal<'_>, ask: &Ask<'_>, model: &str) {
    // A name with its collection is one already: `tunedModels/x`.
    let collection = if model.contains('/') { "" } else { "models/" };
    request.text("model", &format!("{collection}{model}"));
    request.object("content", |content| {
        content.array("parts", |parts| parts.object(|part| part.literal("text", input)));
    });
    if let Some(dimensions) = ask.dimensions {
        request.number("outputDimensionality", dimensions);
    }
}

/// Of either operation: one vector, or several.
pub(super) fn decode_vectors(body: &[u8]) -> Option<Vectors<'_>> {
    let whole = json::document(body).ok()?;
    let all = match whole.member("embeddings") {
        Some(embeddings) => embeddings.elements().map(|one| vector(&one)).collect(),
        None => vector(&whole.member("embedding")?).map(|only| vec![only]),
    };
    let usage = whole.member("usageMetadata").and_then(|reported| usage::of(&reported));
    Some(Vectors { all: all?, tokens: usage.map(|usage| usage.total_input().0), model: None })
}

fn vector<'a>(embedding: &Value<'a>) -> Option<Vector<'a>> {
    Vector::of(&embedding.member("values")?)
}

pub(super) fn encode_vectors(vectors: &Vectors<'_>) -> Option<Vec<u8>> {
    let all = vectors.all.iter().map(values).collect::<Option<Vec<_>>>()?;
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.array("embeddings", |embeddings| {
            all.iter().for_each(|values| embeddings.object(|one| one.raw("values", values)));
        });
        write_usage(body, vectors.tokens);
    });
    Some(out)
}

/// The only one.
pub(super) fn encode_vector(vectors: &Vectors<'_>) -> Option<Vec<u8>> {
    let values = values(vectors.all.first()?)?;
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.object("embedding", |one| one.raw("values", &values));
        write_usage(body, vectors.tokens);
    });
    Some(out)
}

fn values(vector: &Vector<'_>) -> Option<Raw<'static>> {
    let mut numbers = Vec::new();
    vector.write_numbers(&mut numbers)?;
    Some(Raw::written(numbers))
}

fn write_usage(body: &mut Object<'_>, tokens: Option<u64>) {
    if let Some(tokens) = tokens {
        body.object("usageMetadata", |usage| {
            usage.number("promptTokenCount", tokens);
            usage.number("totalTokenCount", tokens);
        });
    }
}
