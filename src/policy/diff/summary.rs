//! Changes in a sentence, for the log.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Change, Changes, Direction, Kind, Subject};

/// So many limits are named whose counts start anew.
const NAMED: usize = 5;

/// Whether a change goes some way.
type IsSo = fn(Direction) -> bool;

/// `2 tenants loosened, 1 tenant tightened, 1 risk; counts of limits.rpm of tenant app start anew`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for kind in [Kind::Tenant, Kind::Route, Kind::Model, Kind::Provider] {
            let ways: [(_, IsSo); 3] = [
                ("loosened", Direction::loosens),
                ("tightened", Direction::tightens),
                ("changed", |way| !way.loosens() && !way.tightens()),
            ];
            for (word, is_so) in ways {
                let count = self.names(kind, is_so).len();
                let plural = if count == 1 { "" } else { "s" };
                parts.extend((count > 0).then(|| format!("{count} {}{plural} {word}", kind.as_str())));
            }
        }
        let risks = self.count(Direction::Risk);
        let plural = if risks == 1 { "" } else { "s" };
        parts.extend((risks > 0).then(|| format!("{risks} risk{plural}")));
        let parts = if parts.is_empty() { "the same meaning".into() } else { parts.join(", ") };
        write!(f, "{parts}{}", self.anew())
    }
}

impl Changes {
    fn names(&self, kind: Kind, is_so: IsSo) -> BTreeSet<&Arc<str>> {
        let so = |subject: &&Subject| {
            subject.kind == kind && subject.changes.iter().any(|change| is_so(change.direction))
        };
        self.subjects.iter().filter(so).flat_map(|subject| &subject.names).collect()
    }

    /// The limits whose counts start anew, with whose they are.
    pub fn restarts(&self) -> impl Iterator<Item = (&Subject, &Change)> {
        self.subjects.iter().flat_map(|subject| {
            subject.changes.iter().filter(|change| change.restarts).map(move |change| (subject, change))
        })
    }

    fn anew(&self) -> String {
        let named: Vec<_> = self
            .restarts()
            .take(NAMED)
            .map(|(subject, change)| format!("{} of {}", change.what, subject.title()))
            .collect();
        if named.is_empty() {
            return String::new();
        }
        let more = self.restarts().count() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("; counts of {}{more} start anew", named.join(", "))
    }
}

impl Subject {
    /// Whose changes these are: `tenant app`, `12 tenants of plan free`, `3 routes`.
    pub fn title(&self) -> String {
        let kind = self.kind.as_str();
        match (&*self.names, &self.plan) {
            ([name], _) => format!("{kind} {name}"),
            (names, Some(plan)) => format!("{} {kind}s of plan {plan}", names.len()),
            (names, None) => format!("{} {kind}s", names.len()),
        }
    }
}
