//! What several things have alike is told once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Change, Found, Kind, Subject};

/// One thing with its changes.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: Arc<str>,
    pub(super) plan: Option<Arc<str>>,
    pub(super) found: Found,
}

/// The changes by those that have them: of several first, of most before; then each thing's own.
pub(super) fn grouped(kind: Kind, mut items: Vec<Item>) -> Vec<Subject> {
    items.sort_by(|a, b| a.name.cmp(&b.name));
    let mut shared: HashMap<&Change, Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        for change in &item.found.0 {
            let of = shared.entry(change).or_default();
            // The same may be said twice of one thing.
            if of.last() != Some(&at) {
                of.push(at);
            }
        }
    }
    let mut groups: BTreeMap<&[usize], Vec<Change>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        for change in &item.found.0 {
            let Some(of) = shared.get(change) else { continue };
            if of.first() == Some(&at) {
                groups.entry(of).or_default().push(change.clone());
            }
        }
    }
    let mut subjects: Vec<_> =
        groups.into_iter().map(|(of, changes)| subject(kind, of, &items, changes)).collect();
    // Stable: those of one size stay in the order of their names.
    subjects.sort_by_key(|subject| std::cmp::Reverse(subject.names.len()));
    subjects
}

fn subject(kind: Kind, of: &[usize], items: &[Item], changes: Vec<Change>) -> Subject {
    let of: Vec<&Item> = of.iter().filter_map(|at| items.get(*at)).collect();
    let plan = of.first().and_then(|first| first.plan.clone());
    let plan = plan.filter(|plan| of.iter().all(|item| item.plan.as_ref() == Some(plan)));
    Subject { kind, names: of.iter().map(|item| Arc::clone(&item.name)).collect(), plan, changes }
}
