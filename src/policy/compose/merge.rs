//! One tree laid over another: maps merge by name, all else is replaced.

use std::collections::{HashMap, HashSet};

use super::patch::{self, PATCH, Patch};
use super::place;
use crate::policy::diagnostic::{Code, Findings, did_you_mean, quoted, shown};
use crate::policy::node::decode::Shape;
use crate::policy::node::{Key, Node, Value};

/// What goes from a thing of a spec type where an overlay says one of the first fields: the second, unless it says
/// them too. A thing has one unit, one key or pool, one endpoint; and what counts calls at once has no window.
pub(super) const EXCHANGED: [(&str, &[&str], &[&str]); 4] = [
    ("Limit", &UNITS, &UNITS),
    ("Limit", &["concurrent"], &["per", "timeZone"]),
    ("Provider", &["key", "keys"], &["key", "keys"]),
    ("Provider", &["baseUrl", "mock"], &["baseUrl", "mock"]),
];

const UNITS: [&str; 6] = ["requests", "tokens", "inputTokens", "outputTokens", "usd", "concurrent"];

/// The merging of one overlay.
pub(super) struct Merge<'f, 'a> {
    /// Whether the policy below could not all be read, so that what is not found in it may stand there.
    pub(super) partial: bool,
    /// The keys that lead to the map whose entries are being merged.
    pub(super) path: Vec<String>,
    pub(super) found: &'f mut Findings<'a>,
}

/// The entries of a map, while an overlay is laid over them.
struct Below<'n> {
    entries: &'n mut Vec<(Key, Node)>,
    index: HashMap<String, usize>,
    /// Names that stand there twice: a fault, which must not go away with one of the two.
    twice: HashSet<String>,
    gone: HashSet<usize>,
    /// Whether the overlay deleted some by name.
    deleted: bool,
}

impl<'n> Below<'n> {
    fn new(entries: &'n mut Vec<(Key, Node)>) -> Self {
        let mut index = HashMap::with_capacity(entries.len());
        let mut twice = HashSet::new();
        for (at, (key, _)) in entries.iter().enumerate() {
            if index.contains_key(&key.text) {
                twice.insert(key.text.clone());
            } else {
                index.insert(key.text.clone(), at);
            }
        }
        Self { entries, index, twice, gone: HashSet::new(), deleted: false }
    }

    fn find(&mut self, name: &str) -> Option<&mut (Key, Node)> {
        let at = self.index.get(name)?;
        self.entries.get_mut(*at)
    }

    /// Puts a value in the place of the one of its name, or after the others.
    fn put(&mut self, key: Key, mut value: Node) {
        match self.find(&key.text) {
            Some(old) => {
                value.over = Some(Box::new(place(&old.0, &old.1)));
                *old = (key, value);
            }
            None => self.entries.push((key, value)),
        }
    }

    fn suggestion(&self, name: &str) -> Option<String> {
        let names = || self.entries.iter().map(|(key, _)| &*key.text);
        did_you_mean(name, names()).or_else(|| {
            let shown: Vec<_> = names().take(8).map(quoted).collect();
            let more = if self.entries.len() > shown.len() { ", ..." } else { "" };
            (!shown.is_empty()).then(|| format!("there is {}{more}", shown.join(", ")))
        })
    }

    /// Takes out what is gone; whether some of it was deleted by name.
    fn end(self) -> bool {
        let Self { entries, gone, deleted, .. } = self;
        let mut at = 0..;
        if !gone.is_empty() {
            entries.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
        }
        deleted
    }
}

impl Merge<'_, '_> {
    /// Lays one field of an overlay's document over a document.
    pub(super) fn field(&mut self, onto: &mut Node, key: Key, value: Node, shape: &Shape) {
        if key.text == PATCH {
            self.found
                .error(key.span, "a whole policy is neither deleted nor replaced")
                .hint("write `$patch` at what is meant, or name another `--policy`");
            return;
        }
        let Value::Map(entries) = &mut onto.value else { return };
        let mut below = Below::new(entries);
        let shape = shape.at(&key.text);
        self.entry(&mut below, key, value, shape);
        below.end();
    }

