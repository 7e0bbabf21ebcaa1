//! What a caller says of its call in `metadata`, for a policy that asks for it by name.

use std::borrow::Cow;

use super::RequestFacts;
use crate::dialect::json::{self, Kind, Value};

/// A longer value is none. OpenAI takes 512 characters; what routes or limits a call is short.
const LONGEST: usize = 256;

impl RequestFacts {
    /// What the body's `metadata` says by this name: a text, with its escapes resolved, or a number or flag as it is
    /// written. Of several members of one name the last, as JSON readers do. None beyond 256 bytes, and none for null,
    /// lists and objects. `body` is the one that was read; it is scanned anew from where the object stands.
    pub fn metadata<'a>(&self, body: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
        let metadata = json::document(body.get(self.metadata.clone()?)?).ok()?;
        text(&metadata.member(name)?).filter(|text| text.len() <= LONGEST)
    }
}

fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    // Every byte may be written as `\u0000`.
    if value.range.len() > LONGEST * 6 + 2 {
        return None;
    }
    match value.kind {
        Kind::String => Some(json::unquoted(value.raw())),
        Kind::True | Kind::False | Kind::Number => std::str::from_utf8(value.raw()).ok().map(Cow::Borrowed),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}
