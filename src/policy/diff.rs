//! What a newer policy means for callers: two snapshots -> what is gained, lost, loosened and tightened. Pure.
//!
//! Told is what holds at each tenant, route, model and provider, wherever it was written: a plan's limit at the tenants
//! that have the plan, a default where it counts. Texts that mean the same have no changes between them. Every part of a
//! snapshot is taken apart here without `..`: who adds a field is asked what a change of it means.

mod accounting;
mod group;
mod limit;
mod model;
mod places;
mod price;
mod provider;
mod quota;
mod resilience;
mod route;
mod summary;
mod targets;
mod tenant;
mod when;
mod words;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot::Snapshot;

pub use places::{Place, Places, Side};

/// What changes for callers from one policy to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tenants, routes, models and providers, in this order; what several have alike comes first, and once.
    pub subjects: Vec<Subject>,
}

/// One tenant, route, model or provider, or several that change alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What they are.
    pub kind: Kind,
    /// Their names, sorted. Never empty.
    pub names: Vec<Arc<str>>,
    /// The plan that all of them have.
    pub plan: Option<Arc<str>>,
    /// What changes. Never empty.
    pub changes: Vec<Change>,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who pays and who is limited.
    Tenant,
    /// A name that callers may ask for.
    Route,
    /// A model at a provider.
    Model,
    /// An endpoint.
    Provider,
}

impl Kind {
    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Route => "route",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// What it is, by the fields of the policy: `limits.rpm`.
    pub what: Box<str>,
    /// What held; none where nothing did.
    pub old: Option<Box<str>>,
    /// What holds; none where nothing does.
    pub new: Option<Box<str>>,
    /// What follows from it, where that is not plain.
    pub note: Option<Box<str>>,
    /// Whether it makes counts of a limit start anew.
    pub restarts: bool,
}

/// Which way a change goes, for callers; in the order in which they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// They may do or spend more.
    Loosening,
    /// They may do or spend less.
    Tightening,
    /// They may do more in some cases and less in others. Counts as both.
    Mixed,
    /// Neither, but someone should look: fewer targets stand in, prompts go elsewhere, counts are forgotten.
    Risk,
    /// Neither.
    Neutral,
}

impl Direction {
    /// The word of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loosening => "loosening",
            Self::Tightening => "tightening",
            Self::Mixed => "mixed",
            Self::Risk => "risk",
            Self::Neutral => "neutral",
        }
    }

    /// Whether callers may do or spend more, be it in some cases.
    pub fn loosens(self) -> bool {
        match self {
            Self::Loosening | Self::Mixed => true,
            Self::Tightening | Self::Risk | Self::Neutral => false,
        }
    }

    /// Whether they may do or spend less, be it in some cases.
    pub fn tightens(self) -> bool {
        match self {
            Self::Tightening | Self::Mixed => true,
            Self::Loosening | Self::Risk | Self::Neutral => false,
        }
    }

    /// Of how much is allowed now, compared with before; none where it cannot be compared.
    fn of(allowed: Option<Ordering>) -> Self {
        match allowed {
            Some(Ordering::Greater) => Self::Loosening,
            Some(Ordering::Less) => Self::Tightening,
            Some(Ordering::Equal) => Self::Neutral,
            None => Self::Mixed,
        }
    }
}

/// Two comparisons of parts as one of the whole; none where they disagree.
fn together(one: Option<Ordering>, other: Option<Ordering>) -> Option<Ordering> {
    match (one?, other?) {
        (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
        (one, other) => (one == other).then_some(one),
    }
}

impl Changes {
    /// What `new` changes of `old`.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let mut subjects = group::grouped(Kind::Tenant, tenant::changes(old, new));
        subjects.extend(group::grouped(Kind::Route, route::changes(old, new)));
        subjects.extend(group::grouped(Kind::Model, model::changes(old, new)));
        subjects.extend(group::grouped(Kind::Provider, provider::changes(old, new)));
        Self { subjects }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Every change, each once for all that change alike.
    pub fn iter(&self) -> impl Iterator<Item = &Change> + Clone {
        self.subjects.iter().flat_map(|subject| &subject.changes)
    }

    /// How many go one way.
    pub fn count(&self, direction: Direction) -> usize {
        self.iter().filter(|change| change.direction == direction).count()
    }
}

/// Collects what changes at one thing.
#[derive(Debug, Default)]
struct Found(Vec<Change>);

impl Found {
    fn change(
        &mut self,
        direction: Direction,
        what: impl Into<String>,
        old: Option<String>,
        new: Option<String>,
    ) -> &mut Change {
        self.0.push(Change {
            direction,
            what: what.into().into(),
            old: old.map(Into::into),
            new: new.map(Into::into),
            note: None,
            restarts: false,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A part that goes from one value to another, if it does.
    fn part<T: PartialEq + ?Sized>(
        &mut self,
        what: &str,
        (old, new): (&T, &T),
        shown: impl Fn(&T) -> String,
        direction: impl FnOnce(&T, &T) -> Direction,
    ) {
        if old != new {
            self.change(direction(old, new), what, Some(shown(old)), Some(shown(new)));
        }
    }

    /// A part of which more is neither good nor bad.
    fn neutral<T: PartialEq + ?Sized>(&mut self, what: &str, sides: (&T, &T), shown: impl Fn(&T) -> String) {
        self.part(what, sides, shown, |_, _| Direction::Neutral);
    }
}

impl Change {
    fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.note = Some(note.into().into());
        self
    }
}

/// One thing in an older and a newer policy.
enum Pair<'a, T> {
    Both(&'a T, &'a T),
    Gone(&'a T),
    New(&'a T),
}

/// The things of two policies, by name.
fn pairs<'a, K: Ord, T>(
    old: &'a BTreeMap<K, Arc<T>>,
    new: &'a BTreeMap<K, Arc<T>>,
) -> Vec<(&'a K, Pair<'a, T>)> {
    let mut pairs: BTreeMap<&K, Pair<'_, T>> =
        old.iter().map(|(id, gone)| (id, Pair::Gone(&**gone))).collect();
    for (id, one) in new {
        let pair = old.get(id).map_or(Pair::New(&**one), |before| Pair::Both(before, one));
        pairs.insert(id, pair);
    }
    pairs.into_iter().collect()
}
