//! What earlier answers tell of a model's next ones: its input by the bytes of a body, its output.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::estimate::{Estimate, Estimator};
use super::expect::Expectation;
use crate::ids::ModelId;
use crate::units::Tokens;

/// What is known of every model of the policy. Outlives reloads.
#[derive(Debug, Default)]
pub struct Calibration {
    models: ArcSwap<HashMap<ModelId, Arc<Known>>>,
}

/// What is known of one model.
#[derive(Debug, Default)]
struct Known {
    input: Estimator,
    output: Expectation,
}

impl Calibration {
    /// Goes over to the models of a new policy: what is known of those that stay is kept.
    pub fn renew<'m>(&self, models: impl IntoIterator<Item = &'m ModelId>) {
        let known = self.models.load();
        let kept = |model: &ModelId| (model.clone(), known.get(model).cloned().unwrap_or_default());
        self.models.store(Arc::new(models.into_iter().map(kept).collect()));
    }

    /// The same known by somebody who only looks on.
    pub fn shown(&self) -> Self {
        Self { models: ArcSwap::new(self.models.load_full()) }
    }

    /// What a body has as input, by [`Estimator::tokens`]; of a model that is not known as if nothing had been reported.
    pub fn input(&self, model: &ModelId, how: Estimate, bytes: u64, window: Option<Tokens>) -> Tokens {
        match self.models.load().get(model) {
            Some(known) => known.input.tokens(how, bytes, window),
            None => Estimator::default().tokens(how, bytes, window),
        }
    }

    /// What to expect of an answer's output, by [`Expectation::tokens`]; none of a model that is not known.
    pub fn output(&self, model: &ModelId) -> Option<Tokens> {
        self.models.load().get(model)?.output.tokens()
    }

    /// Takes in what a model's provider reported for a body: all input, cached included. Nothing where the policy has
    /// no such model any more.
    pub fn learn_input(&self, model: &ModelId, bytes: u64, input: Tokens) {
        if let Some(known) = self.models.load().get(model) {
            known.input.learn(bytes, input);
        }
    }

    /// Takes in how much output one complete answer had, of a model that the policy has.
    pub fn learn_output(&self, model: &ModelId, output: Tokens) {
        if let Some(known) = self.models.load().get(model) {
            known.output.learn(output);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_keeps_what_is_known_of_the_models_that_stay() {
        let (stays, goes, comes) = (ModelId::from("stays"), ModelId::from("goes"), ModelId::from("comes"));
        let calibration = Calibration::default();
        calibration.renew([&stays, &goes]);
        for model in [&stays, &goes, &comes] {
            (0..500).for_each(|_| calibration.learn_input(model, 10_000, Tokens(1_000)));
            (0..500).for_each(|_| calibration.learn_output(model, Tokens(70)));
        }
        calibration.renew([&stays, &comes]);
        let of = |model| calibration.input(model, Estimate::Calibrated, 10_000, None).0;
        assert!(of(&stays).abs_diff(1_125) <= 2, "{}", of(&stays));
        assert_eq!((of(&goes), of(&comes)), (3_334, 3_334));
        let output = |model| calibration.output(model);
        assert!(output(&stays).is_some_and(|tokens| (69..=75).contains(&tokens.0)), "{:?}", output(&stays));
        assert_eq!([output(&comes), output(&goes)], [None, None]);
        calibration.renew([&goes]);
        assert_eq!(of(&goes), 3_334, "what was removed is forgotten");
    }
}
