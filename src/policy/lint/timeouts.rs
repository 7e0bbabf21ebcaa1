//! Time spans that shorter ones always cut off. (Waits of single tries that outlast the whole call, `compile` tells.)

use std::time::Duration;

use super::{Everywhere, Policy};
use crate::policy::compile::shown;
use crate::policy::diagnostic::{Code, Findings, Span};
use crate::policy::snapshot::{HedgeAfter, OnExceed, Route, Target};
use crate::policy::spec::{self, At, Entry};

impl Policy<'_> {
    pub(super) fn timeouts(&self, found: &mut Findings<'_>) {
        let mut cut = Everywhere::default();
        for route in self.snapshot.routes.values() {
            let spec =
                self.written.routes.entries.get(route.id.as_str()).and_then(|item| item.value.as_ref());
            for target in &route.targets {
                self.target(route, spec, target, &mut cut);
            }
            self.keep_alive(route, spec, &mut cut);
            hedge(route, spec, &mut cut);
        }
        self.queues(&mut cut);
        let hint = "shorten it, or raise what cuts it off";
        cut.tell(Code::TimeoutsContradict, hint, found);
    }

    fn target(&self, route: &Route, spec: Option<&spec::Route>, target: &Target, cut: &mut Everywhere) {
        let waits = &target.timeouts;
        if let Some(at) = self.said(spec, target, Wait::Connect) {
            let (connect, first) = (waits.connect, waits.first_token);
            let wrong = || {
                format!(
                    "a connection may take {}, but after {} without content a stream is given up: `firstToken`",
                    shown(connect),
                    shown(first)
                )
            };
            cut.add(at, (connect > first).then(wrong));
        }
        if let Some(at) = self.said(spec, target, Wait::StreamIdle) {
            let (idle, total) = (waits.stream_idle, route.total);
            let wrong = || {
                let total = shown(total);
                format!("a stream may be silent for {}, but the whole call has {total}: `total`", shown(idle))
            };
            cut.add(at, (idle > total).then(wrong));
        }
    }

    /// Where a wait is said that holds for a target; none where nothing is said.
    fn said(&self, route: Option<&spec::Route>, target: &Target, wait: Wait) -> Option<Span> {
        let model = &target.model;
        let entry = self.written.models.entries.get(model.id.as_str());
        let of_model = entry.and_then(|item| item.value.as_ref()?.timeouts.as_ref());
        let entry = self.written.providers.entries.get(model.provider.id.as_str());
        let of_provider = entry.and_then(|item| item.value.as_ref()?.timeouts.as_ref());
        let defaults = self.written.defaults.as_ref().and_then(|defaults| defaults.timeouts.as_ref());
        let of_try = |timeouts: &At<spec::TryTimeouts>| {
            let timeouts = timeouts.value.as_ref()?;
            wait.of(timeouts.connect.as_ref(), timeouts.stream_idle.as_ref())
        };
        let of_call = |timeouts: &At<spec::Timeouts>| {
            let timeouts = timeouts.value.as_ref()?;
            wait.of(timeouts.connect.as_ref(), timeouts.stream_idle.as_ref())
        };
        route
            .and_then(|route| route.timeouts.as_ref())
            .and_then(of_call)
            .or_else(|| of_model.and_then(of_try))
            .or_else(|| of_provider.and_then(of_try))
            .or_else(|| defaults.and_then(of_call))
    }

    fn keep_alive(&self, route: &Route, spec: Option<&spec::Route>, cut: &mut Everywhere) {
        let own = spec.and_then(|spec| spec.keep_alive.as_ref());
        let defaults = || self.written.defaults.as_ref().and_then(|defaults| defaults.keep_alive.as_ref());
        let (Some(alive), Some(written)) = (&route.keep_alive, own.or_else(defaults)) else { return };
        let at =
            written.value.as_ref().and_then(|alive| alive.after.as_ref()).map_or(written.span, |at| at.span);
        let wrong = || {
            format!(
                "a stream is first kept alive after {}, but the whole call has {}: `total`",
                shown(alive.after),
                shown(route.total)
            )
        };
        cut.add(at, (alive.after >= route.total).then(wrong));
    }

    /// Calls wait in line no longer than their route lets them take.
    fn queues(&self, cut: &mut Everywhere) {
        let queues = self.snapshot.tenants.values().filter(|tenant| !tenant.on_exceed.is_empty());
        for tenant in queues {
            let routes = tenant.access.allowed.iter().filter_map(|route| self.snapshot.routes.get(route));
            let longest = routes.map(|route| route.total).max();
            let spec =
                self.written.tenants.entries.get(tenant.id.as_str()).and_then(|item| item.value.as_ref());
            for (key, event) in &tenant.on_exceed {
                let OnExceed::Queue { max_wait } = event else { continue };
                if let Some((at, total)) =
                    spec.and_then(|spec| said_at(self.limit(spec, key.as_str())?)).zip(longest)
                {
                    cut.add(at, queue_beyond(*max_wait, total));
                }
            }
        }
    }
}

/// Waits that are looked at wherever they may be said.
#[derive(Clone, Copy)]
enum Wait {
    Connect,
    StreamIdle,
}

impl Wait {
    fn of(self, connect: Option<&At<spec::TimeSpan>>, idle: Option<&At<spec::TimeSpan>>) -> Option<Span> {
        match self {
            Self::Connect => connect.map(|at| at.span),
            Self::StreamIdle => idle.map(|at| at.span),
        }
    }
}

fn queue_beyond(wait: Duration, total: Duration) -> Option<String> {
    let message = || format!("a call may wait for {}, but has {} in all: `total`", shown(wait), shown(total));
    (wait >= total).then(message)
}

/// Where a limit says how long to wait in line.
fn said_at(limit: &Entry<spec::Limit>) -> Option<Span> {
    let limit = limit.value.as_ref()?;
    match limit.on_exceed.as_ref()?.value.as_ref()? {
        spec::OnExceed::Queue { max_wait } => Some(max_wait.span),
        spec::OnExceed::Reject | spec::OnExceed::Clamp { .. } | spec::OnExceed::Downgrade { .. } => None,
    }
}

fn hedge(route: &Route, spec: Option<&spec::Route>, cut: &mut Everywhere) {
    let at = spec.and_then(|spec| Some(spec.hedge.as_ref()?.value.as_ref()?.after.span));
    let (Some(hedge), Some(at)) = (&route.hedge, at) else { return };
    let after = match hedge.after {
        HedgeAfter::P95 => return,
        HedgeAfter::Fixed(after) => after,
    };
    let longest = route.targets.iter().map(|target| target.timeouts.first_token).max().unwrap_or_default();
    let wrong = || {
        format!(
            "a second target is asked after {}, but after {} the first one's stream is given up: `firstToken`",
            shown(after),
            shown(longest)
        )
    };
    cut.add(at, (after >= longest).then(wrong));
}
