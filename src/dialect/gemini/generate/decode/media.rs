//! Pictures, documents and sound.

use crate::dialect::base64;
use crate::dialect::gemini::generate::read::{member, text};
use crate::dialect::json::Value;
use crate::dialect::neutral::{Content, Literal, Losses, Source};
use crate::dialect::translate::Untranslatable;

/// What a media type is to the neutral form.
enum Medium {
    Image,
    Audio,
    Text,
    Video,
    Other,
}

/// Bytes in the request.
pub(super) fn inline<'a>(blob: &Value<'a>, lost: &mut Losses) -> Result<Option<Content<'a>>, Untranslatable> {
    let media_type = required(blob, "mimeType")?;
    let data = standard(required(blob, "data")?);
    let name = member(blob, "displayName").and_then(|name| Literal::of(&name));
    let content = match medium(&media_type.text()) {
        Medium::Image => Content::Image { source: Source::Inline { media_type, data }, detail: None },
        Medium::Audio => Content::Audio { format: format(&media_type), data },
        Medium::Text => Content::Document { source: Source::Text(decoded(&data)?), name },
        Medium::Other => Content::Document { source: Source::Inline { media_type, data }, name },
        Medium::Video => {
            lost.meaning("contents.inlineData");
            return Ok(None);
        }
    };
    Ok(Some(content))
}

/// What lies elsewhere: at Google, or at a public address.
pub(super) fn file<'a>(file: &Value<'a>, lost: &mut Losses) -> Result<Option<Content<'a>>, Untranslatable> {
    let uri = required(file, "fileUri")?;
    let media_type = member(file, "mimeType").map(|media_type| text(&media_type, "mimeType")).transpose()?;
    let name = member(file, "displayName").and_then(|name| Literal::of(&name));
    let medium = match &media_type {
        Some(media_type) => medium(&media_type.text()),
        None => by_ending(&uri.text()),
    };
    let source = if is_public(&uri.text()) { Source::Url(uri) } else { Source::File(uri) };
    match medium {
        Medium::Image => Ok(Some(Content::Image { source, detail: None })),
        Medium::Text | Medium::Other => Ok(Some(Content::Document { source, name })),
        Medium::Audio | Medium::Video => {
            lost.meaning("contents.fileData");
            Ok(None)
        }
    }
}

fn required<'a>(value: &Value<'a>, field: &str) -> Result<Literal<'a>, Untranslatable> {
    let found = member(value, field).map(|value| text(&value, field)).transpose()?;
    found.filter(|text| !text.is_empty()).ok_or_else(|| Untranslatable::at(field, "This has to be there."))
}

fn medium(media_type: &str) -> Medium {
    let family = media_type.split('/').next().unwrap_or_default();
    match family.to_ascii_lowercase().as_str() {
        "image" => Medium::Image,
        "audio" => Medium::Audio,
        "text" => Medium::Text,
        "video" => Medium::Video,
        _ => Medium::Other,
    }
}

/// What has no known ending may be a video, as pages of YouTube are.
fn by_ending(uri: &str) -> Medium {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "png" | "jpg" | "jpeg" | "webp" | "gif" | "heic" | "heif" => Medium::Image,
        "pdf" => Medium::Other,
        _ => Medium::Video,
    }
}

/// Whether others than Google can read the address.
fn is_public(uri: &str) -> bool {
    let host = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"));
    host.is_some_and(|host| !host.starts_with("generativelanguage.googleapis.com"))
}

/// The file name's ending for a kind of sound.
fn format<'a>(media_type: &Literal<'_>) -> Literal<'a> {
    let text = media_type.text();
    let kind = text.split(';').next().unwrap_or_default().split('/').nth(1).unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "mpeg" | "mp3" => Literal::word("mp3"),
        "wav" | "x-wav" | "wave" | "vnd.wave" => Literal::word("wav"),
        other => Literal::from_text(other),
    }
}

/// Google's Python client writes the URL-safe alphabet, which no other provider reads.
fn standard(data: Literal<'_>) -> Literal<'_> {
    if memchr::memchr2(b'-', b'_', data.raw()).is_none() {
        return data;
    }
    Literal::from_text(&data.text().replace('-', "+").replace('_', "/"))
}

fn decoded(data: &Literal<'_>) -> Result<Literal<'static>, Untranslatable> {
    let text = base64::decode(&data.text()).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Untranslatable::at("data", "This has to be a text in base64."))?;
    Ok(Literal::from_text(&text))
}