    /// Lays an entry over the entries of a map. Without a shape, where the language has no such field, maps merge.
    fn entry(&mut self, below: &mut Below<'_>, key: Key, mut value: Node, shape: Option<&Shape>) {
        if value.value == Value::Null {
            self.found
                .error(value.span, format!("nothing stands at {}", quoted(&key.text)))
                .code(Code::WrongValue)
                .hint(format!("to delete it write `{}: {{ $patch: delete }}`", shown(&key.text, NAME)));
            return;
        }
        match patch::take(&mut value, self.found) {
            None => {}
            Some(Patch::Delete) => self.delete(below, &key),
            Some(Patch::Replace) => self.put(below, key, value),
            Some(Patch::Merge) => match below.find(&key.text) {
                Some(old) if merges(&old.1, &value, shape) => self.map(old, &key, value, shape),
                Some(_) | None => self.put(below, key, value),
            },
        }
    }

    fn put(&mut self, below: &mut Below<'_>, key: Key, mut value: Node) {
        patch::settle(&mut value, self.found);
        below.put(key, value);
    }

    /// Merges a map into one. Where that deletes something, what is missing then is told at the overlay's key.
    fn map(&mut self, onto: &mut (Key, Node), key: &Key, overlay: Node, shape: Option<&Shape>) {
        let (Value::Map(entries), Value::Map(mut more)) = (&mut onto.1.value, overlay.value) else { return };
        let mut below = Below::new(entries);
        make_room(&mut below, &mut more, shape);
        self.path.push(key.text.clone());
        for (key, value) in more {
            let shape = shape.and_then(|shape| shape.at(&key.text));
            self.entry(&mut below, key, value, shape);
        }
        self.path.pop();
        if below.end() {
            onto.0.span = key.span;
        }
    }

    fn delete(&mut self, below: &mut Below<'_>, key: &Key) {
        let Some(at) = below.index.get(&key.text).copied() else {
            if !self.partial {
                let hint = below.suggestion(&key.text);
                self.found
                    .error(key.span, format!("there is no {} to delete", quoted(&key.text)))
                    .code(Code::UnknownName)
                    .maybe_hint(hint);
            }
            return;
        };
        below.deleted = true;
        if let [section] = &*self.path {
            self.found.deleted(section, &key.text, key.span);
        }
        if !below.twice.contains(&key.text) {
            below.gone.insert(at);
        }
    }
}

/// How much of a name a hint repeats.
const NAME: usize = 60;

/// Whether a value is laid over another entry by entry.
fn merges(below: &Node, value: &Node, shape: Option<&Shape>) -> bool {
    let both_maps = below.entries().is_some() && value.entries().is_some();
    both_maps && shape != Some(&Shape::Value)
}

/// Removes the fields whose place an overlay's field takes.
fn make_room(below: &mut Below<'_>, overlay: &mut [(Key, Node)], shape: Option<&Shape>) {
    let Some(Shape::Fields(of, _)) = shape else { return };
    let said: HashSet<String> = overlay.iter().map(|(key, _)| key.text.clone()).collect();
    for (_, fields, gone) in EXCHANGED.iter().filter(|(spec, ..)| spec == of) {
        let new =
            overlay.iter_mut().find(|(key, value)| fields.contains(&&*key.text) && !patch::deletes(value));
        let Some((_, new)) = new else { continue };
        for field in gone.iter().filter(|field| !said.contains(**field)) {
            let Some(at) = below.index.get(*field).copied() else { continue };
            below.gone.insert(at);
            let over = below.entries.get(at).map(|(key, old)| Box::new(place(key, old)));
            new.over = new.over.take().or(over);
        }
    }
}
