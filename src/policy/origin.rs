//! Where each value of a policy was written, and what it was written over. Made when asked for, not for serving.

mod print;

use std::fmt;
use std::sync::Arc;

use super::compose::{self, place};
use super::diagnostic::{Findings, Span};
use super::load::Sources;
use super::node::{Key, Node, Value};

/// The places of all values of a policy, its overlays laid over it.
///
/// Of the `sources` that a snapshot was compiled from, `Origins::of(&sources).named("tenants.shop.limits.month.usd")`
/// is shown as `overlays/prod.yaml:7 over policy.yaml:12`.
#[derive(Debug)]
pub struct Origins {
    documents: Vec<Node>,
    files: Vec<Arc<str>>,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The place that holds.
    pub place: Spot,
    /// The place of what an overlay replaced by it.
    pub over: Option<Spot>,
}

/// A place in a file, shown as `file:line`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file's name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Origin {
    /// `overlays/prod.yaml:4 over policy.yaml:12`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        self.over.as_ref().map_or(Ok(()), |over| write!(f, " over {over}"))
    }
}

impl Origins {
    /// Reads the places of a policy. What is wrong with it, `compile` tells; here it has no place.
    pub fn of(sources: &Sources) -> Self {
        let documents = compose::gathered(sources, &mut Findings::new(sources));
        Self { documents, files: sources.files().iter().map(|file| Arc::clone(&file.name)).collect() }
    }

    /// Where what stands at a path was written: `["tenants", "app", "limits", "month", "usd"]`; an item of a list is
    /// named by its number, from 0. A map is where its name stands: the place that first says it.
    pub fn at(&self, path: &[&str]) -> Option<Origin> {
        self.documents.iter().find_map(|document| self.within(document, path))
    }

    /// The same for a path with dots: `tenants.app.limits.month`. Names may have dots too: of those that could be meant,
    /// the longest that leads somewhere.
    pub fn named(&self, path: &str) -> Option<Origin> {
        let steps = self.documents.iter().find_map(|document| steps(document, path))?;
        self.at(&steps)
    }

    fn within(&self, document: &Node, path: &[&str]) -> Option<Origin> {
        let (mut node, mut at, mut over) = (document, document.span, None);
        for step in path {
            let (span, next) = child(node, step)?;
            (node, at) = (next, span);
            // What stands in something that was replaced was replaced with it.
            over = next.over.as_deref().or(over);
        }
        Some(Origin { place: self.spot(at), over: over.map(|over| self.spot(*over)) })
    }

    fn spot(&self, at: Span) -> Spot {
        let file = self.files.get(at.file as usize).cloned().unwrap_or_else(|| "policy".into());
        Spot { file, line: at.line, column: at.column }
    }
}

/// A path with dots, step by step, as it leads to something in the node.
fn steps<'p>(node: &Node, path: &'p str) -> Option<Vec<&'p str>> {
    let mut ends: Vec<usize> = path.match_indices('.').map(|(at, _)| at).collect();
    ends.push(path.len());
    ends.into_iter().rev().find_map(|end| {
        let (step, rest) = path.split_at_checked(end)?;
        let (_, below) = child(node, step)?;
        match rest.strip_prefix('.') {
            None => Some(vec![step]),
            Some(rest) => {
                let mut after = steps(below, rest)?;
                after.insert(0, step);
                Some(after)
            }
        }
    })
}

/// What stands under a name or number, and where.
fn child<'n>(node: &'n Node, step: &str) -> Option<(Span, &'n Node)> {
    match &node.value {
        Value::Map(entries) => {
            let named = |(key, _): &&(Key, Node)| key.text == step;
            entries.iter().find(named).map(|(key, value)| (place(key, value), value))
        }
        Value::List(items) => items.get(step.parse::<usize>().ok()?).map(|item| (item.span, item)),
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => None,
    }
}

#[cfg(test)]
mod tests;
