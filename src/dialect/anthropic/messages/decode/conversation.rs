//! Who says what: `system` and `messages`.

use std::collections::HashMap;

use super::super::signature;
use super::blocks;
use super::fields::{Fault, Fields};
use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::{Content, Literal, Losses, Part, Speaker, Turn};

/// What is known while the turns are read.
pub(super) struct Reading<'l, 'a> {
    pub(super) losses: &'l mut Losses,
    /// The tools by the ids of the calls so far.
    pub(super) calls: HashMap<String, Literal<'a>>,
}

/// The instructions first, then the turns in order.
pub(super) fn turns<'a>(fields: &mut Fields<'a>, losses: &mut Losses) -> Result<Vec<Turn<'a>>, Fault> {
    let mut reading = Reading { losses, calls: HashMap::new() };
    let mut turns = Vec::new();
    if let Some(system) = fields.take("system") {
        let parts = reading.parts(&system, "system", Speaker::System)?;
        if !parts.is_empty() {
            turns.push(Turn { speaker: Speaker::System, name: None, parts });
        }
    }
    turns.extend(fields.list("messages", |message| reading.turn(message).map(Some))?);
    cache_all(fields, &mut turns)?;
    Ok(turns)
}

impl<'a> Reading<'_, 'a> {
    fn turn(&mut self, message: &Value<'a>) -> Result<Turn<'a>, Fault> {
        let mut fields = Fields::of(message)?;
        let role = fields.take("role").and_then(|role| role.one_of(&["user", "assistant", "system"]));
        let speaker = match role {
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Model,
            Some(_) => Speaker::System,
            None => return Err(Fault::at("role", "`user`, `assistant` or `system`")),
        };
        let content = fields.take("content").ok_or_else(|| Fault::at("content", WANTS))?;
        let parts = self.parts(&content, "content", speaker)?;
        fields.lose("messages.", self.losses);
        Ok(Turn { speaker, name: None, parts })
    }

    /// A text, or a list of blocks.
    pub(super) fn parts(
        &mut self,
        content: &Value<'a>,
        name: &str,
        speaker: Speaker,
    ) -> Result<Vec<Part<'a>>, Fault> {
        let text = Literal::of(content).map(|text| Part::of(Content::Text(text)));
        if content.kind != Kind::Array {
            return text.map(|text| vec![text]).ok_or_else(|| Fault::at(name, WANTS));
        }
        let mut parts = Vec::new();
        for (i, block) in content.elements().enumerate() {
            let part = blocks::part(&block, speaker, self);
            if let Some(part) = part.map_err(|fault| fault.within(&format!("{name}[{i}]")))? {
                signature::push(&mut parts, part);
            }
        }
        Ok(parts)
    }
}

const WANTS: &str = "a text or a list of blocks";

pub(super) fn literal<'a>(value: &Value<'a>) -> Result<Literal<'a>, Fault> {
    Literal::of(value).ok_or_else(|| Fault::at("", "a text"))
}

/// A `cache_control` of the whole request is one at its last block.
fn cache_all<'a>(fields: &mut Fields<'a>, turns: &mut [Turn<'a>]) -> Result<(), Fault> {
    let cache = blocks::cache(fields)?;
    let last = turns.last_mut().and_then(|turn| turn.parts.last_mut());
    if let (Some(cache), Some(last)) = (cache, last) {
        last.cache.get_or_insert(cache);
    }
    Ok(())
}
