//! Marks up to which the prompt is to be kept in the provider's cache.

use crate::dialect::neutral::{Cache, Losses};
use crate::dialect::write::Object;

/// More marks in one request are refused.
const MOST: usize = 4;

/// Writes the last marks of a request; those before them stay away.
pub(super) struct Marks {
    left_out: usize,
}

impl Marks {
    /// For all marks, in the order of the prompt: tools, system, messages.
    pub(super) fn of(caches: impl Iterator<Item = Option<Cache>>, lost: &mut Losses) -> Self {
        let left_out = caches.flatten().count().saturating_sub(MOST);
        if left_out > 0 {
            lost.hint("messages.cache_hint");
        }
        Self { left_out }
    }

    /// The mark of an object, where it has one.
    pub(super) fn write(&mut self, object: &mut Object<'_>, cache: Option<Cache>) {
        let Some(cache) = cache else { return };
        if self.left_out > 0 {
            self.left_out -= 1;
            return;
        }
        object.object("cache_control", |control| {
            control.word("type", "ephemeral");
            match cache {
                Cache::Short => {}
                Cache::Long => control.word("ttl", "1h"),
            }
        });
    }
}
