//! What a provider wants back unchanged, as `encrypted_content`: `anthropic.<signature>`, and for reasoning that only its
//! provider can read `anthropic-redacted.<data>`.

use crate::dialect::Dialect;
use crate::dialect::neutral::{Literal, Signature};

const DIALECTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini];

const REDACTED: &str = "-redacted";

/// What an `encrypted_content` of ours holds.
pub(super) enum Sealed<'a> {
    Signature(Signature<'a>),
    Redacted(Signature<'a>),
}

/// The signature of reasoning, or of a call.
pub(super) fn signature(signature: &Signature<'_>) -> Literal<'static> {
    seal(signature, "")
}

/// Reasoning that only its provider can read.
pub(super) fn redacted(data: &Signature<'_>) -> Literal<'static> {
    seal(data, REDACTED)
}

fn seal(signature: &Signature<'_>, kind: &str) -> Literal<'static> {
    let mut sealed = Literal::from_text(&format!("{}{kind}.", signature.by));
    sealed.push(&signature.text);
    sealed
}

/// What was sealed here; none where it was not.
pub(super) fn open<'a>(sealed: &Literal<'a>) -> Option<Sealed<'a>> {
    let (head, text) = sealed.split_once(".")?;
    let head = head.text();
    let of = |name: &str| DIALECTS.into_iter().find(|dialect| dialect.name() == name);
    match head.strip_suffix(REDACTED) {
        Some(name) => Some(Sealed::Redacted(Signature { by: of(name)?, text })),
        None => Some(Sealed::Signature(Signature { by: of(&head)?, text })),
    }
}
