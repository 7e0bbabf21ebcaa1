//! Which calls are traced: decided once, when the call begins.

use opentelemetry::trace::TraceId;

use super::context::Parent;

/// The samplers of the OpenTelemetry specification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// By itself, whatever the caller does.
    Root(Root),
    /// As the caller does; where it has no span, by itself.
    ParentBased(Root),
}

/// How it is decided where no caller has decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// Every call.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// The calls whose trace id is below the bound, as all SDKs with this ratio decide: the bound of the lower 63 bits.
    Ratio {
        /// The first id that is not sampled.
        below: u64,
    },
}

impl Root {
    /// A share of calls, between 0 and 1.
    pub fn ratio(share: f64) -> Self {
        if share >= 1.0 {
            return Self::AlwaysOn;
        }
        // The cast saturates: less than nothing is nothing.
        Self::Ratio { below: (share * (1_u64 << 63) as f64) as u64 }
    }

    fn samples(self, trace: TraceId) -> bool {
        match self {
            Self::AlwaysOn => true,
            Self::AlwaysOff => false,
            Self::Ratio { below } => {
                let [_, _, _, _, _, _, _, _, low @ ..] = trace.to_bytes();
                u64::from_be_bytes(low) >> 1 < below
            }
        }
    }
}

impl Sampler {
    /// Whether a call is traced that belongs to `trace`.
    pub fn samples(self, parent: Option<Parent>, trace: TraceId) -> bool {
        match (self, parent) {
            (Self::ParentBased(_), Some(parent)) => parent.sampled,
            (Self::Root(root) | Self::ParentBased(root), _) => root.samples(trace),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, SpanKind};
    use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};
    use proptest::prelude::*;

    use super::*;

    fn parent(sampled: bool) -> Option<Parent> {
        Some(Parent { trace: TraceId::from(1), span: SpanId::from(1), sampled })
    }

    #[test]
    fn a_parent_based_sampler_does_as_the_caller() {
        let trace = TraceId::from(1);
        for sampled in [true, false] {
            assert_eq!(Sampler::ParentBased(Root::AlwaysOn).samples(parent(sampled), trace), sampled);
            assert_eq!(Sampler::ParentBased(Root::AlwaysOff).samples(parent(sampled), trace), sampled);
            assert!(Sampler::Root(Root::AlwaysOn).samples(parent(sampled), trace));
            assert!(!Sampler::Root(Root::AlwaysOff).samples(parent(sampled), trace));
        }
        assert!(Sampler::ParentBased(Root::AlwaysOn).samples(None, trace));
        assert!(!Sampler::ParentBased(Root::AlwaysOff).samples(None, trace));
    }

    proptest! {
        #[test]
        fn a_ratio_decides_as_the_sdk_does(share in 0.0..=1.0_f64, trace: u128) {
            let trace = TraceId::from(trace);
            let sdk = opentelemetry_sdk::trace::Sampler::TraceIdRatioBased(share);
            let decided = sdk.should_sample(None, trace, "", &SpanKind::Server, &[], &[]).decision;
            let ours = Sampler::Root(Root::ratio(share)).samples(None, trace);
            prop_assert_eq!(ours, decided == SamplingDecision::RecordAndSample);
        }
    }
}
