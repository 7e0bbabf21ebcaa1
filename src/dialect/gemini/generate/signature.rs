//! Signatures: Gemini's own, and those of others within its field.
//!
//! A `thoughtSignature` is base64 in Google's schema, and its clients decode it. So the signature of another dialect is
//! put behind that dialect's name, in base64, and known again by it when the caller brings it back.

use crate::dialect::neutral::{Literal, Signature};
use crate::dialect::{Dialect, base64};

/// What Google documents for a signature that was lost, in base64.
pub(super) const SKIP_VALIDATION: Literal<'static> =
    Literal::word("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=");

/// The dialects whose signatures come in disguise.
const OTHERS: [Dialect; 2] = [Dialect::Anthropic, Dialect::OpenAi];

/// What a `thoughtSignature` is.
pub(super) fn read(field: Literal<'_>) -> Signature<'_> {
    foreign(&field).unwrap_or(Signature { by: Dialect::Gemini, text: field })
}

/// The `thoughtSignature` of a signature.
pub(super) fn written<'s>(signature: &'s Signature<'_>) -> Literal<'s> {
    match signature.by {
        Dialect::Gemini => signature.text.reborrow(),
        Dialect::Anthropic | Dialect::OpenAi => {
            let disguised = format!("{}.{}", signature.by.name(), signature.text.text());
            Literal::from_text(&base64::encode(disguised.as_bytes()))
        }
    }
}

/// The signature of Gemini itself; none where it is another's.
pub(super) fn own<'s>(signature: &'s Signature<'_>) -> Option<Literal<'s>> {
    (signature.by == Dialect::Gemini).then(|| signature.text.reborrow())
}

fn foreign(field: &Literal<'_>) -> Option<Signature<'static>> {
    let disguised = String::from_utf8(base64::decode(&field.text())?).ok()?;
    OTHERS.into_iter().find_map(|by| {
        let text = disguised.strip_prefix(by.name())?.strip_prefix('.')?;
        Some(Signature { by, text: Literal::from_text(text) })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::samples;

    proptest! {
        #[test]
        fn every_signature_comes_back_as_it_was(
            text in samples::any_text(), by in prop::sample::select(OTHERS.to_vec()), url_safe: bool,
        ) {
            let signature = Signature { by, text: Literal::from_text(&text) };
            let mut field = written(&signature).text().into_owned();
            prop_assert!(base64::decode(&field).is_some());
            if url_safe {
                // Google's Python client gives it back so.
                field = field.replace('+', "-").replace('/', "_");
            }
            prop_assert_eq!(read(Literal::from_text(&field)), signature);
        }
    }

    #[test]
    fn geminis_own_stay_as_they_are() {
        for text in ["c2ln", "", "no base64", "YW50aHJvcGlj"] {
            let own = read(Literal::from_text(text));
            assert_eq!(own, Signature { by: Dialect::Gemini, text: Literal::from_text(text) });
            assert!(written(&own).is(text));
        }
    }
}
