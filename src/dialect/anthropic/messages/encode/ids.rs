//! Ids of calls as Anthropic takes them: `^[a-zA-Z0-9_-]+$`.

use std::collections::{HashMap, HashSet};

use crate::dialect::neutral::{Content, Literal, Request};
use crate::dialect::write::Object;

/// New ids for those that are refused, the same for a call and its result.
pub(super) struct Ids(HashMap<String, String>);

impl Ids {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let parts = || request.turns.iter().flat_map(|turn| &turn.parts);
        let ids = || parts().filter_map(|part| id(&part.content));
        if ids().all(is_taken) {
            return Self(HashMap::new());
        }
        let used: HashSet<_> = ids().map(Literal::text).collect();
        let mut fresh =
            (0_usize..).map(|n| format!("call_{n}")).filter(|fresh| !used.contains(fresh.as_str()));
        let mut new = HashMap::new();
        for id in ids().filter(|id| !is_taken(id)) {
            if let std::collections::hash_map::Entry::Vacant(place) = new.entry(id.text().into_owned()) {
                place.insert(fresh.next().unwrap_or_default());
            }
        }
        Self(new)
    }

    pub(super) fn write(&self, object: &mut Object<'_>, name: &str, id: &Literal<'_>) {
        match self.0.get(&*id.text()) {
            Some(new) => object.word(name, new),
            None => object.literal(name, id),
        }
    }
}

fn id<'s, 'a>(content: &'s Content<'a>) -> Option<&'s Literal<'a>> {
    match content {
        Content::ToolCall(call) => Some(&call.id),
        Content::ToolResult(result) => Some(&result.id),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::Reasoning { .. }
        | Content::Redacted(_) => None,
    }
}

/// Whether Anthropic takes it as an id, or as a tool's name.
pub(super) fn is_taken(id: &Literal<'_>) -> bool {
    let text = id.text();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
