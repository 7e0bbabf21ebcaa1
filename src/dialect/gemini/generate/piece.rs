//! Writes parts.

use crate::dialect::neutral::{Literal, Raw};
use crate::dialect::write::{Array, Object};

/// A text, or a thought.
pub(super) fn text(
    parts: &mut Array<'_>,
    text: &Literal<'_>,
    thought: bool,
    signature: Option<&Literal<'_>>,
) {
    parts.object(|part| {
        part.literal("text", text);
        if thought {
            part.flag("thought", true);
        }
        sign(part, signature);
    });
}

/// A signature without anything that it signs: Google writes one so at the end of its own streams.
pub(super) fn signature(parts: &mut Array<'_>, signature: &Literal<'_>) {
    text(parts, &Literal::default(), false, Some(signature));
}

/// A function call. `arguments` is an object.
pub(super) fn call(
    parts: &mut Array<'_>,
    id: Option<&Literal<'_>>,
    name: &Literal<'_>,
    arguments: &Raw<'_>,
    signature: Option<&Literal<'_>>,
) {
    parts.object(|part| {
        part.object("functionCall", |call| {
            if let Some(id) = id {
                call.literal("id", id);
            }
            call.literal("name", name);
            call.raw("args", arguments);
        });
        sign(part, signature);
    });
}

/// Bytes in base64.
pub(super) fn inline(parts: &mut Array<'_>, media_type: &Literal<'_>, data: &Literal<'_>) {
    parts.object(|part| {
        part.object("inlineData", |blob| {
            blob.literal("mimeType", media_type);
            blob.literal("data", data);
        });
    });
}

fn sign(part: &mut Object<'_>, signature: Option<&Literal<'_>>) {
    if let Some(signature) = signature {
        part.literal("thoughtSignature", signature);
    }
}
