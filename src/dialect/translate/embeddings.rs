//! Embeddings between OpenAI's `embeddings` and Gemini's `batchEmbedContents` and `embedContent`.

mod gemini;
mod openai;

use bytes::Bytes;

use super::{NoAnswer, Stamp, Untranslatable};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Literal, Losses};
use crate::dialect::{Api, base64};

/// So many texts in one call are translated: OpenAI takes no more, Gemini fewer. Written anew a text of one letter is
/// twenty times as long.
const MOST_INPUTS: usize = 2048;

/// Texts whose vectors are asked for.
struct Ask<'a> {
    /// At least one, unless it is lost with what it means.
    inputs: Vec<Literal<'a>>,
    /// The length of each vector.
    dimensions: Option<u64>,
    /// Vectors are to come in base64, and not as numbers.
    base64: bool,
}

/// The vectors, in the order of the texts.
struct Vectors<'a> {
    all: Vec<Vector<'a>>,
    /// The input of the whole call.
    tokens: Option<u64>,
    /// Who embedded them, where the answer says it.
    model: Option<Literal<'a>>,
}

/// A vector as it was written.
enum Vector<'a> {
    /// A list of numbers.
    Numbers(Value<'a>),
    /// Floats of 32 bits, the lowest byte first.
    Base64(Literal<'a>),
}

/// A request in another operation's form, and what is lost on the way.
///
/// # Errors
/// It cannot be read, or the other operation takes no such call: `embedContent` one text alone.
pub fn request(from: Api, to: Api, body: &[u8], model: &str) -> Result<(Bytes, Losses), Untranslatable> {
    let mut lost = Losses::default();
    let ask = decode_ask(from, body, &mut lost)?;
    let body = match to {
        Api::Embeddings => openai::encode_ask(&ask, model),
        Api::BatchEmbedContents => gemini::encode_batch(&ask, model),
        Api::EmbedContent => match ask.inputs.as_slice() {
            [input] => gemini::encode_one(input, &ask, model),
            [_, ..] | [] => {
                return Err(Untranslatable::at("input", "The provider takes one text in a call."));
            }
        },
        Api::Chat
        | Api::Completions
        | Api::Responses
        | Api::Messages
        | Api::CountTokens
        | Api::Generate
        | Api::CountContentTokens => return Err(no_embeddings()),
    };
    Ok((body.into(), lost))
}

/// A plain answer in the form of the caller's operation: one vector for each text that the caller named, in the encoding
/// that it asked for. OpenAI's form wants usage; where the provider reports none it is zero.
///
/// # Errors
/// It cannot be read, or has not as many vectors.
pub fn answer(
    from: Api,
    to: Api,
    body: &[u8],
    caller_request: &[u8],
    stamp: &Stamp<'_>,
) -> Result<Bytes, NoAnswer> {
    let ask = decode_ask(to, caller_request, &mut Losses::default()).map_err(|_| NoAnswer)?;
    if !body.is_ascii() && std::str::from_utf8(body).is_err() {
        return Err(NoAnswer);
    }
    let vectors = match from {
        Api::Embeddings => openai::decode_vectors(body),
        Api::BatchEmbedContents | Api::EmbedContent => gemini::decode_vectors(body),
        Api::Chat
        | Api::Completions
        | Api::Responses
        | Api::Messages
        | Api::CountTokens
        | Api::Generate
        | Api::CountContentTokens => None,
    };
    let vectors = vectors.filter(|vectors| vectors.all.len() == ask.inputs.len()).ok_or(NoAnswer)?;
    let body = match to {
        Api::Embeddings => openai::encode_vectors(&vectors, ask.base64, stamp),
        Api::BatchEmbedContents => gemini::encode_vectors(&vectors),
        Api::EmbedContent => gemini::encode_vector(&vectors),
        Api::Chat
        | Api::Completions
        | Api::Responses
        | Api::Messages
        | Api::CountTokens
        | Api::Generate
        | Api::CountContentTokens => None,
    };
    body.map(Bytes::from).ok_or(NoAnswer)
}

fn decode_ask<'a>(from: Api, body: &'a [u8], lost: &mut Losses) -> Result<Ask<'a>, Untranslatable> {
    match from {
        Api::Embeddings => openai::decode_ask(body, lost),
        Api::BatchEmbedContents => gemini::decode_batch(body, lost),
        Api::EmbedContent => gemini::decode_one(body, lost),
        Api::Chat
        | Api::Completions
        | Api::Responses
        | Api::Messages
        | Api::CountTokens
        | Api::Generate
        | Api::CountContentTokens => Err(no_embeddings()),
    }
}

fn too_many(field: &str) -> Untranslatable {
    Untranslatable::at(field, format!("These are more than {MOST_INPUTS} texts."))
}

fn no_embeddings() -> Untranslatable {
    Untranslatable { message: "This operation embeds nothing.".to_owned(), field: None }
}

impl<'a> Vector<'a> {
    /// The value of a vector; none where it is neither a list of numbers nor a text.
    fn of(value: &Value<'a>) -> Option<Self> {
        match value.kind {
            Kind::Array if value.elements().all(|it| it.kind == Kind::Number) => {
                Some(Self::Numbers(value.clone()))
            }
            Kind::String => Literal::of(value).map(Self::Base64),
            Kind::Array | Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Object => None,
        }
    }

    /// Writes it as a list of numbers; none where it has others than JSON has.
    fn write_numbers(&self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Numbers(list) => out.extend_from_slice(list.raw()),
            Self::Base64(text) => {
                let bytes = base64::decode(&text.text())?;
                let (floats, rest) = bytes.as_chunks::<4>();
                let floats: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                if !rest.is_empty() || !floats.iter().all(|float| float.is_finite()) {
                    return None;
                }
                // A vector takes every write, and floats that are finite are numbers.
                serde_json::to_writer(out, &floats).ok()?;
            }
        }
        Some(())
    }

    /// Its floats in base64; none where one is too large.
    fn base64(&self) -> Option<String> {
        match self {
            Self::Base64(text) => Some(text.text().into_owned()),
            Self::Numbers(list) => {
                let mut bytes = Vec::with_capacity(list.range.len() / 2);
                for number in list.elements() {
                    let float = number.number::<f32>().filter(|float| float.is_finite())?;
                    bytes.extend_from_slice(&float.to_le_bytes());
                }
                Some(base64::encode(&bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests;
