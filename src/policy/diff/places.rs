//! Where in a policy's files the parts of a change are written.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use super::{Change, Kind, Subject};
use crate::policy::diagnostic::{Findings, Span};
use crate::policy::load::Sources;
use crate::policy::node::{self, Node, Value};

/// Where the named things of a policy are written, and the parts of each.
#[derive(Debug, Default)]
pub struct Places {
    files: Vec<Arc<str>>,
    /// By section and name; several where files are laid over each other.
    entries: HashMap<(&'static str, String), Vec<(Span, Node)>>,
    defaults: Vec<(Span, Node)>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

const PLANS: &str = "plans";
const SECTIONS: [&str; 5] = ["tenants", "routes", "models", "providers", PLANS];

fn section(kind: Kind) -> &'static str {
    match kind {
        Kind::Tenant => "tenants",
        Kind::Route => "routes",
        Kind::Model => "models",
        Kind::Provider => "providers",
    }
}

impl Places {
    /// Of the files of a good policy.
    pub fn of(sources: &Sources) -> Self {
        let mut places = Self::default();
        // Faults were told when it was compiled.
        let mut found = Findings::new(sources);
        for (index, file) in sources.files().iter().enumerate() {
            places.files.push(Arc::clone(&file.name));
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            node::parse(index, &file.bytes, &mut found).into_iter().for_each(|document| places.add(document));
        }
        places
    }

    fn add(&mut self, document: Node) {
        let is_policy = document.field("kind").is_some_and(|kind| text(kind) == Some("Policy"));
        let Value::Map(parts) = document.value else { return };
        for (key, part) in parts.into_iter().filter(|_| is_policy) {
            if key.text == "defaults" {
                self.defaults.push((key.span, part));
            } else if let Some(section) = SECTIONS.into_iter().find(|section| *section == key.text)
                && let Value::Map(things) = part.value
            {
                for (name, thing) in things {
                    self.entries.entry((section, name.text)).or_default().push((name.span, thing));
                }
            }
        }
    }

    /// Where that is written which held before a change, or holds after it, at each that has it: every place once,
    /// sorted. Empty where nothing of it is written: it holds unsaid.
    pub fn of_change(&self, subject: &Subject, change: &Change, side: Side) -> Vec<Place> {
        let path = path(subject, change, side);
        let found: BTreeSet<_> = subject
            .names
            .iter()
            .filter_map(|name| self.find(subject.kind, name, &path))
            .map(|at| (at.file, at.line))
            .collect();
        let place = |(file, line)| {
            let file = self.files.get(usize::try_from(file).ok()?)?;
            Some(Place { file: Arc::clone(file), line })
        };
        found.into_iter().filter_map(place).collect()
    }

    /// At the thing itself, at its plan or in the defaults: wherever most of the path is written.
    fn find(&self, kind: Kind, name: &str, path: &str) -> Option<Span> {
        let mut own = self.entries(section(kind), name);
        if kind == Kind::Route && own.is_empty() {
            own = self.entries("models", name);
        }
        let named = own.iter().rev().find_map(|(_, tenant)| text(tenant.field("plan")?));
        let plan = named.filter(|_| kind == Kind::Tenant).map(|plan| self.entries(PLANS, plan));
        // Of files laid over each other the last one counts.
        let all =
            own.iter().rev().chain(plan.unwrap_or_default().iter().rev()).chain(self.defaults.iter().rev());
        let said = all.map(|(at, node)| deepest(*at, node, path));
        let said = said.filter(|(left, _)| *left < path.len() || path.is_empty());
        said.min_by_key(|(left, _)| *left).map(|(_, at)| at)
    }

