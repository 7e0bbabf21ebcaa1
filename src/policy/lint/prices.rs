//! Models that calls are routed to without a price, and prices nobody has looked at for long.

use std::collections::HashSet;

use super::Policy;
use crate::clock::Date;
use crate::ids::ModelId;
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::spec::{self, At};

impl Policy<'_> {
    pub(super) fn prices(&self, found: &mut Findings<'_>) {
        let routed = self.routed();
        for (name, item) in &self.written.models.entries {
            let Some(spec) = &item.value else { continue };
            // What is scripted costs nothing.
            let scripted =
                self.snapshot.models.get(name.as_str()).is_some_and(|model| model.provider.mock.is_some());
            let prices = days(spec);
            let holding = prices.iter().filter(|(day, _)| *day <= self.settings.today).max();
            match (holding, prices.iter().min()) {
                (Some((day, at)), _) => self.age(*day, *at, found),
                (None, _) if scripted || !routed.contains(&ModelId::from(name.as_str())) => {}
                (None, Some((day, at))) => {
                    let message = format!(
                        "{} has no price before {day}: what its calls cost is not known",
                        quoted(name)
                    );
                    found
                        .warning(Code::UnpricedModel, *at, message)
                        .hint("add the price that holds today, or remove `effectiveFrom`");
                }
                (None, None) => {
                    let message = format!("{} has no price: what its calls cost is not known", quoted(name));
                    found
                        .warning(Code::UnpricedModel, item.span, message)
                        .hint("add `price: [{ inputPerMTok: \"2.00\", outputPerMTok: \"8.00\" }]`");
                }
            }
        }
    }

    /// Models to which a tenant's calls may go.
    fn routed(&self) -> HashSet<&ModelId> {
        let routes = self.callers.keys().filter_map(|route| self.snapshot.routes.get(*route));
        routes.flat_map(|route| route.targets.iter().map(|target| &target.model.id)).collect()
    }

    fn age(&self, day: Date, at: Span, found: &mut Findings<'_>) {
        let Some(most) = self.settings.max_price_age.filter(|_| day != Date::MIN) else { return };
        let age = self.settings.today.duration_since(day).as_hours() / 24;
        if age > i64::from(most) {
            found
                .warning(Code::StalePrice, at, format!("this price has held for {age} days, more than {most}"))
                .hint("look it up at the provider; the same price with a later `effectiveFrom` says that it was");
        }
    }
}

/// The first days of a model's prices with their places; [`Date::MIN`] where it has always held.
fn days(spec: &spec::Model) -> Vec<(Date, Span)> {
    let prices = spec.price.as_ref().and_then(|prices| prices.value.as_ref());
    let prices =
        prices.into_iter().flatten().filter_map(|price| price.value.as_ref().map(|spec| (spec, price.span)));
    let day = |(spec, span): (&spec::Price, Span)| match &spec.effective_from {
        None => Some((Date::MIN, span)),
        Some(At { span, value }) => Some((value.as_ref()?.0, *span)),
    };
    prices.filter_map(day).collect()
}
