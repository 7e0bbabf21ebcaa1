//! Reads the content of a message: a text, or parts.

use super::at::{At, given};
use super::spoken::{Text, part_texts};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Cache, Content, Literal, Losses, Part, Source};
use crate::dialect::translate::Untranslatable;

type Result<T> = std::result::Result<T, Untranslatable>;

/// The parts of a content; empty texts are none.
pub(super) fn parts<'a>(content: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<Vec<Part<'a>>> {
    match content.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::String => {
            let text = at.text(content)?;
            Ok(if text.is_empty() { Vec::new() } else { vec![Part::of(Content::Text(text))] })
        }
        Kind::Array => {
            let mut parts = Vec::new();
            for (index, part) in content.elements().enumerate() {
                parts.extend(self::part(&part, At::In(&at, index), lost)?);
            }
            Ok(parts)
        }
        Kind::True | Kind::False | Kind::Number | Kind::Object => {
            Err(at.must_be("a string or a list of parts"))
        }
    }
}

/// How long a part, or a tool, asks to be cached: in OpenAI's words, or in Anthropic's, which some servers take.
pub(super) fn cache(of: &Value<'_>) -> Option<Cache> {
    let mark = given(of, "prompt_cache_breakpoint").or_else(|| given(of, "cache_control"))?;
    cached(&mark)
}

fn cached(mark: &Value<'_>) -> Option<Cache> {
    let long = mark.member("ttl").and_then(|ttl| ttl.one_of(&["1h", "12h", "24h"]));
    (mark.kind == Kind::Object).then_some(if long.is_some() { Cache::Long } else { Cache::Short })
}

/// The members of a part, found in one pass: a picture is long.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    value: Option<Value<'a>>,
    cache: Option<Cache>,
}

impl<'a> Fields<'a> {
    fn of(part: &Value<'a>) -> Self {
        let mut fields = Self::default();
        for member in part.members() {
            match &*member.name() {
                "type" => fields.kind = Some(member.value),
                "text" | "refusal" | "image_url" | "input_audio" | "file" | "thinking" => {
                    fields.value = Some(member.value);
                }
                "prompt_cache_breakpoint" | "cache_control" => fields.cache = cached(&member.value),
                _ => {}
            }
        }
        fields
    }
}

fn part<'a>(part: &Value<'a>, at: At<'_>, lost: &mut Losses) -> Result<Option<Part<'a>>> {
    let fields = Fields::of(part);
    let kind = At::Of(&at, "type").needed_text(fields.kind.as_ref())?;
    let kind = kind.text();
    let at = At::Of(&at, &kind);
    let value = fields.value.ok_or_else(|| at.wrong("is missing"));
    let content = match &*kind {
        "text" => Some(Content::Text(at.text(&value?)?)).filter(says_something),
        "refusal" => Some(Content::Refusal(at.text(&value?)?)).filter(says_something),
        "image_url" => Some(image(&value?, at)?),
        "input_audio" => Some(audio(&value?, at)?),
        "file" => Some(file(&value?, at)?),
        "thinking" => Some(thinking(part)).filter(says_something),
        // A server's own: a video, say.
        _ => {
            lost.meaning("messages.content");
            None
        }
    };
    Ok(content.map(|content| Part { content, cache: fields.cache }))
}

fn says_something(content: &Content<'_>) -> bool {
    !matches!(content, Content::Text(text) | Content::Refusal(text) | Content::Reasoning { text, .. } if text.is_empty())
}

/// Mistral's form of reasoning, texts within a part.
fn thinking<'a>(part: &Value<'a>) -> Content<'a> {
    let mut text = Literal::default();
    part_texts(part, &mut |thought| {
        if let Text::Reasoning(thought) = thought {
            text.push(&thought);
        }
    });
    Content::Reasoning { text, signature: None }
}

fn image<'a>(image: &Value<'a>, at: At<'_>) -> Result<Content<'a>> {
    // Some servers take the URL alone.
    if image.kind == Kind::String {
        return Ok(Content::Image { source: source(at.text(image)?, at)?, detail: None });
    }
    let at_url = At::Of(&at, "url");
    let url = at_url.needed_text(given(image, "url").as_ref())?;
    let detail = given(image, "detail").map(|detail| At::Of(&at, "detail").text(&detail)).transpose()?;
    Ok(Content::Image { source: source(url, at_url)?, detail: detail.filter(|detail| !detail.is("auto")) })
}

/// What a URL shows: a `data:` URL holds it.
fn source<'a>(url: Literal<'a>, at: At<'_>) -> Result<Source<'a>> {
    if !url.raw().starts_with(b"data:") {
        return Ok(Source::Url(url));
    }
    let inline = inline(&url);
    inline.ok_or_else(|| at.wrong("is a `data:` URL without a media type or not in base64"))
}

fn inline<'a>(url: &Literal<'a>) -> Option<Source<'a>> {
    let (head, data) = url.split_once(";base64,")?;
    let (_, media_type) = head.split_once(":")?;
    // Parameters of the type, as in `text/plain;charset=utf-8`.
    let media_type = media_type.split_once(";").map_or(media_type, |(plain, _)| plain);
    (!media_type.is_empty()).then_some(Source::Inline { media_type, data })
}

fn audio<'a>(audio: &Value<'a>, at: At<'_>) -> Result<Content<'a>> {
    Ok(Content::Audio {
        data: At::Of(&at, "data").needed_text(given(audio, "data").as_ref())?,
        format: At::Of(&at, "format").needed_text(given(audio, "format").as_ref())?,
    })
}

fn file<'a>(file: &Value<'a>, at: At<'_>) -> Result<Content<'a>> {
    let name = given(file, "filename").map(|name| At::Of(&at, "filename").text(&name)).transpose()?;
    if let Some(id) = given(file, "file_id") {
        let id = At::Of(&at, "file_id").needed_text(Some(&id))?;
        return Ok(Content::Document { source: Source::File(id), name });
    }
    let at = At::Of(&at, "file_data");
    let data = at.needed_text(given(file, "file_data").as_ref())?;
    let source = inline(&data).ok_or_else(|| at.must_be("a `data:` URL in base64"))?;
    Ok(Content::Document { source, name })
}