    fn entries(&self, section: &'static str, name: &str) -> &[(Span, Node)] {
        self.entries.get(&(section, name.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// Before a change, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before.
    Old,
    /// After.
    New,
}

/// What a change tells of, by the fields of the policy.
fn path<'c>(subject: &Subject, change: &'c Change, side: Side) -> Cow<'c, str> {
    let what = match &*change.what {
        what if what == subject.kind.as_str() => "",
        LIMITS => change.new.as_deref().unwrap_or_default(),
        "weights" => "targets",
        what if what.starts_with("price from ") => "price",
        what => what,
    };
    match side {
        Side::Old => former(subject, what).map_or_else(|| what.into(), Into::into),
        Side::New => what.into(),
    }
}

/// Told of a limit that is renamed; its names are the values.
const LIMITS: &str = "limits";

/// The same under the name that its limit had before.
fn former(subject: &Subject, what: &str) -> Option<String> {
    let mut renamed = subject.changes.iter().filter(|change| *change.what == *LIMITS);
    renamed.find_map(|Change { old, new, .. }| match rest(what, new.as_deref()?)? {
        "" => Some(old.as_deref()?.to_owned()),
        part => Some(format!("{}.{part}", old.as_deref()?)),
    })
}

/// The place of as much of a path as is written below a node, and how much is left of it.
fn deepest(at: Span, node: &Node, path: &str) -> (usize, Span) {
    let below = match &node.value {
        // The least is left by the right one: a name may begin with another one and a dot.
        Value::Map(entries) => {
            let all =
                entries.iter().filter_map(|(key, value)| Some((key.span, value, rest(path, &key.text)?)));
            all.min_by_key(|(.., rest)| rest.len())
        }
        Value::List(items) => {
            let all = items.iter().filter_map(|item| {
                let model = text(item.field("model")?)?;
                Some((item.span, item, rest(path, model)?))
            });
            all.min_by_key(|(.., rest)| rest.len())
        }
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => None,
    };
    below.map_or((path.len(), at), |(at, node, rest)| deepest(at, node, rest))
}

/// What is left of a path behind a name.
fn rest<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(name).filter(|_| !name.is_empty())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        Value::Null
        | Value::Bool(_)
        | Value::Whole(_)
        | Value::Fraction(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::diff::Changes;

    const POLICY: &str = "apiVersion: egret.dev/v1alpha1
kind: Policy
defaults:
  onAbandoned: input
providers: { openai: { key: { fromEnv: K } } }
models:
  gpt-4.1: { provider: openai, contextTokens: 1000, maxOutputTokens: 100 }
  gpt-4: { provider: openai, contextTokens: 1000, maxOutputTokens: 100 }
routes:
  chat:
    targets:
      - model: gpt-4
      - model: gpt-4.1
        when: { inputTokensAbove: 8 }
plans:
  free:
    limits:
      rpm: { requests: 20, per: 1m }
tenants:
  app:
    local: true
    plan: free
    access: { allow: [chat] }
    limits:
      day: { requests: 100, per: day }
";

    /// What changes, and on which lines it is written in the old and the new policy.
    fn lines(from: &str, to: &str) -> Vec<(String, Vec<u32>, Vec<u32>)> {
        let (old, new) = (POLICY.to_owned(), POLICY.replace(from, to));
        assert_ne!(old, new, "{from}");
        let (old, new) = (Sources::single("p.yaml", old), Sources::single("p.yaml", new));
        let compiled = |sources| crate::policy::compile::compile(sources).unwrap().0;
        let changes = Changes::between(&compiled(&old), &compiled(&new));
        let (old, new) = (Places::of(&old), Places::of(&new));
        let line = |places: &Places, subject, change, side| -> Vec<u32> {
            places.of_change(subject, change, side).iter().map(|place| place.line).collect()
        };
        let told =
            changes.subjects.iter().flat_map(|subject| subject.changes.iter().map(move |one| (subject, one)));
        told.map(|(subject, change)| {
            let old = line(&old, subject, change, Side::Old);
            (change.what.to_string(), old, line(&new, subject, change, Side::New))
        })
        .collect()
    }

    #[test]
    fn a_change_is_placed_where_most_of_it_is_written() {
        let told = |what: &str, old, new| vec![(what.to_owned(), vec![old], vec![new])];
        assert_eq!(lines("requests: 100", "requests: 99"), told("limits.day", 25, 25));
        assert_eq!(lines("inputTokensAbove: 8", "inputTokensAbove: 9"), told("targets.gpt-4.1.when", 14, 14));
        assert_eq!(lines("onAbandoned: input", "onAbandoned: nothing"), told("onAbandoned", 4, 4));
        assert_eq!(lines("local: true", "local: true\n    onAbandoned: nothing"), told("onAbandoned", 4, 22));
    }

    #[test]
    fn what_holds_unsaid_has_no_place() {
        let annotated = "local: true\n    annotate: true";
        assert_eq!(lines("local: true", annotated), [("annotate".into(), vec![], vec![22])]);
    }

    #[test]
    fn a_renamed_limit_is_placed_under_either_name() {
        let renamed =
            lines("day: { requests: 100, per: day }", "today: { requests: 99, per: day, was: day }");
        let told = |what: &str| (what.to_owned(), vec![25], vec![25]);
        assert_eq!(renamed, [told("limits"), told("limits.today")]);
    }

    #[test]
    fn what_comes_from_a_plan_is_placed_there() {
        assert_eq!(lines("requests: 20", "requests: 19"), [("limits.rpm".into(), vec![18], vec![18])]);
    }
}
