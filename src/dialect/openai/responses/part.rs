//! The parts of a message, or of a tool's result.

use super::read::{At, members};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Cache, Content, Literal, Losses, Part, Source, Speaker};
use crate::dialect::translate::Untranslatable;

const TYPES: [&str; 7] =
    ["input_text", "output_text", "text", "refusal", "input_image", "input_file", "input_audio"];

/// What is said: a text, or a list of parts.
pub(super) fn parts<'a>(
    at: &At<'_>,
    content: &Value<'a>,
    speaker: Speaker,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, Untranslatable> {
    match content.kind {
        Kind::String => Ok(vec![Part::of(Content::Text(at.text(content)?))]),
        Kind::Array => {
            let parts = at.list(content, |at, value| part(at, value, speaker, losses))?;
            Ok(parts.into_iter().flatten().collect())
        }
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Object => {
            Err(at.wrong("a text or a list of parts"))
        }
    }
}

/// One part; none where it is lost.
fn part<'a>(
    at: &At<'_>,
    value: &Value<'a>,
    speaker: Speaker,
    losses: &mut Losses,
) -> Result<Option<Part<'a>>, Untranslatable> {
    at.object(value)?;
    let at_type = at.key("type");
    let kind = at_type.present(value.member("type"))?;
    let of_model = speaker == Speaker::Model;
    let content = match kind.one_of(&TYPES) {
        Some("input_text" | "output_text" | "text") => text(at, value, losses)?,
        Some("refusal") if of_model => refusal(at, value, losses)?,
        Some("refusal") => return Err(at_type.wrong("another one: only the model refuses")),
        Some(_) if of_model => return Err(at_type.wrong("`output_text` or `refusal`, of the model")),
        Some(kind) if speaker != Speaker::User => {
            losses.meaning(format!("input.{kind}"));
            return Ok(None);
        }
        Some("input_image") => image(at, value, losses)?,
        Some("input_file") => file(at, value, losses)?,
        Some(_) => audio(at, value, losses)?,
        None => {
            at_type.text(&kind)?;
            losses.meaning("input.content");
            return Ok(None);
        }
    };
    Ok(Some(Part { content, cache: cache(at, value)? }))
}

/// Members that every part may have. They are read in one place.
const EVERYWHERE: [&str; 2] = ["type", "prompt_cache_breakpoint"];

/// A breakpoint of the prompt cache. Its short life is half an hour, its long one half a day.
fn cache(at: &At<'_>, value: &Value<'_>) -> Result<Option<Cache>, Untranslatable> {
    let Some(breakpoint) = value.member("prompt_cache_breakpoint").filter(|value| value.kind != Kind::Null)
    else {
        return Ok(None);
    };
    at.key("prompt_cache_breakpoint").object(&breakpoint)?;
    let long = breakpoint.member("ttl").is_some_and(|ttl| ttl.one_of(&["12h"]).is_some());
    Ok(Some(if long { Cache::Long } else { Cache::Short }))
}

fn text<'a>(at: &At<'_>, value: &Value<'a>, losses: &mut Losses) -> Result<Content<'a>, Untranslatable> {
    let silent = [EVERYWHERE[0], EVERYWHERE[1], "logprobs"];
    let [text, annotations] = members(value, ["text", "annotations"], &silent, ("input", losses));
    if annotations.is_some_and(|annotations| !annotations.is_blank()) {
        losses.hint("input.annotations");
    }
    Ok(Content::Text(at.key("text").present_text(text)?))
}

fn refusal<'a>(at: &At<'_>, value: &Value<'a>, losses: &mut Losses) -> Result<Content<'a>, Untranslatable> {
    let [refusal] = members(value, ["refusal"], &EVERYWHERE, ("input", losses));
    Ok(Content::Refusal(at.key("refusal").present_text(refusal)?))
}

fn image<'a>(at: &At<'_>, value: &Value<'a>, losses: &mut Losses) -> Result<Content<'a>, Untranslatable> {
    let names = ["image_url", "file_id", "detail"];
    let [url, file, detail] = members(value, names, &EVERYWHERE, ("input", losses));
    let source = match file {
        Some(file) if url.is_none() => Source::File(at.key("file_id").text(&file)?),
        Some(_) | None => {
            let at = at.key("image_url");
            let url = at.present_text(url)?;
            data_url(&at, &url)?.unwrap_or(Source::Url(url))
        }
    };
    Ok(Content::Image { source, detail: at.key("detail").any_text(detail.as_ref())? })
}

fn file<'a>(at: &At<'_>, value: &Value<'a>, losses: &mut Losses) -> Result<Content<'a>, Untranslatable> {
    let names = ["file_data", "file_url", "file_id", "filename"];
    let [data, url, id, name] = members(value, names, &EVERYWHERE, ("input", losses));
    let name = at.key("filename").any_text(name.as_ref())?;
    let source = match (data, url) {
        (Some(data), _) => file_data(&at.key("file_data"), &data, name.as_ref())?,
        (None, Some(url)) => Source::Url(at.key("file_url").text(&url)?),
        (None, None) => Source::File(at.key("file_id").present_text(id)?),
    };
    Ok(Content::Document { source, name })
}

/// Data without a word of its type is taken for a PDF, unless its name says otherwise.
fn file_data<'a>(
    at: &At<'_>,
    data: &Value<'a>,
    name: Option<&Literal<'_>>,
) -> Result<Source<'a>, Untranslatable> {
    let data = at.text(data)?;
    if let Some(source) = data_url(at, &data)? {
        return Ok(source);
    }
    if name.is_some_and(|name| !name.text().to_ascii_lowercase().ends_with(".pdf")) {
        return Err(at.wrong("a `data:` URL, which tells the file's type"));
    }
    Ok(Source::Inline { media_type: Literal::word("application/pdf"), data })
}

fn audio<'a>(at: &At<'_>, value: &Value<'a>, losses: &mut Losses) -> Result<Content<'a>, Untranslatable> {
    let [audio] = members(value, ["input_audio"], &EVERYWHERE, ("input", losses));
    let at = at.key("input_audio");
    let audio = at.present(audio)?;
    at.object(&audio)?;
    let [data, format] = members(&audio, ["data", "format"], &[], ("input.input_audio", losses));
    Ok(Content::Audio {
        data: at.key("data").present_text(data)?,
        format: at.key("format").present_text(format)?,
    })
}

/// What a `data:` URL holds; none where it is another URL.
fn data_url<'a>(at: &At<'_>, url: &Literal<'a>) -> Result<Option<Source<'a>>, Untranslatable> {
    let Some((_, rest)) = url.split_once(":").filter(|(scheme, _)| scheme.is("data")) else {
        return Ok(None);
    };
    let expected = "a `data:` URL with a media type and in base64";
    let (head, data) = rest.split_once(";base64,").ok_or_else(|| at.wrong(expected))?;
    // Parameters of the type, as in `text/plain;charset=utf-8`.
    let media_type = head.split_once(";").map_or(head, |(plain, _)| plain);
    if media_type.is_empty() {
        return Err(at.wrong(expected));
    }
    Ok(Some(Source::Inline { media_type, data }))
}
